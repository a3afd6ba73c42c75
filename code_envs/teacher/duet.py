"""Two teachers for one chain: one makes its first problem, the other varies it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from code_envs.modes import Grade
from code_envs.problem import Direction, Mode, Problem
from code_envs.teacher.base import Notes, TakesNotes, Target, Teacher

__all__ = ["DuetTeacher"]


class DuetTeacher:
    """Begins chains with one teacher and goes on with another, which must be able to vary any problem.

    Args:
        first: Makes the first problem of each chain.
        then: Makes the others; a model can vary any problem, the embedded teachers only their own.
    """

    def __init__(self, first: Teacher, then: Teacher) -> None:
        self.first, self.then = first, then
        self.name = f"{first.name}+{then.name}"
        self.modes: tuple[Mode, ...] = tuple(mode for mode in first.modes if mode in then.modes)

    def propose(self, rng: np.random.Generator, level: int | None = None, mode: Mode | None = None) -> Problem:
        """Have the first teacher make a problem; see :meth:`.base.Teacher.propose`."""
        return self.first.propose(rng, level, self.modes[rng.integers(len(self.modes))] if mode is None else mode)

    def choose_level(self, rng: np.random.Generator, mode: Mode) -> int:
        """Choose the level as the first teacher would."""
        return self.first.choose_level(rng, mode)

    def vary(
        self, rng: np.random.Generator, problem: Problem, direction: Direction, target: Target | None = None
    ) -> Problem:
        """Have the other teacher make the next problem; see :meth:`.base.Teacher.vary`."""
        return self.then.vary(rng, problem, direction, target)

    def observe(self, problem: Problem, grade: Grade) -> None:
        """Let both take note of one graded attempt."""
        self.first.observe(problem, grade)
        self.then.observe(problem, grade)

    def state_dict(self) -> dict[str, Any]:
        """What both have observed, JSON-serialisable."""
        return {"first": self.first.state_dict(), "then": self.then.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.first.load_state_dict(state["first"])
        self.then.load_state_dict(state["then"])

    def take_notes(self) -> Notes:
        """The notes of both, in order."""
        notes = [teacher.take_notes() for teacher in (self.first, self.then) if isinstance(teacher, TakesNotes)]
        seeds = [note.seed for note in notes if note.seed]
        return Notes(seeds[0] if seeds else None, tuple(draft for note in notes for draft in note.drafts))
