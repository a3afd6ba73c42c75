"""Named changes of a recipe: harder, easier, or just other; the blocks of its core always stay.

A mutation draws what it needs and gives the changed recipe, or None where it does not apply. What
does not fit together is dropped by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec
import numpy as np

from code_envs.errors import ProblemError
from code_envs.problem import Direction, Mode
from code_envs.teacher.blocks import BLOCKS, LIFTS, Block, pick
from code_envs.teacher.conditions import CONDITIONS
from code_envs.teacher.recipe import JOINS, MAX_STEPS, Recipe, Step, Use, check_recipe, kinds_of
from code_envs.teacher.themes import THEMES

__all__ = ["DRAWN_ANEW", "MUTATIONS", "TWISTS", "Mutation", "draw_use", "fits", "mutate", "steps_from"]

Mutation = Callable[[np.random.Generator, Recipe], Recipe | None]
_HEAVIEST = 4


def draw_use(rng: np.random.Generator, block: Block) -> Use:
    """Draw the constants of a block."""
    return Use(block.name, tuple(int(rng.integers(low, high + 1)) for low, high in block.draws.values()))


def steps_from(rng: np.random.Generator, kind: str, heaviest: int, used: set[str]) -> Iterator[tuple[Step, str]]:
    """List the plain steps that can follow on a kind of value, each with the kind it gives."""
    for block in BLOCKS.values():
        if block.name in used or block.weight > heaviest:
            continue
        if block.takes == kind:
            yield Step("do", (draw_use(rng, block),)), block.gives
        lifted = LIFTS.get((kind, block.takes, block.gives))
        if lifted and block.weight <= 2 and (lifted != "grid" or block.keeps_length):
            yield Step("each", (draw_use(rng, block),)), lifted


def _with(recipe: Recipe, steps: tuple[Step, ...], **changes: object) -> Recipe:
    """Change the steps; a parameter stays open if its step is still there."""
    opened = recipe.opened if recipe.opened < 0 else _found(recipe.steps[recipe.opened], steps)
    return msgspec.structs.replace(recipe, **{"steps": steps, "opened": opened, **changes})


def _found(step: Step, steps: tuple[Step, ...]) -> int:
    """Where a step went: the place of the step that begins with the same block."""
    names = [other.uses[0].block if other.uses else "" for other in steps]
    return names.index(step.uses[0].block) if step.uses and step.uses[0].block in names else -1


def _replaced(recipe: Recipe, at: int, *steps: Step) -> Recipe:
    return _with(recipe, (*recipe.steps[:at], *steps, *recipe.steps[at + 1 :]))


def _places(recipe: Recipe, *hows: str) -> list[int]:
    return [at for at, step in enumerate(recipe.steps) if step.how in hows]


def _any_place(rng: np.random.Generator, places: list[int]) -> int:
    return pick(rng, places) if places else -1


# --- harder -----------------------------------------------------------------------------------


def add_block(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Put one more block somewhere where it fits."""
    if len(recipe.steps) >= MAX_STEPS:
        return None
    kinds, used = kinds_of(recipe), set(recipe.blocks())
    places = [
        (at, step)
        for at, kind in enumerate(kinds)
        for step, gives in steps_from(rng, kind, _HEAVIEST, used)
        if at == len(recipe.steps) or gives == kind
    ]
    if not places:
        return None
    at, step = pick(rng, places)
    return _with(recipe, (*recipe.steps[:at], step, *recipe.steps[at:]))


def _condition(rng: np.random.Generator, kind: str, *, early: bool = False) -> tuple[str, int]:
    condition = pick(rng, [c for c in CONDITIONS[kind] if (c.name == "shorter") == early])
    return condition.name, int(rng.integers(condition.low, condition.high + 1))


