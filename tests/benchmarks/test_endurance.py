"""A short endurance run finds nothing; and it does find what it looks for."""

import os
import signal
import tempfile
import threading

import msgspec
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from code_envs.benchmarks import endurance
from code_envs.benchmarks.census import Sample, find_left, find_zygotes, take_residue, take_sample
from code_envs.benchmarks.trials import HONEST, HOSTILE, HOSTILE_SCRIPTS, SCRIPTS, draw_trial
from code_envs.errors import ConfigError
from code_envs.executor import Execution, Executor, Limits, Status


def test_some_thousand_runs_under_strikes_hold():
    # so many that growth is told by medians of four: how many zygotes are alive at a moment varies from 4 to 12
    outcome = endurance.endure(1920, workers=2, hostile=0.3, kill_every=20, seed=1, samples=40)
    assert outcome.ok, (outcome.wrong, outcome.growth, outcome.residue, outcome.infra)
    assert outcome.runs == 1920
    assert 288 < outcome.hostile < 864
    assert outcome.strikes
    assert outcome.retries > 0
    assert outcome.samples[-1].runs == 1920
    assert {"ok", "raised", "cpu", "forbidden"} <= set(outcome.statuses)


def test_every_kind_of_program_ends_as_it_must(executor):
    rng = np.random.default_rng([3, 1])
    trials = {trial.name: trial for trial in (draw_trial(rng, 0.7) for _ in range(1200))}
    assert set(trials) == {*HONEST, *HOSTILE, *SCRIPTS, *HOSTILE_SCRIPTS}
    results = executor.run_jobs([trial.job for trial in trials.values()])
    assert [
        fault for trial, done in zip(trials.values(), results, strict=True) if (fault := trial.find_fault(done))
    ] == []


def test_wrong_verdicts_are_found():
    rng = np.random.default_rng([3, 2])
    trials = {trial.name: trial for trial in (draw_trial(rng, 0.5) for _ in range(400))}
    honest, hostile = trials["arithmetic"], trials["fork bomb"]
    right = [Execution(status=one.status, value=one.value, stdout=one.stdout) for one in honest.expected]
    assert honest.find_fault(right) == ""
    for change in ({"value": b"i0;"}, {"mutated": True}, {"stdout": "x"}, {"status": Status.RAISED}):
        assert "instead of" in honest.find_fault([msgspec.structs.replace(right[0], **change), *right[1:]])
    assert honest.find_fault([Execution(status=Status.WALL)] * len(right)) != ""
    assert hostile.find_fault([Execution(status=Status.OK)]).startswith("fork bomb: ok")
    assert hostile.find_fault([Execution(status=Status.INFRA)]) == ""


def flat(**changes):
    base = dict.fromkeys(Sample.__struct_fields__, 100) | {"client_kib": 50_000, "zygote_kib": 16_000}
    return Sample(**(base | changes))


@pytest.mark.parametrize(
    ("name", "step"), [("client_kib", 300), ("descriptors", 1), ("maps", 2), ("threads", 1), ("processes", 1)]
)
def test_growth_is_found(name, step):
    assert endurance.find_growth([flat() for _ in range(40)]) == []
    leaky = [flat(**{name: getattr(flat(), name) + step * index}) for index in range(40)]
    (found,) = endurance.find_growth(leaky)
    assert found.startswith(f"{name} grew from ")


def test_residue_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = take_residue()
    with Executor(workers=1) as held:
        held.run("def f(): return 1", "f", [()])
        (tmp_path / "left").touch()
        left = find_left(before, seconds=0)
        assert sum(line.startswith("process ") for line in left) == 2
        assert f"file {tmp_path}/left" in left
        assert "2 shared memory maps" in left
        assert any("descriptors: /memfd:request" in line for line in left)
    assert find_left(before, seconds=1) == [f"file {tmp_path}/left"]


def test_a_sample_measures_this_client():
    with Executor(workers=1) as executor:
        before = take_sample(0)
        executor.run("def f(): return 1", "f", [()])
        sample = take_sample(7)
        assert sample.runs == 7
        assert sample.processes == before.processes + 2
        assert sample.zygote_kib > 5000
        assert sample.client_kib > sample.zygote_kib


def test_the_kill_of_a_small_program_is_not_blamed_on_its_memory():
    """A zygote's own memory is more than half of a small limit."""
    deadlock = HOSTILE["deadlock"][0].replace("\n", "\n    ")
    others = set(find_zygotes(os.getpid()))
    with Executor(workers=1) as executor:
        executor.run("import threading\ndef f(): return 1", "f", [()])
        zygotes = set(find_zygotes(os.getpid())) - others

        def strike():
            found = []
            while not found and not ended.is_set():
                found = [pid for zygote in zygotes if (pid := endurance._wait_for_child(zygote))]
            for pid in found[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

        killed, ended = [], threading.Event()
        thread = threading.Thread(target=strike)
        thread.start()
        (done,) = executor.run(f"def f():\n    {deadlock}", "f", [()], Limits(memory_mib=16, wall_seconds=3))
        ended.set()
        thread.join()
    assert killed
    assert done.status is Status.WALL


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="at least 48 runs"):
        endurance.endure(3)


def test_the_command_exits_with_one_on_a_fault(monkeypatch):
    found = endurance.endure(48, workers=1, kill_every=0, samples=2)
    app = typer.Typer()
    app.command()(endurance.main)
    monkeypatch.setattr(endurance, "endure", lambda *_, **settings: found)
    done = CliRunner().invoke(app, ["--json"])
    assert done.exit_code == 0
    assert msgspec.json.decode(done.stdout, type=endurance.Outcome) == found
    assert "wrong verdicts: 0" in CliRunner().invoke(app, []).stdout
    for fault in ({"wrong_count": 1}, {"growth": ["x"]}, {"residue": ["y"]}, {"infra": 100}):
        broken = msgspec.structs.replace(found, **fault)
        monkeypatch.setattr(endurance, "endure", lambda *_, broken=broken, **settings: broken)
        assert CliRunner().invoke(app, []).exit_code == 1
