"""The building blocks that the search student writes programs from.

Each block is a template of Python source. The function that the search applies is made from the
same template, so that a program does what the search saw it do. Templates are constants of this
file: nothing that anyone else wrote is ever evaluated here.

Types are short tags: ``i`` int, ``f`` float, ``b`` bool, ``s`` str, ``n`` None, ``y`` bytes,
``t`` tuple, ``d`` dict, ``l`` and ``S`` with the tag of the elements for list and set, ``x`` for a
mixture, ``?`` for the elements of what is always empty.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

from code_envs.syntax import parse

__all__ = ["Block", "blocks_for", "building_blocks", "fits", "matches", "merge_tags", "tag_of"]

_MAX_BITS, _MAX_TEXT, _MAX_ITEMS = 512, 2000, 300
_SMALL = 200  # the largest integer that a block may count to


@dataclass(frozen=True)
class Block:
    """One building block.

    Attributes:
        template: Source with ``{0}``, ``{1}`` for the arguments and ``{v}``, ``{w}`` for its variables.
        takes: The pattern of each argument's tag; ``e`` is the element tag of the first one.
        gives: The tag of the result; ``=`` as the first argument, ``e`` its element, ``*`` any.
        cost: How late it is tried, at least 1.
        apply: What the template does.
        small: Whether integer arguments must be small, since it counts to them.
        atomic: Whether it needs no parentheses around it.
    """

    template: str
    takes: tuple[str, ...]
    gives: str
    cost: int
    apply: Callable[..., object]
    small: bool
    atomic: bool

    def admits(self, *arguments: object) -> bool:
        """Whether the arguments are small enough to be tried."""
        return not self.small or all(-_SMALL <= part <= _SMALL for part in arguments if isinstance(part, int))


_TABLE = """
1 i i>i         | {0} + {1}
1 i i>i         | {0} - {1}
1 i i>i         | {0} * {1}
2 i i>i         | {0} // {1}
2 i i>i         | {0} % {1}
2 i i>i         | max({0}, {1})
2 i i>i         | min({0}, {1})
3 i i>i         | math.gcd({0}, {1})
2 i>i           | abs({0})
2 i>i           | -{0}
2 i>i           | {0} ** 2
2 i>s           | str({0})
3 i>s           | bin({0})[2:]
2 i>b           | {0} % 2 == 0
2 i i>b         | {0} > {1}
2 i i>b         | {0} == {1}
3 i i>b         | {0} % {1} == 0
3 i>li          | [int({v}) for {v} in str(abs({0}))]
2 i>li small    | list(range({0}))
2 i>li small    | list(range(1, {0} + 1))
4 i>li small    | [{v} for {v} in range(1, {0} + 1) if {0} % {v} == 0]
4 i>b small     | {0} > 1 and all({0} % {v} for {v} in range(2, {0}))
3 i i>f         | {0} / {1}
2 f i>f small   | round({0}, {1})
2 f f>f         | {0} + {1}
2 f f>f         | {0} * {1}
2 f f>b         | {0} > {1}
3 f>i           | int({0})
2 b>b           | not {0}
2 b b>b         | {0} and {1}
2 b b>b         | {0} or {1}
1 s>i           | len({0})
2 s>b           | not {0}
1 s>s           | {0}[::-1]
1 s>s           | {0}.upper()
1 s>s           | {0}.lower()
1 s>ls          | {0}.split()
2 s>s           | {0}.strip()
2 s>s           | {0}.title()
2 s>s           | {0}.capitalize()
2 s>s           | {0}.swapcase()
2 s>ls          | list({0})
2 s s>ls        | {0}.split({1})
2 s s>i         | {0}.count({1})
2 s s>s         | {0} + {1}
2 s s>b         | {1} in {0}
2 s s>b         | {0} == {1}
3 s s>b         | {0}.startswith({1})
3 s s>b         | {0}.endswith({1})
3 s s>s         | {0}.replace({1}, '')
3 s s>i         | {0}.find({1})
2 s i>s         | {0}[:{1}]
2 s i>s         | {0}[{1}:]
2 s i>s         | {0}[-{1}:]
2 s i>s         | {0}[{1}]
3 s i>s         | {0}[::{1}]
3 s i>s small   | {0} * {1}
2 s>b           | {0} == {0}[::-1]
3 s>b           | {0}.isdigit()
3 s>b           | {0}.isalpha()
3 s>i           | int({0})
2 s>s           | ''.join(sorted({0}))
2 s>s           | ''.join(dict.fromkeys({0}))
2 s>s           | ''.join({v} for {v} in {0} if {v} not in 'aeiouAEIOU')
2 s>i           | sum({v} in 'aeiouAEIOU' for {v} in {0})
2 s>s           | ''.join({v} for {v} in {0} if {v}.isalpha())
2 s>s           | ''.join({v} for {v} in {0} if {v}.isdigit())
3 s>s           | ''.join({v} for {v} in {0} if {v}.isupper())
3 s>s           | ''.join({v} for {v} in {0} if {v}.isalnum())
3 s>i           | sum({v}.isupper() for {v} in {0})
3 s>i           | sum({v}.isdigit() for {v} in {0})
3 s>i           | sum(int({v}) for {v} in {0} if {v}.isdigit())
3 s>i           | len(set({0}))
3 s>s           | ''.join({v} * 2 for {v} in {0})
2 s>d           | {{{v}: {0}.count({v}) for {v} in {0}}}
3 s>li          | [ord({v}) for {v} in {0}]
1 l*>i          | len({0})
1 l*>b          | not {0}
1 l*>=          | {0}[::-1]
1 l*>e          | {0}[0]
1 l*>e          | {0}[-1]
2 l*>=          | {0}[1:]
2 l*>=          | {0}[:-1]
2 l*>=          | {0}[::2]
2 l*>=          | {0}[1::2]
2 l* i>=        | {0}[:{1}]
2 l* i>=        | {0}[{1}:]
2 l* i>=        | {0}[-{1}:]
2 l* i>e        | {0}[{1}]
3 l* i>=        | {0}[{1}:] + {0}[:{1}]
3 l* i>=        | {0}[::{1}]
3 l* i>l* small | [{0}[{v}:{v} + {1}] for {v} in range(0, len({0}), {1})]
2 l* =>=        | {0} + {1}
2 l* e>b        | {1} in {0}
2 l* e>i        | {0}.count({1})
3 l* e>i        | {0}.index({1})
2 l* e>=        | [{v} for {v} in {0} if {v} != {1}]
2 l* e>=        | {0} + [{1}]
1 lh>=          | list(dict.fromkeys({0}))
2 lh>=          | sorted(set({0}))
2 lh>i          | len(set({0}))
2 lh>d          | {{{v}: {0}.count({v}) for {v} in {0}}}
3 lh>=          | [{v} for {v} in {0} if {0}.count({v}) > 1]
3 lh>=          | [{v} for {v} in {0} if {0}.count({v}) == 1]
3 lh>e          | max({0}, key={0}.count)
3 lh =>=        | [{v} for {v} in {0} if {v} in {1}]
3 lh =>=        | [{v} for {v} in {0} if {v} not in {1}]
3 l*>lt         | list(zip({0}, {0}[1:]))
3 l* l*>lt      | list(zip({0}, {1}))
3 l*>lt         | list(enumerate({0}))
2 l*>b          | {0} == {0}[::-1]
1 lo>=          | sorted({0})
1 lo>e          | max({0})
1 lo>e          | min({0})
2 lo>=          | sorted({0}, reverse=True)
2 lo>b          | {0} == sorted({0})
3 lo>e          | sorted({0})[1]
3 lo>e          | sorted({0})[-2]
3 lo>e          | sorted({0})[len({0}) // 2]
1 li>i          | sum({0})
1 li>li         | [{v} for {v} in {0} if {v} % 2 == 0]
1 li>li         | [{v} for {v} in {0} if {v} % 2 == 1]
1 li>li         | [{v} for {v} in {0} if {v} > 0]
1 li>li         | [{v} * {v} for {v} in {0}]
1 li i>li       | [{v} * {1} for {v} in {0}]
1 li i>li       | [{v} + {1} for {v} in {0}]
1 li i>li       | [{v} for {v} in {0} if {v} > {1}]
2 li i>li       | [{v} - {1} for {v} in {0}]
2 li i>li       | [{v} for {v} in {0} if {v} < {1}]
2 li i>li       | [{v} for {v} in {0} if {v} >= {1}]
2 li i>li       | [{v} for {v} in {0} if {v} % {1} == 0]
2 li i>li       | [{v} // {1} for {v} in {0}]
2 li i>li       | [{v} % {1} for {v} in {0}]
2 li i>li       | [min({v}, {1}) for {v} in {0}]
2 li i>li       | [max({v}, {1}) for {v} in {0}]
3 li i>i        | sum({v} > {1} for {v} in {0})
3 li i>li       | [{w} for {w}, {v} in enumerate({0}) if {v} == {1}]
3 li i>li       | [{w} for {w}, {v} in enumerate({0}) if {v} > {1}]
2 li>li         | [abs({v}) for {v} in {0}]
2 li>li         | [-{v} for {v} in {0}]
2 li>li         | [{v} for {v} in {0} if {v} < 0]
2 li>li         | [{v} for {v} in {0} if {v}]
2 li>i          | math.prod({0})
2 li>li         | [sum({0}[:{v} + 1]) for {v} in range(len({0}))]
2 li>li         | [max({0}[:{v} + 1]) for {v} in range(len({0}))]
2 li>li         | [{v} - {w} for {w}, {v} in zip({0}, {0}[1:])]
3 li>li         | [{v} + {w} for {w}, {v} in zip({0}, {0}[1:])]
3 li>li         | [{w} * {v} for {w}, {v} in enumerate({0})]
3 li li>li      | [{v} + {w} for {v}, {w} in zip({0}, {1})]
3 li li>li      | [{v} * {w} for {v}, {w} in zip({0}, {1})]
2 li>i          | max({0}) - min({0})
2 li>f          | sum({0}) / len({0})
3 li>i          | {0}.index(max({0}))
3 li>b          | all({v} > 0 for {v} in {0})
3 li>b          | any({v} < 0 for {v} in {0})
3 li>i          | sum({v} * {v} for {v} in {0})
3 li>s          | ''.join(map(str, {0}))
2 li>ls         | [str({v}) for {v} in {0}]
2 lf>f          | sum({0})
2 lf>f          | sum({0}) / len({0})
3 lf i>lf small | [round({v}, {1}) for {v} in {0}]
1 ls>s          | ' '.join({0})
1 ls>s          | ''.join({0})
2 ls s>s        | {1}.join({0})
1 ls>li         | [len({v}) for {v} in {0}]
1 ls>ls         | [{v}.upper() for {v} in {0}]
1 ls>ls         | [{v}[::-1] for {v} in {0}]
2 ls>ls         | [{v}.lower() for {v} in {0}]
2 ls>ls         | [{v}.capitalize() for {v} in {0}]
2 ls>ls         | [{v}.strip() for {v} in {0}]
2 ls>ls         | [{v}[:1] for {v} in {0}]
2 ls>ls         | [{v} for {v} in {0} if {v}]
2 ls>ls         | sorted({0}, key=len)
2 ls>s          | max({0}, key=len)
2 ls>s          | min({0}, key=len)
2 ls i>ls       | [{v} for {v} in {0} if len({v}) > {1}]
2 ls i>ls       | [{v} for {v} in {0} if len({v}) == {1}]
3 ls>li         | [int({v}) for {v} in {0}]
3 ls s>ls       | [{v} for {v} in {0} if {1} in {v}]
3 ls s>ls       | [{v} for {v} in {0} if {v}.startswith({1})]
3 ls s>lls      | [{v}.split({1}) for {v} in {0}]
3 ls>d          | {{{v}: len({v}) for {v} in {0}}}
1 ll*>e         | [{w} for {v} in {0} for {w} in {v}]
1 lli>li        | [sum({v}) for {v} in {0}]
2 lli>li        | [max({v}) for {v} in {0}]
2 lli>li        | [min({v}) for {v} in {0}]
2 ll*>li        | [len({v}) for {v} in {0}]
2 ll*>=         | [{v}[::-1] for {v} in {0}]
2 ll*>=         | [list({v}) for {v} in zip(*{0})]
2 ll*>e         | [{v}[0] for {v} in {0}]
2 ll*>e         | [{v}[-1] for {v} in {0}]
3 ll*>e         | [{v}[{w}] for {w}, {v} in enumerate({0})]
3 lls>d         | {{{v}[0]: {v}[1] for {v} in {0}}}
2 lt>l*         | [{v}[0] for {v} in {0}]
2 lt>l*         | [{v}[1] for {v} in {0}]
2 lt>d          | dict({0})
2 lt>lt         | sorted({0}, key=lambda {v}: {v}[1])
3 lt>li         | [{v}[0] * {v}[1] for {v} in {0}]
1 t>l*          | list({0})
1 t>*           | {0}[0]
1 t>*           | {0}[1]
1 d>l*          | list({0})
1 d>l*          | list({0}.values())
2 d>lt          | list({0}.items())
2 d>lt          | sorted({0}.items())
1 d>i           | len({0})
2 d *>*         | {0}.get({1})
3 d *>*         | {0}.get({1}, 0)
2 d>*           | max({0}, key={0}.get)
3 d>d           | {{{w}: {v} for {v}, {w} in {0}.items()}}
3 d i>d         | {{{v}: {w} for {v}, {w} in {0}.items() if {w} > {1}}}
3 d i>d         | {{{v}: {w} * {1} for {v}, {w} in {0}.items()}}
2 So>l*         | sorted({0})
1 S*>i          | len({0})
2 S* e>b        | {1} in {0}
2 S* =>=        | {0} | {1}
2 S* =>=        | {0} & {1}
2 S* =>=        | {0} - {1}
"""


def _block(line: str) -> Block:
    head, _, template = line.partition(" | ")
    cost, rest = head.split(maxsplit=1)
    shape, _, after = rest.partition(">")
    gives, *flags = after.split()
    takes = tuple(shape.split())
    source = template.format("a", "b", v="v", w="w")
    apply = eval(f"lambda {', '.join('ab'[: len(takes)])}: {source}", {"math": math})  # a constant
    atomic = not isinstance(parse(source, mode="eval").body, _LOOSE)
    return Block(template, takes, gives, int(cost), apply, bool(flags), atomic)


_LOOSE = (ast.BinOp, ast.BoolOp, ast.Compare, ast.UnaryOp, ast.IfExp)


@cache
def building_blocks() -> tuple[Block, ...]:
    """All building blocks, made when they are first needed."""
    return tuple(_block(line) for line in _TABLE.strip().splitlines())


def tag_of(value: object) -> str:
    """The tag of a value."""
    kind = type(value)
    if kind in _TAGS:
        return _TAGS[kind]
    if isinstance(value, list):
        return "l" + merge_tags([tag_of(item) for item in value[:20]])
    if isinstance(value, set | frozenset):
        return "S" + merge_tags([tag_of(item) for item in value])
    return "x"


_TAGS: dict[type, str] = {bool: "b", int: "i", float: "f", str: "s", bytes: "y", tuple: "t", dict: "d", type(None): "n"}


def merge_tags(tags: list[str]) -> str:
    """The tag that covers all of several: ``?`` of none, ``x`` of a mixture."""
    merged = "?"
    for tag in tags:
        merged = tag if merged == "?" or tag == merged else _merged(merged, tag)
    return merged


def _merged(a: str, b: str) -> str:
    if b == "?":
        return a
    if a[0] == b[0] and a[0] in "lS":
        return a[0] + merge_tags([a[1:], b[1:]])
    return "x"


@lru_cache(maxsize=4096)
def matches(pattern: str, tag: str, first: str = "") -> bool:
    """Whether a tag fits a pattern; ``e`` and ``=`` refer to the tag of the first argument."""
    match pattern:
        case "*":
            return True
        case "e":
            return tag == first[1:]
        case "=":
            return tag == first
        case "lh":
            return tag in ("li", "ls", "lb", "lf", "lt")
        case "lo":
            return tag in ("li", "ls", "lf", "lt")
        case "So":
            return tag in ("Si", "Ss", "Sf")
    if pattern.endswith("*"):
        return tag.startswith(pattern[:-1])
    return tag == pattern or (tag == "f" and pattern == "n")


@lru_cache(maxsize=512)
def blocks_for(tag: str) -> tuple[Block, ...]:
    """The blocks whose first argument may have a tag."""
    return tuple(block for block in building_blocks() if matches(block.takes[0], tag))


def fits(value: object) -> bool:
    """Whether a value is small enough to be searched on."""
    if isinstance(value, int):
        return value.bit_length() <= _MAX_BITS
    if isinstance(value, str):
        return len(value) <= _MAX_TEXT
    if isinstance(value, list | tuple | set | frozenset | dict):
        return len(value) <= _MAX_ITEMS and all(fits(item) for item in value)
    return True
