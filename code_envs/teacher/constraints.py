"""What a model's drafts consist of, and what holds them to it: a JSON schema, or a grammar of the blocks.

There is a form for each mode, and one for fuzzing whose faults are planted. Constraints fix the form alone.
What stands in the parts, and whether it is a valid problem, is for the model to write and for validation to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import msgspec

from code_envs.errors import UnknownName
from code_envs.models import Constraint
from code_envs.problem import Mode

__all__ = ["CONSTRAINTS", "FORMS", "constraint", "form_of", "reminder"]

_PLANTED = "fuzzing-planted"
_PARTS: Mapping[str, tuple[str, ...]] = {
    Mode.INDUCTION: ("message", "program", "inputs"),
    Mode.ABDUCTION: ("program", "precondition", "inputs"),
    Mode.DEDUCTION: ("program", "inputs"),
    Mode.FUZZING: ("program", "precondition", "property", "inputs"),
    _PLANTED: ("message", "program", "inputs"),
}
FORMS = tuple(_PARTS)
"""The forms of drafts, which are also the names of the sets of prompts."""
_OPTIONAL = {(str(Mode.ABDUCTION), "precondition")}
_MEANINGS = {
    "message": "the description, in words",
    "program": "the source of f",
    "precondition": "the source of pre_test_f",
    "property": "the source of test_f",
    "inputs": "a list of strings, each the arguments of one call",
}
_INPUTS: Mapping[str, tuple[int, int]] = {Mode.INDUCTION: (6, 12), _PLANTED: (4, 8)}  # at least and at most
_FEW = (1, 4)


def form_of(mode: Mode, *, plant_faults: bool = False) -> str:
    """The form of drafts in a mode, one of :data:`FORMS`."""
    return _PLANTED if plant_faults and mode is Mode.FUZZING else str(mode)


def constraint(form: str, kind: str) -> Constraint | None:
    """What a draft must look like.

    Args:
        form: One of :data:`FORMS`; a mode is one.
        kind: A name of :data:`CONSTRAINTS`; empty for none.

    Raises:
        UnknownName: There is no such constraint.
    """
    if not kind:
        return None
    if kind not in CONSTRAINTS:
        raise UnknownName("constraint", kind, CONSTRAINTS)
    return CONSTRAINTS[kind](form)


def reminder(form: str, kind: str) -> str:
    """What a prompt has to say more, since it asks for blocks; empty for what has the form of blocks."""
    if kind != "schema":
        return ""
    parts = "; ".join(f'"{part}", {_meaning(form, part)}' for part in _PARTS[form])
    return (
        f"\n\nWrite no blocks this time: answer with one JSON object instead. It holds {parts}. "
        "Lines of code end in \\n within their string."
    )


def _meaning(form: str, part: str) -> str:
    return _MEANINGS[part] + (', or "" if all arguments are allowed' if (form, part) in _OPTIONAL else "")


@lru_cache(maxsize=len(FORMS))
def _schema(form: str) -> Constraint:
    """In the subset that hosted services take in strict mode: every member required, and none besides."""
    least, most = _INPUTS.get(form, _FEW)
    inputs = {"type": "array", "items": {"type": "string"}, "minItems": least, "maxItems": most}
    schema = {
        "type": "object",
        "properties": {part: inputs if part == "inputs" else {"type": "string"} for part in _PARTS[form]},
        "required": list(_PARTS[form]),
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


@lru_cache(maxsize=len(FORMS))
def _grammar(form: str) -> Constraint:
    least, most = _INPUTS.get(form, _FEW)
    parts = [f"{part}?" if (form, part) in _OPTIONAL else part for part in _PARTS[form]]
    rules = [line for line in _GRAMMAR.strip().split("\n") if _used(line.split(" ::= ")[0], form)]
    inputs = f'inputs ::= "```inputs\\n" input{{{least},{most}}} "```"'
    return Constraint(grammar="\n".join([f"root ::= {' '.join(parts)}", inputs, *rules]) + "\n")


def _used(rule: str, form: str) -> bool:
    """Some readers of grammars refuse rules that nothing leads to."""
    owner = {"sentence": "message"}.get(rule, rule)
    return owner not in _MEANINGS or owner in _PARTS[form]


CONSTRAINTS: Mapping[str, Callable[[str], Constraint]] = {"schema": _schema, "grammar": _grammar}
"""How drafts can be held to their form: ``schema`` by any server that has JSON schemas, ``grammar`` by
llama.cpp, vLLM and SGLang."""
