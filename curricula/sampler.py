"""The sampler: one sequence of problems, for every way out.

It is a curriculum for ``gym.make(..., curriculum=sampler)``; ``ordered.py`` writes its sequence into
a file, and ``service.py`` hands it out on request. The ``i``-th problem depends on the seed, on ``i``
and on what was reported before, never on who asks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from code_envs.curricula.adaptive import FailureFirst, Learnability
from code_envs.curricula.bandit import Bandit
from code_envs.curricula.bins import Bins, load_bins
from code_envs.curricula.filters import ChainOrder, Filter, VarianceFilter
from code_envs.curricula.history import History
from code_envs.curricula.policies import ByLevel, Growing, Policy, Scheduled, draw
from code_envs.curricula.pool import Mask, Pool
from code_envs.curricula.schedules import SCHEDULES, Schedule, load_modes, load_schedule
from code_envs.curricula.target_rate import TargetRate
from code_envs.envs.curriculum import Curriculum
from code_envs.envs.sources import read_problems
from code_envs.errors import ConfigError, UnknownName
from code_envs.modes.base import Grade
from code_envs.problem import Mode, Problem

__all__ = ["POLICIES", "Draw", "Sampler"]

_DRAW, _ANY = 1, 5  # streams of one seed: 2 is that of the decks, 3 that of simulations, 4 that of teachers


def _levels(pool: Pool) -> set[int]:
    return {problem.lineage.level for problem in pool.problems}


POLICIES: dict[str, Callable[[Pool], Policy]] = {
    "target-rate": lambda pool: ByLevel(TargetRate(modes=pool.modes)),
    "bandit": lambda pool: ByLevel(Bandit(pool.modes, _levels(pool))),
    "learnability": lambda _: Learnability(),
    "failure-first": lambda _: FailureFirst(),
}
"""The adaptive policies by name; the schedules are ``SCHEDULES``."""


class Draw(msgspec.Struct, frozen=True, kw_only=True):
    """One problem of the sequence.

    Attributes:
        index: Its place in the sequence, from 0.
        step: The training step that it belongs to.
        bin: Its bin, or why it is in none.
        problem: The problem.
    """

    index: int
    step: int
    bin: str
    problem: Problem


class Sampler:
    """Decides which problem of a fixed set comes next.

    Args:
        problems: The problems: a file of JSON lines, a run folder, a list, a Hugging Face dataset.
        policy: What decides: the name of a schedule (``SCHEDULES``) or of an adaptive policy
            (``POLICIES``), a path of a schedule as TOML, or a schedule, a policy or a curriculum
            over modes and levels itself.
        steps: How many training steps there are; schedules need it.
        batch_size: How many problems a step takes.
        group_size: How many attempts each problem gets: ``choose`` hands it out that often in a row.
        bins: The bins: a preset, a path, or bins; the schedule's own if None, else ``chain``.
        modes: The weights of the modes: a preset, a path, weights by mode, or a schedule; all
            modes that there are alike if None.
        chain_order: ``easy-first`` or ``hard-first``: shows siblings in that order.
        rest: For how many steps a problem rests after a group without variance; 0 for never.
        starved: ``refuse`` a schedule that asks for a bin without problems, or ``skip`` such bins.
        seed: The only source of randomness.

    Raises:
        UnknownName: A name is not known; names the nearest one.
        ConfigError: An argument cannot be used, or a bin that the schedule asks for is starved.
        ProblemError: Something in the problems is not a problem.
    """

    def __init__(
        self,
        problems: str | os.PathLike[str] | Iterable[object],
        policy: str | Path | Schedule | Policy | Curriculum = "soft",
        *,
        steps: int | None = None,
        batch_size: int = 1,
        group_size: int = 1,
        bins: str | Path | Bins | None = None,
        modes: str | Path | Mapping[str, float] | Schedule | None = None,
        chain_order: str | None = None,
        rest: int = 0,
        starved: str = "refuse",
        seed: int = 0,
    ) -> None:
        for name, value in (("batch_size", batch_size), ("group_size", group_size), ("steps", steps or 1)):
            if value < 1:
                raise ConfigError(f"{name} must be positive, not {value}")
        if starved not in ("refuse", "skip"):
            raise UnknownName("value of 'starved'", starved, ["refuse", "skip"])
        given = bins if isinstance(bins, Bins) or bins is None else load_bins(bins)
        schedule = _schedule(policy, given)
        self.pool = Pool(read_problems(problems), given or (schedule and schedule.bins) or load_bins("chain"))
        self.problems = self.pool.problems
        self.steps, self.batch_size, self.group_size, self.seed = steps, batch_size, group_size, seed
        self.policy = _policy(policy, schedule, self.pool, steps)
        self.policy.begin(self.pool, seed)
        self.modes = self._mode_weights(modes)
        self.filters: list[Filter] = [ChainOrder(chain_order)] if chain_order else []
        if rest:
            self.filters.append(VarianceFilter(group_size, rest))
        self._begin_filters()
        if starved == "refuse":
            self._refuse_starved()
        self.history = History()
        self.index = self.fallbacks = self._left = 0
        self._current = 0
        self._began_with = len(self.pool)
        self._added: list[str] = []
        self._moved: dict[int, str] = {}  # the bins of those of the first set that left their first one
        self.retired: set[int] = set()

    def _begin_filters(self) -> None:
        eligible = self._eligible()
        for filter_ in self.filters:
            filter_.begin(self.pool, eligible)

    def _mode_weights(self, modes: str | Path | Mapping[str, float] | Schedule | None) -> Schedule:
        if modes is not None and self.policy.picks_modes:
            raise ConfigError("this policy chooses the modes itself: give their weights to it instead of modes=")
        if isinstance(modes, Schedule):
            if modes.bins is not None:
                raise ConfigError(f"modes={modes.name!r} is a schedule over bins; give one over modes")
            return modes
        return load_modes(dict.fromkeys(self.pool.modes, 1.0) if modes is None else modes)

    def _stages(self) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
        """The weights of modes and bins in every stretch of a schedule where both are fixed."""
        assert isinstance(self.policy, Scheduled)
        steps, schedule, last = self.policy.steps, self.policy.schedule, None
        for step in range(steps):
            weights = self.modes.weights(step, steps), schedule.weights(step, steps)
            if weights != last:
                yield weights
            last = weights

    def starved(self) -> dict[tuple[str, str], float]:
        """The (mode, bin) cells that are asked for but hold no problem.

        Returns:
            For each the largest weight that it ever has. Without a schedule only modes are asked for.
        """
        if not isinstance(self.policy, Scheduled):
            asked = [(name, weight) for stage in self.modes.stages for name, weight in stage.weights.items()]
            return {(name, "any bin"): weight for name, weight in asked if weight > 0 and name not in self.pool.modes}
        found: dict[tuple[str, str], float] = {}
        for modes, bins in self._stages():
            for mode, of_mode in modes.items():
                for name, of_bin in bins.items():
                    if of_mode * of_bin > 0 and (mode, name) not in self.pool.cells:
                        found[mode, name] = max(found.get((mode, name), 0.0), of_mode * of_bin)
        return found

    def _refuse_starved(self) -> None:
        starved = [f"{mode} {name}" for mode, name in self.starved()]
        if starved:
            counts = ", ".join(f"{count} {name}" for name, count in self.pool.placed.counts.items())
            raise ConfigError(
                f"no problem for {', '.join(starved)}, which the curriculum asks for (there are {counts}); "
                "add problems, change modes= or bins=, or pass starved='skip'"
            )

    def _eligible(self) -> Mask:
        """Which problems the policy can ever show."""
        eligible = np.ones(len(self.pool), dtype=np.bool_)
        if isinstance(self.policy, Scheduled):
            wanted = {name for _, bins in self._stages() for name, weight in bins.items() if weight > 0}
            eligible &= np.array([name in wanted for name in self.pool.placed.names])
        return eligible

    def change(
        self,
        added: Sequence[tuple[Problem, str]] = (),
        moved: Mapping[int, str] | None = None,
        retired: Iterable[int] = (),
    ) -> None:
        """Change the set of problems: the sequence goes on with the changed one.

        Args:
            added: New problems of the set's modes, each with its bin.
            moved: New bins, by place.
            retired: Places that are never shown again.

        Raises:
            ConfigError: The policy cannot take in new problems, or one of them is there already.
        """
        if not isinstance(self.policy, Growing):
            raise ConfigError(f"the policy {type(self.policy).__name__} has no method grow: its problems are fixed")
        for problem, name in added:
            self.pool.add(problem, name)
        for place, name in (moved or {}).items():
            self.pool.move(place, name)
        self._added += [problem.to_json() for problem, _ in added]
        self._moved |= {place: name for place, name in (moved or {}).items() if place < self._began_with}
        self.retired |= set(retired)
        self.policy.grow(self.pool)
        eligible = self._eligible()
        for filter_ in self.filters:
            filter_.grow(self.pool, eligible)

    @property
    def step(self) -> int:
        """The training step that the next problem belongs to."""
        return self.index // self.batch_size

    def draw(self, *, fallback: bool = False) -> Draw:
        """Take the next problem of the sequence.

        Args:
            fallback: Where no problem that the policy asks for may be shown, take any that is not
                retired instead of failing.

        Raises:
            ConfigError: No problem that the policy asks for may be shown.
        """
        try:
            place, step = self._pick(), self.step
        except ConfigError:
            left = [place for place in range(len(self.pool)) if place not in self.retired]
            if not fallback or not left:
                raise
            self.fallbacks += 1
            place, step = int(np.random.default_rng([self.seed, _ANY, self.index]).choice(left)), self.step
        problem = self.problems[place]
        for filter_ in self.filters:
            filter_.show(place, step)
        self.history.show(step, problem.mode, self._kind(place))
        drawn = Draw(index=self.index, step=step, bin=self.pool.placed.names[place], problem=problem)
        self.index += 1
        return drawn

    def _kind(self, place: int) -> str:
        by_level = isinstance(self.policy, ByLevel)
        return f"level {self.problems[place].lineage.level}" if by_level else self.pool.placed.names[place]

    def _pick(self) -> int:
        rng = np.random.default_rng([self.seed, _DRAW, self.index])
        hard = [each for each in self.filters if not each.soft]
        for filters in (self.filters, hard) if len(hard) < len(self.filters) else (self.filters,):
            allowed = self._active()
            for each in filters:
                own = each.allowed(self.step)
                allowed = own if allowed is None else allowed & own
            place = self._pick_among(rng, allowed)
            if place is not None:
                return place
        why = "chain_order holds all of them back" if self.filters else "there is none"
        raise ConfigError(f"step {self.step}: no problem to show that the curriculum asks for here: {why}")

    def _active(self) -> Mask | None:
        if not self.retired:
            return None
        active = np.ones(len(self.pool), dtype=np.bool_)
        active[list(self.retired)] = False
        return active

    def _pick_among(self, rng: np.random.Generator, allowed: Mask | None) -> int | None:
        if self.policy.picks_modes:
            return self.policy.pick(rng, self.step, None, allowed)
        weights = self.modes.weights(self.step, self.steps or self.step + 1)
        left = {Mode(name): weight for name, weight in weights.items() if weight > 0 and name in self.pool.modes}
        while left:  # a mode without a problem to show leaves its weight to the others
            mode = draw(rng, left)
            place = self.policy.pick(rng, self.step, mode, allowed)
            if place is not None:
                return place
            del left[mode]
        return None

    def __iter__(self) -> Iterator[Draw]:
        """Draw up to the last step; without end if ``steps`` is not known."""
        while self.steps is None or self.step < self.steps:
            yield self.draw()

    def choose(self, rng: np.random.Generator) -> Problem:  # noqa: ARG002
        """Hand out the next attempt's problem; see :class:`code_envs.envs.Curriculum`.

        The sampler's own seed decides, not the environment's.
        """
        if not self._left:
            self._current, self._left = self.pool.places[self.draw().problem.key], self.group_size
        self._left -= 1
        return self.problems[self._current]

    def observe(self, problem: Problem, grade: Grade) -> None:
        """Take note of one graded attempt; problems that are not of this set say nothing."""
        place = self.pool.places.get(problem.key)
        if place is None:
            return
        step = max(self.index - 1, 0) // self.batch_size
        for filter_ in self.filters:
            filter_.observe(place, grade, step)
        if grade.scored:
            self.policy.observe(place, grade)
            self.history.grade(step, problem.mode, self._kind(place), grade.passed)

    def _identity(self) -> dict[str, Any]:
        """What two samplers share whose sequences are the same."""
        scheduled = isinstance(self.policy, Scheduled)
        name = self.policy.schedule.name if isinstance(self.policy, Scheduled) else type(self.policy).__name__
        return {
            "problems": self.pool.fingerprint,
            "policy": name,
            "seed": self.seed,
            "steps": self.steps if scheduled else None,
            "batch_size": self.batch_size,
            "group_size": self.group_size,
            "filters": [type(filter_).__name__ for filter_ in self.filters],
        }

    def state_dict(self) -> dict[str, Any]:
        """The position and everything that was learnt, JSON-serialisable."""
        return {
            "sampler": self._identity(),
            "index": self.index,
            "fallbacks": self.fallbacks,
            "added": self._with_bins(),
            "moved": {str(place): name for place, name in self._moved.items()},
            "retired": sorted(self.retired),
            "left": self._left,
            "current": self._current,
            "policy": self.policy.state_dict(),
            "filters": [filter_.state_dict() for filter_ in self.filters],
            "history": self.history.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned; the sequence goes on as if never interrupted.

        Raises:
            ConfigError: It is the state of another sampler; says what differs. Nothing is changed then.
        """
        found = state.get("sampler", {})
        for name, own in self._identity().items():
            if found.get(name) != own:
                raise ConfigError(f"the state is that of a sampler with other {name}: {found.get(name)}, not {own}")
        before = self.state_dict()
        try:
            self._restore(state)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            self._restore(before)
            raise ConfigError(f"the state does not fit this sampler: {error}") from error

    def _with_bins(self) -> list[list[str]]:
        """The problems that were added, each with its bin."""
        names = self.pool.placed.names[self._began_with :]
        return [[text, name] for text, name in zip(self._added, names, strict=True)]

    def _restore_set(self, state: Mapping[str, Any]) -> None:
        """Make the set anew where it is not the one of the state."""
        moved = {int(place): name for place, name in state["moved"].items()}
        if self._with_bins() == state["added"] and self._moved == moved:
            return
        self.pool = Pool(self.problems[: self._began_with], self.pool.bins)
        self.problems, self._added, self._moved = self.pool.problems, [], {}
        self.policy.begin(self.pool, self.seed)
        self._begin_filters()
        self.change([(Problem.from_json(text), name) for text, name in state["added"]], moved)

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._restore_set(state)
        self.retired, self.fallbacks = {int(place) for place in state["retired"]}, int(state["fallbacks"])
        self.policy.load_state_dict(state["policy"])
        for filter_, own_state in zip(self.filters, state["filters"], strict=True):
            filter_.load_state_dict(own_state)
        self.history.load_state_dict(state["history"])
        self.index, self._left, self._current = int(state["index"]), int(state["left"]), int(state["current"])


