"""``measure``: how hard an existing set of problems is for a student."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from code_envs.commands.models import (
    Backend,
    BaseUrl,
    Concurrency,
    ExtraBody,
    Replies,
    StopEarly,
    StudentEffort,
    StudentTemperature,
    StudentTokens,
    Timeout,
    check_embedded,
    model_config,
)
from code_envs.commands.needs import Need, refuse_idle
from code_envs.commands.output import AsJson, SeedOption, output_option, percent, print_json, show_table, stderr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from code_envs.problem import Problem
    from code_envs.students import Student

__all__ = ["measure"]

_SAMPLING = ("student_effort", "student_temperature", "student_tokens", "extra_body")
_FOR_MODELS = ("base_url", "backend", *_SAMPLING, "timeout", "concurrency", "replies")


def measure(
    context: typer.Context,
    *,
    problems: Annotated[Path, typer.Argument(metavar="PROBLEMS", help="Problems as JSON lines, or a run folder.")],
    output: Annotated[Path, output_option("The file of JSON lines to write.")],
    student: Annotated[str, typer.Option("--student", help="A model at the server, or a student by name.")] = "search",
    attempts: Annotated[int, typer.Option("--attempts", min=1, help="Attempts at each problem.")] = 32,
    base_url: BaseUrl = "",
    backend: Backend = "openai",
    student_effort: StudentEffort = "",
    student_temperature: StudentTemperature = 1.0,
    student_tokens: StudentTokens = 4096,
    extra_body: ExtraBody = "",
    timeout: Timeout = 600.0,
    concurrency: Concurrency = 32,
    stop_early: StopEarly = False,
    replies: Replies = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the file.")] = False,
    seed: SeedOption = 0,
    as_json: AsJson = False,
) -> None:
    """Measure problems again, with the model that will be trained; can be killed at any moment and resumed."""
    from code_envs.generation import dated_problems
    from code_envs.generation.remeasure import check_file, remeasure
    from code_envs.measure import bands_for
    from code_envs.models import CachedModel, FileStore, make_model, replies_of, store_beside
    from code_envs.students import STUDENTS, ModelStudent, make_student

    config = model_config(
        [student],
        STUDENTS,
        base_url=base_url,
        backend=backend,
        timeout=timeout,
        effort=student_effort,
        temperature=student_temperature,
        max_tokens=student_tokens,
        extra_body=extra_body,
    )
    if config is None:
        check_embedded("student", student, STUDENTS)
    refuse_idle(context, Need("a model as --student", config, _FOR_MODELS))
    given = dated_problems(problems)
    if not given:
        _print(given, output, attempts, as_json)
        raise typer.Exit(1)
    name = make_student(student).name if config is None else config.label
    settings: dict[str, Any] = {"attempts": attempts, "seed": seed, "bands": bands_for() if stop_early else ()}
    check_file(given, name, output, **settings, resume=resume)  # before there is a store of replies beside it
    console, done = stderr(), 0

    def tell(problem: Problem) -> None:
        nonlocal done
        done += 1
        report = problem.measurements[-1]
        shown = percent(report.rate, report.interval)
        console.print(f"{done}/{len(given)} {problem.mode} {problem.key}: {shown}", markup=False, soft_wrap=True)

    with ExitStack() as stack:
        if config is None:
            own: Student = make_student(student)
        else:
            earlier = [replies_of(path) for path in replies or ()]
            store = FileStore(store_beside(output), earlier)
            model = CachedModel(make_model(config, concurrency), store, "student")
            stack.callback(model.close)
            own = ModelStudent(model, config)
        measured = remeasure(
            given,
            own,
            output,
            **settings,
            resume=resume,
            at_once=1 if config is None else max(1, concurrency // 8),
            on_problem=tell,
        )
    _print(measured, output, attempts, as_json)


def _print(measured: Sequence[Problem], output: Path, attempts: int, as_json: bool) -> None:
    from code_envs.problem import Mode
    from code_envs.report.numbers import mean_rate, rates

    groups, made = {mode: Counter[float]() for mode in Mode}, 0
    for problem in measured:
        groups[problem.mode].update(rates([problem]))
        made += problem.measurements[-1].attempts
    means = [mean_rate(str(mode), found) for mode, found in groups.items() if found]
    if as_json:
        print_json(
            {"problems": len(measured), "attempts": made, "file": str(output) if measured else None, "by_mode": means}
        )
        return
    if not measured:
        print("There is no problem in it.")
        return
    rows = [(mean.label, mean.problems, percent(mean.rate, mean.interval)) for mean in means]
    show_table(f"{output}", ["mode", ">problems", ">mean pass rate (95 % interval)"], rows)
    print(f"{len(measured)} problems, {made} scored attempts of {attempts * len(measured)} at most.")
