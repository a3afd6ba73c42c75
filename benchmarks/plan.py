"""What a large run needs: ``python -m code_envs.benchmarks.plan --gpus 8 --gpus 64 --run runs/pilot``.

Costs of one chain are measured: tokens, drafts and bytes on a pilot run (``--run``), CPU seconds of the
trusted side and the sandbox on this machine. How many tokens a GPU reads and writes each second is
for the reader to put in. Nothing else is assumed but that engines and workers are kept busy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer

from code_envs.commands.output import AsJson, print_json, show_table
from code_envs.executor import Executor
from code_envs.generation import CHAINS, load_config
from code_envs.models import RESPONSES, usage_of
from code_envs.modes import grade_batch, prompt, validate
from code_envs.problem import Mode, load_chains
from code_envs.students import make_student
from code_envs.teacher import make_teacher

__all__ = ["Cost", "Plan", "Speed", "main", "measure_cpu", "plan", "read_cost"]

_TICKS = os.sysconf("SC_CLK_TCK")


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one chain costs. The defaults are round numbers for a reasoning model in the role of both.

    Attributes:
        teacher_read: Tokens that the teacher reads, over all drafts.
        teacher_written: Tokens that it writes, thinking included.
        student_read: Tokens that the student reads, over all attempts.
        student_written: Tokens that it writes.
        cpu_seconds: CPU seconds to validate drafts and grade attempts.
        chain_bytes: Bytes of the chain in ``chains.jsonl``.
        reply_bytes: Bytes of its replies in ``responses.sqlite``.
        seconds: How long a chain takes from its first request to its last reply.
    """

    teacher_read: float = 6 * 1.5 * 2500
    teacher_written: float = 6 * 1.5 * 6000
    student_read: float = 6 * 32 * 600
    student_written: float = 6 * 32 * 1000
    cpu_seconds: float = 6.0
    chain_bytes: float = 60_000
    reply_bytes: float = 1_000_000
    seconds: float = 900.0


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens each second of one GPU under full batches: assumptions, to be replaced by one's own.

    Attributes:
        read: Tokens read (prefill; repeated prompts count less, see ``cached``).
        written: Tokens written (decode), over the whole batch.
        cached: Share of the student's tokens to read that prefix caching saves.
    """

    read: float = 20_000.0
    written: float = 3_000.0
    cached: float = 0.9


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run needs on some GPUs.

    Attributes:
        gpus: GPUs.
        days: How long it takes.
        chains_per_second: How many chains finish.
        cpus: Cores that keep up with it.
        in_flight: Chains under way at a time, so that the GPUs are busy (Little's law).
        replies_per_second: What the store of replies must take.
    """

    gpus: int
    days: float
    chains_per_second: float
    cpus: float
    in_flight: float
    replies_per_second: float


def plan(chains: int, gpus: int, cost: Cost, speed: Speed, replies: float) -> Plan:
    """Compute what a run needs.

    Args:
        chains: How many chains.
        gpus: How many GPUs.
        cost: What a chain costs.
        speed: What a GPU does.
        replies: Replies of models for each chain.
    """
    read = cost.teacher_read + cost.student_read * (1 - speed.cached)
    gpu_seconds = read / speed.read + (cost.teacher_written + cost.student_written) / speed.written
    rate = gpus / gpu_seconds
    return Plan(
        gpus=gpus,
        days=chains / rate / 86_400,
        chains_per_second=rate,
        cpus=rate * cost.cpu_seconds,
        in_flight=rate * cost.seconds,
        replies_per_second=rate * replies,
    )


def read_cost(folder: Path, cost: Cost) -> tuple[Cost, float]:
    """Measure what the chains of a run with models have cost.

    Args:
        folder: The run.
        cost: Gives what a run does not tell: CPU seconds, and seconds of a chain.

    Returns:
        The costs of a mean chain, and replies for each.

    Raises:
        RunError: The folder holds no run.
    """
    load_config(folder)
    count = max(1, sum(1 for _ in load_chains(folder / CHAINS)))
    usage = {row.role: row for row in usage_of(folder / RESPONSES)}
    tokens = {
        f"{role}_{kind}": getattr(row, f"{name}_tokens") / count
        for role, row in usage.items()
        for kind, name in (("read", "prompt"), ("written", "completion"))
    }
    sizes = {
        "chain_bytes": (folder / CHAINS).stat().st_size / count,
        "reply_bytes": sum(path.stat().st_size for path in folder.glob(f"{RESPONSES}*")) / count,
    }
    return msgspec.structs.replace(cost, **tokens, **sizes), sum(row.calls for row in usage.values()) / count


