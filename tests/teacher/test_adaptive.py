"""The rate tracker settles at the target, follows the student, and resumes exactly."""

import json

import numpy as np
import pytest

from code_envs.errors import ConfigError
from code_envs.teacher.adaptive import RateTracker, falling_fit


def _true_rate(skill, level):
    return 1 / (1 + np.exp(1.2 * (level - skill)))


def _train(tracker, rng, skill, steps, target=0.5):
    levels = []
    for _ in range(steps):
        level = tracker.choose_level(rng, "deduction", target)
        tracker.observe("deduction", level, bool(rng.random() < _true_rate(skill, level)))
        levels.append(level)
    return levels


def _nearest(skill, target=0.5):
    return int(np.argmin([abs(_true_rate(skill, level) - target) for level in range(10)]))


@pytest.mark.parametrize("skill", [-5.0, 0.4, 3.1, 4.9, 7.2, 14.0])
@pytest.mark.parametrize("target", [0.3, 0.5, 0.7])
def test_settles_where_the_pass_rate_is_the_target(skill, target):
    tracker, rng = RateTracker(), np.random.default_rng([3, round(skill * 10) + 100, round(target * 10)])
    levels = _train(tracker, rng, skill, 600, target)[300:]
    assert abs(np.median(levels) - _nearest(skill, target)) <= 1
    passed = np.mean([_true_rate(skill, level) for level in levels])
    reachable = _true_rate(skill, _nearest(skill, target))
    assert abs(passed - target) <= abs(reachable - target) + 0.12


@pytest.mark.parametrize(("before", "after"), [(2.0, 8.0), (8.0, 2.0)])
def test_follows_a_student_that_changes(before, after):
    tracker, rng = RateTracker(), np.random.default_rng([5, int(before)])
    _train(tracker, rng, before, 500)
    levels = _train(tracker, rng, after, 900)[600:]
    assert abs(np.median(levels) - _nearest(after)) <= 1


def test_estimates_come_close_and_never_rise_with_the_level():
    tracker, rng = RateTracker(memory=4000), np.random.default_rng(8)
    for _ in range(4000):
        level = int(rng.integers(10))
        tracker.observe("fuzzing", level, bool(rng.random() < _true_rate(4, level)))
    rates = [tracker.rate("fuzzing", level) for level in range(10)]
    assert rates == sorted(rates, reverse=True)
    assert max(abs(rate - _true_rate(4, level)) for level, rate in enumerate(rates)) < 0.1
    low, high = tracker.interval("fuzzing", 4)
    assert low < 0.5 < high < low + 0.2
    assert tracker.interval("induction", 4) == (0.0, 1.0)


def test_restored_equals_uninterrupted():
    whole, rng = RateTracker(), np.random.default_rng(11)
    _train(whole, rng, 4.0, 50)
    state, rng_state = json.loads(json.dumps(whole.state_dict())), rng.bit_generator.state
    expected = _train(whole, rng, 4.0, 100)
    resumed, rng = RateTracker(), np.random.default_rng()
    rng.bit_generator.state = rng_state
    resumed.load_state_dict(state)
    assert _train(resumed, rng, 4.0, 100) == expected
    assert resumed.state_dict() == whole.state_dict()


def test_falling_fit_pools_what_rises():
    fit = falling_fit(np.array([0.9, 0.2, 0.6, 0.1]), np.array([1.0, 1.0, 3.0, 1.0]))
    assert fit.tolist() == pytest.approx([0.9, 0.5, 0.5, 0.1])


@pytest.mark.parametrize("state", [{}, {"seen": 3}, {"seen": {"deduction": [[1], [2]]}}, {"seen": {"x": [["a"], []]}}])
def test_refuses_a_foreign_state(state):
    with pytest.raises(ConfigError, match="RateTracker"):
        RateTracker().load_state_dict(state)


def test_refuses_an_unknown_level():
    with pytest.raises(ConfigError, match="no level 10"):
        RateTracker().observe("deduction", 10, True)
