"""Growing new recipes: how many blocks, turns and how large inputs, by level."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from code_envs.problem import Mode
from code_envs.teacher.base import LEVELS
from code_envs.teacher.blocks import BLOCKS, pick
from code_envs.teacher.compose import claims_of
from code_envs.teacher.mutations import TWISTS, draw_use, fits, pick_theme, steps_from
from code_envs.teacher.recipe import Recipe, Step

__all__ = ["PLANS", "Plan", "grow"]


class Plan(NamedTuple):
    """What a new problem of one level is made of.

    Attributes:
        steps: How many steps.
        twists: How many turns away from a straight line.
        heaviest: The greatest weight of a block.
        total: The greatest weight of all blocks together, before the turns.
        size: How large the inputs are.
    """

    steps: int
    twists: int
    heaviest: int
    total: int
    size: int


PLANS: tuple[Plan, ...] = (
    Plan(1, 0, 1, 1, 0),
    Plan(2, 0, 1, 2, 0),
    Plan(2, 0, 2, 3, 1),
    Plan(2, 1, 2, 4, 2),
    Plan(3, 1, 2, 6, 3),
    Plan(3, 1, 3, 8, 5),
    Plan(3, 2, 4, 10, 6),
    Plan(4, 2, 4, 12, 7),
    Plan(4, 3, 4, 16, 8),
    Plan(5, 3, 4, 20, 9),
)
"""The plan of each level."""
assert len(PLANS) == LEVELS

_TRIES = 20


def grow(rng: np.random.Generator, level: int, mode: Mode, *, claimed: bool = False) -> Recipe | None:
    """Draw a new recipe.

    Args:
        rng: The only source of randomness.
        level: 0 to ``LEVELS - 1``.
        mode: What it is for.
        claimed: Whether it must claim a property.

    Returns:
        A recipe that fits together; None if the blocks drawn did not lead there.
    """
    plan = PLANS[level]
    steps = _draw_steps(rng, plan, mode)
    if steps is None:
        return None
    theme = pick_theme(rng, steps[0], steps[0].uses[0].of().takes)
    recipe = Recipe(theme=theme, steps=steps, size=plan.size)
    for _ in range(_TRIES):
        if _twists(recipe) >= plan.twists:
            break
        twisted = pick(rng, TWISTS)(rng, recipe)
        recipe = twisted if twisted and fits(twisted) else recipe
    claims = claims_of(recipe) if claimed else [""]
    return _with_core(msgspec.structs.replace(recipe, claim=pick(rng, claims))) if claims else None


def _draw_steps(rng: np.random.Generator, plan: Plan, mode: Mode) -> tuple[Step, ...] | None:
    first = pick(rng, [block for block in BLOCKS.values() if block.weight <= plan.heaviest])
    steps, kind = [Step("do", (draw_use(rng, first),))], first.gives
    nouns = {first.noun}
    while len(steps) < plan.steps:
        used = {step.uses[0].block for step in steps}
        left = plan.total - sum(BLOCKS[name].weight for name in used) - (plan.steps - len(steps) - 1)
        options = [
            (step, gives)
            for step, gives in steps_from(rng, kind, min(plan.heaviest, left), used)
            if step.uses[0].of().noun not in nouns
            # a single number says little: only one block follows on it
            and (gives != "int" or len(steps) >= plan.steps - 2)
        ]
        if not options:
            return None
        step, kind = pick(rng, options)
        steps.append(step)
        nouns.add(step.uses[0].of().noun)
    return None if mode is Mode.ABDUCTION and kind == "int" and rng.random() < 0.5 else tuple(steps)


def _twists(recipe: Recipe) -> int:
    return sum(step.how not in ("do", "each") for step in recipe.steps) + (recipe.opened >= 0)


def _with_core(recipe: Recipe) -> Recipe:
    """Choose the blocks that all siblings share: the heaviest, with three blocks or more also its neighbour."""
    names = [step.uses[0].block for step in recipe.steps if step.uses]
    heaviest = max(range(len(names)), key=lambda at: BLOCKS[names[at]].weight)
    core = (names[heaviest],) if len(names) < 3 else tuple(names[max(0, heaviest - 1) : heaviest + 1])
    return msgspec.structs.replace(recipe, core=core)
