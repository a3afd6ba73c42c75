"""The numbers of a report: what chains say about pass rates, turns, levels and yields."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from code_envs.dedup import Removal
from code_envs.generation import RunConfig, distinct, kept
from code_envs.modes import CHECKS
from code_envs.problem import Chain, Direction, Mode, Problem, Report, wilson_interval
from code_envs.teacher import DRAFT_CHECKS

__all__ = [
    "BINS",
    "Mean",
    "Step",
    "by_mode",
    "drafts",
    "mean_rate",
    "measured",
    "rates",
    "refusals",
    "saved_attempts",
    "steps",
    "table",
    "yields",
]

BINS = {"hard": (0.05, 0.16), "medium": (0.41, 0.59), "easy": (0.81, 0.91)}
"""The pass rates that stepping stones are taken from, from and to, for 32 attempts (arXiv 2603.24202)."""


class Mean(msgspec.Struct, frozen=True, kw_only=True):
    """The mean pass rate of some problems.

    Attributes:
        label: Which problems: a turn, a level, a mode.
        problems: How many.
        rate: The mean of their pass rates.
        interval: Its 95 % Wilson interval. The problems are the trials, not the attempts: attempts
            at one problem are not independent.
    """

    label: str
    problems: int
    rate: float
    interval: tuple[float, float]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What the teacher's steps in one direction did to the pass rate.

    Attributes:
        direction: Harder, easier or sideways.
        steps: How many measured steps.
        change: The mean change of the pass rate from parent to child.
        as_meant: The share of steps that moved it the way they should; 0 for sideways, which has none.
    """

    direction: Direction
    steps: int
    change: float
    as_meant: float


def measured(problems: Iterable[Problem]) -> list[tuple[Problem, Report]]:
    """The problems that have scored attempts, each with its last report."""
    return [
        (problem, problem.measurements[-1])
        for problem in problems
        if problem.measurements and problem.measurements[-1].attempts
    ]


def rates(problems: Iterable[Problem]) -> list[float]:
    """The measured pass rates, in order."""
    return [report.rate for _, report in measured(problems)]


def mean_rate(label: str, rates: Sequence[float]) -> Mean:
    """The mean of pass rates with its interval; there must be at least one."""
    return Mean(
        label=label,
        problems=len(rates),
        rate=statistics.fmean(rates),
        interval=wilson_interval(sum(rates), len(rates)),
    )


def by_mode(problems: Iterable[Problem], key: Callable[[Problem], int]) -> dict[Mode, list[Mean]]:
    """Group measured problems by mode and then by a number, such as the turn or the level."""
    groups: dict[Mode, dict[int, list[float]]] = {}
    for problem, report in measured(problems):
        groups.setdefault(problem.mode, {}).setdefault(key(problem), []).append(report.rate)
    return {
        mode: [mean_rate(str(number), groups[mode][number]) for number in sorted(groups[mode])]
        for mode in Mode
        if mode in groups
    }


def table(problems: Sequence[Problem]) -> dict[Mode, tuple[Mean, dict[int, Mean]]]:
    """For each mode the mean over all of its problems, and the mean at each level that has some."""
    levels = by_mode(problems, lambda problem: problem.lineage.level)
    return {
        mode: (
            mean_rate(mode, rates(problem for problem in problems if problem.mode == mode)),
            {int(mean.label): mean for mean in means},
        )
        for mode, means in levels.items()
    }


def steps(chains: Iterable[Chain]) -> list[Step]:
    """What harder, easier and sideways steps did, over all chains."""
    changes: dict[Direction, list[float]] = {}
    for chain in chains:
        before = {problem.key: report.rate for problem, report in measured(chain.problems)}
        for problem in chain.problems:
            change = before.get(problem.key, math.nan) - before.get(problem.lineage.parent, math.nan)
            if not math.isnan(change):
                changes.setdefault(problem.lineage.direction, []).append(change)
    signs = {Direction.HARDER: -1, Direction.EASIER: 1, Direction.SIDEWAYS: 0}
    return [
        Step(
            direction=direction,
            steps=len(changes[direction]),
            change=statistics.fmean(changes[direction]),
            as_meant=statistics.fmean(change * sign > 0 for change in changes[direction]),
        )
        for direction, sign in signs.items()
        if direction in changes
    ]


