"""Faults for fuzzing: drawn in number, run on many inputs, and chosen by how seldom they show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from code_envs.executor import Execution, Executor, Job, Status
from code_envs.problem import PRECONDITION, PROPERTY, Mode, Problem
from code_envs.students.baselines import guess_arguments
from code_envs.teacher.base import LEVELS
from code_envs.teacher.blocks import pick
from code_envs.teacher.compose import claims_of, compose, precondition, property_test
from code_envs.teacher.conditions import SPOILS, TRIGGERS
from code_envs.teacher.recipe import Fault, Recipe, kinds_of
from code_envs.teacher.themes import probes
from code_envs.values import encode, parse_literal

__all__ = ["Broken", "break_recipe"]

Arguments = tuple[object, ...]
_TRUE = encode(True)
_GUESSES = 100
_MOST_HITS = 0.035  # validation draws other guesses, and lets 5 % pass
_SHORTCUTS = 8  # faults drawn besides the slips


class Broken(NamedTuple):
    """A recipe with a fault, and arguments that show it.

    Attributes:
        recipe: The recipe, with its fault and its claim.
        witness: Arguments that show the fault.
    """

    recipe: Recipe
    witness: Arguments


class _Trial(NamedTuple):
    """One fault: on what share of the guesses it shows, and on which of all inputs."""

    fault: Fault
    share: float
    shown: list[Arguments]


def break_recipe(
    rng: np.random.Generator, recipe: Recipe, level: int, executor: Executor, inputs: Sequence[Arguments]
) -> Broken | None:
    """Give a recipe a fault that is as seldom as the level asks for.

    Args:
        rng: The only source of randomness.
        recipe: What works so far; its claim is drawn anew where it does not hold any more.
        level: From 0, a fault that shows on up to 3.5 % of guessed inputs, to ``LEVELS - 1``, the rarest.
        executor: Runs the programs.
        inputs: Ordinary arguments.

    Returns:
        The faulty recipe and a witness; None if no fault fits.
    """
    if recipe.claim and not property_test(recipe):
        recipe = msgspec.structs.replace(recipe, claim=pick(rng, claims_of(recipe) or [""]))
    guesses = [values for values in map(parse_literal, _guesses(rng, recipe)) if isinstance(values, tuple)]
    special = [(special, *values[1:]) for values in inputs[:8] for special in probes(values[0], rng)]
    trials = sorted(
        _try_faults(rng, recipe, executor, guesses, [*special, *inputs]),
        key=lambda trial: (-trial.share, -len(trial.shown)),
    )
    if not trials:
        return None
    # a shortcut says in the source when it is taken; a slip, like those that people make, has to be found
    slips = [trial for trial in trials if trial.fault.how == "slip"]
    shortcuts = [trial for trial in trials if trial.fault.how != "slip"]
    trials = (slips if rng.random() < (level + 1) / LEVELS else shortcuts) or trials
    chosen = trials[min(len(trials) - 1, level * len(trials) // LEVELS)]
    return Broken(msgspec.structs.replace(recipe, fault=chosen.fault), pick(rng, chosen.shown))


def _guesses(rng: np.random.Generator, recipe: Recipe) -> list[str]:
    grown = compose(recipe)
    view = Problem(
        mode=Mode.FUZZING,
        program=grown.program,
        signature=grown.signature,
        precondition=precondition(recipe),
        reference=grown.program,
    )
    return guess_arguments(view, rng, _GUESSES)


def _try_faults(
    rng: np.random.Generator,
    recipe: Recipe,
    executor: Executor,
    guesses: Sequence[Arguments],
    others: Sequence[Arguments],
) -> Iterator[_Trial]:
    faults = list(dict.fromkeys(_draw_faults(rng, recipe)))
    faulty = [compose(msgspec.structs.replace(recipe, fault=fault)).faulty for fault in faults]
    test, entry = property_test(recipe), PROPERTY if recipe.claim else "f"
    inputs = [*guesses, *others]
    calls = [encode(values, ordered=True) for values in inputs]
    sources = [f"{program}\n\n{test}" if test else program for program in (compose(recipe).program, *faulty)]
    jobs = [Job(program=precondition(recipe), entry=PRECONDITION, calls=calls)]
    jobs += [Job(program=source, entry=entry, calls=calls) for source in sources]
    allowed, correct, *broken = executor.run_jobs(jobs)
    valid = [run.value == _TRUE for run in allowed]
    if any(here and not run.ok for here, run in zip(valid, correct, strict=True)):
        return  # the claim is not true, or the program does not take what the precondition allows
    for fault, runs in zip(faults, broken, strict=True):
        hits = [here and _shows(*pair) for here, *pair in zip(valid, correct, runs, strict=True)]
        share = sum(hits[: len(guesses)]) / max(1, len(guesses))
        shown = [values for values, hit in zip(inputs, hits, strict=True) if hit]
        if shown and share <= _MOST_HITS:
            yield _Trial(fault, share, shown)


def _shows(correct: Execution, faulty: Execution) -> bool:
    if faulty.ok:
        return faulty.value != correct.value
    return faulty.status is Status.RAISED


def _draw_faults(rng: np.random.Generator, recipe: Recipe) -> Iterator[Fault]:
    """Every slip of the blocks, and some shortcuts taken for special inputs."""
    kinds = kinds_of(recipe)
    for at, step in enumerate(recipe.steps):
        for use in step.uses[:1]:
            yield from (Fault("slip", at, which) for which in range(len(use.of().slips)))
    # a step that changes the parameter itself would change what the trigger looks at
    first = next((at for at, step in enumerate(recipe.steps) if step.how not in ("if", "stop")), 0)
    if recipe.claim == "promise":  # only what happens in the last step can break it
        first = len(recipe.steps) - 1
    for _ in range(_SHORTCUTS):
        at = int(rng.integers(first, len(recipe.steps)))
        if recipe.steps[at].how == "stop":
            continue
        trigger = pick(rng, TRIGGERS[kinds[0]])
        number = int(rng.integers(trigger.low, trigger.high + 1))
        if kinds[at] == kinds[at + 1] and rng.random() < 0.5:
            yield Fault("skip", at, 0, trigger.name, number)
        else:
            yield Fault("spoil", at, int(rng.integers(len(SPOILS[kinds[at + 1]]))), trigger.name, number)
