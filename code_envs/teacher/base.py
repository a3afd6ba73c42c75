"""What a teacher is: it proposes problems, and varies them by what a student did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from code_envs.modes.base import Grade
from code_envs.problem import Direction, Draft, Mode, Problem, Seed

__all__ = ["LEVELS", "Notes", "TakesNotes", "Target", "Teacher"]

LEVELS = 10
"""Teachers' own difficulty levels run from 0 (easiest) to ``LEVELS - 1``."""

Target = tuple[float, float]
"""A range of pass rates, from and to."""


@runtime_checkable
class Teacher(Protocol):
    """Proposes problems that pass their mode's ``validate``."""

    name: str
    modes: tuple[Mode, ...]

    def propose(self, rng: np.random.Generator, level: int | None = None, mode: Mode | None = None) -> Problem:
        """Make a new problem, the first of a chain.

        Args:
            rng: The only source of randomness.
            level: 0 to ``LEVELS - 1``; chosen by :meth:`choose_level` if None.
            mode: One of ``modes``; drawn if None.

        Returns:
            A valid problem; its lineage holds level, teacher, chain and origin.

        Raises:
            ProposalFailed: No valid problem was found within the budget.
        """
        ...

    def choose_level(self, rng: np.random.Generator, mode: Mode) -> int:
        """Choose the level to try next in a mode, by the running estimate of the pass rate.

        Apart from :meth:`propose`, so that a problem depends on its level but not on how it was chosen.
        """
        ...

    def vary(
        self, rng: np.random.Generator, problem: Problem, direction: Direction, target: Target | None = None
    ) -> Problem:
        """Make the next problem of a chain: a sibling, harder, easier or sideways.

        Args:
            rng: The only source of randomness.
            problem: The last problem of the chain; what students did on it is in its ``measurements``.
            direction: Which way to go.
            target: The pass rates to aim at, from and to; a teacher may go by the direction alone.

        Returns:
            A valid problem, with its lineage.

        Raises:
            ProposalFailed: No valid variant was found within the budget.
        """
        ...

    def observe(self, problem: Problem, grade: Grade) -> None:
        """Take note of one graded attempt at a problem of this teacher."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that observations have changed, JSON-serialisable."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        ...


class Notes(NamedTuple):
    """What a teacher keeps about a chain besides its problems.

    Attributes:
        seed: The snippet that the chain began with.
        drafts: Everything that was written for it, in order.
    """

    seed: Seed | None = None
    drafts: tuple[Draft, ...] = ()


@runtime_checkable
class TakesNotes(Protocol):
    """A teacher whose failures are worth keeping."""

    def take_notes(self) -> Notes:
        """Hand out the notes since the last call, and forget them."""
        ...
