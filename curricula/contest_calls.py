"""Functional tests of contests: what is called, how it is declared, and what counts as its result."""

from __future__ import annotations

import ast
from typing import Any

from code_envs.curricula.contest_rows import Contest
from code_envs.errors import ProblemError
from code_envs.programs.source import parse_program
from code_envs.values import equal

__all__ = ["accepts", "callable_program", "published_results", "signature_of_contest"]

_PRELUDE = (
    "from typing import *\nfrom collections import *\nimport math, heapq, bisect, itertools, functools, re, string\n"
)
_BUILT_IN = {
    **{name: name for name in ("int", "float", "bool", "str", "bytes")},
    "List": "list",
    "Dict": "dict",
    "Tuple": "tuple",
    "Set": "set",
    "FrozenSet": "frozenset",
}


def accepts(contest: Contest, expected: Any, got: Any) -> bool:
    """Whether a result is the published one, which went through JSON and may be wrapped in a list."""
    choices = [expected, *expected] if contest.wrapped and _is_wrapped(expected) else [expected]
    return any(equal(_plain(choice), _plain(got)) for choice in choices)


def _plain(value: Any) -> Any:
    """What JSON leaves of a value: tuples are lists, and keys of tables are texts."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()}
    return value


def _is_wrapped(value: object) -> bool:
    return isinstance(value, list) and len(value) == 1


def callable_program(solution: str, contest: Contest) -> str:
    """A program that defines the entry as a function; empty if the solution has nothing of that name.

    A method of a class ``Solution``, as LeetCode asks for, gets a function that calls it.
    """
    try:
        tree = parse_program(solution)
    except ProblemError:
        return ""
    body = solution.rstrip() + "\n"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == contest.entry:
            return _with_prelude(body)
        if isinstance(node, ast.ClassDef) and any(
            isinstance(method, ast.FunctionDef) and method.name == contest.entry for method in node.body
        ):
            names = ", ".join(parameter.arg for parameter in _declared(contest, solution)[0])
            call = f"{node.name}().{contest.entry}({names})"
            return _with_prelude(f"{body}\n\ndef {contest.entry}({names}):\n    return {call}\n")
    return ""


def _with_prelude(program: str) -> str:
    """The names that contest sites import for everybody; futures must come first."""
    return program if "__future__" in program else _PRELUDE + "\n" + program


def _declared(contest: Contest, code: str) -> tuple[list[ast.arg], ast.expr | None]:
    """The parameters and the type of the result in starter code or a solution; made-up names where neither tells."""
    count = len(contest.calls[0][0])
    for text in (contest.starter, code):
        function = _method(text, contest.entry)
        if function is not None:
            parameters = [argument for argument in function.args.args if argument.arg != "self"]
            if len(parameters) == count:
                return parameters, function.returns
    return [ast.arg(f"x{number}") for number in range(1, count + 1)], None


def _method(code: str, entry: str) -> ast.FunctionDef | None:
    """A function or method in code that may lack its body, as starter code does."""
    for text in (code, code.rstrip() + "\n        pass\n", code.rstrip() + "\n    pass\n"):
        try:
            nodes = ast.walk(parse_program(text))
        except ProblemError:
            continue
        return next((node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == entry), None)
    return None


def published_results(contest: Contest) -> list[Any]:
    """The expected results as published; a list of one around every result is a wrapping."""
    results = [expected for _, expected in contest.calls]
    wrapped = contest.wrapped and all(_is_wrapped(result) for result in results)
    return [result[0] for result in results] if wrapped else results


def signature_of_contest(contest: Contest, program: str) -> str:
    """How the function is called, with the types that need no import: a student copies this line."""
    parameters, returns = _declared(contest, program)
    typed = [(parameter.arg, _type(parameter.annotation)) for parameter in parameters]
    shown = ", ".join(f"{name}: {kind}" if kind else name for name, kind in typed)
    return f"{contest.entry}({shown})" + (f" -> {_type(returns)}" if _type(returns) else "")


def _type(annotation: ast.expr | None) -> str:
    """Write a type with built-in names; empty for one that has others."""
    match annotation:
        case ast.Constant(value=None):
            return "None"
        case ast.Name(id=name) if name in _BUILT_IN or name in _BUILT_IN.values():
            return _BUILT_IN.get(name, name)
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return f"{_type(inner)} | None" if _type(inner) else ""
        case ast.Subscript(value=ast.Name() as outer, slice=inner):
            parts = [_type(item) for item in (inner.elts if isinstance(inner, ast.Tuple) else [inner])]
            return f"{_type(outer)}[{', '.join(parts)}]" if _type(outer) and all(parts) else ""
    return ""
