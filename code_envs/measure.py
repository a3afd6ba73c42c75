"""Measuring how hard a problem is: a student attempts it many times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from code_envs.errors import ConfigError
from code_envs.executor import Executor, shared_executor
from code_envs.modes import Grade, Outcome, grade_batch, prompt
from code_envs.problem import Attempt, Problem, Report, wilson_interval
from code_envs.students.base import Student

__all__ = ["ATTEMPTS", "BANDS", "KEEP", "bands_for", "check_bands", "measure", "measure_many"]

ATTEMPTS = 32
"""Attempts at a problem, as in the paper; 8 were found noisy."""
BANDS = ((0.0, 0.35), (0.35, 0.65), (0.65, 1.0))
"""What a chain tells apart: too hard, within the range that it aims at, too easy."""
KEEP = (0.01, 0.97)
"""The pass rates, from and to, that are worth training on, as in the paper."""
_STEP = 8  # attempts between two looks at the interval

_Scored = tuple[str, Grade]


def measure(
    problem: Problem,
    student: Student,
    executor: Executor | None = None,
    attempts: int = ATTEMPTS,
    seed: int = 0,
    *,
    keep: int = 2,
    bands: Sequence[tuple[float, float]] = (),
) -> Report:
    """Let a student attempt a problem many times.

    Args:
        problem: What to attempt.
        student: Who attempts it.
        executor: Grades the replies; the shared one if None.
        attempts: How many replies to ask for, at most.
        seed: Attempt ``i`` draws from ``np.random.default_rng([seed, i])``; with ``bands`` each further
            eight have a seed of their own.
        keep: How many solved, and how many failed attempts the report shows at most.
        bands: Bins of pass rates, such as :func:`bands_for` gives: after each eight attempts measuring ends if the
            95 % Wilson interval lies inside one of them. None: all attempts are made.

    Returns:
        Passes and scored attempts; those lost to the infrastructure do not count.

    Raises:
        ConfigError: ``attempts`` is not positive, ``keep`` is negative, or a band is no range of rates.
    """
    if not bands:
        return measure_many([problem], student, executor, attempts, seed, keep=keep)[0]
    _check(attempts, keep)
    check_bands(bands)
    scored: list[_Scored] = []
    for turn, start in enumerate(range(0, attempts, _STEP)):
        own = seed if turn == 0 else int(np.random.default_rng([seed, turn]).integers(1 << 32))
        scored += _attempt([problem], student, executor, min(_STEP, attempts - start), own)
        low, high = wilson_interval(_passes(scored), _count(scored))
        if any(low >= band[0] and high <= band[1] for band in bands):
            break
    return _report(problem, student.name, scored, keep)


def measure_many(
    problems: Sequence[Problem],
    student: Student,
    executor: Executor | None = None,
    attempts: int = ATTEMPTS,
    seed: int = 0,
    *,
    keep: int = 2,
) -> list[Report]:
    """Measure several problems with one call of the student and one batch of grading.

    The arguments are those of :func:`measure`. Attempts are numbered through, so that a problem's
    report depends on where it stands.

    Returns:
        One report for each problem, in order.

    Raises:
        ConfigError: ``attempts`` is not positive or ``keep`` is negative.
    """
    _check(attempts, keep)
    scored = _attempt(problems, student, executor, attempts, seed)
    return [
        _report(problem, student.name, scored[start : start + attempts], keep)
        for start, problem in zip(range(0, len(scored), attempts), problems, strict=True)
    ]


def bands_for(keep: tuple[float, float] = KEEP) -> tuple[tuple[float, float], ...]:
    """The bins to stop early in: :data:`BANDS`, cut where problems are kept from and to.

    So no problem is thrown away for a few attempts: 0 of 8 may be 3 of 32, and such a problem gets all of them.
    """
    return tuple(pairwise(sorted({edge for band in (*BANDS, keep) for edge in band})))


def check_bands(bands: Sequence[tuple[float, float]]) -> None:
    """Refuse bins that are no ranges of pass rates.

    Raises:
        ConfigError: One is not within [0, 1] or empty.
    """
    for low, high in bands:
        if not 0 <= low < high <= 1:
            raise ConfigError(f"the band {low:g} to {high:g} is no range of pass rates: 0 <= from < to <= 1")


def _check(attempts: int, keep: int) -> None:
    if attempts < 1 or keep < 0:
        raise ConfigError(f"measuring needs attempts >= 1 and keep >= 0, not {attempts} and {keep}")


def _attempt(
    problems: Sequence[Problem], student: Student, executor: Executor | None, attempts: int, seed: int
) -> list[_Scored]:
    """Every reply with its grade, problem by problem; a reply that never came is unscored."""
    asked = [problem for problem in problems for _ in range(attempts)]
    prompts = {problem.key: prompt(problem) for problem in problems}
    replies = student.answer([prompts[problem.key] for problem in asked], seed=seed)
    if len(replies) != len(asked):
        raise ConfigError(f"student {student.name!r} gave {len(replies)} replies to {len(asked)} prompts")
    given = [(problem, reply) for problem, reply in zip(asked, replies, strict=True) if reply is not None]
    grades = iter(grade_batch(given, executor or shared_executor()))
    lost = Grade(outcome=Outcome.INFRA, reason="the student gave no reply")
    return [(reply or "", lost if reply is None else next(grades)) for reply in replies]


def _passes(scored: Iterable[_Scored]) -> int:
    return sum(grade.passed for _, grade in scored)


def _count(scored: Iterable[_Scored]) -> int:
    return sum(grade.scored for _, grade in scored)


def _report(problem: Problem, student: str, pairs: Sequence[_Scored], keep: int) -> Report:
    scored = [(reply, grade) for reply, grade in pairs if grade.scored]
    return Report(
        problem=problem.key,
        student=student,
        attempts=len(scored),
        passes=_passes(scored),
        solved=_different((pair for pair in scored if pair[1].passed), keep),
        failed=_different((pair for pair in scored if not pair[1].passed), keep),
    )


def _different(pairs: Iterable[tuple[str, Grade]], keep: int) -> tuple[Attempt, ...]:
    """Choose attempts with different reasons first, then any with different replies."""
    by_reply = {reply: Attempt(reply=reply, outcome=grade.outcome, reason=grade.reason) for reply, grade in pairs}
    by_reason: dict[str, Attempt] = {}
    for attempt in by_reply.values():
        by_reason.setdefault(attempt.reason, attempt)
    rest = [attempt for attempt in by_reply.values() if attempt not in by_reason.values()]
    return tuple([*by_reason.values(), *rest][:keep])
