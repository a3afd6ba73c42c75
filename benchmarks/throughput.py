"""How fast replies become grades: ``python -m code_envs.benchmarks.throughput``.

For each mode a batch of gold replies, wrapped in prose, goes the whole way of
:func:`code_envs.modes.grade_batch`: read, run, judge. Gold answers are the slow ones, since every
hidden case is run. Equal answers are not merged here, so that each reply costs what a new one does.

Then groups of replies to one problem go through :func:`code_envs.modes.grade_many`, as a trainer
calls it: see :mod:`.groups`.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer

from code_envs.benchmarks.groups import GroupSpeed, measure_groups
from code_envs.errors import ConfigError
from code_envs.executor import Executor
from code_envs.modes import rules
from code_envs.problem import Mode, Problem, load_problems
from code_envs.teacher import LEVELS, make_teacher

__all__ = ["STEPS", "Speed", "main", "measure_speed", "sample_problems"]

STEPS = ("read", "prepare", "client", "sandbox", "judge")
_GROUPS = [(size, repeats) for size in (8, 16, 32) for repeats in (False, True)]


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """What one mode reached with some workers.

    Attributes:
        mode: The mode.
        workers: Programs at once.
        replies: Replies in a batch.
        rounds: Batches that were timed.
        replies_per_second: The median over the rounds.
        slowest: The lowest of the rounds, in replies per second.
        fastest: The highest.
        read: The share of the time that reading replies takes, in [0, 1].
        prepare: The share of making jobs of the answers.
        client: The share of packing jobs, handing them over and unpacking what comes back.
        sandbox: The share of waiting for the sandbox.
        judge: The share of deciding.
    """

    mode: str
    workers: int
    replies: int
    rounds: int
    replies_per_second: float
    slowest: float
    fastest: float
    read: float
    prepare: float
    client: float
    sandbox: float
    judge: float


def sample_problems(count: int, seed: int = 0) -> list[Problem]:
    """Make problems of the procedural teacher, ``count`` of each mode, spread over the levels."""
    teacher = make_teacher("procedural")
    return [
        teacher.propose(np.random.default_rng([seed, place, number]), number * LEVELS // count, mode)
        for place, mode in enumerate(Mode)
        for number in range(count)
    ]


def measure_speed(problems: Sequence[Problem], replies: int, rounds: int, executor: Executor) -> Speed:
    """Time the way from reply to grade.

    Args:
        problems: Problems of one mode.
        replies: Replies in a batch, spread over the problems.
        rounds: How many batches to time, after one that is not.
        executor: The sandbox.

    Raises:
        ConfigError: There is no problem, or a gold answer does not pass: the figures would mean nothing.
    """
    if not problems:
        raise ConfigError("there is no problem of this mode to measure with")
    asked = [problems[index % len(problems)] for index in range(replies)]
    gold = [f"Let me think about attempt {i}.\n\n{rules(p.mode).gold(p)}\n\nDone." for i, p in enumerate(asked)]
    times = [_one_round(asked, gold, executor) for _ in range(rounds + 1)][1:]
    totals = [sum(steps) for steps in times]
    speeds = [replies / total for total in totals]
    shares = {name: statistics.median(steps[at] / sum(steps) for steps in times) for at, name in enumerate(STEPS)}
    return Speed(
        mode=problems[0].mode,
        workers=executor.workers,
        replies=replies,
        rounds=rounds,
        replies_per_second=statistics.median(speeds),
        slowest=min(speeds),
        fastest=max(speeds),
        **shares,
    )


def _one_round(problems: Sequence[Problem], replies: Sequence[str], executor: Executor) -> tuple[float, ...]:
    """Seconds of each of ``STEPS`` for one batch."""
    own = rules(problems[0].mode)
    start = time.perf_counter()
    answers = [own.read(problem, reply) for problem, reply in zip(problems, replies, strict=True)]
    read = time.perf_counter()
    jobs = [own.jobs(problem, answer) for problem, answer in zip(problems, answers, strict=True)]
    flat = [job for its in jobs for job in its]
    prepared, busy = time.perf_counter(), time.thread_time()
    done = iter(executor.run_jobs(flat) if flat else [])
    busy = time.thread_time() - busy  # one thread does all of the client's work, and waits otherwise
    ran = time.perf_counter()
    executions = [[next(done) for _ in its] for its in jobs]
    grades = [own.judge(*each) for each in zip(problems, answers, executions, strict=True)]
    judged = time.perf_counter()
    for problem, grade in zip(problems, grades, strict=True):
        if not grade.passed:
            raise ConfigError(f"the gold answer of problem {problem.key} is graded {grade.outcome}: {grade.reason}")
    return read - start, prepared - read, busy, max(0.0, ran - prepared - busy), judged - ran


def main(
    *,
    problems: Annotated[Path | None, typer.Option("--problems", help="JSON lines; made if not given.")] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="Problems of each mode to make.")] = 8,
    replies: Annotated[int, typer.Option("--replies", min=1, help="Replies in a batch.")] = 128,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Batches to time.")] = 5,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which problems are made.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure how fast replies become grades, with one worker and with one per core."""
    found = list(load_problems(problems)) if problems else sample_problems(count, seed)
    rows: list[Speed] = []
    groups: list[GroupSpeed] = []
    for workers in sorted({1, len(os.sched_getaffinity(0))}):
        with Executor(workers=workers) as executor:
            for mode in sorted({problem.mode for problem in found}, key=list(Mode).index):
                own = [problem for problem in found if problem.mode == mode]
                rows.append(measure_speed(own, replies, rounds, executor))
                groups += [measure_groups(own, size, repeats, rounds, executor) for size, repeats in _GROUPS]
            isolation = executor.isolation
    machine = {"python": platform.python_version(), "machine": platform.machine(), "isolation": str(isolation)}
    if as_json:
        document = {**machine, "rows": rows, "groups": groups}
        print(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
    else:
        _print_rows(rows, ", ".join(machine.values()))
        _print_groups(groups)


def _print_rows(rows: Sequence[Speed], machine: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    title = f"From reply to grade, {rows[0].replies} replies at once, median of {rows[0].rounds} rounds ({machine})"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("mode")
    for name in ("workers", "replies/s", "slowest – fastest", *STEPS):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.mode,
            str(row.workers),
            f"{row.replies_per_second:,.0f}",
            f"{row.slowest:,.0f} – {row.fastest:,.0f}",
            *(f"{getattr(row, step):.0%}" for step in STEPS),
        )
    Console(width=None if os.isatty(1) else 140).print(table)


def _print_groups(groups: Sequence[GroupSpeed]) -> None:
    """One line for each mode and size; a column for each number of workers and kind of group."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    title = "grade_many: replies to one problem per second, distinct or with repeats (low – high)"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    lines: dict[tuple[str, int], dict[str, str]] = {}
    for row in groups:
        kind = "repeats" if row.repeats else "distinct"
        line = lines.setdefault((row.mode, row.size), {"mode": row.mode, "group": str(row.size)})
        if row.repeats:
            line["answers in repeats"] = f"{row.distinct:.1f}"
        speeds = f"{row.replies_per_second:,.0f} ({row.slowest:,.0f} – {row.fastest:,.0f})"
        line[f"{kind}, {row.workers} worker{'s' if row.workers > 1 else ''}"] = speeds
    for name in next(iter(lines.values())):
        table.add_column(name, justify="left" if name == "mode" else "right")
    for line in lines.values():
        table.add_row(*line.values())
    Console(width=None if os.isatty(1) else 160).print(table)


if __name__ == "__main__":
    typer.run(main)
