"""What students did: their attempts at a problem, and reports on many of them."""

from __future__ import annotations

import math

import msgspec

from code_envs.errors import ProblemError
from code_envs.record import Record

__all__ = ["Attempt", "Report", "wilson_interval"]


class Attempt(Record, frozen=True):
    """One reply of a student and what it was worth.

    Attributes:
        reply: What the student wrote.
        outcome: What it was worth, such as ``wrong``.
        reason: Why, in one sentence.
    """

    reply: str
    outcome: str
    reason: str = ""

    def __post_init__(self) -> None:
        for name in ("reply", "reason"):  # a model's lone surrogates cannot be written to a file
            text = getattr(self, name).encode("utf-8", "replace").decode("utf-8")
            msgspec.structs.force_setattr(self, name, text)


class Report(Record, frozen=True):
    """What a student did on a problem.

    Attributes:
        problem: The key of the problem.
        student: The name of the student, with its settings.
        attempts: Scored attempts; those lost to infrastructure faults do not count.
        passes: How many of them passed.
        solved: Some attempts that passed.
        failed: Some that did not.
        when: The date and time (UTC). Empty in the files of a run, which can be repeated to the byte;
            :func:`code_envs.generation.dated_problems` gives the time at which it was begun.
    """

    problem: str
    student: str
    attempts: int
    passes: int
    solved: tuple[Attempt, ...] = ()
    failed: tuple[Attempt, ...] = ()
    when: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.passes <= self.attempts:
            raise ProblemError(f"a report has {self.passes} passes in {self.attempts} attempts")

    @property
    def rate(self) -> float:
        """The pass rate; NaN without attempts."""
        return self.passes / self.attempts if self.attempts else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson score interval of the pass rate."""
        return wilson_interval(self.passes, self.attempts)


def wilson_interval(passes: float, attempts: float, z: float = 1.959964) -> tuple[float, float]:
    """The Wilson score interval of a proportion.

    Args:
        passes: Successes, in [0, attempts].
        attempts: Trials.
        z: The normal quantile; 95 % by default.

    Returns:
        Lower and upper bound; (0, 1) without attempts.
    """
    if attempts <= 0:
        return 0.0, 1.0
    rate, share = passes / attempts, z * z / attempts
    middle = (rate + share / 2) / (1 + share)
    half = z / (1 + share) * math.sqrt(rate * (1 - rate) / attempts + share / (4 * attempts))
    # exact at the ends, where rounding would leave the rate outside of its interval
    return (max(0.0, middle - half) if passes > 0 else 0.0), (min(1.0, middle + half) if passes < attempts else 1.0)