def _schedule(policy: object, bins: Bins | None) -> Schedule | None:
    if isinstance(policy, Schedule):
        return policy if bins is None else msgspec.structs.replace(policy, bins=bins)
    if not isinstance(policy, str | os.PathLike):
        return None
    if isinstance(policy, str) and not policy.endswith(".toml"):
        if policy in POLICIES:
            return None
        if policy not in SCHEDULES:
            raise UnknownName("curriculum", policy, [*SCHEDULES, *POLICIES])
    return load_schedule(Path(policy) if not isinstance(policy, str) else policy, bins)


def _policy(policy: object, schedule: Schedule | None, pool: Pool, steps: int | None) -> Policy:
    if schedule is not None:
        if schedule.bins is None:
            raise ConfigError(f"{schedule.name!r} is a schedule over modes: give it as modes=")
        if steps is None:
            raise ConfigError(f"the schedule {schedule.name!r} needs steps=: how many training steps there are")
        return Scheduled(schedule, steps)
    if isinstance(policy, str):
        return POLICIES[policy](pool)
    if isinstance(policy, Policy):
        return policy
    if isinstance(policy, Curriculum):
        return ByLevel(policy)
    raise ConfigError(f"policy must be a name, a schedule, a policy or a curriculum, not {policy!r:.60}")
