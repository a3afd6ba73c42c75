"""Splitting problems into some to train on and some to evaluate on: siblings, and what shows the same, never part."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import NoReturn

import numpy as np

from code_envs.errors import ConfigError
from code_envs.hashes import HashTable, hash_of
from code_envs.modes import rules
from code_envs.problem import Chain, Problem

__all__ = ["Split", "each_problem", "split_problems"]


def split_problems(
    records: Iterable[Problem | Chain], eval_share: float, seed: int = 0, relatives: Iterable[Chain] = ()
) -> tuple[list[Problem], list[Problem]]:
    """Split problems into some to train on and some to evaluate on.

    Siblings never part: problems of one chain, and of chains that share a problem, land on the
    same side. So do problems that show a student the same, such as two of abduction with other gold
    arguments, and their chains.

    Args:
        records: Problems or chains.
        eval_share: The share to evaluate on, in [0, 1); families are taken until it is reached.
        seed: Shuffles the families.
        relatives: Chains that problems which were left out belong to; they join families, too.

    Returns:
        The problems to train on and those to evaluate on, each in their order.

    Raises:
        ConfigError: The share is out of range.
    """
    sides: tuple[list[Problem], list[Problem]] = [], []
    for problem, held_out in Split(records, eval_share, seed, relatives):
        sides[held_out].append(problem)
    return sides


class Split:
    """Problems, each once and with its side, in order; as :func:`split_problems`, but holds some 100 bytes of each.

    Args:
        records: Problems or chains. They are gone through once here, unless the share is 0, and once whenever
            this is: what can be gone through only once is held as a list.
        eval_share: As in :func:`split_problems`.
        seed: Likewise.
        relatives: Likewise; gone through once.

    Raises:
        ConfigError: The share is out of range.
    """

    def __init__(
        self, records: Iterable[Problem | Chain], eval_share: float, seed: int = 0, relatives: Iterable[Chain] = ()
    ) -> None:
        if not 0 <= eval_share < 1:
            raise ConfigError(f"eval_share is {eval_share}; it must be at least 0 and below 1")
        self._records = list(records) if isinstance(records, Iterator) else records
        self._families, self._share = _Families(), eval_share
        self._chosen = self._choose(eval_share, seed, relatives) if eval_share else set()

    def __iter__(self) -> Iterator[tuple[Problem, bool]]:
        """Hand out each problem, and whether it is held out to evaluate on."""
        seen = HashTable()
        for problem in each_problem(self._records):
            code = int(problem.key, 16)
            if seen.add_new(code):
                yield problem, bool(self._chosen) and self._families.of(code) in self._chosen

    @property
    def holds_out(self) -> bool:
        """Whether any problem is held out."""
        return bool(self._chosen)

    def check(self, nothing: str) -> None:
        """See that there is something to train on, and to evaluate on if that was asked for.

        Args:
            nothing: What to say if there is no problem at all.

        Raises:
            ConfigError: There is not.
        """
        if not any(self.side(held_out=False)):
            if not self.holds_out:
                raise ConfigError(nothing)
            self._refuse("leaves none to train on", "a smaller one")
        if self._share and not self.holds_out:
            self._refuse("holds none out", "a larger one, or 0 to train on all")

    def _refuse(self, fault: str, instead: str) -> NoReturn:
        count = sum(1 for _ in self)
        raise ConfigError(
            f"an eval_share of {self._share:g} of {count} problems {fault}, as chains stay whole: give {instead}"
        )

    def side(self, *, held_out: bool) -> Iterator[Problem]:
        """Hand out the problems of one side."""
        return (problem for problem, out in self if out == held_out)

    def _choose(self, eval_share: float, seed: int, relatives: Iterable[Chain]) -> set[int]:
        """The families to hold out."""
        places = self._families.add(self._records)  # of each problem its number
        self._families.add(relatives)
        sizes: dict[int, int] = {}
        for place in places:
            family = self._families.top(place)
            sizes[family] = sizes.get(family, 0) + 1
        names, chosen = array("i", sizes), set()
        missing = round(eval_share * len(places))
        for place in np.random.default_rng([seed]).permutation(len(names)):
            if sizes[names[place]] <= missing:
                chosen.add(names[place])
                missing -= sizes[names[place]]
        return chosen


class _Families:
    """What is joined by a chain, a parent or what a student sees; numbered, as a forest of who is above whom."""

    def __init__(self) -> None:
        self._numbers, self._above = HashTable(), array("i")

    def add(self, records: Iterable[Problem | Chain]) -> array[int]:
        """Join problems with their relatives; returns the numbers of those that are new here, in order."""
        places, seen = array("i"), HashTable()
        for problem in each_problem(records):
            code, lineage = int(problem.key, 16), problem.lineage
            own = self._number(code)
            if seen.add_new(code):
                places.append(own)
            for relative in (
                int(rules(problem.mode).view(problem).key, 16),  # the same for all that show the same
                *([hash_of(f"chain {lineage.chain}")] if lineage.chain else []),
                *([int(lineage.parent, 16)] if lineage.parent else []),
            ):
                self._above[self.top(self._number(relative))] = self.top(own)
        return places

    def of(self, code: int) -> int:
        """The family of a problem."""
        return self.top(self._number(code))

    def top(self, number: int) -> int:
        above = self._above
        while above[number] != number:
            above[number] = above[above[number]]  # halve the path
            number = above[number]
        return number

    def _number(self, code: int) -> int:
        for number in self._numbers.find(code):
            return number
        self._above.append(len(self._above))
        return self._numbers.add(code)


def each_problem(records: Iterable[Problem | Chain]) -> Iterator[Problem]:
    """The problems of records in order; a chain stands for its own."""
    for record in records:
        yield from record.problems if isinstance(record, Chain) else (record,)
