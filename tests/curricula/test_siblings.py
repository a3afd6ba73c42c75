import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_envs.curricula import OnlineSettings
from code_envs.curricula.beliefs import Belief, Beliefs, Replies
from code_envs.curricula.siblings import Answer, Siblings
from code_envs.errors import ConfigError
from code_envs.problem import Direction

SETTINGS = OnlineSettings(half_life=10, evidence=4, pending=2, most=3)


def believed(make, rates, attempts=20, step=0):
    """Beliefs in problems 0, 1, … of the given rates."""
    beliefs = Beliefs(SETTINGS.half_life)
    for number, rate in enumerate(rates):
        for at in range(attempts if rate is not None else 0):
            beliefs.observe(make(number), at < rate * attempts, step)
    return beliefs


def wish(make, rates, *, chain="c", of=0, siblings=None, retired=(), **more):
    problems = [make(number, chain=chain, level=number) for number in range(len(rates))]
    siblings = siblings or Siblings(SETTINGS, problems)
    keys = {problems[number].key for number in retired}
    beliefs = believed(make, rates, **more)
    return siblings.wish(problems[of], beliefs, Replies(), 0, lambda problem: problem.key in keys)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([0.9], (0, "harder")),
        ([0.5], None),
        ([0.65], None),  # the paper's bounds: harder above 0.65, easier at 0
        ([0.05], None),
        ([0.0], (0, "easier")),
        ([0.9, 0.7], (1, "harder")),
        ([0.9, 0.5], None),  # the chain has one in range
        ([0.9, None], None),  # one that is untried may be
        ([0.9, 0.0], (0, "harder")),
        ([0.0, 0.0], (0, "easier")),  # from the easier one, by level
    ],
)
def test_a_chain_wants_a_sibling_when_none_of_its_problems_is_in_range(make, rates, expected):
    found = wish(make, rates)
    assert (found and (found.key, found.direction)) == (expected and (make(expected[0]).key, expected[1]))


def test_a_wish_says_what_the_policy_did(make):
    found = wish(make, [0.9])
    assert (found.chain, found.number) == ("c", 0)
    assert (found.report.student, found.report.attempts, found.report.passes) == ("policy", 20, 18)


def test_problems_without_a_chain_are_one_each(make):
    found = wish(make, [0.9, 0.5], chain="")
    assert found.chain == found.key == make(0).key


def test_a_problem_is_judged_after_enough_attempts_only(make):
    assert wish(make, [1.0], attempts=3) is None
    assert wish(make, [1.0], attempts=4).direction == "harder"


def test_half_a_pass_that_is_left_counts_as_none(make):
    beliefs = Beliefs(SETTINGS.half_life)
    beliefs.observe(make(0), True, 0)
    for _ in range(8):
        beliefs.observe(make(0), False, 40)
    assert SETTINGS.direction(beliefs.of(make(0).key, 40)) is Direction.EASIER
    assert SETTINGS.direction(Belief(1 / 8, 8.0, 8.0)) is Direction.SIDEWAYS


def test_a_retired_problem_does_not_count_for_its_chain(make):
    assert wish(make, [0.5, 0.9], of=1, retired=[0]).key == make(1).key


def test_wishes_are_bounded_and_each_chain_has_one_at_a_time(make):
    problems = [make(number, chain=f"c{number}") for number in range(5)]
    siblings, beliefs = Siblings(SETTINGS, problems), believed(make, [1.0] * 5)

    def ask(number, step=0):
        return siblings.wish(problems[number], beliefs, Replies(), step, lambda _: False)

    assert [ask(0).number, ask(1).number] == [0, 1]
    assert ask(0) is None
    assert ask(2) is None  # two are pending
    made = make(100, chain="c0", parent=problems[0].key)
    made = made.but(lineage=made.lineage.but(direction="harder"))
    assert siblings.settle(Answer(number=0, problem=made), 0, lambda _: False) == made
    siblings.add(made)
    assert ask(0) is None  # the new one is untried
    assert ask(2).number == 2
    twin = Siblings(SETTINGS, [*problems, made])
    twin.load_state_dict(json.loads(json.dumps(siblings.state_dict())))
    assert twin.state_dict() == siblings.state_dict()
    assert siblings.settle(Answer(number=1, problem=make(101)), 0, lambda _: False)
    assert siblings.settle(Answer(number=2, problem=make(102)), 0, lambda _: False)
    assert ask(3) is None  # three were made: the most


@given(failures=st.integers(1, 14))
def test_after_failures_the_teacher_is_asked_ever_more_seldom(make, failures):
    problem, step, waited = make(0, chain="c"), 0, []
    siblings, beliefs = Siblings(SETTINGS, [problem]), believed(make, [1.0])
    for _ in range(failures):
        while (found := siblings.wish(problem, beliefs, Replies(), step, lambda _: False)) is None:
            step += 1
        waited.append(step)
        assert siblings.settle(Answer(number=found.number, error="no"), step, lambda _: False) is None
    gaps = [later - earlier for earlier, later in itertools.pairwise(waited)]
    assert gaps == [min(2 ** (at + 1), 1024) for at in range(failures - 1)]


@pytest.mark.parametrize(
    ("rate", "direction", "expected"),
    [
        (1.0, "harder", True),
        (0.9, "harder", False),
        (1.0, "easier", False),
        (0.0, "easier", True),
        (0.1, "easier", False),
    ],
)
def test_a_problem_is_outgrown_once_its_sibling_is_there(make, rate, direction, expected):
    problem, child = make(0, chain="c"), make(1, chain="c", parent=make(0).key)
    child = child.but(lineage=child.lineage.but(direction=direction))
    belief = Belief(rate, 20.0, 20.0)
    assert not Siblings(SETTINGS, [problem]).outgrown(problem, belief)
    siblings = Siblings(SETTINGS, [problem, child])
    assert siblings.outgrown(problem, belief) is expected
    assert not siblings.outgrown(problem, None)
    assert not siblings.outgrown(problem, Belief(rate, 3.0, 3.0))


def test_a_sibling_gets_its_place_in_the_chain(make):
    found = wish(make, [1.0])
    parent, varied = make(0, chain="c"), make(7, 3, chain="elsewhere", level=4)
    fitted = found.fit(varied, parent)
    lineage = fitted.lineage
    assert (lineage.chain, lineage.parent, lineage.turn, lineage.direction) == ("c", parent.key, 1, "harder")
    assert lineage.level == 4
    assert not fitted.measurements
    for other in (parent, make(7, mode="fuzzing")):
        with pytest.raises(ConfigError, match="the problem itself again"):
            found.fit(other, parent)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"half_life": 0}, "half_life must be positive"),
        ({"pending": -1}, "pending must be positive"),
        ({"most": -1}, "most must not be negative"),
        ({"harder_above": 1.5}, "easier_up_to must lie below"),
        ({"easier_up_to": 0.7}, "easier_up_to must lie below"),
        ({"target": (0.6, 0.4)}, "target must go from a lower"),
        ({"keep": (0.1, 1.4)}, "keep must go from a lower"),
    ],
)
def test_settings_out_of_range_are_named(setting, message):
    with pytest.raises(ConfigError, match=message):
        OnlineSettings(**setting)
