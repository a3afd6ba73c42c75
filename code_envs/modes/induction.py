"""Induction: the student sees examples and a description, and writes the program.

A program passes if it gives the expected result on every visible and every hidden case. The sandbox
gets the arguments alone; results are compared here. A problem without an entry asks for a script, a
whole program that reads standard input and prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from code_envs.errors import LiteralError
from code_envs.executor import Execution, Executor, Job
from code_envs.modes.base import Answer, Complaint, Grade, Outcome, Rules
from code_envs.modes.blocks import fence
from code_envs.modes.limits import limited
from code_envs.modes.reading import read_program, read_script
from code_envs.modes.scripts import message_text, script_fields
from code_envs.modes.strength import killed_mutants, still_right
from code_envs.modes.validity import check_runs, check_sources, complain, in_stages
from code_envs.modes.verdicts import TIME, called, cpu_spent, gives, infra, short, told
from code_envs.problem import Mode, Problem
from code_envs.programs.source import holds_code
from code_envs.students.baselines import trivial_programs

__all__ = ["Induction"]

_MIN_INPUTS = 5
_MIN_HIDDEN = 5
_MIN_KILLED = 0.8


class Induction(Rules):
    """The rules of induction."""

    mode = Mode.INDUCTION

    def fields(self, problem: Problem) -> dict[str, str]:
        """``message``, ``signature``, ``entry``, ``cases`` (a block of calls with their results), ``stub``.

        Of a script ``signature`` and ``entry`` are empty, ``cases`` are blocks of input and output, and
        ``rule`` says how outputs are compared.
        """
        if problem.is_script:
            return script_fields(problem)
        cases = [f"{problem.entry}({case.shown()}) == {case.result}" for case in problem.cases]
        return {
            "message": problem.message,
            "signature": problem.signature,
            "entry": problem.entry,
            "cases": fence("\n".join(cases), ""),
            "stub": f"def {problem.signature}:\n    ...",
        }

    def template_name(self, problem: Problem) -> str:
        """``induction``, or ``induction-script``."""
        return "induction-script" if problem.is_script else "induction"

    def view(self, problem: Problem) -> Problem:
        """Message, signature, visible cases and the rule of output; no program."""
        return Problem(
            mode=problem.mode,
            program="",
            signature=problem.signature,
            entry=problem.entry,
            output=problem.output,
            limits=problem.limits,
            message=problem.message,
            cases=problem.cases,
        )

    def read(self, problem: Problem, reply: str) -> Answer:
        """Find the last program that defines the function, or the last one; see :mod:`.reading`."""
        try:
            return Answer(text=read_script(reply) if problem.is_script else read_program(reply, problem.entry))
        except LiteralError as error:
            return Answer(complaint=str(error))

    def jobs(self, problem: Problem, answer: Answer) -> list[Job]:
        """One job that calls the student's program with the visible arguments, then the hidden ones."""
        calls = [case.call() for case in (*problem.cases, *problem.hidden)]
        return [Job(program=answer.text, entry=problem.entry, calls=calls)]

    def judge(
        self,
        problem: Problem,
        answer: Answer,  # noqa: ARG002
        executions: Sequence[Sequence[Execution]],
    ) -> Grade:
        """Compare each result; feedback tells the first visible failure.

        Of the hidden cases a student learns only that one failed: how many, how, and what was
        printed or raised there would let it ask the grader about them.
        """
        failed = infra(executions)
        if failed:
            return failed
        cases = (*problem.cases, *problem.hidden)
        right = [gives(problem, case.expected(), run) for case, run in zip(cases, executions[0], strict=True)]
        shown = len(problem.cases)
        parts = {"visible": sum(right[:shown]) / shown}
        if problem.hidden:
            parts["hidden"] = sum(right[shown:]) / len(problem.hidden)
        cpu_seconds = cpu_spent(executions, script=problem.is_script)
        if all(right):
            return Grade(
                outcome=Outcome.PASSED, reward=1.0, reason="every case passes", parts=parts, cpu_seconds=cpu_seconds
            )
        first = right.index(False)
        reason, feedback = _told_failure(problem, first, executions[0][first])
        outcome = Outcome.TIMEOUT if executions[0][first].status in TIME else Outcome.WRONG
        return Grade(outcome=outcome, reason=reason, feedback=feedback, parts=parts, cpu_seconds=cpu_seconds)

    def gold(self, problem: Problem) -> str:
        """The program in its block; empty where none is known."""
        return fence(problem.program, "python") if problem.program else ""

    def validate(self, problem: Problem, executor: Executor) -> list[Complaint]:
        """See :data:`code_envs.modes.validity.CHECKS`."""
        return in_stages(
            lambda: check_sources(problem),
            lambda: _check_cases(problem),
            lambda: check_runs(self, problem, executor),
            lambda: _check_strength(self, problem, executor),
        )


def _told_failure(problem: Problem, index: int, run: Execution) -> tuple[str, str]:
    if index >= len(problem.cases):
        late = "takes too long on" if run.status in TIME else "fails"
        reason = f"every visible case passes, but the program {late} a hidden case"
        return reason, f"Your program passes every example, but it {late} an input that is not shown."
    case = problem.cases[index]
    did, what = told(run, script=problem.is_script), "output" if problem.is_script else "result"
    reason = f"visible case {index + 1} of {len(problem.cases)}: {short(did)}"
    wanted = f"the {what} must be {short(case.result)}"
    return reason, f"Your program fails an example: {called(problem, case)} {did}, but {wanted}."


def _check_cases(problem: Problem) -> Iterator[Complaint]:
    visible = {case.call() for case in problem.cases}
    hidden = {case.call() for case in problem.hidden} - visible
    if len(visible) < _MIN_INPUTS:
        yield complain(
            "inputs", f"there are {len(visible)} different visible inputs; at least {_MIN_INPUTS} are needed"
        )
    if len(hidden) < _MIN_HIDDEN:
        yield complain("hidden", f"{len(hidden)} hidden cases are not visible ones; at least {_MIN_HIDDEN} are needed")
    if len({case.expected() for case in problem.cases}) < 2:
        yield complain("results", f"every visible result is {short(problem.cases[0].result)}")
    if not problem.message.strip():
        yield complain("message", "there is no message")
    elif holds_code(message_text(problem.message) if problem.is_script else problem.message):
        yield complain("message", "the message holds code; say in words what the program does")


def _check_strength(rules: Rules, problem: Problem, executor: Executor) -> Iterator[Complaint]:
    trivial = trivial_programs(problem)
    if problem.is_script:  # a process for each call: most programs need one
        hidden = {case.call(): case.expected() for case in problem.hidden}
        right = still_right(problem, [program for _, program in trivial], hidden, executor)
        trivial = [(name, program) for name, program in trivial if program in right]
    jobs = [job for _, program in trivial for job in rules.jobs(problem, Answer(text=program))]
    jobs = limited(problem, jobs, executor)
    for (name, program), runs in zip(trivial, executor.run_jobs(jobs), strict=True):
        grade = rules.judge(problem, Answer(text=program), [runs])
        if grade.passed:
            yield complain("trivial", f"a trivial program passes: {name}")
        if not grade.scored:
            yield complain("infra", "the sandbox failed")
    killed, survived = killed_mutants(problem, executor)
    if len(killed) < _MIN_KILLED * (len(killed) + len(survived)):
        share = f"{len(killed)} of {len(killed) + len(survived)} mutants"
        yield complain("mutants", f"the hidden cases kill {share}; one that lives: {survived[0].change}")
