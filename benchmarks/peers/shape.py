"""What a peer is given and what it gives back. Standard library only."""

from __future__ import annotations

import ast
import itertools
import json
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

__all__ = ["Opener", "Pass", "Peer", "Task", "closed_loop", "load_tasks", "script_of"]


class Task(NamedTuple):
    """One item of the workload, with its literals read: the text and the values."""

    program: str
    calls: list[tuple[object, ...]]
    expected: list[object]
    call_texts: list[str]
    expected_texts: list[str]


class Pass(NamedTuple):
    """One pass over some tasks: whether each is right, and the seconds that each took (none for a batch)."""

    passed: list[bool]
    latencies: list[float]


class Peer(NamedTuple):
    """A peer that is ready: runs the tasks with these indices; ``note`` says what protects the machine."""

    run: Callable[[Sequence[int]], Pass]
    note: str = ""


Opener = Callable[[Sequence[Task], int], AbstractContextManager[Peer]]


def load_tasks(path: Path) -> list[Task]:
    """Read a workload."""
    return [
        Task(
            program=item["program"],
            calls=[ast.literal_eval(text) for text in item["calls"]],
            expected=[ast.literal_eval(text) for text in item["expected"]],
            call_texts=item["calls"],
            expected_texts=item["expected"],
        )
        for item in json.loads(path.read_text())
    ]


def script_of(task: Task) -> tuple[str, str]:
    """Write a task as a script that prints the results of its calls.

    Returns:
        The script, and what it prints if the program is right.
    """
    calls = ", ".join(f"f(*{text})" for text in task.call_texts)
    return f"{task.program}\n\nprint([{calls}])\n", f"[{', '.join(task.expected_texts)}]\n"


def closed_loop(run: Callable[[int], bool], chosen: Sequence[int], workers: int) -> Pass:
    """Let each worker run one task after the other, and time each."""
    passed, latencies = [False] * len(chosen), [0.0] * len(chosen)
    places = itertools.count()

    def work() -> None:
        while (place := next(places)) < len(chosen):
            start = time.perf_counter()
            passed[place] = run(chosen[place])
            latencies[place] = time.perf_counter() - start

    threads = [threading.Thread(target=work) for _ in range(workers)] if workers > 1 else []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not threads:
        work()
    return Pass(passed, latencies)
