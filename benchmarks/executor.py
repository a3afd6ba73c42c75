"""How fast untrusted programs run, beside other ways to run them: ``python -m code_envs.benchmarks.executor``.

Every peer gets the same programs and calls and has to tell the right results from spoiled ones. Each
peer lives in a process of its own, which is started and warmed up once; then the rounds are
interleaved: all peers once, then all again, in an order that rotates.
"""

from __future__ import annotations

import json
import os
import platform
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Annotated, NamedTuple

import msgspec
import typer

import code_envs
from code_envs import benchmarks
from code_envs.benchmarks.executor_report import Leg, Place, Report, Row, as_markdown, print_tables, summarise
from code_envs.benchmarks.peers.catalog import PEERS
from code_envs.benchmarks.peers.usage import busy_seconds
from code_envs.benchmarks.workload import Item, make_workload
from code_envs.errors import ConfigError

__all__ = ["Measured", "PeerFailed", "main", "measure"]

_HOST = Path(__file__).with_name("peers") / "host.py"
_SECONDS = 300.0  # for one pass of one peer
_LOOK = 0.4  # seconds before each round in which nothing of ours runs
_QUIET = 0.05  # the share of the cores that others may use


class PeerFailed(Exception):
    """A peer cannot be measured; the message says why."""


class Measured(NamedTuple):
    """The rows, and the share of the cores that others used between the rounds: the median, in [0, 1]."""

    rows: list[Row]
    others: float


class _Host:
    """The process of one peer with some workers."""

    def __init__(self, name: str, workload: Path, workers: int, errors: IO[bytes]) -> None:
        self._errors = errors
        places = (*code_envs.__path__, *benchmarks.__path__)
        command = [sys.executable, str(_HOST), *places, PEERS[name].opener, str(workload), str(workers)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        self.note = ""

    def start(self) -> None:
        """Wait until the peer is warm.

        Raises:
            PeerFailed: It cannot be opened, or failed on the first programs.
        """
        self.note = str(self._hear()["note"])

    def run(self) -> Leg:
        """Let the peer run the whole workload once.

        Raises:
            PeerFailed: It ended, or does not answer.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # what it said last is in its errors
        return msgspec.convert(self._hear(), Leg)

    def _hear(self) -> dict[str, object]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _SECONDS)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            raise PeerFailed(self._last_words() if ready else f"no answer within {_SECONDS:g} s")
        heard: dict[str, object] = json.loads(line)
        return heard

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), f"ended with {self._process.returncode}")

    def close(self) -> None:
        """Let the peer close what it opened, and wait for it."""
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def measure(workload: Sequence[Item], names: Sequence[str], workers: Sequence[int], rounds: int) -> Measured:
    """Measure peers side by side.

    Args:
        workload: What each of them runs in each round.
        names: Which of ``PEERS``.
        workers: How many programs at once; each count is measured.
        rounds: How often.

    Returns:
        One row for each peer and count, and how busy others kept the machine.

    Raises:
        ConfigError: There is no such peer.
    """
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise ConfigError(f"there is no peer {unknown[0]!r}: choose from {', '.join(PEERS)}")
    places = [(name, count) for count in workers for name in names]
    legs: dict[Place, list[Leg]] = {place: [] for place in places}
    others = []
    with _open_hosts(workload, places) as (hosts, reasons):
        notes = {place: host.note for place, host in hosts.items()}
        for number in range(rounds):
            others.append(_look_around())
            turn = number * len(places) // rounds
            for place in (*places[turn:], *places[:turn]):
                _run_once(place, hosts, legs, reasons)
    return Measured(summarise(legs, notes, reasons, [item.right for item in workload]), statistics.median(others))


def _run_once(place: Place, hosts: dict[Place, _Host], legs: dict[Place, list[Leg]], reasons: dict[Place, str]) -> None:
    if place not in hosts:
        return
    try:
        legs[place].append(hosts[place].run())
    except PeerFailed as failure:
        reasons[place] = str(failure)
        hosts.pop(place).close()


@contextmanager
def _open_hosts(
    workload: Sequence[Item], places: Sequence[Place]
) -> Iterator[tuple[dict[Place, _Host], dict[Place, str]]]:
    """Start every peer that is there; the others get a reason."""
    hosts: dict[Place, _Host] = {}
    reasons: dict[Place, str] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        file = Path(folder) / "workload.json"
        file.write_bytes(msgspec.json.encode(workload))
        for place in places:
            entry = PEERS[place[0]]
            if not entry.is_there():
                reasons[place] = f"not installed: {entry.needs}"
                continue
            errors = stack.enter_context(tempfile.TemporaryFile())
            host = _Host(place[0], file, place[1], errors)
            stack.callback(host.close)
            try:
                host.start()
                hosts[place] = host
            except PeerFailed as failure:
                reasons[place] = str(failure)
        yield hosts, reasons


def _look_around() -> float:
    """How busy others keep the cores while nothing of ours runs, in [0, 1]."""
    busy, start = busy_seconds(), time.perf_counter()
    time.sleep(_LOOK)
    return min(1.0, (busy_seconds() - busy) / (time.perf_counter() - start) / (os.cpu_count() or 1))


def _describe_machine() -> str:
    processor = next((line for line in Path("/proc/cpuinfo").read_text().split("\n") if "model name" in line), "")
    name = processor.partition(":")[2].strip() or platform.machine()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{name}, {os.cpu_count()} cores, Linux {platform.release()}, {python}"


def main(
    *,
    programs: Annotated[int, typer.Option("--programs", min=1, help="Distinct programs in a round.")] = 200,
    calls: Annotated[int, typer.Option("--calls", min=1, help="Calls of each program.")] = 10,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Passes of each peer.")] = 5,
    workers: Annotated[list[int] | None, typer.Option("--workers", min=1, help="One, and one per core.")] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help=f"Of {', '.join(PEERS)}.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which programs are made.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown.")] = False,
) -> None:
    """Measure the executor and its peers, with one worker and with one per core."""
    counts = workers or sorted({1, len(os.sched_getaffinity(0))})
    load = os.getloadavg()[0]
    measured = measure(make_workload(programs, calls, seed), only or list(PEERS), counts, rounds)
    report = Report(
        programs=programs,
        calls=calls,
        rounds=rounds,
        seed=seed,
        machine=_describe_machine(),
        load_before=load,
        load_after=os.getloadavg()[0],
        others=measured.others,
        rows=measured.rows,
    )
    if report.others > _QUIET:
        typer.echo(f"The machine was not quiet: others used {report.others:.0%} of the cores. Run it again.", err=True)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    elif markdown:
        print(as_markdown(report), end="")
    else:
        print_tables(report)


if __name__ == "__main__":
    typer.run(main)
