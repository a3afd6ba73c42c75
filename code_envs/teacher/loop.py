"""The multi-turn loop: a teacher makes a chain of problems by what a student did on each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from code_envs.errors import ConfigError, ProposalFailed, UnknownName
from code_envs.executor import Executor
from code_envs.measure import ATTEMPTS, measure
from code_envs.modes import Grade, Outcome
from code_envs.problem import Chain, Direction, Mode, Problem, Report
from code_envs.students.base import Student
from code_envs.teacher.base import Notes, TakesNotes, Target, Teacher

__all__ = ["STRATEGIES", "Strategy", "make_chain", "take_notes"]


class Strategy(msgspec.Struct, frozen=True, kw_only=True):
    """Where a chain starts, and which way it goes by the pass rate.

    Attributes:
        easier_up_to: Ease where the pass rate is not above this; where it is below the next target if None.
        harder_above: Harden where it is above this; where it is above the next target if None. In between, vary.
        level: The level to start at where none is asked for; None leaves it to the teacher.
        targets: The pass rates to aim at, from and to, turn by turn; the last one for all further turns.
    """

    easier_up_to: float | None = None
    harder_above: float | None = None
    level: int | None = None
    targets: tuple[Target, ...] = ((0.35, 0.65),)

    def target(self, turn: int) -> Target:
        """The pass rates to aim at in a turn, counted from 0."""
        return self.targets[min(turn, len(self.targets) - 1)]

    def direction(self, rate: float, turn: int) -> Direction:
        """Which way to go.

        Args:
            rate: The pass rate of the last problem, in [0, 1]; NaN (nothing scored) says nothing.
            turn: The turn of the next one, counted from 0.
        """
        if math.isnan(rate):
            return Direction.SIDEWAYS
        low, high = self.target(turn)
        too_hard = rate < low if self.easier_up_to is None else rate <= self.easier_up_to
        if too_hard:
            return Direction.EASIER
        high = high if self.harder_above is None else self.harder_above
        return Direction.HARDER if rate > high else Direction.SIDEWAYS


STRATEGIES: Mapping[str, Strategy] = {
    "stepping-stones": Strategy(easier_up_to=0.0, harder_above=0.65),
    "top-down": Strategy(level=8, targets=((0.05, 0.16), (0.41, 0.59), (0.81, 0.91))),
}
"""``stepping-stones`` is the paper's rule; ``top-down`` aims at a hard problem first, then at its medium and
its easy variant, and goes from what was measured towards each: harder where a problem came out too easy."""


def make_chain(
    teacher: Teacher,
    student: Student,
    executor: Executor,
    rng: np.random.Generator,
    *,
    mode: Mode | None = None,
    level: int | None = None,
    turns: int = 6,
    attempts: int = ATTEMPTS,
    chain_id: str = "",
    strategy: str = "stepping-stones",
    bands: Sequence[Target] = (),
) -> Chain:
    """Make one chain: propose, measure, then vary by the pass rate and measure again.

    Each problem carries its report in ``measurements``, and the teacher observes every scored
    attempt. A turn for which the teacher finds no variant in the wanted direction is tried once
    sideways, unless that was the direction; if that fails too, the chain ends there.

    Args:
        teacher: Makes the problems.
        student: Attempts them.
        executor: Grades the attempts.
        rng: The only source of randomness.
        mode: One of the teacher's modes; drawn if None.
        level: Where to start; the strategy's or the teacher's own choice if None.
        turns: How many problems at most.
        attempts: How often the student attempts each.
        chain_id: The id of the chain; the teacher's if empty.
        strategy: A name of :data:`STRATEGIES`.
        bands: Where measuring may stop early; see :func:`code_envs.measure.measure`.

    Returns:
        A chain of 1 to ``turns`` problems.

    Raises:
        ProposalFailed: The teacher found no first problem.
        UnknownName: There is no such strategy.
        ConfigError: ``turns`` is not positive.
    """
    if strategy not in STRATEGIES:
        raise UnknownName("strategy", strategy, STRATEGIES)
    if turns < 1:
        raise ConfigError(f"a chain needs at least one turn, not {turns}")
    plan = STRATEGIES[strategy]
    problem: Problem | None = teacher.propose(rng, plan.level if level is None else level, mode)
    assert problem is not None
    if chain_id:
        problem = problem.but(lineage=problem.lineage.but(chain=chain_id))
    problems: list[Problem] = []
    while problem is not None:
        report = measure(problem, student, executor, attempts, seed=int(rng.integers(1 << 32)), bands=bands)
        problems.append(problem.but(measurements=(*problem.measurements, report)))
        _teach(teacher, problem, report)
        problem = _vary(teacher, rng, problems, plan) if len(problems) < turns else None
    notes = take_notes(teacher)
    return Chain(id=problems[0].lineage.chain, problems=tuple(problems), seed=notes.seed, drafts=notes.drafts)


def take_notes(teacher: Teacher) -> Notes:
    """What a teacher kept about its last chain; nothing if it keeps nothing."""
    return teacher.take_notes() if isinstance(teacher, TakesNotes) else Notes()


def _teach(teacher: Teacher, problem: Problem, report: Report) -> None:
    for at in range(report.attempts):
        passed = at < report.passes
        teacher.observe(problem, Grade(outcome=Outcome.PASSED if passed else Outcome.WRONG, reward=float(passed)))


def _vary(teacher: Teacher, rng: np.random.Generator, problems: list[Problem], plan: Strategy) -> Problem | None:
    """The next problem: new in its chain, and not measured yet."""
    known, turn = {problem.key for problem in problems}, len(problems)
    wanted = plan.direction(problems[-1].measurements[-1].rate, turn)
    for direction in dict.fromkeys((wanted, Direction.SIDEWAYS)):
        try:
            varied = teacher.vary(rng, problems[-1], direction, plan.target(turn))
        except ProposalFailed:
            continue
        if varied.key not in known:
            return varied.but(measurements=())
    return None
