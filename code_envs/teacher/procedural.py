"""The embedded teacher: grows problems from building blocks; needs no model and no data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from code_envs.errors import ConfigError, ProposalFailed
from code_envs.executor import Executor, shared_executor
from code_envs.modes import Grade, rules, validate
from code_envs.modes.guessing import grade_guesses
from code_envs.problem import Direction, Lineage, Mode, Problem
from code_envs.teacher.adaptive import RateTracker
from code_envs.teacher.base import LEVELS, Target
from code_envs.teacher.blocks import pick
from code_envs.teacher.grow import grow
from code_envs.teacher.mutations import DRAWN_ANEW, mutate
from code_envs.teacher.pack import pack
from code_envs.teacher.recipe import recipe_of

__all__ = ["ProceduralTeacher"]

_BUDGET = 120
_REACH = 3  # how many levels further a result or fault is sought when it is all that changes
_GUESSES = 200
_STEP = {Direction.HARDER: 1, Direction.EASIER: -1, Direction.SIDEWAYS: 0}


class ProceduralTeacher:
    """Grows programs from typed building blocks, and varies them by named mutations.

    For the same generator state and observations it makes the same problems on any machine and any
    Python. A problem carries its recipe in its tags, so that ``vary`` also works on one that was
    loaded from a file; all problems that descend from one share its core blocks.

    Args:
        executor: Runs the programs; the shared one if None.
        target: The pass rate to aim at where no level is asked for, in (0, 1).

    Raises:
        ConfigError: The target is out of range.
    """

    name = "procedural"
    modes = tuple(Mode)

    def __init__(self, executor: Executor | None = None, target: float = 0.5) -> None:
        if not 0.0 < target < 1.0:
            raise ConfigError(f"target is {target}; give a pass rate between 0 and 1")
        self._executor, self.target = executor, target
        self.rates = RateTracker()

    @property
    def executor(self) -> Executor:
        """What runs the programs."""
        return self._executor or shared_executor()

    def propose(self, rng: np.random.Generator, level: int | None = None, mode: Mode | None = None) -> Problem:
        """Grow a new problem; see :meth:`code_envs.teacher.base.Teacher.propose`."""
        mode = pick(rng, self.modes) if mode is None else Mode(mode)
        level = self.choose_level(rng, mode) if level is None else level
        if not 0 <= level < LEVELS:
            raise ConfigError(f"there is no level {level}: levels run from 0 to {LEVELS - 1}")
        chain = f"{self.name}-{mode}-{int(rng.integers(1 << 48)):012x}"
        claimed = mode is Mode.FUZZING and rng.random() < 0.5
        for attempt in range(_BUDGET):
            recipe = grow(rng, level, mode, claimed=claimed and attempt < _BUDGET // 2)
            problem = pack(rng, recipe, mode, level, self.executor) if recipe else None
            if problem and not validate(problem, self.executor):
                lineage = Lineage(chain=chain, change="grow", level=level, teacher=self.name)
                return problem.but(lineage=lineage)
        raise ProposalFailed(f"No valid {mode} problem of level {level} grew in {_BUDGET} tries; try another seed.")

    def choose_level(self, rng: np.random.Generator, mode: Mode) -> int:
        """Choose the level whose pass rate lies nearest to the target; see :class:`.adaptive.RateTracker`."""
        return self.rates.choose_level(rng, mode, self.target)

    def vary(
        self,
        rng: np.random.Generator,
        problem: Problem,
        direction: Direction,
        target: Target | None = None,  # noqa: ARG002 — the direction decides
    ) -> Problem:
        """Mutate the recipe of a problem; see :meth:`code_envs.teacher.base.Teacher.vary`.

        Raises:
            ProposalFailed: No valid variant was found within the budget.
            ProblemError: The problem carries no recipe: this teacher did not make it.
        """
        direction = Direction(direction)
        if direction is Direction.START:
            raise ConfigError("a problem is varied to be harder, easier or sideways; 'start' is what propose makes")
        recipe, lineage = recipe_of(problem), problem.lineage
        level = min(LEVELS - 1, max(0, lineage.level + _STEP[direction]))
        candidates = mutate(rng, recipe, direction, problem.mode)
        for _, (change, changed) in zip(range(_BUDGET), candidates, strict=False):
            aim = level + _STEP[direction] * (_REACH if change in DRAWN_ANEW else 0)
            varied = pack(rng, changed, problem.mode, min(LEVELS - 1, max(0, aim)), self.executor)
            if varied and varied.key != problem.key and not validate(varied, self.executor):
                if change in DRAWN_ANEW and not self._moved(problem, varied, direction):
                    continue
                return varied.but(
                    lineage=Lineage(
                        chain=lineage.chain,
                        parent=problem.key,
                        turn=lineage.turn + 1,
                        direction=direction,
                        change=change,
                        level=level,
                        teacher=self.name,
                    )
                )
        raise ProposalFailed(f"No valid variant of problem {problem.key} was found: {direction} in {_BUDGET} tries.")

    def _moved(self, problem: Problem, varied: Problem, direction: Direction) -> bool:
        """Whether a fault or result that was drawn anew is met by half as many guesses, or by twice as many."""
        own = rules(problem.mode)
        before, after = (
            sum(grade.passed for grade in grade_guesses(own, one, self.executor, _GUESSES)[1])
            for one in (problem, varied)
        )
        fewer, more = (after, before) if direction is Direction.HARDER else (before, after)
        return 2 * fewer <= more > 0

    def observe(self, problem: Problem, grade: Grade) -> None:
        """Take note of one graded attempt; unscored ones say nothing."""
        self.rates.take(problem, grade)

    def state_dict(self) -> dict[str, Any]:
        """What was observed, JSON-serialisable."""
        return {"rates": self.rates.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            ConfigError: It is not the state of such a teacher.
        """
        if "rates" not in state:
            raise ConfigError("not the state of a ProceduralTeacher: it has no 'rates'")
        self.rates.load_state_dict(state["rates"])
