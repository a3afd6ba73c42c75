"""Fuzzing: the student finds arguments that show the fault of a program.

In property mode a test is given that must fail by assertion; in differential mode a specification
in words, and the program must do something else than a reference that only the grader has.
"""

from __future__ import annotations

from collections.abc import Sequence

from code_envs.executor import Execution, Executor, Job, Status
from code_envs.modes.arguments import argument_fields, gold_arguments, read_arguments
from code_envs.modes.base import Answer, Complaint, Grade, Outcome, Rules
from code_envs.modes.blocks import fence
from code_envs.modes.verdicts import TIME, TRUE, cpu_spent, infra, sentence, told
from code_envs.problem import PRECONDITION, PROPERTY, Mode, Problem
from code_envs.values import encode_literal, same_result

__all__ = ["Fuzzing"]

_HIDDEN = "# The reference is not shown.\n"


class Fuzzing(Rules):
    """The rules of fuzzing, in both variants."""

    mode = Mode.FUZZING

    def template_name(self, problem: Problem) -> str:
        """One template for each variant."""
        return "fuzzing-differential" if problem.differential else "fuzzing-property"

    def fields(self, problem: Problem) -> dict[str, str]:
        """``program``, ``precondition`` and ``property`` as blocks; ``message``, ``entry``, ``signature``, ``call``.

        ``placeholder`` stands for the arguments; ``property`` is empty in differential mode,
        ``message`` in property mode.
        """
        asked = fence(problem.property, "python") if problem.property else ""
        message = problem.message if problem.differential else ""
        return {**argument_fields(problem), "property": asked, "message": message}

    def view(self, problem: Problem) -> Problem:
        """All but the witness and the reference, which is a comment; the message only in differential mode."""
        return Problem(
            mode=problem.mode,
            program=problem.program,
            signature=problem.signature,
            entry=problem.entry,
            message=problem.message if problem.differential else "",
            precondition=problem.precondition,
            property=problem.property,
            reference=_HIDDEN if problem.differential else "",
        )

    def read(self, problem: Problem, reply: str) -> Answer:
        """Find the arguments; see :func:`.reading.read_value`."""
        return read_arguments(problem, reply)

    def jobs(self, problem: Problem, answer: Answer) -> list[Job]:
        """Precondition, then test; or precondition, reference, then program."""
        calls = [encode_literal(answer.text, ordered=True)]
        sources = [(problem.precondition, PRECONDITION)]
        if problem.differential:
            sources += [(problem.reference, problem.entry), (problem.program, problem.entry)]
        else:
            sources.append((f"{problem.program}\n\n{problem.property}", PROPERTY))
        return [Job(program=program, entry=entry, calls=calls) for program, entry in sources]

    def judge(self, problem: Problem, answer: Answer, executions: Sequence[Sequence[Execution]]) -> Grade:
        """Passed if the arguments are valid and show the fault; limits are no faults."""
        failed = infra(executions)
        if failed:
            return failed
        valid, *runs = [job[0] for job in executions]
        cpu_seconds = cpu_spent(executions)
        if valid.value != TRUE:
            reason = f"the precondition {told(valid)}, not True"
            return Grade(outcome=Outcome.WRONG, reason=reason, feedback=sentence(reason), cpu_seconds=cpu_seconds)
        found, reason = _differs(*runs) if problem.differential else _breaks(*runs)
        if found:
            return Grade(outcome=Outcome.PASSED, reward=1.0, reason=reason, cpu_seconds=cpu_seconds)
        outcome = Outcome.TIMEOUT if runs[-1].status in TIME else Outcome.WRONG
        feedback = f"The arguments are valid, but {reason}."
        return Grade(outcome=outcome, reason=reason, feedback=feedback, cpu_seconds=cpu_seconds)

    def gold(self, problem: Problem) -> str:
        """The witness."""
        return gold_arguments(problem.witness)

    def validate(self, problem: Problem, executor: Executor) -> list[Complaint]:
        """TODO."""
        return []


def _breaks(test: Execution) -> tuple[bool, str]:
    if test.status is Status.RAISED and test.exception == "AssertionError":
        return True, "the test fails"
    return False, "the test passes" if test.ok else f"the test {told(test)}, which is no failed assertion"


def _differs(reference: Execution, faulty: Execution) -> tuple[bool, str]:
    """Whether the program is at fault; what the reference did is never told."""
    if not reference.ok:
        return False, "the specification gives no result for them"
    if faulty.ok:
        other = not same_result(reference.value, faulty.value)
        return other, "the program gives another result" if other else "the program does what is specified"
    return faulty.status is Status.RAISED, f"the program {told(faulty)}"
