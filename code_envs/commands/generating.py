"""``generate``: a run of chains, on this machine or on a Ray cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
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
from code_envs.commands.output import AsJson, SeedOption, check_name, output_option, print_json, show_table, stderr
from code_envs.commands.progress import telling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from code_envs.generation import RayEngine, RunConfig
    from code_envs.models import Usage
    from code_envs.problem import Chain
    from code_envs.report import Summary

__all__ = ["generate", "make_run"]

_ENGINES = ("local", "ray")
_SAMPLING = ("effort", "temperature", "tokens", "extra_body", "engines")
_FOR_TEACHERS = (*(f"teacher_{name}" for name in _SAMPLING), "repairs", "templates", "constrain", "plant_faults")
_FOR_STUDENTS = (*(f"student_{name}" for name in _SAMPLING), "student_url")
_FOR_ENGINES = ("teacher_engines", "student_engines", "tensor_parallel", "engine_args")


def generate(
    context: typer.Context,
    *,
    output: Annotated[Path, output_option("The run folder.")],
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
        int | None,
        typer.Option("--level", help="The first level of every chain; else all, or 8 if top-down."),
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
    teacher_extra_body: Annotated[
        str, typer.Option("--teacher-extra-body", help="The same for the teacher alone, instead of --extra-body.")
    ] = "",
    student_extra_body: Annotated[
        str, typer.Option("--student-extra-body", help="The same for the student alone, instead of --extra-body.")
    ] = "",
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
    constrain: Annotated[
        str, typer.Option("--constrain", help="Hold drafts to their form: schema (JSON), or grammar.")
    ] = "",
    plant_faults: Annotated[
        bool, typer.Option("--plant-faults", help="In fuzzing a model writes what is right, a mutation the fault.")
    ] = False,
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
    replies: Replies = None,
    seed: SeedOption = 0,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes, one per core if not given; with models, chains at a time."),
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="Where chains are made: local, or ray.")] = "local",
    ray_address: Annotated[
        str, typer.Option("--ray-address", help="The Ray cluster; RAY_ADDRESS, or one on this machine, if not given.")
    ] = "",
    in_flight: Annotated[
        int | None, typer.Option("--in-flight", min=1, help="On Ray: chains under way at a time, over all workers.")
    ] = None,
    teacher_engines: Annotated[
        int, typer.Option("--teacher-engines", min=1, help="On Ray, with --backend vllm: engines of each teacher.")
    ] = 1,
    student_engines: Annotated[
        int, typer.Option("--student-engines", min=1, help="On Ray, with --backend vllm: engines of the student.")
    ] = 1,
    tensor_parallel: Annotated[
        int, typer.Option("--tensor-parallel", min=0, help="On Ray: GPUs of each engine; 0 for vLLM's CPU build.")
    ] = 1,
    engine_args: Annotated[
        str, typer.Option("--engine-args", help='On Ray: settings of vLLM, as JSON, such as {"max_model_len": 32768}.')
    ] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make chains of problems and measure them; can be killed at any moment and resumed."""
    from code_envs.generation import RayEngine, RunConfig, load_config
    from code_envs.measure import bands_for
    from code_envs.models import replies_of
    from code_envs.models.base import read_object
    from code_envs.problem import Mode
    from code_envs.report import summarise
    from code_envs.students import STUDENTS
    from code_envs.teacher import TEACHERS

    on_ray = None
    if check_name("engine", engine, _ENGINES) == "ray":
        on_ray = RayEngine(
            address=ray_address,
            workers=workers,
            in_flight=in_flight,
            concurrency=concurrency,
            teacher_engines=teacher_engines,
            student_engines=student_engines,
            tensor_parallel=tensor_parallel,
            engine_args=read_object("--engine-args", engine_args, '{"max_model_len": 32768}'),
        )
    teachers = tuple(teacher or ("procedural",))
    shared: dict[str, Any] = {"backend": backend, "timeout": timeout}
    teacher_model = model_config(
        [*teachers, *([vary_with] if vary_with else [])],
        TEACHERS,
        base_url=base_url,
        effort=teacher_effort,
        temperature=teacher_temperature,
        max_tokens=teacher_tokens,
        extra_body=teacher_extra_body or extra_body,
        **shared,
    )
    student_model = model_config(
        [student],
        STUDENTS,
        base_url=student_url or base_url,
        effort=student_effort,
        temperature=student_temperature,
        max_tokens=student_tokens,
        extra_body=student_extra_body or extra_body,
        **shared,
    )
    if teacher_model is None:
        teachers = tuple(check_embedded("teacher", name, TEACHERS) for name in teachers)
    if student_model is None:
        check_embedded("student", student, STUDENTS)
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
        constrain=constrain,
        plant_faults=plant_faults,
        bands=bands_for(keep) if stop_early else (),
        similarity=1.0 if similarity is None and teacher_model else similarity,
        against=tuple(against or ()),
        suites=tuple(decontaminate or ()),
    )
    _refuse_idle(context, config, on_ray is not None, backend)
    if resume:
        load_config(output)  # says so if there is no run to go on with
    earlier = [replies_of(path) for path in replies or ()]
    make_run(output, config, resume=resume, workers=workers, concurrency=concurrency, on_ray=on_ray, earlier=earlier)
    summary = summarise(output)
    _print_run(output, summary, _report_or_note(output, summary), as_json)


