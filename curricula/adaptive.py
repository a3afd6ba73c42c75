"""Adaptive policies over problems: each problem's pass rate is believed, and decides its weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from code_envs.curricula.bins import report_of
from code_envs.curricula.pool import Mask, Pool
from code_envs.errors import ConfigError
from code_envs.modes.base import Grade
from code_envs.problem import Mode

__all__ = ["FailureFirst", "Learnability"]

Floats = npt.NDArray[np.float64]


class _Weighted(ABC):
    """Draws each problem with a probability that grows with its score.

    What is known of a problem is a Beta posterior: it begins with its measurement, and every attempt
    makes older ones count less, as the student changes.

    Args:
        sharpness: The power of the score; 0 draws all alike.
        floor: The share of draws in which all are alike, so that nothing is forgotten for good.
        memory: Over how many attempts at a problem evidence fades to 1/e.
        prior: How many attempts a stored measurement is worth at most.

    Raises:
        ConfigError: An argument is out of range.
    """

    picks_modes = False

    def __init__(self, sharpness: float = 1.0, floor: float = 0.05, memory: float = 32.0, prior: float = 8.0) -> None:
        if sharpness < 0 or not 0 <= floor <= 1 or memory <= 0 or prior < 0:
            raise ConfigError("sharpness and prior must not be negative, floor is in [0, 1], memory is positive")
        self.sharpness, self.floor, self.prior = sharpness, floor, prior
        self._keep = float(np.exp(-1.0 / memory))

    def begin(self, pool: Pool, seed: int) -> None:  # noqa: ARG002
        """See :class:`~code_envs.curricula.Policy`."""
        self._keys = [problem.key for problem in pool.problems]
        self._modes = pool.of_mode
        self._seen = np.zeros((2, len(pool)))  # rows: passes, failures
        for place, problem in enumerate(pool.problems):
            report = report_of(problem, pool.bins.student, pool.bins.attempts)
            if report is not None:
                worth = min(1.0, self.prior / report.attempts)
                self._seen[:, place] = report.passes * worth, (report.attempts - report.passes) * worth
        self._at_first = self._seen.copy()

    def grow(self, pool: Pool) -> None:
        """See :class:`~code_envs.curricula.Growing`; nothing is known of problems that were added."""
        new = pool.problems[len(self._keys) :]
        self._keys += [problem.key for problem in new]
        unseen = np.zeros((2, len(new)))
        self._seen, self._at_first = np.hstack([self._seen, unseen]), np.hstack([self._at_first, unseen])

    @abstractmethod
    def score(self, passes: Floats, fails: Floats) -> Floats:
        """The score of problems with a Beta(passes, fails) posterior, not negative, shape (problems,)."""

    def rates(self) -> Floats:
        """The expected pass rate of each problem of the pool, shape (problems,)."""
        rates: Floats = (self._seen[0] + 1) / (self._seen.sum(axis=0) + 2)
        return rates

    def pick(self, rng: np.random.Generator, step: int, mode: Mode | None, allowed: Mask | None) -> int | None:  # noqa: ARG002
        """See :class:`~code_envs.curricula.Policy`."""
        among = self._modes[mode] if mode else np.ones(len(self._keys), dtype=np.bool_)
        places = np.flatnonzero(among if allowed is None else among & allowed)
        if not len(places):
            return None
        scores = self.score(*(self._seen[:, places] + 1)) ** self.sharpness
        shares = (1 - self.floor) * scores / scores.sum() + self.floor / len(places)
        reached = np.cumsum(shares)
        return int(places[np.searchsorted(reached, rng.random() * reached[-1], side="right")])

    def observe(self, place: int, grade: Grade) -> None:
        """See :class:`~code_envs.curricula.Policy`."""
        self._seen[:, place] *= self._keep
        self._seen[0 if grade.passed else 1, place] += 1.0

    def state_dict(self) -> dict[str, Any]:
        """See :class:`~code_envs.curricula.Policy`."""
        changed = np.flatnonzero((self._seen != self._at_first).any(axis=0))
        return {"seen": {self._keys[place]: self._seen[:, place].tolist() for place in changed}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See :class:`~code_envs.curricula.Policy`."""
        places = {key: place for place, key in enumerate(self._keys)}
        self._seen = self._at_first.copy()
        for key, counts in state["seen"].items():
            self._seen[:, places[key]] = counts


class Learnability(_Weighted):
    """Draws by learnability: the expected p(1 - p), which is highest where half of the attempts pass.

    p(1 - p) is the variance of a group's rewards, hence what a group-relative method can learn from
    (Rutherford et al. 2024, arXiv 2408.15099). The arguments are those of the other weighted policies.

    Args:
        sharpness: The power of the score; 0 draws all alike.
        floor: The share of draws in which all are alike, so that nothing is forgotten for good.
        memory: Over how many attempts at a problem evidence fades to 1/e.
        prior: How many attempts a stored measurement is worth at most.
    """

    def score(self, passes: Floats, fails: Floats) -> Floats:
        """E[p(1 - p)] under Beta(passes, fails)."""
        total = passes + fails
        score: Floats = passes * fails / (total * (total + 1))
        return score


class FailureFirst(_Weighted):
    """Draws by expected failure, 1 - p, as in Kimi k1.5 (arXiv 2501.12599).

    What was never solved comes most often: filter problems that nobody can solve beforehand.

    Args:
        sharpness: The power of the score; 0 draws all alike.
        floor: The share of draws in which all are alike, so that nothing is forgotten for good.
        memory: Over how many attempts at a problem evidence fades to 1/e.
        prior: How many attempts a stored measurement is worth at most.
    """

    def score(self, passes: Floats, fails: Floats) -> Floats:
        """E[1 - p] under Beta(passes, fails)."""
        score: Floats = fails / (passes + fails)
        return score
