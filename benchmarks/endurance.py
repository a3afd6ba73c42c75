"""Does the sandbox hold and leak nothing over many runs: ``python -m code_envs.benchmarks.endurance --runs 100000``.

One client runs programs whose end is known, hostile ones among them, while monitors, zygotes and
children are killed or stopped at random moments. A killed sandbox may cost a retry, and twice in a row
an ``infra``; never a verdict. The client and its sandbox are measured between rounds, and again after
the end, when nothing may be left of it. Exits with 1 on any wrong verdict, growth or residue.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer

from code_envs.benchmarks.census import Sample, find_left, find_sandboxes, take_residue, take_sample
from code_envs.benchmarks.trials import draw_trial
from code_envs.errors import ConfigError
from code_envs.executor import Executor, Status, pool

__all__ = ["Outcome", "endure", "main"]

_M_ARENA_MAX = -8
_THREADS = 3  # of the client, each with a part of the round
_ROUND = 48  # programs
_SAMPLES = 40
_STOPPED = 0.1  # of the strikes stop a process for a moment instead of killing it
_SLACK = {"client_kib": 6 << 10, "zygote_kib": 4 << 10, "zygote_pss_kib": 4 << 10, "maps": 24, "descriptors": 8}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What an endurance run found.

    Attributes:
        runs: Programs that were run.
        hostile: How many of them were hostile.
        seconds: How long it took.
        strikes: Signals sent to processes of the sandbox, by kind of process and signal.
        statuses: How calls ended, by status.
        wrong: The first wrong verdicts, in words.
        wrong_count: Number of wrong verdicts.
        infra: Number of programs without a verdict, since the sandbox was killed twice in a row.
        retries: How often a program was run again.
        samples: The measurements, in order.
        growth: What grew, in words.
        residue: What was left at the end, in words.
    """

    runs: int
    hostile: int
    seconds: float
    strikes: dict[str, int]
    statuses: dict[str, int]
    wrong: Sequence[str]
    wrong_count: int
    infra: int
    retries: int
    samples: Sequence[Sample]
    growth: Sequence[str]
    residue: Sequence[str]

    @property
    def ok(self) -> bool:
        """Whether every verdict was right, nothing grew and nothing was left."""
        excused = sum(self.strikes.values())  # a verdict is only ever missing because of strikes
        return not (self.wrong_count or self.growth or self.residue or self.infra > excused // 2)


class _Endurance:
    """One run over one executor."""

    def __init__(self, executor: Executor, hostile: float, kill_every: float, seed: int) -> None:
        self.executor, self.hostile, self.kill_every, self.seed = executor, hostile, kill_every, seed
        self.strikes: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.runs = self.attacks = self.infra = 0
        self.seconds = 1.0  # that a round takes

    def round(self, threads: ThreadPoolExecutor, size: int) -> None:
        """Run some programs, from several threads at once, under strikes, and check each verdict."""
        rng = np.random.default_rng([self.seed, self.runs])
        trials = [draw_trial(rng, self.hostile) for _ in range(size)]
        strikes = self._aim(rng, size)
        start = time.perf_counter()
        parts = [trials[index::_THREADS] for index in range(_THREADS)]
        jobs = [[trial.job for trial in part] for part in parts]
        for part, results in zip(parts, list(threads.map(self.executor.run_jobs, jobs)), strict=True):
            for trial, done in zip(part, results, strict=True):
                self.statuses.update(str(one.status) for one in done)
                self.infra += any(one.status is Status.INFRA for one in done)
                self.attacks += not trial.expected
                if fault := trial.find_fault(done):
                    self.wrong.append(fault)
        self.seconds = time.perf_counter() - start
        for strike in strikes:
            strike.join()
        self.runs += size

    def _aim(self, rng: np.random.Generator, size: int) -> list[threading.Timer]:
        """Set strikes off at random moments of a round that is about to start."""
        timers = []
        for _ in range(rng.poisson(size / self.kill_every) if self.kill_every else 0):
            choice, stop = float(rng.random()), bool(rng.random() < _STOPPED)
            timers.append(threading.Timer(float(rng.uniform(0, self.seconds)), self._strike, (choice, stop)))
            timers[-1].start()
        return timers

    def _strike(self, choice: float, stop: bool) -> None:
        """Kill a process of the sandbox, or stop it and let it go on a little later."""
        found = find_sandboxes(os.getpid())
        monitors = sorted(pid for pid, parent in found.items() if parent == os.getpid())
        if not monitors:
            return
        kind = ("monitor", "zygote", "child")[int(choice * 3)]
        victim = monitors[int(choice * 3 * len(monitors)) % len(monitors)]
        if kind != "monitor":
            victim = next((pid for pid, parent in found.items() if parent == victim), 0)
        if kind == "child":
            victim, stop = _wait_for_child(victim), False  # a stopped child would go over its wall limit
        if not victim:
            return
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGSTOP if stop else signal.SIGKILL)
            self.strikes[f"{kind} {'stopped' if stop else 'killed'}"] += 1
            if stop:
                time.sleep(0.2)
                os.kill(victim, signal.SIGCONT)


def _wait_for_child(zygote: int) -> int:
    """The process id of the next child of a zygote, 0 if there is none for a while."""
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        try:
            children = Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()
        except OSError:
            return 0
        if children:
            return int(children[0])
    return 0


