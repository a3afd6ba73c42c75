import json

import numpy as np
import pytest

from code_envs.curricula import CURRICULA, Curriculum, TargetRate, make_curriculum
from code_envs.errors import ConfigError, UnknownName
from code_envs.modes.base import Grade, Outcome
from code_envs.problem import Case, Lineage, Mode, Problem


def attempt(level: int, outcome: Outcome, mode: Mode = Mode.DEDUCTION) -> tuple[Problem, Grade]:
    problem = Problem(
        mode=mode,
        program="def f(x):\n    return x\n",
        signature="f(x)",
        cases=(Case.of((1,), 1),),
        precondition="def pre_test_f(x):\n    return type(x) is int\n",
        property="def test_f(x):\n    assert f(x) != 7\n",
        lineage=Lineage(level=level),
    )
    return problem, Grade(outcome=outcome, reward=float(outcome is Outcome.PASSED))


def train(curriculum: TargetRate, skill: float, episodes: int, seed: int = 0) -> list[int]:
    """Levels chosen for a student that passes level ``skill`` half of the time."""
    rng, levels = np.random.default_rng(seed), []
    for _ in range(episodes):
        mode, level = curriculum.choose(rng)
        passed = rng.random() < 1 / (1 + np.exp(1.5 * (level - skill)))
        curriculum.observe(*attempt(level, Outcome.PASSED if passed else Outcome.WRONG, mode))
        levels.append(level)
    return levels


@pytest.mark.parametrize("skill", [1.0, 4.0, 8.0])
def test_it_settles_where_the_student_passes_half(skill):
    late = train(TargetRate(modes=["deduction"]), skill, 400)[200:]
    assert abs(np.mean(late) - skill) < 1.0


def test_it_follows_a_student_that_learns_and_one_that_forgets():
    curriculum = TargetRate(modes=["deduction"])
    levels = [np.mean(train(curriculum, skill, 400)[200:]) for skill in (2.0, 7.0, 2.0)]
    assert levels[0] + 2 < levels[1] > levels[2] + 2


def test_a_lower_target_is_a_harder_curriculum():
    hard, easy = (np.mean(train(TargetRate(target, ["deduction"]), 4.5, 400)[200:]) for target in (0.2, 0.8))
    assert hard > easy + 1


def test_modes_come_by_weight():
    curriculum = TargetRate(modes={"deduction": 3, "fuzzing": 1})
    rng = np.random.default_rng(0)
    modes = [curriculum.choose(rng)[0] for _ in range(400)]
    assert set(modes) == {Mode.DEDUCTION, Mode.FUZZING}
    assert 250 < modes.count(Mode.DEDUCTION) < 350


def test_the_state_restores_every_later_choice():
    curriculum = TargetRate()
    train(curriculum, 3.0, 100)
    twin = TargetRate()
    twin.load_state_dict(json.loads(json.dumps(curriculum.state_dict())))
    assert train(curriculum, 3.0, 50, seed=9) == train(twin, 3.0, 50, seed=9)
    assert curriculum.rates() == twin.rates()


def test_faults_of_the_sandbox_and_unknown_levels_say_nothing():
    curriculum = TargetRate()
    before = curriculum.rates()
    curriculum.observe(*attempt(3, Outcome.INFRA))
    curriculum.observe(*attempt(40, Outcome.PASSED))
    assert curriculum.rates() == before
    curriculum.observe(*attempt(3, Outcome.WRONG))
    assert curriculum.rates()[Mode.DEDUCTION][3] < before[Mode.DEDUCTION][3]


@pytest.mark.parametrize("name", sorted(CURRICULA))
def test_every_curriculum_is_made_by_name(name):
    assert isinstance(make_curriculum(name), Curriculum)


def test_what_cannot_be_used_is_named():
    with pytest.raises(ConfigError, match="not the state of a TargetRate"):
        TargetRate().load_state_dict({"seen": {}})
    with pytest.raises(UnknownName, match="target-rate"):
        make_curriculum("target_rate")
    with pytest.raises(UnknownName, match="deduction"):
        TargetRate(modes=["deducton"])
    with pytest.raises(ConfigError, match="weight of fuzzing"):
        TargetRate(modes={"fuzzing": 0})
    with pytest.raises(ConfigError, match="between 0 and 1"):
        TargetRate(1.0)
    with pytest.raises(ConfigError, match="at least one mode"):
        TargetRate(modes=[])
