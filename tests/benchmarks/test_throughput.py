"""The benchmark measures the real way of a reply; its figures are not asserted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from code_envs.benchmarks.throughput import STEPS, measure_speed
from code_envs.errors import ConfigError
from code_envs.problem import Case, Mode, load_problems, save_records

FOLDER = Path(__file__).parents[1] / "problems"


@pytest.mark.parametrize("mode", Mode)
def test_every_mode_can_be_measured(mode, executor):
    speed = measure_speed(list(load_problems(FOLDER / f"{mode}.jsonl")), replies=4, rounds=2, executor=executor)
    assert (speed.mode, speed.workers, speed.replies) == (mode, 1, 4)
    assert 0 < speed.slowest <= speed.replies_per_second <= speed.fastest
    assert all(0 <= getattr(speed, step) <= 1 for step in STEPS)


def test_figures_of_wrong_answers_are_refused(executor):
    (problem, *_) = load_problems(FOLDER / "induction.jsonl")
    broken = problem.but(hidden=(Case(arguments=problem.cases[0].arguments, result="'another'"),))
    with pytest.raises(ConfigError, match=r"gold answer of problem .* is graded wrong"):
        measure_speed([broken], replies=1, rounds=1, executor=executor)
    with pytest.raises(ConfigError, match="no problem of this mode"):
        measure_speed([], replies=1, rounds=1, executor=executor)


@pytest.mark.slow
def test_the_script_prints_one_document(tmp_path):
    save_records(tmp_path / "problems.jsonl", [*load_problems(FOLDER / "deduction.jsonl")])
    command = [sys.executable, "-m", "code_envs.benchmarks.throughput", "--problems", tmp_path / "problems.jsonl"]
    done = subprocess.run([*command, "--replies", "6", "--rounds", "1", "--json"], check=True, capture_output=True)
    document = json.loads(done.stdout)
    assert {row["mode"] for row in document["rows"]} == {"deduction"}
    assert {row["size"] for row in document["groups"]} == {8, 16, 32}
