"""``generate`` and ``validate``: problems in files."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from code_envs.commands.models import (
    Backend,
    BaseUrl,
    Concurrency,
    ExtraBody,
    StopEarly,
    StudentEffort,
    StudentTemperature,
    StudentTokens,
    Timeout,
    model_config,
)
from code_envs.commands.output import AsJson, SeedOption, check_name, print_json, show_table, stderr

if TYPE_CHECKING:
    from code_envs.generation import RunConfig
    from code_envs.models import Usage
    from code_envs.problem import Chain

__all__ = ["generate", "make_run", "validate"]

Folder = Annotated[Path, typer.Option("--output", "-o", help="The folder to write to.")]


def generate(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The run folder.")],
    mode: Annotated[list[str] | None, typer.Option("--mode", help="A mode; all four if not given.")] = None,
    chains: Annotated[int, typer.Option("--chains", help="How many chains.")] = 20,
    turns: Annotated[int, typer.Option("--turns", help="Problems in a chain, at most.")] = 6,
    attempts: Annotated[int, typer.Option("--attempts", help="Attempts of the student at each problem.")] = 32,
    teacher: Annotated[
        list[str] | None, typer.Option("--teacher", help="A teacher, or a model at the server; several take turns.")
    ] = None,
    student: Annotated[
        str, typer.Option("--student", help="Who measures the pass rates: a student, or a model at the server.")
    ] = "search",
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
    base_url: BaseUrl = "",
    student_url: Annotated[str, typer.Option("--student-url", help="The student's server, if it is another one.")] = "",
    backend: Backend = "openai",
    teacher_effort: Annotated[
        str, typer.Option("--teacher-effort", help="The teacher's reasoning effort: low, medium, high.")
    ] = "",
    teacher_temperature: Annotated[float, typer.Option("--teacher-temperature", help="The teacher's temperature.")] = 1,
    teacher_tokens: Annotated[
        int, typer.Option("--teacher-tokens", min=1, help="Tokens of a teacher's reply, at most.")
    ] = 16384,
    student_effort: StudentEffort = "",
    student_temperature: StudentTemperature = 1.0,
    student_tokens: StudentTokens = 4096,
    extra_body: ExtraBody = "",
    timeout: Timeout = 600.0,
    concurrency: Concurrency = 32,
    repairs: Annotated[int, typer.Option("--repairs", min=0, help="How often a model may mend a draft.")] = 3,
    vary_with: Annotated[
        str, typer.Option("--vary-with", help="A model that makes the later problems of each chain.")
    ] = "",
    seeds: Annotated[
        str, typer.Option("--seeds", help="Code for a model to start with: stdlib, a folder, FILE.jsonl:COLUMN.")
    ] = "stdlib",
    licence: Annotated[str, typer.Option("--licence", help="Its licence, where it does not say so itself.")] = "",
    templates: Annotated[str, typer.Option("--templates", help="A folder of prompts for a model as teacher.")] = "",
    stop_early: StopEarly = False,
    similarity: Annotated[
        float | None,
        typer.Option(
            "--similarity",
            help="Take out repetitions: 1 in normal form (the default with a model), below 1 nearly.",
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", help="An earlier run not to repeat; may be given again."),
    ] = None,
    decontaminate: Annotated[
        list[str] | None,
        typer.Option("--decontaminate", help="A benchmark (JSON rows) to keep out; may be given again."),
    ] = None,
    seed: SeedOption = 0,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes, one per core if not given; with models, chains at a time."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make chains of problems and measure them; can be killed at any moment and resumed."""
    from code_envs.generation import RunConfig, load_config
    from code_envs.measure import BANDS
    from code_envs.problem import Mode
    from code_envs.students import STUDENTS
    from code_envs.teacher import TEACHERS

    teachers = tuple(teacher or ("procedural",))
    shared: dict[str, Any] = {"backend": backend, "timeout": timeout, "extra_body": extra_body}
    teacher_model = model_config(
        [*teachers, *([vary_with] if vary_with else [])],
        TEACHERS,
        base_url=base_url,
        effort=teacher_effort,
        temperature=teacher_temperature,
        max_tokens=teacher_tokens,
        **shared,
    )
    student_model = model_config(
        [student],
        STUDENTS,
        base_url=student_url or base_url,
        effort=student_effort,
        temperature=student_temperature,
        max_tokens=student_tokens,
        **shared,
    )
    if teacher_model is None:
        teachers = tuple(check_name("teacher", name, TEACHERS) for name in teachers)
    if student_model is None:
        check_name("student", student, STUDENTS)
    config = RunConfig(
        modes=tuple(Mode(check_name("mode", name, list(Mode))) for name in mode or Mode),
        chains=chains,
        turns=turns,
        attempts=attempts,
        teachers=teachers,
        student=student,
        strategy=strategy,
        level=level,
        keep=keep,
        seed=seed,
        teacher_model=teacher_model,
        student_model=student_model,
        varied_by=vary_with,
        seeds=seeds,
        licence=licence,
        repairs=repairs,
        templates=templates,
        bands=BANDS if stop_early else (),
        similarity=1.0 if similarity is None and teacher_model else similarity,
        against=tuple(against or ()),
        suites=tuple(decontaminate or ()),
    )
    if resume:
        load_config(output)  # says so if there is no run to go on with
    made = make_run(output, config, resume=resume, workers=workers, concurrency=concurrency)
    report = _report_or_note(output)
    _print_run(output, config, made, report, as_json)


