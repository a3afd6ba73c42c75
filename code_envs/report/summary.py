"""What the chains of a run come to, in one pass over them that holds none but a few."""

from __future__ import annotations

import math
import statistics
from array import array
from collections import Counter
from collections.abc import Iterable
from functools import reduce
from pathlib import Path

from code_envs.dedup import Removal
from code_envs.errors import RunError
from code_envs.generation import CHAINS, RunConfig, each_removal, is_kept, load_config
from code_envs.hashes import HashTable
from code_envs.modes import CHECKS
from code_envs.problem import Chain, Direction, Draft, Mode, Problem, load_chains
from code_envs.report.numbers import Mean, Step, mean_rate, measured, rates
from code_envs.teacher import DRAFT_CHECKS

__all__ = ["Summary", "summarise"]

_SIGNS = {Direction.HARDER: -1, Direction.EASIER: 1, Direction.SIDEWAYS: 0}


def summarise(folder: str | Path) -> Summary:
    """Go once through the chains of a run folder, and what its filters took out.

    Raises:
        RunError: The folder holds no run, or no chains yet, or what it holds is damaged.
        ProblemError: A chain is damaged.
    """
    folder = Path(folder)
    config = load_config(folder)
    if not (folder / CHAINS).exists():
        raise RunError(f"{folder} holds no {CHAINS} yet. Generate some first.")
    return Summary(config, load_chains(folder / CHAINS), each_removal(folder))


