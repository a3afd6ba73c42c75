"""How strong hidden cases are: the share of a program's mutants that they kill."""

from __future__ import annotations

import msgspec

from code_envs.executor import Executor, Job
from code_envs.modes.guessing import run_each
from code_envs.modes.validity import generator
from code_envs.modes.verdicts import infra
from code_envs.problem import Problem
from code_envs.programs.inputs import boundary_arguments, random_arguments
from code_envs.programs.mutants import Mutant, mutants
from code_envs.values import encode, same_result

__all__ = ["killed_mutants"]

_MUTANTS = 24
_PROBES = 40


def killed_mutants(problem: Problem, executor: Executor) -> tuple[list[Mutant], list[Mutant]]:
    """Sort the mutants of an induction problem's program by whether the hidden cases kill them.

    A mutant that gives the same results as the program on the hidden cases, the visible ones and
    40 further inputs is taken to be equivalent: it says nothing about the cases, and is left out.

    Args:
        problem: An induction problem whose program gives the stored results.
        executor: Runs the program and its mutants.

    Returns:
        Mutants that a hidden case kills, and those that only other inputs tell from the program.
    """
    rng = generator(problem)
    changed = mutants(problem.program, problem.entry, rng, _MUTANTS)
    cases = (*problem.hidden, *problem.cases)
    samples = [case.values() for case in cases]
    probes = [
        *random_arguments(samples, rng, _PROBES // 2, signature=problem.signature),
        *boundary_arguments(samples, rng, _PROBES // 2, signature=problem.signature),
    ]
    calls = [encode(values, ordered=True) for values in probes]
    own = Job(program=problem.program, entry=problem.entry, calls=calls)
    (runs,) = run_each([own], executor)
    clean = [(call, run.value) for call, run in zip(calls, runs, strict=True) if run.ok]
    expected = [*(case.expected() for case in cases), *(value for _, value in clean)]
    calls = [*(case.call() for case in cases), *(call for call, _ in clean)]
    base = executor.run_jobs([msgspec.structs.replace(own, calls=calls)])[0][0].cpu_seconds
    # mutants often run forever: they get some times what the program needs
    limits = msgspec.structs.replace(executor.limits, cpu_seconds=min(0.05 + 4 * base, executor.limits.cpu_seconds))
    jobs = [Job(program=mutant.program, entry=problem.entry, calls=calls, limits=limits) for mutant in changed]
    killed, survived = [], []
    for mutant, results in zip(changed, executor.run_jobs(jobs), strict=True):
        same = [run.ok and same_result(value, run.value) for value, run in zip(expected, results, strict=True)]
        if infra([results]):
            continue  # nothing is known about it
        if not all(same[: len(problem.hidden)]):
            killed.append(mutant)
        elif not all(same):
            survived.append(mutant)
    return killed, survived
