"""The literal universe: encoding, writing, reading, comparing."""

import math
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_envs import codec
from code_envs.errors import ValueRefused
from code_envs.values import decode, encode, equal, parse_literal, same_result, write_literal

atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(st.characters(codec=None), max_size=8),  # lone surrogates too
    st.binary(max_size=8),
)
hashable = st.recursive(atoms, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5)
values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(hashable, inner, max_size=3),
        st.sets(hashable, max_size=3),
        st.frozensets(hashable, max_size=3),
    ),
    max_leaves=12,
)


@given(values)
def test_encoding_round_trips(value):
    assert encode(decode(encode(value))) == encode(value)
    assert equal(decode(encode(value, ordered=True)), value)


@given(values)
def test_written_literals_read_back_exactly(value):
    assert encode(parse_literal(write_literal(value)), ordered=True) == encode(value, ordered=True)


@given(values, values)
def test_equal_is_encoding_equality_but_for_floats(a, b):
    if b"f" not in encode(a) and b"f" not in encode(b):
        assert equal(a, b) == (encode(a) == encode(b))
    assert equal(a, a)
    assert equal(a, b) == equal(b, a)


@given(st.binary(max_size=200))
def test_decoding_garbage_is_refused_or_bounded(data):
    try:
        codec.decode(data)
    except codec.DecodeError:
        return


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (True, 1),
        (1, 1.0),
        ((1,), [1]),
        ({1}, frozenset({1})),
        ("a", b"a"),
        ({1: "x"}, {True: "x"}),
        ({1: 0}, {1.0: 0}),
        ({1}, {True}),
        (10**20, 10**20 + 1),
        (1.0, 1.0 + 1e-6),
        ([1, 2], [2, 1]),
        (math.inf, -math.inf),
        (0.0, 1e-300),
        (None, False),
        ({"a": 1}, {"a": 1, "b": 2}),
    ],
)
def test_different_values_are_different(a, b):
    assert not equal(a, b)
    assert not same_result(encode(a), encode(b))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1.0, 1.0 + 1e-12),
        (math.nan, math.nan),
        (0.0, -0.0),
        ([math.nan, (0.1 + 0.2,)], [math.nan, (0.3,)]),
        ({"x": 0.1 + 0.2}, {"x": 0.3}),
        ({0.1 + 0.2, 1.0}, {0.3, 1.0}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ],
)
def test_equal_values_are_equal(a, b):
    assert equal(a, b)
    assert same_result(encode(a), encode(b))


class Liar(int):
    """Equal to everything, as a cheat would be."""

    __hash__ = int.__hash__

    def __eq__(self, other):
        return True


@pytest.mark.parametrize(
    "value",
    [Liar(3), [Liar(3)], {Liar(3): 1}, 1j, object(), len, range(3), 10**4000, ..., type("S", (str,), {})("x")],
    ids=["int", "inside a list", "as a key", "complex", "object", "function", "range", "digits", "ellipsis", "str"],
)
def test_other_types_and_subclasses_are_refused(value):
    with pytest.raises(ValueRefused):
        encode(value)


def test_bounds_are_kept():
    deep: list = []
    for _ in range(codec.MAX_DEPTH):
        deep = [deep]
    with pytest.raises(ValueRefused, match="nested"):
        encode(deep)
    with pytest.raises(ValueRefused, match="items"):
        encode([0] * (codec.MAX_ITEMS + 1))
    with pytest.raises(ValueRefused, match="too large"):
        encode("x" * (codec.MAX_BYTES + 1))
    cycle: list = []
    cycle.append(cycle)
    with pytest.raises(ValueRefused, match="nested"):
        encode(cycle)


def test_ordered_encoding_keeps_the_order_of_dicts():
    assert list(decode(encode({"b": 1, "a": 2}, ordered=True))) == ["b", "a"]
    assert encode({"b": 1, "a": 2}) == encode({"a": 2, "b": 1})


def test_coerce_takes_subclasses_as_their_base():
    from collections import Counter, OrderedDict, defaultdict, namedtuple

    point = namedtuple("point", "x y")(1, 2)
    for value, base in [
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, {1: [2]}), {1: [2]}),
        ([point], [(1, 2)]),
        (Liar(7), 7),
    ]:
        assert codec.encode(value, coerce=True) == encode(base)


def test_encodings_do_not_depend_on_the_hash_seed():
    program = (
        "from code_envs.values import encode, write_literal\n"
        "v = {'k': {'b', 'a', 'c'}, 'z': frozenset([('x', 1), ('y', 2)])}\n"
        "print(encode(v), write_literal(v))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(
    "forged", [b"[%b]" % (b"<]" * 500_000), b"{%b]" % (b"i1;[]" * 250_000), b"[" * 9 + b"N" * 900_000]
)
def test_forged_items_are_counted_over_all_containers(forged):
    tracemalloc.start()
    try:
        with pytest.raises(codec.DecodeError, match="more than 200000 items"):
            codec.decode(forged)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_as_many_items_as_can_be_encoded_can_be_decoded():
    value = [(0, 1)] * (codec.MAX_ITEMS // 3) + [None] * (codec.MAX_ITEMS % 3)
    assert decode(encode(value)) == value
    table = {number: [None] for number in range(codec.MAX_ITEMS // 2)}
    assert decode(encode(table)) == table
