"""The report of a run: one self-contained HTML file."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from code_envs.errors import MissingExtra
from code_envs.folders import drafted
from code_envs.models import RESPONSES, usage_of
from code_envs.modes import prompt, rules
from code_envs.problem import Chain, Mode, Problem
from code_envs.report.numbers import Mean, mean_rate
from code_envs.report.plots import plot_histogram, plot_means
from code_envs.report.summary import Summary, summarise
from code_envs.rollout import Tally
from code_envs.teacher import LEVELS

__all__ = ["REPORT", "Summary", "summarise", "write_report"]

REPORT = "report.html"


def write_report(folder: str | Path, rollouts: Sequence[Tally] = (), summary: Summary | None = None) -> Path:
    """Write ``report.html`` into a run folder; the same run gives the same bytes.

    Args:
        folder: A run folder with its configuration and its chains.
        rollouts: What students did in the environments, one row for each student and mode.
        summary: The numbers of the run, if there are some already; :func:`summarise` reads them if None.

    Returns:
        The path of the report.

    Raises:
        RunError: The folder holds no run, or no chains yet.
        MissingExtra: matplotlib or jinja2 is not installed.
    """
    folder = Path(folder)
    facts = _facts(folder.resolve().name, summary or summarise(folder), rollouts)
    page = _render({**facts, "usage": usage_of(folder / RESPONSES)})
    path = folder / REPORT
    with drafted(path) as file:
        file.write(page.encode(errors="backslashreplace"))  # of a folder whose name is no UTF-8
    return path


def _render(facts: dict[str, Any]) -> str:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtra("jinja2", "report") from error
    loader = PackageLoader("code_envs.report")
    # everything is escaped: programs and replies were written by models
    environment = Environment(autoescape=True, loader=loader, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("report.html").render(facts)


def _facts(name: str, summary: Summary, rollouts: Sequence[Tally]) -> dict[str, Any]:
    """Everything that the page shows, but what the models have cost."""
    return {
        "name": name,
        "config": summary.config,
        "headline": _headline(summary),
        "tiles": _tiles(summary),
        "means": [mode for mode in Mode if mode in summary.rates],
        "plots": _plots(summary),
        "steps": summary.steps(),
        "rollouts": _by_student(rollouts),
        "modes": list(Mode),
        "table": summary.table(),
        "levels": LEVELS,
        "yields": summary.yields(),
        "drafts": summary.drafts(),
        "refusals": summary.refusals(),
        "removals": summary.removals.most_common(),
        "shown": [_shown(summary.telling[mode]) for mode in Mode if mode in summary.telling],
    }


def _by_student(rollouts: Sequence[Tally]) -> dict[str, dict[str, Tally]]:
    students: dict[str, dict[str, Tally]] = {}
    for row in rollouts:
        students.setdefault(row.student, {})[row.mode] = row
    return students


def _headline(summary: Summary) -> str:
    """The point of the run, in plain sentences."""
    found = summary.all_rates
    if not found:
        return "No problem of this run has been measured."
    text = f"On average the student solved {_percent(mean_rate('all', found).rate)} of its attempts at a problem. "
    for step in summary.steps():
        if step.direction != "sideways":
            points = round(100 * step.change)
            moved = "did not change the pass rate"
            if points:
                moved = f"{'raised' if points > 0 else 'lowered'} the pass rate by {abs(points)} points"
            text += f"A step to {step.direction} {moved} on average. "
    share = summary.kept / summary.problems
    return text + f"{_percent(share)} of the problems are neither always nor never solved, and kept for training."


def _tiles(summary: Summary) -> list[tuple[str, str]]:
    config, found, saved = summary.config, summary.all_rates, summary.saved_attempts
    chains, problems = summary.chain_lengths
    return [
        (f"{chains:,}", f"chains with problems, of {config.chains:,} asked for"),
        (f"{summary.problems:,}", "distinct valid problems"),
        (
            f"{summary.kept - summary.removals.total():,}",
            f"of them kept: passed {_percent(config.keep[0])} to {_percent(config.keep[1])} of the time",
        ),
        (f"{problems / chains:.1f}" if chains else "–", "turns in a chain, on average"),
        (f"{summary.attempts:,}", f"graded attempts{f', {saved:,} saved by stopping early' if saved else ''}"),
        (_percent(statistics.median(found.elements())) if found else "–", "median pass rate"),
    ]


def _plots(summary: Summary) -> dict[str, Any]:
    from markupsafe import Markup  # comes with jinja2

    plots = {
        "turn": plot_means(_means(summary.turns), "turn", summary.config.turns - 1),
        "level": plot_means(_means(summary.levels), "level", LEVELS - 1),
        "histogram": plot_histogram({mode: summary.rates[mode] for mode in Mode if mode in summary.rates}),
    }
    return {name: Markup(svg) for name, svg in plots.items()}  # made of numbers, by us


def _means(groups: Mapping[Mode, Mapping[int, Counter[float]]]) -> dict[Mode, list[Mean]]:
    return {
        mode: [mean_rate(str(number), found) for number, found in sorted(groups[mode].items())]
        for mode in Mode
        if mode in groups
    }


def _shown(chain: Chain) -> dict[str, Any]:
    first = chain.problems[0]
    return {
        "id": chain.id,
        "mode": first.mode,
        "origin": first.lineage.origin,
        "licence": first.lineage.licence,
        "turns": [_turn(problem) for problem in chain.problems],
    }


def _turn(problem: Problem) -> dict[str, Any]:
    report = problem.measurements[-1] if problem.measurements else None
    attempts = [("passed", report.solved[:1]), ("failed", report.failed[:1])] if report else []
    return {
        "key": problem.key,
        "lineage": problem.lineage,
        "report": report if report and not math.isnan(report.rate) else None,
        "prompt": prompt(problem).text,
        "gold": rules(problem.mode).gold(problem),
        "attempts": [(word, attempt) for word, found in attempts for attempt in found],
    }


def _percent(rate: float) -> str:
    return f"{100 * rate:.0f} %"
