"""Reading program text without running it."""

import pytest

from code_envs.errors import ProblemError
from code_envs.problem import parameters_of
from code_envs.programs.source import holds_code, literals_of, normalise, parse_program, signature_of
from code_envs.values import encode

PROGRAM = '''
import re
LIMIT = -3

def helper(a, key=2):
    "What it does."
    return sorted([a, key], key=lambda z: -z)

def f(xs: list[int], k: int = 2, *, flag=False) -> int:
    return xs

def f(xs: list[int], k: "int" = 2, text='a, b') -> int:
    """The last definition counts: 99."""
    total = float("inf")  # 77
    for x in xs:
        if x in {1, 2} or x == [(1, "a"), -2.5]:
            total += helper(x, key=k)[0]
    return {"a": [True]}, set(), 1j
'''

HOSTILE = {
    "too long": "x = 1\n" * 20_000,
    "brackets": "(" * 50_000,
    "closed brackets": "[" * 95 + "]" * 95,
    "minus signs": "-" * 60_000 + "1",
    "negations": "not " * 16_000 + "1",
    "attributes": "a" + ".b" * 30_000,
    "sums": "a" + "+a" * 30_000,
    "lambdas": "lambda:" * 9_000 + "1",
    "indexes": "[]" + "[0]" * 20_000,
    "branches": "if a:\n b\n" + "elif a:\n b\n" * 5_000,
    "conditions": "a if b else " * 5_000 + "1",
    "indents": "\n".join(" " * depth + "if 1:" for depth in range(200)),
    "digits": "1" * 60_000,
    "NUL": "x = '\0'",
    "surrogate": "x = '\ud800'",
    "no Python": "def f(:",
}


@pytest.mark.parametrize("program", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_programs_are_refused_with_one_kind_of_error(program: str) -> None:
    with pytest.raises(ProblemError, match="the program"):
        parse_program(program)


def test_warnings_of_the_parser_stay_out() -> None:
    assert parse_program(r"x = '\d' is 1").body


def test_signature_has_annotations_and_defaults() -> None:
    signature = signature_of(PROGRAM, "f")
    assert signature == "f(xs: list[int], k: 'int' = 2, text='a, b') -> int"
    assert parameters_of(signature) == ("xs", "k", "text")
    assert signature_of(PROGRAM, "helper") == "helper(a, key=2)"


@pytest.mark.parametrize(
    "program",
    [
        "def f(*xs): pass",
        "def f(**xs): pass",
        "def f(x, *, y): pass",
        "async def f(x): pass",
        "class A:\n    def f(self): pass",
        "f = lambda x: x",
    ],
)
def test_only_plain_top_level_functions_have_a_signature(program: str) -> None:
    with pytest.raises(ProblemError):
        signature_of(program, "f")


def test_literals_are_listed_once_by_type_and_without_docstrings() -> None:
    found = {encode(value) for value in literals_of(PROGRAM)}
    for value in (-3, 2, 0, 1, "a", -2.5, (1, "a"), [(1, "a"), -2.5], {1, 2}, {"a": [True]}, True, set(), float("inf")):
        assert encode(value) in found, value
    assert not any(isinstance(value, str) and ("99" in value or "does" in value) for value in literals_of(PROGRAM))
    assert len(found) == len(literals_of(PROGRAM))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Return the sum of the even numbers in `xs`.", False),
        ("If `k > 0`, rotate to the left by k; given the range(s), skip empty ones.", False),
        ("For each word in the text: count its vowels, then import nothing.", False),
        ("For example, with k = 3 the list [1, 2] becomes (2, 1).", False),
        ("return the values of xs in order", False),
        ("Use sorted(xs) first.", True),
        ("Reverse it, as xs[::-1] does.", True),
        ("It is [x for x in xs if x].", True),
        ("Call xs.append(1) twice.", True),
        ("First:\n    total = a + b * 2", True),
        ("def f(x):", True),
        ("```\nx\n```", True),
        ("Sort by lambda x: -x.", True),
        ("For example:\n  >>> encode('a')\n  b'a'", True),
        ("Keep those >>> the bound.", False),
        ("while True:", True),
        ("  return total", True),
    ],
)
def test_messages_with_code_are_told_from_words(message: str, expected: bool) -> None:
    assert holds_code(message) is expected


def test_normal_form_forgets_names_comments_and_annotations_only() -> None:
    one = (
        'def f(xs: list[int]) -> int:\n    """Doc."""\n    t: int = 0  # note\n    for x in xs: t += x\n    return t\n'
    )
    other = "def f(items):\n    total = 0\n    for item in items:\n        total += item\n    return total\n"
    assert normalise(one) == normalise(other)
    assert normalise(one) != normalise(other.replace("+=", "-="))
    assert "sorted(v1, key=len)" in normalise("def f(key):\n    return sorted(key, key=len)\n")