def add_condition(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Do a step only under a condition."""
    kinds = kinds_of(recipe)
    at = _any_place(rng, [at for at in _places(recipe, "do") if kinds[at] == kinds[at + 1]])
    if at < 0 or at == recipe.opened:
        return None
    test, number = _condition(rng, kinds[at])
    return _replaced(recipe, at, Step("if", recipe.steps[at].uses, test, number))


def add_alternative(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Do a step or another one of the same kinds, by a condition."""
    at = _any_place(rng, _places(recipe, "do"))
    other = _partner(rng, recipe, at)
    if other is None:
        return None
    test, number = _condition(rng, kinds_of(recipe)[at])
    return _replaced(recipe, at, Step("either", (*recipe.steps[at].uses, other), test, number))


def _partner(rng: np.random.Generator, recipe: Recipe, at: int) -> Use | None:
    if at < 0:
        return None
    block, used = recipe.steps[at].uses[0].of(), set(recipe.blocks())
    others = [b for b in BLOCKS.values() if (b.takes, b.gives) == (block.takes, block.gives) and b.name not in used]
    return draw_use(rng, pick(rng, others)) if others else None


def join_numbers(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Work out a second number, and join both."""
    at = _any_place(rng, [at for at in _places(recipe, "do") if recipe.steps[at].uses[0].of().gives == "int"])
    other = _partner(rng, recipe, at)
    if other is None or any(step.how == "join" for step in recipe.steps):
        return None
    return _replaced(recipe, at, Step("join", (*recipe.steps[at].uses, other), pick(rng, list(JOINS))))


def repeat_block(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Do a step several times in a row."""
    kinds = kinds_of(recipe)
    at = _any_place(rng, [at for at in _places(recipe, "do") if kinds[at] == kinds[at + 1]])
    if at < 0 or _settles(recipe.steps[at].uses[0].of()):
        return None
    return _replaced(recipe, at, Step("repeat", recipe.steps[at].uses, "", int(rng.integers(2, 4))))


def _settles(block: Block) -> bool:
    return bool(block.promise[0]) and block.name not in ("walk_between_walls", "scramble", "halving_steps", "digit_sum")


def stop_early(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Return at once when there is too little to go on with."""
    kinds = kinds_of(recipe)
    places = [at for at in range(1, len(recipe.steps)) if any(c.name == "shorter" for c in CONDITIONS[kinds[at]])]
    if not places or len(recipe.steps) >= MAX_STEPS or _places(recipe, "stop"):
        return None
    at = pick(rng, places)
    test, number = _condition(rng, kinds[at], early=True)
    return _with(recipe, (*recipe.steps[:at], Step("stop", (), test, number), *recipe.steps[at:]))


def open_constant(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Make a constant a parameter."""
    at = _any_place(rng, [at for at in _places(recipe, "do", "repeat", "each") if recipe.steps[at].uses[0].constants])
    return None if at < 0 or recipe.opened >= 0 else msgspec.structs.replace(recipe, opened=at)


def enlarge_inputs(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Draw longer inputs."""
    size = min(9, recipe.size + int(rng.integers(2, 5)))
    return None if size == recipe.size else msgspec.structs.replace(recipe, size=size)


def add_guard(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Ask more of the arguments in the precondition."""
    if recipe.guard:
        return None
    guard, bound = _condition(rng, kinds_of(recipe)[0])
    return msgspec.structs.replace(recipe, guard=guard, bound=bound)


def rarer_fault(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:  # noqa: ARG001
    """Leave the program; the fault is drawn anew, to show on fewer inputs."""
    return recipe


def rarer_result(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:  # noqa: ARG001
    """Leave the program; the result is drawn anew, to be reached from fewer inputs."""
    return recipe


# --- easier -----------------------------------------------------------------------------------


def drop_block(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Leave out a step that is not of the core."""
    if len(recipe.steps) < 2:
        return None
    kinds, last = kinds_of(recipe), len(recipe.steps) - 1
    places = [
        at
        for at, step in enumerate(recipe.steps)
        if step.how != "stop"
        and not {use.block for use in step.uses} & set(recipe.core)
        and (at in (0, last) or kinds[at] == kinds[at + 1])
    ]
    at = _any_place(rng, places)
    if at < 0:
        return None
    recipe = _replaced(recipe, at)
    if at == 0 and kinds[0] != kinds[1]:
        recipe = msgspec.structs.replace(recipe, theme=pick_theme(rng, recipe.steps[0], kinds[1]), guard="", bound=0)
    return recipe


def pick_theme(rng: np.random.Generator, first: Step, kind: str) -> str:
    """Draw a theme that suits the first step."""
    likes = first.uses[0].of().likes if first.uses and first.how != "each" else ()
    fitting = [theme.name for theme in THEMES.values() if theme.kind == kind]
    return pick(rng, [name for name in fitting if name in likes] or fitting)


def drop_twist(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Straighten a condition, an alternative, a repetition, a join or an early return."""
    at = _any_place(rng, _places(recipe, "if", "either", "repeat", "join", "stop"))
    if at < 0:
        return None
    step = recipe.steps[at]
    if step.how == "stop":
        return _replaced(recipe, at)
    keep = next((use for use in step.uses if use.block in recipe.core), step.uses[0])
    return _replaced(recipe, at, Step("do", (keep,)))


def close_parameter(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:  # noqa: ARG001
    """Make the parameter a constant again."""
    return msgspec.structs.replace(recipe, opened=-1) if recipe.opened >= 0 else None


def shrink_inputs(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Draw shorter inputs."""
    size = max(0, recipe.size - int(rng.integers(2, 5)))
    return None if size == recipe.size else msgspec.structs.replace(recipe, size=size)


def drop_guard(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:  # noqa: ARG001
    """Ask less of the arguments."""
    return msgspec.structs.replace(recipe, guard="", bound=0) if recipe.guard else None


def lighten_block(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Put a lighter block in place of one that is not of the core."""
    return _swapped(rng, recipe, lambda old, new: new.weight < old.weight)


def commoner_fault(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:  # noqa: ARG001
    """Leave the program; the fault is drawn anew, to show on more inputs."""
    return recipe


def commoner_result(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:  # noqa: ARG001
    """Leave the program; the result is drawn anew, to be reached from more inputs."""
    return recipe


# --- sideways ---------------------------------------------------------------------------------


def other_constants(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Draw the constants of all blocks anew."""
    if not any(use.constants for step in recipe.steps for use in step.uses):
        return None
    steps = tuple(
        msgspec.structs.replace(step, uses=tuple(draw_use(rng, use.of()) for use in step.uses)) for step in recipe.steps
    )
    return _with(recipe, steps)


def other_inputs(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:  # noqa: ARG001
    """Keep everything, and draw other inputs."""
    return recipe


def other_theme(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Let the arguments stand for something else."""
    theme = pick_theme(rng, Step("stop"), THEMES[recipe.theme].kind)
    return None if theme == recipe.theme else msgspec.structs.replace(recipe, theme=theme)


def swap_block(rng: np.random.Generator, recipe: Recipe) -> Recipe | None:
    """Put another block of equal weight in place of one that is not of the core."""
    return _swapped(rng, recipe, lambda old, new: new.weight == old.weight)


def _swapped(rng: np.random.Generator, recipe: Recipe, fits: Callable[[Block, Block], bool]) -> Recipe | None:
    used = set(recipe.blocks())
    swaps = [
        (at, place, new)
        for at, step in enumerate(recipe.steps)
        for place, use in enumerate(step.uses)
        if use.block not in recipe.core
        for new in BLOCKS.values()
        if new.name not in used and (new.takes, new.gives) == (use.of().takes, use.of().gives) and fits(use.of(), new)
    ]
    if not swaps:
        return None
    at, place, new = pick(rng, swaps)
    step = recipe.steps[at]
    uses = (*step.uses[:place], draw_use(rng, new), *step.uses[place + 1 :])
    return _replaced(recipe, at, msgspec.structs.replace(step, uses=uses))


TWISTS: tuple[Mutation, ...] = (add_condition, add_alternative, join_numbers, repeat_block, stop_early, open_constant)
"""The turns away from a straight line, which a new problem gets by its level."""

MUTATIONS: Mapping[Direction, tuple[Mutation, ...]] = {
    Direction.HARDER: (add_block, *TWISTS, enlarge_inputs, add_guard, rarer_fault, rarer_result),
    Direction.EASIER: (
        drop_block,
        drop_twist,
        close_parameter,
        shrink_inputs,
        drop_guard,
        lighten_block,
        commoner_fault,
        commoner_result,
    ),
    Direction.SIDEWAYS: (other_constants, other_inputs, other_theme, swap_block),
}
"""All mutations by direction; the name of a mutation is the name of its function."""

_GUARDS, _SIZES = (add_guard, drop_guard), (enlarge_inputs, shrink_inputs)
_FAULTS, _RESULTS = (rarer_fault, commoner_fault), (rarer_result, commoner_result)
_UNFELT: Mapping[Mode, tuple[Mutation, ...]] = {
    Mode.INDUCTION: (*_GUARDS, *_SIZES, *_FAULTS, *_RESULTS),
    Mode.ABDUCTION: _FAULTS,
    # one call takes one way: as much is worked out as without the condition
    Mode.DEDUCTION: (*_GUARDS, *_FAULTS, *_RESULTS, add_condition, add_alternative),
    Mode.FUZZING: _RESULTS,
}
"""Mutations that change nothing for the student of a mode."""


DRAWN_ANEW = tuple(mutation.__name__ for mutation in (*_FAULTS, *_RESULTS))
"""The names of the mutations that leave the program, and only have a fault or a result drawn anew."""


def mutate(rng: np.random.Generator, recipe: Recipe, direction: Direction, mode: Mode) -> Iterator[tuple[str, Recipe]]:
    """Draw changed recipes, each with the name of its mutation, in random order and without end.

    Args:
        rng: The only source of randomness.
        recipe: What to change.
        direction: Harder, easier or sideways.
        mode: Leaves out mutations that its students would not feel.

    Yields:
        Recipes that fit together; nothing more once no mutation has applied for long.
    """
    options = [mutation for mutation in MUTATIONS[direction] if mutation not in _UNFELT[mode]]
    bare = msgspec.structs.replace(recipe, fault=None)  # a fault belongs to its program, and is drawn anew
    idle = 0
    while idle < 10 * len(options):
        idle += 1
        mutation = pick(rng, options)
        changed = mutation(rng, bare)
        if changed is not None and fits(changed):
            idle = 0
            yield mutation.__name__, changed


def fits(recipe: Recipe) -> bool:
    """Tell whether a changed recipe fits together, and none of its variables is used twice."""
    try:
        check_recipe(recipe)
    except ProblemError:
        return False
    names = [use.of().noun for step in recipe.steps for use in step.uses]
    ends = recipe.steps[0].how, recipe.steps[-1].how
    return len(set(names)) == len(names) and "stop" not in ends
