"""The parser for what a model wrote: tolerant of spelling, strict about meaning, bounded."""

import ast
import math
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_envs.codec import MAX_DEPTH
from code_envs.errors import LiteralError
from code_envs.literals import MAX_TEXT, parse_arguments, parse_literal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        (" -3 \n", -3),
        ("+3", 3),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0b101", 5),
        ("1.5e-3", 0.0015),
        (".5", 0.5),
        ("5.", 5.0),
        ("inf", math.inf),
        ("-inf", -math.inf),
        ("float('-inf')", -math.inf),
        ('-float("Infinity")', -math.inf),
        ("None", None),
        ("[True, False]", [True, False]),
        ("1, 2", (1, 2)),
        ("1,", (1,)),
        ("(1)", 1),
        ("()", ()),
        ("(1, (2, [3]))", (1, (2, [3]))),
        ("{}", {}),
        ("{1, 2}", {1, 2}),
        ("set()", set()),
        ("set([1, 2])", {1, 2}),
        ("frozenset({1})", frozenset({1})),
        ("frozenset()", frozenset()),
        ("{'a': {1: [2]},}", {"a": {1: [2]}}),
        ("'it''s'", "its"),
        ('"it\'s"', "it's"),
        ("'''a\nb'''", "a\nb"),
        (r"'\x41\u00e9\n\\'", "Aé\n\\"),
        (r"'\d'", r"\d"),
        (r"r'\n'", r"\n"),
        (r"'\ud800'", "\ud800"),
        (r"b'\xff\u12'", b"\xff\\u12"),
        ("rb'\\x'", b"\\x"),
        ("```python\n[1,\n 2]\n```", [1, 2]),
        ("```\n'a'\n```\n", "a"),
        ("[1,  # one\n 2]", [1, 2]),
    ],
)
def test_accepts_what_a_person_would(text, value):
    got = parse_literal(text)
    assert type(got) is type(value)
    assert got == value


def test_nan_is_read():
    assert math.isnan(parse_literal("float('nan')"))
    assert math.isnan(parse_literal("[nan]")[0])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no literal"),
        ("x", "names"),
        ("true", "names"),
        ("f(1)", "calls"),
        ("__import__('os').system('id')", "calls"),
        ("float('1')", "read only as"),
        ("1 + 1", "operators"),
        ("0 or True", "operators"),
        ("[1][0]", "follows the literal"),
        ("--1", "sign"),
        ("-'a'", "sign"),
        ("1 2", "follows"),
        ("[1 2]", "expected"),
        ("[1", "ends too early"),
        ("'a", "unexpected"),
        ("f'{x}'", "prefix"),
        ("1j", "not a number"),
        ("01", "leading zeros"),
        ("1__0", "not a number"),
        ("{[1]}", "cannot be a member"),
        ("{{}: 1}", "cannot be a member"),
        ("{1: 2, 3}", "mixed"),
        ("{1, 2: 3}", "expected"),
        ("'a' b'b'", "cannot be joined"),
        (r"'\xZZ'", "escape"),
        ("b'é'", "ASCII"),
        ("[*range(9)]", "unexpected"),
        ("lambda: 1", "names"),
        ("\0", "unexpected"),
        ("(yield)", "names"),
        ("a:=1", "names"),
        ("9" * 5000, "digits"),
    ],
)
def test_refuses_with_a_reason(text, reason):
    with pytest.raises(LiteralError, match=reason):
        parse_literal(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "(" * (MAX_DEPTH + 2) + "1" + ")" * (MAX_DEPTH + 2),
        "{1:" * 50_000,
        "set(" * 100_000,
        "-" * 100_000,
        "9" * 1_000_000,
        "1e" + "9" * 100_000,
        "1_" * 400_000,
        "0x" + "f" * 900_000,
        "'" + "a" * 900_000,
        "'''" * 100_001,
        "'" + "\\x" * 400_000 + "'",
        "\\" * 500_000,
        "`" * 500_000,
        "```\n" + " " * 900_000,
        "[" + "0," * 400_000 + "]",
        "x" * (MAX_TEXT + 1),
        "\0" * 1000,
        "\ud800",
    ],
    ids=lambda text: repr(text[:6]),
)
def test_hostile_text_is_refused_without_harm(text):
    with pytest.raises(LiteralError) as caught:
        parse_literal(text)
    assert len(str(caught.value)) < 300
    with pytest.raises(LiteralError):
        parse_arguments(text, ["x", "y"])


@given(st.text(st.sampled_from("[](){},:=+-'\"\\ \n#`0123456789.eExbrfunaNTil_"), max_size=60))
def test_agrees_with_the_language_where_both_accept(text):
    try:
        value = parse_literal(text)
    except LiteralError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            reference = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, TypeError):
            return  # spellings that only we accept: bare inf, line breaks, fences
    assert repr(value) == repr(reference)


@given(st.text(max_size=200))
def test_any_text_is_a_value_or_a_literal_error(text):
    for read in (parse_literal, lambda text: parse_arguments(text, ("a",))):
        try:
            read(text)
        except LiteralError:
            continue


@pytest.mark.parametrize(
    "text",
    [
        "3, [1]",
        "3, [1],",
        "x=3, ys=[1]",
        "ys=[1], x=3",
        "x = 3\nys = [1]",
        "x: 3, ys: [1]",
        "3, ys=[1]",
        "f(3, [1])",
        "f(x=3, ys=[1])",
        "(3, [1])",
        "f((3, [1]))",
        '{"x": 3, "ys": [1]}',
        "```input\n3, [1]\n```",
    ],
)
def test_argument_lists(text):
    assert parse_arguments(text, ("x", "ys")) == (3, [1])


def test_one_parameter_takes_a_tuple_as_its_value():
    assert parse_arguments("(1, 2)", ("pair",)) == ((1, 2),)
    assert parse_arguments("[1, 2]", ("xs",)) == ([1, 2],)
    assert parse_arguments("{'xs': 1}", ("xs",)) == ({"xs": 1},)
    assert parse_arguments("", ()) == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("3", "1 arguments were given for 2"),
        ("3, [1], 4", "3 arguments"),
        ("x=3", "1 arguments"),
        ("z=3, x=1", "no parameter 'z'"),
        ("x=1, x=2", "twice"),
        ("3, x=1", "twice"),
        ("x=1, 2", "positional"),
        ("g(3, [1])", "calls"),
        ("f(3, [1]) == 2", "follows"),
        ("x=f(1), ys=2", "calls"),
    ],
)
def test_bad_argument_lists_are_refused(text, reason):
    with pytest.raises(LiteralError, match=reason):
        parse_arguments(text, ("x", "ys"))
