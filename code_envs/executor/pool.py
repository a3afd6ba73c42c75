"""Slots, zygotes and the loop that runs many jobs over them.

A slot is the right to run one job at a time. It owns one zygote per variant, and beside it a lean one
for programs that import little, each started when first needed. Slots go to waiting threads in the
order in which they asked.
"""

from __future__ import annotations

import select
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future

from code_envs.errors import ExecutorClosed, ExecutorError, IsolationUnavailable
from code_envs.executor import wire
from code_envs.executor.client import Zygote, ZygoteDied
from code_envs.executor.frame import MAX_REQUEST
from code_envs.executor.preload import is_lean
from code_envs.executor.types import Execution, Isolation, Job, Limits, Status

__all__ = ["Batch", "Pool", "Slot"]

Kind = tuple[int, bool]  # of a zygote: its variant, and whether it is lean
_ATTEMPTS = 2
_CLOSE_SECONDS = 10.0


class Slot:
    """The right to run one job at a time."""

    def __init__(self) -> None:
        self.zygotes: dict[Kind, Zygote] = {}

    def close(self) -> None:
        """End the zygotes."""
        while self.zygotes:
            self.zygotes.popitem()[1].close()

    def abandon(self) -> None:
        """Let go, in a forked copy of the client, of the zygotes of the original."""
        while self.zygotes:
            self.zygotes.popitem()[1].abandon()


