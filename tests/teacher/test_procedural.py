"""Grown problems are valid, the same everywhere, and vary within their chain."""

import contextlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from code_envs.errors import ConfigError, ProblemError, ProposalFailed
from code_envs.modes import Grade, Outcome, rules, validate
from code_envs.modes.guessing import grade_guesses
from code_envs.problem import Direction, Mode, Problem
from code_envs.teacher import LEVELS, ProceduralTeacher, Teacher
from code_envs.teacher.mutations import MUTATIONS
from code_envs.teacher.recipe import Recipe, Step, Use, recipe_of, tag_of


@pytest.fixture(scope="module")
def teacher(executor):
    return ProceduralTeacher(executor)


def _propose(teacher, mode, level, seed=0):
    return teacher.propose(np.random.default_rng([17, seed, level]), level, mode)


@pytest.mark.parametrize("level", range(LEVELS))
@pytest.mark.parametrize("mode", Mode)
def test_proposals_are_valid_and_say_where_they_come_from(teacher, executor, mode, level):
    problem = _propose(teacher, mode, level)
    assert validate(problem, executor) == []
    lineage = problem.lineage
    assert (problem.mode, lineage.level, lineage.teacher, lineage.turn) == (mode, level, "procedural", 0)
    assert lineage.chain.startswith(f"procedural-{mode}-")
    assert (lineage.parent, lineage.direction, lineage.origin) == ("", Direction.START, "")
    recipe = recipe_of(Problem.from_json(problem.to_json()))
    assert set(recipe.core) <= set(recipe.blocks()) <= set(problem.tags)
    if mode is Mode.INDUCTION:
        assert len(problem.cases) >= 5
        assert len(problem.hidden) >= 5


def test_harder_levels_are_made_of_more(teacher):
    weights = [
        np.mean([recipe_of(_propose(teacher, "deduction", level, i)).weight() for i in range(4)])
        for level in (0, 3, 6, 9)
    ]
    assert weights == sorted(set(weights))


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("direction", [Direction.HARDER, Direction.EASIER, Direction.SIDEWAYS])
def test_variants_are_valid_siblings(teacher, executor, mode, direction):
    parent = Problem.from_json(_propose(teacher, mode, 5, seed=2).to_json())
    varied = teacher.vary(np.random.default_rng(3), parent, direction)
    assert validate(varied, executor) == []
    assert varied.key != parent.key
    assert (varied.mode, varied.lineage.parent, varied.lineage.turn) == (mode, parent.key, 1)
    assert (varied.lineage.chain, varied.lineage.direction) == (parent.lineage.chain, direction)
    assert varied.lineage.change in {mutation.__name__ for mutation in MUTATIONS[direction]}
    steps = {Direction.HARDER: 1, Direction.EASIER: -1, Direction.SIDEWAYS: 0}
    assert varied.lineage.level == parent.lineage.level + steps[direction]
    before, after = recipe_of(parent), recipe_of(varied)
    assert after.core == before.core
    assert set(after.core) <= set(after.blocks())
    change = (after.weight() + after.size + bool(after.guard)) - (before.weight() + before.size + bool(before.guard))
    assert change * steps[direction] >= 0


@pytest.mark.parametrize(
    ("mode", "name"),
    [(Mode.FUZZING, "rarer_fault"), (Mode.FUZZING, "commoner_fault"), (Mode.ABDUCTION, "commoner_result")],
)
def test_what_is_drawn_anew_is_met_by_half_or_twice_as_many_guesses(teacher, executor, monkeypatch, mode, name):
    direction = Direction.HARDER if name.startswith("rarer") else Direction.EASIER
    monkeypatch.setattr("code_envs.teacher.procedural.mutate", lambda rng, recipe, *_: [(name, recipe)] * 8)
    moves = []
    for seed in range(12):
        problem = _propose(teacher, mode, 2, seed)
        with contextlib.suppress(ProposalFailed):  # as many guesses as before: no step in this direction
            varied = teacher.vary(np.random.default_rng(seed), problem, direction)
            moves.append((_met(problem, executor), _met(varied, executor)))
        if len(moves) == 2:
            break
    assert moves
    for before, after in moves:
        fewer, more = (after, before) if direction is Direction.HARDER else (before, after)
        assert 2 * fewer <= more > 0


