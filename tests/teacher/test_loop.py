"""Chains hold measured siblings, go the way the strategy says, and never crash on a stubborn teacher."""

import math

import numpy as np
import pytest

from code_envs.errors import ConfigError, ProposalFailed, UnknownName
from code_envs.problem import Chain, Direction, Mode
from code_envs.students import make_student
from code_envs.teacher import STRATEGIES, TEACHERS, ProceduralTeacher, make_chain, make_teacher
from code_envs.teacher.recipe import recipe_of


class Oracle:
    """Passes a fixed share of its attempts, by answering with what the teacher stored."""

    name = "oracle"

    def __init__(self, share):
        self.share = share

    def answer(self, prompts, *, seed=0):
        known = round(self.share * len(prompts))
        return [self.gold if at < known else "no idea" for at in range(len(prompts))]


class Watched(ProceduralTeacher):
    """Tells an oracle the gold answer, and can be made to refuse variants."""

    def __init__(self, executor, oracle, refused=()):
        super().__init__(executor)
        self.oracle, self.refused, self.asked, self.targets = oracle, refused, [], []

    def propose(self, rng, level=None, mode=None):
        return self._tell(super().propose(rng, level, mode))

    def vary(self, rng, problem, direction, target=None):
        self.asked.append(direction)
        self.targets.append(target)
        assert problem.measurements[-1].problem == problem.key  # the teacher sees what the student did
        if direction in self.refused:
            raise ProposalFailed("refused")
        return self._tell(super().vary(rng, problem, direction))

    def _tell(self, problem):
        self.oracle.gold = f"```output\n{problem.cases[0].result}\n```"
        return problem


def _chain(executor, share, *, refused=(), seed=1, turns=3, **settings):
    oracle = Oracle(share)
    teacher = Watched(executor, oracle, refused)
    settings = {"mode": Mode.DEDUCTION, "level": 4, "attempts": 8, **settings}
    chain = make_chain(teacher, oracle, executor, np.random.default_rng(seed), turns=turns, **settings)
    return teacher, chain


@pytest.mark.parametrize(
    ("share", "strategy", "direction"),
    [
        (1.0, "stepping-stones", Direction.HARDER),
        (0.5, "stepping-stones", Direction.SIDEWAYS),
        (0.0, "stepping-stones", Direction.EASIER),
        (0.0, "top-down", Direction.EASIER),
        (1.0, "top-down", Direction.HARDER),
    ],
)
def test_goes_where_the_strategy_says(executor, share, strategy, direction):
    teacher, chain = _chain(executor, share, strategy=strategy, chain_id="mine")
    assert [problem.lineage.direction for problem in chain.problems] == [Direction.START, direction, direction]
    assert [problem.lineage.turn for problem in chain.problems] == [0, 1, 2]
    assert {problem.lineage.chain for problem in chain.problems} == {chain.id} == {"mine"}
    assert [problem.measurements[0].rate for problem in chain.problems] == [share] * 3
    assert all(len(problem.measurements) == 1 for problem in chain.problems)
    assert all(problem.measurements[0].problem == problem.key for problem in chain.problems)
    first, *rest = (recipe_of(problem) for problem in chain.problems)
    assert all(set(first.core) <= set(recipe.blocks()) for recipe in rest)
    assert Chain.from_json(chain.to_json()) == chain
    assert teacher.rates.interval("deduction", 4) != (0.0, 1.0)


def test_a_refused_variant_is_tried_sideways_and_then_ends_the_chain(executor):
    teacher, chain = _chain(executor, 1.0, refused=(Direction.HARDER,))
    assert [problem.lineage.direction for problem in chain.problems[1:]] == [Direction.SIDEWAYS] * 2
    teacher, chain = _chain(executor, 1.0, refused=tuple(Direction))
    assert len(chain.problems) == 1
    assert teacher.asked == [Direction.HARDER, Direction.SIDEWAYS]


def test_a_refused_sideways_variant_is_not_asked_for_again(executor):
    teacher, chain = _chain(executor, 0.5, refused=(Direction.SIDEWAYS,))
    assert len(chain.problems) == 1
    assert teacher.asked == [Direction.SIDEWAYS]


@pytest.mark.parametrize("mode", Mode)
def test_the_search_student_makes_the_same_chain_again(executor, mode):
    def make():
        student = make_student("search", executor)
        rng = np.random.default_rng([2, 2])
        return make_chain(ProceduralTeacher(executor), student, executor, rng, mode=mode, level=1, turns=3, attempts=8)

    chain = make()
    assert len(chain.problems) == 3
    assert make() == chain


def test_directions():
    stones, down = STRATEGIES["stepping-stones"], STRATEGIES["top-down"]
    for turn in (1, 2, 7):
        found = [stones.direction(rate, turn) for rate in (0.0, 0.01, 0.65, 0.66)]
        assert found == ["easier", "sideways", "sideways", "harder"]
        assert {plan.direction(math.nan, turn) for plan in (stones, down)} == {"sideways"}
    assert [stones.target(turn) for turn in (0, 1, 5)] == [(0.35, 0.65)] * 3
    hard, medium, easy = (down.target(turn) for turn in (0, 1, 2))
    assert hard < medium < easy == down.target(5)


def test_top_down_goes_from_what_was_measured_to_what_is_wanted():
    down = STRATEGIES["top-down"]
    hard, medium, easy = (sum(down.target(turn)) / 2 for turn in (0, 1, 2))
    assert [down.direction(hard, 1), down.direction(medium, 2), down.direction(easy, 3)] == [
        "easier",
        "easier",
        "sideways",
    ]
    assert [down.direction(rate, 1) for rate in (0.0, 0.4, 0.41, 0.59, 0.6, 1.0)] == [
        *["easier"] * 2,
        *["sideways"] * 2,
        *["harder"] * 2,
    ]
    assert [down.direction(rate, 5) for rate in (0.5, 0.85, 1.0)] == ["easier", "sideways", "harder"]


def test_the_teacher_is_told_what_to_aim_at(executor):
    teacher, _ = _chain(executor, 0.0, strategy="top-down")
    assert teacher.targets == [(0.41, 0.59), (0.81, 0.91)]


def test_measuring_may_stop_early(executor):
    _, chain = _chain(executor, 1.0, attempts=32, bands=((0.65, 1.0),))
    assert [problem.measurements[0].attempts for problem in chain.problems] == [8] * 3


def test_refuses_senseless_settings(executor):
    with pytest.raises(UnknownName, match="top-down"):
        _chain(executor, 1.0, strategy="topdown")
    with pytest.raises(ConfigError, match="turn"):
        _chain(executor, 1.0, turns=0)


def test_teachers_by_name(executor):
    for name in TEACHERS:
        teacher = make_teacher(name, executor)
        assert teacher.name == name
        assert make_teacher(teacher) is teacher
    with pytest.raises(UnknownName, match="procedural"):
        make_teacher("procedual")
