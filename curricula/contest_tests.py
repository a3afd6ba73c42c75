"""The tests of contests as cases: which can be held, which are shown, and how outputs are compared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from code_envs.curricula.contest_rows import Contest
from code_envs.errors import CodeEnvsError
from code_envs.executor import Limits
from code_envs.outputs import OutputRule
from code_envs.problem import Case
from code_envs.values import MAX_STORED, encode

__all__ = ["bounded", "divided", "output_rule"]

_VISIBLE = 5
_SHOWN = 4_000  # characters of an input or an output that a student reads; what validation allows, too
_OUTPUT = Limits().result_bytes // 4  # a valid program needs at most a quarter of what it may use
_ALL_TESTS = 16 << 20  # bytes of one problem's tests
_DECIMAL = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d{1,4})?", re.ASCII)


def bounded(contest: Contest, most: int | None) -> tuple[Contest, Counter[str]]:
    """Keep the first tests that a record can hold.

    Args:
        contest: A contest with tests of either kind.
        most: How many tests are kept; all if None.

    Returns:
        The contest, and for each reason how many tests it lost.
    """
    left_out: Counter[str] = Counter()
    kept: list[Any] = []
    public, room = 0, _ALL_TESTS
    for place, (given, expected) in enumerate(contest.calls or contest.texts):
        size = _size(contest, given, expected)
        if most is not None and len(kept) == most:
            left_out[f"after the first {most}"] += 1
        elif size is None:
            left_out["outside the bounds of values" if contest.calls else "too large"] += 1
        elif size > room:
            left_out["more than 16 MiB of tests"] += 1
        else:
            kept.append((given, expected))
            room -= size
            public += place < (contest.public or 0)
    tests = {"calls": tuple(kept)} if contest.calls else {"texts": tuple(kept)}
    return replace(contest, public=None if contest.public is None else public, **tests), left_out


def _size(contest: Contest, given: Any, expected: Any) -> int | None:
    """The bytes of a test; None if it is out of bounds."""
    try:
        if contest.calls:
            return len(encode(given, ordered=True)) + len(encode(expected))
        size = len(encode((given,))), len(encode(expected))
    except CodeEnvsError:
        return None
    return sum(size) if size[1] <= _OUTPUT and len(repr(given)) < MAX_STORED - 8 else None


def divided(cases: Sequence[Case], public: int | None) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Divide cases into visible and hidden ones.

    Visible are at most five that are short enough to be shown: of the public ones where the data set
    has some, else the first ones.
    """
    shown: list[Case] = []
    for case in cases[:public] if public else cases:
        if len(shown) < _VISIBLE and len(case.arguments) <= _SHOWN and len(case.result) <= _SHOWN:
            shown.append(case)
    visible = {id(case) for case in shown}
    return tuple(shown), tuple(case for case in cases if id(case) not in visible)


def output_rule(contest: Contest) -> OutputRule:
    """How outputs are compared: as the data set's own grader does, with a tolerance where numbers have a point.

    LiveCodeBench compares line by line; the graders of TACO, APPS and DeepCoder pass over white space.
    """
    if any(_DECIMAL.fullmatch(word) for _, expected in contest.texts for word in expected.split()):
        return OutputRule.FLOATS
    return OutputRule.LINES if contest.name.startswith("livecodebench/") else OutputRule.TOKENS