def _met(problem, executor):
    return sum(grade.passed for grade in grade_guesses(rules(problem.mode), problem, executor, 200)[1])


def test_both_kinds_of_fuzzing_grow(teacher):
    kinds = [_propose(teacher, "fuzzing", 4, seed).differential for seed in range(12)]
    assert 0 < sum(kinds) < len(kinds)


_PRINT_KEYS = """
import numpy as np
from code_envs.executor import Executor
from code_envs.problem import Mode
from code_envs.teacher import ProceduralTeacher
with Executor(workers=1) as executor:
    teacher = ProceduralTeacher(executor)
    for mode in Mode:
        rng = np.random.default_rng([4, 4])
        problem = teacher.propose(rng, 6, mode)
        print(problem.to_json())
        print(teacher.vary(rng, problem, "harder").to_json())
"""


def test_the_same_in_another_process_with_another_hash_seed():
    def run(hash_seed):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run(
            [sys.executable, "-c", _PRINT_KEYS], env=environment, capture_output=True, text=True, check=True
        ).stdout

    first = run("1")
    assert len(first.splitlines()) == 2 * len(Mode)
    assert run("2") == first


def test_adapts_to_what_it_observes_and_resumes(executor):
    teacher = ProceduralTeacher(executor)
    assert isinstance(teacher, Teacher)
    easy = _propose(teacher, "deduction", 7)
    before = teacher.rates.rate("deduction", 7)
    for _ in range(60):
        teacher.observe(easy, Grade(outcome=Outcome.PASSED, reward=1.0))
    teacher.observe(easy, Grade(outcome=Outcome.INFRA))
    assert teacher.rates.rate("deduction", 7) > before
    chosen = [teacher.choose_level(np.random.default_rng(i), Mode.DEDUCTION) for i in range(40)]
    assert np.mean(chosen) > 7
    resumed = ProceduralTeacher(executor)
    resumed.load_state_dict(json.loads(json.dumps(teacher.state_dict())))
    problems = [one.propose(np.random.default_rng(9), mode="deduction") for one in (teacher, resumed)]
    assert problems[0] == problems[1]


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("readings", ()),
        Recipe("nowhere", (Step("do", (Use("total_of"),)),)),
        Recipe("readings", (Step("do", (Use("os.system"),)),)),
        Recipe("readings", (Step("do", (Use("window_sums", (99999999,)),)),)),
        Recipe("readings", (Step("do", (Use("reverse_text"),)),)),
        Recipe("readings", (Step("if", (Use("sort_rising"),), "open('x')"),)),
        Recipe("readings", (Step("repeat", (Use("differences"),), "", 10**9),)),
        Recipe("readings", (Step("do", (Use("total_of"),)),), size=10**6),
        Recipe("readings", (Step("do", (Use("total_of"),)),), opened=0),
        Recipe("readings", (Step("do", (Use("total_of"),)),), guard="open"),
        Recipe("readings", (Step("do", (Use("total_of"),)),), core=("drop_repeats",)),
    ],
)
def test_refuses_a_recipe_that_does_not_fit(teacher, recipe):
    problem = _propose(teacher, "deduction", 0)
    with pytest.raises(ProblemError):
        teacher.vary(np.random.default_rng(0), problem.but(tags=(tag_of(recipe),)), Direction.HARDER)


def test_refuses_what_it_cannot_do(teacher):
    problem = _propose(teacher, "deduction", 0)
    with pytest.raises(ConfigError, match="no level 10"):
        teacher.propose(np.random.default_rng(0), 10, "deduction")
    with pytest.raises(ConfigError, match="start"):
        teacher.vary(np.random.default_rng(0), problem, Direction.START)
    for tags in ((), ("recipe:{",), ("recipe:" + "[" * 5000,)):
        with pytest.raises(ProblemError, match="recipe"):
            teacher.vary(np.random.default_rng(0), problem.but(tags=tags), Direction.HARDER)
    with pytest.raises(ConfigError, match="target"):
        ProceduralTeacher(target=1.0)


def test_gives_up_in_the_end(teacher, monkeypatch):
    monkeypatch.setattr("code_envs.teacher.procedural.pack", lambda *arguments: None)
    with pytest.raises(ProposalFailed, match="deduction"):
        teacher.propose(np.random.default_rng(0), 3, "deduction")
