"""Runs survive being killed. The chains here come from a script, so that only the folder is tested."""

import fcntl
import itertools
import random
import signal
import subprocess
import sys
import time
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from code_envs.errors import ConfigError, MissingExtra, RunError
from code_envs.generation import (
    ChainFactory,
    RunConfig,
    begun,
    dated_problems,
    distinct,
    generate,
    is_kept,
    load_config,
)
from code_envs.models import ModelConfig
from code_envs.problem import PROBLEMS, Case, Chain, Lineage, Mode, Problem, Report, load_chains, load_problems
from code_envs.teacher import STRATEGIES

# A process of its own that can be killed. Chain i is slow enough to be killed in, and random.
SCRIPT = """
import sys, time
import numpy as np
from code_envs.generation import ChainFactory, RunConfig, generate
from code_envs.problem import Case, Chain, Lineage, Mode, Problem

def make(config, index):
    rng, name = np.random.default_rng([config.seed, index]), config.id_of(index)
    problems, parent = [], ""
    for turn in range(int(rng.integers(0, 4))):
        time.sleep(0.01)
        number = int(rng.integers(0, 1000))
        problem = Problem(
            mode=Mode.DEDUCTION,
            program=f"def f(x):\\n    return x + {number}\\n" + "# padding\\n" * int(rng.integers(0, 2000)),
            signature="f(x)",
            cases=(Case.of((turn,), turn + number),),
            lineage=Lineage(chain=name, turn=turn, parent=parent),
        )
        problems.append(problem)
        parent = problem.key
    return Chain(id=name, problems=tuple(problems))

if __name__ == "__main__":
    folder, workers, ready = sys.argv[1], int(sys.argv[2]), lambda chain: print(chain.id, flush=True)
    generate(folder, RunConfig(chains=40, seed=3), resume=True, workers=workers, make=make, on_chain=ready)
"""


def scripted(config: RunConfig, index: int) -> Chain:
    """One deduction problem for each chain; none for every third."""
    name = config.id_of(index)
    number = int(np.random.default_rng([config.seed, index]).integers(1000))
    problem = Problem(
        mode=Mode.DEDUCTION,
        program=f"def f(x):\n    return x + {number}\n",
        signature="f(x)",
        cases=(Case.of((1,), number + 1),),
        lineage=Lineage(chain=name),
    )
    report = Report(problem=problem.key, student="scripted", attempts=4, passes=index % 5)
    return Chain(id=name, problems=() if index % 3 == 2 else (problem.but(measurements=(report,)),))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("script") / "make_run.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(scope="module")
def uninterrupted(script, tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    subprocess.run([sys.executable, script, folder, "1"], check=True, stdout=subprocess.DEVNULL)
    return contents(folder)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(script, uninterrupted, tmp_path, workers):
    dice = random.Random(int(workers))
    folder, kills = tmp_path / "run", 0
    while True:
        process = subprocess.Popen([sys.executable, script, folder, workers], stdout=subprocess.PIPE)
        before = folder.joinpath("chains.jsonl").read_bytes().count(b"\n") if kills else 0
        for _ in range(before + dice.randint(1, 12)):  # it reports the chains that it found, then new ones
            process.stdout.readline()
        time.sleep(dice.random() * 0.01)
        process.kill()
        process.stdout.read()  # ends only when its worker processes are gone, too
        process.stdout.close()
        if process.wait() != -signal.SIGKILL:
            break
        kills += 1
        if dice.random() < 0.5 and folder.joinpath("chains.jsonl").exists():  # what a full disk or a power cut leaves
            with folder.joinpath("chains.jsonl").open("ab") as file:
                file.write(b'{"id":"procedural-ind')
    assert kills >= 3
    assert contents(folder) == uninterrupted


def test_a_run_has_its_files_and_every_chain_in_order(tmp_path):
    config = RunConfig(chains=9, modes=(Mode.DEDUCTION,), level=4, keep=(0.2, 0.8), seed=11)
    told = []
    chains = generate(tmp_path / "run", config, make=scripted, on_chain=told.append)
    assert chains == told == [scripted(config, index) for index in range(9)]
    assert load_config(tmp_path / "run") == config
    problems = list(load_problems(tmp_path / "run" / "problems.jsonl"))
    assert problems == [problem for problem in distinct(chains) if is_kept(problem, config)]
    assert {problem.measurements[0].passes for problem in problems} == {1, 2, 3}  # of 4: neither none nor all


def first_alone(config: RunConfig, index: int) -> Chain:
    """All chains but the first take an hour."""
    if index:
        time.sleep(3600)
    return scripted(config, index)


def test_a_run_that_is_given_up_does_not_wait_for_the_chains_under_way(tmp_path):
    def give_up(chain):
        raise KeyboardInterrupt

    config = RunConfig(chains=8)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "run", config, make=first_alone, workers=2, on_chain=give_up)
    assert [chain.id for chain in load_chains(tmp_path / "run" / "chains.jsonl")] == [config.id_of(0)]


