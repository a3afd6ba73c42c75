"""How a run was made, in Markdown, for the card of its dataset: models, filters, yields and bins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from code_envs.generation import RunConfig, begun
from code_envs.measure import BANDS
from code_envs.models import RESPONSES, ModelConfig, usage_of
from code_envs.problem import load_problems
from code_envs.report.markdown import in_markdown
from code_envs.report.numbers import BINS, rates
from code_envs.report.summary import summarise
from code_envs.students import STUDENTS
from code_envs.teacher import TEACHERS

__all__ = ["describe_run"]


def describe_run(folder: str | Path) -> str:
    """Describe a finished run.

    Args:
        folder: The run folder.

    Returns:
        Markdown, with headings of the second level.

    Raises:
        RunError: The folder holds no run, or no chains yet.
        ProblemError: It holds no problems, so that its run is not finished; or a record is damaged.
    """
    folder = Path(folder)
    summary, found = summarise(folder), rates(load_problems(folder))
    config = summary.config
    parts = ["## How they were made", *_made(config, begun(folder)), "## Filters", *_filters(config)]
    if summary.removals:
        out = [(f"{reason}, matched in {source}", count) for (reason, source), count in summary.removals.most_common()]
        parts.append(_table(["taken out", "problems"], out))
    parts += ["## Yields", _counted(summary.yields())]
    written = summary.drafts()
    if written:
        parts += ["What became of the teacher's drafts; refused ones count under the first check:", _counted(written)]
    usage = usage_of(folder / RESPONSES)
    if usage:
        rows = [(row.role, row.model, row.calls, row.prompt_tokens, row.completion_tokens) for row in usage]
        parts.append(_table(["role", "model", "replies", "tokens read", "tokens written"], rows))
    return "\n\n".join([*parts, "## Pass rates", _bins(found)]) + "\n"


def _made(config: RunConfig, when: str) -> Iterator[str]:
    teachers, student = in_markdown(" and ".join(config.teachers)), in_markdown(config.student)
    yield (
        f"{config.chains} chains of at most {config.turns} turns by {teachers}, strategy {config.strategy}, seed "
        f"{config.seed}{f', begun at {when}' if when else ''}. "
        f"The pass rates are those of {student}, over {config.attempts} attempts"
        f"{', fewer where the bin was clear before' if config.bands else ''}."
    )
    model = config.teacher_model
    writers = [name for name in config.teachers if name not in TEACHERS] if model else []
    if model and writers:
        yield f"Teacher: {_labels(model, writers)}."
    if config.student_model and config.student not in STUDENTS:
        yield f"Student: {_labels(config.student_model, [config.student])}."
    if model and config.varied_by:
        yield f"Problems after the first of each chain: {_labels(model, [config.varied_by])}."
    if writers:
        yield in_markdown(f"{' and '.join(writers)} began with pieces of {config.seeds}.")
    if writers or config.varied_by:
        yield f"A draft could be mended {config.repairs} times."
        if config.constrain:
            yield f"Drafts were held to their form by a {config.constrain}."
        if config.plant_faults:
            yield "In fuzzing a model wrote what is right; a mutation planted the fault."


def _labels(shared: ModelConfig, names: Sequence[str]) -> str:
    """Models by name, each with the settings that they share."""
    return in_markdown(" and ".join(msgspec.structs.replace(shared, model=name).label for name in names))


def _filters(config: RunConfig) -> Iterator[str]:
    low, high = config.keep
    rules = [f"- pass rate from {low:g} to {high:g}", "- every problem passes its mode's validation"]
    if config.similarity is not None or config.against:
        near = f"similarity {config.similarity:g} or more" if (config.similarity or 1) < 1 else "equal in normal form"
        others = "".join(f", nor of {in_markdown(path)}" for path in config.against)
        rules.append(f"- no repetition ({near}) within the run{others}")
    rules += [f"- no item of {in_markdown(path)}: shared words or syntax trees" for path in config.suites]
    yield "\n".join(rules)


def _bins(found: Counter[float]) -> str:
    bins = [*BINS.items(), *((f"{low:g}–{high:g}", (low, high)) for low, high in BANDS)]
    rows = [
        (name, f"{low:g}–{high:g}", sum(count for rate, count in found.items() if low <= rate <= high))
        for name, (low, high) in bins
        if found
    ]
    return _table(["bin", "pass rate", "problems"], rows)


def _counted(rows: Sequence[tuple[str, dict[str, int]]]) -> str:
    return _table(["mode", *rows[0][1]], [(label, *counts.values()) for label, counts in rows])


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(in_markdown(str(cell)) for cell in line)} |" for line in lines)
