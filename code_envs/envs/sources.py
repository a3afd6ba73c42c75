"""Where the problems of an environment come from: a teacher, or a fixed list."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec
import numpy as np

from code_envs.errors import ConfigError, ProblemError, ProposalFailed
from code_envs.executor import Executor
from code_envs.modes import Grade
from code_envs.problem import Mode, Problem, load_problems
from code_envs.teacher.base import LEVELS, Teacher

__all__ = ["ProblemList", "Source", "TeacherSource", "read_problem", "read_problems"]

_TRIES = 4  # streams that a seed may use before its proposal counts as failed
_REMEMBERED = 512
_COLUMNS = ("problem", "record", "json")
_DRAW, _PROPOSE = 0, 1  # streams of one seed


@runtime_checkable
class Source(Protocol):
    """Hands out problems."""

    modes: tuple[Mode, ...]

    def pick(self, seed: int, modes: Sequence[Mode], level: int | None, adapt: bool) -> Problem:
        """Choose or make a problem.

        Args:
            seed: The only source of randomness.
            modes: Which modes it may have.
            level: The level it should have, if that matters.
            adapt: Whether what was observed may steer the level; if not, the result depends on
                the other arguments alone.
        """
        ...

    def find(self, key: str) -> Problem | None:
        """Look a problem up by its content key."""
        ...

    def observe(self, problem: Problem, grade: Grade) -> None:
        """Take note of one graded attempt at a problem of this source."""
        ...


class _Memory:
    """The last results by key; whoever asks while one is being made waits for it.

    A group of attempts resets many environments with one seed: they share one proposal.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.clear()
        os.register_at_fork(after_in_child=self.clear)  # a fork may hold the lock, or miss who makes a result

    def clear(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, Future[tuple[object, Problem]]] = OrderedDict()

    def get(self, key: Hashable, owner: object, make: Callable[[], Problem]) -> Problem:
        """Return what is remembered; make it first if nothing is. The owner lives as long as the entry."""
        with self._lock:
            entry = self._entries.get(key)
            if mine := entry is None:
                entry = self._entries[key] = Future()
            self._entries.move_to_end(key)
            while len(self._entries) > self.size:
                self._entries.popitem(last=False)
        assert entry is not None
        if mine:
            try:
                entry.set_result((owner, make()))
            except BaseException as error:
                with self._lock:
                    self._entries.pop(key, None)
                entry.set_exception(error)
        return entry.result()[1]

    def find(self, key: str) -> Problem | None:
        with self._lock:
            entries = list(self._entries.values())
        done = (entry.result()[1] for entry in entries if entry.done() and not entry.exception())
        return next((problem for problem in done if problem.key == key), None)


_proposals = _Memory(_REMEMBERED)


class TeacherSource:
    """Problems that a teacher makes up.

    Args:
        teacher: Its name, or the teacher itself.
        executor: Where a teacher made by name runs programs.

    Raises:
        UnknownName: There is no teacher of that name.
    """

    def __init__(self, teacher: str | Teacher, executor: Executor) -> None:
        self.teacher = _teacher_named(teacher, executor) if isinstance(teacher, str) else teacher
        self.modes = tuple(self.teacher.modes)
        # the same name and limits make the same problems, whichever instance is asked
        self._identity = (teacher, executor.limits) if isinstance(teacher, str) else (id(teacher),)

    def pick(self, seed: int, modes: Sequence[Mode], level: int | None, adapt: bool) -> Problem:
        """Propose a problem; see :class:`Source`.

        Raises:
            ProposalFailed: The teacher found none, on any of several streams of the seed.
        """
        rng = np.random.default_rng([seed, _DRAW])
        mode = modes[int(rng.integers(len(modes)))]
        if level is None:
            level = self.teacher.choose_level(rng, mode) if adapt else int(rng.integers(LEVELS))
        key = (*self._identity, seed, mode, level)
        return _proposals.get(key, self.teacher, lambda: self._propose(seed, mode, level))

    def _propose(self, seed: int, mode: Mode, level: int) -> Problem:
        for attempt in range(_TRIES - 1):
            try:
                return self.teacher.propose(np.random.default_rng([seed, _PROPOSE, attempt]), level, mode)
            except ProposalFailed:
                continue
        return self.teacher.propose(np.random.default_rng([seed, _PROPOSE, _TRIES]), level, mode)

    def find(self, key: str) -> Problem | None:
        """Look among the problems that were lately proposed in this process."""
        return _proposals.find(key)

    def observe(self, problem: Problem, grade: Grade) -> None:
        """Tell the teacher."""
        self.teacher.observe(problem, grade)


