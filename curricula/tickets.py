"""Tickets: which group of rollouts works on which draw, and which grades are still due."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["Group", "Tickets"]

_CLOSED = 4096  # closed groups that a late report still finds


class Group(msgspec.Struct, kw_only=True):
    """One draw and the rollouts that work on it.

    Attributes:
        ticket: What the group asks with.
        index: The draw's place in the sequence.
        step: The training step of the draw.
        key: The problem.
        bin: The problem's bin when it was drawn.
        due: Grades that have not been reported.
        asked: How many rollouts have asked.
        calls: The calls that were counted, so that one that is made again is not counted twice.
    """

    ticket: str
    index: int
    step: int
    key: str
    bin: str
    due: int
    asked: int = 0
    calls: list[str] = msgspec.field(default_factory=list)


class Tickets:
    """The groups under way, and the last ones that are not.

    A ticket may have several open groups: a trainer that runs ahead asks for the next epoch's group
    while the last one is still at work.

    Args:
        group_size: How many rollouts are a group.
    """

    def __init__(self, group_size: int) -> None:
        self.group_size = group_size
        self.open: dict[int, Group] = {}  # by index, hence oldest first
        self._closed: OrderedDict[int, Group] = OrderedDict()
        self._last: dict[str, int] = {}  # the newest group of each ticket, open or lately closed

    def find(self, ticket: str, call: str = "") -> Group | None:
        """The group that a rollout which asks belongs to; None if it needs a new draw."""
        group = self._known(self._last.get(ticket, -1))
        if group is None or (call and call in group.calls):
            return group
        return group if group.index in self.open and group.asked < self.group_size else None

    def add(self, group: Group) -> Group:
        """Open a group."""
        self.open[group.index] = group
        self._last[group.ticket] = group.index
        return group

    def is_open(self, ticket: str) -> bool:
        """Whether a group of the ticket is under way."""
        return self._last.get(ticket, -1) in self.open

    def join(self, group: Group, call: str = "") -> bool:
        """Count a rollout that asks; returns whether it is a further one."""
        if call and call in group.calls:
            return False
        group.asked += 1
        group.calls += [call] if call else []
        return True

    def reported(self, ticket: str, index: int | None = None) -> Group | None:
        """The group that a grade belongs to: of the index, or else the ticket's oldest open one, or its last."""
        if index is not None:
            group = self._known(index)
            return group if group is not None and group.ticket == ticket else None
        last = self._known(self._last.get(ticket, -1))
        if last is None or last.index not in self.open:
            return last
        return next(group for group in self.open.values() if group.ticket == ticket)

    def close(self, group: Group) -> None:
        """No more grades are waited for."""
        del self.open[group.index]
        self._closed[group.index] = group
        while len(self._closed) > _CLOSED:
            index, gone = self._closed.popitem(last=False)
            if self._last.get(gone.ticket) == index:
                del self._last[gone.ticket]

    def expired(self, before: int) -> list[Group]:
        """The open groups that were drawn before a step."""
        return [group for group in self.open.values() if group.step < before]

    def _known(self, index: int) -> Group | None:
        return self.open.get(index) or self._closed.get(index)

    def state_dict(self) -> dict[str, Any]:
        """Everything, JSON-serialisable."""
        return {
            "open": msgspec.to_builtins(list(self.open.values())),
            "closed": msgspec.to_builtins(list(self._closed.values())),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        open_, closed = (msgspec.convert(state[name], list[Group]) for name in ("open", "closed"))
        self.open = {group.index: group for group in open_}
        self._closed = OrderedDict((group.index, group) for group in closed)
        self._last = {}
        for group in sorted([*closed, *open_], key=lambda group: group.index):
            self._last[group.ticket] = group.index
