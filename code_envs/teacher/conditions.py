"""Tests of a value at some point of a grown program: ordinary ones, and ones that rarely hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["CONDITIONS", "SPOILS", "TRIGGERS", "Condition"]


class Condition(NamedTuple):
    """A test, and the same in words; ``{it}`` is the value and ``{n}`` a constant.

    Attributes:
        name: Its name in recipes.
        test: A Python expression.
        words: What holds when it is true.
        low: The least constant.
        high: The greatest constant.
    """

    name: str
    test: str
    words: str
    low: int = 0
    high: int = 0


_ODD = Condition("odd_length", "len({it}) % 2 == 1", "the number of items is odd at this point")
_LONG = Condition("longer", "len({it}) > {n}", "there are more than {n} items at this point", 3, 7)
_SHORT = Condition("shorter", "len({it}) < {n}", "there are fewer than {n} items at this point", 2, 5)
_FALLING = Condition(
    "falls", "{it}[:1] > {it}[-1:]", "the first item is greater than the last one at this point (not with no items)"
)

CONDITIONS: Mapping[str, tuple[Condition, ...]] = {
    "int": (
        Condition("even", "{it} % 2 == 0", "the number is even at this point"),
        Condition("above", "{it} > {n}", "the number is greater than {n} at this point", 3, 60),
        Condition("divisible", "{it} % {n} == 0", "the number is divisible by {n} at this point", 3, 5),
    ),
    "ints": (
        _ODD,
        _LONG,
        _FALLING,
        Condition("even_sum", "sum({it}) % 2 == 0", "the sum of the values is even at this point"),
        Condition("holds_above", "any(item > {n} for item in {it})", "some value is above {n} at this point", 10, 30),
        _SHORT,
    ),
    "text": (
        Condition("odd_length", "len({it}) % 2 == 1", "the number of characters is odd at this point"),
        Condition("longer", "len({it}) > {n}", "the text has more than {n} characters at this point", 6, 16),
        Condition("spaced", '" " in {it}', "the text holds a space at this point"),
        Condition("shorter", "len({it}) < {n}", "the text has fewer than {n} characters at this point", 2, 6),
    ),
    "words": (
        _ODD,
        _LONG,
        Condition(
            "falls", "{it}[:1] > {it}[-1:]", "the first item comes after the last one in Unicode order at this point"
        ),
        _SHORT,
    ),
    "grid": (
        Condition("tall", "len({it}) > {n}", "the grid has more than {n} rows at this point", 2, 4),
        Condition("odd_length", "len({it}) % 2 == 1", "the number of rows is odd at this point"),
        Condition("shorter", "len({it}) < {n}", "the grid has fewer than {n} rows at this point", 2, 3),
    ),
    "pairs": (_ODD, _LONG, _SHORT),
    "tally": (_ODD, _LONG, _SHORT),
    "counts": (_ODD, _LONG, _SHORT),
}
"""Conditions of each kind; the one named ``shorter`` is for early returns."""

_RING = Condition("ring", "len({it}) > {n} and {it}[0] == {it}[-1]", "the first item comes again at the end", 2, 5)
_SORTED = Condition("sorted", "len({it}) > {n} and {it} == sorted({it})", "the items are in order", 3, 5)
_MIRROR = Condition("mirror", "len({it}) > {n} and {it} == {it}[::-1]", "it reads the same backwards", 2, 4)
_TWINS = Condition("twins", "len({it}) > {n} and {it}[0] == {it}[1]", "it begins with the same item twice", 3, 6)
_CROWD = Condition("crowd", "any({it}.count(item) > {n} for item in {it})", "an item occurs very often", 3, 4)

TRIGGERS: Mapping[str, tuple[Condition, ...]] = {
    "int": (
        Condition("round", "{it} > 0 and {it} % 100 == 0", "it is a multiple of 100"),
        Condition("palindrome", "{it} > 99 and str({it}) == str({it})[::-1]", "its digits read the same backwards"),
        Condition("power", "{it} > {n} and {it} & ({it} - 1) == 0", "it is a power of two", 4, 16),
        Condition("seldom", "{it} > {n} and {it} % 97 == 0", "it is a multiple of 97", 50, 99),
        Condition("square", "{it} > {n} and int({it}**0.5) ** 2 == {it}", "it is a square", 20, 60),
    ),
    "ints": (
        _RING,
        _SORTED,
        _MIRROR,
        _TWINS,
        _CROWD,
        Condition("doubled", "len({it}) > {n} and {it}[-1] == 2 * {it}[0]", "the last is twice the first", 2, 4),
        Condition("levelled", "len({it}) > {n} and sum({it}) == 0", "the sum is zero", 1, 4),
        Condition("flat", "len({it}) > {n} and max({it}) == min({it})", "all values are equal", 1, 3),
    ),
    "text": (_MIRROR, _RING, Condition("flat", "len({it}) > {n} and len(set({it})) == 1", "one character only", 1, 3)),
    "words": (_RING, _SORTED, _MIRROR, _CROWD),
    "grid": (
        Condition("same_rows", "len({it}) > 1 and {it}[0] == {it}[-1]", "the first and last row are equal"),
        Condition("mirror", "len({it}) > {n} and {it} == {it}[::-1]", "it reads the same from below", 1, 2),
        Condition("flat", "len({it}) > {n} and len(set(map(tuple, {it}))) == 1", "all rows are equal", 1, 2),
    ),
    "pairs": (_RING, _SORTED, _TWINS, _CROWD),
    "tally": (
        Condition("fixed", "any(key == value > {n} for key, value in {it}.items())", "a key is its own value", 0, 3),
        Condition("flat", "len({it}) > {n} and len(set({it}.values())) == 1", "all values are equal", 1, 3),
    ),
    "counts": (Condition("flat", "len({it}) > {n} and len(set({it}.values())) == 1", "all values are equal", 1, 3),),
}
"""Conditions of the input on which a faulty program goes wrong: seldom true, easily made true."""

_LISTS = ("{it}[:-1]", "{it}[::-1]", "{it} + {it}[:1]")

SPOILS: Mapping[str, tuple[str, ...]] = {
    "int": ("{it} + 1", "-{it} - 1", "2 * {it} + 1"),
    "ints": (*_LISTS, "[item + 1 for item in {it}]", "[-item for item in {it}]"),
    "text": _LISTS,
    "words": _LISTS,
    "grid": _LISTS[:2],
    "pairs": (*_LISTS, "[(b, a) for a, b in {it}]"),
    "tally": ("dict(list({it}.items())[1:])", "{{key: -value - 1 for key, value in {it}.items()}}"),
    "counts": ("dict(list({it}.items())[1:])", "{{key: -value - 1 for key, value in {it}.items()}}"),
}
"""What a faulty program makes of a value, by kind."""
