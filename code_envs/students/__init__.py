"""Students: they answer prompts."""

from __future__ import annotations

from collections.abc import Callable

from code_envs.errors import UnknownName
from code_envs.executor import Executor
from code_envs.students.base import Prompt, Student
from code_envs.students.baselines import (
    BASELINES,
    BaselineStudent,
    guess_arguments,
    guess_results,
    trivial_programs,
)
from code_envs.students.model import ModelStudent, OpenAIStudent
from code_envs.students.search import SearchStudent

__all__ = [
    "BASELINES",
    "STUDENTS",
    "BaselineStudent",
    "ModelStudent",
    "OpenAIStudent",
    "Prompt",
    "SearchStudent",
    "Student",
    "guess_arguments",
    "guess_results",
    "make_student",
    "trivial_programs",
]


def _baseline(name: str) -> Callable[[Executor | None], Student]:
    return lambda executor: BaselineStudent(name, executor)


STUDENTS: dict[str, Callable[[Executor | None], Student]] = {
    "search": lambda executor: SearchStudent(executor=executor),
    **{name: _baseline(name) for name in BASELINES},
}
"""Every student that needs no model, by name."""


def make_student(name: str, executor: Executor | None = None) -> Student:
    """Make a student by name.

    Args:
        name: One of ``STUDENTS``.
        executor: Where it runs programs; the shared one if None.

    Raises:
        UnknownName: There is no such student.
    """
    if name not in STUDENTS:
        raise UnknownName("student", name, STUDENTS)
    return STUDENTS[name](executor)
