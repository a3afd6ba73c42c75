"""Find the pure, self-contained functions of a module, by reading it: nothing is imported or run.

A function qualifies if its slice, which is the function together with the helper functions, constants and
imports that it needs, uses only what :mod:`code_envs.teacher.harvest_rules` knows to be pure. Its
logic stays untouched: the program is cut out of the source, without docstrings.
"""

from __future__ import annotations

import ast
import math
import re

import msgspec

from code_envs.teacher.base import LEVELS
from code_envs.teacher.harvest_module import Facts, FunctionNode, Module, Refused, children, parse_module
from code_envs.teacher.harvest_rules import BUILTINS, LITERAL_ATTRIBUTES
from code_envs.teacher.harvest_slice import Slice, check_untouched

__all__ = ["Candidate", "may_qualify", "scan_module"]

_LINES = (4, 60)  # of the function itself, without docstring, comments and blank lines
_PARAMETERS = (1, 4)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A function that qualifies statically.

    Attributes:
        name: The name of the function, which is the program's entry.
        program: The source of the function and of what it needs, self-contained.
        signature: As ``Problem.signature`` has it.
        doc: Its docstring, or the comment above it; may be empty.
        module: Where the module stands, such as ``python3.11/heapq.py``.
        lines: Its first and last line in that module, from 1.
        licence: The licence of the module.
        score: How much there is to follow: statements, branches, loops, helpers.
        level: The score on the teachers' scale, 0 easiest.
    """

    name: str
    program: str
    signature: str
    doc: str
    module: str
    lines: tuple[int, int]
    licence: str
    score: float
    level: int

    @property
    def origin(self) -> str:
        """Where it was found: module and lines."""
        return f"{self.module}:{self.lines[0]}-{self.lines[1]}"


_HEAD = re.compile(r"^def \w+\(\s*(?!self\b|cls\b|\*|\))[^*]*?\)[^\n]*:", re.MULTILINE)
_GIVES = re.compile(r"^\s+return\s+(?!None\b)\S", re.MULTILINE)
_NEVER = re.compile(r"\b(?:yield|await|global|print\(|open\(|os\.environ|os\.path)|^\s+(?:import|from) ", re.MULTILINE)


def may_qualify(text: str) -> bool:
    """A quick look at the text of a module: whether it is worth parsing for its functions.

    Functions that are refused for another reason than these patterns show still cost a parse.
    """
    heads = list(_HEAD.finditer(text))
    for head in heads:
        end = re.compile(r"^[^\s#)]", re.MULTILINE).search(text, head.end())
        body = text[head.end() : end.start() if end else len(text)]
        if body.count("\n") >= _LINES[0] - 1 and _GIVES.search(body) and not _NEVER.search(_without_docstring(body)):
            return True
    return False


def _without_docstring(body: str) -> str:
    return re.sub(r"\A\s*r?(\"\"\"|''').*?\1", "", body, flags=re.DOTALL)


def scan_module(text: str, origin: str, licence: str = "unknown") -> dict[str, Candidate | str]:
    """Examine every module-level function of a module.

    Args:
        text: The source.
        origin: Where the module stands.
        licence: Its licence.

    Returns:
        By name, in order: the candidate, or the reason why the function is refused. Empty if the
        text is not Python.
    """
    if not re.search(r"^(?:async )?def ", text, re.MULTILINE):
        return {}
    tree = parse_module(text)
    if tree is None:
        return {}
    module = Module(text, tree, origin, licence)
    found: dict[str, Candidate | str] = {}
    for node in tree.body:
        if isinstance(node, FunctionNode):
            try:
                found[node.name] = _candidate(module, node)
            except Refused as reason:
                found[node.name] = str(reason)
    return found


def _candidate(module: Module, node: ast.stmt) -> Candidate:
    """Check a function and cut out its program.

    Raises:
        Refused: It does not qualify; the message says why.
    """
    assert isinstance(node, FunctionNode)
    function = _check_shape(node)
    length = module.code_lines(function)
    if not _LINES[0] <= length <= _LINES[1]:
        raise Refused(f"has {length} lines of code, not {_LINES[0]} to {_LINES[1]}")
    _check_parameters(function, module.facts(function))
    cut = Slice(module)
    cut.add(function.name)
    program = cut.program()
    check_untouched(program, cut.functions)
    score = round(math.fsum(_score(piece) * (1.0 if piece is function else 0.5) for piece in cut.functions), 1)
    return Candidate(
        name=function.name,
        program=program,
        signature=_signature(function),
        doc=ast.get_docstring(function) or module.comment_above(function),
        module=module.origin,
        licence=module.licence,
        lines=(function.lineno, function.end_lineno or function.lineno),
        score=score,
        level=_level(score),
    )


def _check_shape(node: FunctionNode) -> ast.FunctionDef:
    if isinstance(node, ast.AsyncFunctionDef):
        raise Refused("is asynchronous")
    spec = node.args
    names = [argument.arg for argument in (*spec.posonlyargs, *spec.args)]
    if spec.vararg or spec.kwarg or spec.kwonlyargs:
        raise Refused("has starred or keyword-only parameters")
    if names[:1] in (["self"], ["cls"]):
        raise Refused("is a method")
    if not _PARAMETERS[0] <= len(names) <= _PARAMETERS[1]:
        raise Refused(f"has {len(names)} parameters, not {_PARAMETERS[0]} to {_PARAMETERS[1]}")
    if node.name.startswith("test") or node.name == "main":
        raise Refused("is a test or a main program")
    returns, yields = _own_returns(node)
    if yields:
        raise Refused("is a generator")
    if not returns:
        raise Refused("returns no value")
    return node


def _own_returns(node: ast.FunctionDef) -> tuple[bool, bool]:
    """Whether the function itself, not one nested in it, returns a value, and whether it yields."""
    returns = yields = False
    stack: list[ast.AST] = list(node.body)
    while stack:
        inner = stack.pop()
        if isinstance(inner, ast.Return) and inner.value is not None:
            returns |= not (isinstance(inner.value, ast.Constant) and inner.value.value is None)
        yields |= isinstance(inner, ast.Yield | ast.YieldFrom)
        if not isinstance(inner, FunctionNode | ast.Lambda | ast.ClassDef):
            stack += children(inner)
    return returns, yields


def _signature(node: ast.FunctionDef) -> str:
    """How the function is called, in words that stand on their own: no annotation or default of the module's."""
    spec = node.args
    names = {inner.id for hint in _hints(node) for inner in ast.walk(hint) if isinstance(inner, ast.Name)}
    annotated = names <= BUILTINS and not any(
        isinstance(inner, ast.Attribute) for hint in _hints(node) for inner in ast.walk(hint)
    )
    literal = all(isinstance(default, ast.Constant | ast.UnaryOp) for default in spec.defaults)
    shown = []
    defaults = [None] * (len(spec.posonlyargs) + len(spec.args) - len(spec.defaults)) + [*spec.defaults]
    for argument, default in zip((*spec.posonlyargs, *spec.args), defaults, strict=True):
        text = ast.unparse(argument) if annotated else argument.arg
        equals = " = " if annotated and argument.annotation else "="
        shown.append(text + (equals + ast.unparse(default) if literal and default else ""))
    returns = f" -> {ast.unparse(node.returns)}" if annotated and node.returns else ""
    return f"{node.name}({', '.join(shown)}){returns}"