def yields(
    chains: Sequence[Chain], config: RunConfig, removals: Iterable[Removal] = ()
) -> list[tuple[str, dict[str, int]]]:
    """How many chains and problems each mode gave; the last row is labelled ``all``.

    Args:
        chains: The chains of the run, in order.
        config: The run.
        removals: What its filters took out.
    """
    out = {removal.key for removal in removals}
    rows = [(str(mode), _counts(own, config, out)) for mode, own in _chains_by_mode(chains, config).items()]
    return [*rows, ("all", _counts(chains, config, out))]


def _chains_by_mode(chains: Sequence[Chain], config: RunConfig) -> dict[Mode, list[Chain]]:
    groups: dict[Mode, list[Chain]] = {mode: [] for mode in config.modes}
    for index, chain in enumerate(chains):
        groups[config.mode_of(index)].append(chain)
    return groups


def drafts(chains: Sequence[Chain], config: RunConfig) -> list[tuple[str, dict[str, int]]]:
    """What became of the drafts of teachers that are models; the last row is labelled ``all``.

    Returns:
        For each mode the drafts, the problems that they became, those after a repair, and for each
        check how many drafts it refused first; nothing where no model was the teacher.
    """
    refused = Counter(draft.checks[0] for chain in chains for draft in chain.drafts if draft.checks)
    checks = [check for check, _ in refused.most_common()]
    if not any(chain.drafts for chain in chains):
        return []
    rows = [(str(mode), _draft_counts(own, checks)) for mode, own in _chains_by_mode(chains, config).items()]
    return [*rows, ("all", _draft_counts(chains, checks))]


def _draft_counts(chains: Sequence[Chain], checks: Sequence[str]) -> dict[str, int]:
    found = [draft for chain in chains for draft in chain.drafts]
    first = Counter(draft.checks[0] for draft in found if draft.checks)
    valid = [draft for draft in found if draft.key]
    counts = {"drafts": len(found), "valid": len(valid), "after repair": sum(draft.repair > 0 for draft in valid)}
    return counts | {check: first[check] for check in checks}


def refusals(chains: Iterable[Chain]) -> list[tuple[str, int, str, str]]:
    """What refused the drafts of teachers that are models, the most frequent first.

    Returns:
        The check, how many drafts it refused first, what is true of a good one, and the first complaint.
    """
    refused = [draft for chain in chains for draft in chain.drafts if draft.checks]
    known, first = {**DRAFT_CHECKS, **CHECKS}, {draft.checks[0]: draft.complaints[0] for draft in refused[::-1]}
    counts = Counter(draft.checks[0] for draft in refused)
    return [(check, count, known.get(check, ""), first[check]) for check, count in counts.most_common()]


def saved_attempts(chains: Iterable[Chain], config: RunConfig) -> int:
    """Attempts that measuring did not make because the bin was clear; lost ones count as well."""
    reports = [problem.measurements[-1] for chain in chains for problem in chain.problems if problem.measurements]
    return sum(config.attempts - report.attempts for report in reports) if config.bands else 0


def _counts(chains: Sequence[Chain], config: RunConfig, out: Collection[str]) -> dict[str, int]:
    problems = distinct(chains)
    found = rates(problems)
    chosen = kept(problems, config)
    removed = sum(problem.key in out for problem in chosen)
    return {
        "chains": len(chains),
        "came to nothing": sum(not chain.problems for chain in chains),
        "problems": sum(len(chain.problems) for chain in chains),
        "distinct": len(problems),
        "never solved": found.count(0.0),
        "always solved": found.count(1.0),
        **({"filtered out": removed} if out else {}),
        "kept": len(chosen) - removed,
    }
