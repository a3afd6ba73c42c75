"""Measuring counts what was scored, and shows attempts that differ."""

from dataclasses import dataclass, field

import pytest

from code_envs import measure as measuring
from code_envs.errors import ConfigError
from code_envs.measure import BANDS, bands_for, measure, measure_many
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


def test_replies_that_never_came_are_unscored(executor):
    report = measure(_doubling(21), Parrot([_said(42), None, "no idea"]), executor, attempts=6)
    assert (report.attempts, report.passes) == (4, 2)


@pytest.mark.parametrize(
    ("lines", "attempts"),
    [
        ([_said(42)], 8),  # 8 of 8: certainly above 0.65
        (["no idea"], 8),  # 0 of 8: certainly below 0.35
        ([_said(42), "no idea"], 32),  # 16 of 32: its interval is 0.34 to 0.66
        ([_said(42), _said(42), "no idea"], 32),  # at the border: it never gets clear
    ],
)
def test_measuring_ends_when_the_interval_lies_in_one_band(executor, lines, attempts):
    student = Parrot(lines)
    report = measure(_doubling(21), student, executor, attempts=32, seed=3, bands=BANDS)
    assert report.attempts == attempts
    assert [count for count, _ in student.heard] == [8] * (attempts // 8)
    assert len({seed for _, seed in student.heard}) == len(student.heard)  # no attempt is made twice
    low, high = report.interval
    assert any(low >= band[0] and high <= band[1] for band in BANDS) == (attempts < 32)


@pytest.mark.parametrize(
    ("lines", "attempts"),
    [
        (["no idea"], 32),  # 0 of 8 may be 3 of 32, and is kept then
        ([_said(42)], 32),
        ([_said(42)] + ["no idea"] * 7, 24),  # 3 of 24: its interval is 0.04 to 0.31
        ([_said(42)] * 5 + ["no idea"] * 3, 32),
    ],
)
def test_no_problem_is_lost_by_stopping_early(executor, lines, attempts):
    assert bands_for((0.01, 0.97)) == ((0, 0.01), (0.01, 0.35), (0.35, 0.65), (0.65, 0.97), (0.97, 1))
    early = measure(_doubling(21), Parrot(lines), executor, attempts=32, bands=bands_for())
    assert early.attempts == attempts


def test_a_last_step_may_be_short(executor):
    student = Parrot([_said(42), "no idea"])
    assert measure(_doubling(21), student, executor, attempts=10, bands=BANDS).attempts == 10
    assert [count for count, _ in student.heard] == [8, 2]


def test_refuses_senseless_numbers(executor):
    with pytest.raises(ConfigError, match="attempts"):
        measure(_doubling(1), Parrot(["x"]), executor, attempts=0)
    with pytest.raises(ConfigError, match=r"band 0\.6 to 0\.4"):
        measure(_doubling(1), Parrot(["x"]), executor, bands=[(0.6, 0.4)])