def test_problems_that_two_chains_share_are_kept_once():
    config = RunConfig(chains=2)
    first, second = scripted(config, 0), scripted(config, 0).but(id="other", problems=())
    same = first.problems[0].but(lineage=Lineage(chain="other"))
    assert distinct([first, second.but(problems=(same,))]) == [first.problems[0]]


def test_a_second_process_is_refused(tmp_path):
    generate(tmp_path, RunConfig(chains=1), make=scripted)
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="another process is at work"):
            generate(tmp_path, RunConfig(chains=1), resume=True, make=scripted)
    assert len(generate(tmp_path, RunConfig(chains=1), resume=True, make=scripted)) == 1


def test_a_run_is_not_overwritten(tmp_path):
    generate(tmp_path, RunConfig(chains=2), make=scripted)
    before = contents(tmp_path)
    with pytest.raises(RunError, match=r"already holds a run\. Add --resume"):
        generate(tmp_path, RunConfig(chains=2), make=scripted)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 1}, "seed = 0, not 1"),
        ({"level": 3}, "level = None, not 3"),
        ({"teachers": ("harvest",)}, "teachers = "),
    ],
)
def test_resuming_with_another_setting_names_it(tmp_path, changed, named):
    generate(tmp_path, RunConfig(chains=2), make=scripted)
    with pytest.raises(RunError, match=named):
        generate(tmp_path, RunConfig(chains=2, **changed), resume=True, make=scripted)


def test_a_damaged_line_is_named(tmp_path):
    generate(tmp_path, RunConfig(chains=3), make=scripted)
    lines = (tmp_path / "chains.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "chains.jsonl").write_bytes(lines[0] + b"{}\n" + lines[2])
    with pytest.raises(RunError, match=r"chains\.jsonl:2: .*remove that line"):
        generate(tmp_path, RunConfig(chains=3), resume=True, make=scripted)
    (tmp_path / "chains.jsonl").write_bytes(lines[1] + lines[0])
    with pytest.raises(RunError, match=r"expected chain procedural-induction-0-00000"):
        generate(tmp_path, RunConfig(chains=3), resume=True, make=scripted)


def test_foreign_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match="holds other files"):
        generate(tmp_path, RunConfig(chains=1), make=scripted)
    assert contents(tmp_path).keys() == {"thesis.tex"}
    with pytest.raises(RunError, match="is a file"):
        generate(tmp_path / "thesis.tex", RunConfig(chains=1), make=scripted)
    with pytest.raises(RunError, match="is not a run folder"):
        load_config(tmp_path)


def test_the_configuration_survives_toml(tmp_path):
    config = RunConfig(chains=1, teachers=('a "b" \\ \x7f é 😀\n',), student="x = 1 # no")
    generate(tmp_path, config, make=scripted)
    assert load_config(tmp_path) == config
    assert tomllib.loads((tmp_path / "config.toml").read_text())["modes"] == [mode.value for mode in Mode]


