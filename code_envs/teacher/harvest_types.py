"""Annotations for functions that have none, from the values that they take and give."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from code_envs.syntax import parse
from code_envs.teacher.harvest_pool import Pool
from code_envs.teacher.harvest_scan import Candidate

__all__ = ["annotation_of", "signature_for"]

_DEPTH = 3
_WIDEST = 3  # types of one value, before it is called an object


def signature_for(candidate: Candidate, pool: Pool) -> str:
    """Write the signature of a function with the types that were seen; its own annotations stay.

    Args:
        candidate: The function.
        pool: What is known about it.

    Returns:
        A signature as ``Problem.signature`` has it.
    """
    tree = parse(f"def {candidate.signature}: pass")
    (function,) = tree.body
    assert isinstance(function, ast.FunctionDef)
    parameters = (*function.args.posonlyargs, *function.args.args)
    for place, parameter in enumerate(parameters):
        if parameter.annotation is None:
            seen = annotation_of([known.arguments[place] for known in pool.known])
            parameter.annotation = parse(seen, mode="eval").body
    if function.returns is None:
        function.returns = parse(annotation_of([known.result for known in pool.known]), mode="eval").body
    return ast.unparse(function).removeprefix("def ").partition(":\n")[0]


def annotation_of(values: Sequence[object], depth: int = _DEPTH) -> str:
    """Write the type that values share, such as ``list[int]`` or ``str | None``.

    Args:
        values: At least one literal value.
        depth: How far to look into containers.

    Returns:
        Source of an annotation; ``object`` where the values have little in common.
    """
    kinds = dict.fromkeys(type(value) for value in values)
    order = sorted(kinds, key=lambda kind: (kind is type(None), kind.__name__))
    if len(order) > _WIDEST:
        return "object"
    return " | ".join(_named(kind, [value for value in values if type(value) is kind], depth) for kind in order)


def _named(kind: type, values: Sequence[object], depth: int) -> str:
    if kind is type(None):
        return "None"
    if not issubclass(kind, list | tuple | dict | set | frozenset) or not depth:
        return kind.__name__
    if kind is dict:
        keys = _inner((key for value in values for key in value), depth)  # type: ignore[attr-defined]
        items = _inner((item for value in values for item in value.values()), depth)  # type: ignore[attr-defined]
        return f"dict[{keys}, {items}]"
    lengths = {len(value) for value in values}  # type: ignore[arg-type]
    if kind is tuple and len(lengths) == 1 and 0 < max(lengths) <= 4:
        places = zip(*values, strict=True)
        return f"tuple[{', '.join(annotation_of(place, depth - 1) for place in places)}]"
    item = _inner((item for value in values for item in value), depth)  # type: ignore[attr-defined]
    return f"tuple[{item}, ...]" if kind is tuple else f"{kind.__name__}[{item}]"


def _inner(values: Iterable[object], depth: int) -> str:
    held = list(values)
    return annotation_of(held, depth - 1) if held else "object"
