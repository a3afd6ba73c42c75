"""Filters: which problems of a pool may be shown at the moment, whatever the policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from code_envs.curricula.bins import report_of
from code_envs.curricula.pool import Mask, Pool
from code_envs.errors import ConfigError, UnknownName
from code_envs.modes.base import Grade

__all__ = ["CHAIN_ORDERS", "ChainOrder", "Filter", "VarianceFilter"]

CHAIN_ORDERS = ("easy-first", "hard-first")
_NEVER = np.iinfo(np.int64).max


class Filter(Protocol):
    """Says which problems may be shown. A soft one is passed over where it would leave nothing."""

    soft: bool

    def begin(self, pool: Pool, eligible: Mask) -> None:
        """Get to know the pool, and which of its problems the policy could ever show."""
        ...

    def grow(self, pool: Pool, eligible: Mask) -> None:
        """Take note of problems that were added to the pool's end."""
        ...

    def allowed(self, step: int) -> Mask:
        """Which places may be shown at a step, shape (problems,)."""
        ...

    def show(self, place: int, step: int) -> None:
        """Take note of a problem that is shown."""
        ...

    def observe(self, place: int, grade: Grade, step: int) -> None:
        """Take note of a graded attempt, scored or not."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that has changed, JSON-serialisable."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        ...


class ChainOrder:
    """Shows a problem only after its next easier (or next harder) sibling was shown at an earlier step.

    Siblings are the problems of one chain and mode that the policy can show at all. They are ordered
    by their measured pass rates, or by their levels where one was not measured; equals are not ordered.

    Args:
        order: ``easy-first`` or ``hard-first``.

    Raises:
        UnknownName: There is no such order.
    """

    soft = False

    def __init__(self, order: str = "easy-first") -> None:
        if order not in CHAIN_ORDERS:
            raise UnknownName("chain order", order, CHAIN_ORDERS)
        self.order = order

    def begin(self, pool: Pool, eligible: Mask) -> None:
        """See :class:`Filter`."""
        self._shown = np.full(len(pool), _NEVER)  # at which step first
        self._order(pool, eligible)

    def grow(self, pool: Pool, eligible: Mask) -> None:
        """See :class:`Filter`."""
        self._shown = np.append(self._shown, np.full(len(pool) - len(self._shown), _NEVER))
        self._order(pool, eligible)

    def _order(self, pool: Pool, eligible: Mask) -> None:
        self._before = np.full(len(pool), -1)
        families: dict[tuple[str, str], list[int]] = {}
        for place in np.flatnonzero(eligible).tolist():
            problem = pool.problems[place]
            if problem.lineage.chain:
                families.setdefault((problem.lineage.chain, problem.mode), []).append(place)
        for family in families.values():
            ease = dict(zip(family, _ease(pool, family), strict=True))
            sign = 1 if self.order == "easy-first" else -1
            for place in family:
                earlier = [other for other in family if sign * ease[other] > sign * ease[place]]
                if earlier:
                    self._before[place] = min(earlier, key=lambda other: sign * ease[other])

    def allowed(self, step: int) -> Mask:
        """See :class:`Filter`."""
        allowed: Mask = (self._before < 0) | (self._shown[self._before] < step)
        return allowed

    def show(self, place: int, step: int) -> None:
        """See :class:`Filter`."""
        self._shown[place] = min(self._shown[place], step)

    def observe(self, place: int, grade: Grade, step: int) -> None:
        """The order does not depend on how it went."""

    def state_dict(self) -> dict[str, Any]:
        """See :class:`Filter`."""
        shown = np.flatnonzero(self._shown < _NEVER)
        return {"shown": [[int(place), int(self._shown[place])] for place in shown]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See :class:`Filter`."""
        self._shown[:] = _NEVER
        for place, step in state["shown"]:
            self._shown[place] = step


def _ease(pool: Pool, family: list[int]) -> list[float]:
    """How easy each of some siblings is, on one scale."""
    reports = [report_of(pool.problems[place], pool.bins.student, pool.bins.attempts) for place in family]
    rates = [report.rate for report in reports if report is not None]
    return rates if len(rates) == len(family) else [-float(pool.problems[place].lineage.level) for place in family]


class VarianceFilter:
    """Lets a problem rest whose last group of attempts all passed or all failed.

    Such a group has no advantage and teaches a group-relative method nothing (dynamic sampling in
    DAPO, arXiv 2503.14476). The problem comes back, since the student changes.

    Args:
        group_size: How many attempts are a group.
        rest: For how many steps the problem is not shown.

    Raises:
        ConfigError: A group has less than two attempts, or the rest is not positive.
    """

    soft = True

    def __init__(self, group_size: int, rest: int = 50) -> None:
        if group_size < 2 or rest < 1:
            raise ConfigError(f"variance needs groups of 2 or more and a positive rest, not {group_size} and {rest}")
        self.group_size, self.rest = group_size, rest
        self.groups = self.uniform = 0

    def begin(self, pool: Pool, eligible: Mask) -> None:  # noqa: ARG002
        """See :class:`Filter`."""
        self._until = np.zeros(len(pool), dtype=np.int64)  # the first step at which it may be shown again
        self._open: dict[int, list[int]] = {}  # attempts, scored ones, passes of unfinished groups

    def grow(self, pool: Pool, eligible: Mask) -> None:  # noqa: ARG002
        """See :class:`Filter`."""
        self._until = np.append(self._until, np.zeros(len(pool) - len(self._until), dtype=np.int64))

    def allowed(self, step: int) -> Mask:
        """See :class:`Filter`."""
        allowed: Mask = self._until <= step
        return allowed

    def show(self, place: int, step: int) -> None:
        """Showing a problem changes nothing."""

    def observe(self, place: int, grade: Grade, step: int) -> None:
        """See :class:`Filter`; the group is judged when its last attempt is in."""
        counts = self._open.setdefault(place, [0, 0, 0])
        for number, counted in enumerate((True, grade.scored, grade.passed)):
            counts[number] += counted
        if counts[0] == self.group_size:
            _, scored, passes = self._open.pop(place)
            if scored:
                self.groups += 1
                if passes in (0, scored):
                    self.uniform += 1
                    self._until[place] = step + 1 + self.rest

    def state_dict(self) -> dict[str, Any]:
        """See :class:`Filter`."""
        resting = [[int(place), int(self._until[place])] for place in np.flatnonzero(self._until)]
        unfinished = [[place, *counts] for place, counts in self._open.items()]
        return {"resting": resting, "open": unfinished, "groups": self.groups, "uniform": self.uniform}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See :class:`Filter`."""
        self._until[:] = 0
        for place, until in state["resting"]:
            self._until[place] = until
        self._open = {place: list(counts) for place, *counts in state["open"]}
        self.groups, self.uniform = int(state["groups"]), int(state["uniform"])
