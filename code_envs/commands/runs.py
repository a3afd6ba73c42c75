"""``generate``, ``export`` and ``validate``: problems in files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from code_envs.commands.output import AsJson, SeedOption, check_name, print_json, show_table, stderr

if TYPE_CHECKING:
    from code_envs.generation import RunConfig
    from code_envs.problem import Chain

__all__ = ["export", "generate", "make_run", "validate"]

Folder = Annotated[Path, typer.Option("--output", "-o", help="The folder to write to.")]


def generate(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The run folder.")],
    mode: Annotated[list[str] | None, typer.Option("--mode", help="A mode; all four if not given.")] = None,
    chains: Annotated[int, typer.Option("--chains", help="How many chains.")] = 20,
    turns: Annotated[int, typer.Option("--turns", help="Problems in a chain, at most.")] = 6,
    attempts: Annotated[int, typer.Option("--attempts", help="Attempts of the student at each problem.")] = 32,
    teacher: Annotated[list[str] | None, typer.Option("--teacher", help="A teacher; several take turns.")] = None,
    student: Annotated[str, typer.Option("--student", help="Who measures the pass rates.")] = "search",
    strategy: Annotated[
        str, typer.Option("--strategy", help="stepping-stones; or top-down, from hard to easy.")
    ] = "stepping-stones",
    level: Annotated[
        int | None, typer.Option("--level", help="The first level of every chain; all if not given.")
    ] = None,
    keep: Annotated[tuple[float, float], typer.Option("--keep", help="Pass rates to keep, from and to.")] = (
        0.01,
        0.97,
    ),
    seed: SeedOption = 0,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes; one per core if not given.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make chains of problems and measure them; can be killed at any moment and resumed."""
    from code_envs.generation import RunConfig
    from code_envs.problem import Mode
    from code_envs.students import STUDENTS
    from code_envs.teacher import TEACHERS

    config = RunConfig(
        modes=tuple(Mode(check_name("mode", name, list(Mode))) for name in mode or Mode),
        chains=chains,
        turns=turns,
        attempts=attempts,
        teachers=tuple(check_name("teacher", name, TEACHERS) for name in teacher or ("procedural",)),
        student=check_name("student", student, STUDENTS),
        strategy=strategy,
        level=level,
        keep=keep,
        seed=seed,
    )
    made = make_run(output, config, resume=resume, workers=workers)
    report = _report_or_note(output)
    _print_run(output, config, made, report, as_json)


def make_run(folder: Path, config: RunConfig, *, resume: bool, workers: int | None = None) -> list[Chain]:
    """Generate a run with a progress bar on a terminal, and a line for each chain elsewhere."""
    from code_envs import generation

    count = workers or len(os.sched_getaffinity(0))
    with _progress(config.chains) as tell:
        return generation.generate(folder, config, resume=resume, workers=count, on_chain=tell)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Chain], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console, done = stderr(), 0
    if not console.is_terminal:

        def tell(chain: Chain) -> None:
            nonlocal done
            done += 1
            console.print(f"{done}/{total} {_describe(chain)}", markup=False, soft_wrap=True)

        yield tell
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("making chains", total=total)
        yield lambda chain: progress.update(task, advance=1, description=_describe(chain))


def _describe(chain: Chain) -> str:
    rates = [f"{report.rate:.2f}" for problem in chain.problems for report in problem.measurements[-1:]]
    return f"{chain.id}: {' → '.join(rates) or 'no valid problem'}"


def _report_or_note(folder: Path) -> Path | None:
    from code_envs.errors import MissingExtra
    from code_envs.report import write_report

    try:
        return write_report(folder)
    except MissingExtra as error:
        stderr().print(f"No report: {error}", markup=False, soft_wrap=True)
        return None


def _print_run(folder: Path, config: RunConfig, chains: list[Chain], report: Path | None, as_json: bool) -> None:
    from code_envs.report.numbers import yields

    rows = yields(chains, config)
    if as_json:
        by_mode = {label: counts for label, counts in rows if label != "all"}
        print_json({"run": str(folder), **dict(rows)["all"], "by_mode": by_mode, "report": report and str(report)})
        return
    columns = ["mode", *(f">{name}" for name in rows[0][1])]
    show_table(f"Run {folder}", columns, [(label, *counts.values()) for label, counts in rows])
    if report:
        print(f"Report: {report}")


def export(
    *,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The dataset folder.")],
    kind: Annotated[str, typer.Option("--format", help="jsonl, parquet or hf.")] = "jsonl",
    eval_share: Annotated[float, typer.Option("--eval-share", help="The share that goes into a split eval.")] = 0.0,
    seed: SeedOption = 0,
    as_json: AsJson = False,
) -> None:
    """Export the problems of a run as a dataset; siblings stay in one split."""
    from code_envs.generation import CHAINS, load_config
    from code_envs.integrations.huggingface_adapter import write
    from code_envs.problem import load_chains, load_problems

    load_config(run)  # says so if this is no run
    problems = list(load_problems(run))
    chains = load_chains(run / CHAINS)
    paths = write(problems, output, kind, eval_share=eval_share, seed=seed, relatives=chains)
    if as_json:
        print_json({"problems": len(problems), "files": [str(path) for path in paths]})
    else:
        print(f"{len(problems)} problems: {', '.join(str(path) for path in paths)}")


def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Problems as JSON lines, or a run folder.")],
    as_json: AsJson = False,
) -> None:
    """Check every problem of a file by the rules of its mode; counts what each check refuses."""
    from code_envs.executor import shared_executor
    from code_envs.modes import validate as complaints_about
    from code_envs.problem import load_problems

    found: list[dict[str, Any]] = []
    checked = invalid = 0
    for problem in load_problems(file):
        complaints = complaints_about(problem, shared_executor())
        checked, invalid = checked + 1, invalid + bool(complaints)
        found += [
            {"number": checked, "key": problem.key, "mode": problem.mode, "check": each.check, "text": each.text}
            for each in complaints
        ]
    _print_complaints(found, checked, invalid, as_json)
    if invalid:
        raise typer.Exit(1)


def _print_complaints(found: list[dict[str, Any]], checked: int, invalid: int, as_json: bool) -> None:
    by_check = dict(Counter(row["check"] for row in found).most_common())
    if as_json:
        print_json({"problems": checked, "valid": checked - invalid, "by_check": by_check, "complaints": found})
        return
    print(f"{checked - invalid} of {checked} problems are valid.")
    if found:
        show_table("Refused by check", ["check", ">problems"], list(by_check.items()))
        columns = [">number", "key", "mode", "check", "complaint"]
        show_table("Complaints", columns, [tuple(row.values()) for row in found])