def make_run(
    folder: Path, config: RunConfig, *, resume: bool, workers: int | None = None, concurrency: int = 32
) -> list[Chain]:
    """Generate a run with a progress bar on a terminal, and a line for each chain elsewhere."""
    from code_envs import generation
    from code_envs.models import RESPONSES

    if not config.asks_models:
        with _progress(config.chains) as tell:
            count = workers or len(os.sched_getaffinity(0))
            return generation.generate(folder, config, resume=resume, workers=count, on_chain=tell)
    factory = generation.ChainFactory(folder / RESPONSES, concurrency)
    with factory, _progress(config.chains, lambda: factory.tokens) as tell:
        return generation.generate(
            folder, config, resume=resume, workers=workers or concurrency, make=factory, on_chain=tell
        )


@contextmanager
def _progress(total: int, tokens: Callable[[], int] | None = None) -> Iterator[Callable[[Chain], None]]:
    """Tell of each chain; with models also what became of the drafts, tokens per second and the time left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console, pace = stderr(), _Pace(total, tokens)
    if not console.is_terminal:
        yield lambda chain: console.print(f"{pace.done + 1}/{total} {pace.add(chain)}", markup=False, soft_wrap=True)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("making chains", total=total)
        yield lambda chain: progress.update(task, advance=1, description=pace.add(chain))


class _Pace:
    """The yield so far and how fast it goes."""

    def __init__(self, total: int, tokens: Callable[[], int] | None) -> None:
        self.total, self.tokens, self.start = total, tokens, time.monotonic()
        self.done = self.drafts = self.valid = 0

    def add(self, chain: Chain) -> str:
        """Count a chain, and describe it."""
        self.done += 1
        self.drafts += len(chain.drafts)
        self.valid += sum(bool(draft.key) for draft in chain.drafts)
        if self.tokens is None:
            return _describe(chain)
        seconds = max(time.monotonic() - self.start, 0.001)
        share = f"{self.valid}/{self.drafts} drafts valid · " if self.drafts else ""
        left = seconds / self.done * (self.total - self.done) / 60
        return f"{_describe(chain)} · {share}{self.tokens() / seconds:,.0f} tokens/s · {left:.0f} min left"


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
    from code_envs.generation import load_removals
    from code_envs.report.numbers import drafts, yields

    rows, written, usage = yields(chains, config, load_removals(folder)), drafts(chains, config), _usage(folder)
    if as_json:
        by_mode = {label: counts for label, counts in rows if label != "all"}
        more = {"drafts": dict(written), "usage": usage} if config.asks_models else {}
        counts = dict(rows)["all"]
        print_json({"run": str(folder), **counts, "by_mode": by_mode, **more, "report": report and str(report)})
        return
    for title, table in ((f"Run {folder}", rows), ("What became of the drafts", written)):
        if table:
            columns = ["mode", *(f">{name}" for name in table[0][1])]
            show_table(title, columns, [(label, *counts.values()) for label, counts in table])
    if usage:
        columns = ["role", "model", ">replies", ">tokens read", ">tokens written", ">seconds"]
        rounded = [(*msgspec.structs.astuple(row)[:-1], f"{row.seconds:.0f}") for row in usage]
        show_table("What the models have cost", columns, rounded)
    if report:
        print(f"Report: {report}")


def _usage(folder: Path) -> list[Usage]:
    from code_envs.models import RESPONSES, usage_of

    return usage_of(folder / RESPONSES)


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
    if invalid or not checked:
        raise typer.Exit(1)


def _print_complaints(found: list[dict[str, Any]], checked: int, invalid: int, as_json: bool) -> None:
    by_check = dict(Counter(row["check"] for row in found).most_common())
    if as_json:
        print_json({"problems": checked, "valid": checked - invalid, "by_check": by_check, "complaints": found})
        return
    print(f"{checked - invalid} of {checked} problems are valid." if checked else "There is no problem in it.")
    if found:
        show_table("Refused by check", ["check", ">problems"], list(by_check.items()))
        columns = [">number", "key", "mode", "check", "complaint"]
        show_table("Complaints", columns, [tuple(row.values()) for row in found])
