"""Turn a harvested function, its logic untouched, into abduction, deduction and induction problems."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from code_envs.errors import ProblemError
from code_envs.executor import Executor
from code_envs.modes import complete_cases
from code_envs.problem import Case, Mode, Problem
from code_envs.programs.source import literals_of
from code_envs.teacher.harvest_conditions import precondition_for
from code_envs.teacher.harvest_pool import Known, Pool, call_all
from code_envs.teacher.harvest_scan import Candidate
from code_envs.teacher.harvest_types import signature_for
from code_envs.teacher.harvest_words import summary
from code_envs.values import encode

__all__ = ["abduction_problem", "deduction_problem", "induction_problem", "reading_size"]

_FEWEST = 5  # visible cases
_READABLE = 320  # encoded bytes of arguments or result that a person still reads
_NEAR = 6  # how many calls of about the wanted size to draw from


def deduction_problem(candidate: Candidate, pool: Pool, rng: np.random.Generator, size: float) -> Problem | None:
    """Ask for the result of a call.

    Args:
        candidate: The function.
        pool: What is known about it.
        rng: Draws the call.
        size: How large the arguments should be among those known, 0 smallest, 1 largest.

    Returns:
        A problem that is not validated yet; None where no call is worth asking for.
    """
    known = _draw(_informative(candidate, pool), rng, size)
    return _one_case(Mode.DEDUCTION, candidate, pool, known) if known else None


def abduction_problem(
    candidate: Candidate, pool: Pool, rng: np.random.Generator, size: float, executor: Executor
) -> Problem | None:
    """Ask for arguments that give a result.

    Where the result itself, put in place of an argument, gives the result again, a precondition
    allows only arguments of the types that the function is meant for.

    Args:
        candidate: The function.
        pool: What is known about it.
        rng: Draws the call.
        size: See :func:`deduction_problem`.
        executor: Runs the function on its result.

    Returns:
        A problem that is not validated yet; None where no result is worth asking for.
    """
    counts = pool.results()
    rare = [known for known in _informative(candidate, pool) if counts[known.code] == 1]
    known = _draw(rare, rng, size)
    if known is None:
        return None
    problem = _one_case(Mode.ABDUCTION, candidate, pool, known)
    echoes = [
        (*known.arguments[:place], known.result, *known.arguments[place + 1 :]) for place in range(len(known.arguments))
    ]
    if all(item.code != known.code for item in call_all(candidate, echoes, executor)):
        return problem
    calls = [item.arguments for item in pool.known]
    return problem.but(precondition=precondition_for(problem.parameters, calls))


def induction_problem(
    candidate: Candidate, pool: Pool, rng: np.random.Generator, shown: int, executor: Executor
) -> Problem | None:
    """Ask for the function itself, from some of its calls.

    Args:
        candidate: The function.
        pool: What is known about it.
        rng: Draws the visible calls and the hidden ones.
        shown: How many calls the student sees, if there are as many.
        executor: Runs the function on the hidden calls.

    Returns:
        A problem that is not validated yet; None where too few calls are known.
    """
    message = summary(candidate)  # without one, the cases alone would have to tell every branch
    visible = _varied(pool, rng, shown)
    if not message or len(visible) < _FEWEST:
        return None
    problem = Problem(
        mode=Mode.INDUCTION,
        program=candidate.program,
        signature=signature_for(candidate, pool),
        entry=candidate.name,
        message=message,
        cases=tuple(Case.of(known.arguments, known.result) for known in visible),
    )
    try:
        return complete_cases(problem, executor, rng)
    except ProblemError:
        return None


def _one_case(mode: Mode, candidate: Candidate, pool: Pool, known: Known) -> Problem:
    return Problem(
        mode=mode,
        program=candidate.program,
        signature=signature_for(candidate, pool),
        entry=candidate.name,
        message=summary(candidate),
        cases=(Case.of(known.arguments, known.result),),
    )


def _informative(candidate: Candidate, pool: Pool) -> list[Known]:
    """The calls whose result cannot be read off: not an argument, not a literal, not what most calls give."""
    plain = {encode(value) for value in literals_of(candidate.program)}
    counts = pool.results()
    common = max(counts.values()) if counts else 0
    return [
        known
        for known in pool.known
        if known.code not in plain
        and len(known.code) > 2  # not None, a truth value or an empty text
        and len(known.code) <= _READABLE
        and known.size <= _READABLE
        and (counts[known.code] < common or common == 1)
        and not any(encode(argument) == known.code for argument in known.arguments)
    ]


def _draw(choice: Sequence[Known], rng: np.random.Generator, size: float) -> Known | None:
    """Draw one of the calls whose arguments are about as large as wanted."""
    if not choice:
        return None
    ranked = sorted(choice, key=lambda known: (known.size, len(known.code)))
    middle = size * (len(ranked) - 1)
    near = sorted(range(len(ranked)), key=lambda place: abs(place - middle))[:_NEAR]
    return ranked[near[rng.integers(len(near))]]


def _varied(pool: Pool, rng: np.random.Generator, count: int) -> list[Known]:
    """Draw calls with results that differ, from the smaller half; the smaller ones first."""
    readable = [known for known in pool.known if known.size + len(known.code) <= _READABLE]
    ranked = sorted(readable, key=lambda known: known.size)
    window = ranked[: max(len(ranked) // 2, 24)]
    order = rng.permutation(len(window)).tolist()
    chosen: list[int] = []
    times: dict[bytes, int] = {}
    for most in (1, 2, 4):  # first each result once, then again where there are few
        for place in order:
            code = window[place].code
            if len(chosen) < count and place not in chosen and times.get(code, 0) < most:
                chosen.append(place)
                times[code] = times.get(code, 0) + 1
    return [window[place] for place in sorted(chosen)]


def reading_size(problem: Problem) -> int:
    """How much there is to read in the case of a problem, in characters."""
    case = problem.cases[0]
    return len(case.arguments) + len(case.result)
