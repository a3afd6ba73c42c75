"""What a grown problem is given: the name of its parameter, what it stands for, sensible inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from code_envs.teacher.blocks import pick

__all__ = ["THEMES", "Theme", "probes"]

ItemT = TypeVar("ItemT")
Draw = Callable[[np.random.Generator, int], object]


class Theme(NamedTuple):
    """One kind of input.

    Attributes:
        name: What the message calls it; blocks ask for it by this name.
        parameter: The name of the parameter.
        kind: The kind of its values; see ``KINDS``.
        words: What it stands for, in words.
        accepts: Tests that it is such an input, in order and with semicolons between them; ``{it}`` is
            the parameter, ``{most}`` a length.
        draw: Draws an input of a size from 0 to 9.
    """

    name: str
    parameter: str
    kind: str
    words: str
    accepts: str
    draw: Draw

    def most(self, size: int) -> int:
        """The greatest length that a precondition lets through."""
        return 3 * _most(size) if self.kind == "text" else _most(size) + 4


def _least(size: int) -> int:
    return 3 + size // 2


def _most(size: int) -> int:
    return 5 + 3 * size // 2


def _length(rng: np.random.Generator, size: int) -> int:
    return int(rng.integers(_least(size), _most(size) + 1))


def _ints(low: int, high: int) -> Draw:
    def draw(rng: np.random.Generator, size: int) -> object:
        return [int(value) for value in rng.integers(low, high + 1, _length(rng, size))]

    return draw


def _runs(rng: np.random.Generator, size: int) -> object:
    values: list[int] = []
    while len(values) < _length(rng, size):
        values += [int(rng.integers(0, 8))] * int(rng.integers(1, 4))
    return values


def _multiples(rng: np.random.Generator, size: int) -> object:
    factor = int(rng.integers(2, 10))
    return [factor * int(value) for value in rng.integers(1, 20, _length(rng, size))]


def _number(low_digits: int) -> Draw:
    def draw(rng: np.random.Generator, size: int) -> object:
        digits = low_digits + int(rng.integers(0, 2 + size // 3))
        return int(rng.integers(10 ** (digits - 1), 10**digits))

    return draw


_WORDS = tuple(
    """
    amber birch cedar Delta echo fern Grove harbor iris jade kelp Lotus maple north ocean pearl quill River stone
    tulip umber Vale willow yarrow zinc ash Bay cove dune elm fig oak on at of to level noon deed Anna moon tree balloon
    """.split()  # noqa: SIM905  # legible
)


def _some_words(rng: np.random.Generator, size: int) -> list[str]:
    pool = [pick(rng, _WORDS) for _ in range(5 + size)]
    return [pick(rng, pool) for _ in range(_length(rng, size))]


def _sentence(rng: np.random.Generator, size: int) -> object:
    return " ".join(_some_words(rng, size // 2))


def _letters(rng: np.random.Generator, size: int) -> object:
    pool = "".join(pick(rng, "abcdefghijklmnoprstuvwxyzABEMST") for _ in range(4 + size // 2))
    letters = ""
    for _ in range(_length(rng, size)):
        letters += pick(rng, pool) * int(rng.integers(1, 4))
    return letters


def _formula(rng: np.random.Generator, size: int) -> object:
    open_brackets = ""
    text = ""
    for _ in range(2 * _length(rng, size)):
        roll = rng.random()
        if roll < 0.3:
            open_brackets += pick(rng, "(([")
            text += open_brackets[-1]
        elif roll < 0.6 and open_brackets:
            text += {"(": ")", "[": "]"}[open_brackets[-1]]
            open_brackets = open_brackets[:-1]
        else:
            text += pick(rng, ("x", "y", "+", "-", "*", str(int(rng.integers(2, 50)))))
    rest = "".join({"(": ")", "[": "]"}[bracket] for bracket in reversed(open_brackets))
    return text + rest if rng.random() < 0.8 else text


def _log_line(rng: np.random.Generator, size: int) -> object:
    parts = []
    for _ in range(_length(rng, size // 2)):
        number = int(rng.integers(-30, 200))
        parts.append(pick(rng, (pick(rng, _WORDS), f"{pick(rng, _WORDS)}={number}", str(number), f"t{abs(number)}ms")))
    return pick(rng, (" ", " ", "  ")).join(parts)


def _grid(rng: np.random.Generator, size: int) -> object:
    rows, columns = (int(rng.integers(2, 4 + size // 3)) for _ in range(2))
    return [[int(value) for value in rng.integers(0, 25, columns)] for _ in range(rows)]


def _bookings(rng: np.random.Generator, size: int) -> object:
    starts = rng.integers(0, 30 + 3 * size, _length(rng, size))
    return [(int(start), int(start) + int(rng.integers(1, 9))) for start in starts]


def _orders(rng: np.random.Generator, size: int) -> object:
    return [(int(rng.integers(1, 9)), int(rng.integers(1, 12))) for _ in range(_length(rng, size))]


def _stock(rng: np.random.Generator, size: int) -> object:
    return {int(key): int(rng.integers(0, 12)) for key in rng.integers(1, 60, _length(rng, size))}


def _votes(rng: np.random.Generator, size: int) -> object:
    return {word: int(rng.integers(0, 9)) for word in _some_words(rng, size)}


def _sized(item: str) -> str:
    return f"type({{it}}) is list and len({{it}}) <= {{most}}; all({item} for item in {{it}})"


_TEXT = 'type({it}) is str and len({it}) <= {most}; all(" " <= item <= "~" for item in {it})'
_NAMES = _sized("type(item) is str and len(item) <= 20")
_PAIR = "type(item) is tuple and len(item) == 2 and all(type(part) is int and 0 <= part <= 200 for part in item)"
_ENTRIES = (
    "type({it}) is dict and len({it}) <= {most}; "
    "all(type(key) is KEY and type(value) is int and 0 <= value <= 500 for key, value in {it}.items())"
)


def _between(low: int, high: int) -> str:
    return _sized(f"type(item) is int and {low} <= item <= {high}")


THEMES: Mapping[str, Theme] = {
    theme.name: theme
    for theme in (
        Theme("readings", "readings", "ints", "sensor readings", _between(-100, 100), _ints(-20, 60)),
        Theme("scores", "scores", "ints", "scores of a game", _between(0, 100), _ints(0, 40)),
        Theme("steps", "moves", "ints", "moves up and down", _between(-50, 50), _ints(-9, 12)),
        Theme("runs", "codes", "ints", "codes of which many repeat", _between(0, 50), _runs),
        Theme("multiples", "amounts", "ints", "amounts of money", _between(0, 500), _multiples),
        Theme("serial", "serial", "int", "a serial number", "type({it}) is int and 0 <= {it} <= 10**9", _number(3)),
        Theme("order", "order", "int", "the number of an order", "type({it}) is int and 0 <= {it} < 10**8", _number(2)),
        Theme("sentence", "sentence", "text", "words with spaces between them", _TEXT, _sentence),
        Theme("letters_only", "label", "text", "letters, some of them several times in a row", _TEXT, _letters),
        Theme("formula", "formula", "text", "a formula with brackets", _TEXT, _formula),
        Theme("log_line", "log_line", "text", "a line of a log", _TEXT, _log_line),
        Theme("words", "words", "words", "short words", _NAMES, _some_words),
        Theme("guests", "guests", "words", "names of guests", _NAMES, _some_words),
        Theme(
            "heights", "heights", "grid", "heights on a map",
            "type({it}) is list and len({it}) <= {most}; "
            "all(type(item) is list and len(item) == len({it}[0]) <= {most} for item in {it}); "
            "all(type(cell) is int and 0 <= cell <= 200 for item in {it} for cell in item)",
            _grid,
        ),
        Theme("bookings", "bookings", "pairs", "start and end of bookings", _sized(_PAIR), _bookings),
        Theme("orders", "orders", "pairs", "article and quantity of orders", _sized(_PAIR), _orders),
        Theme("stock", "stock", "tally", "articles and how many are in stock", _ENTRIES.replace("KEY", "int"), _stock),
        Theme("votes", "votes", "counts", "names and their votes", _ENTRIES.replace("KEY", "str"), _votes),
    )
}  # fmt: skip
"""Every theme by name."""


def probes(value: object, rng: np.random.Generator) -> list[object]:
    """Turn one input into special ones of the same kind, on which a rare fault may show."""
    if isinstance(value, dict):
        first = next(iter(value.values()), 0)
        flat: dict[object, object] = dict.fromkeys(value, first)
        own = {key: key if isinstance(key, int) else len(key) for key in value}
        return [*map(dict, _special_orders(list(value.items()), rng)), flat, own]
    if isinstance(value, list):
        return [*_special_orders(value, rng), *_special_numbers(value)]
    if isinstance(value, str):
        return [*map("".join, _special_orders(list(value), rng)), value.upper(), value + value]
    if isinstance(value, int):
        root, digits = math.isqrt(abs(value)), str(abs(value))
        mirror = int(digits[: len(digits) // 2 + 1] + digits[: len(digits) // 2][::-1])
        return [root * root, 1 << value.bit_length(), mirror, value - value % 100, value // 97 * 97]
    return []


def _special_orders(items: list[ItemT], rng: np.random.Generator) -> list[list[ItemT]]:
    if not items:
        return []
    some, half = pick(rng, items), len(items) // 2
    return [
        items + items[:1],
        items[:1] + items,
        sorted(items),  # type: ignore[type-var]  # the items of a theme are of one type
        items[:half] + items[:half][::-1],
        items[: half + 1] + items[:half][::-1],
        [some] * len(items),
        [*items, some, some, some],
        [some, *items, some],
        items[:1],
        items[::-1],
        [],
    ]


def _special_numbers(items: list[Any]) -> list[object]:
    if not items or not all(type(item) is int for item in items):
        return []
    return [
        [*items, 2 * items[0]],
        [*items, -sum(items)],
        [-abs(item) - 1 for item in items],
        [*items, *(-item for item in items)],
        list(range(items[0], items[0] + len(items))),
        [item * 10 for item in items],
    ]