def measure_cpu(attempts: int, problems: int = 6, seed: int = 0) -> tuple[float, float]:
    """Measure the CPU seconds of a chain: its drafts are validated, and its attempts graded, for real.

    Problems are those of the procedural teacher and attempts those of the search student, as many
    for each mode; making them is not counted. All processes of the sandbox are.

    Args:
        attempts: Attempts at each problem.
        problems: Problems of each mode to measure with.
        seed: Chooses them.

    Returns:
        CPU seconds to validate a draft and to grade the attempts at a problem, each the mean over modes
        of the median over problems; ``turns * (drafts * first + second)`` is a chain's.
    """
    validating, grading = [], []
    with Executor(workers=1) as executor, Executor(workers=1) as other:
        teacher, student = make_teacher("procedural", other), make_student("search", other)
        for number, mode in enumerate(Mode):
            costs = []
            for index in range(problems):
                problem = teacher.propose(np.random.default_rng([seed, number, index]), mode=mode, level=index % 10)
                replies = [reply for reply in student.answer([prompt(problem)] * attempts, seed=index) if reply]
                given = [(problem, reply) for reply in replies]
                checked = _cpu_of(partial(validate, problem, executor))
                costs.append((checked, _cpu_of(partial(grade_batch, given, executor))))
            validating.append(float(np.median([first for first, _ in costs])))
            grading.append(float(np.median([second for _, second in costs])))
    return float(np.mean(validating)), float(np.mean(grading))


def _cpu_of(work: Callable[[], object]) -> float:
    before = _tree_seconds()
    work()
    return _tree_seconds() - before


def _tree_seconds() -> float:
    """CPU seconds of this process and of all that it has started, those that have ended included."""
    rows = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            rows[int(entry.name)] = int(fields[1]), sum(int(field) for field in fields[11:15])
    total, found = 0, {os.getpid()}
    while found:
        total += sum(rows[pid][1] for pid in found if pid in rows)
        found = {pid for pid, (parent, _) in rows.items() if parent in found}
    return total / _TICKS


def main(
    *,
    gpus: Annotated[list[int], typer.Option("--gpus", min=1, help="GPUs; may be given again.")] = [8, 64, 256],  # noqa: B006
    chains: Annotated[int, typer.Option("--chains", min=1, help="How many chains.")] = 1_000_000,
    run: Annotated[
        Path | None, typer.Option("--run", help="A pilot run to take tokens, drafts and bytes from.")
    ] = None,
    turns: Annotated[int, typer.Option("--turns", min=1, help="Problems in a chain.")] = 6,
    drafts: Annotated[float, typer.Option("--drafts", help="Drafts for each problem, repairs included.")] = 1.5,
    attempts: Annotated[int, typer.Option("--attempts", min=1, help="Attempts at each problem.")] = 32,
    teacher_read: Annotated[float, typer.Option("--teacher-read", help="Tokens that a draft reads.")] = 2500,
    teacher_written: Annotated[float, typer.Option("--teacher-written", help="Tokens of a draft.")] = 6000,
    student_read: Annotated[float, typer.Option("--student-read", help="Tokens that an attempt reads.")] = 600,
    student_written: Annotated[float, typer.Option("--student-written", help="Tokens of an attempt.")] = 1000,
    seconds: Annotated[float, typer.Option("--seconds", help="How long a chain takes.")] = 900,
    read_speed: Annotated[float, typer.Option("--read-speed", help="Tokens a GPU reads each second.")] = 20_000,
    write_speed: Annotated[float, typer.Option("--write-speed", help="Tokens a GPU writes each second.")] = 3_000,
    cached: Annotated[float, typer.Option("--cached", help="Share of a student's prompt that is cached.")] = 0.9,
    as_json: AsJson = False,
) -> None:
    """Measure the CPU seconds of a chain here, and print what the run needs on so many GPUs."""
    validating, grading = measure_cpu(attempts)
    cost = Cost(
        teacher_read=turns * drafts * teacher_read,
        teacher_written=turns * drafts * teacher_written,
        student_read=turns * attempts * student_read,
        student_written=turns * attempts * student_written,
        cpu_seconds=turns * (drafts * validating + grading),
        chain_bytes=turns * 10_000.0,
        reply_bytes=4.5 * turns * (drafts * teacher_written + attempts * student_written),
        seconds=seconds,
    )
    replies = turns * (drafts + attempts)
    if run is not None:
        cost, replies = read_cost(run, cost)
    rows = [
        plan(chains, count, cost, Speed(read=read_speed, written=write_speed, cached=cached), replies) for count in gpus
    ]
    if as_json:
        print_json({"cost": cost, "replies": replies, "validating": validating, "grading": grading, "plans": rows})
        return
    _print(chains, cost, (validating, grading), rows)


def _print(chains: int, cost: Cost, measured: tuple[float, float], rows: Sequence[Plan]) -> None:
    print(f"CPU seconds: {measured[0]:.2f} to validate a draft, {measured[1]:.2f} to grade the attempts at a problem.")
    costs = [(name, f"{value:,.1f}") for name, value in msgspec.structs.asdict(cost).items()]
    show_table("A chain", ["what", ">each"], costs)
    gigabytes = [f"{size * chains / 1e9:,.0f} GB" for size in (cost.chain_bytes, cost.reply_bytes)]
    columns = [">GPUs", ">days", ">chains/s", ">CPU cores", ">chains in flight", ">replies/s"]
    show_table(
        f"{chains:,} chains: {gigabytes[0]} of chains, {gigabytes[1]} of replies",
        columns,
        [
            (
                row.gpus,
                f"{row.days:,.1f}",
                f"{row.chains_per_second:.2f}",
                f"{row.cpus:,.0f}",
                f"{row.in_flight:,.0f}",
                f"{row.replies_per_second:,.0f}",
            )
            for row in rows
        ],
    )


if __name__ == "__main__":
    typer.run(main)
