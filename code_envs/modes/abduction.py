"""Abduction: the student sees a program and a result, and finds arguments that give it.

Any arguments with that result pass, if they also satisfy the precondition where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence

from code_envs.executor import Execution, Executor, Job
from code_envs.modes.arguments import argument_fields, gold_arguments, read_arguments
from code_envs.modes.base import Answer, Complaint, Grade, Outcome, Rules
from code_envs.modes.blocks import fence
from code_envs.modes.guessing import check_guesses, check_told
from code_envs.modes.validity import check_runs, check_sources, in_stages
from code_envs.modes.verdicts import TIME, TRUE, cpu_spent, infra, sentence, short, told
from code_envs.problem import PRECONDITION, Case, Mode, Problem
from code_envs.values import encode_literal, same_result, write_literal

__all__ = ["Abduction"]


class Abduction(Rules):
    """The rules of abduction."""

    mode = Mode.ABDUCTION

    def template_name(self, problem: Problem) -> str:
        """One template with and one without a precondition."""
        return "abduction-precondition" if problem.precondition else "abduction"

    def fields(self, problem: Problem) -> dict[str, str]:
        """``program``, ``result`` and ``precondition`` as blocks; ``entry``, ``signature``, ``call``, ``placeholder``.

        ``precondition`` is empty where there is none.
        """
        return {**argument_fields(problem), "result": fence(problem.cases[0].result, "")}

    def view(self, problem: Problem) -> Problem:
        """Program, result and precondition; the arguments are all ``None``."""
        blank = write_literal((None,) * len(problem.parameters))
        return Problem(
            mode=problem.mode,
            program=problem.program,
            signature=problem.signature,
            entry=problem.entry,
            cases=(Case(arguments=blank, result=problem.cases[0].result),),
            precondition=problem.precondition,
        )

    def read(self, problem: Problem, reply: str) -> Answer:
        """Find the arguments; see :func:`.reading.read_value`."""
        return read_arguments(problem, reply)

    def jobs(self, problem: Problem, answer: Answer) -> list[Job]:
        """The call itself, and that of the precondition."""
        calls = [encode_literal(answer.text, ordered=True)]
        jobs = [Job(program=problem.program, entry=problem.entry, calls=calls)]
        if problem.precondition:
            jobs.append(Job(program=problem.precondition, entry=PRECONDITION, calls=calls))
        return jobs

    def judge(self, problem: Problem, answer: Answer, executions: Sequence[Sequence[Execution]]) -> Grade:
        """Passed if the call gives the result and the precondition exactly ``True``."""
        failed = infra(executions)
        if failed:
            return failed
        run = executions[0][0]
        cpu_seconds = cpu_spent(executions)
        for check in executions[1:]:
            if check[0].value != TRUE:
                text = f"the precondition {told(check[0])}, not True"
                return Grade(outcome=Outcome.WRONG, reason=text, feedback=sentence(text), cpu_seconds=cpu_seconds)
        case = problem.cases[0]
        if run.ok and same_result(case.expected(), run.value):
            return Grade(outcome=Outcome.PASSED, reward=1.0, reason="the result is reached", cpu_seconds=cpu_seconds)
        outcome = Outcome.TIMEOUT if run.status in TIME else Outcome.WRONG
        call = short(f"{problem.entry}({Case(arguments=answer.text).shown()})")
        feedback = f"{call} {told(run)}, but the result must be {short(case.result)}."
        return Grade(outcome=outcome, reason=f"the call {told(run)}", feedback=feedback, cpu_seconds=cpu_seconds)

    def gold(self, problem: Problem) -> str:
        """The arguments that the teacher chose."""
        return gold_arguments(problem.cases[0].arguments)

    def validate(self, problem: Problem, executor: Executor) -> list[Complaint]:
        """See :data:`code_envs.modes.validity.CHECKS`."""
        return in_stages(
            lambda: check_sources(problem),
            lambda: check_told(problem, problem.cases[0].arguments),
            lambda: check_runs(self, problem, executor),
            lambda: check_guesses(self, problem, executor),
        )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
