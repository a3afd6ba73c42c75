"""What can be learnt from program text without running it.

Programs are untrusted: their length and nesting are bounded before and after Python's parser sees
them, and nothing here compiles or executes anything.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator

from code_envs.errors import ProblemError, ValueRefused
from code_envs.syntax import parse
from code_envs.values import encode

__all__ = [
    "MAX_PROGRAM",
    "function_of",
    "holds_code",
    "literals_of",
    "normalise",
    "parse_program",
    "signature_of",
    "write_program",
]

MAX_PROGRAM = 1 << 16
"""The most characters of a program that are read."""
_MAX_BRACKETS = 90
_MAX_TREE = 120  # levels of syntax tree: Python's own visitors recurse several frames per level


def parse_program(program: str) -> ast.Module:
    """Parse untrusted source.

    Args:
        program: Python source, at most ``MAX_PROGRAM`` characters.

    Returns:
        A fresh syntax tree, shallow enough for recursive visitors.

    Raises:
        ProblemError: The text is too long, too deeply nested, or not Python.
    """
    if len(program) > MAX_PROGRAM:
        raise ProblemError(f"the program has {len(program)} characters; at most {MAX_PROGRAM} are read")
    if _bracket_depth(program) > _MAX_BRACKETS:
        raise ProblemError(f"the program nests brackets more than {_MAX_BRACKETS} deep")
    try:
        tree = parse(program)
    except SyntaxError as error:
        raise ProblemError(f"the program is not Python: {error.msg} (line {error.lineno})") from error
    except (ValueError, MemoryError, RecursionError) as error:
        raise ProblemError(f"the program cannot be parsed: {type(error).__name__}: {error}") from error
    if _tree_depth(tree) > _MAX_TREE:
        raise ProblemError(f"the program's syntax tree is more than {_MAX_TREE} levels deep")
    return tree


def write_program(tree: ast.AST) -> str:
    """Write a syntax tree as source, ending in one newline.

    Raises:
        ProblemError: It cannot be written, as some nested f-strings on some versions of Python.
    """
    try:
        return ast.unparse(tree) + "\n"
    except (ValueError, RecursionError) as error:
        raise ProblemError(f"the syntax tree cannot be written as source: {error}") from error


def _bracket_depth(program: str) -> int:
    # brackets inside strings count too: a bound may be too careful, never too generous
    depth = deepest = 0
    for mark in re.findall(r"[][(){}]", program):
        depth = depth + 1 if mark in "[({" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _tree_depth(tree: ast.AST) -> int:
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


def function_of(tree: ast.Module, entry: str) -> ast.FunctionDef:
    """Find the top-level function that a call of ``entry`` would reach.

    Raises:
        ProblemError: There is none, or it is no plain function.
    """
    for node in reversed(tree.body):
        if isinstance(node, ast.FunctionDef) and node.name == entry:
            return node
        if isinstance(node, ast.AsyncFunctionDef) and node.name == entry:
            raise ProblemError(f"{entry!r} is an async function; make it a plain one")
    raise ProblemError(f"the program defines no top-level function {entry!r}")


def signature_of(program: str, entry: str) -> str:
    """Read how a function is called, as ``Problem.signature`` has it.

    Args:
        program: Python source.
        entry: The name of a function that it defines at top level.

    Returns:
        One line such as ``f(xs: list[int], k: int = 2) -> int``.

    Raises:
        ProblemError: There is no such function, or it has starred or keyword-only parameters.
    """
    function = function_of(parse_program(program), entry)
    spec = function.args
    if spec.vararg or spec.kwarg or spec.kwonlyargs:
        raise ProblemError(f"{entry!r} has starred or keyword-only parameters; give it plain ones")
    parameters = [*spec.posonlyargs, *spec.args]
    defaults = [None] * (len(parameters) - len(spec.defaults)) + [*spec.defaults]
    shown = [_shown_parameter(*pair) for pair in zip(parameters, defaults, strict=True)]
    result = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    return f"{entry}({', '.join(shown)}){result}"


def _shown_parameter(parameter: ast.arg, default: ast.expr | None) -> str:
    if parameter.annotation is None:
        return parameter.arg if default is None else f"{parameter.arg}={ast.unparse(default)}"
    shown = f"{parameter.arg}: {ast.unparse(parameter.annotation)}"
    return shown if default is None else f"{shown} = {ast.unparse(default)}"


# --- literals ---------------------------------------------------------------------------------

_NONE = object()
_EMPTY = {"set": set, "list": list, "dict": dict, "tuple": tuple, "frozenset": frozenset, "str": str, "int": int}


def literals_of(program: str) -> list[object]:
    """List every literal value written in a program: numbers, negated ones, texts, containers.

    Docstrings are left out; values that are equal, types included, are listed once.

    Args:
        program: Python source.

    Returns:
        Fresh values in order of the syntax tree's levels, outermost first.

    Raises:
        ProblemError: The text cannot be parsed.
    """
    tree = parse_program(program)
    aside = {id(statement.value) for statement in _bare_strings(tree)}
    found: dict[bytes, object] = {}
    for node in ast.walk(tree):
        value = _NONE if id(node) in aside else _literal(node)
        if value is not _NONE:
            try:
                found.setdefault(encode(value), value)
            except ValueRefused:
                continue
    return list(found.values())


def _bare_strings(tree: ast.AST) -> Iterator[ast.Expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node


def _literal(node: ast.AST) -> object:
    match node:
        case ast.Constant(value=value):
            return _NONE if isinstance(value, complex) or value is ... else value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)) if type(value) in (int, float):
            return -value  # type: ignore[operator]
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return _container(type(node).__name__.lower(), [_literal(item) for item in items])
        case ast.Dict(keys=keys, values=values):
            pairs = [(_literal(key) if key else _NONE, _literal(item)) for key, item in zip(keys, values, strict=True)]
            held = [part for pair in pairs for part in pair]
            return _NONE if any(part is _NONE for part in held) else _made(dict, pairs)
        case ast.Call(func=ast.Name(id=name), args=[], keywords=[]) if name in _EMPTY:
            return _EMPTY[name]()
        case ast.Call(func=ast.Name(id="frozenset" | "set" as name), args=[inner], keywords=[]):
            content = _literal(inner)
            return _made(_EMPTY[name], content) if isinstance(content, (set, list, tuple)) else _NONE
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str(text))], keywords=[]):
            return float(text) if text.strip("+-").lower() in ("inf", "infinity", "nan") else _NONE
    return _NONE


def _container(kind: str, items: list[object]) -> object:
    if any(item is _NONE for item in items):
        return _NONE
    return _made({"list": list, "tuple": tuple, "set": set}[kind], items)


def _made(kind: type, content: object) -> object:
    try:
        return kind(content)
    except TypeError:  # an unhashable member: the program would fail there, too
        return _NONE


# --- messages ---------------------------------------------------------------------------------

_BUILTINS = "|".join(sorted(name for name in dir(builtins) if name.islower() and not name.startswith("_")))
_CODE = re.compile(
    rf"""
    ``` | ~~~ | ^\s*>>>\s                                     # a fenced block, an example of a session
  | \bdef\s+\w+\s?\( | \blambda\b[^.\n]{{0,80}}:
  | [\[({{][^][(){{}}\n]{{1,200}}\bfor\s\w+(?:,\s?\w+)?\sin\s[^\n]{{1,200}}[])}}]  # a comprehension
  | \b(?:{_BUILTINS})\((?!s\))[^)\n]{{0,200}}\)               # sorted(xs), but not range(s)
  | (?<=[\w\])'"])\.[a-z_]{{1,40}}\([^)\n]{{0,200}}\)          # xs.append(1)
  | \w\[[^]\n]{{0,80}}:[^]\n]{{0,80}}\]                        # a slice
    """,
    re.VERBOSE | re.MULTILINE,
)
_STATEMENTS = (ast.Return, ast.Import, ast.ImportFrom, ast.For, ast.While, ast.If, ast.AugAssign, ast.Assert)


def holds_code(message: str) -> bool:
    """Whether a message in words holds code: blocks, statements, calls of built-ins, comprehensions, slices.

    Names of parameters, values (``k = 3``) and plain formulas (``k > 0``) are no code.
    """
    if len(message) > MAX_PROGRAM or _CODE.search(message):
        return True
    return any(_is_statement(line.strip(" \t`>")) for line in message.splitlines())


