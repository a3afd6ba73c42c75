"""Attacking a problem with guesses: many runs in few processes, and what share of the guesses may pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from code_envs.errors import LiteralError, ValueRefused
from code_envs.executor import Execution, Executor, Job, Status
from code_envs.modes.base import Answer, Complaint, Grade, Rules
from code_envs.modes.limits import limits_of
from code_envs.modes.reading import completions
from code_envs.modes.validity import complain, generator, prose_of
from code_envs.modes.verdicts import short
from code_envs.problem import Problem
from code_envs.students.baselines import guess_arguments
from code_envs.values import encode, encode_literal, parse_arguments, parse_literal

__all__ = ["check_guesses", "check_told", "grade_guesses", "run_arguments", "run_each"]

_MAX_PASSED = 0.05
_GUESSES = 100
_CPU_SECONDS = 0.25


def run_each(jobs: Sequence[Job], executor: Executor, rounds: int = 12) -> list[list[Execution]]:
    """Run jobs so that a call that ends its process costs only itself.

    Calls after such a one are run again in a process of their own; after the last round they count
    as ended with it.

    Args:
        jobs: What to run.
        executor: Runs it.
        rounds: How many processes each job gets at most.

    Returns:
        One list of executions per job.
    """
    done: list[list[Execution]] = [[] for _ in jobs]
    for turn in range(rounds):
        rest = [msgspec.structs.replace(job, calls=job.calls[len(own) :]) for job, own in zip(jobs, done, strict=True)]
        open_jobs = [index for index, job in enumerate(rest) if job.calls]
        if not open_jobs:
            break
        for index, executions in zip(open_jobs, executor.run_jobs([rest[i] for i in open_jobs]), strict=True):
            last = turn == rounds - 1 or jobs[index].is_script  # each call of a script has its own process
            done[index] += executions if last else executions[: _ended_at(executions) + 1]
    return done


def _ended_at(executions: Sequence[Execution]) -> int:
    """The call that ended the process; the last one where none did."""
    survived = (Status.OK, Status.RAISED, Status.RECURSION)
    for index, run in enumerate(executions[:-1]):
        if run.status not in survived and executions[index + 1].status is run.status:
            return index
    return len(executions) - 1


def run_arguments(
    rules: Rules, problem: Problem, arguments: Sequence[str], executor: Executor
) -> list[list[list[Execution]]]:
    """Run many answers of a mode whose answers are arguments.

    Args:
        rules: The mode.
        problem: What was asked.
        arguments: Tuple literals, at least one.
        executor: Runs them.

    Returns:
        For each answer what ``rules.judge`` takes: the executions of each job.
    """
    calls = [encode_literal(text, ordered=True) for text in arguments]
    limits = limits_of(problem, executor)
    limits = msgspec.structs.replace(limits, cpu_seconds=min(_CPU_SECONDS, limits.cpu_seconds))
    jobs = rules.jobs(problem, Answer(text=arguments[0]))
    executions = run_each([msgspec.structs.replace(job, calls=calls, limits=limits) for job in jobs], executor)
    return [[[job[index]] for job in executions] for index in range(len(calls))]


def grade_guesses(rules: Rules, problem: Problem, executor: Executor, count: int) -> tuple[list[str], list[Grade]]:
    """Grade arguments from a probe set and at random, the same for the same problem.

    Args:
        rules: The mode, one whose answers are arguments.
        problem: What was asked.
        executor: Runs them.
        count: How many guesses, at most.

    Returns:
        The guesses, as tuple literals, and their grades.
    """
    guesses = guess_arguments(rules.view(problem), generator(problem), count)
    runs = run_arguments(rules, problem, guesses, executor) if guesses else []
    return guesses, [rules.judge(problem, Answer(text=text), own) for text, own in zip(guesses, runs, strict=True)]


def check_guesses(rules: Rules, problem: Problem, executor: Executor) -> Iterator[Complaint]:
    """Check that arguments from a probe set and at random rarely pass."""
    guesses, grades = grade_guesses(rules, problem, executor, _GUESSES)
    passed = [text for text, grade in zip(guesses, grades, strict=True) if grade.passed]
    if not all(grade.scored for grade in grades):
        yield complain("infra", "the sandbox failed")
    if len(passed) > _MAX_PASSED * len(guesses):
        text = f"{len(passed)} of {len(guesses)} guesses pass, such as {short(passed[0])}"
        yield complain("guessable", text)


def check_told(problem: Problem, arguments: str) -> Iterator[Complaint]:
    """Check that no comment or docstring, such as a doctest, calls the function with the stored arguments."""
    expected = encode(parse_literal(arguments))
    for line in prose_of(problem.program).splitlines():
        at = line.find(problem.entry + "(")
        if at < 0:
            continue
        for call in (line[at:], *(call for call, _ in completions(line[at:], problem.entry))):
            try:
                told = encode(parse_arguments(call, problem.parameters, problem.entry)) == expected
            except (LiteralError, ValueRefused):
                continue
            if told:
                yield complain("told", f"a comment or docstring holds {short(call)}")
                return
