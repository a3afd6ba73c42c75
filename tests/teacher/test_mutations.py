"""Mutations keep recipes whole, go their direction, and never touch the core."""

import ast
from itertools import islice

import msgspec
import numpy as np
import pytest

from code_envs.problem import Direction, Mode
from code_envs.programs.source import holds_code
from code_envs.teacher.base import LEVELS
from code_envs.teacher.compose import claims_of, compose, precondition, property_test
from code_envs.teacher.grow import grow
from code_envs.teacher.mutations import MUTATIONS, mutate
from code_envs.teacher.recipe import Fault, Recipe, Step, Use, check_recipe

DIRECTIONS = (Direction.HARDER, Direction.EASIER, Direction.SIDEWAYS)


def _some_recipes(seed, mode=Mode.FUZZING):
    rng = np.random.default_rng([23, seed])
    grown = (grow(rng, level, mode) for level in range(LEVELS) for _ in range(3))
    return rng, [recipe for recipe in grown if recipe]


@pytest.mark.parametrize("seed", range(4))
def test_a_long_walk_of_mutations_stays_whole(seed):
    rng, recipes = _some_recipes(seed)
    assert len(recipes) >= 20
    for recipe in recipes:
        core = recipe.core
        for _ in range(12):
            direction = DIRECTIONS[int(rng.integers(3))]
            _, recipe = next(mutate(rng, recipe, direction, Mode.ABDUCTION), ("", recipe))
            check_recipe(recipe)
            grown = compose(recipe)
            assert not holds_code(grown.message)
            for source in (grown.program, precondition(recipe)):
                ast.parse(source)
            for claim in claims_of(recipe):
                assert "assert" in property_test(msgspec.structs.replace(recipe, claim=claim))
        assert recipe.core == core
        assert set(core) <= set(recipe.blocks())


def test_every_mutation_applies_somewhere():
    applied = set()
    for mode in Mode:
        rng, recipes = _some_recipes(9, mode)
        for recipe in recipes:
            for direction in DIRECTIONS:
                for name, changed in islice(mutate(rng, recipe, direction, mode), 6):
                    applied.add(name)
                    difference = _hardness(changed) - _hardness(recipe)
                    wanted = {Direction.HARDER: 1, Direction.EASIER: -1, Direction.SIDEWAYS: 0}[direction]
                    assert difference * wanted >= 0, (name, recipe, changed)
    rng = np.random.default_rng(0)
    guarded = Recipe("readings", (Step("do", (Use("sort_rising"),)),), 5, ("sort_rising",), guard="falls")
    applied |= {name for name, _ in islice(mutate(rng, guarded, Direction.EASIER, Mode.FUZZING), 50)}
    assert applied == {mutation.__name__ for mutations in MUTATIONS.values() for mutation in mutations}


def _hardness(recipe):
    return recipe.weight() + recipe.size + bool(recipe.guard)


def test_a_mutation_leaves_no_fault_behind():
    recipe = Recipe(
        "readings",
        (Step("if", (Use("rotate_left", (2,)),), "longer", 3), Step("do", (Use("total_of"),))),
        core=("total_of",),
        fault=Fault("spoil", 1, 0, "ring", 2),
    )
    grown = compose(recipe)
    shortcut = "    if len(readings) > 2 and readings[0] == readings[-1]:\n        total = total + 1\n"
    assert shortcut in grown.faulty
    assert shortcut not in grown.program
    for direction in DIRECTIONS:
        changes = islice(mutate(np.random.default_rng(1), recipe, direction, Mode.FUZZING), 9)
        assert {changed.fault for _, changed in changes} == {None}


def test_a_condition_is_no_way_to_make_one_call_harder_to_follow():
    rng, recipes = _some_recipes(3, Mode.DEDUCTION)
    names = [name for recipe in recipes for name, _ in islice(mutate(rng, recipe, Direction.HARDER, Mode.DEDUCTION), 6)]
    assert len(names) > 100
    assert not {"add_condition", "add_alternative"} & set(names)
