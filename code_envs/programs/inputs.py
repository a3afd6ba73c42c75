"""Arguments for programs: random ones like given samples, ones at the borders, small changes.

All are literal values of bounded size, and depend on nothing but what is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, permutations

import numpy as np

from code_envs.errors import ProblemError, ValueRefused
from code_envs.programs.shapes import Shape, integer, shape_of, shape_of_annotation, union
from code_envs.programs.source import function_of, parse_program
from code_envs.values import encode

__all__ = ["arguments_for", "boundary_arguments", "random_arguments", "vary_arguments"]

Arguments = tuple[object, ...]
_TRIES = 8  # draws per wanted tuple, before fewer are returned
_ROOM = 4096  # bytes that a drawn tuple may be larger than the samples


def random_arguments(
    samples: Sequence[Arguments], rng: np.random.Generator, count: int, *, signature: str = ""
) -> list[Arguments]:
    """Draw argument tuples that look like the samples: types, elements, lengths, magnitudes, characters.

    Relations that all samples keep are kept, too: an index within a list, two sequences of one
    length, a value that occurs in a list, one number below another.

    Args:
        samples: At least one argument tuple, all of one length.
        rng: The only source of randomness.
        count: How many are wanted.
        signature: If given, its annotations widen what the samples show, such as ``int | None``.

    Returns:
        At most ``count`` distinct tuples; fewer where there are no more.

    Raises:
        ProblemError: There is no sample, or they differ in length.
    """
    shapes = _shapes(samples, signature)
    relations = _relations(samples)

    def draw() -> Arguments:
        values = [shape.draw(rng) for shape in shapes]
        for relation in relations:
            relation(values, rng)
        return tuple(values)

    return _distinct((draw() for _ in range(_TRIES * count)), count, _largest(samples))


def boundary_arguments(
    samples: Sequence[Arguments], rng: np.random.Generator, count: int, *, signature: str = ""
) -> list[Arguments]:
    """Draw argument tuples at the borders: empties, zero, one, negatives, duplicates, larger sizes, extremes.

    Relations between arguments are not kept: a program may refuse some of these.

    Args:
        samples: At least one argument tuple, all of one length.
        rng: The only source of randomness.
        count: How many are wanted.
        signature: See :func:`random_arguments`.

    Returns:
        At most ``count`` distinct tuples in random order.

    Raises:
        ProblemError: There is no sample, or they differ in length.
    """
    shapes = _shapes(samples, signature)

    def one_round() -> list[Arguments]:
        edges = [shape.edges(rng) for shape in shapes]
        found = []
        for place, options in enumerate(edges):
            for edge in options:  # one argument at its border, the others typical
                values = [shape.draw(rng) for shape in shapes]
                values[place] = edge
                found.append(tuple(values))
        found += [tuple(options[int(rng.integers(len(options)))] for options in edges) for _ in range(4)]
        return [found[i] for i in rng.permutation(len(found))]

    rounds = max(2, 1 + count // 8) if shapes else 1
    return _distinct((values for _ in range(rounds) for values in one_round()), count, _largest(samples))


def arguments_for(signature: str, rng: np.random.Generator, count: int) -> list[Arguments]:
    """Draw argument tuples from annotations alone.

    Args:
        signature: Such as ``f(xs: list[int], k: int = 2) -> int``.
        rng: The only source of randomness.
        count: How many are wanted.

    Returns:
        At most ``count`` distinct tuples; none where a parameter is not annotated, or not in a
        way that is understood.

    Raises:
        ProblemError: It is not a signature.
    """
    shapes = _annotated(signature)
    if not all(shapes):
        return []
    draws = (tuple(shape.draw(rng) for shape in shapes if shape) for _ in range(_TRIES * count))
    return _distinct(draws, count, 0)


def _annotated(signature: str) -> list[Shape | None]:
    tree = parse_program(f"def {signature}: pass")
    spec = function_of(tree, signature.partition("(")[0].strip()).args
    return [shape_of_annotation(parameter.annotation) for parameter in (*spec.posonlyargs, *spec.args)]


def _shapes(samples: Sequence[Arguments], signature: str) -> list[Shape]:
    if not samples or len({len(sample) for sample in samples}) != 1:
        raise ProblemError("arguments are drawn from samples: at least one, all with one number of arguments")
    shapes = [shape_of([sample[place] for sample in samples]) for place in range(len(samples[0]))]
    if not signature:
        return shapes
    return [
        union([shape, wider], [3, 1]) if wider else shape
        for shape, wider in zip(shapes, _annotated(signature), strict=True)
    ]


def _largest(samples: Sequence[Arguments]) -> int:
    return max((len(encode(sample)) for sample in samples), default=0)


def _distinct(draws: Iterator[Arguments], count: int, largest: int) -> list[Arguments]:
    found: dict[bytes, Arguments] = {}
    for values in draws:
        if len(found) >= count:
            break
        try:
            code = encode(values, ordered=True)
        except ValueRefused:  # over a bound, such as an integer of too many digits
            continue
        if len(code) <= 4 * largest + _ROOM:
            found.setdefault(code, values)
    return list(found.values())


# --- relations between arguments --------------------------------------------------------------

_Relation = Callable[[list[object], np.random.Generator], None]
_SIZED = (list, tuple, str, bytes)


def _relations(samples: Sequence[Arguments]) -> list[_Relation]:
    """Find what all of several samples keep, as functions that restore it in place."""
    if len(samples) < 3:
        return []
    width = range(len(samples[0]))
    found = [_same_length(a, b) for a, b in combinations(width, 2) if _all(samples, a, b, _have_one_length)]
    found += [_not_above(a, b) for a, b in permutations(width, 2) if _all(samples, a, b, _is_not_above)]
    for a, b in permutations(width, 2):
        if _all(samples, a, b, _is_within):
            low = 1 if all(sample[a] != 0 for sample in samples) else 0
            top = 0 if any(sample[a] == len(sample[b]) for sample in samples) else 1  # type: ignore[arg-type]
            found.append(_within(a, b, low, top))
        elif _all(samples, a, b, _is_member):
            found.append(_member(a, b))
    return found


def _all(samples: Sequence[Arguments], a: int, b: int, holds: Callable[[object, object], bool]) -> bool:
    return all(holds(sample[a], sample[b]) for sample in samples)


def _have_one_length(a: object, b: object) -> bool:
    return isinstance(a, _SIZED) and type(a) is type(b) and len(a) == len(b)


def _same_length(a: int, b: int) -> _Relation:
    def restore(values: list[object], rng: np.random.Generator) -> None:  # noqa: ARG001
        if isinstance(values[a], _SIZED) and isinstance(values[b], _SIZED):
            size = min(len(values[a]), len(values[b]))  # type: ignore[arg-type]
            values[a], values[b] = values[a][:size], values[b][:size]  # type: ignore[index]

    return restore


def _is_not_above(a: object, b: object) -> bool:
    return type(a) is type(b) and type(a) in (int, float) and a <= b  # type: ignore[operator]


def _not_above(a: int, b: int) -> _Relation:
    def restore(values: list[object], rng: np.random.Generator) -> None:  # noqa: ARG001
        if _is_not_above(values[b], values[a]):
            values[a], values[b] = values[b], values[a]

    return restore


def _is_within(a: object, b: object) -> bool:
    return isinstance(b, _SIZED) and type(a) is int and 0 <= a <= len(b)


def _within(a: int, b: int, low: int, top: int) -> _Relation:
    def restore(values: list[object], rng: np.random.Generator) -> None:
        if type(values[a]) is int and isinstance(values[b], _SIZED):
            values[a] = integer(rng, low, max(low, len(values[b]) - top))  # type: ignore[arg-type]

    return restore


def _is_member(a: object, b: object) -> bool:
    if isinstance(b, str):
        return isinstance(a, str) and len(a) > 0 and a in b
    return isinstance(b, (list, tuple, dict)) and a in [*b]  # by equality: not every value is hashable


def _member(a: int, b: int) -> _Relation:
    def restore(values: list[object], rng: np.random.Generator) -> None:
        place, holder = values[a], values[b]
        if not isinstance(holder, (list, tuple, dict, str)) or not holder or rng.random() < 0.25:
            return
        at = int(rng.integers(len(holder)))
        if isinstance(holder, str):
            values[a] = holder[at : at + max(1, len(place) if isinstance(place, str) else 1)]
        else:
            drawn = [*holder][at]
            values[a] = drawn if type(drawn) is type(place) else place

    return restore


# --- small changes ----------------------------------------------------------------------------


def vary_arguments(arguments: Arguments, rng: np.random.Generator) -> Arguments:
    """Make one small change somewhere in the arguments; the types stay.

    Args:
        arguments: An argument tuple.
        rng: The only source of randomness.

    Returns:
        A new tuple; the same values where there is nothing to change, as in ``()``.
    """
    if not arguments:
        return arguments
    place = int(rng.integers(len(arguments)))
    varied = (*arguments[:place], _vary(arguments[place], rng), *arguments[place + 1 :])
    try:
        encode(varied)
    except ValueRefused:  # grown over a bound
        return arguments
    return varied


def _vary(value: object, rng: np.random.Generator) -> object:
    match value:
        case bool():
            return not value
        case int():
            return _vary_int(value, rng)
        case float():
            options = [
                value + 1.0,
                value - 1.0,
                value / 2,
                value * 2,
                -value,
                float(round(value)) if _plain(value) else 0.0,
            ]
            return options[int(rng.integers(len(options)))]
        case str():
            return "".join(_vary_items([*value], rng, _vary_char, " "))  # type: ignore[arg-type]
        case bytes():
            return bytes(_vary_items([*value], rng, _vary_byte, 97))  # type: ignore[arg-type]
        case list():
            return _vary_items([*value], rng, _vary, 0)
        case tuple():  # often a record: its length stays
            return vary_arguments(value, rng)
        case set() | frozenset():
            return _vary_set(value, rng)
        case dict():
            return _vary_table(value, rng)
    return value


def _plain(value: float) -> bool:
    return abs(value) < 1e15  # neither NaN nor infinite


def _vary_int(value: int, rng: np.random.Generator) -> int:
    step = integer(rng, 2, 10)
    options = [value + 1, value - 1, value + step, value - step, value * 2, value // 2, -value, 0]
    return options[int(rng.integers(len(options)))]


def _vary_char(char: object, rng: np.random.Generator) -> object:
    text = str(char)
    base = next(
        (pool for pool in ("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789") if text in pool),
        "",
    )
    if not base or rng.random() < 0.2:
        return ("a", "b", " ", text.swapcase()[:1], "0", text)[int(rng.integers(6))]
    return base[int(rng.integers(len(base)))]


def _vary_byte(byte: object, rng: np.random.Generator) -> object:  # noqa: ARG001
    return int(rng.integers(256))


def _vary_items(
    items: list[object], rng: np.random.Generator, vary: Callable[[object, np.random.Generator], object], spare: object
) -> list[object]:
    """Change, drop, repeat, swap or cut items; an empty one gets a first item."""
    if not items:
        return [vary(spare, rng)]
    at, other = int(rng.integers(len(items))), int(rng.integers(len(items)))
    roll = rng.random()
    if roll < 0.45:
        items[at] = vary(items[at], rng)
    elif roll < 0.6:
        del items[at]
    elif roll < 0.75:
        items.insert(other, vary(items[at], rng) if rng.random() < 0.5 else items[at])
    elif roll < 0.85:
        items[at], items[other] = items[other], items[at]
    elif roll < 0.95:
        items[at] = items[other]
    else:
        items = items[: at + 1]
    return items


def _vary_set(value: set[object] | frozenset[object], rng: np.random.Generator) -> object:
    # in a fixed order: a set's own depends on the hash seed
    items = sorted(value, key=encode)
    return type(value)(_vary_items(items, rng, _vary, 0))


def _vary_table(value: dict[object, object], rng: np.random.Generator) -> dict[object, object]:
    pairs = [*value.items()]
    if not pairs:
        return {}
    at = int(rng.integers(len(pairs)))
    key, item = pairs[at]
    roll = rng.random()
    if roll < 0.5:
        pairs[at] = (key, _vary(item, rng))
    elif roll < 0.65:
        del pairs[at]
    elif roll < 0.8:
        pairs.append((_vary(key, rng), item))
    else:
        pairs = [pairs[i] for i in rng.permutation(len(pairs))]
    return dict(pairs)
