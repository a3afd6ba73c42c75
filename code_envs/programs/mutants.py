"""Mutants: programs with one small fault, made from the syntax tree.

They measure how strong tests are, and serve as faulty variants. Docstrings and annotations are
never touched; changes that obviously do nothing are left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import msgspec
import numpy as np

from code_envs.programs.source import function_of, parse_program, write_program

__all__ = ["Mutant", "mutants"]


class Mutant(msgspec.Struct, frozen=True):
    """A program with one small fault.

    Attributes:
        program: Its source, ending in one newline.
        change: What was changed, such as ``line 4: < becomes <=``.
    """

    program: str
    change: str


_ASIDE = ("annotation", "returns", "decorator_list", "defaults")  # defaults: every call passes all arguments
_Edit = tuple[ast.AST, str, object]
"""A node, the name of its field, and the new content of the field (a node, a list or an operator)."""


def mutants(program: str, entry: str, rng: np.random.Generator, limit: int = 60) -> list[Mutant]:
    """Make mutants of a program.

    Args:
        program: Python source.
        entry: The name of the function under test; it must exist. Empty for a script: the statements of
            the module count as well.
        rng: Draws which mutants come first.
        limit: How many are wanted.

    Returns:
        At most ``limit`` mutants in random order, no two alike and none like the original.

    Raises:
        ProblemError: The text cannot be parsed or defines no such function.
    """
    tree = parse_program(program)
    if entry:
        function_of(tree, entry)
    edits = [(edit, change) for node in _mutable(tree) for edit, change in _edits(node)]
    edits += _dropped(tree, "body", tree.body) if not entry else ()
    seen = {write_program(tree)}
    found: list[Mutant] = []
    for index in rng.permutation(len(edits)):
        if len(found) >= limit:
            break
        edit, change = edits[index]
        text = _applied(tree, edit)
        if text not in seen:
            seen.add(text)
            found.append(Mutant(text, change))
    return found


def _applied(tree: ast.Module, edit: _Edit) -> str:
    node, field, content = edit
    before = getattr(node, field)
    setattr(node, field, content)
    try:
        return write_program(tree)
    finally:
        setattr(node, field, before)


def _mutable(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node but those of annotations, docstrings, imports and decorators."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.Assert, ast.JoinedStr)):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        yield node
        for field, content in ast.iter_fields(node):
            if field not in _ASIDE:
                stack += [
                    part for part in (content if isinstance(content, list) else [content]) if isinstance(part, ast.AST)
                ]


def _edits(node: ast.AST) -> Iterator[tuple[_Edit, str]]:
    """Every edit whose place is this node, with its description."""
    line = f"line {node.lineno}: " if hasattr(node, "lineno") else ""
    for edit, change in _edits_within(node):
        yield edit, line + change
    for field in ("body", "orelse", "finalbody"):
        content = getattr(node, field, None)
        if isinstance(node, ast.Module | ast.ClassDef) or not isinstance(content, list):
            continue
        if content and isinstance(content[0], ast.stmt):
            yield from _dropped(node, field, content)


def _edits_within(node: ast.AST) -> Iterator[tuple[_Edit, str]]:
    match node:
        case ast.Compare():
            yield from _comparisons(node)
        case ast.BinOp() | ast.AugAssign():
            for op in _OPERATORS.get(type(node.op), ()):
                yield (node, "op", op()), f"{_SIGN[type(node.op)]} becomes {_SIGN[op]}"
        case ast.BoolOp():
            yield from _boolean(node)
        case ast.If() | ast.IfExp() | ast.While():
            yield from _conditions(node)
        case ast.comprehension() if node.ifs:
            yield (node, "ifs", []), "a filter is dropped"
            yield (node, "ifs", [_negated(node.ifs[0]), *node.ifs[1:]]), "a filter is negated"
        case ast.Call():
            yield from _calls(node)
        case ast.Slice():
            yield from _slices(node)
        case ast.Break():
            return
    yield from _children(node)
    yield from _statements(node)


_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt, ast.GtE),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt, ast.LtE),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add,),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Mult, ast.Mod),
    ast.Mod: (ast.FloorDiv, ast.Add),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitXor: (ast.BitOr, ast.BitAnd),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
}
_SIGN: dict[type[ast.AST], str] = {
    **dict(zip(_COMPARISONS, ("<", "<=", ">", ">=", "==", "!=", "in", "not in", "is", "is not"), strict=True)),
    **dict(zip(_OPERATORS, ("+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<<", ">>"), strict=True)),
}


def _comparisons(node: ast.Compare) -> Iterator[tuple[_Edit, str]]:
    for place, op in enumerate(node.ops):
        for other in _COMPARISONS[type(op)]:
            ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
            yield (node, "ops", ops), f"{_SIGN[type(op)]} becomes {_SIGN[other]}"


def _boolean(node: ast.BoolOp) -> Iterator[tuple[_Edit, str]]:
    other, name = (ast.Or(), "and becomes or") if isinstance(node.op, ast.And) else (ast.And(), "or becomes and")
    yield (node, "op", other), name
    if len(node.values) > 2:
        for place in range(len(node.values)):
            yield (node, "values", node.values[:place] + node.values[place + 1 :]), "a condition is dropped"


def _negated(test: ast.expr) -> ast.expr:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand
    return ast.UnaryOp(op=ast.Not(), operand=test)


def _conditions(node: ast.If | ast.IfExp | ast.While) -> Iterator[tuple[_Edit, str]]:
    simple = isinstance(node.test, ast.Compare) and len(node.test.ops) == 1 and _is_two_valued(node.test.ops[0])
    always = isinstance(node.test, ast.Constant)  # such as while True
    if not simple and not always:  # a simple one is negated by its comparison
        yield (node, "test", _negated(node.test)), "a condition is negated"
    if isinstance(node, ast.If):
        yield (node, "test", ast.Constant(False)), "a branch is never taken"
        if not node.orelse:
            yield (node, "test", ast.Constant(True)), "a branch is always taken"
    if isinstance(node, ast.IfExp):
        yield (node, "test", ast.Constant(False)), "an expression always takes its second branch"
        yield (node, "test", ast.Constant(True)), "an expression always takes its first branch"


def _is_two_valued(op: ast.cmpop) -> bool:
    return isinstance(op, (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot))


_CALLS = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "sum": "len",
    "sorted": "list",
    "reversed": "list",
    "set": "list",
    "upper": "lower",
    "lower": "upper",
    "startswith": "endswith",
    "endswith": "startswith",
    "find": "rfind",
    "rfind": "find",
    "lstrip": "rstrip",
    "rstrip": "lstrip",
    "strip": "lstrip",
    "append": "extend",
    "isdigit": "isalpha",
    "isalpha": "isalnum",
    "isalnum": "isalpha",
    "union": "intersection",
    "intersection": "union",
    "partition": "rpartition",
    "rpartition": "partition",
    "appendleft": "append",
    "popleft": "pop",
    "bisect_left": "bisect_right",
    "bisect_right": "bisect_left",
    "ceil": "floor",
    "floor": "ceil",
}
_TRANSPARENT = ("abs", "sorted", "reversed", "set", "round", "strip", "lower", "upper")


def _calls(node: ast.Call) -> Iterator[tuple[_Edit, str]]:
    match node.func:
        case ast.Name(id=name) if name in _CALLS and _fits(name, node):
            yield (node.func, "id", _CALLS[name]), f"{name} becomes {_CALLS[name]}"
        case ast.Attribute(attr=name) if name in _CALLS and name != "append":
            yield (node.func, "attr", _CALLS[name]), f"{name} becomes {_CALLS[name]}"
    if node.keywords:
        for place, keyword in enumerate(node.keywords):
            if keyword.arg in ("reverse", "key", "default", "start"):
                rest = node.keywords[:place] + node.keywords[place + 1 :]
                yield (node, "keywords", rest), f"{keyword.arg} is dropped"
    if isinstance(node.func, ast.Name) and node.func.id == "range":
        yield from _ranges(node)
    if 2 <= len(node.args) <= 3 and not node.keywords and _order_matters(node):
        yield (node, "args", [node.args[1], node.args[0], *node.args[2:]]), "two arguments change places"


def _order_matters(node: ast.Call) -> bool:
    return not (isinstance(node.func, ast.Name) and node.func.id in ("min", "max", "gcd", "lcm", "range"))


def _fits(name: str, node: ast.Call) -> bool:
    if name in ("sum", "sorted", "set", "reversed"):
        return len(node.args) == 1 and not node.keywords
    return True


def _ranges(node: ast.Call) -> Iterator[tuple[_Edit, str]]:
    stop = 0 if len(node.args) == 1 else 1
    if any(isinstance(part, ast.Starred) for part in node.args):
        return
    for step, name in ((-1, "earlier"), (1, "later")):
        args = [*node.args]
        args[stop] = _shifted(args[stop], step)
        yield (node, "args", args), f"a range stops one {name}"
    if stop:
        yield (node, "args", [_shifted(node.args[0], 1), *node.args[1:]]), "a range starts one later"
    else:
        yield (node, "args", [ast.Constant(1), node.args[0]]), "a range starts at 1"


def _shifted(expression: ast.expr, step: int) -> ast.expr:
    """``expression + step``, simplified where it is an integer or ends in one."""
    match expression:
        case ast.Constant(value=int(value)) if type(value) is int:
            return _integer(value + step)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))) if type(value) is int:
            return _integer(step - value)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=ast.Constant(value=int(value))):
            total = (value if isinstance(op, ast.Add) else -value) + step
            if total == 0:
                return left
            return ast.BinOp(left, ast.Add() if total > 0 else ast.Sub(), ast.Constant(abs(total)))
    return ast.BinOp(expression, ast.Add() if step > 0 else ast.Sub(), ast.Constant(abs(step)))


def _integer(value: int) -> ast.expr:
    return ast.Constant(value) if value >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-value))


def _slices(node: ast.Slice) -> Iterator[tuple[_Edit, str]]:
    for field in ("lower", "upper"):
        bound = getattr(node, field)
        if bound is not None:
            for step in (1, -1):
                yield (node, field, _shifted(bound, step)), f"a slice moves its {field} bound by {step}"
            yield (node, field, None), f"a slice loses its {field} bound"
    if node.step is not None:
        yield (node, "step", None), "a slice loses its step"


def _children(node: ast.AST) -> Iterator[tuple[_Edit, str]]:
    """Edits that put another expression in the place of a child."""
    if isinstance(node, ast.Slice):
        return
    for field, content in ast.iter_fields(node):
        if field in _ASIDE:
            continue
        if isinstance(content, ast.expr) and not (isinstance(node, ast.Expr) and isinstance(content, ast.Constant)):
            for other, change in _replacements(content, node):
                yield (node, field, other), change
        elif isinstance(content, list):
            for place, item in enumerate(content):
                for other, change in _replacements(item, node):
                    yield (node, field, [*content[:place], other, *content[place + 1 :]]), change


def _replacements(content: ast.AST, parent: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    match content:
        case ast.Constant(value=value):
            yield from (
                (other, f"{value!r:.20} becomes {ast.unparse(other):.20}") for other in _constants(value, parent)
            )
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
            yield operand, f"{'-' if isinstance(content.op, ast.USub) else 'not'} is dropped"
        case ast.Subscript(value=held, slice=index, ctx=ast.Load()) if not isinstance(index, ast.Slice | ast.Tuple):
            if not isinstance(index, ast.Constant | ast.UnaryOp) and _counts(index):
                yield ast.Subscript(held, _shifted(index, -1), ast.Load()), "an index moves by -1"
                yield ast.Subscript(held, _shifted(index, 1), ast.Load()), "an index moves by 1"
        case ast.Call(func=ast.Name(id=name), args=[only]) if name in _TRANSPARENT:
            yield only, f"{name} is dropped"
        case ast.Call(func=ast.Attribute(value=held, attr=name), args=[]) if name in _TRANSPARENT:
            yield held, f".{name}() is dropped"
        case ast.BinOp(left=left, right=right, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Mod() | ast.FloorDiv()):
            yield left, f"the right side of {_SIGN[type(content.op)]} is dropped"
            if isinstance(content.op, ast.Add):
                yield right, "the left side of + is dropped"


def _counts(index: ast.expr) -> bool:
    """Whether an index is likely to be a number: a short name or arithmetic."""
    if isinstance(index, ast.Name):
        return len(index.id) == 1 or index.id.endswith(("index", "idx", "pos", "low", "high", "mid", "left", "right"))
    return isinstance(index, ast.BinOp)


def _constants(value: object, parent: ast.AST) -> Iterator[ast.expr]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield _integer(value + 1)
        if not (isinstance(parent, ast.UnaryOp) and value == 1):
            yield _integer(value - 1)
    elif isinstance(value, float):
        yield ast.Constant(value + 1.0)
        if value:
            yield ast.UnaryOp(ast.USub(), ast.Constant(value))
    elif isinstance(value, str):
        yield ast.Constant("" if value else "x")


def _statements(node: ast.AST) -> Iterator[tuple[_Edit, str]]:
    """Edits of whole statements: changed returns, dropped and swapped branches."""
    if isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        yield (node, "value", ast.Constant(None)), "a return gives None"
    if isinstance(node, ast.If) and node.orelse and not isinstance(node.orelse[0], ast.If):
        yield (node, "orelse", []), "an else branch is dropped"
        yield (node, "body", node.orelse), "a branch becomes its else branch"


_DROPPABLE = (ast.Assign, ast.AugAssign, ast.Expr, ast.Continue, ast.Break, ast.Raise, ast.Return, ast.Delete)


def _dropped(node: ast.AST, field: str, content: list[ast.stmt]) -> Iterator[tuple[_Edit, str]]:
    for place, statement in enumerate(content):
        doc = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if doc or not isinstance(statement, _DROPPABLE):
            continue
        if isinstance(statement, ast.Assign) and not _assigned_before(node, statement):
            continue  # only a NameError: no test is needed to notice it
        rest = content[:place] + content[place + 1 :]
        yield (node, field, rest or [ast.Pass()]), f"line {statement.lineno}: a statement is dropped"


def _assigned_before(node: ast.AST, statement: ast.Assign) -> bool:
    """Whether what is assigned has another source: an item, an attribute, or a name inside a block."""
    body = isinstance(node, ast.FunctionDef | ast.Module)
    return not body or not all(isinstance(part, ast.Name) for part in statement.targets)
