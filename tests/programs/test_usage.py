"""Guessing what parameters take."""

import numpy as np
import pytest

from code_envs.programs.usage import parameter_shapes

CASES = [
    ("def f(x: dict[str, int]):\n    return x", "", {dict}),
    ("def f(x='abc'):\n    return x", "", {str}),
    ("def f(x):\n    return x.split()", "", {str}),
    ("def f(x):\n    return sum(1 for y in x.items())", "", {dict}),
    ("def f(x):\n    x.append(1)\n    return x", "", {list}),
    ("def f(x):\n    return list(range(x))", "", {int}),
    ("def f(x):\n    return x % 7", "", {int}),
    ("def f(x):\n    return x[0], len(x)", "", {list, str}),
    ("def f(x):\n    return x", "", {int, str, list}),
    ("def f(x):\n    return x", "def pre_test_f(x):\n    return isinstance(x, tuple)", {tuple}),
    ("def f(x):\n    return x", "def pre_test_f(x):\n    return type(x) is int and not isinstance(x, bool)", {int}),
]


@pytest.mark.parametrize(("program", "precondition", "kinds"), CASES)
def test_use_tells_the_type(program: str, precondition: str, kinds: set[type]) -> None:
    (shape,) = parameter_shapes(program, "f", precondition)
    rng = np.random.default_rng(0)
    assert {type(shape.draw(rng)) for _ in range(60)} == kinds


def test_elements_follow_from_checks_and_from_their_use() -> None:
    rng = np.random.default_rng(0)
    checks = "def pre_test_f(xs):\n    return isinstance(xs, list) and all(isinstance(x, str) for x in xs)"
    for program, precondition in [
        ("def f(xs):\n    return xs", checks),
        ("def f(xs):\n    return [w.upper() for w in xs]", ""),
    ]:
        (shape,) = parameter_shapes(program, "f", precondition)
        drawn = [value for _ in range(40) if isinstance(value := shape.draw(rng), list)]
        assert {type(item) for value in drawn for item in value} == {str}
