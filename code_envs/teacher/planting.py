"""Planting faults: mutants of a program that do something else than it on few inputs."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from code_envs.executor import Execution, Executor, Job, Limits, Status
from code_envs.programs.inputs import Arguments
from code_envs.programs.mutants import Mutant, mutants
from code_envs.values import encode, write_literal

__all__ = ["LIMITS", "Fault", "differing", "job_of", "limits_after", "plant", "rare"]

LIMITS = Limits(cpu_seconds=0.3, wall_seconds=10.0, result_bytes=1 << 18)
"""What a program may use while faults of it are looked for."""
_MUTANTS = 32
_RARE = 0.06  # of the inputs tried; what validation guesses is less like those that work


class Fault(msgspec.Struct, frozen=True):
    """Something that rare inputs show.

    Attributes:
        program: The program that is at fault.
        change: What was changed in the function, or ``found`` where nothing was.
        check: The source of the property that fails; empty in differential mode.
        witnesses: Arguments known to show it, as tuple literals, the simplest first.
        rate: The share of the inputs tried that show it.
    """

    program: str
    change: str
    check: str
    witnesses: tuple[str, ...]
    rate: float


def plant(
    program: str, entry: str, calls: Sequence[Arguments], rng: np.random.Generator, executor: Executor
) -> list[Fault]:
    """Look for faults that few inputs show.

    Args:
        program: What is right.
        entry: Its function.
        calls: Inputs, at least one.
        rng: Draws the mutants.
        executor: Runs the program and its mutants.

    Returns:
        Those that show on some of the inputs, but few, the most frequent first. Empty if there is none, or if
        the program needs so long that it would depend on the machine what is found.
    """
    (right,) = executor.run_jobs([job_of(program, entry, calls, LIMITS)])
    if _is_over(right) or right[0].cpu_seconds > LIMITS.cpu_seconds / 4:
        return []
    broken = mutants(program, entry, rng, _MUTANTS)
    limits = limits_after(right)
    runs = executor.run_jobs([job_of(mutant.program, entry, calls, limits) for mutant in broken]) if broken else []
    found = [
        fault
        for mutant, own in zip(broken, runs, strict=True)
        if not _is_over(own)  # where it was stopped depends on the machine
        for fault in rare(mutant, "", calls, differing(right, own))
    ]
    return sorted(found, key=lambda fault: -fault.rate)


def _is_over(runs: Sequence[Execution]) -> bool:
    return any(run.status not in (Status.OK, Status.RAISED, Status.RECURSION) for run in runs)


def job_of(program: str, entry: str, calls: Sequence[Arguments], limits: Limits) -> Job:
    """The job of calling a function on inputs."""
    return Job(program=program, entry=entry, calls=[encode(call, ordered=True) for call in calls], limits=limits)


def limits_after(right: Sequence[Execution]) -> Limits:
    """The limits of mutants, which often run forever: some times what the program itself has needed."""
    base = right[0].cpu_seconds
    return msgspec.structs.replace(LIMITS, cpu_seconds=min(0.03 + 4 * base, LIMITS.cpu_seconds))


def differing(right: Sequence[Execution], own: Sequence[Execution]) -> list[int]:
    """The calls where a mutant gives another result than the function, or raises where that gives one."""
    pairs = enumerate(zip(right, own, strict=True))
    return [at for at, (good, bad) in pairs if good.ok and (bad.ok or bad.exception) and bad.value != good.value]


def rare(mutant: Mutant, check: str, calls: Sequence[Arguments], failing: Sequence[int]) -> list[Fault]:
    """The fault, if some of the calls show it, but few; with a small, a middling and a large witness."""
    rate = len(failing) / max(len(calls), 1)
    if not 0 < rate <= _RARE:
        return []
    ranked = sorted((calls[at] for at in failing), key=lambda call: (len(encode(call)), encode(call)))
    witnesses = dict.fromkeys(write_literal(ranked[at]) for at in (0, len(ranked) // 2, -1))
    return [Fault(mutant.program, mutant.change, check, tuple(witnesses), rate)]
