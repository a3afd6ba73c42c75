"""Which functions qualify, why others do not, and that a slice means what the module meant."""

import ast

import pytest

from code_envs.teacher.harvest_scan import Candidate, scan_module
from code_envs.teacher.harvest_slice import logic_of

MODULE = '''
"""A module."""
import os, re
import math as m
from collections import Counter
from time import time

try:
    from _accelerated import scale
except ImportError:
    pass

FACTOR = 3
TABLE = {}
for letter in "abc":
    TABLE[letter] = FACTOR
CACHE = {}


class Odd(ValueError):
    """Raised for odd numbers."""


class Thing:
    pass


def scale(xs, by=FACTOR):
    """Multiply everything.

    >>> scale([1], 2)
    [2]
    """
    # in order
    result = []
    for x in xs:
        result.append(_checked(x) * by)
    return result


def _checked(x):
    if x % 2:
        raise Odd(x)
    return x


# The number of letters that the table knows.
def known(text):
    counts = Counter(text)
    total = sum(counts[letter] for letter in TABLE)
    root = m.isqrt(total)
    return total, root


def remembers(x):
    if x not in CACHE:
        CACHE[x] = x + 1
    return CACHE[x]


def reads(path):
    with open(path) as file:
        text = file.read()
    return text


def lists(path):
    names = os.listdir(path)
    names.sort()
    return names


def now(x):
    y = x + 1
    z = y * time()
    return z


def counts(x):
    global other
    other = x
    return other


def hashes(x):
    y = x + 1
    z = hash(y)
    return z


def shows(x):
    y = x + 1
    print(y)
    return y


def makes(x):
    thing = Thing()
    y = (thing, x)
    return y


def unknown(x):
    y = x + 1
    z = mystery(y)
    return z


def asks(thing):
    y = thing.weight
    z = y + 1
    return z


def applies(function, x):
    y = function(x)
    z = y + 1
    return z


def yields(xs):
    for x in xs:
        if x:
            yield x


def silent(xs):
    xs = list(xs)
    xs.sort()
    xs.clear()


def short(x):
    return x + 1


def method(self, x):
    y = x + 1
    z = y * 2
    return z


def starred(*xs):
    y = len(xs)
    z = y + 1
    return z


def nothing():
    y = 1
    z = y + 1
    return z


@decorated
def wrapped(x):
    y = x + 1
    return y


async def waits(x):
    y = x + 1
    z = y * 2
    return z


def late(x):
    import math
    y = math.sin(x)
    return y


def main(x):
    y = x + 1
    z = y * 2
    return z
'''

REFUSALS = {
    "applies": "takes a function as 'function'",
    "asks": "takes an object with the attribute 'weight'",
    "counts": "changes the global name 'other'",
    "hashes": "uses 'hash', which is not pure",
    "late": "imports inside of the function",
    "lists": "uses 'os.listdir'",
    "main": "is a test or a main program",
    "makes": "uses the class 'Thing'",
    "method": "is a method",
    "nothing": "has 0 parameters",
    "now": "imports 'time' from 'time'",
    "reads": "manages a context",
    "remembers": "uses 'CACHE', which the module changes",
    "short": "has 2 lines of code",
    "shows": "uses 'print', which is not pure",
    "silent": "returns no value",
    "starred": "has starred or keyword-only parameters",
    "unknown": "uses 'mystery', which is not pure or not known",
    "waits": "is asynchronous",
    "wrapped": "has the decorator 'decorated'",
    "yields": "is a generator",
}


@pytest.fixture(scope="module")
def found() -> dict[str, Candidate | str]:
    return scan_module(MODULE, "m.py")


def test_every_reason_for_refusal_is_named(found: dict[str, Candidate | str]) -> None:
    reasons = {name: reason for name, reason in found.items() if isinstance(reason, str)}
    assert reasons.keys() == REFUSALS.keys()
    for name, reason in REFUSALS.items():
        assert reasons[name].startswith(reason)


def test_a_slice_holds_what_the_function_needs_and_nothing_else(found: dict[str, Candidate | str]) -> None:
    scale = found["scale"]
    assert isinstance(scale, Candidate)
    assert scale.signature == "scale(xs, by)"
    assert scale.doc.startswith("Multiply everything.")
    assert scale.program == (
        "FACTOR = 3\n\n\n"
        "class Odd(ValueError):\n"
        '    """Raised for odd numbers."""\n\n\n'
        "def scale(xs, by=FACTOR):\n"
        "    # in order\n"
        "    result = []\n"
        "    for x in xs:\n"
        "        result.append(_checked(x) * by)\n"
        "    return result\n\n\n"
        "def _checked(x):\n"
        "    if x % 2:\n"
        "        raise Odd(x)\n"
        "    return x\n"
    )


def test_statements_that_fill_a_constant_come_with_it(found: dict[str, Candidate | str]) -> None:
    known = found["known"]
    assert isinstance(known, Candidate)
    assert known.doc == "The number of letters that the table knows."
    assert "import math as m\n" in known.program
    assert "from collections import Counter\n" in known.program
    assert "for letter in" in known.program
    assert "CACHE" not in known.program
    assert "re" not in known.program.split()


def test_the_logic_is_untouched(found: dict[str, Candidate | str]) -> None:
    originals = {node.name: node for node in ast.parse(MODULE).body if isinstance(node, ast.FunctionDef)}
    candidates = [item for item in found.values() if isinstance(item, Candidate)]
    assert {item.name for item in candidates} >= {"scale", "known"}
    for item in candidates:
        for node in ast.parse(item.program).body:
            if isinstance(node, ast.FunctionDef):
                assert logic_of(node) == logic_of(originals[node.name])


def test_a_signature_stands_on_its_own() -> None:
    text = (
        "from __future__ import annotations\nimport re\nNL = '\\n'\nPlace = int\n\n\n"
        "def a(text: str, at: int = -1) -> str:\n    at = at + 1\n    at = at * 2\n    return text[at:]\n\n\n"
        "def b(text: str, at: Place, end=NL) -> str:\n    at = at + 1\n    at = at * 2\n    return text[at:] + end\n"
    )
    found = scan_module(text, "m.py", "MIT")
    signatures = [item.signature for item in found.values() if isinstance(item, Candidate)]
    assert signatures == ["a(text: str, at: int = -1) -> str", "b(text, at, end)"]
    assert all(isinstance(item, Candidate) and item.licence == "MIT" for item in found.values())


def test_longer_and_nested_functions_have_higher_levels() -> None:
    body = "def f(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s\n"
    inner = "for y in xs:\n            if x < y:\n                s += y\n            else:\n                s -= 1"
    nested = body.replace("s += x", inner)
    easy, hard = scan_module(body, "m.py")["f"], scan_module(nested, "m.py")["f"]
    assert isinstance(easy, Candidate)
    assert isinstance(hard, Candidate)
    assert easy.level < hard.level


def test_what_is_not_python_holds_no_functions() -> None:
    assert scan_module("def f(:\n", "m.py") == {}
    assert scan_module("def f(x): " + "(" * 5000, "m.py") == {}
