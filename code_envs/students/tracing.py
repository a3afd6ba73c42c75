"""Deduction with a limited span: follow a program step by step, and guess where the span ends.

The program runs in the sandbox under a trace function that charges each line what it computes.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Generator, Sequence

from code_envs.codec import DecodeError
from code_envs.errors import ProblemError, ValueRefused
from code_envs.executor import Execution, Job
from code_envs.problem import Problem
from code_envs.programs.source import function_of, parse_program
from code_envs.values import encode, write_literal

__all__ = ["trace_budgets"]

_HARNESS = '''\
import sys

FILE = "<traced>"


class Spent(BaseException):
    """The last budget is used up."""


def plain(value, depth=8):
    """Copy a literal value; refuse anything else, and what is large."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str, bytes):
        return value
    if depth and kind in (list, tuple, set, frozenset) and len(value) <= 2000:
        return kind([plain(item, depth - 1) for item in value])
    if depth and kind is dict and len(value) <= 2000:
        return {plain(key, depth - 1): plain(item, depth - 1) for key, item in value.items()}
    raise ValueError("not a literal")


def guess(frame, names, kind):
    """What the entry would give if it returned now: the likeliest variable of the likeliest type."""
    rest = []
    for name in names:
        if frame is not None and name in frame.f_locals:
            try:
                value = plain(frame.f_locals[name])
            except (ValueError, TypeError):
                continue
            if not kind or type(value).__name__ == kind:
                return [value]
            rest.append(value)
    return rest[:1]


def trace(source, entry, arguments, weights, names, kind, budgets):
    module = {"__name__": "traced"}
    exec(compile(source, FILE, "exec"), module)
    spent, root, guesses = 0, None, []

    def on_event(frame, event, _):
        nonlocal spent, root
        if frame.f_code.co_filename != FILE:
            return None
        if root is None and frame.f_code.co_name == entry:
            root = frame
        if event == "line":
            spent += weights.get(frame.f_lineno, 1)
            while len(guesses) < len(budgets) and spent > budgets[len(guesses)]:
                guesses.append(guess(root, names, kind))
            if len(guesses) == len(budgets):
                raise Spent
        return on_event

    sys.settrace(on_event)
    try:
        result = [module[entry](*arguments)]
    except Spent:
        result = []
    finally:
        sys.settrace(None)
    return guesses, result
'''


def trace_budgets(
    view: Problem, budgets: Sequence[int]
) -> Generator[list[Job], Sequence[Sequence[Execution]], dict[int, str]]:
    """Answer a deduction problem with each of several budgets, in one traced run.

    Args:
        view: The problem, as the student sees it.
        budgets: What may be spent: an executed line costs the number of its operations, at least 1.

    Yields:
        The jobs to run; send their executions.

    Returns:
        A literal for each budget: the result if the program ends within it, else a guess.
    """
    rising = sorted(set(budgets))
    try:
        weights, names, kind = _read(view)
        arguments = encode(
            (view.program, view.entry, view.cases[0].values(), weights, names, kind, rising), ordered=True
        )
    except (ProblemError, ValueRefused):
        return dict.fromkeys(rising, _fallback(view))
    executions = yield [Job(program=_HARNESS, entry="trace", calls=[arguments])]
    guesses, result = _told(executions[0][0])
    known = [*guesses, *[result] * len(rising)][: len(rising)]
    return {budget: _written(options) or _fallback(view) for budget, options in zip(rising, known, strict=True)}


def _told(execution: Execution) -> tuple[list[object], object]:
    """What the harness returned, as far as the program did not forge it."""
    try:
        told = execution.result()
    except DecodeError:
        return [], []
    if isinstance(told, tuple) and len(told) == 2 and isinstance(told[0], list):
        return told[0], told[1]
    return [], []


def _written(options: object) -> str:
    if not isinstance(options, list) or not options:
        return ""
    try:
        return write_literal(options[0])
    except ValueRefused:
        return ""


def _fallback(view: Problem) -> str:
    values = view.cases[0].values()
    return write_literal(values[0]) if values else "None"


def _read(view: Problem) -> tuple[dict[int, int], list[str], str]:
    """What the harness needs to know: the cost of each line, likely result variables, the result's type."""
    tree = parse_program(view.program)
    function = function_of(tree, view.entry)
    returns = [node for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
    returned = [node.id for part in returns[::-1] for node in ast.walk(part) if isinstance(node, ast.Name)]
    stored = [node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    names = list(dict.fromkeys([*returned, *stored[::-1], *view.parameters]))
    return _weights(tree), names, _result_kind(function, returns)


_OPERATIONS = (ast.Call, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Subscript, ast.IfExp, ast.JoinedStr)


def _weights(tree: ast.Module) -> dict[int, int]:
    return dict(Counter(node.lineno for node in ast.walk(tree) if isinstance(node, _OPERATIONS)))


_GIVES = {
    **dict.fromkeys(("len", "sum", "int", "ord", "round", "count", "index", "find"), "int"),
    **dict.fromkeys(("str", "join", "upper", "lower", "strip", "replace", "format", "chr"), "str"),
    **dict.fromkeys(("sorted", "list", "split"), "list"),
    **dict.fromkeys(("bool", "any", "all", "isinstance", "startswith", "endswith"), "bool"),
    **dict.fromkeys(("dict", "set", "tuple", "float"), ""),
}


def _result_kind(function: ast.FunctionDef, returns: Sequence[ast.Return]) -> str:
    match function.returns:
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
            return name
    kinds = {_expression_kind(part.value) for part in returns if part.value}
    return kinds.pop() if len(kinds) == 1 else ""


def _expression_kind(node: ast.expr) -> str:
    match node:
        case ast.Compare():
            return "bool"
        case ast.Constant(value=value):
            return type(value).__name__
        case ast.JoinedStr():
            return "str"
        case ast.List() | ast.Tuple() | ast.Dict() | ast.Set():
            return type(node).__name__.lower()
        case ast.ListComp():
            return "list"
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return _GIVES.get(name, "")
    return ""
