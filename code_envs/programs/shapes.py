"""What values look like, inferred from samples or annotations, and how to draw more like them.

A shape draws values like those it was made from (``draw``) and names those at its borders
(``edges``). It never mixes in a type that was not shown.
"""

from __future__ import annotations

import ast
import math
import string
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from code_envs.errors import ProblemError
from code_envs.programs.source import parse_program
from code_envs.values import encode

__all__ = ["Shape", "integer", "shape_of", "shape_of_annotation", "union"]

_LONGEST = 40  # longest drawn container or text, unless a sample was longer
_HUGEST = 200  # longest at the edges
_MAX_SEEN = 64


class Shape(ABC):
    """A set of similar values."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> object:
        """Draw a typical value."""

    @abstractmethod
    def edges(self, rng: np.random.Generator) -> list[object]:
        """Values at the borders: empty, zero, one, negative, repeated, large."""


def integer(rng: np.random.Generator, low: int, high: int) -> int:
    """Draw an integer from ``low`` to ``high``, both included, of any size."""
    span = high - low + 1
    if span < 1 << 62:
        return low + int(rng.integers(span))
    return low + int.from_bytes(rng.bytes(span.bit_length() // 8 + 8), "big") % span


def _pick(rng: np.random.Generator, items: Sequence[object]) -> object:
    return items[int(rng.integers(len(items)))]


@dataclass(frozen=True)
class _Constants(Shape):
    values: tuple[object, ...]

    def draw(self, rng: np.random.Generator) -> object:
        return _pick(rng, self.values)

    def edges(self, rng: np.random.Generator) -> list[object]:  # noqa: ARG002
        return list(self.values)


@dataclass(frozen=True)
class _Ints(Shape):
    seen: tuple[int, ...]

    def draw(self, rng: np.random.Generator) -> int:
        low, high = min(self.seen), max(self.seen)
        roll = rng.random()
        if roll < 0.2:
            return self.seen[int(rng.integers(len(self.seen)))]
        if low >= 0 and high > 1000 and roll < 0.6:  # all magnitudes, not only the largest
            return max(low, integer(rng, 0, 10 ** int(rng.integers(1, len(str(high)) + 1))))
        slack = max((high - low) // 4, 2) if high.bit_length() < 2000 else 0
        start = low - slack
        return integer(rng, max(start, min(low, 1)) if low >= 0 else start, high + slack)

    def edges(self, rng: np.random.Generator) -> list[object]:
        low, high = min(self.seen), max(self.seen)
        far = [10 * high, -high] if high.bit_length() < 2000 else []
        return [0, 1, -1, 2, low - 1, high + 1, *far, integer(rng, 100, 1000)]


@dataclass(frozen=True)
class _Floats(Shape):
    seen: tuple[float, ...]

    def draw(self, rng: np.random.Generator) -> float:
        finite = [value for value in self.seen if math.isfinite(value)]
        if not finite or rng.random() < 0.2:
            return self.seen[int(rng.integers(len(self.seen)))]
        low, high = min(finite), max(finite)
        digits = max(_decimals(value) for value in finite)
        slack = max((high - low) / 4, 1.0)
        start = max(low - slack, 0.0) if low >= 0 else low - slack
        value = start + (high + slack - start) * rng.random()
        return round(float(value), digits) if math.isfinite(value) else high

    def edges(self, rng: np.random.Generator) -> list[object]:
        finite = [value for value in self.seen if math.isfinite(value)] or [1.0]
        return [0.0, 1.0, -1.0, 0.5, -max(finite), min(finite), 1e-6, round(float(rng.uniform(100, 1000)), 3)]


def _decimals(value: float) -> int:
    written = repr(value)
    return min(len(written.partition(".")[2]), 12) if "e" not in written else 12


@dataclass(frozen=True)
class _Texts(Shape):
    """Texts: fresh characters from the alphabet, or a sample with its letters and digits replaced."""

    seen: tuple[str, ...]

    def draw(self, rng: np.random.Generator) -> object:
        sample = self.seen[int(rng.integers(len(self.seen)))]
        roll = rng.random()
        if roll < 0.1:
            return sample
        if roll < 0.7 and any(not char.isalnum() for char in sample):
            return self._refill(rng, sample)
        lengths = [len(text) for text in self.seen]
        low = min(lengths)
        size = low if _is_fixed(lengths) else integer(rng, max(low - 1, min(low, 1)), _roomy(max(lengths)))
        return "".join(str(_pick(rng, self._alphabet())) for _ in range(size))

    def _alphabet(self) -> list[str]:
        chars = sorted({char for text in self.seen for char in text})
        if not chars:
            return ["a", "b", "c"]
        # repeats are what programs on texts look at: few letters, mostly those seen
        for pool in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
            if any(char in pool for char in chars) and len(chars) < 12:
                chars += [char for char in pool[:4] if char not in chars]
        return chars

    def _refill(self, rng: np.random.Generator, sample: str) -> str:
        runs = ["".join(run) for _, run in groupby(sample, key=_class_of)]
        pieces = [self._refilled(rng, run) if run[0].isalnum() else run for run in runs]
        if len(pieces) >= 3:
            at = 2 * int(rng.integers(len(pieces) // 2))
            pair, roll = pieces[at : at + 2], rng.random()
            if roll < 0.25 and len(pieces) > 4:  # one segment with its separator less, or once more
                del pieces[at : at + 2]
            elif roll < 0.5 and len(sample) < _LONGEST * 4:
                pieces[at:at] = pair
        return "".join(pieces)

    def _refilled(self, rng: np.random.Generator, run: str) -> str:
        if rng.random() < 0.4:
            return run
        pool = _class_of(run[0])
        known = [char for char in self._alphabet() if char in pool] or [*run]
        size = max(1, len(run) + int(rng.integers(-1, 2)))
        return "".join(str(_pick(rng, known)) for _ in range(size))

    def edges(self, rng: np.random.Generator) -> list[object]:
        sample = self.seen[int(rng.integers(len(self.seen)))]
        char = str(_pick(rng, self._alphabet()))
        long = (sample * 4 + char)[:_HUGEST]
        return ["", char, char * 3, sample[::-1], sample.swapcase(), f" {sample} ", sample + sample, long]


def _class_of(char: str) -> str:
    pools = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
    return next((pool for pool in pools if char in pool), char)


def _is_fixed(lengths: Sequence[int]) -> bool:
    return len(lengths) >= 4 and len(set(lengths)) == 1 and lengths[0] > 0


def _roomy(length: int) -> int:
    return max(length, min(length + 1 + length // 2, _LONGEST))


@dataclass(frozen=True)
class _Blobs(Shape):
    texts: _Texts

    def draw(self, rng: np.random.Generator) -> object:
        return str(self.texts.draw(rng)).encode("latin-1", "replace")

    def edges(self, rng: np.random.Generator) -> list[object]:
        return [str(text).encode("latin-1", "replace") for text in self.texts.edges(rng)]


@dataclass(frozen=True)
class _Sequences(Shape):
    """Lists, tuples of any length, and sets; ``level`` marks rows of one length."""

    kind: type
    item: Shape | None
    shortest: int
    longest: int
    fixed: bool = False
    ascending: bool = False
    level: bool = False

    def draw(self, rng: np.random.Generator) -> object:
        return self.sized(rng, self.size(rng))

    def size(self, rng: np.random.Generator) -> int:
        return self.longest if self.fixed else integer(rng, self.shortest, _roomy(self.longest))

    def sized(self, rng: np.random.Generator, size: int) -> object:
        if self.item is None or size == 0:
            return self.kind()
        if self.level and isinstance(self.item, _Sequences):
            width = max(1, self.item.size(rng))
            return self.kind([self.item.sized(rng, width) for _ in range(size)])
        return self._made([self.item.draw(rng) for _ in range(size)])

    def _made(self, items: list[object]) -> object:
        return self.kind(_sorted(items) if self.ascending else items)

    def edges(self, rng: np.random.Generator) -> list[object]:
        if self.item is None:
            return [self.kind()]
        one = self.item.draw(rng)
        large = self.sized(rng, min(max(3 * self.longest, 8), max(_HUGEST, self.longest)))
        found = [self.kind(), self.sized(rng, 1), large]
        if not self.level:
            found += [self.kind([one] * max(2, self.longest)), self._made(self._bordering(rng))]
            base = [self.item.draw(rng) for _ in range(max(3, self.longest))]
            found += [self.kind(_sorted(base)), self.kind(_sorted(base)[:: 1 if self.ascending else -1])]
        return found

    def _bordering(self, rng: np.random.Generator) -> list[object]:
        assert self.item is not None
        edges = self.item.edges(rng)
        return [_pick(rng, edges) if rng.random() < 0.5 else self.item.draw(rng) for _ in range(max(3, self.longest))]


def _sorted(items: list[object]) -> list[object]:
    try:
        return sorted(items)  # type: ignore[type-var]
    except TypeError:  # of several types
        return items


@dataclass(frozen=True)
class _Records(Shape):
    """Tuples of one length, each place with its own shape."""

    places: tuple[Shape, ...]

    def draw(self, rng: np.random.Generator) -> object:
        return tuple(place.draw(rng) for place in self.places)

    def edges(self, rng: np.random.Generator) -> list[object]:
        return [tuple(_pick(rng, place.edges(rng)) for place in self.places) for _ in range(3)]


@dataclass(frozen=True)
class _Tables(Shape):
    """Dicts; ``fields`` where all have the same few text keys."""

    keys: Shape | None
    items: Shape | None
    shortest: int
    longest: int
    fields: tuple[tuple[str, Shape], ...] = ()

    def draw(self, rng: np.random.Generator) -> object:
        if self.fields and rng.random() < 0.8:
            order = rng.permutation(len(self.fields))
            return {self.fields[i][0]: self.fields[i][1].draw(rng) for i in order}
        return self._sized(rng, integer(rng, self.shortest, _roomy(self.longest)))

    def _sized(self, rng: np.random.Generator, size: int) -> dict[object, object]:
        if self.keys is None or self.items is None:
            return {}
        return {self.keys.draw(rng): self.items.draw(rng) for _ in range(size)}

    def edges(self, rng: np.random.Generator) -> list[object]:
        if self.keys is None or self.items is None:
            return [{}]
        one, borders = self.items.draw(rng), self.items.edges(rng)
        large = self._sized(rng, min(max(3 * self.longest, 6), _HUGEST))
        flat: dict[object, object] = dict.fromkeys(self._sized(rng, max(2, self.longest)), one)
        bordering = {key: _pick(rng, borders) for key in self._sized(rng, max(2, self.longest))}
        return [{}, self._sized(rng, 1), large, flat, bordering]


@dataclass(frozen=True)
class _Union(Shape):
    options: tuple[Shape, ...]
    weights: tuple[float, ...]

    def draw(self, rng: np.random.Generator) -> object:
        at = int(np.searchsorted(np.cumsum(self.weights), rng.random() * sum(self.weights), side="right"))
        return self.options[min(at, len(self.options) - 1)].draw(rng)

    def edges(self, rng: np.random.Generator) -> list[object]:
        return [edge for option in self.options for edge in option.edges(rng)]


def union(options: Sequence[Shape], weights: Sequence[float] = ()) -> Shape:
    """The values of several shapes, drawn by weight (equal by default)."""
    if len(options) == 1:
        return options[0]
    return _Union(tuple(options), tuple(weights) or (1.0,) * len(options))


# --- from samples -----------------------------------------------------------------------------


def shape_of(values: Sequence[object]) -> Shape:
    """Infer the shape that values share: kinds, elements, lengths, magnitudes, alphabet.

    Args:
        values: At least one literal value.
    """
    groups: dict[type, list[object]] = {}
    for value in values:
        groups.setdefault(type(value), []).append(value)
    return union([_shape_of_kind(kind, group) for kind, group in groups.items()], [*map(len, groups.values())])


def _shape_of_kind(kind: type, values: list[object]) -> Shape:
    if kind is bool:
        return _Constants((False, True))
    if kind is int:
        return _Ints(tuple(values[:_MAX_SEEN]) + _ends(values))  # type: ignore[arg-type]
    if kind is float:
        return _Floats(tuple(values[:_MAX_SEEN]))  # type: ignore[arg-type]
    if kind is str:
        return _Texts(tuple(values[:_MAX_SEEN]))  # type: ignore[arg-type]
    if kind is bytes:
        return _Blobs(_Texts(tuple(value.decode("latin-1") for value in values[:_MAX_SEEN])))  # type: ignore[attr-defined]
    if kind is dict:
        return _shape_of_tables(values)  # type: ignore[arg-type]
    if kind in (list, tuple, set, frozenset):
        return _shape_of_sequences(kind, values)  # type: ignore[arg-type]
    return _Constants((None,))


def _ends(values: list[object]) -> tuple[object, ...]:
    return (min(values), max(values))  # type: ignore[type-var]


def _shape_of_sequences(kind: type, values: list[Sequence[object]]) -> Shape:
    lengths = [len(value) for value in values]
    # sets in a fixed order: their own depends on the hash seed
    items = [item for value in values for item in (value if kind in (list, tuple) else _in_order(value))]
    if kind is tuple and len(set(lengths)) == 1 and 0 < lengths[0] <= 4:
        return _Records(tuple(shape_of([value[place] for value in values]) for place in range(lengths[0])))
    long = [value for value in values if len(value) >= 3]
    ascending = kind in (list, tuple) and len(long) >= 2 and all(_ascends(value) for value in long)
    rows = [value for value in values if len(value) >= 2]
    level = kind is list and bool(rows) and all(_is_level(value) for value in rows)
    item = shape_of(items) if items else None
    return _Sequences(kind, item, min(lengths), max(lengths), _is_fixed(lengths), ascending, level)


def _in_order(items: Sequence[object]) -> list[object]:
    return sorted(items, key=encode)


def _ascends(items: Sequence[object]) -> bool:
    try:
        return all(a <= b for a, b in pairwise(items)) and items[0] != items[-1]  # type: ignore[operator]
    except TypeError:
        return False


def _is_level(rows: Sequence[object]) -> bool:
    return all(isinstance(row, list) for row in rows) and len({len(row) for row in rows}) == 1  # type: ignore[arg-type]


def _shape_of_tables(values: list[dict[object, object]]) -> Shape:
    keys = [key for value in values for key in value]
    items = [item for value in values for item in value.values()]
    lengths = [len(value) for value in values]
    if not keys:
        return _Tables(None, None, 0, 0)
    fields: tuple[tuple[str, Shape], ...] = ()
    if len(values) >= 3 and len({frozenset(value) for value in values}) == 1 and 0 < len(values[0]) <= 8:
        fields = tuple((key, shape_of([value[key] for value in values])) for key in values[0] if isinstance(key, str))
        fields = fields if len(fields) == len(values[0]) else ()
    return _Tables(shape_of(keys), shape_of(items), min(lengths), max(lengths), fields)


# --- from annotations -------------------------------------------------------------------------

_SCALARS: dict[str, Shape] = {
    "int": _Ints((-5, 0, 1, 2, 3, 7, 12, 20)),
    "float": _Floats((-2.5, 0.0, 0.5, 1.0, 3.25, 10.0)),
    "bool": _Constants((False, True)),
    "str": _Texts(("", "a", "abc", "Hello world", "level", "x1-y22", "foo bar foo")),
    "bytes": _Blobs(_Texts(("", "a", "abc", "\x00\xff~"))),
    "None": _Constants((None,)),
}
_SEQUENCES: dict[str, type] = {
    **dict.fromkeys(("list", "sequence", "iterable", "collection", "mutablesequence", "iterator"), list),
    **dict.fromkeys(("set", "abstractset", "mutableset"), set),
    "frozenset": frozenset,
}
_TABLES = ("dict", "mapping", "mutablemapping")


def shape_of_annotation(annotation: ast.expr | None) -> Shape | None:
    """Read the shape that an annotation asks for; None where it is missing or not supported."""
    match annotation:
        case ast.Constant(value=None):
            return _SCALARS["None"]
        case ast.Constant(value=str(text)) if len(text) < 200:
            return _quoted(text)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _bare(name)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _all_of([left, right])
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            return _subscripted(name, [*inner.elts] if isinstance(inner, ast.Tuple) else [inner])
    return None


def _quoted(text: str) -> Shape | None:
    try:
        body = parse_program(text).body
    except ProblemError:
        return None
    return shape_of_annotation(body[0].value) if body and isinstance(body[0], ast.Expr) else None


def _bare(name: str) -> Shape | None:
    if name in _SCALARS:
        return _SCALARS[name]
    if name.lower() in _SEQUENCES:
        return _Sequences(_SEQUENCES[name.lower()], _SCALARS["int"], 0, 6)
    return None


def _all_of(parts: Sequence[ast.expr]) -> Shape | None:
    shapes = [shape for part in parts if (shape := shape_of_annotation(part))]
    return union(shapes) if len(shapes) == len(parts) else None


def _subscripted(name: str, inner: list[ast.expr]) -> Shape | None:
    low = name.lower()
    if low == "literal":
        values = [part.value for part in inner if isinstance(part, ast.Constant)]
        return _Constants(tuple(values)) if len(values) == len(inner) else None
    if low == "union":
        return _all_of(inner)
    if low == "tuple" and not (len(inner) == 2 and isinstance(inner[1], ast.Constant) and inner[1].value is ...):
        places = [shape for part in inner if (shape := shape_of_annotation(part))]
        return _Records(tuple(places)) if len(places) == len(inner) else None
    shapes = [shape_of_annotation(part) for part in inner[: 2 if low in _TABLES else 1]]
    kind = tuple if low == "tuple" else _SEQUENCES.get(low)
    if shapes[0] is None or shapes[-1] is None:
        return None
    if (low in _TABLES or kind in (set, frozenset)) and not _hashable(shapes[0]):
        return None
    if low == "optional":
        return union([shapes[0], _SCALARS["None"]], [3, 1])
    if low in _TABLES and len(shapes) == 2:
        return _Tables(shapes[0], shapes[1], 0, 5)
    return _Sequences(kind, shapes[0], 0, 6) if kind else None


def _hashable(shape: Shape) -> bool:
    match shape:
        case _Tables():
            return False
        case _Sequences(kind=kind, item=item):
            return kind in (tuple, frozenset) and (item is None or _hashable(item))
        case _Records(places=parts) | _Union(options=parts):
            return all(map(_hashable, parts))
    return True
