"""Rolling a student out on an environment, and counting what it achieved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import msgspec
import numpy as np

import code_envs.envs  # noqa: F401 — registers the environments
from code_envs.errors import ConfigError
from code_envs.modes import Outcome, rules
from code_envs.problem import Mode, wilson_interval
from code_envs.students import Prompt, Student

__all__ = ["Episode", "Tally", "rollout", "tally"]

_BATCH = 32  # fixed, so that an episode's place in its batch, and so the student's draw, never changes


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """One problem, one answer, one verdict.

    Attributes:
        student: The name of the student.
        mode: The mode of the problem.
        level: Its level.
        key: Its content key.
        seed: The seed that gives this problem again, with ``env.reset(seed=...)``.
        outcome: What the answer was worth.
        reward: 0.0 or 1.0.
        reason: The verdict in a sentence.
    """

    student: str
    mode: str
    level: int
    key: str
    seed: int
    outcome: str
    reward: float
    reason: str


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What a student achieved on the episodes of one mode and level.

    Attributes:
        student: The name of the student.
        mode: The mode.
        level: The level; None for all.
        episodes: Scored episodes.
        passes: How many of them passed.
        unscored: Episodes that a fault of the sandbox took away.
        rate: The pass rate; NaN without scored episodes (``null`` in JSON).
        interval: Its 95 % Wilson interval.
    """

    student: str
    mode: str
    level: int | None
    episodes: int
    passes: int
    unscored: int
    rate: float
    interval: tuple[float, float]


def rollout(env_id: str, student: Student, episodes: int, seed: int = 0, **settings: Any) -> list[Episode]:
    """Let a student answer one problem per episode, graded in parallel.

    Args:
        env_id: A registered environment, such as ``code_envs/Mixed-v0``.
        student: Who answers.
        episodes: How many.
        seed: Episode ``i`` depends on the seed and ``i`` alone.
        settings: Keywords of the environment.

    Returns:
        The episodes, in order.

    Raises:
        ConfigError: The number of episodes is not positive.
        ProposalFailed: The teacher found no problem for one of the seeds.
    """
    if episodes < 1:
        raise ConfigError(f"episodes is {episodes}; it must be at least 1")
    found: list[Episode] = []
    envs = gymnasium.make_vec(
        env_id, num_envs=min(_BATCH, episodes), vectorization_mode="vector_entry_point", **settings
    )
    try:
        for start in range(0, episodes, _BATCH):
            indexes = range(start, min(start + _BATCH, episodes))
            seeds = [int(np.random.default_rng([seed, index]).integers(1 << 53)) for index in indexes]
            found += _batch(envs, student, seeds, int(np.random.default_rng([seed, start, 1]).integers(1 << 31)))
    finally:
        envs.close()
    return found


def _batch(envs: Any, student: Student, seeds: Sequence[int], attempt_seed: int) -> list[Episode]:
    """One answer in each environment; those without a seed of their own repeat the first and do not count."""
    spare = envs.num_envs - len(seeds)
    observations, info = envs.reset(seed=[*seeds, *seeds[:1] * spare])
    problems = [env.unwrapped.problem for env in envs.unwrapped.envs[: len(seeds)]]
    prompts = [
        Prompt(text=text, view=rules(problem.mode).view(problem))
        for text, problem in zip(observations, problems, strict=False)
    ]
    replies = student.answer(prompts, seed=attempt_seed)
    _, rewards, _, _, info = envs.step((*(reply or "" for reply in replies), *[""] * spare))
    lost = [reply is None for reply in replies]
    return [
        Episode(
            student=student.name,
            mode=str(problem.mode),
            level=problem.lineage.level,
            key=problem.key,
            seed=seeds[place],
            outcome=str(Outcome.INFRA if lost[place] else info["outcome"][place]),
            reward=float(rewards[place]),
            reason="the student gave no reply" if lost[place] else str(info["reason"][place]),
        )
        for place, problem in enumerate(problems)
    ]


def tally(episodes: Iterable[Episode], *, by_level: bool = True) -> list[Tally]:
    """Count episodes by student, mode and, if asked for, level.

    Returns:
        One row for each student and mode over all levels; ``by_level`` puts the rows of its levels
        after each of them.
    """
    groups: dict[tuple[str, str, int | None], list[Episode]] = {}
    episodes = list(episodes)
    students = list(dict.fromkeys(episode.student for episode in episodes))  # in the order they came
    for episode in episodes:
        for level in (None, episode.level) if by_level else (None,):
            groups.setdefault((episode.student, episode.mode, level), []).append(episode)

    def place(group: tuple[str, str, int | None]) -> tuple[int, int, int]:
        student, mode, level = group
        return students.index(student), list(Mode).index(Mode(mode)), -1 if level is None else level

    return [_count(*group, groups[group]) for group in sorted(groups, key=place)]


def _count(student: str, mode: str, level: int | None, episodes: Sequence[Episode]) -> Tally:
    scored = [episode for episode in episodes if episode.outcome != Outcome.INFRA]
    passes = sum(episode.outcome == Outcome.PASSED for episode in scored)
    return Tally(
        student=student,
        mode=mode,
        level=level,
        episodes=len(scored),
        passes=passes,
        unscored=len(episodes) - len(scored),
        rate=passes / len(scored) if scored else float("nan"),
        interval=wilson_interval(passes, len(scored)),
    )
