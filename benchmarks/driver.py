"""What memory the driver of a run needs: ``python -m code_envs.benchmarks.driver --chains 2000 --chains 20000``.

Each number of chains is a run of its own in a fresh process, made by a script that costs nothing, with the
filter for repetitions; its peak resident memory is what the kernel says (``VmHWM``).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from code_envs.commands.output import AsJson, print_json, show_table
from code_envs.generation import RunConfig, generate
from code_envs.problem import Case, Chain, Lineage, Mode, Problem

__all__ = ["Memory", "large_chain", "main", "measure_memory", "peak_memory"]

_TURNS = 2


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has taken.

    Attributes:
        chains: Chains of the run.
        megabytes: Size of ``chains.jsonl``.
        peak: Peak resident memory of the process in MiB.
        seconds: How long the run took.
    """

    chains: int
    megabytes: float
    peak: float
    seconds: float


def large_chain(config: RunConfig, index: int) -> Chain:
    """A chain as large as a model's, about 60 KB: two problems whose programs are mostly comments."""
    name, padding = config.id_of(index), "    # what a model has to say about it\n" * 750
    problems = [
        Problem(
            mode=Mode.DEDUCTION,
            program=f"def f(x):\n{padding}    return x + {_TURNS * index + turn}\n",
            signature="f(x)",
            cases=(Case.of((turn,), turn + _TURNS * index + turn),),
            lineage=Lineage(chain=name, turn=turn),
        )
        for turn in range(_TURNS)
    ]
    return Chain(id=name, problems=tuple(problems))


def peak_memory() -> float:
    """Peak resident memory of this process in MiB."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def measure_memory(chains: int) -> Memory:
    """Make a run in a fresh process."""
    command = [sys.executable, "-m", "code_envs.benchmarks.driver", "--within", str(chains)]
    return msgspec.json.decode(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, type=Memory)


def _run_within(chains: int) -> Memory:
    config = RunConfig(modes=(Mode.DEDUCTION,), chains=chains, turns=_TURNS, similarity=1.0)
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        generate(Path(folder) / "run", config, make=large_chain)
        seconds = time.monotonic() - start
        size = (Path(folder) / "run" / "chains.jsonl").stat().st_size / 1e6
    return Memory(chains=chains, megabytes=size, peak=peak_memory(), seconds=seconds)


def main(
    *,
    chains: Annotated[list[int], typer.Option("--chains", min=1, help="Chains of a run; may be given again.")] = [2000],  # noqa: B006
    within: Annotated[int, typer.Option("--within", hidden=True)] = 0,
    as_json: AsJson = False,
) -> None:
    """Make runs of so many chains, and print the peak memory of each."""
    if within:
        print_json(_run_within(within))
        return
    runs = [measure_memory(count) for count in chains]
    if as_json:
        print_json(runs)
        return
    columns = [">chains", ">MB of chains", ">peak MiB", ">seconds"]
    rows = [(f"{row.chains:,}", f"{row.megabytes:,.0f}", f"{row.peak:,.0f}", f"{row.seconds:,.0f}") for row in runs]
    show_table("Memory of a run", columns, rows)


if __name__ == "__main__":
    typer.run(main)