class Summary:
    """The numbers of a run.

    It holds counts, for each mode the chain that has the most to show, and some 20 bytes of each problem and
    of each removal.

    Args:
        config: The run.
        chains: Its chains, in order; gone through once.
        removals: What its filters took out; gone through once.

    Attributes:
        rates: For each mode how many distinct problems have each measured pass rate.
        turns: The same for each mode and turn.
        levels: The same for each mode and level.
        attempts: Scored attempts at them.
        saved_attempts: Attempts that measuring did not make because the bin was clear; lost ones count as well.
        removals: How many problems each filter took out, by its reason and where they matched.
        telling: For each mode the chain with the most turns, and of those the widest range of pass rates.
    """

    def __init__(self, config: RunConfig, chains: Iterable[Chain], removals: Iterable[Removal] = ()) -> None:
        self.config = config
        self.rates: dict[Mode, Counter[float]] = {}
        self.turns: dict[Mode, dict[int, Counter[float]]] = {}
        self.levels: dict[Mode, dict[int, Counter[float]]] = {}
        self.attempts = self.saved_attempts = 0
        self.removals: Counter[tuple[str, str]] = Counter()
        self.telling: dict[Mode, Chain] = {}
        self._ranks: dict[Mode, tuple[int, float]] = {}
        self._counts: dict[str, Counter[str]] = {label: Counter() for label in (*map(str, config.modes), "all")}
        self._drafts: dict[str, Counter[str]] = {label: Counter() for label in self._counts}
        self._refused: dict[str, Counter[str]] = {label: Counter() for label in self._counts}
        self._complaints: dict[str, str] = {}  # the first of each check
        self._changes: dict[Direction, Counter[float]] = {}
        self._seen, self._seen_by = HashTable(), array("B")  # the problems, and a bit for each mode that had one
        self._out = HashTable()
        for removal in removals:
            self._out.add(int(removal.key, 16))
            self.removals[removal.reason, removal.source or "this run"] += 1
        for index, chain in enumerate(chains):
            self._add(index, chain)

    @property
    def problems(self) -> int:
        """Distinct problems."""
        return len(self._seen)

    @property
    def kept(self) -> int:
        """Problems whose pass rate is one to keep, those that a filter took out among them."""
        return self._counts["all"]["chosen"]

    @property
    def all_rates(self) -> Counter[float]:
        """How many distinct problems have each measured pass rate."""
        return reduce(lambda one, two: one + two, self.rates.values(), Counter[float]())

    @property
    def chain_lengths(self) -> tuple[int, int]:
        """How many chains have problems, and how many problems they have together."""
        found = self._counts["all"]
        return found["chains"] - found["came to nothing"], found["problems"]

    def yields(self) -> list[tuple[str, dict[str, int]]]:
        """How many chains and problems each mode gave; the last row is labelled ``all``."""
        return [(label, self._yield(found)) for label, found in self._counts.items()]

    def _yield(self, found: Counter[str]) -> dict[str, int]:
        names = ("chains", "came to nothing", "problems", "distinct", "never solved", "always solved")
        out = {"filtered out": found["filtered out"]} if self._out else {}
        return {name: found[name] for name in names} | out | {"kept": found["chosen"] - found["filtered out"]}

    def drafts(self) -> list[tuple[str, dict[str, int]]]:
        """What became of the drafts of teachers that are models; the last row is labelled ``all``.

        Returns:
            For each mode the drafts, the problems that they became, those after a repair, and for each
            check how many drafts it refused first; nothing where no model was the teacher.
        """
        if not self._drafts["all"]["drafts"]:
            return []
        checks = [check for check, _ in self._refused["all"].most_common()]
        return [
            (
                label,
                {name: found[name] for name in ("drafts", "valid", "after repair")}
                | {check: self._refused[label][check] for check in checks},
            )
            for label, found in self._drafts.items()
        ]

    def refusals(self) -> list[tuple[str, int, str, str]]:
        """What refused the drafts of teachers that are models, the most frequent first.

        Returns:
            The check, how many drafts it refused first, what is true of a good one, and the first complaint.
        """
        known = {**DRAFT_CHECKS, **CHECKS}
        return [
            (check, count, known.get(check, ""), self._complaints[check])
            for check, count in self._refused["all"].most_common()
        ]

    def steps(self) -> list[Step]:
        """What harder, easier and sideways steps did, over all chains."""
        return [
            Step(
                direction=direction,
                steps=self._changes[direction].total(),
                change=statistics.fmean(self._changes[direction].elements()),
                as_meant=statistics.fmean(change * sign > 0 for change in self._changes[direction].elements()),
            )
            for direction, sign in _SIGNS.items()
            if direction in self._changes
        ]

    def table(self) -> dict[Mode, tuple[Mean, dict[int, Mean]]]:
        """For each mode the mean over all of its problems, and the mean at each level that has some."""
        return {
            mode: (
                mean_rate(mode, self.rates[mode]),
                {level: mean_rate(str(level), found) for level, found in sorted(self.levels[mode].items())},
            )
            for mode in Mode
            if mode in self.rates
        }

    def _add(self, index: int, chain: Chain) -> None:
        mode = self.config.mode_of(index)
        labels = (str(mode), "all")
        for label in labels:
            self._counts[label]["chains"] += 1
            self._counts[label]["came to nothing"] += not chain.problems
            self._counts[label]["problems"] += len(chain.problems)
        for draft in chain.drafts:
            self._add_draft(labels, draft)
        for problem in chain.problems:
            self._add_problem(mode, problem)
        self._add_steps(chain)
        self._rank(chain)

    def _add_draft(self, labels: Iterable[str], draft: Draft) -> None:
        for label in labels:
            found = self._drafts[label]
            found["drafts"] += 1
            found["valid"] += bool(draft.key)
            found["after repair"] += bool(draft.key) and draft.repair > 0
            if draft.checks:
                self._refused[label][draft.checks[0]] += 1
        if draft.checks:
            self._complaints.setdefault(draft.checks[0], draft.complaints[0])

    def _add_problem(self, mode: Mode, problem: Problem) -> None:
        """Count a problem, once for the mode of its chain and once for all."""
        if self.config.bands and problem.measurements:
            self.saved_attempts += self.config.attempts - problem.measurements[-1].attempts
        code, bit = int(problem.key, 16), 1 << self.config.modes.index(mode)
        number = next(self._seen.find(code), None)
        if number is None:
            number = self._seen.add(code)
            self._seen_by.append(0)
            self._count("all", problem)
            self._add_rate(problem)
        if not self._seen_by[number] & bit:
            self._seen_by[number] |= bit
            self._count(str(mode), problem)

    def _count(self, label: str, problem: Problem) -> None:
        found, own, chosen = self._counts[label], rates([problem]), is_kept(problem, self.config)
        found["distinct"] += 1
        found["never solved"] += own[0.0]
        found["always solved"] += own[1.0]
        found["chosen"] += chosen
        found["filtered out"] += chosen and int(problem.key, 16) in self._out

    def _add_rate(self, problem: Problem) -> None:
        for _, report in measured([problem]):
            self.attempts += report.attempts
            self.rates.setdefault(problem.mode, Counter())[report.rate] += 1
            for groups, number in ((self.turns, problem.lineage.turn), (self.levels, problem.lineage.level)):
                groups.setdefault(problem.mode, {}).setdefault(number, Counter())[report.rate] += 1

    def _add_steps(self, chain: Chain) -> None:
        before = {problem.key: report.rate for problem, report in measured(chain.problems)}
        for problem in chain.problems:
            change = before.get(problem.key, math.nan) - before.get(problem.lineage.parent, math.nan)
            if not math.isnan(change) and problem.lineage.direction in _SIGNS:
                self._changes.setdefault(problem.lineage.direction, Counter())[change] += 1

    def _rank(self, chain: Chain) -> None:
        if not chain.problems:
            return
        mode, found = chain.problems[0].mode, rates(chain.problems)
        rank = len(chain.problems), max(found, default=0.0) - min(found, default=0.0)
        if rank > self._ranks.get(mode, (0, 0.0)):
            self._ranks[mode], self.telling[mode] = rank, chain
