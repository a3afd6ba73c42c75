"""The problems that a sampler draws from, sorted by mode and bin, and decks of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from code_envs.curricula.bins import Bins, Placed, place_all
from code_envs.errors import ConfigError
from code_envs.problem import Mode, Problem

__all__ = ["Decks", "Mask", "Pool"]

Mask: TypeAlias = npt.NDArray[np.bool_]
Places: TypeAlias = npt.NDArray[np.int64]
Cell: TypeAlias = tuple[Mode, str | int]
_DECK = 2  # streams of one seed: 1 is that of the draws


class Pool:
    """A set of problems; each is known by its place in it. Problems may be added at its end.

    Args:
        problems: The problems; of equal ones the first counts.
        bins: How they are placed.

    Raises:
        ConfigError: There is no problem.
    """

    def __init__(self, problems: Iterable[Problem], bins: Bins) -> None:
        self.places: dict[str, int] = {}
        self.problems = [p for p in problems if self.places.setdefault(p.key, len(self.places)) == len(self.places) - 1]
        if not self.problems:
            raise ConfigError("a curriculum needs at least one problem")
        self.bins = bins
        self.placed: Placed = place_all(self.problems, bins)
        self.modes = tuple(mode for mode in Mode if any(problem.mode is mode for problem in self.problems))
        of_mode = np.array([problem.mode.value for problem in self.problems])
        self.of_mode: dict[Mode, Mask] = {mode: of_mode == mode.value for mode in self.modes}
        self.cells = self.sort(lambda place: self.placed.names[place])
        keys = "".join(problem.key for problem in self.problems)
        self.fingerprint = hashlib.sha256(keys.encode()).hexdigest()[:16]  # of the set that it began with

    def add(self, problem: Problem, name: str) -> int:
        """Add a problem at the end, in a bin.

        Returns:
            Its place.

        Raises:
            ConfigError: It is there already, or its mode is new.
        """
        if problem.key in self.places or problem.mode not in self.modes:
            raise ConfigError(f"problem {problem.key} cannot be added: it is there already, or its mode is new")
        place = self.places[problem.key] = len(self.problems)
        self.problems.append(problem)
        for mode, mask in self.of_mode.items():
            self.of_mode[mode] = np.append(mask, mode is problem.mode)
        self._name([*self.placed.names, name])
        self._put(place, name)
        return place

    def move(self, place: int, name: str) -> None:
        """Put a problem into another bin."""
        names = list(self.placed.names)
        cell = (self.problems[place].mode, names[place])
        self.cells[cell] = self.cells[cell][self.cells[cell] != place]
        names[place] = name
        self._name(names)
        self._put(place, name)

    def _put(self, place: int, name: str) -> None:
        cell = (self.problems[place].mode, name)
        self.cells[cell] = np.sort(np.append(self.cells.get(cell, np.array([], dtype=np.int64)), place))

    def _name(self, names: list[str]) -> None:
        found = Counter(names)
        counts = {name: found[name] for name in self.placed.counts}
        self.placed = msgspec.structs.replace(self.placed, names=tuple(names), counts=counts)

    def __len__(self) -> int:
        return len(self.problems)

    def sort(self, label: Callable[[int], str | int]) -> dict[Cell, Places]:
        """Sort the places by mode and a label, a function of the place."""
        found: dict[Cell, list[int]] = {}
        for place, problem in enumerate(self.problems):
            found.setdefault((problem.mode, label(place)), []).append(place)
        return {cell: np.array(places) for cell, places in found.items()}


class Decks:
    """A shuffled deck for each cell: every problem of a cell comes once before any comes again.

    Args:
        cells: The places that are in each cell.
        seed: The only source of randomness.
    """

    def __init__(self, cells: Mapping[Cell, Places], seed: int) -> None:
        self.cells, self.seed = cells, seed  # changes of the cells are noticed by renew
        self._numbers = {cell: number for number, cell in enumerate(cells)}
        self._rounds: dict[int, int] = dict.fromkeys(self._numbers.values(), 0)
        self._taken: dict[int, set[int]] = {number: set() for number in self._numbers.values()}
        self._orders: dict[int, list[int]] = {}
        self._heads: dict[int, int] = {}

    def take(self, cell: Cell, allowed: Mask | None) -> int | None:
        """Take the next problem of a cell; None if no problem of the cell is allowed."""
        number = self._numbers.get(cell)
        places = self.cells.get(cell, ())
        if number is None or not len(places) or (allowed is not None and not allowed[places].any()):
            return None
        place = self._next(cell, number, allowed)
        while place is None:  # what is left of this round is not allowed: begin the next
            self._begin(number)
            place = self._next(cell, number, allowed)
        self._taken[number].add(place)
        if len(self._taken[number]) == len(self.cells[cell]):
            self._begin(number)
        return place

    def renew(self) -> None:
        """Take note that problems came into cells, or left them; what was taken stays taken."""
        for cell, places in self.cells.items():
            number = self._numbers.setdefault(cell, len(self._numbers))
            self._rounds.setdefault(number, 0)
            self._taken[number] = self._taken.get(number, set()) & set(places.tolist())
            if len(places) and len(self._taken[number]) == len(places):
                self._begin(number)
        self._orders, self._heads = {}, {}

    def _begin(self, number: int) -> None:
        self._rounds[number] += 1
        self._taken[number] = set()
        self._orders.pop(number, None)

    def _next(self, cell: Cell, number: int, allowed: Mask | None) -> int | None:
        if number not in self._orders:
            rng = np.random.default_rng([self.seed, _DECK, self._rounds[number], number])
            self._orders[number], self._heads[number] = rng.permutation(self.cells[cell]).tolist(), 0
        order, taken = self._orders[number], self._taken[number]
        while self._heads[number] < len(order) and order[self._heads[number]] in taken:
            self._heads[number] += 1
        rest = range(self._heads[number], len(order))
        return next(
            (order[at] for at in rest if order[at] not in taken and (allowed is None or allowed[order[at]])), None
        )

    def state_dict(self) -> dict[str, Any]:
        """What was taken, JSON-serialisable."""
        taken = {str(number): sorted(places) for number, places in self._taken.items() if places}
        cells = [[mode, label] for mode, label in self._numbers]
        return {"rounds": list(self._rounds.values()), "taken": taken, "cells": cells}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self._numbers = {(Mode(mode), label): number for number, (mode, label) in enumerate(state["cells"])}
        self._rounds = dict(enumerate(state["rounds"]))
        self._taken = {number: set(state["taken"].get(str(number), ())) for number in self._rounds}
        self._orders, self._heads = {}, {}
