"""Runs with a model at a real loopback server, through the real command: killed, resumed, refused, measured again.

The server answers from a script that depends on the request alone, as a deterministic model would.
"""

import hashlib
import itertools
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip("openai", reason="pip install -e '.[openai]'")

from code_envs.errors import ConfigError, ModelError
from code_envs.generation import ChainFactory, RunConfig, dated_problems, generate, load_config, load_removals
from code_envs.models import RESPONSES, ModelConfig, usage_of
from code_envs.problem import Mode, load_chains, load_problems
from code_envs.report import Summary, write_report
from code_envs.report.card import describe_run

pytestmark = [pytest.mark.extra, pytest.mark.slow]
COMMAND = [sys.executable, "-m", "code_envs.cli"]
DRAFT = """```python
def f(xs: list[int], k: int) -> list[int]:
    stack = []
    for x in xs:
        while stack and stack[-1] > x:
            k += stack.pop()
        stack.append(x + k % {number})
    return stack + [k * 3]
```
```inputs
[5, 3, 8, 1, 9, 2], {k}
```
"""


def answer(body, number=0):
    """A teacher that is wrong at first, sometimes refuses, and a student that is right now and then."""
    text = json.dumps([body["messages"], body["seed"]])
    dice = random.Random(hashlib.sha256(text.encode()).digest())
    if body["model"] == "pupil":
        return "```output\n[1]\n```" if dice.random() < 0.5 else "I do not know."
    roll = dice.random()
    if roll < 0.3 and len(body["messages"]) == 1:
        return ("I would rather not.", "stop") if roll < 0.2 else ("```python\ndef f(", "length")
    return DRAFT.format(number=dice.randint(5, 10**6), k=dice.randint(1, 9))


def words(url, folder, *more):
    chains = ["--mode", "deduction", "--chains", "6", "--turns", "2", "--attempts", "4", "--keep", "0", "1"]
    models = ["--teacher", "master", "--student", "pupil", "--base-url", url, "--concurrency", "4", "--workers", "3"]
    return [*COMMAND, "generate", *chains, *models, "-o", str(folder), *more]


def contents(folder):
    names = ("config.toml", "chains.jsonl", "problems.jsonl", "removed.jsonl")
    return {name: (folder / name).read_bytes() for name in names}


