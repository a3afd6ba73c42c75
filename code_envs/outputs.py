"""Comparing what a program printed with what it should have printed, by the rules of contests."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from enum import StrEnum

from code_envs.errors import UnknownName

__all__ = ["OutputRule", "same_output"]


class OutputRule(StrEnum):
    """What counts as the same output. Each rule accepts whatever the one before it accepts."""

    EXACT = "exact"  # every character, but for how lines end (\r\n is \n)
    LINES = "lines"  # space at the end of lines, and empty lines at the end, do not matter
    TOKENS = "tokens"  # only the words between white space matter
    FLOATS = (
        "floats"  # and words that are decimal numbers may differ by the tolerance, if either has a point or exponent
    )


_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_MAX_NUMBER = 400  # characters of a decimal number


def same_output(
    expected: str, got: str, rule: OutputRule | str = OutputRule.LINES, *, rel: float = 1e-6, absolute: float = 1e-6
) -> bool:
    """Compare an output with the expected one.

    Args:
        expected: What should have been printed.
        got: What was printed.
        rule: What counts as the same; see :class:`OutputRule`.
        rel: For ``floats``: the tolerance in parts of the expected number.
        absolute: For ``floats``: the tolerance whatever the number.

    Returns:
        Whether they are the same by the rule.

    Raises:
        UnknownName: There is no such rule.
    """
    if rule not in tuple(OutputRule):
        raise UnknownName("output rule", str(rule), OutputRule)
    if rule == OutputRule.EXACT:
        return _unix(expected) == _unix(got)
    if rule == OutputRule.LINES:
        return _lines(expected) == _lines(got)
    wanted, found = expected.split(), got.split()
    if rule == OutputRule.TOKENS or wanted == found:
        return wanted == found
    return len(wanted) == len(found) and _all_close(zip(wanted, found, strict=True), rel, absolute)


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in _unix(text).rstrip().split("\n")]


def _all_close(pairs: Iterable[tuple[str, str]], rel: float, absolute: float) -> bool:
    return all(wanted == found or _close(wanted, found, rel, absolute) for wanted, found in pairs)


def _close(wanted: str, found: str, rel: float, absolute: float) -> bool:
    """Compare two different words; whole numbers must be the same digit by digit."""
    if not any(mark in word for word in (wanted, found) for mark in ".eE"):
        return False
    numbers = [
        float(word) for word in (wanted, found) if len(word) <= _MAX_NUMBER and _NUMBER.fullmatch(word) is not None
    ]
    if len(numbers) < 2 or not all(map(math.isfinite, numbers)):
        return False
    return math.fabs(numbers[0] - numbers[1]) <= max(absolute, rel * math.fabs(numbers[0]))
