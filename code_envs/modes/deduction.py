"""Deduction: the student sees a program and a call, and tells the result.

Nothing is executed to grade an answer: the result is in the problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from code_envs.errors import LiteralError, ValueRefused
from code_envs.executor import Execution, Executor, Job
from code_envs.modes.base import Answer, Complaint, Grade, Outcome, Rules
from code_envs.modes.blocks import fence
from code_envs.modes.reading import Form, completions, read_value
from code_envs.modes.validity import check_runs, check_sources, complain, generator, in_stages, prose_of
from code_envs.modes.verdicts import short
from code_envs.problem import Case, Mode, Problem
from code_envs.programs.source import literals_of
from code_envs.students.baselines import majority_results
from code_envs.values import encode, encode_literal, parse_arguments, parse_literal, same_result, write_literal

__all__ = ["Deduction"]

_OTHERS = frozenset({"input", "inputs", "arguments", "args", "bash", "sh", "console"})
_LABELS = ("answer", "output", "result", "return value", "returned value", "value returned", "function returns")


class Deduction(Rules):
    """The rules of deduction."""

    mode = Mode.DEDUCTION

    def fields(self, problem: Problem) -> dict[str, str]:
        """``program`` and ``call`` as blocks, ``entry`` and ``signature``."""
        return {
            "entry": problem.entry,
            "signature": problem.signature,
            "program": fence(problem.program, "python"),
            "call": fence(f"{problem.entry}({problem.cases[0].shown()})", ""),
        }

    def view(self, problem: Problem) -> Problem:
        """Program and arguments, without the result."""
        return Problem(
            mode=problem.mode,
            program=problem.program,
            signature=problem.signature,
            entry=problem.entry,
            cases=(Case(arguments=problem.cases[0].arguments),),
        )

    def read(self, problem: Problem, reply: str) -> Answer:
        """Find the value; see :func:`.reading.read_value`."""
        form = Form("output", _OTHERS, _LABELS, problem.entry, lambda text: _parse(problem, text))
        try:
            return Answer(text=read_value(reply, form))
        except LiteralError as error:
            return Answer(complaint=str(error))

    def jobs(self, problem: Problem, answer: Answer) -> list[Job]:  # noqa: ARG002
        """Nothing has to be run."""
        return []

    def judge(
        self,
        problem: Problem,
        answer: Answer,
        executions: Sequence[Sequence[Execution]],  # noqa: ARG002
    ) -> Grade:
        """Compare the value with the result; feedback does not tell the result."""
        if same_result(problem.cases[0].expected(), encode_literal(answer.text)):
            return Grade(outcome=Outcome.PASSED, reward=1.0, reason="the value is right")
        reason = f"the value {short(answer.text)} is not the result"
        feedback = f"{problem.entry}({short(problem.cases[0].shown())}) does not return {short(answer.text)}."
        return Grade(outcome=Outcome.WRONG, reason=reason, feedback=feedback)

    def gold(self, problem: Problem) -> str:
        """The result in its block."""
        return fence(problem.cases[0].result, "output")

    def validate(self, problem: Problem, executor: Executor) -> list[Complaint]:
        """See :data:`code_envs.modes.validity.CHECKS`."""
        return in_stages(
            lambda: check_sources(problem),
            lambda: _check_told(problem),
            lambda: check_runs(self, problem, executor),
            lambda: _check_majority(self.view(problem), problem.cases[0], executor),
        )


def _check_told(problem: Problem) -> Iterator[Complaint]:
    """The result must not be there to be copied."""
    (case,) = problem.cases
    expected = case.expected()
    written = any(same_result(expected, encode(value)) for value in literals_of(problem.program))
    if written or _stands_in(case.result, prose_of(problem.program)):
        yield complain("literal", f"the result {short(case.result)} is written in the program")
    if any(same_result(expected, encode(value)) for value in case.values()):
        yield complain("echo", f"the result {short(case.result)} is one of the arguments")


def _stands_in(text: str, prose: str) -> bool:
    plain = prose.replace('"', "'")
    return re.search(rf"(?<![\w.]){re.escape(text.replace(chr(34), chr(39)))}(?![\w.])", plain) is not None


def _check_majority(view: Problem, case: Case, executor: Executor) -> Iterator[Complaint]:
    value = parse_literal(case.result)
    if value is None or type(value) is bool or not value:
        yield complain("majority", f"the result {case.result} is among the first that anyone would guess")
    elif majority_results(view, executor, generator(view))[:1] == [write_literal(value)]:
        yield complain("majority", f"the program mostly returns {short(case.result)}, whatever its arguments are")


def _parse(problem: Problem, text: str) -> str:
    """Read a value, or a completed call if it is the call that was asked about."""
    try:
        return write_literal(parse_literal(text))
    except LiteralError:
        for call, value in completions(text, problem.entry):
            try:
                answer = write_literal(parse_literal(value))
            except (LiteralError, ValueRefused):
                continue
            if _is_other_call(problem, call):
                raise LiteralError(f"the answer is about another call: {call:.60}") from None
            return answer
        raise


def _is_other_call(problem: Problem, call: str) -> bool:
    try:
        arguments = parse_arguments(call, problem.parameters, problem.entry)
        return encode(arguments) != encode(problem.cases[0].values())
    except (LiteralError, ValueRefused):  # such as f(xs, k): the names of the parameters
        return False
