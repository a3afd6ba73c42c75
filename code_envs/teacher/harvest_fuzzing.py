"""Turn a harvested function into fuzzing problems: a fault that few inputs show, or a property that few break.

Differential: a mutant stands in for the function, and its documentation is the specification.
Property: either the function itself breaks a natural property on rare inputs (its logic is untouched),
or a mutant breaks one that the function keeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from code_envs.executor import Execution, Executor
from code_envs.problem import PROPERTY, Mode, Problem, parameters_of
from code_envs.programs.inputs import boundary_arguments, random_arguments
from code_envs.programs.mutants import Mutant, mutants
from code_envs.teacher.harvest_conditions import precondition_for
from code_envs.teacher.harvest_evidence import Arguments
from code_envs.teacher.harvest_pool import Pool, stream_of
from code_envs.teacher.harvest_scan import Candidate
from code_envs.teacher.harvest_types import signature_for
from code_envs.teacher.harvest_words import summary
from code_envs.teacher.planting import LIMITS, Fault, differing, job_of, limits_after, rare
from code_envs.values import encode, parse_literal

__all__ = ["find_faults", "fuzzing_problem"]

_MUTANTS, _INJECTED, _INPUTS = 16, 8, 80
_HOLDS = 0.9  # of the inputs on which the function, or a property of it, must not raise
_MOST_FAULTS = 6


def fuzzing_problem(candidate: Candidate, pool: Pool, fault: Fault, witness: str) -> Problem:
    """Ask for arguments that show a fault; not validated yet."""
    shown = parse_literal(witness)
    assert isinstance(shown, tuple)
    calls = [*(known.arguments for known in pool.known), shown]
    return Problem(
        mode=Mode.FUZZING,
        program=fault.program,
        signature=signature_for(candidate, pool),
        entry=candidate.name,
        message=summary(candidate),
        precondition=precondition_for(parameters_of(candidate.signature), calls),
        property=fault.check,
        reference="" if fault.check else candidate.program,
        witness=witness,
    )


def find_faults(candidate: Candidate, pool: Pool, executor: Executor) -> list[Fault]:
    """Search for faults that rare inputs show; depends on the function alone.

    Args:
        candidate: The function.
        pool: What is known about it.
        executor: Runs it and its mutants.

    Returns:
        At most six faults, those easiest to hit by chance first; may be empty.
    """
    rng = stream_of(candidate.program, candidate.name, "faults")
    calls = _inputs(pool, rng)
    right = executor.run_jobs([job_of(candidate.program, candidate.name, calls, LIMITS)])[0]
    if sum(run.ok for run in right) < _HOLDS * len(calls):
        return []  # that it raises is no fault, but would hide one
    limits = limits_after(right)
    broken = mutants(candidate.program, candidate.name, rng, _MUTANTS)
    properties = _properties(candidate, pool)
    programs = [*(mutant.program for mutant in broken), *(f"{candidate.program}\n\n{check}" for check in properties)]
    entries = [candidate.name] * len(broken) + [PROPERTY] * len(properties)
    jobs = [job_of(program, entry, calls, limits) for program, entry in zip(programs, entries, strict=True)]
    runs = executor.run_jobs(jobs)
    different = [(mutant, differing(right, own)) for mutant, own in zip(broken, runs, strict=False)]
    faults: list[Fault] = []
    if summary(candidate):
        faults += [fault for mutant, places in different for fault in rare(mutant, "", calls, places)]
    kept = []
    for check, own in zip(properties, runs[len(broken) :], strict=True):
        failing = _failing(own)
        if len(failing) + sum(run.ok for run in own) < _HOLDS * len(own):
            continue
        faults += rare(Mutant(candidate.program, "found"), check, calls, failing)
        kept += [] if failing else [check]
    pairs = [(mutant, check) for check in kept[:2] for mutant, places in different if places][:_INJECTED]
    jobs = [job_of(f"{mutant.program}\n\n{check}", PROPERTY, calls, limits) for mutant, check in pairs]
    for (mutant, check), own in zip(pairs, executor.run_jobs(jobs) if jobs else [], strict=True):
        faults += rare(mutant, check, calls, _failing(own))
    ranked = sorted(faults, key=lambda fault: -fault.rate)
    places = np.linspace(0, len(ranked) - 1, min(len(ranked), _MOST_FAULTS)).round().astype(int)
    return [ranked[place] for place in places]


def _inputs(pool: Pool, rng: np.random.Generator) -> list[Arguments]:
    known = [item.arguments for item in pool.known]
    calls = [known[place] for place in sorted(rng.permutation(len(known))[:_INPUTS])]
    calls += random_arguments(known, rng, _INPUTS) + boundary_arguments(known, rng, _INPUTS // 2)
    return list({encode(call, ordered=True): call for call in calls}.values())


def _failing(runs: Sequence[Execution]) -> list[int]:
    return [at for at, run in enumerate(runs) if run.exception == "AssertionError"]


# --- properties -------------------------------------------------------------------------------

_SAME: Mapping[str, str] = {
    "applying it twice changes nothing more": "assert {entry}(result) == result",
    "applying it twice gives back the argument": "assert {entry}(result) == {first}",
}
_SIZED_SAME: Mapping[str, str] = {
    "the length stays": "assert len(result) == len({first})",
    "the result is never longer": "assert len(result) <= len({first})",
    "the result is never shorter": "assert len(result) >= len({first})",
}
_TEXT: Mapping[str, str] = {
    "the result is part of the argument": "assert result in {first}",
}
_NUMBER: Mapping[str, str] = {
    "the result is not negative": "assert result >= 0",
    "the result is not above the argument": "assert result <= {first}",
    "the result is not below the argument": "assert result >= {first}",
}
_LIST: Mapping[str, str] = {
    "the result is in order": "assert list(result) == sorted(result)",
    "nothing occurs twice": "assert all(result.count(item) == 1 for item in result)",
    "everything comes from the argument": "assert all(item in {first} for item in result)",
}


def _properties(candidate: Candidate, pool: Pool) -> list[str]:
    """The natural properties that make sense for the types of a function."""
    parameters = parameters_of(candidate.signature)
    takes = {type(known.arguments[0]) for known in pool.known}
    gives = {type(known.result) for known in pool.known}
    if len(takes) != 1 or len(gives) != 1:
        return []
    first, result = takes.pop(), gives.pop()
    found: dict[str, str] = {}
    if first is result:
        found |= _SAME if len(parameters) == 1 else {}
        found |= _SIZED_SAME if first in (str, bytes, list) else {}
        found |= _TEXT if first is str else {}
    if result in (int, float):
        numbers = dict(_NUMBER)
        found |= numbers if first in (int, float) else dict(list(numbers.items())[:1])
    if result in (list, tuple):
        found |= _LIST if first in (list, tuple) else {}
    if len(parameters) == 2 and len({type(known.arguments[1]) for known in pool.known} | {first}) == 1:
        found["the order of the arguments does not matter"] = "assert {entry}({second}, {first}) == result"
    return [_written(candidate, parameters, words, check) for words, check in found.items()]


def _written(candidate: Candidate, parameters: Sequence[str], words: str, check: str) -> str:
    names = {"entry": candidate.name, "first": parameters[0], "second": parameters[-1]}
    taken = ", ".join(parameters)
    body = check.replace("result", "outcome") if "result" in parameters else check
    local = "outcome" if "result" in parameters else "result"
    return (
        f"def {PROPERTY}({taken}):\n"
        f"    # {words}\n"
        f"    {local} = {candidate.name}({taken})\n"
        f"    {body.format(**names)}\n"
    )
