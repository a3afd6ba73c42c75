"""The public face of the sandbox."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import msgspec

from code_envs.errors import ConfigError, ExecutorClosed
from code_envs.executor import ladder, wire
from code_envs.executor.client import Zygote
from code_envs.executor.jobs import make_job, make_script
from code_envs.executor.pool import Batch, Pool
from code_envs.executor.recent import Recent, split
from code_envs.executor.types import Execution, Isolation, Job, Limits

__all__ = ["Executor", "shared_executor"]


class Executor:
    """Runs untrusted programs, each in a fresh and isolated process.

    Safe to use from many threads and event loops at once. A forked copy of the client starts
    processes of its own, and so does a pickled or copied executor: only the configuration travels.

    Args:
        workers: How many programs may run at once; one per available core if None.
        limits: What a program may use, unless a call says otherwise.
        min_isolation: Refuse to run below this level.
        allow_unsafe: Run even where nothing can protect the machine. Never do so with programs that
            a model wrote.
        remember: How many recent jobs to remember, so that the same job is run once: an identical one
            gets the same executions again, times included. With 0 each is run. Not for timing programs.
        python: The interpreter that runs the programs, 3.11 or newer, as a path or a command's name; the
            client's own if None.
        max_cpu_seconds: What a problem with a time limit of its own is granted at most; see :meth:`grant`.
        max_memory_mib: The same of memory.

    Raises:
        ConfigError: A setting is out of range.
    """

    def __init__(
        self,
        workers: int | None = None,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        min_isolation: Isolation = Isolation.SECCOMP,
        allow_unsafe: bool = False,
        *,
        remember: int = 0,
        python: str | None = None,
        max_cpu_seconds: float = 10.0,
        max_memory_mib: int = 1024,
        _level: Isolation | None = None,
    ) -> None:
        if workers is not None and workers < 1:
            raise ConfigError(f"workers is {workers}; give at least 1, or None for one per core.")
        if remember < 0:
            raise ConfigError(f"remember is {remember}; give the number of recent jobs to keep, or 0.")
        self.limits = wire.check_limits(limits)
        self.max_cpu_seconds, self.max_memory_mib = max_cpu_seconds, max_memory_mib
        self.grant(max_cpu_seconds, max_memory_mib)  # refuses what is out of range
        self.min_isolation, self.allow_unsafe = Isolation(min_isolation), allow_unsafe
        if self.min_isolation is Isolation.UNSAFE and not allow_unsafe:
            raise ConfigError("min_isolation 'unsafe' protects nothing; to accept that, give allow_unsafe=True.")
        self.python = _find_interpreter(python)
        self._configured_workers, self._level = workers, _level
        self.workers = workers or _available_cores()
        self._isolation: Isolation | None = None
        self._version = ""
        self._pool, self._recent = Pool(self.workers), Recent(remember)
        self._threads: ThreadPoolExecutor | None = None
        self._lock, self._start_lock = threading.Lock(), threading.Lock()
        self._finalizer = weakref.finalize(self, self._pool.close)
        _live.add(self)

    def grant(self, cpu_seconds: float = 0.0, memory_mib: int = 0) -> Limits:
        """The executor's limits with others for time and memory, as a problem asks for them.

        No more is granted than ``max_cpu_seconds`` and ``max_memory_mib``, or than any program gets
        anyway where that is more. Wall-clock time grows with CPU time.

        Args:
            cpu_seconds: CPU time; the executor's own limit if 0.
            memory_mib: Memory; the executor's own limit if 0.

        Raises:
            ConfigError: A limit is out of range.
        """
        own = self.limits
        cpu_seconds = min(cpu_seconds or own.cpu_seconds, max(self.max_cpu_seconds, own.cpu_seconds))
        memory_mib = min(memory_mib or own.memory_mib, max(self.max_memory_mib, own.memory_mib))
        wall_seconds = own.wall_seconds * max(1.0, cpu_seconds / own.cpu_seconds)
        granted = {"cpu_seconds": cpu_seconds, "wall_seconds": wall_seconds, "memory_mib": memory_mib}
        return wire.check_limits(msgspec.structs.replace(own, **granted))

    def run(
        self,
        program: str,
        entry: str,
        calls: Sequence[Sequence[object]],
        limits: Limits | None = None,
        seed: int = 0,
        *,
        variant: int = 0,
        coerce: bool = False,
        isolate_calls: bool = False,
    ) -> list[Execution]:
        """Run one program and make calls into it.

        Args:
            program: Python source.
            entry: The name of the function to call.
            calls: The arguments of each call, literal values.
            limits: What the program may use, over all calls together.
            seed: Seeds ``random`` in the program's process.
            variant: 0 for grading; others have another hash seed, address layout and clock.
            coerce: Take results of a subclass as their base type.
            isolate_calls: Make each call in a fresh process, under limits of its own, so that none sees
                what another left behind or is to be called with. Costs a process for each call.

        Returns:
            One execution per call.

        Raises:
            ValueRefused: An argument is not a literal value.
            ConfigError: A limit is out of range, or the entry is empty.
            IsolationUnavailable: This machine cannot protect a run as demanded.
            ExecutorClosed: The executor is closed.
            ExecutorError: No sandbox process can be started, or there are too many calls.
        """
        options = {"limits": limits, "seed": seed, "variant": variant}
        job = make_job(program, entry, calls, coerce=coerce, isolate_calls=isolate_calls, **options)
        return self.run_jobs([job])[0]

    def run_script(
        self,
        program: str,
        stdins: Sequence[str | bytes],
        limits: Limits | None = None,
        seed: int = 0,
        *,
        variant: int = 0,
    ) -> list[Execution]:
        """Run a whole program as ``__main__`` on texts at its standard input, each in a fresh process.

        Descriptors 0, 1 and 2 are real. A script passes (``ok``) if it ends with exit status 0; its
        ``stdout`` is its result. See :func:`code_envs.outputs.same_output` for comparing it.

        Args:
            program: Python source.
            stdins: What the program reads, one for each run; at most 8 MiB.
            limits: What each run may use.
            seed: Seeds ``random``.
            variant: 0 for grading; others have another hash seed, address layout and clock.

        Returns:
            One execution per text.

        Raises:
            ValueRefused: A text is neither ``str`` nor ``bytes``, or it is too long.
            ConfigError: A limit is out of range.
            IsolationUnavailable: This machine cannot protect a run as demanded.
            ExecutorClosed: The executor is closed.
            ExecutorError: No sandbox process can be started.
        """
        return self.run_jobs([make_script(program, stdins, limits=limits, seed=seed, variant=variant)])[0]

    def run_jobs(self, jobs: Sequence[Job]) -> list[list[Execution]]:
        """Run many jobs in parallel over the workers.

        Args:
            jobs: What to run.

        Returns:
            One list of executions per job, in the order of the jobs.

        Raises:
            ConfigError: A limit is out of range.
            IsolationUnavailable: This machine cannot protect a run as demanded.
            ExecutorClosed: The executor is closed.
            ExecutorError: No sandbox process can be started, or a job has too many calls.
        """
        for job in jobs:
            wire.check_job(job)
        pieces, _ = split(jobs), self.isolation  # a closed executor remembers nothing
        done = iter(self._recent.run(pieces, self.limits, self._run_pieces))
        if len(pieces) == len(jobs):
            return list(done)
        return [_gather(job, done) for job in jobs]

    def _run_pieces(self, jobs: Sequence[Job]) -> list[list[Execution]]:
        return Batch(self._pool, self.isolation, jobs, self.limits, self.python).run()

    async def arun(
        self,
        program: str,
        entry: str,
        calls: Sequence[Sequence[object]],
        limits: Limits | None = None,
        seed: int = 0,
        *,
        variant: int = 0,
        coerce: bool = False,
        isolate_calls: bool = False,
    ) -> list[Execution]:
        """Do what :meth:`run` does, without blocking the event loop."""
        options = {"limits": limits, "seed": seed, "variant": variant}
        job = make_job(program, entry, calls, coerce=coerce, isolate_calls=isolate_calls, **options)
        return (await self.arun_jobs([job]))[0]

    async def arun_script(
        self,
        program: str,
        stdins: Sequence[str | bytes],
        limits: Limits | None = None,
        seed: int = 0,
        *,
        variant: int = 0,
    ) -> list[Execution]:
        """Do what :meth:`run_script` does, without blocking the event loop."""
        job = make_script(program, stdins, limits=limits, seed=seed, variant=variant)
        return (await self.arun_jobs([job]))[0]

    async def arun_jobs(self, jobs: Sequence[Job]) -> list[list[Execution]]:
        """Do what :meth:`run_jobs` does, without blocking the event loop.

        A cancelled wait leaves a run that has begun to its limits; its result is dropped.
        """
        with self._lock:
            if self._pool.closed:
                raise ExecutorClosed("The executor is closed; make a new one.")
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="code-envs-executor")
            threads = self._threads
        return await asyncio.get_running_loop().run_in_executor(threads, self.run_jobs, jobs)

    @property
    def isolation(self) -> Isolation:
        """The level in force; finding it out starts the first process.

        Raises:
            IsolationUnavailable: This machine cannot protect a run as demanded.
            ExecutorClosed: The executor is closed.
        """
        with self._start_lock:
            if self._pool.closed:
                raise ExecutorClosed("The executor is closed; make a new one.")
            if self._isolation is None:
                zygote = self._first_zygote()
                self._pool.adopt(zygote)
                self._isolation, self._version = zygote.isolation, zygote.version
            return self._isolation

    @property
    def python_version(self) -> str:
        """The version of the interpreter that runs the programs, such as ``3.12.1``; starts it if need be.

        Raises:
            IsolationUnavailable: This machine cannot protect a run as demanded.
            ExecutorClosed: The executor is closed.
        """
        assert self.isolation
        return self._version

    def _first_zygote(self) -> Zygote:
        if self._level is not None:
            ladder.check_platform()
            return ladder.start(self._level, self.python)
        return ladder.establish(self.min_isolation, self.allow_unsafe, self.python)

    def close(self) -> None:
        """End every process; a run in flight ends with ``ExecutorClosed``. Closing twice is fine."""
        self._finalizer()
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        settings = (self._configured_workers, self.limits, self.min_isolation, self.allow_unsafe)
        options: dict[str, Any] = {"max_cpu_seconds": self.max_cpu_seconds, "max_memory_mib": self.max_memory_mib}
        options |= {"remember": self._recent.size, "python": self.python or None, "_level": self._level}
        return _rebuild, (settings, options)

    def __repr__(self) -> str:
        level = "closed" if self._pool.closed else self._isolation or "not started"
        return f"Executor(workers={self.workers}, isolation={level})"

    def _forget(self) -> None:
        """Start anew in a forked copy of the client."""
        self._lock, self._start_lock = threading.Lock(), threading.Lock()
        self._pool.abandon()
        self._recent = Recent(self._recent.size)
        self._isolation, self._threads = None, None


def _rebuild(settings: Any, options: Any) -> Executor:
    return Executor(*settings, **options)


def _find_interpreter(python: str | None) -> str:
    """Return the full path of an interpreter; empty for the client's own.

    Raises:
        ConfigError: There is no such program, or it is not a Python that the sandbox runs under.
    """
    if not python:
        return ""
    found = shutil.which(python)
    if found is None:
        raise ConfigError(f"python is {python!r}, which is not a program here; give the path of Python 3.11 or newer.")
    ask = [found, "-I", "-S", "-c", "import sys; print(sys.version_info >= (3, 11))"]
    if subprocess.run(ask, capture_output=True, check=False).stdout.strip() != b"True":
        raise ConfigError(f"python is {python!r}, which is not Python 3.11 or newer.")
    return os.path.abspath(found)  # noqa: PTH100  # not resolved: a link of a virtual environment says which one


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gather(job: Job, done: Iterator[list[Execution]]) -> list[Execution]:
    """Put the executions of a job's pieces together."""
    if not (job.is_script or job.isolate_calls):
        return next(done)
    return [next(done)[0] for _ in job.calls]


_REMEMBERED = 1024
_live: weakref.WeakSet[Executor] = weakref.WeakSet()
_shared: Executor | None = None
_shared_lock = threading.Lock()


def shared_executor() -> Executor:
    """Return the executor of this process, made on first use and closed at exit.

    Returns:
        One executor with the default settings that remembers recent jobs; a new one if the last was closed.
    """
    global _shared
    with _shared_lock:
        if _shared is None or _shared._pool.closed:
            _shared = Executor(remember=_REMEMBERED)
        return _shared


def _after_fork() -> None:
    global _shared_lock
    _shared_lock = threading.Lock()
    for executor in list(_live):
        executor._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
