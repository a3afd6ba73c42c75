"""What a program may use while it is graded or validated: the problem's own limits, or the executor's."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from code_envs.executor import Executor, Job, Limits
from code_envs.problem import Problem

__all__ = ["limited", "limits_of"]


def limits_of(problem: Problem, executor: Executor) -> Limits:
    """The limits of a problem's programs: its own, as far as the executor grants them, or the executor's."""
    if problem.limits is None:
        return executor.limits
    return executor.grant(problem.limits.cpu_seconds, problem.limits.memory_mib)


def limited(problem: Problem, jobs: Sequence[Job], executor: Executor) -> list[Job]:
    """Give a problem's limits to those of its jobs that have none."""
    if problem.limits is None:  # identical jobs stay identical, whatever executor runs them
        return list(jobs)
    limits = limits_of(problem, executor)
    return [job if job.limits else replace(job, limits=limits) for job in jobs]
