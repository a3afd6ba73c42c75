"""Groups hold the answers that they say; figures are not asserted."""

from pathlib import Path

import pytest

from code_envs.benchmarks.groups import make_group, measure_groups
from code_envs.errors import ConfigError
from code_envs.modes import rules
from code_envs.problem import Case, Mode, load_problems

FOLDER = Path(__file__).parents[1] / "problems"


@pytest.fixture(params=Mode)
def problem(request):
    return next(iter(load_problems(FOLDER / f"{request.param}.jsonl")))


def test_every_reply_of_a_group_can_be_read(problem):
    group = make_group(problem, 8, repeats=False, seed=5)
    assert not any(rules(problem.mode).read(problem, reply).complaint for reply in group)
    assert len({rules(problem.mode).read(problem, reply) for reply in group}) == 8


def test_repeats_are_drawn_from_the_seed(problem):
    group = make_group(problem, 32, repeats=True, seed=5)
    assert len(group) == 32
    assert 1 < len(set(group)) < 32
    assert group == make_group(problem, 32, repeats=True, seed=5) != make_group(problem, 32, repeats=True, seed=6)


def test_a_group_is_graded(problem, executor):
    speed = measure_groups([problem], 8, repeats=False, rounds=2, executor=executor)
    assert (speed.mode, speed.workers, speed.size, speed.distinct) == (problem.mode, 1, 8, 8)
    assert 0 < speed.slowest <= speed.replies_per_second <= speed.fastest


def test_figures_of_wrong_answers_are_refused(executor):
    (problem, *_) = load_problems(FOLDER / "induction.jsonl")
    broken = problem.but(hidden=(Case(arguments=problem.cases[0].arguments, result="'another'"),))
    with pytest.raises(ConfigError, match=r"gold answer of problem .* is graded wrong"):
        measure_groups([broken], 8, repeats=False, rounds=1, executor=executor)
