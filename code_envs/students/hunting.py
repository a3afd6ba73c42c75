"""Abduction and fuzzing by search: probes and random arguments first, then changes of the best ones.

The candidates of a problem are made and run once, in rounds. An attempt looks at them in its own
order, round by round, as far as its budget goes, and answers with the best that it saw.
"""

from __future__ import annotations

import math
import re
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
_ROUNDS, _SLOW_ROUNDS = 7, 3  # fewer where some candidates run for too long
_PARENTS = 12
_RIVALS = 12  # mutants that stand for the hidden reference
_LIMITS = Limits(cpu_seconds=0.1)  # of a whole round
_CHUNK, _CHUNK_LIMITS = 8, Limits(cpu_seconds=0.03)  # where some candidates take too long

Running = Generator[list[Job], Sequence[Sequence[Execution]], list[list[Execution]]]


@dataclass(frozen=True, order=True)
class Prey:
    """Arguments and how good they seem.

    Attributes:
        score: 1 if they answer the problem, else less, in [0, 1).
        arguments: The arguments.
        kills: Differential fuzzing: the numbers of the rivals that they tell from the program.
    """

    score: float
    arguments: Arguments = field(compare=False)
    kills: frozenset[int] = field(default=frozenset(), compare=False)


Hunting = Generator[list[Job], Sequence[Sequence[Execution]], list[list[Prey]]]


def hunt(view: Problem, rng: np.random.Generator) -> Hunting:
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
        constants = [*literals_of(f"{view.program}\n\n{view.property}\n\n{view.precondition}"), *_pieces(view)]
        rivals = _rivals(view, rng)
    except ProblemError:
        return []
    rounds: list[list[Prey]] = []
    most = 2 if rivals else _ROUNDS
    seen: set[bytes] = set()
    fresh = _fresh(first, seen)
    while fresh:
        calls = [encode(values, ordered=True) for values in fresh]
        executions = yield from _run(_programs(view, rivals), len(rivals), calls)
        if any(execution.status is Status.CPU for each in executions for execution in each):
            most = min(most, _SLOW_ROUNDS)
        rounds.append([_prey(view, *each) for each in zip(fresh, *executions, strict=True)])
        if len(rounds) >= most or max(rounds[-1]).score >= 1.0:
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
    rival = int(rng.integers(_RIVALS))  # which of them this attempt takes for the hidden reference
    seen: list[Prey] = []
    left = max(1, budget)
    for made in rounds:
        seen += [made[index] for index in rng.permutation(len(made))[:left]]
        left -= len(made)
        if left <= 0:
            break
    best = max(seen, key=lambda prey: (rival in prey.kills, prey.score), default=None)
    return write_literal(best.arguments) if best else ""


def _pieces(view: Problem) -> list[object]:
    """The wanted result, its items and its words: arguments often hold them."""
    if view.mode is not Mode.ABDUCTION:
        return []
    target = parse_literal(view.cases[0].result)
    if isinstance(target, str):
        words = re.findall(r"[^\W_]+", target)[:20]
        return [target, target[::-1], *words, *(word[::-1] for word in words), *(word.swapcase() for word in words)]
    return [target, *(target[:20] if isinstance(target, list | tuple) else target if isinstance(target, dict) else [])]


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


def _programs(view: Problem, rivals: Sequence[str]) -> list[tuple[str, str]]:
    """Programs and entries: the precondition if there is one, the program or property, the rivals."""
    checked = [(view.precondition, PRECONDITION)] if view.precondition else []
    if view.property:
        return [*checked, (f"{view.program}\n\n{view.property}", PROPERTY)]
    return [*checked, *((program, view.entry) for program in (view.program, *rivals))]


def _run(programs: Sequence[tuple[str, str]], rivals: int, calls: list[bytes]) -> Running:
    """Run all calls of all programs; what comes after one that takes too long is tried again in small chunks.

    The last ``rivals`` programs are not tried again: a mutant may well run forever.
    """
    executions = yield [Job(program=text, entry=entry, calls=calls, limits=_LIMITS) for text, entry in programs]
    complete = [[*each] for each in executions]
    late: list[tuple[int, int]] = []  # program, first call of the chunk
    for index, each in enumerate(complete[: len(complete) - rivals]):
        stopped = next((at for at, execution in enumerate(each) if execution.status in _STOPPED), len(calls))
        late += [(index, at) for at in range(stopped + 1, len(calls), _CHUNK)]
    if late:
        chunks = yield [
            Job(program=text, entry=entry, calls=calls[at : at + _CHUNK], limits=_CHUNK_LIMITS)
            for (text, entry), at in ((programs[index], at) for index, at in late)
        ]
        for (index, at), chunk in zip(late, chunks, strict=True):
            complete[index][at : at + _CHUNK] = chunk
    return complete


_STOPPED = (Status.CPU, Status.WALL, Status.MEMORY, Status.CRASHED, Status.EXITED, Status.FORBIDDEN)


def _prey(view: Problem, values: Arguments, *executions: Execution) -> Prey:
    """Judge one candidate by the executions of ``_programs``, in their order."""
    allowed = True
    if view.precondition:
        allowed, executions = executions[0].ok and executions[0].value == b"T", executions[1:]
    own, *others = executions
    if view.mode is Mode.ABDUCTION:
        return Prey((1.0 if allowed else 0.2) * _abduction_score(view, own), values)
    if not allowed:
        return Prey(0.0, values)
    if view.property:
        return Prey(1.0 if _falsified(own) else 0.5, values)
    kills = frozenset(at for at, other in enumerate(others) if _differ(own, other))
    return Prey(0.3 + 0.6 * len(kills) / max(1, len(others)), values, kills)


def _differ(own: Execution, other: Execution) -> bool:
    stopped = own.status in _STOPPED or other.status in _STOPPED
    return not stopped and (own.status, own.value) != (other.status, other.value)


def _falsified(execution: Execution) -> bool:
    return execution.status is Status.RAISED and execution.exception == "AssertionError"


def _abduction_score(view: Problem, execution: Execution) -> float:
    wanted = encode_literal(view.cases[0].result)
    if not execution.ok:
        return 0.0
    if same_result(wanted, execution.value):
        return 1.0
    return 0.95 * _closeness(decode(wanted), _decoded(execution.value))


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
