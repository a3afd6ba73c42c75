"""Scripts, the whole programs of induction: how their cases and their rule of output are shown."""

from __future__ import annotations

from code_envs.modes.blocks import blocks_of, fence, outside
from code_envs.outputs import OutputRule
from code_envs.problem import Case, Problem
from code_envs.values import decode

__all__ = ["message_text", "script_fields"]

_RULES = {
    OutputRule.EXACT: "Outputs are compared character by character; here they are written as Python strings.",
    OutputRule.LINES: "Spaces at the end of a line and empty lines at the end of the output do not matter.",
    OutputRule.TOKENS: "Outputs are compared word by word: how much white space is between words does not matter.",
    OutputRule.FLOATS: "Outputs are compared word by word: how much white space is between words does not matter, "
    "and a decimal number may be off by 1e-6, relatively or absolutely.",
}


def script_fields(problem: Problem) -> dict[str, str]:
    """The values for the placeholders of a script's prompt template; see ``Induction.fields``."""
    return {
        "message": problem.message,
        "signature": "",
        "entry": "",
        "cases": "\n\n".join(_shown(case, problem.output_rule) for case in problem.cases),
        "stub": "# the whole program",
        "rule": " ".join(filter(None, (_RULES[problem.output_rule], _told_limits(problem)))),
    }


def _told_limits(problem: Problem) -> str:
    """The limits that are part of the problem, as a sentence; empty without any."""
    cpu_seconds, memory_mib = (problem.limits.cpu_seconds, problem.limits.memory_mib) if problem.limits else (0, 0)
    told = [f"{cpu_seconds:g} s of CPU time" if cpu_seconds else "", f"{memory_mib} MiB" if memory_mib else ""]
    return f"Each run may take {' and '.join(filter(None, told))}." if any(told) else ""


def _shown(case: Case, rule: OutputRule) -> str:
    (stdin,) = case.values()
    # only as a literal does a text show how it ends
    output = case.result if rule is OutputRule.EXACT else str(decode(case.expected()))
    return f"Input:\n{fence(stdin, '')}\nOutput:\n{fence(output, '')}"


def message_text(message: str) -> str:
    """A message without the fences around its blocks: statements of contests put examples into some."""
    lines = message.split("\n")
    blocks = blocks_of(lines)
    return "\n".join([*outside(lines, blocks), *(block.text for block in blocks)])
