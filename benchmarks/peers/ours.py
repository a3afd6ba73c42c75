"""The executor itself, at the strongest level that this machine gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from code_envs.benchmarks.peers.shape import Pass, Peer, Task, closed_loop
from code_envs.codec import encode
from code_envs.executor import Execution, Executor, Job

__all__ = ["batch", "isolated", "one_by_one", "remembered"]


@contextmanager
def one_by_one(tasks: Sequence[Task], workers: int) -> Iterator[Peer]:
    """``Executor.run``, each worker with a thread that waits for it."""
    wanted = _encode_expected(tasks)
    with Executor(workers) as executor:

        def run(index: int) -> bool:
            task = tasks[index]
            return _values(executor.run(task.program, "f", task.calls)) == wanted[index]

        yield Peer(lambda chosen: closed_loop(run, chosen, workers), executor.isolation.value)


@contextmanager
def batch(tasks: Sequence[Task], workers: int) -> Iterator[Peer]:
    """``Executor.run_jobs`` with all programs at once, as groups of replies are graded."""
    with Executor(workers) as executor:
        yield _run_batches(executor, tasks, isolate_calls=False)


@contextmanager
def isolated(tasks: Sequence[Task], workers: int) -> Iterator[Peer]:
    """The same with a fresh process for each call."""
    with Executor(workers) as executor:
        yield _run_batches(executor, tasks, isolate_calls=True)


@contextmanager
def remembered(tasks: Sequence[Task], workers: int) -> Iterator[Peer]:
    """The same where every program was run not long ago."""
    with Executor(workers, remember=len(tasks)) as executor:
        peer = _run_batches(executor, tasks, isolate_calls=False)
        peer.run(range(len(tasks)))
        yield peer


def _run_batches(executor: Executor, tasks: Sequence[Task], *, isolate_calls: bool) -> Peer:
    wanted = _encode_expected(tasks)

    def run(chosen: Sequence[int]) -> Pass:
        jobs = [_job(tasks[index], isolate_calls) for index in chosen]
        done = executor.run_jobs(jobs)
        return Pass([_values(own) == wanted[index] for own, index in zip(done, chosen, strict=True)], [])

    return Peer(run, executor.isolation.value)


def _job(task: Task, isolate_calls: bool) -> Job:
    calls = [encode(call, ordered=True) for call in task.calls]
    return Job(program=task.program, entry="f", calls=calls, isolate_calls=isolate_calls)


def _encode_expected(tasks: Sequence[Task]) -> list[list[bytes]]:
    return [[encode(value) for value in task.expected] for task in tasks]


def _values(done: Sequence[Execution]) -> list[bytes]:
    return [execution.value for execution in done]
