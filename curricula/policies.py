"""Policies: which problem of a pool comes next. Here those that follow a schedule or a level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from code_envs.curricula.pool import Decks, Mask, Pool
from code_envs.curricula.schedules import Schedule
from code_envs.envs.curriculum import Curriculum
from code_envs.errors import ConfigError
from code_envs.modes.base import Grade
from code_envs.problem import Mode, Problem

__all__ = ["ByLevel", "Growing", "Policy", "Scheduled"]


@runtime_checkable
class Policy(Protocol):
    """Decides which problem of a pool comes next; a :class:`~code_envs.curricula.Sampler` asks it.

    ``picks_modes`` says whether it chooses the mode, too, or is told one.
    """

    picks_modes: bool

    def begin(self, pool: Pool, seed: int) -> None:
        """Get to know the pool; called once, before anything else."""
        ...

    def pick(self, rng: np.random.Generator, step: int, mode: Mode | None, allowed: Mask | None) -> int | None:
        """Pick a problem.

        Args:
            rng: The only source of randomness, fresh for each draw.
            step: The training step.
            mode: The mode that it must have; None for a policy that picks modes.
            allowed: Which places of the pool may be shown; all if None.

        Returns:
            A place in the pool; None if there is none that the policy would show.
        """
        ...

    def observe(self, place: int, grade: Grade) -> None:
        """Take note of a scored attempt at a problem of the pool."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that picking and observing have changed, JSON-serialisable."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        ...


@runtime_checkable
class Growing(Protocol):
    """A policy whose pool may change: problems are added to its end, or come into other bins."""

    def grow(self, pool: Pool) -> None:
        """Take note of the changes; the pool is the one of ``begin``."""
        ...


class Scheduled:
    """Draws a bin by the weights of a schedule, then the next problem of that bin's deck.

    Args:
        schedule: The weights over the steps.
        steps: How many steps training has.

    Raises:
        ConfigError: There is not at least one step.
    """

    picks_modes = False

    def __init__(self, schedule: Schedule, steps: int) -> None:
        if steps < 1:
            raise ConfigError(f"training needs at least one step, not {steps}")
        self.schedule, self.steps = schedule, steps

    def begin(self, pool: Pool, seed: int) -> None:
        """See :class:`Policy`."""
        self.decks = Decks(pool.cells, seed)

    def pick(self, rng: np.random.Generator, step: int, mode: Mode | None, allowed: Mask | None) -> int | None:
        """See :class:`Policy`; a bin without an allowed problem leaves its weight to the others."""
        weights = {name: weight for name, weight in self.schedule.weights(step, self.steps).items() if weight > 0}
        while weights:
            name = draw(rng, weights)
            place = self.decks.take((mode, name), allowed) if mode else None
            if place is not None:
                return place
            del weights[name]
        return None

    def grow(self, pool: Pool) -> None:  # noqa: ARG002
        """See :class:`Growing`; the decks' cells are those of the pool."""
        self.decks.renew()

    def observe(self, place: int, grade: Grade) -> None:
        """A schedule does not look at how it went."""

    def state_dict(self) -> dict[str, Any]:
        """See :class:`Policy`."""
        return self.decks.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See :class:`Policy`."""
        self.decks.load_state_dict(state)


class ByLevel:
    """Lets a curriculum over modes and levels choose, and takes a problem of the level, or of the nearest.

    Args:
        chooser: Such as :class:`~code_envs.curricula.TargetRate` or :class:`~code_envs.curricula.Bandit`.
    """

    picks_modes = True

    def __init__(self, chooser: Curriculum) -> None:
        self.chooser = chooser

    def begin(self, pool: Pool, seed: int) -> None:
        """See :class:`Policy`."""
        self.problems = pool.problems
        self.decks = Decks(pool.sort(lambda place: pool.problems[place].lineage.level), seed)

    def grow(self, pool: Pool) -> None:
        """See :class:`Growing`."""
        self.decks.cells = pool.sort(lambda place: pool.problems[place].lineage.level)
        self.decks.renew()

    def pick(self, rng: np.random.Generator, step: int, mode: Mode | None, allowed: Mask | None) -> int | None:  # noqa: ARG002
        """See :class:`Policy`.

        Raises:
            ConfigError: The curriculum chose a mode that no problem has.
        """
        chosen = self.chooser.choose(rng)
        assert not isinstance(chosen, Problem)
        mode, level = chosen
        levels = sorted(
            (int(there) for own, there in self.decks.cells if own == mode), key=lambda there: abs(there - level)
        )
        if not levels:
            raise ConfigError(f"the curriculum asks for {mode}, but no problem has that mode: give it modes=")
        return next((p for there in levels if (p := self.decks.take((mode, there), allowed)) is not None), None)

    def observe(self, place: int, grade: Grade) -> None:
        """See :class:`Policy`."""
        self.chooser.observe(self.problems[place], grade)

    def state_dict(self) -> dict[str, Any]:
        """See :class:`Policy`."""
        return {"decks": self.decks.state_dict(), "chooser": self.chooser.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See :class:`Policy`."""
        self.decks.load_state_dict(state["decks"])
        self.chooser.load_state_dict(state["chooser"])


def draw(rng: np.random.Generator, weights: Mapping[Any, float]) -> Any:
    """Draw a name by weight; at least one weight is positive."""
    reached = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(reached, rng.random() * reached[-1], side="right"))]
