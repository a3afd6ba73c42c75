"""What a building block is, and the kinds of values by which blocks fit together.

A block is a plain function of the ``blocks_*`` modules. Its text is what a grown program holds: so
it uses no import, no global name and no result that differs between Python versions, it leaves its
argument as it was, and it says what it does for an empty argument.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np

from code_envs.syntax import parse

__all__ = ["BLOCKS", "KINDS", "LIFTS", "Block", "Kind", "block", "pick"]

ItemT = TypeVar("ItemT")
FunctionT = TypeVar("FunctionT", bound=Callable[..., object])


class Kind(NamedTuple):
    """A kind of value that flows from block to block.

    Attributes:
        annotation: Its type, as it stands in a signature.
        words: What a message calls it.
        it: How a sentence refers to it.
        empty: The literal that an early return gives.
        noun: A variable that holds the outcome of either of two blocks.
    """

    annotation: str
    words: str
    it: str
    empty: str
    noun: str


KINDS: Mapping[str, Kind] = {
    "int": Kind("int", "an integer", "the number", "-1", "number"),
    "ints": Kind("list[int]", "a list of integers", "the list", "[]", "chosen"),
    "text": Kind("str", "a text", "the text", '""', "line"),
    "words": Kind("list[str]", "a list of words", "the list", "[]", "terms"),
    "grid": Kind("list[list[int]]", "a grid of integers (a list of equally long rows)", "the grid", "[]", "board"),
    "pairs": Kind("list[tuple[int, int]]", "a list of pairs of integers", "the list", "[]", "couples"),
    "tally": Kind("dict[int, int]", "a dictionary from integers to integers", "the dictionary", "{}", "table"),
    "counts": Kind("dict[str, int]", "a dictionary from texts to integers", "the dictionary", "{}", "register"),
}

LIFTS: Mapping[tuple[str, str, str], str] = {
    ("words", "text", "text"): "words",
    ("words", "text", "int"): "ints",
    ("grid", "ints", "int"): "ints",
    ("grid", "ints", "ints"): "grid",  # only blocks that keep the length: rows stay equally long
    ("ints", "int", "int"): "ints",
    ("ints", "int", "text"): "words",
}
"""What comes out of applying a block to each item: (kind, takes, gives) to kind."""


class Block(NamedTuple):
    """One building block.

    Attributes:
        name: The name of its function.
        takes: The kind of its argument.
        gives: The kind of its result.
        weight: How hard it is to follow, 1 to 4.
        says: What it does, as an instruction; constants in braces.
        noun: What its result is called in a program.
        draws: The inclusive range of each constant.
        keeps_length: Whether the result is as long as the argument.
        ignores_order: Whether turning the argument round changes nothing.
        likes: The themes that make good inputs; any of its kind if empty.
        promise: A test of ``result`` that always holds, and the same in words.
        slips: Small faults, as (text, replacement): each shows on few inputs only.
        function: The function itself.
    """

    name: str
    takes: str
    gives: str
    weight: int
    says: str
    noun: str
    draws: Mapping[str, tuple[int, int]]
    keeps_length: bool
    ignores_order: bool
    likes: tuple[str, ...]
    promise: tuple[str, str]
    slips: tuple[tuple[str, str], ...]
    function: Callable[..., object]

    @property
    def source(self) -> str:
        """The text of its function, without the decorator."""
        return _functions_of(self.function.__module__)[self.name]


BLOCKS: dict[str, Block] = {}
"""Every block by name, in the order in which they are written down."""


def block(
    takes: str,
    gives: str,
    weight: int,
    says: str,
    *,
    noun: str,
    draws: Mapping[str, tuple[int, int]] | None = None,
    keeps_length: bool = False,
    ignores_order: bool = False,
    likes: tuple[str, ...] = (),
    promise: tuple[str, str] = ("", ""),
    slips: tuple[tuple[str, str], ...] = (),
) -> Callable[[FunctionT], FunctionT]:
    """Register a function as a block; see :class:`Block` for the arguments."""

    def register(function: FunctionT) -> FunctionT:
        name = function.__name__
        BLOCKS[name] = Block(
            name, takes, gives, weight, says, noun, draws or {}, keeps_length, ignores_order, likes, promise, slips,
            function,
        )  # fmt: skip
        return function

    return register


@cache
def _functions_of(module: str) -> dict[str, str]:
    text = inspect.getsource(sys.modules[module])
    lines = text.splitlines()
    return {
        node.name: "\n".join(lines[node.lineno - 1 : node.end_lineno])
        for node in parse(text).body
        if isinstance(node, ast.FunctionDef)
    }


def pick(rng: np.random.Generator, items: Sequence[ItemT]) -> ItemT:
    """Draw one item of a sequence that is not empty."""
    return items[int(rng.integers(len(items)))]
