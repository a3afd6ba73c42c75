"""A bandit over modes and levels that goes where the student is learning."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from code_envs.curricula.history import History
from code_envs.curricula.target_rate import mode_weights
from code_envs.errors import ConfigError
from code_envs.modes.base import Grade
from code_envs.problem import Mode, Problem
from code_envs.teacher.base import LEVELS

__all__ = ["Bandit"]

_FAST, _SLOW = 10.0, 50.0  # over how many observations of an arm its two running rates fade to 1/e


class Bandit:
    """Draws the (mode, level) with the most learning progress (Matiisen et al. 2017, arXiv 1707.00183).

    The progress of an arm is the distance between a fast and a slow running pass rate: learning and
    forgetting both raise it, and what is mastered or out of reach has none. Arms that were seldom
    tried get a bonus that shrinks with the attempts at them.

    Args:
        modes: Which modes: names, or a mapping from names to weights that multiply the draws.
        levels: Which levels.
        temperature: Of the softmax over the arms' progress, positive; higher explores more.
        floor: The share of draws in which all arms are alike.

    Raises:
        ConfigError: An argument is out of range, or there is no arm.
    """

    def __init__(
        self,
        modes: Iterable[str] | Mapping[str, float] = tuple(Mode),
        levels: Iterable[int] = tuple(range(LEVELS)),
        *,
        temperature: float = 0.1,
        floor: float = 0.1,
    ) -> None:
        if temperature <= 0 or not 0 <= floor <= 1:
            raise ConfigError(f"the temperature must be positive and floor in [0, 1], not {temperature} and {floor}")
        weights, levels = mode_weights(modes), sorted(set(levels))
        self.arms = [(mode, level) for mode in weights for level in levels]
        if not self.arms:
            raise ConfigError("a bandit needs at least one level")
        self._weights = np.array([weights[mode] for mode, _ in self.arms])
        self.temperature, self.floor = temperature, floor
        self._numbers = {arm: number for number, arm in enumerate(self.arms)}
        self._seen = np.zeros((3, len(self.arms)))  # rows: fast rate, slow rate, attempts
        self.history = History()
        self._draws = 0

    def choose(self, rng: np.random.Generator) -> tuple[Mode, int]:
        """Choose what the next problem should be; see :class:`code_envs.envs.Curriculum`."""
        fast, slow, tried = self._seen
        hopes = (np.abs(fast - slow) + 1.0 / np.sqrt(1.0 + tried)) / self.temperature
        shares = self._weights * np.exp(hopes - hopes.max())
        even = self._weights / self._weights.sum()
        reached = np.cumsum((1 - self.floor) * shares / shares.sum() + self.floor * even)
        mode, level = self.arms[int(np.searchsorted(reached, rng.random() * reached[-1], side="right"))]
        self.history.show(self._draws, mode, f"level {level}")
        self._draws += 1
        return mode, level

    def observe(self, problem: Problem, grade: Grade) -> None:
        """Take note of one graded attempt; unscored ones and those of no arm say nothing."""
        number = self._numbers.get((problem.mode, problem.lineage.level))
        if number is None or not grade.scored:
            return
        passed = float(grade.passed)
        tried = self._seen[2, number] + 1
        for row, memory in ((0, _FAST), (1, _SLOW)):
            share = max(1.0 / tried, 1.0 - math.exp(-1.0 / memory))  # a plain mean at first
            self._seen[row, number] += share * (passed - self._seen[row, number])
        self._seen[2, number] = tried
        self.history.grade(max(self._draws - 1, 0), problem.mode, f"level {problem.lineage.level}", grade.passed)

    def state_dict(self) -> dict[str, Any]:
        """Everything that choosing and observing have changed, JSON-serialisable."""
        arms = [[mode.value, level] for mode, level in self.arms]
        history = self.history.state_dict()
        return {"arms": arms, "seen": self._seen.tolist(), "draws": self._draws, "history": history}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            ConfigError: It is the state of a bandit with other arms.
        """
        if state.get("arms") != [[mode.value, level] for mode, level in self.arms]:
            raise ConfigError("the state is not that of a Bandit with these modes and levels")
        self._seen, self._draws = np.array(state["seen"], dtype=np.float64), int(state["draws"])
        self.history.load_state_dict(state["history"])
