"""What the modes share in deciding: how an execution is told in words, and the common verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from code_envs.codec import DecodeError
from code_envs.errors import ValueRefused
from code_envs.executor import Execution, Status
from code_envs.modes.base import Grade, Outcome
from code_envs.outputs import same_output
from code_envs.problem import Case, Problem
from code_envs.values import decode, encode, same_result, write_literal

__all__ = ["TIME", "TRUE", "called", "cpu_spent", "gives", "infra", "sentence", "short", "told"]

TRUE = encode(True)
"""The encoding of exactly ``True``."""
TIME = (Status.CPU, Status.WALL)
"""The statuses of a call that took too long."""
_SHOWN = 300
_DECODED = 16_384

_TOLD = {
    Status.CPU: "takes too long",
    Status.WALL: "takes too long",
    Status.MEMORY: "takes too much memory",
    Status.RECURSION: "recurses too deep",
    Status.FORBIDDEN: "does what no program here may do",
    Status.CRASHED: "crashes the interpreter",
    Status.EXITED: "exits instead of returning",
}
_TOLD_OF_SCRIPTS = _TOLD | {Status.TOO_LARGE: "prints too much"}


def short(text: str) -> str:
    """Cut a text for a sentence."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def sentence(text: str) -> str:
    """Begin with a capital letter and end with a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def gives(problem: Problem, expected: bytes, execution: Execution) -> bool:
    """Whether a call of an induction problem gave the expected result, or a script the expected output.

    Args:
        problem: Knows by which rule outputs are compared.
        expected: The canonical encoding of the result, or of the output.
        execution: What the call did.
    """
    if not execution.ok:
        return False
    if problem.is_script:
        return same_output(str(decode(expected)), execution.stdout, problem.output_rule)
    return same_result(expected, execution.value)


def called(problem: Problem, case: Case) -> str:
    """A call as the subject of a sentence: ``f(3)``, or ``on the input '3' the program``; bounded."""
    if problem.is_script:
        return f"on the input {short(case.shown())} the program"
    return short(f"{problem.entry}({case.shown()})")


def told(execution: Execution, *, script: bool = False) -> str:
    """Say what a call did: ``gives [3]``, ``raises KeyError: 'x'``, ``takes too long``; bounded."""
    if script and execution.ok:
        return f"prints {short(repr(execution.stdout)) if execution.stdout else 'nothing'}"
    if script and execution.status is Status.EXITED:
        return short(f"does not end well: {execution.message}")
    if script and execution.status in _TOLD_OF_SCRIPTS:
        return _TOLD_OF_SCRIPTS[execution.status]
    if execution.ok:
        return f"gives {_shown_value(execution)}"
    if execution.status is Status.RAISED:
        message = f": {execution.message}" if execution.message else ""
        return short(f"raises {execution.exception}{message}")
    if execution.status is Status.TOO_LARGE:
        return short(f"gives no acceptable value ({execution.message or 'too large'})")
    return _TOLD[execution.status]


def _shown_value(execution: Execution) -> str:
    if len(execution.value) > _DECODED:
        return "a very large value"
    try:
        return short(write_literal(execution.result()))
    except (DecodeError, ValueRefused):
        return "a value that cannot be read"


def cpu_spent(executions: Sequence[Sequence[Execution]], *, script: bool = False) -> float:
    """CPU seconds of all jobs together; the calls of a job share a process, but for those of a script."""
    total = sum if script else max
    return sum(total([execution.cpu_seconds for execution in job] or [0.0]) for job in executions)


def infra(executions: Sequence[Sequence[Execution]]) -> Grade | None:
    """The verdict where the sandbox failed; None where it did not."""
    failed = [execution for job in executions for execution in job if execution.status is Status.INFRA]
    if not failed:
        return None
    reason = f"the sandbox failed: {failed[0].message or 'no reason known'}"
    return Grade(outcome=Outcome.INFRA, reason=short(reason), cpu_seconds=cpu_spent(executions))
