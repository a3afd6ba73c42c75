"""Texts in the layout of given ones."""

import re

import numpy as np
import pytest

from code_envs.programs.stdin import random_stdins


def drawn(samples: list[str], count: int = 30) -> list[str]:
    found = random_stdins(samples, np.random.default_rng(3), count)
    assert found == random_stdins(samples, np.random.default_rng(3), count)
    assert len(set(found)) == len(found) <= count
    assert not set(found) & set(samples)
    return found


def rows(text: str) -> list[list[int]]:
    return [[int(word) for word in line.split()] for line in text.splitlines()]


def test_counts_still_count() -> None:
    samples = ["3\n1 2 9\n", "5\n5 4 9 9 1\n", "2\n7 3\n"]
    found = drawn(samples)
    assert len(found) == 30
    for (n,), numbers in map(rows, found):
        assert n == len(numbers)
        assert all(1 <= number <= 9 for number in numbers)
    for first, *lines in map(rows, drawn(["2\n3 4\n5 1\n", "3\n1 2\n2 1\n6 6\n"])):
        assert first == [len(lines)]
    for first, *grid in (text.split("\n") for text in drawn(["2 3\n#.#\n..#\n", "3 3\n...\n###\n.#.\n"])):
        height, width = map(int, first.split())
        assert [len(line) for line in grid[:-1]] == [width] * height
    for length, word in (text.split() for text in drawn(["5\nhello\n", "3\nabc\n"])):
        assert int(length) == len(word)


@pytest.mark.parametrize(
    ("samples", "holds"),
    [
        (["4\n1 3 3 8\n", "3\n2 5 9\n", "6\n0 1 1 2 2 7\n"], lambda lines: lines[1] == sorted(lines[1])),
        (
            ["4\n2 1 4 3\n", "3\n3 1 2\n", "5\n5 1 2 4 3\n"],
            lambda lines: sorted(lines[1]) == [*range(1, lines[0][0] + 1)],
        ),
        (["1 5\n", "3 3\n", "2 9\n"], lambda lines: lines[0][0] <= lines[0][1]),
        (["9 2\n", "6 1\n", "3 3\n"], lambda lines: lines[0][0] >= lines[0][1]),
    ],
    ids=["sorted", "permutation", "interval", "falling"],
)
def test_what_holds_for_all_lines_holds_for_new_ones(samples: list[str], holds) -> None:
    found = drawn(samples)
    assert len(found) > 5
    assert all(holds(rows(text)) for text in found)


def test_labels_stay_below_their_bound() -> None:
    samples = ["4 3\n1 2\n2 3\n1 4\n", "6 3\n1 3\n2 3\n2 6\n", "5 2\n1 3\n4 5\n"]
    for (n, m), *edges in map(rows, drawn(samples)):
        assert m == len(edges)
        assert all(1 <= label <= n for edge in edges for label in edge)


def test_white_space_and_kinds_of_words_stay() -> None:
    for text in drawn(["1.50  x\r\n 0101", "2.25  y\r\n 1100"]):
        assert re.fullmatch(r"(1\.[5-9]|2\.[0-2])\d  [xy]\r\n [01]{4}", text), text
    samples = ["2\nadd 3\nprint 1\n", "2\nprint 4\nadd 2\n"]
    assert {line.split()[0] for text in drawn(samples) for line in text.splitlines()[1:]} == {"add", "print"}


@pytest.mark.parametrize("samples", [[], [""], ["7\n"], ["x" * 5000], ["\n\n", " "]])
def test_where_nothing_can_be_drawn_there_is_nothing(samples: list[str]) -> None:
    assert drawn(samples) == []
