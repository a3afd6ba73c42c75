"""The Gymnasium environment: a problem as text in, a reply as text out, a reward from the sandbox."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.error import InvalidAction, ResetNeeded

from code_envs import modes
from code_envs.envs.curriculum import Curriculum
from code_envs.envs.sources import ProblemList, Source, TeacherSource, read_problem
from code_envs.envs.spaces import TextSpace
from code_envs.errors import ConfigError, ProblemError, UnknownName
from code_envs.executor import Executor, Limits, shared_executor
from code_envs.modes import Grade, Outcome
from code_envs.problem import Mode, Problem
from code_envs.teacher.base import LEVELS, Teacher

__all__ = ["MAX_ACTION", "MAX_OBSERVATION", "OPTIONS", "CodeEnv", "Plan", "feedback_for", "make_source"]

MAX_OBSERVATION = 1 << 18
"""The most characters that an observation has."""
MAX_ACTION = 1 << 20
"""The most characters of an action in the action space; longer ones are still graded."""
OPTIONS = ("problem", "key", "level", "mode")
"""What ``reset`` understands in its ``options``."""
_SEEDS = 1 << 53  # drawn seeds stay exact in JSON, and fit the arrays of vector environments


class Plan(NamedTuple):
    """What a reset is about to do.

    Attributes:
        stream: The seed that the stream of episodes began with.
        episode: The place of this one in it.
        seed: What the problem is made from.
        problem: The problem, where the options name it.
        given: Whether it came from outside.
        modes: Which modes it may have.
        level: Which level it should have, if that matters.
        adapt: Whether observations may steer it.
    """

    stream: int
    episode: int
    seed: int
    problem: Problem | None
    given: bool
    modes: tuple[Mode, ...]
    level: int | None
    adapt: bool


class CodeEnv(gymnasium.Env[str, str]):
    """A text environment: the observation is a prompt, the action is a reply.

    An episode is one problem and at most ``max_turns`` answers. A passed answer ends it with
    reward 1; any other is worth 0, and the next observation says what was wrong with it, or is
    empty if that was the last. Running out of answers terminates: the number is part of the task,
    so ``truncated`` is never true.

    ``reset(seed=s)`` gives a problem that depends on ``s``, the keywords and the options alone, in
    any process: the level is drawn from the seed too. Without a seed the level comes from the
    curriculum, or else from the teacher's running estimate; the seeds of these later episodes follow
    from the first one. Everybody who resets with the same seed gets the same problem, and a group
    of them in one process costs one proposal.

    ``info`` always has the same flat keys: ``outcome`` and ``reason`` (empty before the first
    answer), ``scored`` (false for faults of the sandbox, to be masked), ``attempt`` (answers given),
    and ``mode``, ``key``, ``chain``, ``turn``, ``level`` and ``seed`` of the problem.

    Args:
        mode: Which mode, by name; any that the teacher or the problems have if None.
        teacher: Who makes up problems: a name, or a teacher.
        curriculum: Chooses mode and level, or the problem, at resets without a seed: an object with
            ``choose`` and ``observe`` (see :class:`code_envs.Curriculum`), or a function that makes one.
        problems: Take problems from here instead of a teacher: a file of JSON lines, a run folder,
            a list, a Hugging Face dataset, or a :class:`~code_envs.envs.sources.Source`.
        level: The level of all problems, 0 (easiest) to 9.
        max_turns: How many answers an episode may have.
        limits: What a program may use while it is graded.
        executor: The sandbox; one for the whole process if None, so that any number of
            environments share one pool. It is never closed here.
        templates: Prompt templates by mode, instead of the built-in ones.
        render_mode: ``"ansi"``: ``render`` returns problem, answers and verdicts as text.

    Raises:
        ConfigError: A keyword has a value that cannot be used.
        ProblemError: One of the problems is not valid.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 (declared so by Gymnasium)

    def __init__(
        self,
        mode: str | None = None,
        *,
        teacher: str | Teacher = "procedural",
        curriculum: Curriculum | Callable[[], Curriculum] | None = None,
        problems: str | os.PathLike[str] | Iterable[object] | Source | None = None,
        level: int | None = None,
        max_turns: int = 1,
        limits: Limits | None = None,
        executor: Executor | None = None,
        templates: Mapping[str, str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        if limits is not None and executor is not None:
            raise ConfigError("limits and executor are both given: give the limits to the executor")
        if level is not None and curriculum is not None:
            raise ConfigError("level and curriculum are both given: the curriculum chooses the level")
        if isinstance(max_turns, bool) or not isinstance(max_turns, int) or max_turns < 1:
            raise ConfigError(f"max_turns must be a positive whole number, not {max_turns!r}")
        if render_mode not in (None, "ansi"):
            raise UnknownName("render mode", render_mode, ["ansi"])
        self.max_turns, self.render_mode = max_turns, render_mode
        self.level = None if level is None else _level(level)
        self.templates = {_mode(name): text for name, text in (templates or {}).items()}
        self._limits, self._executor = limits, executor
        self.curriculum: Curriculum | None = curriculum() if callable(curriculum) else curriculum
        if self.curriculum is not None and not all(hasattr(self.curriculum, name) for name in ("choose", "observe")):
            raise ConfigError(
                f"curriculum must be an object with choose and observe, not {self.curriculum!r:.60}; "
                "code_envs.curricula.make_curriculum makes one from a name"
            )
        own = getattr(self.curriculum, "problems", None)
        self.source = make_source(teacher, own if problems is None else problems, self.executor)
        self.modes = self._allowed(mode)
        self.observation_space = TextSpace(MAX_OBSERVATION)
        self.action_space = TextSpace(MAX_ACTION)
        self.problem: Problem | None = None
        self.answers: list[tuple[str, Grade]] = []
        self._given = self._over = False
        self._stream: int | None = None
        self._episode = self._seed = 0

    @property
    def executor(self) -> Executor:
        """The sandbox that grades."""
        return self._executor or _executor_of_process(self._limits)

    def _allowed(self, mode: str | None) -> tuple[Mode, ...]:
        if mode is None:
            return self.source.modes
        if _mode(mode) not in self.source.modes:
            raise ConfigError(f"there are no {mode} problems here, only {' and '.join(self.source.modes)}")
        return (_mode(mode),)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: Decides the problem; without one, the next seed of the stream that began with the last.
            options: ``problem`` (a :class:`Problem` or its JSON) or ``key`` (of a problem in
                ``problems``, or lately seen in this process) to begin with that one; ``level`` and
                ``mode`` to ask for those.

        Returns:
            The prompt, and ``info``.

        Raises:
            ConfigError: An option is unknown, or cannot be used here.
            ProblemError: The problem is not valid, or its prompt does not fit an observation.
            ProposalFailed: The teacher found no problem for this seed.
        """
        super().reset(seed=seed)
        plan = self._plan(seed, options or {})
        self._stream, self._episode, self._seed, self._given = plan.stream, plan.episode, plan.seed, plan.given
        problem = self._make(plan)
        prompt = modes.prompt(problem, self.templates.get(problem.mode)).text
        if len(prompt) > MAX_OBSERVATION:
            raise ProblemError(f"the prompt of problem {problem.key} has {len(prompt)} of {MAX_OBSERVATION} characters")
        self.problem, self.answers, self._over = problem, [], False
        return prompt, self._info(problem)

    def _plan(self, seed: int | None, options: Mapping[str, Any]) -> Plan:
        """Decide everything about the next problem but make it."""
        wish = _check_options(options)
        stream, episode = self._stream, self._episode + 1
        if seed is not None or stream is None:
            stream, episode = int(np.random.default_rng().integers(_SEEDS)) if seed is None else int(seed), 0
        own = stream if episode == 0 else int(np.random.default_rng([stream, episode]).integers(_SEEDS))
        problem, among, level = self._named(wish), self.modes, self.level
        if problem is None and seed is None and self.curriculum is not None:
            chosen = self.curriculum.choose(np.random.default_rng([own]))
            if isinstance(chosen, Problem):
                if wish:
                    raise ConfigError(f"the curriculum chooses the problem: reset without the option {min(wish)!r}")
                return Plan(stream, episode, own, self._fitting(chosen), False, among, level, True)
            among, level = (_mode(chosen[0]),), chosen[1]
        if "mode" in wish:
            among = (_mode(wish["mode"]),)
        if "level" in wish:
            level = _level(wish["level"])
        if not set(among) <= set(self.modes):
            raise ConfigError(f"{among[0]} was asked for, but this environment has {' and '.join(self.modes)}")
        return Plan(stream, episode, own, problem, "problem" in wish, among, level, seed is None)

    def _named(self, wish: Mapping[str, Any]) -> Problem | None:
        if "problem" in wish:
            return self._fitting(read_problem(wish["problem"]))
        if "key" not in wish:
            return None
        found = self.source.find(wish["key"])
        if found is None:
            raise ConfigError(f"there is no problem with the key {wish['key']!r} here")
        return self._fitting(found)

    def _make(self, plan: Plan) -> Problem:
        return plan.problem or self.source.pick(plan.seed, plan.modes, plan.level, plan.adapt)

    def _fitting(self, problem: Problem) -> Problem:
        if problem.mode not in self.modes:
            raise ConfigError(f"problem {problem.key} is for {problem.mode}; here are {' and '.join(self.modes)}")
        return problem

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Give an answer.

        Args:
            action: The reply, as the model wrote it.

        Returns:
            The feedback (empty at the end), the reward (0 or 1), whether the episode is over,
            false, and ``info``.

        Raises:
            ResetNeeded: There is no episode, or it is over.
            InvalidAction: The action is not a text.
        """
        problem = self._open_problem()
        if not isinstance(action, str):
            raise InvalidAction(f"an action is a str, the reply of the student; this is {type(action).__name__}")
        grade = self._grade(problem, action)
        self.answers.append((action, grade))
        left = self.max_turns - len(self.answers)
        self._over = grade.passed or not grade.scored or left == 0
        if self._over:
            self._observe(problem, grade)
        observation = "" if self._over else feedback_for(grade, left)
        return observation, float(grade.reward), self._over, False, self._info(problem, grade)

    def _open_problem(self) -> Problem:
        if self.problem is None or self._over:
            raise ResetNeeded("The episode is over: call reset()." if self.problem else "Call reset() before step().")
        return self.problem

    def _grade(self, problem: Problem, action: str) -> Grade:
        return modes.grade(problem, action, self.executor, hide=self.max_turns > 1)

    def _observe(self, problem: Problem, grade: Grade) -> None:
        if grade.scored and not self._given:
            self.source.observe(problem, grade)
            if self.curriculum is not None:
                self.curriculum.observe(problem, grade)

    def _info(self, problem: Problem, grade: Grade | None = None) -> dict[str, Any]:
        lineage = problem.lineage
        return {
            "outcome": str(grade.outcome) if grade else "",
            "reason": grade.reason if grade else "",
            "scored": grade is not None and grade.scored,
            "attempt": len(self.answers),
            "mode": str(problem.mode),
            "key": problem.key,
            "chain": lineage.chain,
            "turn": lineage.turn,
            "level": lineage.level,
            "seed": self._seed,
        }

    def render(self) -> str | None:
        """Write problem, answers and verdicts for a person.

        Returns:
            Text without control characters; None without a render mode.
        """
        if self.render_mode is None:
            gymnasium.logger.warn("render() needs a render mode: make the environment with render_mode='ansi'")
            return None
        if self.problem is None:
            raise ResetNeeded("Call reset() before render().")
        lineage = self.problem.lineage
        parts = [f"━━ {self.problem.mode} · level {lineage.level} · problem {self.problem.key} ━━"]
        parts.append(modes.prompt(self.problem, self.templates.get(self.problem.mode)).text)
        for number, (action, grade) in enumerate(self.answers, 1):
            parts += [f"── answer {number} of {self.max_turns} ──", action, f"── {_verdict(grade)} ──", grade.reason]
        return "\n".join(_legible(part.rstrip()) for part in parts) + "\n"


def make_source(
    teacher: str | Teacher,
    problems: str | os.PathLike[str] | Iterable[object] | Source | None,
    executor: Executor,
) -> Source:
    """Make the source of problems that the keywords of :class:`CodeEnv` ask for."""
    if problems is None:
        return TeacherSource(teacher, executor)
    return problems if isinstance(problems, Source) else ProblemList(problems)


@lru_cache(maxsize=16)
def _executor_with(limits: Limits) -> Executor:
    return Executor(limits=limits)


def _executor_of_process(limits: Limits | None) -> Executor:
    return shared_executor() if limits is None else _executor_with(limits)


def _check_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in options:
        if name not in OPTIONS:
            raise UnknownName("reset option", name, OPTIONS)
    for name in ("problem", "key"):
        if name in options and len(options) > 1:
            raise ConfigError(f"the reset option {name!r} settles everything: give no other with it")
    return options


def _mode(name: str) -> Mode:
    if name not in list(Mode):
        raise UnknownName("mode", name, Mode)
    return Mode(name)


def _level(level: int) -> int:
    if isinstance(level, bool) or not isinstance(level, int | np.integer) or not 0 <= level < LEVELS:
        raise ConfigError(f"a level is a whole number from 0 to {LEVELS - 1}, not {level!r}")
    return int(level)


def feedback_for(grade: Grade, left: int) -> str:
    """What a student is told after an answer that did not pass, with so many answers left."""
    text = (grade.feedback or grade.reason)[: MAX_OBSERVATION // 2]
    count = "one more answer" if left == 1 else f"{left} more answers"
    return f"{text}\n\nAnswer again, in the same format: you have {count}."


def _verdict(grade: Grade) -> str:
    return grade.outcome if grade.outcome is Outcome.INFRA else f"{grade.outcome} · reward {grade.reward:g}"


def _legible(text: str) -> str:
    """Write out control characters, so that an answer cannot play tricks on a terminal."""
    return "".join(c if c in "\n\t" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)
