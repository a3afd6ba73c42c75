"""From a recipe to a problem of a mode: inputs are drawn, run, and the fitting ones kept.

What is checked here is cheap and catches most of what a mode's ``validate`` would refuse.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from code_envs.executor import Executor, Job
from code_envs.modes import complete_cases
from code_envs.problem import PRECONDITION, Case, Mode, Problem
from code_envs.programs.source import literals_of
from code_envs.students.baselines import guess_arguments
from code_envs.teacher.base import LEVELS
from code_envs.teacher.compose import Grown, compose, flattened, precondition, property_test
from code_envs.teacher.faults import break_recipe
from code_envs.teacher.recipe import Recipe, tag_of
from code_envs.teacher.themes import THEMES
from code_envs.values import decode, encode, encode_literal, write_literal

__all__ = ["pack"]

Arguments = tuple[object, ...]
_DRAWS = 24
_LONGEST = 300  # characters of a result that is to be found, or given
_GUESSES = 100
_MOST_HITS = 0.035  # validation draws other guesses, and lets 5 % pass
_NO_ECHO = 2  # the level from which the result itself is no answer
_SAYS_A_LOT = 5  # the level from which almost every input has a result of its own


class _Ran(NamedTuple):
    """A recipe with inputs and the encoded results of its program on them."""

    recipe: Recipe
    grown: Grown
    inputs: list[Arguments]
    results: list[bytes]

    def problem(self, mode: Mode, **fields: object) -> Problem:
        """A problem with the fields that all modes share."""
        tags = (*self.recipe.blocks(), tag_of(self.recipe))
        common = {"program": self.grown.program, "signature": self.grown.signature, "tags": tags}
        return Problem(mode=mode, **{**common, **fields})  # type: ignore[arg-type]


def pack(rng: np.random.Generator, recipe: Recipe, mode: Mode, level: int, executor: Executor) -> Problem | None:
    """Make a problem of a recipe.

    Args:
        rng: The only source of randomness.
        recipe: What it is made of.
        mode: What the student has to find.
        level: 0 to ``LEVELS - 1``: how seldom the result or the fault is that has to be reached.
        executor: Runs the program.

    Returns:
        A problem, not yet validated; None if no inputs, result or fault fit.
    """
    recipe = msgspec.structs.replace(recipe, fault=None)
    grown = compose(recipe)
    inputs = _draw_inputs(rng, recipe, grown)
    calls = [encode(values, ordered=True) for values in inputs]
    programs = [grown.program, *flattened(grown.program)]
    runs, *flat = executor.run_jobs([Job(program=program, entry="f", calls=calls) for program in programs])
    results = [run.value for run in runs]
    # a turn that changes nothing is no part of a sensible problem
    if not all(run.ok for run in runs) or results in ([run.value for run in job] for job in flat):
        return None
    return _PACKERS[mode](rng, _Ran(recipe, grown, inputs, results), level, executor)


def _draw_inputs(rng: np.random.Generator, recipe: Recipe, grown: Grown) -> list[Arguments]:
    theme = THEMES[recipe.theme]
    found: dict[str, Arguments] = {}
    for _ in range(_DRAWS):
        values: Arguments = (theme.draw(rng, recipe.size),)
        if grown.opened:
            low, high = grown.opened
            values = (*values, int(rng.integers(low, high + 1)))
        found[write_literal(values)] = values
    return list(found.values())


def _pack_induction(rng: np.random.Generator, ran: _Ran, level: int, executor: Executor) -> Problem | None:
    wanted = 8 - level // 3
    counts = Counter(ran.results)
    if len(counts) < 4 or counts.most_common(1)[0][1] > len(ran.results) // 2:
        return None
    order: dict[int, None] = {}  # different results first, then the others
    for result in counts:
        order[ran.results.index(result)] = None
    places = [*order, *(at for at in range(len(ran.results)) if at not in order)][:wanted]
    cases = tuple(Case.of(ran.inputs[at], decode(ran.results[at])) for at in sorted(places))
    problem = ran.problem(Mode.INDUCTION, message=ran.grown.message, cases=cases)
    return complete_cases(problem, executor, rng)


def _pack_deduction(rng: np.random.Generator, ran: _Ran, level: int, executor: Executor) -> Problem | None:  # noqa: ARG001
    """Take one of the shorter inputs at a low level, one of the longer ones at a high level."""
    literals = {encode(value) for value in literals_of(ran.grown.program)}
    counts = Counter(ran.results)
    places = [
        at
        for at, result in enumerate(ran.results)
        if counts[result] <= 2
        and result not in literals
        and result not in map(encode, ran.inputs[at])
        and _is_short(result)
    ]
    if not places:
        return None
    places.sort(key=lambda at: (len(encode(ran.inputs[at])), at))
    at = places[level * len(places) // LEVELS]
    return ran.problem(Mode.DEDUCTION, cases=(Case.of(ran.inputs[at], decode(ran.results[at])),))


def _pack_abduction(rng: np.random.Generator, ran: _Ran, level: int, executor: Executor) -> Problem | None:
    """Take a result that many guesses reach at a low level, at a high level one that says a lot."""
    guard = precondition(ran.recipe) if ran.recipe.guard else ""
    view = ran.problem(Mode.ABDUCTION, cases=(Case.of(ran.inputs[0], decode(ran.results[0])),), precondition=guard)
    guesses = [encode_literal(text, ordered=True) for text in guess_arguments(view, rng, _GUESSES)]
    inputs = [encode(values, ordered=True) for values in ran.inputs]
    echoes = [encode((decode(result), *values[1:])) for values, result in zip(ran.inputs, ran.results, strict=True)]
    jobs = [Job(program=view.program, entry="f", calls=calls) for calls in (guesses, echoes)]
    if guard:
        jobs.append(Job(program=guard, entry=PRECONDITION, calls=inputs))
    guessed, echoed, *allowed = executor.run_jobs(jobs)
    reached = Counter(run.value for run in guessed if run.ok)
    drawn = Counter(ran.results)
    if level >= _SAYS_A_LOT and len(drawn) < 0.9 * len(ran.results):
        return None
    places = [
        at
        for at, result in enumerate(ran.results)
        if reached[result] <= _MOST_HITS * len(guesses)
        and drawn[result] <= 3
        and _is_short(result)
        and (level < _NO_ECHO or echoed[at].value != result)
        and all(runs[at].value == encode(True) for runs in allowed)
    ]
    if not places:
        return None
    places.sort(key=lambda at: (-reached[ran.results[at]], -drawn[ran.results[at]], len(ran.results[at]), at))
    at = places[level * len(places) // LEVELS]
    return view.but(cases=(Case.of(ran.inputs[at], decode(ran.results[at])),))


def _is_short(result: bytes) -> bool:
    return len(write_literal(decode(result))) <= _LONGEST


def _pack_fuzzing(rng: np.random.Generator, ran: _Ran, level: int, executor: Executor) -> Problem | None:
    broken = break_recipe(rng, ran.recipe, level, executor, ran.inputs)
    if broken is None:
        return None
    grown = compose(broken.recipe)
    return ran._replace(recipe=broken.recipe).problem(
        Mode.FUZZING,
        program=grown.faulty,
        message=grown.message,
        precondition=precondition(broken.recipe),
        property=property_test(broken.recipe),
        reference="" if broken.recipe.claim else grown.program,
        witness=write_literal(broken.witness),
    )


_PACKERS: Mapping[Mode, Callable[[np.random.Generator, _Ran, int, Executor], Problem | None]] = {
    Mode.INDUCTION: _pack_induction,
    Mode.ABDUCTION: _pack_abduction,
    Mode.DEDUCTION: _pack_deduction,
    Mode.FUZZING: _pack_fuzzing,
}
