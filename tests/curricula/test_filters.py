import json
from collections import Counter

import pytest

from code_envs.curricula import ChainOrder, Sampler, VarianceFilter
from code_envs.errors import ConfigError
from code_envs.modes.base import Grade, Outcome

PASSED, WRONG = Grade(outcome=Outcome.PASSED, reward=1.0), Grade(outcome=Outcome.WRONG)


@pytest.mark.parametrize("policy", ["soft", "uniform", "learnability", "target-rate"])
@pytest.mark.parametrize("order", ["easy-first", "hard-first"])
def test_no_problem_comes_before_its_sibling_was_tried(stepping_stones, policy, order):
    if (policy, order) == ("soft", "hard-first"):
        policy = "reverse"
    sampler = Sampler(stepping_stones, policy, steps=400, batch_size=2, chain_order=order, seed=4)
    first: dict[tuple[str, float], int] = {}
    for drawn in sampler:
        chain, rate = drawn.problem.lineage.chain, drawn.problem.measurements[0].rate
        first.setdefault((chain, rate), drawn.step)
        earlier = [other for other in (28 / 32, 16 / 32, 3 / 32) if (other > rate) == (order == "easy-first")]
        for other in earlier:
            if other != rate:
                assert first[chain, other] < drawn.step
    assert len({rate for _, rate in first}) == 3


def test_siblings_without_measurements_are_ordered_by_level(make):
    problems = [make(number, level=number, chain="c") for number in range(3)]
    sampler = Sampler(problems, "learnability", chain_order="easy-first", batch_size=1)
    shown = list(dict.fromkeys(sampler.draw().problem.lineage.level for _ in range(40)))
    assert shown == [0, 1, 2]


def test_siblings_that_the_schedule_never_shows_hold_nothing_back(make):
    problems = [make(0, 28, chain="c"), make(1, 23, chain="c"), make(2, 16, chain="c"), make(3, 3, chain="d")]
    sampler = Sampler(problems, "soft", steps=40, chain_order="easy-first")  # 23 of 32 is in no bin
    assert {drawn.bin for drawn in sampler} == {"easy", "medium", "hard"}


def test_an_order_that_contradicts_the_schedule_is_named(stepping_stones):
    sampler = Sampler(stepping_stones, "reverse", steps=40, chain_order="easy-first")
    with pytest.raises(ConfigError, match=r"step 0: .*chain_order holds all of them back"):
        sampler.draw()


def report(sampler, problem, *grades):
    for grade in grades:
        sampler.observe(problem, grade)


def test_a_group_without_variance_rests_and_comes_back(make):
    problems = [make(number, 16) for number in range(3)]
    sampler = Sampler(problems, "learnability", group_size=2, rest=10, batch_size=1, seed=1)
    first = sampler.draw().problem
    report(sampler, first, PASSED, PASSED)
    shown = Counter(sampler.draw().problem.key for _ in range(10))
    assert first.key not in shown
    assert first.key in {sampler.draw().problem.key for _ in range(30)}
    (variance,) = sampler.filters
    assert (variance.groups, variance.uniform) == (1, 1)


def test_a_group_with_variance_or_without_scores_does_not_rest(make):
    problems = [make(0, 16), make(1, 16)]
    sampler = Sampler(problems, "learnability", group_size=2, rest=1000, seed=1)
    report(sampler, problems[0], PASSED, WRONG)
    report(sampler, problems[1], *[Grade(outcome=Outcome.INFRA)] * 2)
    assert {sampler.draw().problem.key for _ in range(30)} == {problem.key for problem in problems}
    assert (sampler.filters[0].groups, sampler.filters[0].uniform) == (1, 0)


def test_where_all_rest_the_filter_is_passed_over(make):
    problems = [make(0, 16), make(1, 16)]
    sampler = Sampler(problems, "learnability", group_size=2, rest=1000)
    for problem in problems:
        report(sampler, problem, WRONG, WRONG)
    assert sampler.draw().problem in problems


def test_an_unfinished_group_is_saved(make):
    problems = [make(0, 16), make(1, 16)]

    def sampler():
        return Sampler(problems, "learnability", group_size=3, rest=1000)

    first, second = sampler(), sampler()
    report(first, problems[0], WRONG, WRONG)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    report(second, problems[0], WRONG)
    assert {second.draw().problem.key for _ in range(20)} == {problems[1].key}


def test_filters_say_what_they_cannot_do():
    with pytest.raises(ConfigError, match="groups of 2 or more"):
        VarianceFilter(1)
    with pytest.raises(ConfigError, match="Did you mean 'hard-first'"):
        ChainOrder("hard")
