"""Which siblings a chain needs: none of its problems is in the policy's range any more, or one is outgrown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from code_envs.curricula.beliefs import Belief, Beliefs, Replies
from code_envs.errors import ConfigError
from code_envs.measure import KEEP
from code_envs.problem import Direction, Problem, Report

__all__ = ["Answer", "OnlineSettings", "Siblings", "Wish", "chain_of"]

_LONGEST_REST = 1024  # steps after which a teacher that failed is asked again


class OnlineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an online service does with grades.

    Attributes:
        half_life: Training steps in which what is known of a pass rate loses half of its weight.
        harder_above: A problem is too easy above this pass rate.
        easier_up_to: It is too hard up to this one; half a pass counts as none.
        target: The pass rates that the teacher is asked to aim at, from and to.
        keep: A problem below or above these, or with less than half a pass or a failure to its name, is
            retired once its easier or harder sibling is there.
        evidence: How many attempts a problem must have had before it is judged.
        pending: How many siblings may be on their way at a time.
        most: How many siblings are added at most.
        workers: Threads that teachers work in.
        timeout: Seconds that a teacher may take for one sibling.
        patience: Training steps after which a group that is not complete is not waited for any more.
        rebin: Whether problems change bins as the believed pass rate does; else only new ones get one.
        save_every: How many reports there are between two states on disk.

    Raises:
        ConfigError: A number is out of range.
    """

    half_life: float = 50.0
    harder_above: float = 0.65
    easier_up_to: float = 0.0
    target: tuple[float, float] = (0.35, 0.65)
    keep: tuple[float, float] = KEEP
    evidence: int = 8
    pending: int = 8
    most: int = 10_000
    workers: int = 1
    timeout: float = 900.0
    patience: int = 16
    rebin: bool = False
    save_every: int = 1000

    def __post_init__(self) -> None:
        for name in ("half_life", "evidence", "pending", "workers", "timeout", "patience", "save_every"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be positive, not {getattr(self, name)}")
        if self.most < 0:
            raise ConfigError(f"most must not be negative, but is {self.most}")
        if not 0 <= self.easier_up_to < self.harder_above <= 1:
            raise ConfigError(
                "easier_up_to must lie below harder_above, both in [0, 1], "
                f"not {self.easier_up_to} and {self.harder_above}"
            )
        for name in ("target", "keep"):
            low, high = getattr(self, name)
            if not 0 <= low < high <= 1:
                raise ConfigError(f"{name} must go from a lower to a higher pass rate in [0, 1], not {low} to {high}")

    def direction(self, belief: Belief) -> Direction:
        """Which way a chain has to go from a problem; sideways where it is in range."""
        if belief.rate > self.harder_above:
            return Direction.HARDER
        return Direction.EASIER if belief.rate <= self.easier_up_to + self.half(belief) else Direction.SIDEWAYS

    def half(self, belief: Belief) -> float:
        """The share of half an attempt: what is left of an old pass, or failure, counts as none."""
        return 0.5 / max(belief.attempts, self.evidence)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A sibling that is wanted.

    Attributes:
        number: Wishes are numbered through, from 0.
        chain: The chain.
        key: The problem to vary.
        direction: Harder or easier.
        report: What the policy did on it.
    """

    number: int
    chain: str
    key: str
    direction: Direction
    report: Report

    def fit(self, varied: Problem, parent: Problem) -> Problem:
        """Give a sibling its place in the chain.

        Raises:
            ConfigError: It is the parent again, or of another mode.
        """
        if varied.key == parent.key or varied.mode is not parent.mode:
            raise ConfigError("the teacher gave the problem itself again, or one of another mode")
        place = {"chain": self.chain, "parent": parent.key, "turn": parent.lineage.turn + 1}
        return varied.but(lineage=varied.lineage.but(**place, direction=self.direction), measurements=())


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a wish: a problem, or why there is none."""

    number: int
    problem: Problem | None = None
    error: str = ""


def chain_of(problem: Problem) -> str:
    """The chain that a problem belongs to; one without is a chain of its own."""
    return problem.lineage.chain or problem.key


class Siblings:
    """Decides which siblings are wanted and which problems are outgrown.

    A chain wants a sibling when none of its problems is in range and none is untried. It is made
    harder from the hardest of those that are too easy, or else easier from the easiest of the others.

    Args:
        settings: What too easy and too hard mean.
        problems: Those that there are.
    """

    def __init__(self, settings: OnlineSettings, problems: Iterable[Problem]) -> None:
        self.settings = settings
        self.pending: dict[int, Wish] = {}
        self.made = self._next = 0
        self._failures: dict[tuple[str, str], tuple[int, int]] = {}  # how many, and the step to try again
        self._chains: dict[tuple[str, str], list[Problem]] = {}
        self._varied: set[tuple[str, str]] = set()  # problems and directions in which they have a sibling
        for problem in problems:
            self.add(problem)

    def add(self, problem: Problem) -> None:
        """Take in a problem of the set."""
        self._chains.setdefault((chain_of(problem), problem.mode), []).append(problem)
        self._varied.add((problem.lineage.parent, problem.lineage.direction))

    def wish(
        self, of: Problem, beliefs: Beliefs, replies: Replies, step: int, is_retired: Callable[[Problem], bool]
    ) -> Wish | None:
        """The sibling that a problem's chain wants now, if any; it is pending then."""
        full = len(self.pending) >= self.settings.pending or self.made + len(self.pending) >= self.settings.most
        chain = (chain_of(of), of.mode)
        if full or any(wish.chain == chain[0] for wish in self.pending.values()):
            return None
        members = [(each, beliefs.of(each.key, step)) for each in self._chains[chain] if not is_retired(each)]
        found = self._from_which([(each, belief) for each, belief in members if belief is not None])
        if found is None or any(belief is None or belief.tried < self.settings.evidence for _, belief in members):
            return None  # one that is not known yet may be what is missing
        problem, direction, belief = found
        again = self._failures.get((problem.key, direction), (0, 0))[1]
        if step < again or (problem.key, direction) in self._varied:
            return None
        report = replies.report(problem.key, belief, self.settings.evidence)
        wish = Wish(number=self._next, chain=chain[0], key=problem.key, direction=direction, report=report)
        self.pending[wish.number], self._next = wish, self._next + 1
        return wish

    def _from_which(self, members: list[tuple[Problem, Belief]]) -> tuple[Problem, Direction, Belief] | None:
        ways = {direction: [] for direction in Direction}  # type: dict[Direction, list[tuple[Problem, Belief]]]
        for problem, belief in members:
            ways[self.settings.direction(belief)].append((problem, belief))
        if ways[Direction.SIDEWAYS] or not members:
            return None
        if ways[Direction.HARDER]:
            problem, belief = min(ways[Direction.HARDER], key=lambda one: (one[1].rate, -one[0].lineage.level))
            return problem, Direction.HARDER, belief
        problem, belief = max(ways[Direction.EASIER], key=lambda one: (one[1].rate, -one[0].lineage.level))
        return problem, Direction.EASIER, belief

    def settle(self, answer: Answer, step: int, is_there: Callable[[Problem], bool]) -> Problem | None:
        """Take an answer: the new problem, or a rest for the wish that doubles with every failure."""
        wish = self.pending.pop(answer.number)
        if answer.problem is not None and not is_there(answer.problem):
            self.made += 1
            return answer.problem
        count = self._failures.get((wish.key, wish.direction), (0, 0))[0] + 1
        self._failures[wish.key, wish.direction] = count, step + min(2**count, _LONGEST_REST)
        return None

    def outgrown(self, problem: Problem, belief: Belief | None) -> bool:
        """Whether a problem says nothing any more, and has a sibling that takes its place."""
        if belief is None or belief.tried < self.settings.evidence:
            return False
        (low, high), half = self.settings.keep, self.settings.half(belief)
        if belief.rate > min(high, 1 - half):
            return (problem.key, Direction.HARDER) in self._varied
        return belief.rate < max(low, half) and (problem.key, Direction.EASIER) in self._varied

    def state_dict(self) -> dict[str, Any]:
        """Everything but the problems, JSON-serialisable."""
        return {
            "pending": msgspec.to_builtins(list(self.pending.values())),
            "made": self.made,
            "next": self._next,
            "failures": [[*which, *how] for which, how in self._failures.items()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.pending = {wish.number: wish for wish in msgspec.convert(state["pending"], list[Wish])}
        self.made, self._next = int(state["made"]), int(state["next"])
        self._failures = {(key, way): (count, step) for key, way, count, step in state["failures"]}
