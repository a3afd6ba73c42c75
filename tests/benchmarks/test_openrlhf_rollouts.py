"""The benchmark grades what it says, and the sizing formula is the documented one."""

from collections import Counter

import pytest

from code_envs.benchmarks.openrlhf_rollouts import GROUP, cores_needed, make_replies, measure_mode
from code_envs.benchmarks.throughput import sample_problems
from code_envs.integrations.node_grader import LocalGrader
from code_envs.modes import grade_batch
from code_envs.problem import Mode


def test_replies_are_right_wrong_and_malformed_in_every_mode(executor):
    for problem in sample_problems(1):
        pairs = make_replies([problem], 0)
        assert len({reply for _, reply in pairs}) == GROUP
        outcomes = Counter(str(grade.outcome) for grade in grade_batch(pairs, executor))
        assert outcomes == {"passed": 3, "wrong": 3, "malformed": 2}


def test_a_round_counts_rollouts_per_worker(executor):
    problems = [problem for problem in sample_problems(2) if problem.mode is Mode.DEDUCTION]
    row = measure_mode(problems, 2, LocalGrader(executor), executor, "process")
    assert (row.mode, row.rollouts, row.workers) == ("deduction", 2 * GROUP, 1)
    assert min(row.per_second_and_core, row.bare, row.ratio) > 0


def test_cores_follow_tokens():
    assert cores_needed(8, 2500, 1000, 10) == pytest.approx(2)