def _is_statement(line: str) -> bool:
    if "=" not in line and not line.startswith(("return ", "import ", "from ", "for ", "while ", "if ", "assert ")):
        return False
    try:
        body = parse_program(line + " pass" if line.endswith(":") else line).body
    except ProblemError:  # words
        return False
    return any(
        isinstance(node, _STATEMENTS) or (isinstance(node, ast.Assign) and _literal(node.value) is _NONE)
        for node in body
    )


# --- normal form ------------------------------------------------------------------------------


def normalise(program: str) -> str:
    """Write a program so that duplicates become equal texts.

    The names that it binds are numbered, comments, docstrings, annotations and layout are dropped.

    Args:
        program: Python source.

    Returns:
        Source for comparison only.

    Raises:
        ProblemError: The text cannot be parsed.
    """
    tree = parse_program(program)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        name = _bound_name(node)
        if name:
            names.setdefault(name, f"v{len(names)}")
    return write_program(ast.fix_missing_locations(_Renamer(names).visit(tree)))


def _bound_name(node: ast.AST) -> str | None:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return node.name
        case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar():
            return node.name
        case ast.MatchMapping():
            return node.rest
        case ast.arg():
            return node.arg
        case ast.Name(ctx=ast.Store()):
            return node.id
    return None


class _Renamer(ast.NodeTransformer):
    """Renames what a program binds and drops what does not change what it does."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for field in ("name", "rest", "arg", "id"):
            if isinstance(getattr(node, field, None), str) and not isinstance(node, (ast.keyword, ast.alias)):
                setattr(node, field, self.names.get(getattr(node, field), getattr(node, field)))
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            node.names = [self.names.get(name, name) for name in node.names]
        for field in ("annotation", "returns", "type_comment"):
            if hasattr(node, field) and not isinstance(node, ast.AnnAssign):
                setattr(node, field, None)
        super().generic_visit(node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.body:
            node.body = [ast.Pass()]
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id in self.names:
            for keyword in node.keywords:
                if keyword.arg:
                    keyword.arg = self.names.get(keyword.arg, keyword.arg)
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        bare = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if bare else self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        return self.generic_visit(ast.Assign(targets=[node.target], value=node.value))
