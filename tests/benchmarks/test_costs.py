"""Costs of a chain come from a pilot run; its models are scripted, its sandbox is real."""

import json
import sqlite3
import subprocess
import sys

import pytest

from code_envs.benchmarks.costs import measure_cpu, read_cost, read_yield
from code_envs.errors import RunError
from code_envs.generation import CHAINS, ChainFactory, RunConfig, generate
from code_envs.models import RESPONSES, Completion, ModelConfig
from code_envs.problem import PROBLEMS, Mode

DRAFT = """```python
def f(words: list[str], size: int) -> dict[str, int]:
    found = {{}}
    for place, word in enumerate(words):
        if len(word) > size:
            found[word[::-1]] = place * {number} + len(word)
    return found
```
```inputs
["ever", "so", "gently"], {size}
```
"""


class Scripted:
    """A teacher whose first draft is refused, and a student that takes one second or three."""

    def __init__(self, config, concurrency):
        self.name = config.model

    def complete(self, requests, on_done=None):
        found = [self.reply(request) for request in requests]
        for pair in enumerate(found):
            on_done(*pair)
        return found

    def reply(self, request):
        if self.name == "pupil":
            text, seconds = "```output\n[1]\n```", 3.0 if request.seed % 2 else 1.0
            return Completion(text=text, prompt_tokens=20, completion_tokens=5, seconds=seconds)
        first = len(request.messages) == 1
        text = "There is none." if first else DRAFT.format(number=5 + request.seed, size=request.seed % 4)
        return Completion(text=text, prompt_tokens=100, completion_tokens=50, seconds=10.0)


def make_run(folder, **settings):
    own = ModelConfig(model="x")
    given = {"modes": (Mode.DEDUCTION,), "chains": 5, "turns": 2, "attempts": 4, "keep": (0, 1)}
    given |= {"teachers": ("master",), "student": "pupil", "teacher_model": own, "student_model": own}
    config = RunConfig(**given | settings)
    make = ChainFactory(folder / RESPONSES, connect=Scripted) if config.asks_models else None
    generate(folder, config, make=make)
    return folder


def test_costs_are_those_of_the_run(tmp_path):
    folder = make_run(tmp_path / "run")
    cost, found = read_cost(folder)
    assert (found.chains, found.empty, found.problems, found.attempts) == (5, 0, 10, 40)
    assert (found.drafts, found.valid) == (20, 10)  # one repair for each problem
    assert found.handed_on == 10
    assert (cost.teacher_calls, cost.teacher_read, cost.teacher_written) == (4, 400, 200)
    assert (cost.student_calls, cost.student_read, cost.student_written) == (8, 160, 40)
    assert (cost.replies, cost.handed_on) == (12, 2)
    assert cost.chain_bytes == (folder / CHAINS).stat().st_size / 5
    assert cost.reply_bytes > 0
    assert cost.cpu_seconds > 0


def test_a_chain_takes_its_drafts_and_the_slowest_attempts(tmp_path):
    folder = make_run(tmp_path / "run")
    query = "SELECT AVG(seconds = 1.0) FROM responses WHERE role = 'student'"
    file = sqlite3.connect(folder / RESPONSES)
    quick = file.execute(query).fetchone()[0]
    file.close()
    assert 0 < quick < 1
    # four drafts of 10 seconds; twice the slowest of four attempts, which takes one second if all of them do
    assert read_cost(folder)[0].seconds == pytest.approx(40 + 2 * (3 - 2 * quick**4))
    assert read_cost(folder, seconds=77)[0].seconds == 77


def test_attempts_that_may_stop_early_come_in_eights(tmp_path):
    folder = make_run(tmp_path / "run", attempts=16, chains=1, turns=1, bands=((0.0, 0.01),))
    file = sqlite3.connect(folder / RESPONSES)
    quick = file.execute("SELECT AVG(seconds = 1.0) FROM responses WHERE role = 'student'").fetchone()[0]
    file.close()
    assert read_cost(folder)[0].seconds == pytest.approx(20 + 2 * (3 - 2 * quick**8))


def test_an_embedded_teacher_costs_no_tokens(tmp_path):
    cost, found = read_cost(make_run(tmp_path / "run", teachers=("procedural",), teacher_model=None, chains=2))
    assert (cost.teacher_calls, cost.teacher_read, cost.teacher_written, found.drafts) == (0, 0, 0, 0)
    assert cost.student_calls == found.attempts / 2
    assert cost.cpu_seconds > 0


def test_runs_that_tell_nothing_are_refused(tmp_path):
    with pytest.raises(RunError, match="not a run folder"):
        read_cost(tmp_path)
    embedded = make_run(
        tmp_path / "run",
        teachers=("procedural",),
        student="search",
        teacher_model=None,
        student_model=None,
        chains=1,
        turns=1,
    )
    with pytest.raises(RunError, match="no model was asked in the run"):
        read_cost(embedded)
    (embedded / PROBLEMS).unlink()
    with pytest.raises(RunError, match=r"not finished: go on with --resume"):
        read_yield(embedded)


@pytest.mark.slow
def test_the_script_plans_from_a_pilot(tmp_path):
    folder = make_run(tmp_path / "run")
    command = [sys.executable, "-m", "code_envs.benchmarks.plan", "--gpus", "4", "--chains", "100"]
    command += ["--run", folder, "--cached", "0.5", "--read-speed", "480", "--write-speed", "240"]
    document = json.loads(subprocess.run([*command, "--json"], check=True, capture_output=True).stdout)
    (row,) = document["plans"]
    # 400 and half of 160 tokens read, 240 written: two GPU seconds for each chain
    assert row["chains_per_second"] == pytest.approx(2)
    assert row["replies_per_second"] == pytest.approx(24)
    assert document["pilot"]["valid"] == 10
    table = subprocess.run([*command, "--store", "12"], check=True, capture_output=True, text=True).stdout
    assert "drafts that are valid" in table
    assert "One store of replies, at 12 a second, keeps up with 2 GPUs." in table


@pytest.mark.slow
def test_cpu_seconds_of_the_sandbox_are_counted():
    validating, grading = measure_cpu(attempts=4, problems=1)
    assert validating > 0
    assert grading >= 0
