"""The report of a run: one self-contained HTML file."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from code_envs.dedup import Removal
from code_envs.errors import MissingExtra, RunError
from code_envs.generation import CHAINS, RunConfig, distinct, kept, load_config, load_removals
from code_envs.models import RESPONSES, usage_of
from code_envs.modes import prompt, rules
from code_envs.problem import Chain, Mode, Problem, load_chains
from code_envs.report.numbers import by_mode, drafts, measured, rates, refusals, saved_attempts, steps, table, yields
from code_envs.report.plots import plot_histogram, plot_means
from code_envs.rollout import Tally
from code_envs.teacher import LEVELS

__all__ = ["REPORT", "write_report"]

REPORT = "report.html"


def write_report(folder: str | Path, rollouts: Sequence[Tally] = ()) -> Path:
    """Write ``report.html`` into a run folder; the same run gives the same bytes.

    Args:
        folder: A run folder with its configuration and its chains.
        rollouts: What students did in the environments, one row for each student and mode.

    Returns:
        The path of the report.

    Raises:
        RunError: The folder holds no run, or no chains yet.
        MissingExtra: matplotlib or jinja2 is not installed.
    """
    folder = Path(folder)
    config = load_config(folder)
    if not (folder / CHAINS).exists():
        raise RunError(f"{folder} holds no {CHAINS} yet. Generate some first.")
    chains, removals = list(load_chains(folder / CHAINS)), load_removals(folder)
    facts = _facts(folder.resolve().name, config, chains, removals, rollouts)
    page = _render({**facts, "usage": usage_of(folder / RESPONSES)})
    path = folder / REPORT
    path.write_text(page, encoding="utf-8")
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


def _facts(
    name: str, config: RunConfig, chains: list[Chain], removals: list[Removal], rollouts: Sequence[Tally]
) -> dict[str, Any]:
    """Everything that the page shows, but what the models have cost."""
    problems = distinct(chains)
    return {
        "name": name,
        "config": config,
        "headline": _headline(chains, problems, config),
        "tiles": _tiles(chains, problems, config, len(removals)),
        "means": by_mode(problems, lambda problem: problem.lineage.level),
        "plots": _plots(problems, config),
        "steps": steps(chains),
        "rollouts": _by_student(rollouts),
        "modes": list(Mode),
        "table": table(problems),
        "levels": LEVELS,
        "yields": yields(chains, config, removals),
        "drafts": drafts(chains, config),
        "refusals": refusals(chains),
        "removals": Counter((removal.reason, removal.source or "this run") for removal in removals).most_common(),
        "shown": [_shown(chain) for chain in _telling(chains)],
    }


def _by_student(rollouts: Sequence[Tally]) -> dict[str, dict[str, Tally]]:
    students: dict[str, dict[str, Tally]] = {}
    for row in rollouts:
        students.setdefault(row.student, {})[row.mode] = row
    return students


def _headline(chains: Sequence[Chain], problems: Sequence[Problem], config: RunConfig) -> str:
    """The point of the run, in plain sentences."""
    found = rates(problems)
    if not found:
        return "No problem of this run has been measured."
    text = f"On average the student solved {_percent(statistics.fmean(found))} of its attempts at a problem. "
    for step in steps(chains):
        if step.direction != "sideways":
            points = round(100 * step.change)
            moved = "did not change the pass rate"
            if points:
                moved = f"{'raised' if points > 0 else 'lowered'} the pass rate by {abs(points)} points"
            text += f"A step to {step.direction} {moved} on average. "
    share = len(kept(problems, config)) / len(problems)
    return text + f"{_percent(share)} of the problems are neither always nor never solved, and kept for training."


def _tiles(
    chains: Sequence[Chain], problems: Sequence[Problem], config: RunConfig, removed: int
) -> list[tuple[str, str]]:
    found = rates(problems)
    attempts, saved = sum(report.attempts for _, report in measured(problems)), saved_attempts(chains, config)
    turns = [len(chain.problems) for chain in chains if chain.problems]
    return [
        (f"{len(turns):,}", f"chains with problems, of {config.chains:,} asked for"),
        (f"{len(problems):,}", "distinct valid problems"),
        (
            f"{len(kept(problems, config)) - removed:,}",
            f"of them kept: passed {_percent(config.keep[0])} to {_percent(config.keep[1])} of the time",
        ),
        (f"{statistics.fmean(turns):.1f}" if turns else "–", "turns in a chain, on average"),
        (f"{attempts:,}", f"graded attempts{f', {saved:,} saved by stopping early' if saved else ''}"),
        (_percent(statistics.median(found)) if found else "–", "median pass rate"),
    ]


def _plots(problems: Sequence[Problem], config: RunConfig) -> dict[str, Any]:
    from markupsafe import Markup  # comes with jinja2

    turns = by_mode(problems, lambda problem: problem.lineage.turn)
    levels = by_mode(problems, lambda problem: problem.lineage.level)
    spread = {mode: rates(problem for problem in problems if problem.mode == mode) for mode in Mode}
    plots = {
        "turn": plot_means(turns, "turn", config.turns - 1),
        "level": plot_means(levels, "level", LEVELS - 1),
        "histogram": plot_histogram(spread),
    }
    return {name: Markup(svg) for name, svg in plots.items()}  # made of numbers, by us


def _telling(chains: Sequence[Chain]) -> list[Chain]:
    """For each mode the chain that has the most to show."""
    best: dict[Mode, tuple[tuple[int, float], Chain]] = {}
    for chain in chains:
        if chain.problems:
            mode, found = chain.problems[0].mode, rates(chain.problems)
            rank = len(chain.problems), max(found, default=0.0) - min(found, default=0.0)
            if mode not in best or rank > best[mode][0]:
                best[mode] = rank, chain
    return [best[mode][1] for mode in Mode if mode in best]


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
