"""Abduction and fuzzing by search: probes and random arguments first, then changes of the best ones.

The candidates of a problem are made and run once, in rounds. An attempt looks at them in its own
order, round by round, as far as its budget goes, and answers with the best that it saw.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import numpy as np

from code_envs.errors import ProblemError, ValueRefused
from code_envs.executor import Execution, Job, Limits, Status
from code_envs.problem import PRECONDITION, PROPERTY, Mode, Problem
from code_envs.programs.inputs import Arguments, vary_arguments
from code_envs.programs.mutants import mutants
from code_envs.programs.source import literals_of
from code_envs.students.baselines import guess_arguments
from code_envs.values import decode, encode, encode_literal, parse_literal, same_result, write_literal

__all__ = ["Prey", "hunt", "pick_prey"]

_ROUND = 96  # candidates in one round
_ROUNDS = 7
_PARENTS = 12
_RIVALS = 8  # mutants that stand for the hidden reference
_LIMITS = Limits(cpu_seconds=1.0)

Runs = Generator[list[Job], Sequence[Sequence[Execution]], list[list["Prey"]]]


@dataclass(frozen=True, order=True)
class Prey:
    """Arguments and how good they seem.

    Attributes:
        score: 1 if they answer the problem, else less, in [0, 1).
        arguments: The arguments.
    """

    score: float
    arguments: Arguments = field(compare=False)


def hunt(view: Problem, rng: np.random.Generator) -> Runs:
    """Search arguments that answer an abduction or fuzzing problem.

    Args:
        view: The problem, as the student sees it.
        rng: The only source of randomness.

    Yields:
        The jobs to run; send their executions.

    Returns:
        The candidates, round by round; the last round that was made holds the first answers.
    """
    try:
        first = [_tuple(text) for text in guess_arguments(view, rng, _ROUND)]
        constants = literals_of(f"{view.program}\n\n{view.property}\n\n{view.precondition}")
        rivals = _rivals(view, rng)
    except ProblemError:
        return []
    rounds: list[list[Prey]] = []
    seen: set[bytes] = set()
    fresh = _fresh(first, seen)
    while fresh:
        calls = [encode(values, ordered=True) for values in fresh]
        executions = yield _jobs(view, calls, rivals)
        scores = _scores(view, executions, len(fresh))
        rounds.append([Prey(score, values) for score, values in zip(scores, fresh, strict=True)])
        if len(rounds) == (2 if rivals else _ROUNDS) or max(scores) >= 1.0:
            break
        fresh = _fresh(_children([prey for made in rounds for prey in made], constants, rng), seen)
    return rounds


def pick_prey(rounds: Sequence[Sequence[Prey]], budget: int, rng: np.random.Generator) -> str:
    """Look at candidates in a random order, round by round, and take the best.

    Args:
        rounds: What :func:`hunt` returned.
        budget: How many candidates are looked at; at least one is.
        rng: Orders each round.

    Returns:
        A tuple literal; empty if there is no candidate.
    """
    best: Prey | None = None
    left = max(1, budget)
    for made in rounds:
        for index in rng.permutation(len(made))[:left]:
            if best is None or made[index] > best:
                best = made[index]
        left -= len(made)
        if left <= 0:
            break
    return write_literal(best.arguments) if best else ""


def _tuple(text: str) -> Arguments:
    values = parse_literal(text)
    assert isinstance(values, tuple)
    return values


def _fresh(candidates: Sequence[Arguments], seen: set[bytes]) -> list[Arguments]:
    found = []
    for values in candidates:
        try:
            code = encode(values, ordered=True)
        except ValueRefused:
            continue
        if code not in seen:
            seen.add(code)
            found.append(values)
    return found


# --- running ----------------------------------------------------------------------------------


def _rivals(view: Problem, rng: np.random.Generator) -> list[str]:
    """Mutants of a faulty program: where they differ from it, the hidden reference may differ, too."""
    if not view.differential:
        return []
    return [mutant.program for mutant in mutants(view.program, view.entry, rng, _RIVALS)]


def _jobs(view: Problem, calls: list[bytes], rivals: Sequence[str]) -> list[Job]:
    """The precondition's job, if there is one, then the program's or the property's, then the rivals'."""
    jobs = []
    if view.precondition:
        jobs.append(Job(program=view.precondition, entry=PRECONDITION, calls=calls, limits=_LIMITS))
    if view.property:
        program = f"{view.program}\n\n{view.property}"
        return [*jobs, Job(program=program, entry=PROPERTY, calls=calls, limits=_LIMITS)]
    runs = [Job(program=text, entry=view.entry, calls=calls, limits=_LIMITS) for text in (view.program, *rivals)]
    return [*jobs, *runs]


def _scores(view: Problem, executions: Sequence[Sequence[Execution]], count: int) -> list[float]:
    allowed = [True] * count
    if view.precondition:
        allowed = [execution.ok and execution.value == b"T" for execution in executions[0]]
        executions = executions[1:]
    if view.mode is Mode.ABDUCTION:
        scores = _abduction_scores(view, executions[0])
        return [score if fine else 0.2 * score for score, fine in zip(scores, allowed, strict=True)]
    if view.property:
        found = [_falsified(execution) for execution in executions[0]]
        return [(1.0 if hit else 0.5) if fine else 0.0 for hit, fine in zip(found, allowed, strict=True)]
    return [
        _disagreement(each) if fine else 0.0 for each, fine in zip(zip(*executions, strict=True), allowed, strict=True)
    ]


def _falsified(execution: Execution) -> bool:
    return execution.status is Status.RAISED and execution.exception == "AssertionError"


def _disagreement(executions: Sequence[Execution]) -> float:
    """How many of the rivals do something else than the program does: below 1, since none is certain."""
    own, *others = executions
    differ = sum((own.status, own.value) != (other.status, other.value) for other in others)
    return 0.3 + 0.6 * differ / max(1, len(others))


def _abduction_scores(view: Problem, executions: Sequence[Execution]) -> list[float]:
    wanted = encode_literal(view.cases[0].result)
    target = decode(wanted)
    scores = []
    for execution in executions:
        if not execution.ok:
            scores.append(0.0)
        elif same_result(wanted, execution.value):
            scores.append(1.0)
        else:
            scores.append(0.95 * _closeness(target, _decoded(execution.value)))
    return scores


def _decoded(code: bytes) -> object:
    try:
        return decode(code)
    except ValueRefused:  # the program forged it
        return None


def _closeness(target: object, got: object) -> float:
    """How alike two values are, in [0, 1]; a rough guide uphill, no equality."""
    if type(target) is not type(got):
        return 0.0
    match target, got:
        case (int() | float(), int() | float()):
            gap = abs(target - got)
            return 1.0 if gap == 0 else 0.9 / (1.0 + math.log1p(min(gap, 1e300)))
        case (str() | bytes() | list() | tuple(), _):
            return _sequence_closeness(target, got)  # type: ignore[arg-type]
        case (dict() | set() | frozenset(), _):
            left, right = _members(target), _members(got)
            return 0.2 + 0.7 * len(left & right) / max(1, len(left | right))
    return 1.0 if target == got else 0.1


def _members(value: object) -> set[bytes]:
    parts = value.items() if isinstance(value, dict) else value
    return {encode(part) for part in parts}  # type: ignore[attr-defined]


def _sequence_closeness(target: Sequence[object], got: Sequence[object]) -> float:
    size, longest = min(len(target), len(got), 60), max(len(target), len(got))
    if longest == 0:
        return 1.0
    texts = isinstance(target, str | bytes)
    alike = sum(float(a == b) if texts else _closeness(a, b) for a, b in zip(target[:size], got[:size], strict=True))
    return 0.1 + 0.3 * min(len(target), len(got)) / longest + 0.5 * alike / min(longest, 60)


# --- next candidates --------------------------------------------------------------------------


def _children(made: Sequence[Prey], constants: Sequence[object], rng: np.random.Generator) -> list[Arguments]:
    """Changes of the best candidates; of ties, a random choice."""
    order = rng.permutation(len(made))
    parents = sorted((made[index] for index in order), key=lambda prey: -prey.score)[:_PARENTS]
    children = []
    for _ in range(_ROUND):
        # the better ones more often
        parent = parents[min(int(rng.integers(len(parents))), int(rng.integers(len(parents))))]
        child = parent.arguments
        for _ in range(int(rng.integers(1, 4))):
            child = _with_constant(child, constants, rng) if rng.random() < 0.3 else vary_arguments(child, rng)
        children.append(child)
    return children


def _with_constant(arguments: Arguments, constants: Sequence[object], rng: np.random.Generator) -> Arguments:
    """Put a value of the source, or one beside it, in the place of an argument or of one of its items."""
    if not arguments:
        return arguments
    place = int(rng.integers(len(arguments)))
    return (*arguments[:place], _replaced(arguments[place], constants, rng), *arguments[place + 1 :])


def _replaced(value: object, constants: Sequence[object], rng: np.random.Generator) -> object:
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = int(rng.integers(len(value)))
        return [*value[:at], _replaced(value[at], constants, rng), *value[at + 1 :]]
    fitting = [constant for constant in constants if type(constant) is type(value)]
    if not fitting:
        return value
    constant = fitting[int(rng.integers(len(fitting)))]
    if type(constant) is int:
        return constant + int(rng.integers(-1, 2))
    if isinstance(constant, str) and isinstance(value, str) and rng.random() < 0.5:
        at = int(rng.integers(len(value) + 1))
        return value[:at] + constant + value[at:]
    return constant