def _hints(node: ast.FunctionDef) -> list[ast.expr]:
    hints = [argument.annotation for argument in (*node.args.posonlyargs, *node.args.args)]
    return [hint for hint in (*hints, node.returns) if hint]


def _check_parameters(node: ast.FunctionDef, facts: Facts) -> None:
    names = {argument.arg for argument in (*node.args.posonlyargs, *node.args.args)}
    rebound = {
        name
        for inner in facts.nodes
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
        for name in (inner.id,)
    }
    for attribute in facts.attributes:
        of = attribute.value
        if isinstance(of, ast.Name) and of.id in names - rebound and attribute.attr not in LITERAL_ATTRIBUTES:
            raise Refused(f"takes an object with the attribute {attribute.attr!r}")
    for inner in facts.nodes:
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id in names:
            raise Refused(f"takes a function as {inner.func.id!r}")


_LOOPS = (ast.For, ast.While, ast.comprehension)
_BRANCHES = (ast.If, ast.IfExp, ast.ExceptHandler, ast.BoolOp, ast.match_case)
_THRESHOLDS = (5.0, 7.0, 9.0, 12.0, 15.0, 19.0, 24.0, 32.0, 45.0)  # about a tenth of the standard library each


def _score(node: ast.FunctionDef) -> float:
    """How much there is to follow in a function: statements, branches, and loops, more where they nest."""
    score, stack = 0.0, [(child, 0) for child in children(node)]
    while stack:
        inner, depth = stack.pop()
        loop = isinstance(inner, _LOOPS)
        score += isinstance(inner, ast.stmt) + 1.0 * isinstance(inner, _BRANCHES) + (2.0 + 2.0 * depth) * loop
        stack += [(child, depth + loop) for child in children(inner)]
    return score


def _level(score: float) -> int:
    return min(sum(score >= threshold for threshold in _THRESHOLDS), LEVELS - 1)
