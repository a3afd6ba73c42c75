"""What a teacher is: it proposes problems, and varies them by what a student did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from code_envs.modes.base import Grade
from code_envs.problem import Direction, Mode, Problem

__all__ = ["LEVELS", "Teacher"]

LEVELS = 10
"""Teachers' own difficulty levels run from 0 (easiest) to ``LEVELS - 1``."""


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

    def vary(self, rng: np.random.Generator, problem: Problem, direction: Direction) -> Problem:
        """Make the next problem of a chain: a sibling, harder, easier or sideways.

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
