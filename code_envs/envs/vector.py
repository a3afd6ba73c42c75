"""Many environments that are graded at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.error import InvalidAction
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from code_envs import modes
from code_envs.envs.single import CodeEnv, Plan
from code_envs.errors import ConfigError
from code_envs.modes import Grade
from code_envs.problem import Problem

__all__ = ["CodeVectorEnv"]


class _Member(CodeEnv):
    """An environment whose next problem and verdict are made together with its neighbours'."""

    ahead: tuple[Plan, Future[Problem]] | None = None
    verdict: tuple[Problem, str, Grade] | None = None

    def begin(self, seed: int | None, options: Mapping[str, Any], pool: ThreadPoolExecutor) -> None:
        """Have the problem of the next reset made in another thread."""
        plan = super()._plan(seed, options)
        self.ahead = plan, pool.submit(super()._make, plan)

    def _plan(self, seed: int | None, options: Mapping[str, Any]) -> Plan:
        return self.ahead[0] if self.ahead else super()._plan(seed, options)

    def _make(self, plan: Plan) -> Problem:
        return self.ahead[1].result() if self.ahead else super()._make(plan)

    def _grade(self, problem: Problem, action: str) -> Grade:
        verdict, self.verdict = self.verdict, None
        if verdict is not None and verdict[:2] == (problem, action):
            return verdict[2]
        return super()._grade(problem, action)


class CodeVectorEnv(SyncVectorEnv[Any, Any]):
    """Environments in one process, whose answers are graded in parallel over one pool.

    Each behaves exactly as a :class:`CodeEnv` with the same seed. They share the teacher, the
    problems and the curriculum; the teacher proposes in several threads at once. Observations and
    actions are tuples of texts.

    Seeds: ``reset(seed=[...])`` gives each environment its own, as everywhere in Gymnasium. For
    ``reset(seed=7)`` Gymnasium's other vector environments would use 7, 8, 9, …, so that seeds 7
    and 8 share almost all problems; here member ``i`` draws its seed from the stream ``[7, i]``.
    ``info["seed"]`` names it.

    Args:
        num_envs: How many environments.
        autoreset_mode: When a finished one begins its next episode; see Gymnasium.
        settings: The keywords of :class:`CodeEnv`.

    Raises:
        ConfigError: There is not at least one environment, or a keyword cannot be used.
    """

    def __init__(
        self, num_envs: int = 1, *, autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP, **settings: Any
    ) -> None:
        if num_envs < 1:
            raise ConfigError(f"num_envs must be at least 1, not {num_envs}")
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

        Raises:
            ConfigError: There are more or fewer seeds than environments, or an option is unknown.
            ProposalFailed: The teacher found no problem for one of the seeds.
        """
        if seed is None or isinstance(seed, int | np.integer):
            seeds = [None if seed is None else _member_seed(int(seed), index) for index in range(self.num_envs)]
        else:
            seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise ConfigError(f"{self.num_envs} environments take as many seeds, not {len(seeds)}")
        options = dict(options or {})
        wish, chosen = {name: options[name] for name in options if name != "reset_mask"}, options.get("reset_mask")
        if not isinstance(chosen, np.ndarray) or chosen.shape != (self.num_envs,):  # Gymnasium complains about the rest
            chosen = np.ones(self.num_envs, dtype=np.bool_)
        with self._making(chosen, seeds, wish):
            return super().reset(seed=seeds, options=options)

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
        begins = self._autoreset_envs & (self.autoreset_mode is AutoresetMode.NEXT_STEP)
        with self._making(begins, [None] * self.num_envs, {}):
            self._grade_together(actions)
            return super().step(actions)

    @contextmanager
    def _making(
        self, chosen: npt.NDArray[np.bool_], seeds: Sequence[int | None], options: Mapping[str, Any]
    ) -> Iterator[None]:
        """Make the problems of the chosen environments in parallel, for resets within the block."""
        members = [env for env in self.envs if isinstance(env, _Member)]
        try:
            with ThreadPoolExecutor(max(1, members[0].executor.workers)) as pool:
                for member, seed, begins in zip(members, seeds, chosen, strict=True):
                    if begins:
                        member.begin(seed, options, pool)
                yield
        finally:
            for member in members:
                member.ahead = None

    def _grade_together(self, actions: Sequence[str]) -> None:
        waiting = [
            (env, env.problem, action)
            for env, action, resets in zip(self.envs, actions, self._autoreset_envs, strict=True)
            if isinstance(env, _Member) and env.problem is not None and isinstance(action, str) and not resets
        ]
        if waiting:
            pairs = [(problem, action) for _, problem, action in waiting]
            first = waiting[0][0]
            grades = modes.grade_batch(pairs, first.executor, hide=first.max_turns > 1)
            for (env, problem, action), grade in zip(waiting, grades, strict=True):
                env.verdict = problem, action, grade


def _member_seed(seed: int, index: int) -> int:
    return int(np.random.default_rng([seed, index]).integers(1 << 53))
