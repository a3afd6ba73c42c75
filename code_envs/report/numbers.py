"""The numbers of a report: measured pass rates, their means, and what a step does to them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from code_envs.problem import Direction, Problem, Report, wilson_interval

__all__ = ["BINS", "Mean", "Step", "mean_rate", "measured", "rates"]

BINS = {"hard": (0.05, 0.16), "medium": (0.41, 0.59), "easy": (0.81, 0.91)}
"""The pass rates that stepping stones are taken from, from and to, for 32 attempts (arXiv 2603.24202)."""


class Mean(msgspec.Struct, frozen=True, kw_only=True):
    """The mean pass rate of some problems.

    Attributes:
        label: Which problems: a turn, a level, a mode.
        problems: How many.
        rate: The mean of their pass rates.
        interval: Its 95 % Wilson interval. The problems are the trials, not the attempts: attempts
            at one problem are not independent.
    """

    label: str
    problems: int
    rate: float
    interval: tuple[float, float]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What the teacher's steps in one direction did to the pass rate.

    Attributes:
        direction: Harder, easier or sideways.
        steps: How many measured steps.
        change: The mean change of the pass rate from parent to child.
        as_meant: The share of steps that moved it the way they should; 0 for sideways, which has none.
    """

    direction: Direction
    steps: int
    change: float
    as_meant: float


def measured(problems: Iterable[Problem]) -> Iterator[tuple[Problem, Report]]:
    """Hand out the problems that have scored attempts, each with its last report."""
    for problem in problems:
        if problem.measurements and problem.measurements[-1].attempts:
            yield problem, problem.measurements[-1]


def rates(problems: Iterable[Problem]) -> Counter[float]:
    """How many problems have each measured pass rate."""
    return Counter(report.rate for _, report in measured(problems))


def mean_rate(label: str, rates: Counter[float]) -> Mean:
    """The mean of pass rates with its interval; there must be at least one."""
    count, total = rates.total(), math.fsum(rates.elements())
    return Mean(label=label, problems=count, rate=total / count, interval=wilson_interval(total, count))
