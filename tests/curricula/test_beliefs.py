import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_envs.curricula.beliefs import Beliefs, Replies
from code_envs.errors import ConfigError
from code_envs.modes.base import Grade, Outcome
from code_envs.problem import Report

PASSED, WRONG = Grade(outcome=Outcome.PASSED, reward=1.0), Grade(outcome=Outcome.WRONG, reason="no")
ATTEMPTS = st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=40)


@given(attempts=ATTEMPTS, order=st.randoms())
def test_beliefs_do_not_depend_on_the_order_or_the_delay_of_reports(make, attempts, order):
    shuffled = list(attempts)
    order.shuffle(shuffled)
    one, other = Beliefs(half_life=10), Beliefs(half_life=10)
    for step, passed in attempts:
        one.observe(make(0), passed, step)
    for step, passed in shuffled:
        other.observe(make(0), passed, step)
    for name in (make(0).key, "deduction"):
        assert one.of(name, 60) == pytest.approx(other.of(name, 60))


@given(attempts=ATTEMPTS)
def test_each_attempt_counts_by_its_age_alone(make, attempts):
    beliefs = Beliefs(half_life=5)
    for step, passed in attempts:
        beliefs.observe(make(0), passed, step)
    weights = [0.5 ** ((60 - step) / 5) for step, _ in attempts]
    passes = sum(weight for weight, (_, passed) in zip(weights, attempts, strict=True) if passed)
    belief = beliefs.of(make(0).key, 60)
    assert belief == pytest.approx((passes / sum(weights), sum(weights), len(attempts)))


def test_evidence_halves_in_a_half_life_and_the_rate_follows_the_policy(make):
    beliefs = Beliefs(half_life=20)
    for _ in range(8):
        beliefs.observe(make(0), False, 0)
    assert beliefs.of(make(0).key, 20).attempts == pytest.approx(4)
    assert beliefs.of(make(0).key, 20).rate == 0
    for _ in range(8):
        beliefs.observe(make(0), True, 20)
    assert beliefs.of(make(0).key, 20).rate == pytest.approx(8 / 12)
    assert beliefs.of("another", 20) is None


def test_a_stored_measurement_is_worth_eight_attempts_at_most(make):
    beliefs, problem = Beliefs(), make(0, 16)
    beliefs.expect(problem, problem.measurements[0])
    assert beliefs.of(problem.key, 0) == (0.5, 8.0, 32.0)
    few = make(1, 1, 4)
    beliefs.expect(few, few.measurements[0])
    assert beliefs.of(few.key, 0) == (0.25, 4.0, 4.0)
    with pytest.raises(ConfigError, match="half-life must be a positive"):
        Beliefs(0)


def test_replies_are_few_and_short_and_reach_the_report(make):
    replies, beliefs = Replies(), Beliefs()
    for number in range(300):
        replies.add(f"k{number}", "thought " * 1_000 + "answer", PASSED)
    for number in range(5):
        replies.add("k299", f"wrong {number}", WRONG)
    state = json.loads(json.dumps(replies.state_dict()))
    assert len(state["kept"]) == 256
    twin = Replies()
    twin.load_state_dict(state)
    for _ in range(3):
        beliefs.observe(make(0), True, 0)
    beliefs.observe(make(0), False, 0)
    for each in (replies, twin):
        report = each.report("k299", beliefs.of(make(0).key, 0), 8)
        assert (report.passes, report.attempts, report.rate) == (6, 8, 0.75)
        assert [attempt.reply for attempt in report.failed] == ["wrong 3", "wrong 4"]
        assert report.failed[0].reason == "no"
        assert report.solved[0].reply.endswith("thought answer")
        assert [len(attempt.reply) for attempt in report.solved] == [4_000]
        assert each.report("k0", beliefs.of(make(0).key, 0), 1) == Report(
            problem="k0", student="policy", attempts=4, passes=3
        )
