"""Teachers: they propose problems, and vary them by what a student did."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from code_envs.errors import UnknownName
from code_envs.executor import Executor
from code_envs.teacher.adaptive import RateTracker
from code_envs.teacher.base import LEVELS, Notes, TakesNotes, Teacher
from code_envs.teacher.duet import DuetTeacher
from code_envs.teacher.harvest import HarvestTeacher
from code_envs.teacher.loop import STRATEGIES, Strategy, make_chain, take_notes
from code_envs.teacher.model import DRAFT_CHECKS, ModelTeacher
from code_envs.teacher.procedural import ProceduralTeacher

__all__ = [
    "DRAFT_CHECKS",
    "LEVELS",
    "STRATEGIES",
    "TEACHERS",
    "DuetTeacher",
    "HarvestTeacher",
    "ModelTeacher",
    "Notes",
    "ProceduralTeacher",
    "RateTracker",
    "Strategy",
    "TakesNotes",
    "Teacher",
    "make_chain",
    "make_teacher",
    "take_notes",
]

TEACHERS: Mapping[str, Callable[[Executor | None], Teacher]] = {
    "procedural": ProceduralTeacher,
    "harvest": lambda executor: HarvestTeacher(executor=executor),
}
"""How to make each embedded teacher, by name."""


def make_teacher(teacher: str | Teacher, executor: Executor | None = None) -> Teacher:
    """Make an embedded teacher by name.

    Args:
        teacher: A name of :data:`TEACHERS`; a teacher is returned as it is.
        executor: What the teacher runs programs with; the shared one if None.

    Returns:
        A new teacher, which has observed nothing yet.

    Raises:
        UnknownName: There is no such teacher.
    """
    if not isinstance(teacher, str):
        return teacher
    if teacher not in TEACHERS:
        raise UnknownName("teacher", teacher, TEACHERS)
    return TEACHERS[teacher](executor)
