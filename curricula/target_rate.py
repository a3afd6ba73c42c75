"""The default curriculum: keep the student at a target pass rate, in every mode."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from code_envs.curricula.history import History
from code_envs.errors import ConfigError, UnknownName
from code_envs.modes.base import Grade
from code_envs.problem import Mode, Problem
from code_envs.teacher.adaptive import RateTracker

__all__ = ["TargetRate", "mode_weights"]


class TargetRate:
    """Draws a mode by weight, then the level whose pass rate lies nearest to a target.

    Half of a group passes and half fails at a rate of 0.5: that is where group-relative methods
    such as GRPO learn most. Levels are tried in both directions, little-known ones more often.

    Args:
        target: The pass rate to aim at, strictly between 0 and 1.
        modes: Which modes: names, or a mapping from names to positive weights; all alike by default.
        memory: Over how many observations of a mode evidence fades to 1/e.

    Raises:
        ConfigError: The target or a weight is out of range, or there is no mode.
    """

    def __init__(
        self, target: float = 0.5, modes: Iterable[str] | Mapping[str, float] = tuple(Mode), memory: float = 200.0
    ) -> None:
        if not 0.0 < target < 1.0:
            raise ConfigError(f"the target rate must lie strictly between 0 and 1, not at {target}")
        self.target = target
        self.weights = mode_weights(modes)
        self.tracker = RateTracker(memory=memory)
        self.history = History()
        self._draws = 0

    def choose(self, rng: np.random.Generator) -> tuple[Mode, int]:
        """Choose what the next problem should be; see :class:`code_envs.envs.Curriculum`."""
        modes, weights = list(self.weights), np.array(list(self.weights.values()))
        mode = modes[int(rng.choice(len(modes), p=weights / weights.sum()))]
        level = self.tracker.choose_level(rng, mode, self.target)
        self.history.show(self._draws, mode, f"level {level}")
        self._draws += 1
        return mode, level

    def observe(self, problem: Problem, grade: Grade) -> None:
        """Take note of one graded attempt; unscored ones and levels off the scale say nothing."""
        if grade.scored and 0 <= problem.lineage.level < self.tracker.levels:
            self.tracker.observe(problem.mode, problem.lineage.level, grade.passed)
            label = f"level {problem.lineage.level}"
            self.history.grade(max(self._draws - 1, 0), problem.mode, label, grade.passed)

    def rates(self) -> dict[Mode, list[float]]:
        """The expected pass rate of each mode at each level, for logs."""
        return {mode: [self.tracker.rate(mode, level) for level in range(self.tracker.levels)] for mode in self.weights}

    def state_dict(self) -> dict[str, Any]:
        """Everything that choosing and observing have changed, JSON-serialisable."""
        return {**self.tracker.state_dict(), "draws": self._draws, "history": self.history.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            ConfigError: It is not such a state.
        """
        if not {"draws", "history"} <= state.keys():
            raise ConfigError("not the state of a TargetRate: it needs 'draws' and 'history'")
        self.tracker.load_state_dict(state)
        self._draws = int(state["draws"])
        self.history.load_state_dict(state["history"])


def mode_weights(modes: Iterable[str] | Mapping[str, float]) -> dict[Mode, float]:
    """Read modes, or weights of modes.

    Raises:
        UnknownName: There is no such mode; names the nearest one.
        ConfigError: A weight is not positive, or there is no mode.
    """
    pairs = modes.items() if isinstance(modes, Mapping) else [(name, 1.0) for name in modes]
    weights: dict[Mode, float] = {}
    for name, weight in pairs:
        if name not in list(Mode):
            raise UnknownName("mode", name, Mode)
        if not (math.isfinite(weight) and weight > 0):
            raise ConfigError(f"the weight of {name} must be positive, not {weight}")
        weights[Mode(name)] = float(weight)
    if not weights:
        raise ConfigError(f"a curriculum needs at least one mode of {', '.join(Mode)}")
    return weights