def test_a_run_says_when_it_was_begun_though_its_files_do_not_depend_on_it(tmp_path, monkeypatch):
    config = RunConfig(chains=4)
    for name, seconds in (("first", "1000"), ("second", "2000")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", seconds)
        generate(tmp_path / name, config, make=scripted)
    generate(tmp_path / "first", config, make=scripted, resume=True)
    first, second = (contents(tmp_path / name) for name in ("first", "second"))
    assert first.pop("config.toml") != second.pop("config.toml")
    assert first == second
    assert [begun(tmp_path / name) for name in ("first", "second", "none")] == [
        "1970-01-01T00:16:40+00:00",
        "1970-01-01T00:33:20+00:00",
        "",
    ]
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    generate(tmp_path / "third", config, make=scripted)
    then = datetime.fromisoformat(begun(tmp_path / "third"))
    assert abs(datetime.now(UTC) - then) < timedelta(hours=1)


def test_problems_of_a_run_are_dated(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000")
    generate(tmp_path, RunConfig(chains=4), make=scripted)
    undated = list(load_problems(tmp_path))
    assert {report.when for problem in undated for report in problem.measurements} == {""}
    again = undated[0].but(measurements=(*undated[0].measurements, undated[0].measurements[0].but(when="later")))
    (tmp_path / PROBLEMS).write_text(again.to_json())
    for path in (tmp_path, tmp_path / PROBLEMS):
        (problem,) = dated_problems(path)
        assert problem.key == again.key
        assert [report.when for report in problem.measurements] == ["1970-01-01T00:16:40+00:00", "later"]
    lines = (tmp_path / "config.toml").read_text().splitlines()
    (tmp_path / "config.toml").write_text("\n".join(line for line in lines if "begun" not in line))
    assert list(dated_problems(tmp_path)) == [again]  # of an earlier version
    assert load_config(tmp_path) == RunConfig(chains=4)


def test_a_time_that_is_none_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(ConfigError, match="SOURCE_DATE_EPOCH is 'yesterday'; give seconds since 1970"):
        generate(tmp_path, RunConfig(chains=1), make=scripted)


ASKED = {"teachers": ("m",), "teacher_model": ModelConfig(model="m", base_url="http://127.0.0.1:9/v1")}
MISTAKES = [
    (ASKED | {"templates": "nowhere"}, "no folder 'nowhere' of templates"),
    (ASKED | {"seeds": "nowhere"}, "'nowhere' is no source of seeds"),
    (ASKED | {"teachers": ("procedural",), "varied_by": "m", "templates": "nowhere"}, "no folder 'nowhere'"),
    ({"teachers": ("procedual",)}, "Did you mean 'procedural'"),
    ({"student": "serch"}, "Did you mean 'search'"),
]


@pytest.mark.parametrize(("settings", "said"), MISTAKES)
@pytest.mark.parametrize("make", [None, ChainFactory()])
def test_a_mistake_is_told_before_the_folder_is_claimed(tmp_path, settings, said, make):
    with pytest.raises(ConfigError, match=said):
        generate(tmp_path / "run", RunConfig(**settings), make=make)
    assert not (tmp_path / "run").exists()


def test_a_missing_library_is_told_before_the_folder_is_claimed(tmp_path, monkeypatch):
    monkeypatch.setattr("code_envs.generation.factory.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "vllm", raising=False)
    config = RunConfig(teachers=("m",), teacher_model=ModelConfig(model="m", backend="vllm"))
    with pytest.raises(MissingExtra, match=r"vllm is not installed. Run: pip install 'code-envs\[vllm\]'"):
        generate(tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("text", "said"), [(None, "holds no Python files"), ("x = 1\n", "consecutive lines of code")])
def test_seeds_without_code_are_told_before_the_folder_is_claimed(tmp_path, text, said):
    (tmp_path / "seeds").mkdir()
    if text:
        (tmp_path / "seeds" / "short.py").write_text(text)
    with pytest.raises(ConfigError, match=said):
        generate(tmp_path / "run", RunConfig(seeds=str(tmp_path / "seeds"), **ASKED))
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_begun_goes_on_though_its_templates_are_gone(tmp_path):
    config = RunConfig(chains=2, templates="gone", **ASKED)
    made = generate(tmp_path / "run", config, make=scripted)
    assert list(generate(tmp_path / "run", config, resume=True)) == list(made)


@pytest.mark.parametrize(
    "settings",
    [
        {"chains": 0},
        {"level": 10},
        {"modes": ()},
        {"modes": (Mode.FUZZING,) * 2},
        {"keep": (0.9, 0.1)},
        {"strategy": "up"},
        {"seed": -1},
    ],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        RunConfig(**settings)


def test_chains_are_spread_over_teachers_modes_and_levels():
    config = RunConfig(chains=80, teachers=("procedural", "harvest"))
    chosen = [(config.teacher_of(i), config.mode_of(i), config.level_of(i)) for i in range(80)]
    assert set(chosen) == set(itertools.product(config.teachers, Mode, range(10)))


def test_chains_that_go_top_down_begin_at_the_top():
    assert {RunConfig(strategy="top-down").level_of(index) for index in range(80)} == {STRATEGIES["top-down"].level}
    assert RunConfig(strategy="top-down", level=3).level_of(7) == 3
