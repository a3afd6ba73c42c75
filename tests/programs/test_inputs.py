"""Arguments drawn from samples, annotations, and small changes."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from code_envs.errors import ProblemError
from code_envs.programs.inputs import arguments_for, boundary_arguments, random_arguments, vary_arguments
from code_envs.values import encode

SAMPLES = {
    "numbers": [([3, 1, 2], 2), ([5, 9], 1), ([7, 7, 0, 4], 3)],
    "text": [("a=1;b=2", ";"), ("key=30;x=4", ";")],
    "records": [({"name": "Ann", "age": 3},), ({"name": "Bob", "age": 30},), ({"name": "Cy", "age": 11},)],
    "mixed": [([("ann", 3.5), ("bob", 5.25)], True, None), ([], False, b"ab\xff")],
    "sets": [({"x", "yy", "zzz"}, frozenset({1, 2}))],
    "matrix": [([[1, 2], [3, 4], [5, 6]],), ([[1, 2, 3], [4, 5, 6]],)],
    "huge": [(10**3000, -(10**40))],
}


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def kinds(value: object) -> set[type]:
    """Every type that occurs in a value."""
    found = {type(value)}
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        found |= {kind for item in value for kind in kinds(item)}
    return found - {list} if type(value) is dict else found


@pytest.mark.parametrize("samples", SAMPLES.values(), ids=SAMPLES.keys())
@pytest.mark.parametrize("draw", [random_arguments, boundary_arguments])
def test_draws_are_distinct_reproducible_and_of_the_samples_types(draw, samples) -> None:
    drawn = draw(samples, rng(), 30)
    assert [encode(values, ordered=True) for values in drawn] == [
        encode(values, ordered=True) for values in draw(samples, rng(), 30)
    ]
    assert 5 <= len({encode(values, ordered=True) for values in drawn}) == len(drawn) <= 30
    for place in range(len(samples[0])):
        shown = set().union(*(kinds(sample[place]) for sample in samples))
        assert set().union(*(kinds(values[place]) for values in drawn)) <= shown


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.frozensets(st.integers(), max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=4), st.integers(0, 2**32))
def test_any_literal_samples_can_be_drawn_from(samples: list[tuple[object, ...]], seed: int) -> None:
    source = np.random.default_rng(seed)
    drawn = random_arguments(samples, source, 4) + boundary_arguments(samples, source, 4)
    for values in [*drawn, *(vary_arguments(sample, source) for sample in samples)]:
        assert len(values) == 2
        assert len(encode(values, ordered=True)) <= 4 * max(len(encode(sample)) for sample in samples) + 4096


def test_relations_that_all_samples_keep_are_kept() -> None:
    samples = [([1, 2, 3], 2, "abc", "xyz"), ([4, 5], 1, "de", "wv"), ([6, 7, 8, 9], 3, "q", "u")]
    for values, index, left, right in random_arguments(samples, rng(), 40):
        assert 1 <= index < max(2, len(values))
        assert len(left) == len(right)
    ordered = [(1, 5), (2, 9), (-4, 0)]
    assert all(low <= high for low, high in random_arguments(ordered, rng(), 40))
    assert all(values == sorted(values) for values, *_ in random_arguments(samples, rng(), 20))


def test_texts_keep_their_separators() -> None:
    drawn = [text for (text,) in random_arguments([("a=1;b=2",), ("key=30;x=4",)], rng(), 60)]
    assert set("".join(drawn)) <= set("abcdexyk0123456789=;") | set("abcd")
    assert sum("=" in text and ";" in text for text in drawn) > 30


def test_borders_hold_empties_zeros_negatives_repeats_and_larger_sizes() -> None:
    drawn = boundary_arguments([([3, 1, 2], 2), ([5, 9], 1)], rng(), 60)
    lists, numbers = [values for values, _ in drawn], [number for _, number in drawn]
    assert [] in lists
    assert any(len(values) > 3 and len(set(values)) < len(values) for values in lists)
    assert max(map(len, lists)) >= 8
    assert {0, 1, -1} <= set(numbers)
    assert max(numbers) > 10


def test_small_changes_keep_types_and_usually_change_something() -> None:
    source = rng()
    start = ([3, 1], "ab c", {"k": (1, 2.5)}, {4, 5}, True)
    varied = [vary_arguments(start, source) for _ in range(200)]
    assert all([type(part) for part in values] == [type(part) for part in start] for values in varied)
    assert all(len(item) == 2 for *_, table, _, _ in varied for item in table.values())
    assert sum(encode(values) != encode(start) for values in varied) > 150
    assert vary_arguments((), source) == ()


def test_annotations_alone_are_enough_where_they_are_understood() -> None:
    signature = (
        "f(n: int, pairs: 'list[tuple[str, int]]', table: dict[str, list[int]] | None, s: Optional[set[int]] = None)"
    )
    drawn = arguments_for(signature, rng(), 50)
    assert len(drawn) == 50
    for number, pairs, table, chosen in drawn:
        assert type(number) is int
        assert all(type(word) is str and type(count) is int for word, count in pairs)
        assert table is None or all(type(items) is list for items in table.values())
        assert chosen is None or all(type(item) is int for item in chosen)
    assert {type(table) for _, _, table, _ in drawn} == {dict, type(None)}


@pytest.mark.parametrize("signature", ["f(x)", "f(x: int, y)", "f(x: Callable[[int], int])", "f(x: set[list[int]])"])
def test_other_annotations_give_nothing(signature: str) -> None:
    assert arguments_for(signature, rng(), 5) == []


def test_a_signature_widens_what_the_samples_show() -> None:
    drawn = random_arguments([([],), ([],)], rng(), 20, signature="f(xs: list[str])")
    assert {type(item) for (values,) in drawn for item in values} == {str}


def test_samples_must_agree() -> None:
    with pytest.raises(ProblemError, match="at least one"):
        random_arguments([], rng(), 3)
    with pytest.raises(ProblemError, match="one number of arguments"):
        boundary_arguments([(1,), (1, 2)], rng(), 3)


SCRIPT = """
import numpy as np
from code_envs.programs.inputs import *
from code_envs.values import write_literal
rng = np.random.default_rng(3)
samples = [({"x", "yy", "zzz"}, frozenset({("a", 1), ("b", 2)}), {"k": {1, 2}, "j": set()})]
drawn = random_arguments(samples, rng, 10) + boundary_arguments(samples, rng, 10)
print([write_literal(values) for values in drawn + [vary_arguments(samples[0], rng) for _ in range(20)]])
"""


def test_draws_do_not_depend_on_the_hash_seed() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert "zzz" in said.pop()
