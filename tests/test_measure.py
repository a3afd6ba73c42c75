"""Measuring counts what was scored, and shows attempts that differ."""

from dataclasses import dataclass, field

import pytest

from code_envs import measure as measuring
from code_envs.errors import ConfigError
from code_envs.measure import measure, measure_many
from code_envs.modes import Grade, Outcome
from code_envs.problem import Case, Mode, Problem
from code_envs.students.base import Student


def _doubling(value):
    return Problem(
        mode=Mode.DEDUCTION,
        program="def f(x):\n    return 2 * x\n",
        signature="f(x)",
        cases=(Case.of((value,), 2 * value),),
    )


@dataclass
class Parrot:
    """Says its lines in turn."""

    lines: list[str]
    name: str = "parrot"
    heard: list[tuple[int, int]] = field(default_factory=list)

    def answer(self, prompts, *, seed=0):
        self.heard.append((len(prompts), seed))
        return [self.lines[at % len(self.lines)] for at in range(len(prompts))]


def _said(value):
    return f"```output\n{value}\n```"


def test_counts_and_keeps_different_attempts(executor):
    student = Parrot([_said(42), _said(41), _said(41), "no idea", "It must be 42.\n" + _said(42)])
    assert isinstance(student, Student)
    report = measure(_doubling(21), student, executor, attempts=10, seed=5)
    assert student.heard == [(10, 5)]
    assert (report.problem, report.student) == (_doubling(21).key, "parrot")
    assert (report.attempts, report.passes, report.rate) == (10, 4, 0.4)
    assert [attempt.reply for attempt in report.solved] == [student.lines[0], student.lines[4]]
    assert [attempt.outcome for attempt in report.failed] == ["wrong", "malformed"]
    assert measure(_doubling(21), student, executor, attempts=5, keep=0).failed == ()


def test_many_at_once_is_one_call(executor):
    student = Parrot([_said(42)])
    first, second = measure_many([_doubling(21), _doubling(4)], student, executor, attempts=3)
    assert student.heard == [(6, 0)]
    assert (first.passes, second.passes) == (3, 0)
    assert (first.problem, second.problem) == (_doubling(21).key, _doubling(4).key)


def test_lost_attempts_do_not_count(executor, monkeypatch):
    outcomes = [Outcome.PASSED, Outcome.INFRA, Outcome.WRONG, Outcome.INFRA]
    monkeypatch.setattr(measuring, "grade_batch", lambda pairs, executor: [Grade(outcome=one) for one in outcomes])
    report = measure(_doubling(1), Parrot(["x"]), executor, attempts=4)
    assert (report.attempts, report.passes) == (2, 1)
    assert len(report.solved) == len(report.failed) == 1


def test_refuses_senseless_numbers(executor):
    with pytest.raises(ConfigError, match="attempts"):
        measure(_doubling(1), Parrot(["x"]), executor, attempts=0)
