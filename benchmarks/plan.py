"""What a large run needs: ``python -m code_envs.benchmarks.plan --run runs/pilot --gpus 8 --gpus 64``.

What a chain costs is taken from a pilot run with one's own models (``--run``), all but the CPU seconds of the
trusted side and the sandbox, which are measured here. Without a run it is assumed. How many tokens a GPU
reads and writes each second is for the reader to put in. Nothing else is assumed but that engines
and workers are kept busy.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from code_envs.benchmarks.costs import Cost, Yield, measure_cpu, read_cost
from code_envs.commands.output import AsJson, percent, print_json, show_table

__all__ = ["STORE", "Plan", "Speed", "main", "plan", "store_serves"]

STORE = 2_000.0
"""Replies that one store keeps each second: what :mod:`.store` gave on two busy cores."""


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
        store_share: The share of what the store can take; above 1 it takes several runs, each with its own.
    """

    gpus: int
    days: float
    chains_per_second: float
    cpus: float
    in_flight: float
    replies_per_second: float
    store_share: float


def plan(chains: int, gpus: int, cost: Cost, speed: Speed, store: float = STORE) -> Plan:
    """Compute what a run needs.

    Args:
        chains: How many chains.
        gpus: How many GPUs.
        cost: What a chain costs.
        speed: What a GPU does.
        store: Replies that the store keeps each second.
    """
    rate = gpus / _gpu_seconds(cost, speed)
    return Plan(
        gpus=gpus,
        days=chains / rate / 86_400,
        chains_per_second=rate,
        cpus=rate * cost.cpu_seconds,
        in_flight=rate * cost.seconds,
        replies_per_second=rate * cost.replies,
        store_share=rate * cost.replies / store,
    )


def store_serves(cost: Cost, speed: Speed, store: float = STORE) -> float:
    """How many GPUs one store of replies keeps up with."""
    return store * _gpu_seconds(cost, speed) / cost.replies


def _gpu_seconds(cost: Cost, speed: Speed) -> float:
    """Seconds of one GPU for a chain."""
    read = cost.teacher_read + cost.student_read * (1 - speed.cached)
    return read / speed.read + (cost.teacher_written + cost.student_written) / speed.written


def main(
    *,
    gpus: Annotated[list[int], typer.Option("--gpus", min=1, help="GPUs; may be given again.")] = [8, 64, 256],  # noqa: B006
    chains: Annotated[int, typer.Option("--chains", min=1, help="How many chains.")] = 1_000_000,
    run: Annotated[
        Path | None, typer.Option("--run", help="A finished pilot run: what it tells, the options do not.")
    ] = None,
    turns: Annotated[int, typer.Option("--turns", min=1, help="Problems in a chain.")] = 6,
    drafts: Annotated[float, typer.Option("--drafts", help="Drafts for each problem, repairs included.")] = 1.5,
    attempts: Annotated[int, typer.Option("--attempts", min=1, help="Attempts at each problem.")] = 32,
    teacher_read: Annotated[float, typer.Option("--teacher-read", help="Tokens that a draft reads.")] = 2500,
    teacher_written: Annotated[float, typer.Option("--teacher-written", help="Tokens of a draft.")] = 6000,
    student_read: Annotated[float, typer.Option("--student-read", help="Tokens that an attempt reads.")] = 600,
    student_written: Annotated[float, typer.Option("--student-written", help="Tokens of an attempt.")] = 1000,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="How long a chain takes; from the run, or 900.")
    ] = None,
    read_speed: Annotated[float, typer.Option("--read-speed", help="Tokens a GPU reads each second.")] = 20_000,
    write_speed: Annotated[float, typer.Option("--write-speed", help="Tokens a GPU writes each second.")] = 3_000,
    cached: Annotated[float, typer.Option("--cached", help="Share of a student's prompt that is cached.")] = 0.9,
    store: Annotated[float, typer.Option("--store", help="Replies that the store keeps each second.")] = STORE,
    as_json: AsJson = False,
) -> None:
    """Measure the CPU seconds of a chain here, and print what the run needs on so many GPUs."""
    found = None
    if run is not None:
        cost, found = read_cost(run, seconds)
    else:
        validating, grading = measure_cpu(attempts)
        cost = Cost(
            teacher_calls=turns * drafts,
            teacher_read=turns * drafts * teacher_read,
            teacher_written=turns * drafts * teacher_written,
            student_calls=turns * attempts,
            student_read=turns * attempts * student_read,
            student_written=turns * attempts * student_written,
            cpu_seconds=turns * (drafts * validating + grading),
            chain_bytes=turns * 10_000.0,
            reply_bytes=4.5 * turns * (drafts * teacher_written + attempts * student_written),
            seconds=900.0 if seconds is None else seconds,
            handed_on=turns,
        )
    speed = Speed(read=read_speed, written=write_speed, cached=cached)
    rows = [plan(chains, count, cost, speed, store) for count in gpus]
    serves = store_serves(cost, speed, store)
    if as_json:
        print_json({"cost": cost, "pilot": found, "plans": rows, "store_serves": serves})
        return
    _print(chains, cost, found, rows)
    print(f"One store of replies, at {store:,.0f} a second, keeps up with {serves:,.0f} GPUs.")


def _print(chains: int, cost: Cost, pilot: Yield | None, rows: Sequence[Plan]) -> None:
    if pilot:
        counts = [(name, f"{value:,}") for name, value in msgspec.structs.asdict(pilot).items()]
        share = percent(pilot.valid / pilot.drafts if pilot.drafts else float("nan"), pilot.valid_interval)
        show_table("The pilot", ["what", ">count"], [*counts, ("drafts that are valid", share)])
    costs = [(name, f"{value:,.2f}") for name, value in msgspec.structs.asdict(cost).items()]
    show_table("A chain", ["what", ">each"], costs)
    gigabytes = [f"{size * chains / 1e9:,.0f} GB" for size in (cost.chain_bytes, cost.reply_bytes)]
    columns = [">GPUs", ">days", ">chains/s", ">CPU cores", ">chains in flight", ">replies/s", ">of the store"]
    show_table(
        f"{chains:,} chains: {cost.handed_on * chains:,.0f} problems, {gigabytes[0]} of chains, "
        f"{gigabytes[1]} of replies",
        columns,
        [
            (
                row.gpus,
                f"{row.days:,.1f}",
                f"{row.chains_per_second:.2f}",
                f"{row.cpus:,.1f}",
                f"{row.in_flight:,.0f}",
                f"{row.replies_per_second:,.0f}",
                f"{100 * row.store_share:,.1f} %",
            )
            for row in rows
        ],
    )


if __name__ == "__main__":
    typer.run(main)
