"""Many environments that are graded at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.error import InvalidAction
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from code_envs import modes
from code_envs.envs.single import CodeEnv
from code_envs.modes import Grade
from code_envs.problem import Problem

__all__ = ["CodeVectorEnv"]


class _Member(CodeEnv):
    """An environment whose next verdict was reached together with its neighbours'."""

    verdict: tuple[Problem, str, Grade] | None = None

    def _grade(self, problem: Problem, action: str) -> Grade:
        verdict, self.verdict = self.verdict, None
        if verdict is not None and verdict[:2] == (problem, action):
            return verdict[2]
        return super()._grade(problem, action)


class CodeVectorEnv(SyncVectorEnv[Any, Any]):
    """Environments in one process, whose answers are graded in parallel over one pool.

    Each behaves exactly as a :class:`CodeEnv` with the same seed. They share the teacher, the
    problems and the curriculum. Observations and actions are tuples of texts.

    Seeds: ``reset(seed=[...])`` gives each environment its own, as everywhere in Gymnasium. For
    ``reset(seed=7)`` Gymnasium's other vector environments would use 7, 8, 9, …, so that seeds 7
    and 8 share almost all problems; here member ``i`` draws its seed from the stream ``[7, i]``.
    ``info["seed"]`` names it.

    Args:
        num_envs: How many environments.
        autoreset_mode: When a finished one begins its next episode; see Gymnasium.
        settings: The keywords of :class:`CodeEnv`.
    """

    def __init__(
        self, num_envs: int = 1, *, autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP, **settings: Any
    ) -> None:
        first = _Member(**settings)
        shared = {**settings, "problems": first.source, "curriculum": first.curriculum}
        others = [partial(_Member, **shared)] * (num_envs - 1)
        super().__init__([lambda: first, *others], autoreset_mode=autoreset_mode)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Begin an episode in every environment.

        Args:
            seed: One seed to draw all others from, or one for each environment.
            options: As in :meth:`CodeEnv.reset`, for all; ``reset_mask`` as in Gymnasium.

        Returns:
            The prompts, and ``info`` as arrays of shape (num_envs,).
        """
        if seed is None or isinstance(seed, int | np.integer):
            seeds = [None if seed is None else _member_seed(int(seed), index) for index in range(self.num_envs)]
        else:
            seeds = list(seed)
        return super().reset(seed=seeds, options=None if options is None else dict(options))

    def step(
        self, actions: Sequence[str]
    ) -> tuple[tuple[str, ...], npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Any]]:
        """Give one answer in every environment; those that begin anew ignore theirs.

        Args:
            actions: One reply for each environment.

        Returns:
            Observations, rewards, terminations, truncations and ``info``, each of length num_envs.

        Raises:
            InvalidAction: There are more or fewer actions than environments.
        """
        if isinstance(actions, str) or len(actions) != self.num_envs:
            raise InvalidAction(f"{self.num_envs} environments take as many replies, not {len(actions)}")
        self._grade_together(actions)
        return super().step(actions)

    def _grade_together(self, actions: Sequence[str]) -> None:
        waiting = [
            (env, env.problem, action)
            for env, action, resets in zip(self.envs, actions, self._autoreset_envs, strict=True)
            if isinstance(env, _Member) and env.problem is not None and isinstance(action, str) and not resets
        ]
        if waiting:
            pairs = [(problem, action) for _, problem, action in waiting]
            grades = modes.grade_batch(pairs, waiting[0][0].executor)
            for (env, problem, action), grade in zip(waiting, grades, strict=True):
                env.verdict = problem, action, grade


def _member_seed(seed: int, index: int) -> int:
    return int(np.random.default_rng([seed, index]).integers(1 << 53))
