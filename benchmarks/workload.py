"""Programs with calls and known results, made from a seed: what every peer of a benchmark is given."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import msgspec
import numpy as np

from code_envs.errors import ConfigError
from code_envs.problem import Mode
from code_envs.teacher import LEVELS
from code_envs.teacher.compose import Grown, compose
from code_envs.teacher.grow import grow
from code_envs.teacher.recipe import Recipe
from code_envs.teacher.themes import THEMES

__all__ = ["Item", "make_workload"]

_DRAWS = 20  # of arguments, for each that is wanted
_SPOILED = 8  # one item in so many asks for a result that is not the right one
_TRIES = 50  # recipes, for each program that is wanted


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One program, its calls, and what they should return.

    Attributes:
        program: Source that defines ``f``.
        calls: The arguments of each call, as the text of a tuple.
        expected: The result of each call, as the text of a literal.
        right: Whether the program returns all of ``expected``. Some items are spoiled, so that a
            peer that finds everything right is found out.
    """

    program: str
    calls: tuple[str, ...]
    expected: tuple[str, ...]
    right: bool


def make_workload(programs: int, calls: int, seed: int = 0) -> list[Item]:
    """Grow distinct programs from the blocks of the procedural teacher, over all of its levels.

    Args:
        programs: How many.
        calls: Distinct calls of each.
        seed: Which programs, and with which arguments.

    Returns:
        The same items for the same arguments, on any machine.

    Raises:
        ConfigError: There are not so many distinct calls.
    """
    found: dict[str, tuple[list[str], list[str]]] = {}
    rng = np.random.default_rng([seed, 2603])
    for attempt in range(_TRIES * programs):
        if len(found) == programs:
            break
        recipe = grow(rng, attempt % LEVELS, Mode.INDUCTION)
        grown = compose(recipe) if recipe else None
        ran = _run(rng, recipe, grown, calls) if recipe and grown and grown.program not in found else None
        if grown and ran:
            found[grown.program] = ran
    if len(found) < programs:
        raise ConfigError(f"only {len(found)} programs with {calls} distinct calls were found: ask for less")
    return [_item(index, program, *ran) for index, (program, ran) in enumerate(found.items())]


def _run(rng: np.random.Generator, recipe: Recipe, grown: Grown, count: int) -> tuple[list[str], list[str]] | None:
    """Draw calls and make them, in this process: these programs are our own."""
    names: dict[str, object] = {}
    exec(compile(grown.program, "<program>", "exec"), names)
    calls = list(dict.fromkeys(text for text, _ in zip(_draw(rng, recipe, grown), range(_DRAWS * count), strict=False)))
    calls = calls[:count]
    results = [repr(names["f"](*ast.literal_eval(call))) for call in calls]  # type: ignore[operator]
    is_plain = not any("{" in result and ":" not in result for result in results)  # a set prints in any order
    return (calls, results) if len(calls) == count and is_plain else None


def _draw(rng: np.random.Generator, recipe: Recipe, grown: Grown) -> Iterator[str]:
    while True:
        values: tuple[object, ...] = (THEMES[recipe.theme].draw(rng, recipe.size),)
        if grown.opened:
            low, high = grown.opened
            values = (*values, int(rng.integers(low, high + 1)))
        yield repr(values)


def _item(index: int, program: str, calls: list[str], results: list[str]) -> Item:
    right = index % _SPOILED != _SPOILED - 1
    expected = results if right else [*results[:-1], "'not the result'"]
    return Item(program=program, calls=tuple(calls), expected=tuple(expected), right=right)
