"""``curriculum``: looking at curricula before anyone trains with one, and handing them to trainers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from code_envs.commands.output import AsJson, SeedOption, output_option, print_json, show_table, stderr
from code_envs.commands.serving import serve

if TYPE_CHECKING:
    from code_envs.curricula import Draw, Sampler, Schedule

__all__ = ["app"]

app = typer.Typer(help="Show, simulate, export and serve curricula.", no_args_is_help=True)

_COLUMNS = 60

Name = Annotated[str, typer.Argument(metavar="PRESET", help="A preset by name, or a TOML file.")]
Problems = Annotated[Path, typer.Argument(metavar="PROBLEMS", help="Measured problems as JSON lines, or a run folder.")]
Steps = Annotated[int, typer.Option("--steps", min=1, help="How many training steps.")]
Batch = Annotated[int, typer.Option("--batch-size", min=1, help="How many problems a step takes.")]
BinsOption = Annotated[str | None, typer.Option("--bins", help="Bins: chain, broad or a TOML file.")]
ModesOption = Annotated[
    str | None, typer.Option("--modes", help="Weights of the modes: equal, induction-only, … or a TOML file.")
]
OrderOption = Annotated[str | None, typer.Option("--chain-order", help="easy-first or hard-first, within chains.")]
Skip = Annotated[bool, typer.Option("--skip-starved", help="Pass over bins without problems instead of refusing.")]


@app.command("show")
def show(
    preset: Name,
    *,
    steps: Steps = 40_000,
    svg: Annotated[Path | None, typer.Option("--svg", help="Also draw it into this file, .svg or .html.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw the weights of a schedule, of bins or of modes, over the steps."""
    from code_envs.curricula import plot_schedule

    schedule = _find(preset)
    if svg:
        drawing = plot_schedule(schedule, steps)
        page = f"<!doctype html>\n<meta charset=utf-8>\n<title>{schedule.name}</title>\n{drawing}"
        svg.write_text(page if svg.suffix == ".html" else drawing, encoding="utf-8")
    stages = _stages(schedule, steps)
    if as_json:
        edges = schedule.bins.edges if schedule.bins else None
        print_json({"name": schedule.name, "about": schedule.about, "steps": steps, "bins": edges, "stages": stages})
        return
    print(f"{schedule.name}: {schedule.about}\n")
    _print_weights(schedule, steps)
    columns = ["steps", *(f">{name}" for name in schedule.names)]
    rows = [
        (f"{row['from']:,}–{row['until']:,}", *(f"{row['weights'][name]:.2f}" for name in schedule.names))
        for row in stages
    ]
    show_table("", columns, rows)
    if schedule.bins:
        spans = ", ".join(f"{name} {low:g}–{high:g}" for name, (low, high) in schedule.bins.edges.items())
        print(f"Bins {schedule.bins.name!r}, by pass rate: {spans}")
    if svg:
        print(f"Drawn into {svg}")


def _find(name: str) -> Schedule:
    from code_envs.curricula import POLICIES, SCHEDULES, load_modes, load_schedule, preset_names
    from code_envs.curricula.presets import read_table
    from code_envs.errors import ConfigError, UnknownName

    if name in POLICIES:
        raise ConfigError(f"{name!r} adapts to what it observes and has no fixed weights: use curriculum simulate")
    modes = preset_names("modes")
    if name.endswith(".toml"):
        return load_schedule(name) if "bins" in read_table("schedules", name)[0] else load_modes(name)
    if name not in (*SCHEDULES, *modes):
        raise UnknownName("curriculum", name, [*SCHEDULES, *modes])
    return load_schedule(name) if name in SCHEDULES else load_modes(name)


def _stages(schedule: Schedule, steps: int) -> list[dict[str, Any]]:
    """The stages in whole training steps."""
    ends = [round(stage.until / schedule.total * steps) for stage in schedule.stages]
    return [
        {"from": start, "until": end, "weights": {name: stage.weights.get(name, 0.0) for name in schedule.names}}
        for stage, start, end in zip(schedule.stages, [0, *ends], ends, strict=False)
    ]


