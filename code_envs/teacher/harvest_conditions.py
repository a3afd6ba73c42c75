"""Preconditions in code: what arguments must be, type by type, inferred from those that work."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from code_envs.problem import PRECONDITION
from code_envs.teacher.harvest_evidence import Arguments

__all__ = ["precondition_for"]

_DEPTH = 3
_NUMBERS = ((0, 255), (-100, 1000), (-10_000, 10_000), (-(10**6), 10**6), (-(10**12), 10**12))
_SIZES = (20, 100, 500)


def precondition_for(parameters: Sequence[str], samples: Sequence[Arguments]) -> str:
    """Write a precondition that holds for the samples and whatever looks like them.

    Types are checked exactly and sizes bounded generously; what the arguments mean is not looked at.

    Args:
        parameters: The names of the parameters.
        samples: Argument tuples that must be allowed, at least one.

    Returns:
        The source of ``pre_test_f``, ending in one newline.
    """
    checks = [_check(name, [sample[place] for sample in samples], _DEPTH) for place, name in enumerate(parameters)]
    lines = [f"def {PRECONDITION}({', '.join(parameters)}):"]
    lines += [f"    if not ({check}):\n        return False" for check in checks]
    return "\n".join([*lines, "    return True"]) + "\n"


def _check(name: str, values: Sequence[object], depth: int) -> str:
    kinds = sorted({type(value) for value in values}, key=lambda kind: kind.__name__)
    parts = [_check_kind(name, kind, [value for value in values if type(value) is kind], depth) for kind in kinds]
    return parts[0] if len(parts) == 1 else " or ".join(f"({part})" if " and " in part else part for part in parts)


def _check_kind(name: str, kind: type, values: Sequence[object], depth: int) -> str:
    if kind is type(None):
        return f"{name} is None"
    exact = f"type({name}) is {kind.__name__}"
    if kind is bool:
        return exact
    if kind in (int, float):
        low, high = _range(values)
        return f"{exact} and {low} <= {name} <= {high}"
    if kind in (str, bytes):
        return f"{exact} and len({name}) <= {_roomy(values)}"
    if kind is tuple and len({len(value) for value in values}) == 1 and len(values[0]) <= 4:  # type: ignore[arg-type]
        return _check_record(name, exact, values, depth)  # type: ignore[arg-type]
    return f"{exact} and len({name}) <= {_roomy(values)}" + _check_items(name, kind, values, depth)


def _check_record(name: str, exact: str, values: Sequence[tuple[object, ...]], depth: int) -> str:
    width = len(values[0])
    parts = [f"{exact} and len({name}) == {width}"]
    if depth:
        for place in range(width):
            part = _check(f"{name}[{place}]", [value[place] for value in values], depth - 1)
            parts.append(f"({part})" if " or " in part else part)
    return " and ".join(parts)


def _check_items(name: str, kind: type, values: Sequence[object], depth: int) -> str:
    items = [item for value in values for item in value]  # type: ignore[attr-defined]
    if not items or not depth:
        return ""
    item = ("item", "part", "piece", "bit")[_DEPTH - depth]
    check = f" and all({_check(item, items, depth - 1)} for {item} in {name})"
    if kind is dict:
        held = [content for value in values for content in value.values()]  # type: ignore[attr-defined]
        value = f"{item}_value"
        check += f" and all({_check(value, held, depth - 1)} for {value} in {name}.values())"
    return check


def _range(values: Iterable[object]) -> tuple[int, int]:
    finite = [value for value in values if math.isfinite(value)] or [0]  # type: ignore[arg-type]
    low, high = min(finite), max(finite)  # type: ignore[type-var]
    for bounds in _NUMBERS:
        if bounds[0] <= low and high <= bounds[1]:  # type: ignore[operator]
            return bounds
    far = 10 ** max(len(str(abs(int(low)))), len(str(abs(int(high)))))  # type: ignore[call-overload]
    return -far, far


def _roomy(values: Iterable[object]) -> int:
    longest = max(len(value) for value in values)  # type: ignore[arg-type]
    return next((size for size in _SIZES if longest <= size), 10 ** len(str(longest)))