class Pool:
    """A fixed number of slots, lent to any number of threads.

    Args:
        size: How many jobs may run at once.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._reset()

    def _reset(self) -> None:
        self.closed = False
        self._slots = [Slot() for _ in range(self.size)]
        self._free = list(self._slots)
        self._waiting: deque[Future[Slot]] = deque()
        self._changed = threading.Condition()

    def adopt(self, zygote: Zygote) -> None:
        """Give a fresh pool a lean zygote that runs already."""
        self._free[-1].zygotes[0, True] = zygote

    def acquire(self, wait: bool) -> Slot | None:
        """Take a slot.

        Args:
            wait: Wait for one; otherwise return None where none is free or others wait.

        Raises:
            ExecutorClosed: The pool is closed, or was while waiting.
        """
        with self._changed:
            if self.closed:
                raise ExecutorClosed("The executor is closed; make a new one.")
            if self._free and not self._waiting:
                return self._free.pop()
            if not wait:
                return None
            ticket: Future[Slot] = Future()
            self._waiting.append(ticket)
        try:
            return ticket.result()
        except BaseException:
            self._withdraw(ticket)
            raise

    def _withdraw(self, ticket: Future[Slot]) -> None:
        with self._changed:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
        if ticket.done() and ticket.exception() is None:
            self.release(ticket.result())

    def release(self, slot: Slot) -> None:
        """Give a slot back, to the one that has waited longest."""
        with self._changed:
            if self._waiting:
                self._waiting.popleft().set_result(slot)
                return
            if self.closed:
                slot.close()
            self._free.append(slot)
            self._changed.notify_all()

    def close(self) -> None:
        """End every zygote; runs in flight end with ``ExecutorClosed``."""
        with self._changed:
            if self.closed:
                return
            self.closed = True
            while self._waiting:
                self._waiting.popleft().set_exception(ExecutorClosed("The executor was closed while a run waited."))
            for slot in self._slots:
                for zygote in list(slot.zygotes.values()):
                    zygote.kill()
            for slot in self._free:
                slot.close()
            self._changed.wait_for(lambda: len(self._free) == self.size, _CLOSE_SECONDS)

    def abandon(self) -> None:
        """Forget, in a forked copy of the client, everything that belongs to the original."""
        for slot in self._slots:
            slot.abandon()
        closed = self.closed
        self._reset()
        self.closed = closed


class _Run:
    """One job on one slot."""

    def __init__(self, slot: Slot, kind: Kind, zygote: Zygote, index: int) -> None:
        self.slot, self.kind, self.zygote, self.index = slot, kind, zygote, index


class Batch:
    """Runs jobs over as many slots as are free, from the calling thread alone.

    Args:
        pool: Where the slots come from.
        isolation: The level of new zygotes.
        jobs: What to run.
        limits: For jobs without limits of their own.
        python: The interpreter of new zygotes; this one if empty.
    """

    def __init__(self, pool: Pool, isolation: Isolation, jobs: Sequence[Job], limits: Limits, python: str = "") -> None:
        self.pool, self.isolation, self.jobs, self.limits, self.python = pool, isolation, jobs, limits, python
        self.results: list[list[Execution]] = [[] for _ in jobs]
        self._queue = deque(index for index, job in enumerate(jobs) if job.calls)
        self._failures: dict[int, int] = {}
        self._active: dict[int, _Run] = {}
        self._poll = select.poll()

    def run(self) -> list[list[Execution]]:
        """Run everything.

        Returns:
            One list of executions per job, in the order of the jobs.

        Raises:
            ExecutorClosed: The pool was closed meanwhile.
        """
        try:
            while self._queue or self._active:
                self._fill()
                self._wait()
        finally:
            for run in list(self._active.values()):  # only after an exception
                self._discard(run)
        return self.results

    def _fill(self) -> None:
        while self._queue:
            slot = self.pool.acquire(wait=not self._active)
            if slot is None:
                return
            try:
                self._start(slot, self._queue.popleft())
            except BaseException:
                self.pool.release(slot)
                raise

    def _start(self, slot: Slot, index: int) -> None:
        job = self.jobs[index]
        kind = job.variant, is_lean(job.program)
        zygote = slot.zygotes.get(kind)
        if zygote is None:
            try:
                zygote = slot.zygotes[kind] = Zygote(self.isolation, kind[0], lean=kind[1], python=self.python)
            except OSError as error:
                raise ExecutorError(f"No sandbox process can be started: {error}.") from error
            if self.pool.closed:  # before it could be seen and ended
                raise ExecutorClosed("The executor was closed while a run began.")
        run = _Run(slot, kind, zygote, index)
        self._active[zygote.fileno()] = run
        self._poll.register(zygote.fileno(), select.POLLIN)
        if zygote.ready:
            self._submit(run)

    def _submit(self, run: _Run) -> None:
        job = self.jobs[run.index]
        limits = job.limits or self.limits
        request = wire.pack(job, limits)
        if len(request) > MAX_REQUEST:
            message = f"program and arguments take {len(request)} bytes; the bound is {MAX_REQUEST}"
            self._finish(run, wire.failed(job, Status.TOO_LARGE, message, self.isolation))
            return
        try:
            run.zygote.submit(job, request, limits)
        except ZygoteDied:
            self._fail(run, "the sandbox ended")

    def _wait(self) -> None:
        if not self._active:
            return
        left = min(run.zygote.deadline for run in self._active.values()) - time.monotonic()
        for descriptor, _ in self._poll.poll(max(0.0, left) * 1000):
            self._advance(self._active[descriptor])
        now = time.monotonic()
        for run in [run for run in self._active.values() if run.zygote.deadline < now]:
            self._fail(run, "the sandbox did not answer")

    def _advance(self, run: _Run) -> None:
        try:
            if not run.zygote.ready:
                run.zygote.finish_start()
                self._submit(run)
                return
            done = run.zygote.collect()
        except ZygoteDied:
            self._fail(run, "the sandbox ended")
        except IsolationUnavailable as error:
            self._fail(run, f"the sandbox could not start: {error}")
        else:
            if done is None:
                self._fail(run, "the sandbox could not set up the run")
            else:
                self._finish(run, done)

    def _leave(self, run: _Run) -> None:
        del self._active[run.zygote.fileno()]
        self._poll.unregister(run.zygote.fileno())

    def _finish(self, run: _Run, done: list[Execution]) -> None:
        self._leave(run)
        self.results[run.index] = done
        self.pool.release(run.slot)

    def _discard(self, run: _Run) -> None:
        """Give the slot back without its zygote, whose state is unknown."""
        self._leave(run)
        run.slot.zygotes.pop(run.kind).close()
        self.pool.release(run.slot)

    def _fail(self, run: _Run, reason: str) -> None:
        """Try a job again on a fresh zygote; after that the sandbox is to blame, not the program."""
        self._discard(run)
        failures = self._failures[run.index] = self._failures.get(run.index, 0) + 1
        if failures < _ATTEMPTS:
            self._queue.appendleft(run.index)
        else:
            self.results[run.index] = wire.failed(self.jobs[run.index], Status.INFRA, reason, self.isolation)
