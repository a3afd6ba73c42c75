"""The speed of grading groups: 8 to 32 replies to one problem, as group-relative policy gradients ask for.

A group is either of distinct replies, or drawn so that some answers occur again and again, as samples
of one model do: the n-th answer is drawn with a weight of 1/n.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import msgspec
import numpy as np

from code_envs.errors import ConfigError
from code_envs.executor import Executor
from code_envs.literals import parse_literal
from code_envs.modes import grade_many, rules
from code_envs.modes.arguments import gold_arguments
from code_envs.modes.blocks import fence
from code_envs.problem import Mode, Problem
from code_envs.programs.inputs import vary_arguments
from code_envs.values import write_literal

__all__ = ["GroupSpeed", "make_group", "measure_groups"]

_TRIES = 20  # small changes, for each distinct answer that is wanted


class GroupSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """What ``grade_many`` reached for one mode and kind of group.

    Attributes:
        mode: The mode.
        workers: Programs at once.
        size: Replies in a group.
        repeats: Whether answers occur more than once.
        distinct: Distinct answers in a group, on average.
        replies_per_second: The median over the rounds; a round is one group for each problem.
        slowest: The lowest of the rounds, in replies per second.
        fastest: The highest.
    """

    mode: str
    workers: int
    size: int
    repeats: bool
    distinct: float
    replies_per_second: float
    slowest: float
    fastest: float


def measure_groups(
    problems: Sequence[Problem], size: int, repeats: bool, rounds: int, executor: Executor
) -> GroupSpeed:
    """Time ``grade_many`` on one group for each problem.

    Args:
        problems: Problems of one mode.
        size: Replies in a group.
        repeats: Whether answers occur more than once.
        rounds: How often, after once that is not timed.
        executor: The sandbox.

    Raises:
        ConfigError: A gold answer, which is in every group, does not pass: the figures would mean nothing.
    """
    groups = [make_group(problem, size, repeats, seed) for seed, problem in enumerate(problems)]
    times = [_one_round(problems, groups, executor) for _ in range(rounds + 1)][1:]
    speeds = [size * len(problems) / seconds for seconds in times]
    return GroupSpeed(
        mode=problems[0].mode,
        workers=executor.workers,
        size=size,
        repeats=repeats,
        distinct=statistics.mean(len(set(group)) for group in groups),
        replies_per_second=statistics.median(speeds),
        slowest=min(speeds),
        fastest=max(speeds),
    )


def _one_round(problems: Sequence[Problem], groups: Sequence[Sequence[str]], executor: Executor) -> float:
    start = time.perf_counter()
    grades = [grade_many(problem, group, executor) for problem, group in zip(problems, groups, strict=True)]
    seconds = time.perf_counter() - start
    for problem, own in zip(problems, grades, strict=True):
        if not own[0].passed:
            raise ConfigError(f"the gold answer of problem {problem.key} is graded {own[0].outcome}: {own[0].reason}")
    return seconds


def make_group(problem: Problem, size: int, repeats: bool, seed: int = 0) -> list[str]:
    """Write replies to one problem, the gold one first.

    Args:
        problem: What was asked.
        size: How many.
        repeats: Whether answers occur more than once.
        seed: Which answers.

    Returns:
        The replies; fewer distinct ones where the problem has no more neighbours of its gold answer.
    """
    rng = np.random.default_rng([seed, size, 8])
    found = {rules(problem.mode).gold(problem): None}
    for attempt in range(_TRIES * size):
        if len(found) == size:
            break
        found.setdefault(_neighbour(problem, attempt, rng))
    answers = list(found)
    weights = 1 / np.arange(1, len(answers) + 1)
    drawn = rng.choice(len(answers), size - 1, p=weights / weights.sum()) if repeats else range(1, size)
    return [f"Let me think.\n\n{answers[at % len(answers)]}" for at in (0, *drawn)]


def _neighbour(problem: Problem, attempt: int, rng: np.random.Generator) -> str:
    """Write an answer like the gold one, that need not be right."""
    if problem.mode is Mode.INDUCTION:
        return fence(f"{problem.program.rstrip()}\n\n# attempt {attempt}", "python")
    if problem.mode is Mode.DEDUCTION:
        (value,) = vary_arguments((parse_literal(problem.cases[0].result),), rng)
        return fence(write_literal(value), "output")
    own = problem.witness if problem.mode is Mode.FUZZING else problem.cases[0].arguments
    values = parse_literal(own)
    assert isinstance(values, tuple)
    return gold_arguments(write_literal(vary_arguments(values, rng)))
