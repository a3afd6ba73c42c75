"""Stored solutions of contests, run in the sandbox: the first one that passes is the gold answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from code_envs.curricula.contest_calls import accepts, callable_program
from code_envs.curricula.contest_rows import Contest
from code_envs.errors import CodeEnvsError, ProblemError
from code_envs.executor import Execution, Executor, Job, Status
from code_envs.modes import Answer, grade_batch
from code_envs.modes.limits import limits_of
from code_envs.problem import Problem
from code_envs.programs.source import parse_program
from code_envs.values import decode

__all__ = ["FAULT", "Solved", "solve"]


class Solved(msgspec.Struct, frozen=True):
    """A solution that passes.

    Attributes:
        program: The gold program.
        results: Its own results, where it is a function; JSON cannot tell a tuple from a list.
    """

    program: str
    results: tuple[Any, ...] = ()


FAULT = Solved("")
"""The sandbox failed: says nothing about the solution."""
_Try = tuple[int, str]  # which contest, and a program


def solve(batch: Sequence[tuple[Contest, Problem]], executor: Executor, most: int) -> list[Solved | None]:
    """Find for each contest the first stored solution that passes; each round tries one of every contest.

    Args:
        batch: Contests, each with its problem as published, whose program is empty.
        executor: Runs the solutions, within the limits of grading.
        most: How many solutions of a contest are tried.
    """
    solved: list[Solved | None] = [None] * len(batch)
    for turn in range(most):
        tries = [
            (place, program)
            for place, (contest, _) in enumerate(batch)
            if solved[place] is None and turn < len(contest.solutions)
            if (program := _runnable(contest.solutions[turn], contest))
        ]
        scripts = [(place, program) for place, program in tries if batch[place][1].is_script]
        calls = [(place, program) for place, program in tries if not batch[place][1].is_script]
        for place, found in (*_try_scripts(batch, scripts, executor), *_try_calls(batch, calls, executor)):
            solved[place] = found
    return solved


def _runnable(solution: str, contest: Contest) -> str:
    """The program that is run for a solution; empty if it is no Python, or lacks the function."""
    if contest.calls:
        return callable_program(solution, contest)
    try:
        parse_program(solution)
    except ProblemError:
        return ""
    return solution.rstrip() + "\n"


def _try_scripts(
    batch: Sequence[tuple[Contest, Problem]], tries: Sequence[_Try], executor: Executor
) -> list[tuple[int, Solved | None]]:
    grades = grade_batch([(batch[place][1], Answer(text=program)) for place, program in tries], executor)
    return [
        (place, (Solved(program) if grade.passed else None) if grade.scored else FAULT)
        for (place, program), grade in zip(tries, grades, strict=True)
    ]


def _try_calls(
    batch: Sequence[tuple[Contest, Problem]], tries: Sequence[_Try], executor: Executor
) -> list[tuple[int, Solved | None]]:
    jobs = []
    for place, program in tries:
        problem = batch[place][1]
        calls = [case.call() for case in (*problem.cases, *problem.hidden)]
        limits = limits_of(problem, executor) if problem.limits else None
        jobs.append(Job(program=program, entry=problem.entry, calls=calls, coerce=True, limits=limits))
    executions = executor.run_jobs(jobs) if jobs else []
    return [
        (place, _judge(batch[place][0], program, runs))
        for (place, program), runs in zip(tries, executions, strict=True)
    ]


def _judge(contest: Contest, program: str, executions: Sequence[Execution]) -> Solved | None:
    results = []
    for (_, expected), execution in zip(contest.calls, executions, strict=True):
        if execution.status is Status.INFRA:
            return FAULT
        if not execution.ok:
            return None
        try:
            got = decode(execution.value)
        except CodeEnvsError:  # the untrusted side sent what is no value
            return None
        if not accepts(contest, expected, got):
            return None
        results.append(got)
    return Solved(program, tuple(results))
