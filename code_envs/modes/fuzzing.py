"""Fuzzing: the student finds arguments that show the fault of a program.

In property mode a test is given that must fail by assertion; in differential mode a specification
in words, and the program must do something else than a reference that only the grader has.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from code_envs.errors import LiteralError, ValueRefused
from code_envs.executor import Execution, Executor, Job, Status
from code_envs.modes.arguments import argument_fields, gold_arguments, read_arguments
from code_envs.modes.base import Answer, Complaint, Grade, Outcome, Rules
from code_envs.modes.blocks import fence
from code_envs.modes.guessing import check_guesses, check_told, run_arguments, run_each
from code_envs.modes.validity import check_runs, check_sources, complain, generator, in_stages
from code_envs.modes.verdicts import TIME, TRUE, cpu_spent, infra, sentence, short, told
from code_envs.problem import PRECONDITION, PROPERTY, Mode, Problem
from code_envs.programs.inputs import arguments_for, random_arguments, vary_arguments
from code_envs.syntax import parse
from code_envs.values import encode, encode_literal, parse_literal, same_result, write_literal

__all__ = ["Fuzzing"]

_NEIGHBOURS = 24
_MIN_VALID = 8
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

    def judge(
        self,
        problem: Problem,
        answer: Answer,  # noqa: ARG002
        executions: Sequence[Sequence[Execution]],
    ) -> Grade:
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
        """See :data:`code_envs.modes.validity.CHECKS`."""
        return in_stages(
            lambda: check_sources(problem),
            lambda: _check_witness(problem),
            lambda: check_runs(self, problem, executor),
            lambda: [*_check_neighbours(self, problem, executor), *_check_junk(problem, executor)],
            lambda: check_guesses(self, problem, executor),
        )


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


def _check_witness(problem: Problem) -> Iterator[Complaint]:
    try:
        witness = parse_literal(problem.witness)
        fits = type(witness) is tuple and len(witness) == len(problem.parameters)
    except (LiteralError, ValueRefused):
        fits = False
    if not fits:
        yield complain("witness", f"the witness {short(problem.witness)} is no tuple of the arguments of one call")
    else:
        yield from check_told(problem, problem.witness)
    if problem.differential and not problem.message.strip():
        yield complain("message", "differential fuzzing needs a specification as its message")


def _check_neighbours(rules: Rules, problem: Problem, executor: Executor) -> Iterator[Complaint]:
    """Vary the witness and draw by type: enough of it must be valid, and most of that must show no fault."""
    runs = run_arguments(rules, problem, _neighbours(problem), executor)
    valid = [own for own in runs if own[0][0].value == TRUE]
    if len(valid) < _MIN_VALID:
        yield complain("valid", f"the precondition allows {len(valid)} of {len(runs)} arguments like the witness")
        return
    faultless = [own for own in valid if _is_faultless(problem, [job[0] for job in own[1:]])]
    if 2 * len(faultless) <= len(valid):
        yield complain("passing", f"only {len(faultless)} of {len(valid)} valid arguments show no fault")


def _neighbours(problem: Problem) -> list[str]:
    rng = generator(problem)
    witness = parse_literal(problem.witness)
    assert isinstance(witness, tuple)
    found = [*random_arguments([witness], rng, _NEIGHBOURS), *arguments_for(problem.signature, rng, _NEIGHBOURS)]
    varied = witness
    for step in range(_NEIGHBOURS):
        varied = vary_arguments(witness if step % 3 == 0 else varied, rng)
        found.append(varied)
    return list(dict.fromkeys(write_literal(values) for values in found))


def _is_faultless(problem: Problem, runs: Sequence[Execution]) -> bool:
    if not all(run.ok for run in runs):
        return False
    return not problem.differential or same_result(runs[0].value, runs[1].value)


def _check_junk(problem: Problem, executor: Executor) -> Iterator[Complaint]:
    """Replace each argument of the witness, and what is in it, by values of other types."""
    witness = parse_literal(problem.witness)
    assert isinstance(witness, tuple)
    optional = [bool(_OPTIONAL.search(text)) for text in _annotations(problem.signature)]
    found = [
        (*witness[:place], junk, *witness[place + 1 :])
        for place, value in enumerate(witness)
        for junk in _junk(value, optional[place])
    ]
    calls = [encode(values, ordered=True) for values in found]
    (runs,) = run_each([Job(program=problem.precondition, entry=PRECONDITION, calls=calls)], executor)
    allowed = [values for values, run in zip(found, runs, strict=True) if run.value == TRUE]
    if allowed:
        yield complain("junk", f"the precondition allows {short(write_literal(allowed[0]))}")


_OPTIONAL = re.compile(r"\bNone\b|\bOptional\b|\bAny\b|\bobject\b")
_DEEP: dict[str, list[object]] = {"junk": [None, {"junk": [None]}]}


def _annotations(signature: str) -> list[str]:
    (function,) = parse(f"def {signature}: pass").body
    assert isinstance(function, ast.FunctionDef)
    spec = function.args
    nodes = [argument.annotation for argument in (*spec.posonlyargs, *spec.args)]
    return [ast.unparse(node) if node else "" for node in nodes]


def _junk(value: object, optional: bool) -> Iterator[object]:
    """Values that are of another type than one that is valid, or hold such."""
    if value is not None and not optional:
        yield None
    yield [_DEEP] if type(value) is dict else _DEEP
    if type(value) is not str:
        yield "junk"
    if type(value) not in (int, float, bool):
        yield 7
    if type(value) is int:
        yield 7.5
    if isinstance(value, (list, tuple)) and value and not optional:
        for junk in (None, _DEEP):
            yield type(value)([*value[:-1], junk])
    if isinstance(value, dict) and value and not optional:
        key = next(iter(value))
        yield {**value, key: _DEEP}
