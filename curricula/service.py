"""The online way out: whoever rolls out asks for a problem and reports what came of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from code_envs.curricula.sampler import Draw, Sampler
from code_envs.errors import ConfigError
from code_envs.modes.base import Grade
from code_envs.problem import Problem

__all__ = ["CurriculumService"]


class CurriculumService:
    """Hands out a sampler's sequence to rollouts that ask, in any order and from any thread.

    All members of a group ask with the same ticket and get the same problem: the first one draws it.
    A ticket is open until ``group_size`` grades were reported for it.

    Args:
        sampler: The sequence.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        self._open: dict[str, tuple[Draw, int]] = {}  # with the grades that are still due
        self._lock = threading.Lock()

    def ask(self, ticket: str | int) -> Draw:
        """Get the problem of a group.

        Args:
            ticket: What the group is called: a prompt id, a row number.

        Returns:
            The same draw for every member of the group.

        Raises:
            ConfigError: No problem that the policy asks for may be shown.
        """
        with self._lock:
            if str(ticket) not in self._open:
                self._open[str(ticket)] = self.sampler.draw(), self.sampler.group_size
            return self._open[str(ticket)][0]

    def report(self, ticket: str | int, grade: Grade) -> None:
        """Say what one attempt was worth; the last of a group closes its ticket.

        Raises:
            ConfigError: The ticket is not open: nobody asked with it, or its group is complete.
        """
        with self._lock:
            if str(ticket) not in self._open:
                raise ConfigError(f"ticket {ticket!r} is not open: ask with it first; a complete group is closed")
            drawn, due = self._open[str(ticket)]
            self.sampler.observe(drawn.problem, grade)
            if due > 1:
                self._open[str(ticket)] = drawn, due - 1
            else:
                del self._open[str(ticket)]

    def state_dict(self) -> dict[str, Any]:
        """The sampler's state and the open tickets, JSON-serialisable."""
        with self._lock:
            tickets = {
                ticket: [drawn.index, drawn.step, drawn.problem.key, due] for ticket, (drawn, due) in self._open.items()
            }
            return {"sampler": self.sampler.state_dict(), "open": tickets}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            ConfigError: It is the state of another sampler.
        """
        with self._lock:
            self.sampler.load_state_dict(state["sampler"])
            self._open = {
                ticket: (self._draw(index, step, key), due) for ticket, (index, step, key, due) in state["open"].items()
            }

    def _draw(self, index: int, step: int, key: str) -> Draw:
        place = self.sampler.pool.places[key]
        problem: Problem = self.sampler.problems[place]
        return Draw(index=index, step=step, bin=self.sampler.pool.placed.names[place], problem=problem)
