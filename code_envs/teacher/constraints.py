"""What holds a model's drafts to their form: a JSON schema, or a grammar of the blocks, one for each mode.

Both fix the form alone. What stands in the parts, and whether it is a valid problem, is for the model
to write and for validation to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import msgspec

from code_envs.errors import UnknownName
from code_envs.models import Constraint
from code_envs.problem import Mode

__all__ = ["CONSTRAINTS", "constraint", "reminder"]

_PARTS: Mapping[Mode, tuple[str, ...]] = {
    Mode.INDUCTION: ("message", "program", "inputs"),
    Mode.ABDUCTION: ("program", "precondition", "inputs"),
    Mode.DEDUCTION: ("program", "inputs"),
    Mode.FUZZING: ("program", "precondition", "property", "inputs"),
}
_OPTIONAL = {(Mode.ABDUCTION, "precondition")}
_MEANINGS = {
    "message": "the description, in words",
    "program": "the source of f",
    "precondition": "the source of pre_test_f",
    "property": "the source of test_f",
    "inputs": "a list of strings, each the arguments of one call",
}
_INPUTS = {Mode.INDUCTION: (6, 12)}  # at least and at most
_FEW = (1, 4)


def constraint(mode: Mode, kind: str) -> Constraint | None:
    """What a draft in a mode must look like.

    Args:
        mode: The mode.
        kind: A name of :data:`CONSTRAINTS`; empty for none.

    Raises:
        UnknownName: There is no such constraint.
    """
    if not kind:
        return None
    if kind not in CONSTRAINTS:
        raise UnknownName("constraint", kind, CONSTRAINTS)
    return CONSTRAINTS[kind](mode)


def reminder(mode: Mode, kind: str) -> str:
    """What a prompt has to say more, since it asks for blocks; empty for what has the form of blocks."""
    if kind != "schema":
        return ""
    parts = "; ".join(f'"{part}", {_meaning(mode, part)}' for part in _PARTS[mode])
    return (
        f"\n\nWrite no blocks this time: answer with one JSON object instead. It holds {parts}. "
        "Lines of code end in \\n within their string."
    )


def _meaning(mode: Mode, part: str) -> str:
    return _MEANINGS[part] + (', or "" if all arguments are allowed' if (mode, part) in _OPTIONAL else "")


@lru_cache(maxsize=len(Mode))
def _schema(mode: Mode) -> Constraint:
    """In the subset that hosted services take in strict mode: every member required, and none besides."""
    least, most = _INPUTS.get(mode, _FEW)
    inputs = {"type": "array", "items": {"type": "string"}, "minItems": least, "maxItems": most}
    schema = {
        "type": "object",
        "properties": {part: inputs if part == "inputs" else {"type": "string"} for part in _PARTS[mode]},
        "required": list(_PARTS[mode]),
        "additionalProperties": False,
    }
    return Constraint(schema=msgspec.json.encode(schema).decode())


# Lines of code neither start with a comment or a text nor are empty: a docstring gives much away, and a model
# that runs in circles does so there, or in a line without end. One type on each parameter, since inputs may
# be drawn by type.
_GRAMMAR = r"""
message ::= "```message\n" sentence{1,6} "```\n" "\n"?
sentence ::= [^`\n]{1,500} "\n"
program ::= "```python\n" import{0,4} function helper{0,3} "```\n" "\n"?
import ::= ("import " | "from ") text
function ::= "def f(" parameter (", " parameter){0,3} ") -> " type ":\n" step{3,40}
helper ::= "\n"{0,2} "def " [a-eg-z_] [a-z0-9_]{0,30} "(" text step{1,40}
parameter ::= [a-z] [a-z0-9_]{0,30} ": " type
type ::= ("int" | "str" | "bool" | "float" | "bytes" | ("list" | "set" | "tuple" | "dict") "[" types "]") " | None"?
types ::= type (", " type){0,3} ", ..."?
step ::= "    " "    "{0,6} [^ #"'`\n] text
text ::= [^`\n]{0,200} "\n"
precondition ::= "```precondition\ndef pre_test_f(" text step{1,20} "```\n" "\n"?
property ::= "```property\ndef test_f(" text step{1,20} "```\n" "\n"?
input ::= [-0-9TFNbfs"'(\[{] [^`\n]{0,300} "\n"
"""


@lru_cache(maxsize=len(Mode))
def _grammar(mode: Mode) -> Constraint:
    least, most = _INPUTS.get(mode, _FEW)
    parts = [f"{part}?" if (mode, part) in _OPTIONAL else part for part in _PARTS[mode]]
    rules = [line for line in _GRAMMAR.strip().split("\n") if _used(line.split(" ::= ")[0], mode)]
    inputs = f'inputs ::= "```inputs\\n" input{{{least},{most}}} "```"'
    return Constraint(grammar="\n".join([f"root ::= {' '.join(parts)}", inputs, *rules]) + "\n")


def _used(rule: str, mode: Mode) -> bool:
    """Some readers of grammars refuse rules that nothing leads to."""
    owner = {"sentence": "message"}.get(rule, rule)
    return owner not in _MEANINGS or owner in _PARTS[mode]


CONSTRAINTS: Mapping[str, Callable[[Mode], Constraint]] = {"schema": _schema, "grammar": _grammar}
"""How drafts can be held to their form: ``schema`` by any server that has JSON schemas, ``grammar`` by
llama.cpp, vLLM and SGLang."""
