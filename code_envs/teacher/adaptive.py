"""A running estimate of the pass rate by mode and level, and the level to try next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from code_envs.errors import ConfigError
from code_envs.modes.base import Grade
from code_envs.problem import Problem, wilson_interval
from code_envs.teacher.base import LEVELS

__all__ = ["RateTracker", "falling_fit"]

Floats = npt.NDArray[np.float64]


def falling_fit(rates: Floats, weights: Floats) -> Floats:
    """Fit the closest sequence that never rises (pool adjacent violators).

    Args:
        rates: One rate for each level, shape (levels,).
        weights: How much each of them counts, positive, shape (levels,).

    Returns:
        The weighted least-squares fit, shape (levels,).
    """
    pools: list[tuple[float, float, int]] = []  # rate, weight, how many levels
    for rate, weight in zip(rates.tolist(), weights.tolist(), strict=True):
        pool = (rate, weight, 1)
        while pools and pools[-1][0] < pool[0]:
            before = pools.pop()
            total = before[1] + pool[1]
            pool = ((before[0] * before[1] + pool[0] * pool[1]) / total, total, before[2] + pool[2])
        pools.append(pool)
    return np.repeat([pool[0] for pool in pools], [pool[2] for pool in pools])


class RateTracker:
    """A Beta posterior of the pass rate for each mode and level, which forgets.

    Two assumptions turn sparse observations into an estimate for every level: a higher level is
    never easier, and what was seen longer ago counts less. Forgetting also touches the levels
    that are not being tried, so that their uncertainty grows and they are tried again.

    Args:
        levels: How many levels there are, 0 the easiest.
        memory: Over how many observations of a mode evidence fades to 1/e.
        prior: How many observations the prior is worth; it falls evenly from 0.8 to 0.2.

    Raises:
        ConfigError: An argument is not positive.
    """

    def __init__(self, levels: int = LEVELS, memory: float = 200.0, prior: float = 2.0) -> None:
        if levels < 1 or memory <= 0 or prior <= 0:
            raise ConfigError("a RateTracker needs at least one level, and a positive memory and prior")
        self.levels, self.memory = levels, memory
        means = np.linspace(0.8, 0.2, levels)
        self._prior = prior * np.stack([means, 1.0 - means])  # rows: passes, failures
        self._keep = float(np.exp(-1.0 / memory))
        self._seen: dict[str, Floats] = {}

    def observe(self, mode: str, level: int, passed: bool) -> None:
        """Take note of one scored attempt.

        Raises:
            ConfigError: There is no such level.
        """
        self._check(level)
        seen = self._seen.setdefault(str(mode), np.zeros((2, self.levels)))
        seen *= self._keep
        seen[0 if passed else 1, level] += 1.0

    def take(self, problem: Problem, grade: Grade) -> None:
        """Take note of a graded attempt at a problem; one that is not scored says nothing."""
        if grade.scored:
            self.observe(problem.mode, min(self.levels - 1, problem.lineage.level), grade.passed)

    def rate(self, mode: str, level: int) -> float:
        """The expected pass rate, in (0, 1), given that higher levels are never easier."""
        self._check(level)
        passes, fails = self._posterior(mode)
        return float(falling_fit(passes / (passes + fails), passes + fails)[level])

    def interval(self, mode: str, level: int) -> tuple[float, float]:
        """The 95 % Wilson interval of what was seen at this level itself; (0, 1) if nothing was."""
        self._check(level)
        seen = self._seen.get(str(mode))
        if seen is None:
            return 0.0, 1.0
        return wilson_interval(float(seen[0, level]), float(seen[:, level].sum()))

    def choose_level(self, rng: np.random.Generator, mode: str, target: float = 0.5) -> int:
        """Choose the level to try next (Thompson sampling).

        A pass rate is drawn for each level from what is known of it; the level whose draw lies
        nearest to the target is taken. Well-known levels are drawn close to their rate, unknown
        ones anywhere that their neighbours allow: they are explored until they are known.

        Args:
            rng: The only source of randomness.
            mode: Which mode's rates.
            target: The pass rate to aim at, in [0, 1].

        Returns:
            A level, 0 to ``levels - 1``.
        """
        passes, fails = self._posterior(mode)
        drawn = falling_fit(rng.beta(passes, fails), passes + fails)
        distance = np.abs(drawn - target)
        nearest = np.flatnonzero(distance <= distance.min() + 1e-12)
        # levels that are one to the fit: where all seem too easy the hardest is the best, and vice versa
        return int(nearest[-1] if drawn[nearest[0]] > target else nearest[0])

    def state_dict(self) -> dict[str, Any]:
        """What was observed, JSON-serialisable; exact after a round trip through JSON."""
        return {"seen": {mode: seen.tolist() for mode, seen in self._seen.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            ConfigError: The state is not that of a tracker with as many levels.
        """
        try:
            seen = {str(mode): np.array(rows, dtype=np.float64) for mode, rows in state["seen"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError("not the state of a RateTracker: it needs a table 'seen' of numbers") from error
        for mode, rows in seen.items():
            if rows.shape != (2, self.levels) or not (np.isfinite(rows).all() and (rows >= 0).all()):
                raise ConfigError(f"the state of mode {mode!r} does not fit a RateTracker with {self.levels} levels")
        self._seen = seen

    def _posterior(self, mode: str) -> Floats:
        seen = self._seen.get(str(mode))
        return self._prior if seen is None else self._prior + seen

    def _check(self, level: int) -> None:
        if not 0 <= level < self.levels:
            raise ConfigError(f"there is no level {level}: levels run from 0 to {self.levels - 1}")
