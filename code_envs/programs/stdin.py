"""Texts for programs that read standard input: other numbers and words in the layout of given texts.

A text that breaks the unwritten rules of its format tells nothing about a program. So what the
numbers of a text say about its layout stays (how many lines or words follow, how long a word is), and
what holds for all given lines of a kind holds for the new ones: ranges, order, no repetition.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

__all__ = ["random_stdins"]

_Words = list[str]
_Layout = list[_Words]
"""The words of each line of a text, but for empty lines at its end."""
_Draw = Callable[[np.random.Generator], str]
_Rule = Callable[[_Words], bool]

_SPACE = re.compile(r"(\s+)")
_INTEGER = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,15}\.(\d{1,15})", re.ASCII)
_DRAWS = 4  # texts that are drawn for each that is wanted
_TRIES = 10  # for one line
_LONGEST = 2_000  # characters of a text that is looked at
_NEIGHBOURS = 20  # in each direction


class _Line(NamedTuple):
    """How a line of a text is drawn anew.

    Attributes:
        words: Its own words.
        draws: For each word what draws another one.
        holds_count: Whether a word stays since it may count what follows.
        is_shuffled: Whether its words only change places: often a permutation, which stays one.
        rules: What must hold for the new words.
    """

    words: _Words
    draws: list[_Draw]
    holds_count: bool
    is_shuffled: bool
    rules: Sequence[_Rule]


def random_stdins(samples: Sequence[str], rng: np.random.Generator, count: int) -> list[str]:
    """Draw texts like the given ones.

    Args:
        samples: Texts of one format; long ones are left aside.
        rng: The only source of randomness.
        count: How many are wanted.

    Returns:
        At most ``count`` distinct texts, none of them given; fewer where the layout leaves little to draw.
    """
    short = [text for text in samples if len(text) <= _LONGEST]
    layouts = [[line.split() for line in text.rstrip().split("\n")] for text in short]
    seen = Counter(word for layout in layouts for words in layout for word in words)
    lines = [[_line(layouts, at, row, seen) for row in range(len(layout))] for at, layout in enumerate(layouts)]
    known, found = set(samples), dict[str, None]()
    for _ in range(_DRAWS * count if short else 0):
        if len(found) >= count:
            break
        at = int(rng.integers(len(short)))
        words = iter([word for line in lines[at] for word in _redrawn(line, rng)])
        text = "".join(next(words) if piece.strip() else piece for piece in _SPACE.split(short[at]))
        if text not in known:
            found[text] = None
    return list(found)


def _redrawn(line: _Line, rng: np.random.Generator) -> _Words:
    """New words for a line; its own where none are found that keep the rules."""
    for _ in range(_TRIES):
        if line.is_shuffled:
            new = [line.words[place] for place in rng.permutation(len(line.words))]
        else:
            new = [draw(rng) for draw in line.draws]
        if line.rules[:1] in ([_rises], [_falls]) and not line.holds_count:
            new.sort(key=int, reverse=line.rules[0] is _falls)
        if all(rule(new) for rule in line.rules):
            return new
    return line.words


def _line(layouts: Sequence[_Layout], at: int, row: int, seen: Counter[str]) -> _Line:
    words, counts = layouts[at][row], _counts(layouts[at], row)
    peers = _peers(layouts, at, row, alone=bool(counts))
    rules = [rule for rule in (_rises, _falls, _differs) if all(map(rule, peers))]
    is_list, bound = len({len(peer) for peer in peers}) > 1, _bound(layouts[at]) if row else None
    draws = []
    for place, word in enumerate(words):
        pool = words[:: 1 + len(words) // _NEIGHBOURS] if is_list else [peer[place] for peer in peers]
        if bound is not None:  # other texts have other bounds
            pool = [other for other in pool if not _INTEGER.fullmatch(other) or int(other) <= bound]
        draws.append(_same(word) if place in counts else _drawing(word, pool, seen, is_list))
    return _Line(words, draws, bool(counts), is_list and not counts and rules == [_differs], rules)


def _peers(layouts: Sequence[_Layout], at: int, row: int, *, alone: bool) -> list[_Words]:
    """The lines of the same kind: those in this place of like texts, and neighbours as wide as this one."""
    own = layouts[at]
    found = [layout[row] for layout in layouts if len(layout) == len(own)]
    for step in () if alone else (-1, 1):
        for other in range(row + step, row + step * _NEIGHBOURS, step):
            if not 0 <= other < len(own) or not len(own[other]) == len(own[row]) > 1 or _counts(own, other):
                break
            found.append(own[other])
    return found


def _counts(layout: _Layout, row: int) -> frozenset[int]:
    """The places of words that may say how what follows looks: how many words, lines, letters; a bound of all."""
    after = [words for words in layout[row + 1 :] if words]
    letters = len(after[0][0]) if after and len(after[0]) == 1 else 0
    found = set[int]()
    for place, word in enumerate(layout[row]):
        value = int(word) if _INTEGER.fullmatch(word) else -1
        if value in (len(layout[row]) - place - 1, len(after)):
            found.add(place)
        elif after and value > 0:
            block = {len(words) for words in after[:value]} if 1 < value < len(after) else ()
            header = row == 0 and (len(after) % value == 0 or value == _bound(layout))
            if value in (len(after[0]), letters) or len(block) == 1 or header:
                found.add(place)
    return frozenset(found)


def _bound(layout: _Layout) -> int | None:
    """The largest number of the first line, if no later one is above it: it may bound them, as nodes their labels."""
    first, later = _numbers(layout[:1]), _numbers(layout[1:])
    return max(first) if first and later and max(first) >= max(later) else None


# --- single words -----------------------------------------------------------------------------


def _drawing(word: str, pool: _Words, seen: Counter[str], is_list: bool) -> _Draw:
    """What draws a word like those of the pool."""
    letters = sorted(set("".join(pool)))
    binary = letters in (["0"], ["1"], ["0", "1"]) and max(map(len, pool)) > 1
    if all(map(_INTEGER.fullmatch, pool)) and not binary:
        low, high = min(map(int, pool)), max(map(int, pool))
        return _same(word) if low == high else lambda rng: str(int(rng.integers(low, high, endpoint=True)))
    decimal = _DECIMAL.fullmatch(word)
    if decimal and all(map(_DECIMAL.fullmatch, pool)):
        places, ends = len(decimal.group(1)), (min(map(float, pool)), max(map(float, pool)))
        return lambda rng: f"{rng.uniform(*ends):.{places}f}"
    if seen[word] > 1 and word.isalpha() and len(word) > 1:  # one of a few words, such as yes and no
        known = [other for other in pool if seen[other] > 1]
        return _same(word) if is_list else lambda rng: known[int(rng.integers(len(known)))]
    if _INTEGER.fullmatch(word) and not binary:  # among words
        return _same(word)
    return lambda rng: "".join(letters[int(place)] for place in rng.integers(len(letters), size=len(word)))


def _same(word: str) -> _Draw:
    return lambda _: word


# --- what may hold for all lines of a kind ----------------------------------------------------


def _numbers(lines: Sequence[_Words]) -> list[int]:
    return [int(word) for words in lines for word in words if _INTEGER.fullmatch(word)]


def _rises(words: _Words) -> bool:
    numbers = _numbers([words])
    return len(numbers) == len(words) and all(left <= right for left, right in pairwise(numbers))


def _falls(words: _Words) -> bool:
    numbers = _numbers([words])
    return len(numbers) == len(words) and all(left >= right for left, right in pairwise(numbers))


def _differs(words: _Words) -> bool:
    return len(set(words)) == len(words)
