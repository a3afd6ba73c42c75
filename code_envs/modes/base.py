"""What a mode is: how it shows a problem, reads a reply, and decides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from code_envs.executor import Execution, Executor, Isolation, Job
from code_envs.models.base import Message
from code_envs.problem import Mode, Problem

__all__ = ["Answer", "Complaint", "Grade", "Message", "Outcome", "Rules"]


class Outcome(StrEnum):
    """What an answer was worth."""

    PASSED = "passed"  # the answer is right
    WRONG = "wrong"  # it could be read, and is not right
    MALFORMED = "malformed"  # the reply could not be read
    TIMEOUT = "timeout"  # the student's program went over a time limit
    INFRA = "infra"  # the sandbox failed: unscored, to be masked


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a reply says.

    Attributes:
        text: Induction: a program. Abduction and fuzzing: a tuple literal. Deduction: a literal.
        complaint: Why the reply could not be read; then ``text`` is empty.
    """

    text: str = ""
    complaint: str = ""


class Grade(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one answer.

    Attributes:
        outcome: What it was worth.
        reward: 1.0 if passed, else 0.0.
        reason: One sentence for people and logs; holds nothing that is hidden from the student.
        feedback: What a student may be told before its next answer; leaks no hidden case.
        parts: Shares in [0, 1] by name, such as ``visible`` and ``hidden``.
        cpu_seconds: CPU time that the sandbox spent on it.
        isolation: What protected the runs; None if nothing was run.
    """

    outcome: Outcome
    reward: float = 0.0
    reason: str = ""
    feedback: str = ""
    parts: Mapping[str, float] = {}
    cpu_seconds: float = 0.0
    isolation: Isolation | None = None

    @property
    def passed(self) -> bool:
        """Whether the answer passed."""
        return self.outcome is Outcome.PASSED

    @property
    def scored(self) -> bool:
        """Whether this says anything about the answer."""
        return self.outcome is not Outcome.INFRA


class Complaint(msgspec.Struct, frozen=True):
    """Why a problem is not valid.

    Attributes:
        check: The short fixed name of the check, for counting.
        text: One sentence for the teacher, person or model.
    """

    check: str
    text: str


class Rules(ABC):
    """One mode. Stateless; grading is ``read``, then ``jobs`` run by an executor, then ``judge``."""

    mode: Mode

    @abstractmethod
    def fields(self, problem: Problem) -> dict[str, str]:
        """The values for the placeholders of the mode's prompt template."""

    def template_name(self, problem: Problem) -> str:  # noqa: ARG002
        """The file in ``modes/templates`` that the problem is shown with, without its ending."""
        return self.mode.value  # a mode may have several: see fuzzing

    @abstractmethod
    def view(self, problem: Problem) -> Problem:
        """The problem without what the student must not see; for students that do not read prose.

        Where a field cannot be empty it holds a placeholder that gives nothing away.
        """

    @abstractmethod
    def read(self, problem: Problem, reply: str) -> Answer:
        """Read a reply; never raises, whatever the reply is."""

    @abstractmethod
    def jobs(self, problem: Problem, answer: Answer) -> list[Job]:
        """What has to be run to decide on a readable answer; may be nothing."""

    @abstractmethod
    def judge(self, problem: Problem, answer: Answer, executions: Sequence[Sequence[Execution]]) -> Grade:
        """Decide, given the executions of each of the jobs."""

    @abstractmethod
    def gold(self, problem: Problem) -> str:
        """A reply that passes; empty where no solution is known, as that of many a contest problem."""

    @abstractmethod
    def validate(self, problem: Problem, executor: Executor) -> list[Complaint]:
        """Every reason why the problem is not valid; empty if it is."""
