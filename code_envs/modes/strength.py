"""How strong hidden cases are: the share of a program's mutants that they kill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from code_envs.executor import Executor, Job
from code_envs.modes.guessing import run_each
from code_envs.modes.limits import limits_of
from code_envs.modes.validity import generator
from code_envs.modes.verdicts import gives, infra
from code_envs.problem import Problem
from code_envs.programs.inputs import boundary_arguments, random_arguments
from code_envs.programs.mutants import Mutant, mutants
from code_envs.programs.stdin import random_stdins
from code_envs.values import encode

__all__ = ["killed_mutants", "still_right"]

_MUTANTS = 24
_PROBES = 40


def killed_mutants(problem: Problem, executor: Executor) -> tuple[list[Mutant], list[Mutant]]:
    """Sort the mutants of an induction problem's program by whether the hidden cases kill them.

    A mutant that gives the same results as the program on the hidden cases, the visible ones and
    some 40 further inputs is taken to be equivalent: it says nothing about the cases, and is left out.

    Args:
        problem: An induction problem whose program gives the stored results.
        executor: Runs the program and its mutants.

    Returns:
        Mutants that a hidden case kills, and those that only other inputs tell from the program.
    """
    rng = generator(problem)
    found = mutants(problem.program, problem.entry, rng, _MUTANTS)
    hidden = {case.call(): case.expected() for case in problem.hidden}
    alive = still_right(problem, [one.program for one in found], hidden, executor)
    if not alive:
        return found, []
    others = {case.call(): case.expected() for case in problem.cases} | _probes(problem, rng, executor)
    equivalent = still_right(problem, alive, others, executor)
    survived = set(alive) - set(equivalent)
    return [one for one in found if one.program not in alive], [one for one in found if one.program in survived]


def _probes(problem: Problem, rng: np.random.Generator, executor: Executor) -> dict[bytes, bytes]:
    """Further inputs on which the program returns, with its results."""
    samples = [case.values() for case in (*problem.cases, *problem.hidden)]
    calls = [encode(values, ordered=True) for values in _inputs(problem, samples, rng)]
    limits = limits_of(problem, executor)
    limits = msgspec.structs.replace(limits, cpu_seconds=limits.cpu_seconds / 16)
    job = Job(program=problem.program, entry=problem.entry, calls=calls, limits=limits)
    (runs,) = run_each([job], executor, rounds=4)
    return {call: run.value for call, run in zip(calls, runs, strict=True) if run.ok}


def _inputs(
    problem: Problem, samples: Sequence[tuple[object, ...]], rng: np.random.Generator
) -> Sequence[tuple[object, ...]]:
    if problem.is_script:
        return [(text,) for text in random_stdins([str(text) for (text,) in samples], rng, _PROBES)]
    return [
        *random_arguments(samples, rng, _PROBES // 2, signature=problem.signature),
        *boundary_arguments(samples, rng, _PROBES // 2, signature=problem.signature),
    ]


def still_right(
    problem: Problem, programs: Sequence[str], expected: Mapping[bytes, bytes], executor: Executor
) -> list[str]:
    """Find the programs that give all expected results, or of which nothing is known since the sandbox failed.

    They often run forever: they get some times what the problem's own program needs. Scripts, which
    cost a process for each call, are given up at the first wrong output.

    Args:
        problem: An induction problem.
        programs: Other programs for it.
        expected: What to call them with, and the canonical encodings of the results.
        executor: Runs them.
    """
    most = limits_of(problem, executor)
    own = Job(program=problem.program, entry=problem.entry, calls=list(expected), limits=most)
    needed = max((run.cpu_seconds for run in executor.run_jobs([own])[0]), default=0.0)
    limits = msgspec.structs.replace(most, cpu_seconds=min(0.05 + 4 * needed, most.cpu_seconds))
    left, known = list(expected.items()), list(programs)
    step = 1 if problem.is_script else max(1, len(left))
    while left and known:
        calls, values = zip(*left[:step], strict=True)
        jobs = [msgspec.structs.replace(own, program=program, limits=limits, calls=calls) for program in known]
        known = [
            program
            for program, runs in zip(known, executor.run_jobs(jobs), strict=True)
            if infra([runs]) or all(gives(problem, value, run) for value, run in zip(values, runs, strict=True))
        ]
        left, step = left[step:], 2 * step
    return known