def endure(
    runs: int,
    *,
    workers: int = 2,
    hostile: float = 0.15,
    kill_every: float = 100.0,
    seed: int = 0,
    samples: int = _SAMPLES,
    python: str = "",
) -> Outcome:
    """Run many programs under attack from inside and outside, and measure.

    Args:
        runs: How many programs.
        workers: How many at once.
        hostile: The share of hostile ones, in [0, 1].
        kill_every: Programs between two strikes on processes of the sandbox, on average; 0 for none.
        seed: Decides on programs and strikes; their timing is the machine's.
        samples: How often to measure.
        python: The interpreter that runs the programs; this one if empty.

    Raises:
        ConfigError: A setting is out of range.
    """
    if runs < _ROUND or not 0 <= hostile <= 1 or kill_every < 0 or samples < 2:
        raise ConfigError(f"An endurance run needs at least {_ROUND} runs, 2 samples and a share from 0 to 1.")
    _use_one_heap()
    gc.collect()
    before, start = take_residue(), time.perf_counter()
    measured: list[Sample] = []
    with _count_failures() as failures, Executor(workers=workers, python=python or None) as executor:
        run = _Endurance(executor, hostile, kill_every, seed)
        with ThreadPoolExecutor(_THREADS) as threads:
            while run.runs < runs:
                run.round(threads, min(_ROUND, runs - run.runs))
                if run.runs >= len(measured) * runs / samples:
                    gc.collect()
                    measured.append(take_sample(run.runs))
    return Outcome(
        runs=run.runs,
        hostile=run.attacks,
        seconds=time.perf_counter() - start,
        strikes=dict(sorted(run.strikes.items())),
        statuses=dict(sorted(run.statuses.items())),
        wrong=run.wrong[:20],
        wrong_count=len(run.wrong),
        infra=run.infra,
        retries=len(failures) - run.infra,
        samples=measured,
        growth=find_growth(measured),
        residue=find_left(before),
    )


def _use_one_heap() -> None:
    """Let the C library give every thread the same heap: one for each thread that strikes would look like a leak."""
    limit = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's own
    if limit is not None:
        limit(_M_ARENA_MAX, 1)


@contextmanager
def _count_failures() -> Iterator[list[str]]:
    """Note each failure of the sandbox; every one but a program's second costs a retry."""
    fail, seen = pool.Batch._fail, []

    def note(batch: pool.Batch, run: pool._Run, reason: str) -> None:
        seen.append(reason)
        fail(batch, run, reason)

    setattr(pool.Batch, "_fail", note)  # noqa: B010  # there is no other place to see a retry from
    try:
        yield seen
    finally:
        setattr(pool.Batch, "_fail", fail)  # noqa: B010


def find_growth(samples: Sequence[Sample]) -> list[str]:
    """Compare the first tenth of the samples with the last and name what grew for good.

    Medians are compared. Allowed are 3 percent and a slack in which caches fill up and the number of
    zygotes that happen to be alive varies; a leak of 100 bytes or of one descriptor per
    thousand runs is beyond it after 100,000.
    """
    grown = []
    for name, (first, last) in compare_ends(samples).items():
        if last > 1.03 * first + _SLACK.get(name, 4):
            grown.append(f"{name} grew from {first:g} to {last:g}")
    return grown


def compare_ends(samples: Sequence[Sample]) -> dict[str, tuple[float, float]]:
    """Medians of each measurement over the first and the last tenth of the samples, the very first left out."""
    settled = samples[1:] or samples
    count = -(-len(settled) // 10)
    names = [name for name in Sample.__struct_fields__ if name != "runs"]
    return {
        name: (
            statistics.median(getattr(sample, name) for sample in settled[:count]),
            statistics.median(getattr(sample, name) for sample in settled[-count:]),
        )
        for name in names
    }


def main(
    *,
    runs: Annotated[int, typer.Option("--runs", min=_ROUND, help="Programs to run.")] = 100_000,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Programs at once.")] = len(os.sched_getaffinity(0)),
    hostile: Annotated[float, typer.Option("--hostile", min=0, max=1, help="The share of hostile programs.")] = 0.15,
    kill_every: Annotated[
        float, typer.Option("--kill-every", min=0, help="Programs between two killed processes, on average; 0: none.")
    ] = 100.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which programs and strikes are drawn.")] = 0,
    python: Annotated[str, typer.Option("--python", help="The interpreter that runs the programs.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run the sandbox for long, under attack from inside and outside, and look for wrong verdicts and leaks."""
    outcome = endure(runs, workers=workers, hostile=hostile, kill_every=kill_every, seed=seed, python=python)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(outcome), indent=2).decode())
    else:
        _print(outcome)
    raise typer.Exit(0 if outcome.ok else 1)


def _print(outcome: Outcome) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    speed = f"{outcome.runs:,} programs ({outcome.hostile:,} hostile) in {outcome.seconds:,.0f} s"
    table = Table(title=speed, title_justify="left", box=box.SIMPLE_HEAD)
    names = Sample.__struct_fields__
    for name in names:
        table.add_column(name.replace("_", " ").replace("kib", "KiB"), justify="right")
    step = max(1, len(outcome.samples) // 10)
    for sample in outcome.samples[(len(outcome.samples) - 1) % step :: step]:
        table.add_row(*(f"{getattr(sample, name):,}" for name in names))
    ends = compare_ends(outcome.samples)
    table.add_section()
    table.add_row("growth", *(f"{last - first:+,.0f}" for first, last in ends.values()))
    console = Console(width=None if os.isatty(1) else 140)
    console.print(table)
    console.print("strikes:", ", ".join(f"{count:,} {name}" for name, count in outcome.strikes.items()) or "none")
    console.print("calls:", ", ".join(f"{count:,} {name}" for name, count in outcome.statuses.items()))
    console.print(f"wrong verdicts: {outcome.wrong_count}; infra: {outcome.infra}; retries: {outcome.retries}")
    for line in (*outcome.wrong, *outcome.growth, *(f"left behind: {line}" for line in outcome.residue)):
        console.print(line, markup=False)


if __name__ == "__main__":
    typer.run(main)
