"""The modes: how a problem is shown, how a reply is read, graded and a problem validated."""

from __future__ import annotations

from code_envs.executor import Executor
from code_envs.modes.base import Answer, Complaint, Grade, Message, Outcome, Rules
from code_envs.modes.cases import complete_cases
from code_envs.modes.grading import grade, grade_batch, grade_many, lacks_result
from code_envs.modes.prompts import default_template, fill
from code_envs.modes.registry import rules
from code_envs.modes.validity import CHECKS
from code_envs.problem import Problem
from code_envs.students.base import Prompt

__all__ = [
    "CHECKS",
    "Answer",
    "Complaint",
    "Grade",
    "Message",
    "Outcome",
    "Rules",
    "complete_cases",
    "grade",
    "grade_batch",
    "grade_many",
    "prompt",
    "read",
    "render",
    "rules",
    "validate",
]


def render(problem: Problem, template: str | None = None) -> list[Message]:
    """Write the messages that show a problem to a student.

    Args:
        problem: What to show.
        template: Text with ``$name`` placeholders (see the ``fields`` of the mode's rules); the
            mode's own template if None.

    Returns:
        One user message, plain text without chat markers.

    Raises:
        ConfigError: The template cannot be filled.
    """
    own = rules(problem.mode)
    text = default_template(own.template_name(problem)) if template is None else template
    return [{"role": "user", "content": fill(text, own.fields(problem))}]


def prompt(problem: Problem, template: str | None = None) -> Prompt:
    """Make what a student gets: the text and a record without anything hidden."""
    return Prompt(text=render(problem, template)[0]["content"], view=rules(problem.mode).view(problem))


def read(problem: Problem, reply: str) -> Answer:
    """Read a reply; what cannot be read becomes an answer with a complaint, never an exception."""
    return rules(problem.mode).read(problem, reply)


def validate(problem: Problem, executor: Executor) -> list[Complaint]:
    """Find every reason why a problem is not valid; see :data:`CHECKS`."""
    if lacks_result(problem):
        return [Complaint("result", "the case has no result")]
    return rules(problem.mode).validate(problem, executor)