def _refuse_idle(context: typer.Context, config: RunConfig, on_ray: bool, backend: str) -> None:
    from code_envs.problem import Mode
    from code_envs.teacher import TEACHERS

    begins = any(name not in TEACHERS for name in config.teachers)
    refuse_idle(
        context,
        Need("--engine ray", on_ray, ("ray_address", "in_flight", *_FOR_ENGINES)),
        Need("--backend vllm", backend == "vllm", _FOR_ENGINES),
        Need("a model as --teacher", begins, ("seeds", "licence")),
        Need("a model as --teacher or --vary-with", config.teacher_model, _FOR_TEACHERS),
        Need("a model as --student", config.student_model, _FOR_STUDENTS),
        Need("a model", config.asks_models, ("base_url", "backend", "extra_body", "timeout", "concurrency", "replies")),
        Need("--mode fuzzing", Mode.FUZZING in config.modes, ("plant_faults",)),
    )


def make_run(
    folder: Path,
    config: RunConfig,
    *,
    resume: bool,
    workers: int | None = None,
    concurrency: int = 32,
    on_ray: RayEngine | None = None,
    earlier: Sequence[Path] = (),
) -> Sequence[Chain]:
    """Generate a run with a progress bar on a terminal, and a line for each chain elsewhere."""
    from code_envs import generation
    from code_envs.models import RESPONSES

    count = workers or (concurrency if config.asks_models else len(os.sched_getaffinity(0)))
    responses = folder / RESPONSES if config.asks_models else None
    with generation.ChainFactory(responses, concurrency, earlier=earlier) as factory:
        tokens = (lambda: (on_ray or factory).tokens) if config.asks_models else None
        with telling(config.chains, tokens) as (tell, tell_resumed):
            return generation.generate(
                folder,
                config,
                resume=resume,
                workers=count,
                make=factory,
                on_chain=tell,
                on_resumed=tell_resumed,
                engine=on_ray,
            )


def _report_or_note(folder: Path, summary: Summary) -> Path | None:
    from code_envs.errors import MissingExtra
    from code_envs.report import write_report

    try:
        return write_report(folder, summary=summary)
    except MissingExtra as error:
        stderr().print(f"No report: {error}", markup=False, soft_wrap=True)
        return None


def _print_run(folder: Path, summary: Summary, report: Path | None, as_json: bool) -> None:
    rows, written, usage = summary.yields(), summary.drafts(), _usage(folder)
    if as_json:
        by_mode = {label: counts for label, counts in rows if label != "all"}
        more = {"drafts": dict(written), "usage": usage} if summary.config.asks_models else {}
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