def test_a_run_killed_at_random_moments_ends_the_same_and_pays_for_nothing_twice(model_server, tmp_path):
    model_server.script = answer
    done = subprocess.run(words(model_server.url, tmp_path / "whole"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"(\d/6 master-.* · \d+ turns? · \d+/\d+ drafts valid · [\d,]+ tokens/s"
        r" · (pass rates 0 \S{10} 1 · )?\d+ min left\n){6}",
        done.stderr,
    )
    assert "What the models have cost" in done.stdout
    asked, model_server.bodies = len(model_server.bodies), []
    folder, dice, kills = tmp_path / "run", random.Random(5), 0
    for patience in itertools.chain([3, 12, 25], itertools.repeat(10**9)):
        seen = len(model_server.bodies)
        resume = ["--resume"] if (folder / "config.toml").exists() else []
        process = subprocess.Popen(
            words(model_server.url, folder, *resume), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        while process.poll() is None and len(model_server.bodies) - seen < patience:
            time.sleep(0.005)  # it is killed in the middle of its requests
        process.kill()
        error = process.communicate()[1]
        if process.returncode != -signal.SIGKILL:
            break
        kills += 1
        if (folder / "chains.jsonl").exists() and dice.random() < 0.7:
            with (folder / "chains.jsonl").open("ab") as file:
                file.write(b'{"id":"mas')
    assert (kills, process.returncode) == (3, 0), error
    assert contents(folder) == contents(tmp_path / "whole")
    # at most what was under way at each kill is asked again
    assert asked <= len(model_server.bodies) <= asked + kills * 3 * 4
    usage = {row.role: row.calls for row in usage_of(folder / RESPONSES)}
    assert usage == {row.role: row.calls for row in usage_of(tmp_path / "whole" / RESPONSES)}
    assert sum(usage.values()) == asked
    again = subprocess.run(words(model_server.url, folder, "--resume"), capture_output=True, check=False)
    assert (again.returncode, contents(folder)) == (0, contents(tmp_path / "whole"))


def test_a_repeated_run_takes_the_replies_of_an_earlier_one(model_server, tmp_path):
    model_server.script = answer
    first, second = tmp_path / "first", tmp_path / "second"
    assert subprocess.run(words(model_server.url, first), capture_output=True, check=False).returncode == 0
    asked, model_server.bodies = len(model_server.bodies), []
    command = words(model_server.url, second, "--replies", str(first))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert model_server.bodies == []
    assert contents(second) == contents(first)
    before = usage_of(first / RESPONSES)
    assert usage_of(second / RESPONSES) == before
    assert sum(row.calls for row in before) == asked
    # other questions are asked, and the store of the earlier run stays as it was
    command = words(model_server.url, tmp_path / "third", "--replies", str(first), "--seed", "9")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert model_server.bodies != []
    assert usage_of(first / RESPONSES) == before


def test_earlier_replies_need_a_file_to_go_into(tmp_path):
    with pytest.raises(ConfigError, match="give the path of one as responses"):
        ChainFactory(earlier=[tmp_path / RESPONSES])


@pytest.mark.parametrize(
    ("asks", "more", "said"),
    [
        (True, ("--replies", "."), "holds no replies. Name a run in which models took part"),
        (True, ("--replies", "some.jsonl"), "some.jsonl is no store of replies"),
        (False, ("--replies", "."), "--replies needs a model"),
    ],
)
def test_replies_that_cannot_be_taken_are_told_before_anything_is_asked(model_server, tmp_path, asks, more, said):
    (tmp_path / "some.jsonl").write_text("{}" * 500)
    embedded = [*COMMAND, "generate", "-o", str(tmp_path / "run")]
    command = words(model_server.url, tmp_path / "run") if asks else embedded
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert (model_server.bodies, (tmp_path / "run").exists()) == ([], False)


@pytest.fixture
def config(model_server):
    own = ModelConfig(model="x", base_url=model_server.url)
    return RunConfig(
        modes=(Mode.DEDUCTION,),
        chains=4,
        turns=2,
        attempts=4,
        teachers=("master",),
        student="pupil",
        keep=(0, 1),
        teacher_model=own,
        student_model=own,
        repairs=2,
    )


def test_a_run_keeps_every_draft_and_its_settings(model_server, tmp_path, config):
    model_server.script = answer
    chains = generate(tmp_path / "run", config, workers=4)
    assert load_config(tmp_path / "run") == config
    assert list(load_chains(tmp_path / "run" / "chains.jsonl")) == chains
    made = [problem for chain in chains for problem in chain.problems]
    written = [draft for chain in chains for draft in chain.drafts]
    assert {draft.key for draft in written if draft.key} == {problem.key for problem in made}
    assert all(bool(draft.key) != bool(draft.checks) for draft in written)
    assert {problem.measurements[0].student for problem in made} == {"pupil (T=1, max_tokens=4096)"}
    assert all(problem.lineage.origin and problem.lineage.licence for problem in made)
    assert all(chain.seed.text for chain in chains)
    counts = dict(Summary(config, chains).drafts())["all"]
    assert (counts["drafts"], counts["valid"]) == (len(written), len(made))
    assert counts["drafts"] == counts["valid"] + sum(list(counts.values())[3:])


def test_each_role_has_fields_of_its_own_in_its_requests(model_server, tmp_path):
    model_server.script = answer
    more = ["--chains", "1", "--turns", "1", "--extra-body", '{"top_k": 20}', "--student-extra-body", '{"min_p": 0.1}']
    for folder, own, expected in (("one", [], (20, None)), ("two", ["--teacher-extra-body", "{}"], (None, None))):
        model_server.bodies = []
        done = subprocess.run(
            words(model_server.url, tmp_path / folder, *more, *own), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        sent = {(body["model"], body.get("top_k"), body.get("min_p")) for body in model_server.bodies}
        assert sent == {("master", expected[0], None), ("pupil", expected[1], 0.1)}


def test_faults_are_planted_into_what_the_model_wrote(model_server, tmp_path, planted_draft):
    model_server.script = lambda body, number: planted_draft
    chains = ["--mode", "fuzzing", "--chains", "2", "--turns", "1", "--attempts", "2", "--plant-faults"]
    models = ["--teacher", "master", "--student", "constant", "--base-url", model_server.url]
    command = [*COMMAND, "generate", *chains, *models, "-o", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert load_config(tmp_path).plant_faults
    made = [problem for chain in load_chains(tmp_path / "chains.jsonl") for problem in chain.problems]
    assert [(problem.mode, problem.tags) for problem in made] == [("fuzzing", ("fault planted by a mutation",))] * 2
    assert all(problem.differential and problem.program != problem.reference for problem in made)
    assert "a mutation planted the fault" in describe_run(tmp_path)


def test_the_report_and_the_card_say_how_it_was_made(model_server, tmp_path, config):
    model_server.script = answer
    filtered = RunConfig(**{**config_fields(config), "similarity": 1.0})
    chains = generate(tmp_path / "run", filtered)
    written = sum(len(chain.drafts) for chain in chains)
    card = describe_run(tmp_path / "run")
    for part in (
        "Teacher: master (T=1",
        "pupil, over 4 attempts",
        "equal in normal form",
        "| deduction |",
        "| teacher | master |",
    ):
        assert part in card
    assert f"| all | {written} |" in card
    pytest.importorskip("jinja2", reason="pip install -e '.[report]'")
    page = write_report(tmp_path / "run").read_text()
    for part in (
        "What became of the teacher&#39;s drafts",
        "What the models have cost",
        f'<td class="n">{written}</td>',
    ):
        assert part.replace("&#39;", "'") in page


def test_threads_make_what_one_would(model_server, tmp_path, config):
    model_server.script = answer
    alone = generate(tmp_path / "alone", config)
    assert generate(tmp_path / "many", config, workers=4) == alone
    with ChainFactory(tmp_path / "alone" / RESPONSES) as factory:  # as a worker of any kind would
        before = len(model_server.bodies)
        assert [factory(config, index) for index in (2, 0, 3, 1)] == [alone[index] for index in (2, 0, 3, 1)]
        assert (len(model_server.bodies), factory.tokens) == (before, 0)


@pytest.mark.parametrize(("status", "said"), [(401, "expired"), (402, "no credit")])
def test_a_server_that_goes_away_stops_the_run_and_nothing_is_lost(model_server, tmp_path, config, status, said):
    def failing(body, number):
        error = json.dumps({"error": {"message": said}}).encode()
        fails = model_server.raw(status=status, body=error, delay=2)  # after what was answered before
        return answer(body) if number <= 20 else fails

    model_server.script = failing
    with pytest.raises(ModelError, match=rf"{status}.*{said}"):
        generate(tmp_path / "run", config, workers=2)
    stored = sum(row.calls for row in usage_of(tmp_path / "run" / RESPONSES))
    assert stored >= 12  # of the 20 that were answered, some may be on their way
    model_server.script, model_server.bodies = answer, []
    chains = generate(tmp_path / "run", config, workers=2, resume=True)
    total = sum(row.calls for row in usage_of(tmp_path / "run" / RESPONSES))
    asked = {json.dumps(body) for body in model_server.bodies}  # one may come late from the run that was stopped
    assert len(asked) == total - stored
    assert chains == generate(tmp_path / "whole", config)


def test_replies_of_an_earlier_run_cost_nothing_in_a_new_one(model_server, tmp_path, config):
    model_server.script = answer
    chains = generate(tmp_path / "run", config)
    (tmp_path / "new").mkdir()
    for name in ("", "-wal", "-shm"):  # as a killed run leaves them
        (tmp_path / "new" / f"{RESPONSES}{name}").touch()
    shutil.copy(tmp_path / "run" / RESPONSES, tmp_path / "new")
    asked, again = len(model_server.bodies), RunConfig(**{**config_fields(config), "keep": (0, 0.5)})
    assert generate(tmp_path / "new", again) == chains
    assert len(model_server.bodies) == asked


def test_a_server_that_takes_no_attempt_stops_the_run(model_server, tmp_path, config):
    def script(body, number):
        rejected = model_server.raw(status=400, body=b'{"error": {"message": "max_tokens is unknown"}}')
        return rejected if body["model"] == "pupil" else answer(body)

    model_server.script = script
    with pytest.raises(ModelError, match="max_tokens is unknown"):
        generate(tmp_path / "run", config)
    model_server.script = answer
    assert generate(tmp_path / "run", config, resume=True) == generate(tmp_path / "whole", config)


def test_a_slow_chain_does_not_hold_up_the_others(model_server, tmp_path, config):
    gate = threading.Event()

    def script(body, number):
        if number == 1:
            assert gate.wait(60)
        return answer(body)

    model_server.script = script
    done = []

    def tell(chain):
        done.append(chain.id)
        if len(done) == config.chains - 1:
            gate.set()

    chains = generate(tmp_path / "run", config, workers=2, on_chain=tell)
    assert sorted(done) == [chain.id for chain in chains]
    assert done != [chain.id for chain in chains]
    model_server.script = answer
    assert chains == generate(tmp_path / "whole", config)
    assert (tmp_path / "run" / "chains.jsonl").read_bytes() == (tmp_path / "whole" / "chains.jsonl").read_bytes()


def test_repetitions_and_benchmark_items_are_taken_out_and_named(model_server, tmp_path, config):
    model_server.script = lambda body, number: "?" if body["model"] == "pupil" else DRAFT.format(number=7, k=4)
    filtered = RunConfig(**{**config_fields(config), "similarity": 1.0, "turns": 1})
    generate(tmp_path / "run", filtered)
    (problem,) = load_problems(tmp_path / "run")
    assert load_removals(tmp_path / "run") == []  # equal records are one
    other = DRAFT.replace("stack", "pile")
    model_server.script = lambda body, number: "?" if body["model"] == "pupil" else other.format(number=7, k=4)
    generate(tmp_path / "next", RunConfig(**{**config_fields(filtered), "against": (str(tmp_path / "run"),)}))
    assert list(load_problems(tmp_path / "next")) == []
    (removal,) = load_removals(tmp_path / "next")
    assert (removal.reason, removal.match, removal.source) == ("duplicate", problem.key, str(tmp_path / "run"))
    suite = tmp_path / "suite.jsonl"
    source = re.search(r"def f.*?\n(?=```)", other.format(number=7, k=1), re.DOTALL)[0]
    suite.write_text(json.dumps({"task_id": "S/1", "code": source}))
    generate(tmp_path / "clean", RunConfig(**{**config_fields(filtered), "suites": (str(suite),)}))
    (removal,) = load_removals(tmp_path / "clean")
    assert (removal.reason, removal.match, removal.source) == ("syntax-tree", "S/1", "suite.jsonl")


def config_fields(config):
    return {name: getattr(config, name) for name in config.__struct_fields__}


def test_filters_that_cannot_work_stop_a_run_before_it_begins(tmp_path, config, monkeypatch):
    with pytest.raises(ConfigError, match="cannot be read as a benchmark"):
        generate(tmp_path / "run", RunConfig(**{**config_fields(config), "suites": ("none.jsonl",)}))
    assert not (tmp_path / "run").exists()


def test_a_model_can_go_on_from_an_embedded_teacher(model_server, tmp_path, config):
    model_server.script = answer
    settings = {**config_fields(config), "teachers": ("procedural",), "varied_by": "master", "level": 2, "chains": 2}
    chains = generate(tmp_path / "run", RunConfig(**settings))
    for chain in chains:
        assert [problem.lineage.teacher for problem in chain.problems] == ["procedural", "master"]
        assert {draft.turn for draft in chain.drafts} == {1}
    with pytest.raises(ConfigError, match="varied_by is 'harvest'"):
        RunConfig(**{**settings, "varied_by": "harvest"})


def test_stopping_early_is_counted(model_server, tmp_path, config):
    model_server.script = lambda body, number: "?" if body["model"] == "pupil" else answer(body)
    early = RunConfig(**{**config_fields(config), "attempts": 32, "bands": ((0.0, 0.35),), "chains": 2, "turns": 1})
    chains = generate(tmp_path / "run", early)
    made = sum(len(chain.problems) for chain in chains)
    assert Summary(early, chains).saved_attempts == 24 * made > 0


def test_measure_adds_a_measurement_and_resumes(model_server, tmp_path, config):
    model_server.script = answer
    generate(tmp_path / "run", config)
    before = list(dated_problems(tmp_path / "run"))
    out = tmp_path / "measured.jsonl"
    measure = [*COMMAND, "measure", tmp_path / "run", "--student", "pupil", "--base-url", model_server.url]
    measure += ["--attempts", "8", "--student-temperature", "0.5", "-o", out]
    done = subprocess.run([*measure, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["attempts"] == 8 * len(before)
    after = list(load_problems(out))
    assert [problem.key for problem in after] == [problem.key for problem in before]
    for old, new in zip(before, after, strict=True):
        assert new.measurements[:-1] == old.measurements
        assert new.measurements[-1].student == "pupil (T=0.5, max_tokens=4096)"
        assert new.measurements[-1].when.startswith("20")
    whole = out.read_bytes()
    out.write_bytes(whole[: len(whole) // 2])
    refused = subprocess.run(measure, capture_output=True, text=True, check=False)
    assert (refused.returncode, "Add --resume" in refused.stderr) == (2, True)
    asked = len(model_server.bodies)
    assert subprocess.run([*measure, "--resume"], capture_output=True, check=False).returncode == 0
    assert len(model_server.bodies) == asked  # everything was in the store
    elsewhere = [*measure[:-1], tmp_path / "elsewhere.jsonl", "--replies", out]
    assert subprocess.run(elsewhere, capture_output=True, check=False).returncode == 0
    assert (len(model_server.bodies), (tmp_path / "elsewhere.jsonl").read_bytes()) == (asked, out.read_bytes())

    changed = [*measure, "--resume", "--attempts", "4", "--extra-body", '{"top_k": 5}']
    refused = subprocess.run(changed, capture_output=True, text=True, check=False)
    assert (refused.returncode, "was begun with student = 'pupil (T=0.5" in refused.stderr) == (2, True)
    (tmp_path / "measured.jsonl.config.toml").unlink()  # as an earlier version left it
    assert subprocess.run([*measure, "--resume"], capture_output=True, check=False).returncode == 0
    refused = subprocess.run([*measure, "--resume", "--attempts", "4"], capture_output=True, text=True, check=False)
    assert (refused.returncode, "was begun with attempts = 8, not 4" in refused.stderr) == (2, True)
    over = [*COMMAND, "measure", out, "--student", "constant", "-o", out, "--resume"]
    refused = subprocess.run(over, capture_output=True, text=True, check=False)
    assert (refused.returncode, "holds what is to be measured" in refused.stderr) == (2, True)

    def bare(problems):
        return [[report.but(when="") for report in problem.measurements] for problem in problems]

    assert bare(load_problems(out)) == bare(after)
    other = [*measure[:-1], tmp_path / "other.jsonl"]
    (tmp_path / "other.jsonl").write_text((tmp_path / "run" / "problems.jsonl").read_text())
    refused = subprocess.run([*other, "--resume"], capture_output=True, text=True, check=False)
    assert (refused.returncode, "another student" in refused.stderr) == (2, True)
