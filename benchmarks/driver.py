"""What memory the driver of a run needs: ``python -m code_envs.benchmarks.driver --chains 2000 --chains 20000``.

Each number of chains is a run of its own, made by a script that costs nothing, with the filter for repetitions.
Making it, resuming it when all is there, its report and its export as a dataset are each a fresh process, whose
peak resident memory is what the kernel says (``VmHWM``).
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
from code_envs.generation import CHAINS, RunConfig, generate
from code_envs.problem import Case, Chain, Lineage, Mode, Problem, Report

__all__ = ["PHASES", "Memory", "large_chain", "main", "measure_memory", "peak_memory"]

PHASES = ("make", "resume", "report", "export")
"""What is measured, in this order."""
_TURNS = 2
_ATTEMPTS = 8


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What a process has taken.

    Attributes:
        chains: Chains of the run.
        megabytes: Size of ``chains.jsonl``.
        phase: What the process did, one of :data:`PHASES`.
        peak: Its peak resident memory in MiB.
        seconds: How long that took.
    """

    chains: int
    megabytes: float
    phase: str
    peak: float
    seconds: float


def large_chain(config: RunConfig, index: int) -> Chain:
    """A chain as large as a model's, about 60 KB: two measured problems whose programs are mostly comments."""
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
    return Chain(id=name, problems=tuple(_measured(problem, 1 + index % (_ATTEMPTS - 1)) for problem in problems))


def _measured(problem: Problem, passes: int) -> Problem:
    return problem.but(measurements=(Report(problem=problem.key, student="script", attempts=_ATTEMPTS, passes=passes),))


def peak_memory() -> float:
    """Peak resident memory of this process in MiB."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def measure_memory(chains: int) -> list[Memory]:
    """Make a run, resume it, and write its report and a dataset, each in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        return [_in_a_process(phase, chains, Path(folder) / "run") for phase in PHASES]


def _in_a_process(phase: str, chains: int, run: Path) -> Memory:
    command = [sys.executable, "-m", "code_envs.benchmarks.driver", "--chains", str(chains), "--within", phase]
    done = subprocess.run([*command, "--run", str(run)], check=True, stdout=subprocess.PIPE)
    return msgspec.json.decode(done.stdout, type=Memory)


def _measure_here(phase: str, chains: int, run: Path) -> Memory:
    config = RunConfig(
        modes=(Mode.DEDUCTION,), chains=chains, turns=_TURNS, attempts=_ATTEMPTS, student="script", similarity=1.0
    )
    start = time.monotonic()
    match phase:
        case "make":
            generate(run, config, make=large_chain)
        case "resume":
            generate(run, config, make=large_chain, resume=True)
        case "report":
            from code_envs.report import write_report

            write_report(run)
        case _:
            from code_envs.commands.exporting import export_run

            export_run(run, run.with_name("dataset"), "jsonl", eval_share=0.5, seed=0)
    seconds = time.monotonic() - start
    size = (run / CHAINS).stat().st_size / 1e6
    return Memory(chains=chains, megabytes=size, phase=phase, peak=peak_memory(), seconds=seconds)


def main(
    *,
    chains: Annotated[list[int], typer.Option("--chains", min=1, help="Chains of a run; may be given again.")] = [2000],  # noqa: B006
    within: Annotated[str, typer.Option("--within", hidden=True)] = "",
    run: Annotated[Path, typer.Option("--run", hidden=True)] = Path(),
    as_json: AsJson = False,
) -> None:
    """Make runs of so many chains, resume, report and export them, and print the peak memory of each."""
    if within:
        print_json(_measure_here(within, chains[0], run))
        return
    found = [row for count in chains for row in measure_memory(count)]
    if as_json:
        print_json(found)
        return
    columns = [">chains", ">MB of chains", "", ">peak MiB", ">seconds"]
    rows = [
        (f"{row.chains:,}", f"{row.megabytes:,.0f}", row.phase, f"{row.peak:,.0f}", f"{row.seconds:,.0f}")
        for row in found
    ]
    show_table("Memory of a run", columns, rows)


if __name__ == "__main__":
    typer.run(main)
