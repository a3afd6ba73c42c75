"""What a curriculum is to an environment: it chooses what comes next, and is told how it went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from code_envs.modes.base import Grade
from code_envs.problem import Mode, Problem

__all__ = ["Curriculum"]


@runtime_checkable
class Curriculum(Protocol):
    """Decides which mode and which level, or which problem, come next.

    Those that exist are in ``code_envs.curricula``. One that chooses among problems of its own has
    them in an attribute ``problems``; an environment that is given no others takes its seeded
    problems from there, too.
    """

    def choose(self, rng: np.random.Generator) -> tuple[Mode, int] | Problem:
        """Choose what the next problem should be.

        Args:
            rng: Randomness of the episode; a curriculum with a seed of its own needs none.

        Returns:
            A mode and a level from 0 to ``LEVELS - 1``, or the problem itself.
        """
        ...

    def observe(self, problem: Problem, grade: Grade) -> None:
        """Take note of one graded attempt."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that observations have changed, JSON-serialisable."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        ...
