"""One pool of sandboxed workers for a whole machine, shared by everything of a job that grades there.

A trainer runs several inference engines on a machine, and each loads the environment. Were each to
start a pool of its own, eight engines on 128 cores would keep 1024 workers. So the first one that
grades starts a named Ray actor, pinned to its machine, that owns the executor; the others find it by
its name. The actor takes no cores of Ray's accounting: trainers reserve them all for placement groups.

Without Ray the executor of this process is used.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from typing import Any, Protocol, TypeVar

import msgspec

from code_envs import modes
from code_envs.cluster import on_this_node
from code_envs.errors import CodeEnvsError, ConfigError, ExecutorError
from code_envs.executor import Executor, shared_executor
from code_envs.integrations.openrlhf_labels import Label, find_problem, read_label
from code_envs.modes import Grade, Outcome
from code_envs.problem import Problem

__all__ = ["NAMESPACE", "WORKERS", "Grader", "LocalGrader", "NodeGrader", "grade_patiently", "make_grader"]

NAMESPACE = "code-envs"
WORKERS = "CODE_ENVS_WORKERS"
"""The environment variable that says how many programs may run at once on a machine; one per core if unset."""
_REMEMBERED = 4096  # jobs: the members of a group often give the same answer
_Result = TypeVar("_Result")
_STARTS = 3  # how often a call looks for the actor before it fails
_held: list[Any] = []
_PATIENCE = (0.2, 1.0, 3.0)  # seconds to wait before a fault of the sandbox is tried again

_read_problem = lru_cache(maxsize=1024)(Problem.from_json)


class Grader(Protocol):
    """Finds problems and grades replies without blocking the event loop."""

    async def find(self, label: Label) -> Problem:
        """Find or make the problem of a label."""
        ...

    async def grade(self, problem: Problem, reply: str, *, hide: bool = False) -> Grade:
        """Grade a reply; see :func:`code_envs.grade`."""
        ...


class LocalGrader:
    """Grades in threads over an executor of this process.

    Args:
        executor: The sandbox; the one of the process if None.
    """

    def __init__(self, executor: Executor | None = None) -> None:
        self.executor = executor or shared_executor()
        self._threads = ThreadPoolExecutor(2 * self.executor.workers, "code-envs-grader")

    async def find(self, label: Label) -> Problem:
        """See :class:`Grader`."""
        return await self._off(lambda: find_problem(label, self.executor))

    async def grade(self, problem: Problem, reply: str, *, hide: bool = False) -> Grade:
        """See :class:`Grader`."""
        return await self._off(lambda: modes.grade(problem, reply, self.executor, hide=hide))

    async def _off(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class _Node:
    """The actor. Its methods run in threads, and what travels is text."""

    def __init__(self, workers: int | None) -> None:
        self.executor = Executor(workers, remember=_REMEMBERED)

    def find(self, label: str) -> str:
        return find_problem(read_label(label), self.executor).to_json()

    def grade(self, record: str, reply: str, hide: bool) -> bytes:
        return msgspec.json.encode(modes.grade(_read_problem(record), reply, self.executor, hide=hide))

    def about(self) -> dict[str, int]:
        return {"pid": os.getpid(), "workers": self.executor.workers}


class NodeGrader:
    """Grades through the actor of this machine; starts it where there is none, or none any more."""

    def __init__(self) -> None:
        self._actor: Any = None

    async def find(self, label: Label) -> Problem:
        """See :class:`Grader`."""
        if not label.env:
            return find_problem(label, shared_executor())  # only read: no pool starts
        return _read_problem(await self._call("find", label.to_json()))

    async def grade(self, problem: Problem, reply: str, *, hide: bool = False) -> Grade:
        """See :class:`Grader`."""
        return msgspec.json.decode(await self._call("grade", problem.to_json(), reply, hide), type=Grade)

    async def about(self) -> dict[str, int]:
        """The process id of the actor, and how many programs it may run at once."""
        found: dict[str, int] = await self._call("about")
        return found

    async def _call(self, method: str, *arguments: Any) -> Any:
        import ray

        fault: Exception | None = None
        for _ in range(_STARTS):
            if self._actor is None:
                self._actor = await asyncio.to_thread(_node_actor)
            try:
                return await getattr(self._actor, method).remote(*arguments)
            except ray.exceptions.RayTaskError as error:
                raise (error.cause if isinstance(error.cause, CodeEnvsError) else error) from None
            except ray.exceptions.RayError as error:
                self._actor, fault = None, error  # who started it has ended, perhaps: start another
        raise ExecutorError(f"the grader of this machine is gone: {fault}") from fault


def _node_actor() -> Any:
    """Find the actor of this job and machine, or start it."""
    import ray

    context = ray.get_runtime_context()
    node, workers = context.get_node_id(), _workers()
    actor = (
        ray.remote(_Node)
        .options(
            name=f"grader-{context.get_job_id()}-{node}",
            namespace=NAMESPACE,
            get_if_exists=True,
            num_cpus=0,
            max_restarts=-1,
            max_task_retries=2,
            max_concurrency=2 * (workers or len(os.sched_getaffinity(0))),
            scheduling_strategy=on_this_node(ray),
        )
        .remote(workers)
    )
    _held.append(actor)  # Ray ends it when the process that started it lets go of it
    return actor


def _workers() -> int | None:
    text = os.environ.get(WORKERS, "")
    if text and not (text.isdecimal() and int(text)):
        raise ConfigError(f"{WORKERS} is {text!r}; give the number of programs that may run at once on a machine")
    return int(text) if text else None


def make_grader() -> Grader:
    """The grader of this machine within a Ray cluster, else one of this process."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        return NodeGrader()
    return _local_grader()


@cache
def _local_grader() -> LocalGrader:
    return LocalGrader(Executor(_workers(), remember=_REMEMBERED))


async def grade_patiently(grader: Grader, problem: Problem, reply: str, *, hide: bool = False) -> Grade:
    """Grade a reply; what the sandbox could not do is tried again, then graded ``infra``; never raises.

    What a reply makes a program do is never a fault of the sandbox: a fault says nothing about it.
    """
    grade = Grade(outcome=Outcome.INFRA, reason="not graded")
    for wait in (0.0, *_PATIENCE):
        await asyncio.sleep(wait)
        try:
            grade = await grader.grade(problem, reply, hide=hide)
        except Exception as error:  # anything: a rollout that cannot be graded is masked, training goes on
            grade = Grade(outcome=Outcome.INFRA, reason=f"{type(error).__name__}: {error}")
        if grade.scored:
            return grade
    return grade
