"""Recipes: what a grown problem is made of, small enough to travel in the tags of the problem.

A problem says nothing of its recipe in its program; ``vary`` reads it back from the tag that begins
with ``recipe:``. It comes from a file, so everything in it is checked before it is used.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from code_envs.errors import ProblemError
from code_envs.problem import Problem
from code_envs.teacher import (  # noqa: F401  # they fill BLOCKS
    blocks_atoms,
    blocks_lists,
    blocks_numbers,
    blocks_tables,
    blocks_text,
)
from code_envs.teacher.blocks import BLOCKS, LIFTS, Block
from code_envs.teacher.conditions import CONDITIONS, SPOILS, TRIGGERS, Condition
from code_envs.teacher.themes import THEMES

__all__ = [
    "JOINS",
    "MAX_STEPS",
    "Fault",
    "Recipe",
    "Step",
    "Use",
    "check_recipe",
    "condition_of",
    "kinds_of",
    "recipe_of",
    "tag_of",
]

MAX_STEPS = 8
"""The most steps of a recipe."""
JOINS = {"+": "the first plus the second", "-": "the first minus the second", "*": "the product of both"}
"""How two numbers become one, and the same in words."""
_PREFIX = "recipe:"
_USES = {"do": 1, "each": 1, "repeat": 1, "if": 1, "either": 2, "join": 2, "stop": 0}


class Use(msgspec.Struct, frozen=True, array_like=True):
    """A block with its constants."""

    block: str
    constants: tuple[int, ...] = ()

    def of(self) -> Block:
        """The block itself."""
        return BLOCKS[self.block]


class Step(msgspec.Struct, frozen=True, array_like=True):
    """One step of a grown program.

    Attributes:
        how: ``do`` a block, ``each`` (apply it to each item), ``repeat`` it, ``if`` (apply it under
            a condition), ``either`` of two blocks, ``join`` two numbers, or ``stop`` early.
        uses: The blocks.
        test: The name of the condition, or the operator of a join.
        number: How many times, or the constant of the condition.
    """

    how: str
    uses: tuple[Use, ...] = ()
    test: str = ""
    number: int = 0


class Fault(msgspec.Struct, frozen=True, array_like=True):
    """What is wrong with a program that is to be fuzzed.

    Attributes:
        how: ``slip`` (a small error in a block), ``skip`` (a step is left out for some inputs), or
            ``spoil`` (a value is spoilt for some inputs).
        step: Which step.
        which: Which of the slips or spoils of the block or kind.
        trigger: For which inputs; the name of a trigger.
        number: The constant of the trigger.
    """

    how: str
    step: int
    which: int = 0
    trigger: str = ""
    number: int = 0


class Recipe(msgspec.Struct, frozen=True, array_like=True):
    """Everything that a grown problem is made of, but for the inputs drawn.

    Attributes:
        theme: What it is given.
        steps: What it does, in order.
        size: How large the inputs are, 0 to 9.
        core: The names of the blocks that all siblings share.
        opened: The step whose first constant is a parameter; -1 for none.
        fault: Fuzzing: what is wrong.
        claim: Property fuzzing: ``promise``, ``length`` or ``order``; empty for a differential one.
        guard: A further condition of the precondition, by name.
        bound: The constant of that condition.
    """

    theme: str
    steps: tuple[Step, ...]
    size: int = 0
    core: tuple[str, ...] = ()
    opened: int = -1
    fault: Fault | None = None
    claim: str = ""
    guard: str = ""
    bound: int = 0

    def blocks(self) -> Iterator[str]:
        """The names of its blocks, in order."""
        return (use.block for step in self.steps for use in step.uses)

    def weight(self) -> int:
        """A rough measure of difficulty: the blocks' weights, and one for every turn away from a straight line."""
        turns = sum(step.how != "do" for step in self.steps) + (self.opened >= 0)
        return turns + sum(BLOCKS[name].weight for name in self.blocks())


def tag_of(recipe: Recipe) -> str:
    """Write a recipe as a tag."""
    return _PREFIX + msgspec.json.encode(recipe).decode()


def recipe_of(problem: Problem) -> Recipe:
    """Read the recipe of a grown problem back from its tags.

    Raises:
        ProblemError: There is none, or it does not fit together.
    """
    for tag in problem.tags:
        if tag.startswith(_PREFIX):
            try:
                recipe = msgspec.json.decode(tag[len(_PREFIX) :], type=Recipe)
            except (msgspec.DecodeError, RecursionError) as error:
                raise ProblemError(f"problem {problem.key} has a broken recipe: {error}") from error
            check_recipe(recipe)
            return recipe
    raise ProblemError(f"problem {problem.key} has no recipe in its tags: it was not grown")


