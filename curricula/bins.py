"""Bins of difficulty: a problem is placed by the posterior of its measured pass rate."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from code_envs.curricula.presets import check_keys, number, read_table, typed
from code_envs.errors import ConfigError, UnknownName
from code_envs.problem import Problem, Report

__all__ = ["Bins", "Place", "Placed", "load_bins", "place_all", "posterior_mass", "report_of"]


class Place(StrEnum):
    """Why a problem is in no bin."""

    UNMEASURED = "unmeasured"  # no report of that student with enough attempts
    OUTSIDE = "outside"  # easier or harder than every bin
    BETWEEN = "between"  # in a gap between two bins
    UNSURE = "unsure"  # the posterior is spread too wide


class Bins(msgspec.Struct, frozen=True, kw_only=True):
    """A set of bins.

    Attributes:
        name: What it is called.
        about: What it is for, in words.
        edges: For each bin, easiest first, the pass rates from and to. On an edge that two share
            the easier bin has it.
        between: ``discard`` what lies in a gap between two bins, or ``assign`` it to the nearer one.
        confidence: The least posterior probability that the pass rate lies in the bin (with the half
            gaps around it where they are assigned); a problem below it stays unplaced.
        student: Whose reports count; anybody's last one if empty.
        attempts: The fewest attempts of a report that counts.
    """

    name: str
    edges: Mapping[str, tuple[float, float]]
    about: str = ""
    between: str = "discard"
    confidence: float = 0.0
    student: str = ""
    attempts: int = 1

    def __post_init__(self) -> None:
        where = f"bins {self.name!r}"
        if not self.edges:
            raise ConfigError(f"{where}: there is no bin")
        if self.between not in ("discard", "assign"):
            raise UnknownName(f"value of 'between' in {where}:", self.between, ["discard", "assign"])
        if not 0 <= self.confidence < 1:
            raise ConfigError(f"{where}: the confidence must be at least 0 and below 1, not {self.confidence}")
        for name, (low, high) in self.edges.items():
            if not 0 <= low < high <= 1:
                raise ConfigError(
                    f"{where}: bin {name!r} must go from a lower to a higher rate in [0, 1], not {low}–{high}"
                )
            if name in set(Place):
                raise ConfigError(f"{where}: {name!r} cannot be the name of a bin: it says why a problem is in none")
        in_order = sorted(self.edges.items(), key=lambda item: -item[1][1])
        for (easier, (low, _)), (harder, (_, high)) in itertools.pairwise(in_order):
            if high > low:
                raise ConfigError(f"{where}: bins {easier!r} and {harder!r} overlap: {harder!r} goes up to {high}")
        msgspec.structs.force_setattr(self, "edges", dict(in_order))

    def but(self, **changes: Any) -> Bins:
        """Copy with some attributes changed."""
        return msgspec.structs.replace(self, **changes)

    def place(self, problem: Problem) -> str:
        """Place a problem.

        Returns:
            The name of its bin, or a :class:`Place` that says why it has none.
        """
        report = report_of(problem, self.student, self.attempts)
        return Place.UNMEASURED if report is None else self.place_counts(report.passes, report.attempts)

    def place_counts(self, passes: int, attempts: int) -> str:
        """Place a measured pass rate; see :meth:`place`.

        The rate itself chooses the bin, and the posterior decides whether that can be trusted.
        """
        rate, spans = passes / attempts, self._spans()
        if not min(low for low, _ in self.edges.values()) <= rate <= max(high for _, high in self.edges.values()):
            return Place.OUTSIDE
        found = next((name for name, (low, high) in spans.items() if low <= rate <= high), None)
        if found is None:
            return Place.BETWEEN
        return found if posterior_mass(passes, attempts, *spans[found]) >= self.confidence else Place.UNSURE

    def nearest(self, rate: float) -> str:
        """The bin that holds a pass rate, or else the one whose edge is nearest to it."""
        return min(self.edges, key=lambda name: max(self.edges[name][0] - rate, rate - self.edges[name][1], 0.0))

    def _spans(self) -> dict[str, tuple[float, float]]:
        """The rates that belong to each bin; half of each gap goes to its neighbours where gaps are assigned."""
        spans = dict(self.edges)
        if self.between == "assign":
            names = list(spans)
            for easier, harder in itertools.pairwise(names):
                middle = (spans[easier][0] + spans[harder][1]) / 2
                spans[easier] = (middle, spans[easier][1])
                spans[harder] = (spans[harder][0], middle)
        return spans


def posterior_mass(passes: int, attempts: int, low: float, high: float) -> float:
    """The posterior probability that a pass rate lies in [low, high], under the uniform prior.

    The prior is Beta(1, 1), so that the posterior Beta(passes + 1, failures + 1) has whole-number
    parameters and its tail is an exact binomial sum: P(rate <= x) = P(Bin(attempts + 1, x) > passes).

    Args:
        passes: How many attempts passed.
        attempts: How many there were.
        low: The lower end, in [0, 1].
        high: The upper end, in [low, 1].

    Returns:
        A probability in [0, 1].
    """
    return max(0.0, _at_most(high, passes, attempts) - _at_most(low, passes, attempts))


def _at_most(x: float, passes: int, attempts: int) -> float:
    if x <= 0 or x >= 1:
        return float(x >= 1)
    trials = attempts + 1
    logs = (
        math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)
        + hits * math.log(x) + (trials - hits) * math.log1p(-x)
        for hits in range(passes + 1, trials + 1)
    )  # fmt: skip
    return min(1.0, math.fsum(map(math.exp, logs)))


def report_of(problem: Problem, student: str = "", attempts: int = 1) -> Report | None:
    """The last report on a problem by a student (anybody if empty) with at least so many attempts."""
    found = (
        report
        for report in reversed(problem.measurements)
        if report.attempts >= max(attempts, 1) and student in ("", report.student)
    )
    return next(found, None)


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """Where the problems of a set fall.

    Attributes:
        names: For each problem, in order, its bin or why it has none.
        counts: How many fall where: every bin, then every reason, zeros included.
    """

    names: tuple[str, ...]
    counts: Mapping[str, int]


def place_all(problems: Iterable[Problem], bins: Bins) -> Placed:
    """Place every problem of a set and count."""
    names = tuple(str(bins.place(problem)) for problem in problems)
    found = Counter(names)
    return Placed(names=names, counts={name: found[name] for name in (*bins.edges, *map(str, Place))})


def load_bins(source: str | Path) -> Bins:
    """Load bins.

    Args:
        source: The name of a preset (``chain``, ``broad``) or the path of a TOML file.

    Raises:
        UnknownName: There is no such preset, or the file has a key that is not known.
        ConfigError: The bins cannot be used; says why.
        FileNotFoundError: There is no such file.
    """
    table, where = read_table("bins", source)
    check_keys(table, ("name", "about", "bins", "between", "confidence", "student", "attempts"), where)
    edges: dict[str, tuple[float, float]] = {}
    for name, span in typed(table, "bins", dict, where).items():
        if not isinstance(span, list) or len(span) != 2:
            raise ConfigError(f"{where}: bin {name!r} is two pass rates, from and to, not {span!r}")
        low, high = (number(end, f"{where}: an end of bin {name!r}") for end in span)
        edges[name] = (low, high)
    return Bins(
        name=typed(table, "name", str, where, Path(where).stem),
        about=typed(table, "about", str, where, ""),
        edges=edges,
        between=typed(table, "between", str, where, "discard"),
        confidence=number(table.get("confidence", 0.0), f"{where}: 'confidence'"),
        student=typed(table, "student", str, where, ""),
        attempts=typed(table, "attempts", int, where, 1),
    )