def _print_weights(schedule: Schedule, steps: int) -> None:
    from code_envs.curricula.plots import bars

    at = [column * steps // _COLUMNS for column in range(_COLUMNS)]
    width = max(map(len, schedule.names))
    for name in schedule.names:
        print(f"{name:>{width}} │{bars([schedule.weights(step, steps)[name] for step in at])}│")
    print(f"{'':{width}}  0{f'{steps:,} steps':>{_COLUMNS - 1}}")


@app.command("simulate")
def simulate(
    preset: Name,
    problems: Problems,
    *,
    steps: Steps = 400,
    batch_size: Batch = 8,
    group_size: Annotated[int, typer.Option("--group-size", min=1, help="Attempts at each problem.")] = 8,
    bins: BinsOption = None,
    modes: ModesOption = None,
    chain_order: OrderOption = None,
    rest: Annotated[int, typer.Option("--rest", min=0, help="Steps to rest after a group without variance.")] = 0,
    seed: SeedOption = 0,
    svg: Annotated[Path | None, typer.Option("--svg", help="Draw what it did into this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show which bins and modes a curriculum would take from a problem set, and what is starved.

    Adaptive curricula need feedback: a made-up student passes each problem at its measured rate and
    does not learn. Exits with 1 if the curriculum asks for a bin without problems.
    """
    from code_envs.curricula import Sampler, plot_history
    from code_envs.errors import ConfigError

    sampler = Sampler(
        problems,
        preset,
        steps=steps,
        batch_size=batch_size,
        group_size=group_size,
        bins=bins,
        modes=modes,
        chain_order=chain_order,
        rest=rest,
        starved="skip",
        seed=seed,
    )
    stuck = ""
    draws: list[Draw] = []
    try:
        for drawn in sampler:
            draws.append(drawn)
            _attempt(sampler, drawn)
    except ConfigError as error:
        stuck = str(error)
    if svg:
        svg.write_text(plot_history(sampler.history, title=preset), encoding="utf-8")
    facts = _facts(sampler, draws, stuck)
    if as_json:
        print_json(facts)
    else:
        _print_facts(sampler, draws, facts)
    if facts["starved"] or stuck:
        raise typer.Exit(1)


def _attempt(sampler: Sampler, drawn: Draw) -> None:
    """A group of attempts of a student that passes at the measured rate; one half where none was."""
    import numpy as np

    from code_envs.curricula.bins import report_of
    from code_envs.modes import Grade, Outcome

    report = report_of(drawn.problem)
    rng = np.random.default_rng([sampler.seed, 3, drawn.index])
    for passed in rng.random(sampler.group_size) < (report.rate if report else 0.5):
        outcome = Outcome.PASSED if passed else Outcome.WRONG
        sampler.observe(drawn.problem, Grade(outcome=outcome, reward=float(passed)))


def _facts(sampler: Sampler, draws: list[Draw], stuck: str) -> dict[str, Any]:
    shown = Counter((str(drawn.problem.mode), drawn.bin) for drawn in draws)
    cells = {(str(mode), str(name)): len(places) for (mode, name), places in sampler.pool.cells.items()}
    rows = [
        {"mode": mode, "bin": name, "problems": count, "shown": shown[mode, name]}
        for (mode, name), count in sorted(cells.items())
    ]
    starved = [{"mode": mode, "bin": name, "weight": weight} for (mode, name), weight in sampler.starved().items()]
    return {
        "problems": len(sampler.pool),
        "placed": sampler.pool.placed.counts,
        "draws": len(draws),
        "distinct": len({drawn.problem.key for drawn in draws}),
        "cells": rows,
        "starved": starved,
        "stuck": stuck,
        "first": [[drawn.step, drawn.problem.mode, drawn.bin, drawn.problem.key] for drawn in draws[:20]],
    }


def _print_facts(sampler: Sampler, draws: list[Draw], facts: Mapping[str, Any]) -> None:
    from code_envs.curricula.plots import bars

    placed = facts["placed"]
    show_table(f"{len(sampler.pool)} problems, by bin", [f">{name}" for name in placed], [tuple(placed.values())])
    columns = ["mode", "bin", ">problems", ">shown", ">times each"]
    rows = [
        (row["mode"], row["bin"], row["problems"], row["shown"], f"{row['shown'] / row['problems']:.1f}")
        for row in facts["cells"]
    ]
    show_table(f"{facts['draws']} draws of {facts['distinct']} different problems", columns, rows)
    for kind, names in (
        ("bin", [name for name in placed if any(drawn.bin == name for drawn in draws)]),
        ("mode", [mode.value for mode in sampler.pool.modes]),
    ):
        width = max(map(len, names), default=0)
        for name in names:
            print(f"{name:>{width}} │{bars(_shares(draws, kind, name))}│")
        print(f"{'':{width}}  0{f'{len(draws)} draws':>{_COLUMNS - 1}}\n")
    for row in facts["starved"]:
        print(
            f"STARVED: no {row['mode']} problem in {row['bin']}, which gets up to {100 * row['weight']:.0f} % of a step"
        )
    if facts["stuck"]:
        print(f"STUCK: {facts['stuck']}")
    if not facts["starved"] and not facts["stuck"]:
        print("Every bin that the curriculum asks for has problems.")


def _shares(draws: list[Draw], kind: str, name: str) -> list[float]:
    parts = [draws[at * len(draws) // _COLUMNS : (at + 1) * len(draws) // _COLUMNS] for at in range(_COLUMNS)]
    return [
        sum((drawn.bin if kind == "bin" else drawn.problem.mode) == name for drawn in part) / max(len(part), 1)
        for part in parts
    ]


@app.command("export")
def export(
    preset: Name,
    problems: Problems,
    *,
    output: Annotated[Path, output_option("The file of JSON lines to write.")],
    steps: Steps,
    batch_size: Batch,
    repeat: Annotated[
        int,
        typer.Option("--repeat", min=1, help="Rows for each problem: the group size if your trainer makes no groups."),
    ] = 1,
    bins: BinsOption = None,
    modes: ModesOption = None,
    chain_order: OrderOption = None,
    skip_starved: Skip = False,
    seed: SeedOption = 0,
    as_json: AsJson = False,
) -> None:
    """Write the sequence of a curriculum as a file for trainers that read a fixed dataset, in order."""
    from code_envs.curricula import Sampler, write_ordered

    sampler = Sampler(
        problems,
        preset,
        steps=steps,
        batch_size=batch_size,
        bins=bins,
        modes=modes,
        chain_order=chain_order,
        starved="skip" if skip_starved else "refuse",
        seed=seed,
    )
    rows = write_ordered(sampler, output, repeat=repeat)
    if as_json:
        print_json({"file": str(output), "rows": rows, "steps": steps, "rows_per_step": batch_size * repeat})
        return
    print(f"{rows} rows, {batch_size * repeat} for each of {steps} steps: {output}")
    stderr().print("Read it once and unshuffled: the order is the curriculum.", markup=False, soft_wrap=True)


@app.command("mix")
def mix(
    preset: Name,
    *,
    source: Annotated[list[str], typer.Option("--source", help="NAME=PROBLEMS for each name in the mix.")],
    output: Annotated[Path, output_option("The file of JSON lines to write.")],
    scale: Annotated[float, typer.Option("--scale", help="Multiplies every count.")] = 1.0,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Instead of the mix's own.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the problem set of a mix of sources, the same wherever it is made."""
    from code_envs.curricula import load_mix, materialise
    from code_envs.errors import ConfigError
    from code_envs.problem import save_records

    named = [given.partition("=") for given in source]
    for name, _, path in named:
        if not name or not path:
            raise ConfigError("--source is NAME=PROBLEMS, such as --source real=real.jsonl")
    made = materialise(load_mix(preset), {name: path for name, _, path in named}, scale=scale, seed=seed)
    save_records(output, made.problems)
    if as_json:
        print_json({"file": str(output), "counts": made.counts, "fingerprint": made.fingerprint})
        return
    print(f"{len(made.problems)} problems ({' + '.join(map(str, made.counts))}), {made.fingerprint}: {output}")


@app.command("contests")
def contests(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A file of rows, hf://datasets/… for files on the hub, or a name."),
    ],
    *,
    output: Annotated[Path, output_option("The file of JSON lines to write.")],
    style: Annotated[
        str, typer.Option("--style", help="livecodebench, taco, deepcoder or kodcode; told by the columns.")
    ] = "",
    split: Annotated[str, typer.Option("--split", help="The split of a data set on the hub.")] = "train",
    config: Annotated[str | None, typer.Option("--config", help="Its configuration.")] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="Its branch, as refs/convert/parquet.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Read only so many rows.")] = None,
    most_cases: Annotated[int, typer.Option("--most-cases", min=0, help="Tests kept of a problem; 0 for all.")] = 50,
    output_rule: Annotated[
        str, typer.Option("--output-rule", help="exact, lines, tokens or floats; what fits the data set if left out.")
    ] = "",
    time_factor: Annotated[float, typer.Option("--time-factor", help="Multiplies stated time limits.")] = 4.0,
    licence: Annotated[str, typer.Option("--licence", help="The SPDX identifier of the data set.")] = "unknown",
    checked_only: Annotated[
        bool, typer.Option("--checked-only", help="Leave out problems without any stored solution.")
    ] = False,
    against: Annotated[
        list[Path] | None, typer.Option("--against", help="A benchmark, as JSON rows: its items are taken out.")
    ] = None,
    similarity: Annotated[
        float, typer.Option("--similarity", help="From which share in common problems are near duplicates.")
    ] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Make problems of a contest-style data set: gold solutions checked, duplicates and benchmark items taken out."""
    from code_envs.contamination import SuiteIndex, decontaminate
    from code_envs.curricula import load_contests
    from code_envs.dedup import deduplicate
    from code_envs.problem import save_records

    suites = SuiteIndex()
    for path in against or ():
        suites.add_file(path)
    loaded = load_contests(
        source,
        style=style,
        split=split,
        config=config,
        revision=revision,
        limit=limit,
        most_cases=most_cases or None,
        unchecked=not checked_only,
        output=output_rule,
        time_factor=time_factor,
        licence=licence,
    )
    clean, removals = decontaminate(loaded.problems, suites)
    clean, repeated = deduplicate(clean, similarity)
    left_out = Counter(loaded.left_out) + Counter(removal.reason for removal in (*removals, *repeated))
    save_records(output, clean)
    gold = sum(bool(problem.program) for problem in clean)
    scripts = sum(problem.is_script for problem in clean)
    lost = Counter(loaded.tests_left_out)
    if as_json:
        found = [*removals, *repeated]
        counts = {"problems": len(clean), "gold": gold, "scripts": scripts}
        print_json({"file": str(output), **counts, "left_out": left_out, "tests_left_out": lost, "removed": found})
        return
    print(f"{len(clean)} problems, {gold} with a solution that passes, {scripts} over standard input: {output}")
    if gold < len(clean):
        print(f"{len(clean) - gold} have no known solution: they can be graded, but not validated.")
    if left_out:
        show_table("Left out", ["reason", ">rows"], left_out.most_common())
    if lost:
        show_table("Tests left out", ["reason", ">tests"], lost.most_common())


app.command("serve")(serve)