def kinds_of(recipe: Recipe) -> list[str]:
    """The kinds of the value that flows through a recipe: before its first step, and after each.

    Raises:
        ProblemError: The recipe does not fit together.
    """
    if recipe.theme not in THEMES or not 1 <= len(recipe.steps) <= MAX_STEPS:
        raise ProblemError("a recipe needs a known theme and 1 to 8 steps")
    names = list(recipe.blocks())
    if len(set(names)) < len(names) or not set(recipe.core) <= set(names):
        raise ProblemError("a recipe uses each block at most once, and all blocks of its core")
    kinds = [THEMES[recipe.theme].kind]
    for step in recipe.steps:
        kinds.append(_after(step, kinds[-1]))
    return kinds


def _after(step: Step, kind: str) -> str:
    if _USES.get(step.how) != len(step.uses):
        raise ProblemError(f"a step {step.how!r} with {len(step.uses)} blocks makes no sense")
    blocks = [_checked(use) for use in step.uses]
    if step.how == "each":
        lifted = LIFTS.get((kind, blocks[0].takes, blocks[0].gives))
        if lifted is None or (lifted == "grid" and not blocks[0].keeps_length):
            raise ProblemError(f"{blocks[0].name} cannot be applied to each item of {kind}")
        return lifted
    if any(block.takes != kind for block in blocks):
        raise ProblemError(f"a step does not take {kind}")
    gives = {block.gives for block in blocks}
    if (
        len(gives) > 1
        or (step.how in ("if", "repeat") and gives != {kind})
        or (step.how == "join" and gives != {"int"})
    ):
        raise ProblemError(f"a step {step.how!r} gives values of the wrong kind")
    if step.how in ("if", "either", "stop"):
        condition_of(kind, step.test, step.number)
    elif step.how == "join" and step.test not in JOINS:
        raise ProblemError(f"unknown join {step.test!r}")
    elif step.how == "repeat" and not 2 <= step.number <= 9:
        raise ProblemError("a step is repeated 2 to 9 times")
    return gives.pop() if gives else kind


def _checked(use: Use) -> Block:
    block = BLOCKS.get(use.block)
    if block is None:
        raise ProblemError(f"unknown block {use.block!r:.40}")
    ranges = list(block.draws.values())
    if len(ranges) != len(use.constants) or not all(
        low <= constant <= high for constant, (low, high) in zip(use.constants, ranges, strict=True)
    ):
        raise ProblemError(f"{block.name} does not take the constants {use.constants}")
    return block


def condition_of(kind: str, name: str, number: int, *, rare: bool = False) -> Condition:
    """Find a condition (a trigger if ``rare``) of a kind of values.

    Raises:
        ProblemError: There is none of that name, or it does not take that constant.
    """
    for condition in (TRIGGERS if rare else CONDITIONS)[kind]:
        if condition.name == name and condition.low <= number <= condition.high:
            return condition
    raise ProblemError(f"values of kind {kind} have no condition {name!r:.40} with {number}")


def check_recipe(recipe: Recipe) -> None:
    """Check that a recipe fits together, in all its parts.

    Raises:
        ProblemError: It does not; says why.
    """
    kinds = kinds_of(recipe)
    if not 0 <= recipe.size <= 9 or not -1 <= recipe.opened < len(recipe.steps):
        raise ProblemError("a recipe's size runs from 0 to 9, and it opens one of its steps")
    if recipe.opened >= 0 and not any(use.constants for use in recipe.steps[recipe.opened].uses[:1]):
        raise ProblemError("the opened step has no constant")
    if recipe.guard:
        condition_of(kinds[0], recipe.guard, recipe.bound)
    fault = recipe.fault
    if fault is None:
        return
    if not 0 <= fault.step < len(recipe.steps):
        raise ProblemError("the fault is in no step")
    step, kind = recipe.steps[fault.step], kinds[fault.step + 1]
    if fault.how == "slip":
        fits = len(step.uses) > 0 and 0 <= fault.which < len(step.uses[0].of().slips)
    else:
        condition_of(kinds[0], fault.trigger, fault.number, rare=True)
        fits = kinds[fault.step] == kind if fault.how == "skip" else 0 <= fault.which < len(SPOILS[kind])
    if not fits or fault.how not in ("slip", "skip", "spoil"):
        raise ProblemError(f"the recipe has no fault {fault.how!r:.20} {fault.which} in step {fault.step}")
