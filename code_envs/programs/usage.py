"""What arguments a function seems to take, read from its annotations, checks and use of them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from code_envs.programs.shapes import Shape, shape_of, shape_of_annotation, union
from code_envs.programs.source import function_of, literals_of, parse_program
from code_envs.syntax import parse

__all__ = ["parameter_shapes"]

_KINDS = (str, list, dict, set)
_METHODS = {  # those that only one kind has
    name: kind.__name__
    for kind in _KINDS
    for name in dir(kind)
    if name[0] != "_" and sum(hasattr(other, name) for other in _KINDS) == 1
}
_ANNOTATIONS = {"list": "list[int]", "dict": "dict[str, int]", "set": "set[int]", "tuple": "tuple[int, ...]"}
_SEQUENCE_CALLS = ("len", "sorted", "sum", "reversed", "enumerate", "zip", "map", "filter", "max", "min", "any", "all")
_NUMBER_CALLS = ("range", "abs", "divmod", "chr", "bin", "hex")


def parameter_shapes(program: str, entry: str, precondition: str = "") -> list[Shape]:
    """Guess what the parameters of a function take.

    Annotations decide; without them defaults, ``isinstance`` checks (those of a precondition with
    the same parameter names included) and how each parameter is used.

    Args:
        program: Python source.
        entry: The name of a function that it defines.
        precondition: More source that checks the same parameters.

    Returns:
        One shape for each parameter.

    Raises:
        ProblemError: A text cannot be parsed, or there is no such function.
    """
    function = function_of(parse_program(program), entry)
    body: list[ast.AST] = [function, *parse_program(precondition).body]
    spec = function.args
    parameters = [*spec.posonlyargs, *spec.args]
    defaults = [None] * (len(parameters) - len(spec.defaults)) + [*spec.defaults]
    nodes = [node for part in body for node in ast.walk(part)]
    return [
        shape_of_annotation(parameter.annotation) or _default_shape(default) or _used_shape(parameter.arg, nodes)
        for parameter, default in zip(parameters, defaults, strict=True)
    ]


def _default_shape(default: ast.expr | None) -> Shape | None:
    if default is None:
        return None
    values = literals_of(f"default = {ast.unparse(default)}")  # a bare text would be a docstring
    return shape_of(values[:1]) if values and values[0] is not None else None


def _used_shape(name: str, nodes: Sequence[ast.AST]) -> Shape:
    written = _annotations(name, nodes) or ["int", "str", "list[int]"]
    shapes = [shape_of_annotation(parse(text, mode="eval").body) for text in written]
    return union([shape for shape in shapes if shape])


def _annotations(name: str, nodes: Sequence[ast.AST], depth: int = 2) -> list[str]:
    """Annotations that fit how a name is used, best first; empty if nothing is known."""
    checked = _checked(name, nodes)
    kinds = checked or _kinds(name, nodes)
    inner = (
        [text for part in _element_names(name, nodes) for text in _annotations(part, nodes, depth - 1)] if depth else []
    )
    found: list[str] = []
    for kind in kinds:
        if kind == "sequence":
            found += [f"list[{text}]" for text in dict.fromkeys(inner)] or ["list[int]"]
            found += [] if "int" in inner else ["str"]
        elif kind in ("list", "set", "frozenset") and inner:
            found += [f"{kind}[{text}]" for text in dict.fromkeys(inner)]
        else:
            found.append(_ANNOTATIONS.get(kind, kind))
    return list(dict.fromkeys(found))


def _checked(name: str, nodes: Sequence[ast.AST]) -> list[str]:
    """The types that ``isinstance(name, T)`` and ``type(name) is T`` ask for."""
    found: list[str] = []
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=held), kinds]) if held == name:
                found += _type_names(kinds)
            case ast.Compare(left=ast.Call(func=ast.Name(id="type"), args=[ast.Name(id=held)]), comparators=[kind]):
                found += _type_names(kind) if held == name else []
    # "not isinstance(x, bool)" goes with a check for int
    return [kind for kind in dict.fromkeys(found) if kind != "bool" or len(set(found)) == 1]


def _type_names(kinds: ast.expr) -> Iterable[str]:
    parts = kinds.elts if isinstance(kinds, ast.Tuple | ast.List | ast.Set) else [kinds]
    known = ("int", "float", "str", "bytes", "bool", "list", "tuple", "dict", "set", "frozenset")
    return [part.id for part in parts if isinstance(part, ast.Name) and part.id in known]


def _element_names(name: str, nodes: Sequence[ast.AST]) -> list[str]:
    """The names that run over the elements of a name."""
    found: list[str] = []
    for node in nodes:
        if isinstance(node, ast.For | ast.comprehension):
            target = node.target
            match node.iter:
                case ast.Name(id=held) if held == name and isinstance(target, ast.Name):
                    found.append(target.id)
                case ast.Call(func=ast.Name(id="enumerate"), args=[ast.Name(id=held), *_]) if held == name:
                    found += [part.id for part in getattr(target, "elts", [])[1:] if isinstance(part, ast.Name)]
    return [part for part in dict.fromkeys(found) if part != name]


def _kinds(name: str, nodes: Sequence[ast.AST]) -> list[str]:
    found: dict[str, None] = {}
    for node in nodes:
        kind = _kind_shown(name, node)
        if kind:
            found[kind] = None
    exact = [kind for kind in found if kind != "sequence"]
    return exact or [*found]


def _kind_shown(name: str, node: ast.AST) -> str | None:
    match node:
        case ast.Attribute(value=ast.Name(id=held), attr=attr) if held == name:
            return _METHODS.get(attr)
        case ast.Call(func=ast.Name(id=called), args=args) if any(_is(part, name) for part in args):
            return "int" if called in _NUMBER_CALLS else "sequence" if called in _SEQUENCE_CALLS else None
        case ast.For(iter=source) | ast.comprehension(iter=source) if _is(source, name):
            return "sequence"
        case ast.Subscript(value=held_node) if _is(held_node, name):
            return "sequence"
        case ast.BinOp(left=left, right=right) if _is(left, name) or _is(right, name):
            return _kind_with(right if _is(left, name) else left, node.op)
        case ast.Compare(left=left, comparators=[right]) if _is(left, name) or _is(right, name):
            if isinstance(node.ops[0], ast.In | ast.NotIn):
                return "sequence" if _is(right, name) else None
            return _kind_with(right if _is(left, name) else left, None)
    return None


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _kind_with(other: ast.expr, op: ast.operator | None) -> str | None:
    """The kind of what is computed or compared with another expression."""
    if isinstance(other, ast.Constant) and type(other.value) in (int, float, str):
        repeated = isinstance(op, ast.Mult) and isinstance(other.value, str)
        return "int" if repeated else type(other.value).__name__
    return "int" if isinstance(op, ast.Sub | ast.FloorDiv | ast.Pow | ast.Div | ast.LShift | ast.RShift) else None
