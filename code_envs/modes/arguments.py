"""What abduction and fuzzing share: answers that are arguments of a call."""

from __future__ import annotations

from code_envs.errors import LiteralError, ProblemError, ValueRefused
from code_envs.modes.base import Answer
from code_envs.modes.blocks import fence
from code_envs.modes.reading import Form, completions, read_value
from code_envs.problem import Case, Problem
from code_envs.values import parse_arguments, write_literal

__all__ = ["argument_fields", "gold_arguments", "read_arguments"]

_OTHERS = frozenset({"output", "outputs", "result", "results", "bash", "sh", "console"})
_LABELS = ("answer", "input", "inputs", "arguments", "args")


def argument_fields(problem: Problem) -> dict[str, str]:
    """The placeholders for prompts that ask for arguments."""
    names = ", ".join(problem.parameters)
    return {
        "entry": problem.entry,
        "signature": problem.signature,
        "program": fence(problem.program, "python"),
        "precondition": fence(problem.precondition, "python") if problem.precondition else "",
        "call": f"{problem.entry}({names})",
        "placeholder": ", ".join(f"<{name}>" for name in problem.parameters),
    }


def read_arguments(problem: Problem, reply: str) -> Answer:
    """Read the arguments of one call from a reply; the text of the answer is a tuple literal."""
    form = Form("input", _OTHERS, _LABELS, problem.entry, lambda text: _parse(problem, text))
    try:
        return Answer(text=read_value(reply, form))
    except LiteralError as error:
        return Answer(complaint=str(error))


def _parse(problem: Problem, text: str) -> str:
    try:
        return write_literal(parse_arguments(text, problem.parameters, problem.entry))
    except LiteralError:
        for call, _ in completions(text, problem.entry):
            try:
                return write_literal(parse_arguments(call, problem.parameters, problem.entry))
            except (LiteralError, ValueRefused):
                continue
        raise


def gold_arguments(arguments: str) -> str:
    """The reply that gives these arguments, a tuple literal."""
    try:
        return fence(Case(arguments=arguments).shown(), "input")
    except ProblemError:  # a broken witness: the answer cannot be read, and validation says so
        return fence(arguments, "input")
