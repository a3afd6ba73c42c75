"""Measuring how hard a problem is: a student attempts it many times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from code_envs.errors import ConfigError
from code_envs.executor import Executor, shared_executor
from code_envs.modes import Grade, grade_batch, prompt
from code_envs.problem import Attempt, Problem, Report
from code_envs.students.base import Student

__all__ = ["ATTEMPTS", "measure", "measure_many"]

ATTEMPTS = 32
"""Attempts at a problem, as in the paper; 8 were found noisy."""


def measure(
    problem: Problem,
    student: Student,
    executor: Executor | None = None,
    attempts: int = ATTEMPTS,
    seed: int = 0,
    *,
    keep: int = 2,
) -> Report:
    """Let a student attempt a problem many times.

    Args:
        problem: What to attempt.
        student: Who attempts it.
        executor: Grades the replies; the shared one if None.
        attempts: How many replies to ask for.
        seed: Attempt ``i`` draws from ``np.random.default_rng([seed, i])``.
        keep: How many solved, and how many failed attempts the report shows at most.

    Returns:
        Passes and scored attempts; those lost to the infrastructure do not count.

    Raises:
        ConfigError: ``attempts`` is not positive or ``keep`` is negative.
    """
    return measure_many([problem], student, executor, attempts, seed, keep=keep)[0]


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
    if attempts < 1 or keep < 0:
        raise ConfigError(f"measuring needs attempts >= 1 and keep >= 0, not {attempts} and {keep}")
    asked = [problem for problem in problems for _ in range(attempts)]
    prompts = {problem.key: prompt(problem) for problem in problems}
    replies = student.answer([prompts[problem.key] for problem in asked], seed=seed)
    if len(replies) != len(asked):
        raise ConfigError(f"student {student.name!r} gave {len(replies)} replies to {len(asked)} prompts")
    grades = grade_batch(list(zip(asked, replies, strict=True)), executor or shared_executor())
    return [
        _report(problem, student.name, replies[start : start + attempts], grades[start : start + attempts], keep)
        for start, problem in zip(range(0, len(asked), attempts), problems, strict=True)
    ]


def _report(problem: Problem, student: str, replies: Sequence[str], grades: Sequence[Grade], keep: int) -> Report:
    scored = [(reply, grade) for reply, grade in zip(replies, grades, strict=True) if grade.scored]
    return Report(
        problem=problem.key,
        student=student,
        attempts=len(scored),
        passes=sum(grade.passed for _, grade in scored),
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
