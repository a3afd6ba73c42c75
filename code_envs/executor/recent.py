"""Identical work is done once: jobs in flight are shared, and recent results are remembered.

Two jobs are identical if program, entry, calls, seed, variant and limits are. What is remembered lies
in the client alone and is found by a cryptographic digest, so no program can see or choose it. Only
what a program did by itself is remembered: what depends on the machine's load (time, memory, a fault
of the sandbox) is found out anew.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future

import msgspec

from code_envs.executor import wire
from code_envs.executor.types import Execution, Job, Limits, Status

__all__ = ["Recent", "split"]

_Done = list[Execution]
_BY_LOAD = {Status.CPU, Status.WALL, Status.MEMORY, Status.INFRA}
_MAX_BYTES = 64 << 10  # of one job's results that are remembered


def split(jobs: Iterable[Job]) -> list[Job]:
    """Make a job for each call of scripts and of jobs that isolate their calls, in order."""
    return [
        piece
        for job in jobs
        for piece in (
            [msgspec.structs.replace(job, calls=[call]) for call in job.calls]
            if job.is_script or job.isolate_calls
            else [job]
        )
    ]


class Recent:
    """Shares work between threads, and remembers results.

    Args:
        size: How many jobs to remember; 0 runs each job afresh, in flight too.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, _Done] = OrderedDict()
        self._flying: dict[bytes, Future[_Done | None]] = {}

    def run(self, jobs: Sequence[Job], limits: Limits, work: Callable[[Sequence[Job]], list[_Done]]) -> list[_Done]:
        """Run jobs, each different one at most once.

        Args:
            jobs: What to run.
            limits: For jobs without limits of their own.
            work: Runs those that nobody has run or is running.

        Returns:
            One list of executions per job, in order.
        """
        if not self.size:
            return work(jobs)
        keys = [wire.fingerprint(job, job.limits or limits) for job in jobs]
        wanted = dict(zip(keys, jobs, strict=True))
        done: dict[bytes, _Done] = {}
        while left := {key: job for key, job in wanted.items() if key not in done}:
            mine, others = self._claim(left, done)
            self._work(mine, done, work)
            for key, future in others.items():  # only now: who waits has no work that another waits for
                result = future.result()
                if result is not None:
                    done[key] = result
        return [done[key] for key in keys]

    def _claim(
        self, jobs: dict[bytes, Job], done: dict[bytes, _Done]
    ) -> tuple[dict[bytes, Job], dict[bytes, Future[_Done | None]]]:
        """Take what is known into ``done``; of the rest, tell own work and work of other threads apart."""
        mine, others = {}, {}
        with self._lock:
            for key, job in jobs.items():
                if key in self._known:
                    self._known.move_to_end(key)
                    done[key] = self._known[key]
                elif key in self._flying:
                    others[key] = self._flying[key]
                else:
                    mine[key], self._flying[key] = job, Future()
        return mine, others

    def _work(
        self, mine: dict[bytes, Job], done: dict[bytes, _Done], work: Callable[[Sequence[Job]], list[_Done]]
    ) -> None:
        fresh: dict[bytes, _Done] = {}
        try:
            if mine:
                fresh = dict(zip(mine, work(list(mine.values())), strict=True))
        finally:
            with self._lock:
                for key in mine:
                    result = fresh.get(key)
                    shared = result is not None and all(run.status is not Status.INFRA for run in result)
                    self._flying.pop(key).set_result(result if shared else None)
                self._remember(fresh)
        done.update(fresh)

    def _remember(self, fresh: dict[bytes, _Done]) -> None:
        for key, result in fresh.items():
            size = sum(len(run.value) + len(run.stdout) for run in result)
            if size <= _MAX_BYTES and not any(run.status in _BY_LOAD for run in result):
                self._known[key] = result
        while len(self._known) > self.size:
            self._known.popitem(last=False)
