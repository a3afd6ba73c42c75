"""Induction by search: expressions from building blocks, cheapest first.

Two expressions that agree on every visible case count as one. The search is budgeted in
applications of blocks, not in time, so that it finds the same on every machine.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from code_envs.students.blocks import Block, blocks_for, fits, matches, merge_tags, tag_of
from code_envs.students.finishing import finish
from code_envs.syntax import parse
from code_envs.values import equal

__all__ = ["Found", "enumerate_programs"]

_DEAREST = 14  # the highest cost of an expression
_SECOND = 4  # the highest cost of a second argument
_CHANCE = 8  # what solves the cases likelier by chance counts as found this much later
_ENOUGH = 4  # consistent programs after which the search stops
_CONSTANTS: tuple[tuple[object, int], ...] = (
    *((1, 2), (2, 2), (0, 2), (3, 3), (10, 3), (-1, 4), (5, 4)),
    *((" ", 2), ("", 3)),
)
_SEPARATORS = ",-;:=_/|.\n"


@dataclass(frozen=True)
class Found:
    """A program that the search came across.

    Attributes:
        spent: How many applications had been tried by then.
        program: Its source.
        share: The share of the visible cases that it gets right.
    """

    spent: int
    program: str
    share: float


@dataclass(frozen=True)
class _Value:
    """An expression and what it gives in each case."""

    source: str
    atomic: bool
    tag: str
    results: tuple[object, ...]

    def written(self) -> str:
        return self.source if self.atomic else f"({self.source})"


_FAILED = object()


@dataclass
class _Search:
    names: Sequence[str]
    goals: tuple[object, ...]
    budget: int
    variables: tuple[str, str]
    spent: int = 0
    best: int = -1
    solved: int = 0
    found: list[tuple[int, str, float]] = field(default_factory=list)
    parameters: list[_Value] = field(default_factory=list)
    known: set[object] = field(default_factory=set)
    values: dict[int, dict[str, list[_Value]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    partial: dict[int, str] = field(default_factory=dict)  # which cases are right -> the first such expression
    tests: dict[int, str] = field(default_factory=dict)  # which cases are true -> the first such condition

    def __post_init__(self) -> None:
        self.goal_tag = merge_tags([tag_of(goal) for goal in self.goals])
        self.all = (1 << len(self.goals)) - 1

    def done(self) -> bool:
        return self.spent >= self.budget or self.solved >= _ENOUGH

    # --- what an expression is worth

    def check(self, source: str, results: Sequence[object]) -> None:
        """Compare with the goals; note a solution, an improvement, or a part of one."""
        right = 0
        for place, (goal, got) in enumerate(zip(self.goals, results, strict=True)):
            if got is not _FAILED and type(got) is type(goal) and equal(goal, got):
                right |= 1 << place
        if right:
            self.partial.setdefault(right, source)
        if right == self.all:
            whole = all(name in source for name in self.names)
            self.solved += whole
            self.found.append((self.spent if whole else _CHANCE * self.spent, source, 1.0))
            return
        if right.bit_count() > self.best:
            self.best = right.bit_count()
            self.found.append((self.spent, source, right.bit_count() / len(self.goals)))
        finished = finish(source, results, self.goals, self.variables[0])
        if finished:
            self.solved += 1
            self.found.append((self.spent, finished, 1.0))

    def add(self, cost: int, value: _Value) -> None:
        """Keep a value unless one that agrees with it is known, and look one step ahead from it."""
        mark = _mark(value)
        if mark in self.known:
            return
        self.known.add(mark)
        self.values[cost][value.tag].append(value)
        if self.may_be_goal(value.tag):
            self.check(value.written(), value.results)
        if value.tag == "b":
            self.add_test(value)
        self.look_ahead(value)

    def look_ahead(self, value: _Value) -> None:
        """Apply what may give the goal: blocks of one argument, or with a parameter as the second one."""
        for block in blocks_for(value.tag):
            if self.done() or not self.may_give_goal(block, value.tag):
                continue
            rest = self.parameters if len(block.takes) == 2 else [None]
            for second in rest:
                if second is None:
                    self.try_goal(block, value)
                elif matches(block.takes[1], second.tag, value.tag):
                    self.try_goal(block, value, second)

    def try_goal(self, block: Block, *values: _Value) -> None:
        self.spent += 1
        calls = zip(*(value.results for value in values), strict=True)
        source = self.compose(block, *values)
        self.check(source if block.atomic else f"({source})", [_applied(block, *arguments) for arguments in calls])

    def may_be_goal(self, tag: str) -> bool:
        return tag == self.goal_tag or tag.endswith("?") or self.goal_tag in ("x", "lx")

    def may_give_goal(self, block: Block, tag: str) -> bool:
        gives = block.gives
        gives = tag if gives == "=" else tag[1:] if gives == "e" else gives
        return matches(gives, self.goal_tag) or self.may_be_goal(gives)

    def add_test(self, value: _Value) -> None:
        """Try the new condition to tell cases apart that two known expressions get right."""
        mask = sum(1 << place for place, holds in enumerate(value.results) if holds)
        if mask in (0, self.all) or mask in self.tests:
            return
        self.tests[mask] = value.source
        yes = next((source for right, source in self.partial.items() if right & mask == mask), None)
        no = next((source for right, source in self.partial.items() if right | mask == self.all), None)
        self.spent += 1
        if yes and no:
            self.found.append((_CHANCE * self.spent, f"{yes} if {value.source} else {no}", 1.0))

    # --- how expressions are made

    def compose(self, block: Block, *values: _Value) -> str:
        v, w = self.variables
        return block.template.format(*(value.written() for value in values), v=v, w=w)

    def apply(self, cost: int, block: Block, *values: _Value) -> None:
        self.spent += 1
        results = []
        for arguments in zip(*(value.results for value in values), strict=True):
            result = _applied(block, *arguments)
            if result is _FAILED:
                return
            results.append(result)
        tag = merge_tags([tag_of(result) for result in results])
        self.add(cost, _Value(self.compose(block, *values), block.atomic, tag, tuple(results)))

    def run(self) -> None:
        for cost in range(2, _DEAREST + 1):
            for block, values in self.candidates(cost):
                if self.done():
                    return
                self.apply(cost, block, *values)

    def candidates(self, cost: int) -> Iterator[tuple[Block, tuple[_Value, ...]]]:
        for inner in range(cost - 1, 0, -1):
            for tag, values in list(self.values[inner].items()):
                for block in blocks_for(tag):
                    left = cost - inner - block.cost
                    if len(block.takes) == 1 and left == 0:
                        yield from ((block, (value,)) for value in values)
                    elif len(block.takes) == 2 and 0 < left <= _SECOND:
                        seconds = self.fitting(left, block.takes[1], tag)
                        yield from ((block, (value, second)) for value in values for second in seconds)

    def fitting(self, cost: int, pattern: str, first: str) -> list[_Value]:
        groups = self.values[cost].items()
        return [value for tag, values in list(groups) if matches(pattern, tag, first) for value in values]


def _applied(block: Block, *arguments: object) -> object:
    if not block.admits(*arguments):
        return _FAILED
    try:
        result = block.apply(*arguments)
    except Exception:  # any block may fail on any value
        return _FAILED
    return result if fits(result) else _FAILED


def _mark(value: _Value) -> object:
    """What two values share exactly if they agree on every case, types included."""
    if "S" in value.tag or any("{" in repr(result)[:1] for result in value.results):
        return value.tag, tuple(_canonical(result) for result in value.results)
    return repr(value.results)


def _canonical(value: object) -> object:
    if isinstance(value, set | frozenset):
        return tuple(sorted(map(repr, value)))
    if isinstance(value, dict):
        return tuple((repr(key), repr(item)) for key, item in value.items())
    return repr(value)


def enumerate_programs(
    entry: str, names: Sequence[str], calls: Sequence[Sequence[object]], goals: Sequence[object], budget: int
) -> list[Found]:
    """Search for programs that give the goals.

    Args:
        entry: The name of the function to define.
        names: The names of its parameters.
        calls: The arguments of each visible case.
        goals: The result of each visible case.
        budget: How many applications of blocks to try.

    Returns:
        Every improvement in order, up to the first programs that are right in all cases.
    """
    fresh = [name for name in ("v", "w", "item", "other") if name not in names]
    search = _Search(names, tuple(goals), budget, (fresh[0], fresh[1]))
    for place, name in enumerate(names):
        results = tuple(call[place] for call in calls)
        search.parameters.append(_Value(name, True, merge_tags([tag_of(result) for result in results]), results))
    for value in search.parameters:
        search.add(1, value)
    for constant, cost in _constants(calls, goals):
        atomic = not (isinstance(constant, int) and constant < 0)
        search.add(cost, _Value(repr(constant), atomic, tag_of(constant), (constant,) * len(calls)))
    search.run()
    found = sorted(search.found, key=lambda one: one[0])
    return [Found(spent, _program(entry, names, source), share) for spent, source, share in found]


def _constants(calls: Sequence[Sequence[object]], goals: Sequence[object]) -> Iterator[tuple[object, int]]:
    shown = repr((calls, goals))
    yield from _CONSTANTS
    yield from (
        (mark, 2) for mark in _SEPARATORS if mark in shown and any(mark in text for text in _texts(calls, goals))
    )
    yield from ((goal, 3) for goal in {repr(goal): goal for goal in goals}.values() if type(goal) in (int, str, bool))
    empty: tuple[object, ...] = ([], {}, None, True, False)
    kinds = {type(goal) for goal in goals}
    yield from ((value, 3) for value in empty if type(value) in kinds)


def _texts(*values: object) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from _texts(*value)


def _program(entry: str, names: Sequence[str], source: str) -> str:
    header = "import math\n\n\n" if "math." in source else ""
    body = parse(source, mode="eval")  # drops parentheses around the whole
    return f"{header}def {entry}({', '.join(names)}):\n    return {ast.get_source_segment(source, body.body)}\n"
