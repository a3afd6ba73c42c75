"""Making the hidden cases of an induction problem from its visible ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

import msgspec
import numpy as np

from code_envs.errors import ProblemError, ValueRefused
from code_envs.executor import Executor, Job
from code_envs.modes.guessing import run_each
from code_envs.modes.limits import limits_of
from code_envs.problem import Case, Mode, Problem
from code_envs.programs.inputs import boundary_arguments, random_arguments, vary_arguments
from code_envs.programs.stdin import random_stdins
from code_envs.values import decode, encode, write_literal

__all__ = ["complete_cases"]

_POOL = 4  # candidates for each hidden case
_MAX_SHOWN = 1_000


def complete_cases(problem: Problem, executor: Executor, rng: np.random.Generator, *, count: int = 16) -> Problem:
    """Give an induction problem hidden cases, generated from the visible ones by type.

    A third of the candidates are border values (empties, negatives, duplicates, larger sizes), a
    third random ones, a third small changes of the visible inputs; for a script they are texts in
    the layout of the visible ones. Kept are those where the program returns a value that can be
    shown, and among them different results first; no result fills more than half of the cases.

    Args:
        problem: An induction problem with visible cases; hidden ones that it has are replaced.
        executor: Runs the program.
        rng: The only source of randomness.
        count: How many hidden cases are wanted.

    Returns:
        The problem with at most ``count`` hidden cases, none of them visible; fewer where the program
        is too choosy. Its content key is another one.

    Raises:
        ProblemError: It is no induction problem.
    """
    if problem.mode is not Mode.INDUCTION:
        raise ProblemError(f"only induction has hidden cases, not {problem.mode}")
    candidates = _candidates(problem, rng, _POOL * count)
    # little time: a case must leave the others theirs, and inputs that never end are common
    limits = limits_of(problem, executor)
    limits = msgspec.structs.replace(limits, cpu_seconds=limits.cpu_seconds / 16)
    job = Job(program=problem.program, entry=problem.entry, calls=list(candidates), limits=limits)
    (runs,) = run_each([job], executor, rounds=8)
    by_result: dict[bytes, list[Case]] = {}
    for arguments, run in zip(candidates.values(), runs, strict=True):
        case = _case(arguments, run.value) if run.ok else None
        if case is not None:
            by_result.setdefault(run.value, []).append(case)
    return problem.but(hidden=_spread(by_result.values(), count))


def _candidates(problem: Problem, rng: np.random.Generator, count: int) -> dict[bytes, tuple[object, ...]]:
    """Argument tuples by their encoding: borders, random ones and neighbours in turn."""
    samples = [case.values() for case in problem.cases]
    visible = {case.call() for case in problem.cases}
    if problem.is_script:
        texts = [(text,) for text in random_stdins([str(text) for (text,) in samples], rng, count)]
        return {call: text for text in texts if (call := encode(text, ordered=True)) not in visible}
    third = -(-count // 3)
    borders = boundary_arguments(samples, rng, third, signature=problem.signature)
    drawn = random_arguments(samples, rng, third, signature=problem.signature)
    varied = [vary_arguments(samples[int(rng.integers(len(samples)))], rng) for _ in range(third)]
    found: dict[bytes, tuple[object, ...]] = {}
    for group in zip_longest(borders, drawn, varied):
        for arguments in group:
            if arguments is not None:
                call = encode(arguments, ordered=True)
                if call not in visible:
                    found.setdefault(call, arguments)
    return found


def _case(arguments: tuple[object, ...], value: bytes) -> Case | None:
    """The case, if it is short enough to be a test that a person can read."""
    try:
        case = Case(arguments=write_literal(arguments), result=write_literal(decode(value)))
    except (ProblemError, ValueRefused):  # forged by the program
        return None
    return case if len(case.arguments) <= _MAX_SHOWN and len(case.result) <= _MAX_SHOWN else None


def _spread(groups: Iterable[Sequence[Case]], count: int) -> tuple[Case, ...]:
    """Take from each group in turn; from none more than half of the count."""
    limited = [group[: max(1, count // 2)] for group in groups]
    rounds = (case for turn in zip_longest(*limited) for case in turn if case is not None)
    return tuple(case for case, _ in zip(rounds, range(count), strict=False))
