"""The last step of a search: constants that turn what was found into what is wanted.

Solved for instead of tried one by one: ``a * value + b``, the same for each item of a list, and a
constant text before and after.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["finish"]

_LARGEST = 1000  # a larger constant is not what anyone would have written


def finish(source: str, results: Sequence[object], goals: Sequence[object], variable: str) -> str | None:
    """Find constants that make the results of an expression the goals.

    Args:
        source: The expression, needing no parentheses.
        results: What it gives in each case.
        goals: What is wanted in each case.
        variable: A name that no parameter has.

    Returns:
        An expression around ``source``; None where there are no such constants.
    """
    if len(goals) < 3 or len(results) != len(goals):
        return None
    if _all(int, results) and _all(int, goals):
        line = _line([*zip(results, goals, strict=True)])  # type: ignore[list-item]
        return _written_line(source, *line) if line else None
    if _all(list, results) and _all(list, goals):
        return _finish_lists(source, results, goals, variable)  # type: ignore[arg-type]
    if _all(str, results) and _all(str, goals):
        return _finish_texts(source, results, goals)  # type: ignore[arg-type]
    return None


def _all(kind: type, values: Sequence[object]) -> bool:
    return all(type(value) is kind for value in values)


def _line(points: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The line through all points, with small integers; a shift or a factor alone needs fewer of them."""
    first = points[0]
    other = next((point for point in points if point[0] != first[0]), None)
    if other is None:
        return None
    factor, rest = divmod(other[1] - first[1], other[0] - first[0])
    shift = first[1] - factor * first[0]
    if rest or factor == 0 or (factor, shift) == (1, 0) or max(abs(factor), abs(shift)) > _LARGEST:
        return None
    needed = 2 if factor == 1 or shift == 0 else 3
    fits = all(factor * x + shift == y for x, y in points)
    return (factor, shift) if fits and len({x for x, _ in points}) >= needed else None


def _written_line(source: str, factor: int, shift: int) -> str:
    scaled = source if factor == 1 else f"-{source}" if factor == -1 else f"{source} * {factor}"
    return scaled if shift == 0 else f"{scaled} {'+' if shift > 0 else '-'} {abs(shift)}"


def _finish_lists(
    source: str, results: Sequence[list[object]], goals: Sequence[list[object]], variable: str
) -> str | None:
    if any(len(result) != len(goal) for result, goal in zip(results, goals, strict=True)):
        return None
    points = [pair for result, goal in zip(results, goals, strict=True) for pair in zip(result, goal, strict=True)]
    if len(points) < 3 or not all(type(x) is int and type(y) is int for x, y in points):
        return None
    line = _line(points)  # type: ignore[arg-type]
    return f"[{_written_line(variable, *line)} for {variable} in {source}]" if line else None


def _finish_texts(source: str, results: Sequence[str], goals: Sequence[str]) -> str | None:
    at = goals[0].find(results[0]) if results[0] else -1
    if at < 0 or len(set(results)) < 2:
        return None
    before, after = goals[0][:at], goals[0][at + len(results[0]) :]
    if not before + after or any(before + result + after != goal for result, goal in zip(results, goals, strict=True)):
        return None
    return " + ".join([*([repr(before)] if before else []), source, *([repr(after)] if after else [])])
