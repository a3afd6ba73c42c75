"""The harvest teacher: real, pure functions become problems of all four modes, their logic untouched.

Nothing of the harvested source is ever imported, or run outside of the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from code_envs.errors import ConfigError, ProposalFailed
from code_envs.executor import Executor, shared_executor
from code_envs.modes import validate
from code_envs.modes.base import Grade
from code_envs.problem import Direction, Lineage, Mode, Problem
from code_envs.teacher.adaptive import RateTracker
from code_envs.teacher.base import LEVELS, Target
from code_envs.teacher.harvest_fuzzing import find_faults, fuzzing_problem
from code_envs.teacher.harvest_pool import Pool, build_pool
from code_envs.teacher.harvest_problems import abduction_problem, deduction_problem, induction_problem, reading_size
from code_envs.teacher.harvest_scan import Candidate, may_qualify, scan_module
from code_envs.teacher.harvest_words import summary
from code_envs.teacher.planting import Fault
from code_envs.teacher.seeds import SeedSource, TreeSource

__all__ = ["HarvestTeacher", "harvest"]

_FUNCTIONS = 40  # tried for one problem
_WORDLESS = 2  # levels that a function without documentation is set back by, in fuzzing
_TRIES = 3  # problems drawn from one function
_SIZES = {
    Direction.START: (0.2, 0.7),
    Direction.HARDER: (0.6, 1.0),
    Direction.EASIER: (0.0, 0.4),
    Direction.SIDEWAYS: (0.0, 1.0),
}
_EXAMPLES = {Direction.START: 6, Direction.HARDER: 5, Direction.EASIER: 9, Direction.SIDEWAYS: 6}
_CHANGES = {
    Mode.INDUCTION: {Direction.HARDER: "fewer examples", Direction.EASIER: "more examples"},
    Mode.FUZZING: {
        Direction.HARDER: "rarer fault",
        Direction.EASIER: "commoner fault",
        Direction.SIDEWAYS: "other fault",
    },
}
_INPUT_CHANGES = {
    Direction.HARDER: "larger input",
    Direction.EASIER: "smaller input",
    Direction.SIDEWAYS: "other input",
}


def harvest(source: SeedSource) -> tuple[Candidate, ...]:
    """List the functions of a source that qualify statically, by file and line.

    The functions of a tree of files are kept for the process.
    """
    if isinstance(source, TreeSource):
        return _harvest_tree(source.root.resolve(), source.label, source.licence)
    return _scan(source)


@lru_cache(maxsize=8)
def _harvest_tree(root: Path, label: str, licence: str) -> tuple[Candidate, ...]:
    source = TreeSource(root, licence)
    source.label = label
    return _scan(source)


def _scan(source: SeedSource) -> tuple[Candidate, ...]:
    found: dict[tuple[str, str], Candidate] = {}
    for unit in source:
        if not may_qualify(unit.text):
            continue
        for candidate in scan_module(unit.text, unit.origin, unit.licence).values():
            if isinstance(candidate, Candidate):  # copies of one function count once
                found.setdefault((candidate.name, candidate.program), candidate)
    return tuple(found.values())


class _Order(NamedTuple):
    """What kind of problem to make about a function; with a parent, how to differ from it."""

    candidate: Candidate
    mode: Mode
    direction: Direction = Direction.START
    parent: Problem | None = None


class HarvestTeacher:
    """Proposes problems about pure functions that it finds in real code.

    A function's level is how much there is to follow in it; within a function, larger inputs, fewer
    examples and rarer faults are harder. Both are corrected by what students did (:meth:`observe`).

    Args:
        source: Where the code comes from; the running interpreter's standard library if None.
        executor: Runs the functions; the process' shared one if None.
        target: The pass rate to aim at when no level is asked for, in [0, 1].
    """

    name = "harvest"
    modes = tuple(Mode)

    def __init__(self, source: SeedSource | None = None, executor: Executor | None = None, target: float = 0.5) -> None:
        self.source = TreeSource() if source is None else source
        self.executor = executor
        self.target = target
        self.tracker = RateTracker()
        self._pools: dict[str, Pool | None] = {}
        self._faults: dict[str, list[Fault]] = {}

    def propose(self, rng: np.random.Generator, level: int | None = None, mode: Mode | None = None) -> Problem:
        """Turn a function into the first problem of a chain; see :meth:`.base.Teacher.propose`.

        Raises:
            ProposalFailed: None of the functions tried made a valid problem.
            ConfigError: There is no such level.
        """
        mode = Mode(mode) if mode else self.modes[rng.integers(len(self.modes))]
        if level is None:
            level = self.choose_level(rng, mode)
        if not 0 <= level < LEVELS:
            raise ConfigError(f"there is no level {level}: levels run from 0 to {LEVELS - 1}")
        chain = f"{self.name}-{mode}-{rng.integers(1 << 62):016x}"
        for candidate in self._near(rng, level, mode):
            problem = self._make(rng, _Order(candidate, mode))
            if problem:
                return self._with_lineage(
                    problem, candidate, Lineage(chain=chain, change=candidate.name, level=candidate.level)
                )
        raise ProposalFailed(f"none of {_FUNCTIONS} functions near level {level} made a valid {mode} problem")

    def choose_level(self, rng: np.random.Generator, mode: Mode) -> int:
        """Choose the level whose pass rate lies nearest to the target; see :class:`.adaptive.RateTracker`."""
        return self.tracker.choose_level(rng, mode, self.target)

    def vary(
        self,
        rng: np.random.Generator,
        problem: Problem,
        direction: Direction,
        target: Target | None = None,  # noqa: ARG002 — the direction decides
    ) -> Problem:
        """Ask about the same function with other inputs, else about a related one; see :meth:`.base.Teacher.vary`.

        Raises:
            ProposalFailed: No variant was valid, or the problem is not about a function of this source.
        """
        direction = Direction(direction)
        before = problem.lineage
        own = [item for item in harvest(self.source) if (item.name, item.origin) == (problem.entry, before.origin)]
        if not own:
            raise ProposalFailed(f"{problem.entry!r} of {before.origin or 'no known origin'} is not in this source")
        step = {Direction.HARDER: 1, Direction.EASIER: -1}.get(direction, 0)
        level = min(max(before.level + step, 0), LEVELS - 1)
        change = _CHANGES.get(problem.mode, {}).get(direction, _INPUT_CHANGES.get(direction, "other input"))
        for candidate in (own[0], *self._related(rng, own[0], direction)):
            same = candidate is own[0]
            varied = self._make(rng, _Order(candidate, problem.mode, direction, problem if same else None))
            if varied:
                lineage = before.but(
                    parent=problem.key,
                    turn=before.turn + 1,
                    direction=direction,
                    change=change if same else f"related function {candidate.name}",
                    level=level,
                )
                return self._with_lineage(varied, candidate, lineage)
        raise ProposalFailed(f"no {direction} variant of {problem.entry!r} was valid")

    def observe(self, problem: Problem, grade: Grade) -> None:
        """Take note of one graded attempt; unscored ones say nothing."""
        self.tracker.take(problem, grade)

    def state_dict(self) -> dict[str, Any]:
        """What was observed, JSON-serialisable."""
        return self.tracker.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.tracker.load_state_dict(state)

    def _with_lineage(self, problem: Problem, candidate: Candidate, lineage: Lineage) -> Problem:
        where = lineage.but(teacher=self.name, origin=candidate.origin, licence=candidate.licence)
        return problem.but(lineage=where, tags=("harvest",))

    def _near(self, rng: np.random.Generator, level: int, mode: Mode) -> Iterator[Candidate]:
        """Functions in random order, those nearest to the level first; a bounded number.

        Most fuzzing problems need a specification: functions without documentation come later there.
        """
        known = harvest(self.source)

        def distance(place: int) -> int:
            wordless = mode is Mode.FUZZING and not summary(known[place])
            return abs(known[place].level - level) + (_WORDLESS if wordless else 0)

        order = sorted(rng.permutation(len(known)).tolist(), key=distance)
        yield from (known[place] for place in order[:_FUNCTIONS])

    def _related(self, rng: np.random.Generator, own: Candidate, direction: Direction) -> list[Candidate]:
        """Other functions of the same module that are harder or easier to follow, the nearest first."""
        sign = {Direction.HARDER: 1, Direction.EASIER: -1}.get(direction)
        others = [item for item in harvest(self.source) if item.module == own.module and item is not own]
        if sign:
            fitting = [item for item in others if sign * (item.score - own.score) > 0]
            return sorted(fitting, key=lambda item: abs(item.score - own.score))
        return [others[place] for place in rng.permutation(len(others))]

    def _make(self, rng: np.random.Generator, order: _Order) -> Problem | None:
        """Make a valid problem; None where no draft is one."""
        executor = self.executor or shared_executor()
        pool = self._pool(order.candidate, executor)
        for problem in self._drafts(rng, order, pool, executor) if pool else ():
            if (order.parent is None or self._goes(problem, order)) and not validate(problem, executor):
                return problem
        return None

    def _drafts(self, rng: np.random.Generator, order: _Order, pool: Pool, executor: Executor) -> Iterator[Problem]:
        """Problems that are not validated yet."""
        candidate, mode = order.candidate, order.mode
        if mode is Mode.FUZZING:
            faults = self._faults_of(candidate, pool, executor)
            for fault in (faults[place] for place in rng.permutation(len(faults))):
                yield from (fuzzing_problem(candidate, pool, fault, witness) for witness in fault.witnesses)
            return
        low, high = _SIZES[order.direction]
        for _ in range(_TRIES):
            size = float(rng.uniform(low, high))
            problem: Problem | None
            if mode is Mode.INDUCTION:
                problem = induction_problem(candidate, pool, rng, _EXAMPLES[order.direction], executor)
            elif mode is Mode.DEDUCTION:
                problem = deduction_problem(candidate, pool, rng, size)
            else:
                problem = abduction_problem(candidate, pool, rng, size, executor)
            if problem:
                yield problem

    def _goes(self, problem: Problem, order: _Order) -> bool:
        """Whether a draft is another problem than its parent, in the direction that was asked for."""
        parent = order.parent
        assert parent is not None
        if problem.key == parent.key:
            return False
        step = {Direction.HARDER: 1, Direction.EASIER: -1}.get(order.direction)
        return step is None or step * (self._hardness(problem, order) - self._hardness(parent, order)) > 0

    def _hardness(self, problem: Problem, order: _Order) -> float:
        """What makes one problem about a function harder than another: only its order means anything."""
        if problem.mode is Mode.FUZZING:
            faults = self._faults.get(order.candidate.origin, [])
            return -next((fault.rate for fault in faults if problem.witness in fault.witnesses), 0.0)
        return -len(problem.cases) if problem.mode is Mode.INDUCTION else reading_size(problem)

    def _pool(self, candidate: Candidate, executor: Executor) -> Pool | None:
        if candidate.origin not in self._pools:
            self._pools[candidate.origin] = build_pool(candidate, self.source, executor)
        return self._pools[candidate.origin]

    def _faults_of(self, candidate: Candidate, pool: Pool, executor: Executor) -> list[Fault]:
        if candidate.origin not in self._faults:
            self._faults[candidate.origin] = find_faults(candidate, pool, executor)
        return self._faults[candidate.origin]
