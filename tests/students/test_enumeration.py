"""Programs found from cases."""

import ast
import builtins
from collections.abc import Callable, Sequence

import pytest

from code_envs.students.blocks import building_blocks, tag_of
from code_envs.students.enumeration import enumerate_programs
from code_envs.students.finishing import finish

Calls = Sequence[tuple[object, ...]]
NUMBERS: Calls = [([1, 2, 3, 4],), ([5, 6],), ([],), ([2, 2, 9],), ([-4, 1, 3],)]
WORDS: Calls = [("hello big world",), ("a b",), ("",), ("one",), ("x  y z",)]
FOUND: dict[str, tuple[Callable[..., object], Calls, Calls]] = {
    "sum of squares of evens": (lambda v: sum(x * x for x in v if x % 2 == 0), NUMBERS, [([8, 3, 8],)]),
    "reversed words": (lambda v: " ".join(v.split()[::-1]), WORDS, [("p q r",)]),
    "vowels": (lambda v: sum(c in "aeiou" for c in v.lower()), WORDS, [("AEIOU",)]),
    "largest or nothing": (lambda v: max(v) if v else 0, [*NUMBERS, ([-6, -2, -9],)], [([-5, -7],)]),
    "largest k": (lambda v, k: sorted(v)[-k:], [([3, 1, 2], 2), ([5, 6, 1], 1), ([9, 8, 7, 6], 3)], [([4, 5], 1)]),
    "above k, times 3": (
        lambda v, k: sum(3 * x for x in v if x > k),
        [([3, 1, 2, 7], 2), ([5, 6, 1], 1), ([9, 8, 7, 6], 7), ([], 0)],
        [([5, 6], 5)],
    ),
    "counts": (lambda v: {c: v.count(c) for c in v}, WORDS, [("aab",)]),
    "framed": (lambda v: f"<{v.upper()}>", WORDS, [("ab",)]),
}


def search(f: Callable[..., object], calls: Calls, budget: int = 16_000) -> list:
    names = ["v", "k"][: len(calls[0])]  # v is also what blocks call their variable
    return enumerate_programs("f", names, calls, [f(*call) for call in calls], budget)


@pytest.mark.parametrize("name", FOUND)
def test_simple_programs_are_found_and_generalise(name: str) -> None:
    f, visible, hidden = FOUND[name]
    found = search(f, visible)
    program = next(one.program for one in found if one.share == 1.0)
    space: dict[str, Callable[..., object]] = {}
    exec(program, space)  # our own blocks
    assert [space["f"](*call) for call in (*visible, *hidden)] == [f(*call) for call in (*visible, *hidden)]
    assert [one.spent for one in found] == sorted(one.spent for one in found)


def test_what_needs_more_than_the_blocks_is_missed() -> None:
    found = search(lambda v: [pow(x, 3, 7) ^ 5 for x in v][::-1], NUMBERS, budget=3_000)
    assert all(one.share < 1.0 for one in found)


def test_a_smaller_budget_sees_less() -> None:
    found = search(FOUND["above k, times 3"][0], FOUND["above k, times 3"][1])
    first = next(one.spent for one in found if one.share == 1.0)
    assert all(one.share < 1.0 for one in search(*FOUND["above k, times 3"][:2], budget=first - 1))


def test_blocks_say_truly_what_they_give() -> None:
    samples = [3, 12, True, 2.5, "a1 Bc", "b", [3, 1, 2], [2, 2], ["x y", "abc"], [[1, 2], [3, 4]], (4, 5), {"a": 1}]
    samples += [{1, 2}, [(1, 2), (3, 4)], "12", [1.5, 2.0], [["k", "w"]], False]
    tried = 0
    for block in building_blocks():
        tree = ast.parse(block.template.format("a", "b", v="v", w="w"), mode="eval")
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert names <= {*dir(builtins), "a", "b", "v", "w", "math"}, block.template
        for one in samples:
            for other in samples if len(block.takes) == 2 else [None]:
                arguments = (one,) if len(block.takes) == 1 else (one, other)
                fits = all(pattern in (tag_of(part), "*") for pattern, part in zip(block.takes, arguments, strict=True))
                if fits and block.gives in ("i", "s", "b", "f", "li", "ls", "d"):
                    tried += 1
                    try:
                        result = block.apply(*arguments)
                    except (IndexError, ValueError, ZeroDivisionError, TypeError):
                        continue
                    assert tag_of(result) in (block.gives, block.gives[0] + "?"), (block.template, arguments, result)
    assert tried > 100


@pytest.mark.parametrize(
    ("results", "goals", "expected"),
    [
        ((1, 2, 5), (5, 8, 17), "e * 3 + 2"),
        ((1, 2, 2), (8, 9, 9), "e + 7"),
        ((1, 2, 2), (5, 8, 8), None),  # two points make any line
        ((1, 2, 3), (1, 4, 9), None),
        (([1, 2], [], [4]), ([-1, -2], [], [-4]), "[-v for v in e]"),
        (("a", "b", "cc"), ("<a>", "<b>", "<cc>"), "'<' + e + '>'"),
        (("a", "b", "cc"), ("a", "b", "cc"), None),
    ],
)
def test_constants_are_solved_for(results: tuple, goals: tuple, expected: str | None) -> None:
    assert finish("e", results, goals, "v") == expected