def _teacher_named(name: str, executor: Executor) -> Teacher:
    from code_envs.teacher import make_teacher  # the teachers load only where one is wanted

    return make_teacher(name, executor)


class ProblemList:
    """A fixed list of problems.

    Args:
        problems: What :func:`read_problems` takes.

    Raises:
        ConfigError: There is no problem in it.
        ProblemError: Something in it is not a problem.
    """

    def __init__(self, problems: str | os.PathLike[str] | Iterable[object]) -> None:
        self.problems = read_problems(problems)
        if not self.problems:
            raise ConfigError("there is no problem in the list: give at least one")
        found = {problem.mode for problem in self.problems}
        self.modes = tuple(mode for mode in Mode if mode in found)
        self._keys = {problem.key: problem for problem in self.problems}
        self._pools: dict[tuple[Mode, ...], dict[int | None, list[Problem]]] = {}

    def pick(self, seed: int, modes: Sequence[Mode], level: int | None, adapt: bool) -> Problem:  # noqa: ARG002
        """Draw a problem, all alike; where none has the level, one of the nearest. See :class:`Source`."""
        pools = self._by_level(tuple(modes))
        pool = pools[None] if level is None else pools[_nearest(level, pools)]
        return pool[int(np.random.default_rng([seed, _DRAW]).integers(len(pool)))]

    def _by_level(self, modes: tuple[Mode, ...]) -> dict[int | None, list[Problem]]:
        if modes not in self._pools:
            pools: dict[int | None, list[Problem]] = {None: [p for p in self.problems if p.mode in modes]}
            for problem in pools[None]:
                pools.setdefault(problem.lineage.level, []).append(problem)
            self._pools[modes] = pools
        return self._pools[modes]

    def find(self, key: str) -> Problem | None:
        """Look a problem up by its content key."""
        return self._keys.get(key)

    def observe(self, problem: Problem, grade: Grade) -> None:
        """A list learns nothing."""


def _nearest(level: int, levels: Iterable[int | None]) -> int:
    return min((there for there in levels if there is not None), key=lambda there: (abs(there - level), there))


def read_problems(problems: str | os.PathLike[str] | Iterable[object]) -> list[Problem]:
    """Read problems from wherever they are.

    Args:
        problems: A file of JSON lines or a run folder, or anything that yields problems, their
            JSON, or mappings: a Hugging Face dataset, for example.

    Raises:
        ProblemError: Something in it is not a problem, or a folder holds none; says where.
        FileNotFoundError: There is no such file.
    """
    if isinstance(problems, str | os.PathLike):
        return list(load_problems(Path(problems)))
    found = []
    for number, row in enumerate(problems):
        try:
            found.append(read_problem(row))
        except ProblemError as error:
            raise ProblemError(f"problem {number} of the list: {error}") from error
    return found


def read_problem(row: object) -> Problem:
    """Read one problem.

    Args:
        row: A problem, its JSON, or a mapping with either its JSON in a column called ``problem``,
            ``record`` or ``json``, or its fields; other columns are passed over.

    Raises:
        ProblemError: It is not a problem.
    """
    if isinstance(row, Problem):
        return row
    if isinstance(row, str | bytes):
        return Problem.from_json(row)
    if not isinstance(row, Mapping):
        raise ProblemError(f"neither a problem nor its JSON nor a mapping, but {type(row).__name__}")
    for column in _COLUMNS:
        if isinstance(row.get(column), str | bytes):
            return Problem.from_json(row[column])
    return _from_fields({name: row[name] for name in Problem.__struct_fields__ if row.get(name) is not None})


def _from_fields(fields: dict[str, Any]) -> Problem:
    try:
        return msgspec.convert(fields, Problem)
    except msgspec.ValidationError as error:
        raise ProblemError(f"not a valid Problem: {error}") from error
