"""Pass rates are counted and correlated as they should be, with a scripted student in the place of a real one."""

import json

import numpy as np
import pytest

from code_envs.benchmarks.steps import Rung, changes, climb, main, measure_chain, show, spearman, trends
from code_envs.modes import rules
from code_envs.problem import Direction, Mode
from code_envs.teacher import ProceduralTeacher


def chain(number, passes, mode=Mode.DEDUCTION, change="add_block", attempts=10):
    return [
        Rung(mode=mode, chain=number, turn=turn, change=change if turn else "grow", passes=right, attempts=attempts)
        for turn, right in enumerate(passes)
    ]


@pytest.mark.parametrize(
    ("first", "second", "rho"),
    [
        ([1, 2, 3, 4], [0.9, 0.5, 0.3, 0.1], -1.0),
        ([1, 2, 3, 4], [0, 10, 20, 30], 1.0),
        ([1, 2, 3, 4, 5], [5, 6, 7, 8, 7], 0.8207826816681233),  # the example of scipy.stats.spearmanr
        ([0, 1, 2, 0, 1, 2], [0.5, 0.5, 0.0, 1.0, 0.25, 0.0], -15 / 264**0.5),
    ],
)
def test_rank_correlation_with_ties(first, second, rho):
    assert spearman(first, second) == pytest.approx(rho)


def test_what_never_changes_has_no_correlation():
    assert np.isnan(spearman([0, 1, 2], [1.0, 1.0, 1.0]))
    (trend,) = trends([chain(0, [10, 10]), chain(1, [10, 10])])
    assert np.isnan([trend.rho, *trend.interval, trend.within]).all()


def test_the_mean_of_a_chain_does_not_hide_its_fall():
    falling = [chain(number, [start, start - 1, start - 2]) for number, start in enumerate((2, 4, 6, 8, 10))]
    (trend,) = trends(falling)
    assert (trend.mode, trend.chains, trend.problems) == (Mode.DEDUCTION, 5, 15)
    assert trend.by_turn == pytest.approx([0.6, 0.5, 0.4])
    assert trend.within == pytest.approx(-1.0)
    assert -1.0 < trend.rho < 0.0
    assert trend.interval[0] <= trend.rho <= trend.interval[1]


def test_changes_are_counted_by_mutation():
    walks = [
        chain(0, [10, 5, 5], change="add_block"),
        chain(1, [8, 9], change="add_block"),
        chain(2, [10, 10], change="add_guard"),
        chain(3, [4, 4], mode=Mode.FUZZING, change="add_guard"),
    ]
    rows = {(row.mode, row.change): row for row in changes(walks)}
    assert list(rows) == [("deduction", "add_block"), ("deduction", "add_guard"), ("fuzzing", "add_guard")]
    row = rows["deduction", "add_block"]
    assert (row.steps, row.mean) == (3, pytest.approx(-0.4 / 3))
    assert (row.down, row.up, row.stuck) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert row.interval == pytest.approx((-0.25, 0.1))
    assert (rows["deduction", "add_guard"].mean, rows["deduction", "add_guard"].stuck) == (0.0, 1.0)


def test_problems_without_scored_attempts_are_left_out():
    lost = Rung(mode=Mode.DEDUCTION, chain=0, turn=2, change="add_block", passes=0, attempts=0)
    (trend,) = trends([[*chain(0, [9, 4]), lost], chain(1, [9, 4])])
    assert (trend.problems, trend.by_turn) == (4, pytest.approx([0.9, 0.4]))


class Tiring:
    """Right on every attempt at the first problem, and on one attempt fewer with every further problem."""

    name = "tiring"

    def __init__(self, problems):
        self.problems = problems

    def answer(self, prompts, *, seed=0):
        each = len(prompts) // len(self.problems)
        asked = [(self.problems[number // each], number // each, number % each) for number in range(len(prompts))]
        return [
            rules(problem.mode).gold(problem) if attempt >= place else "no idea" for problem, place, attempt in asked
        ]


def test_a_chain_goes_one_way_and_is_measured_in_order(executor):
    teacher, rng = ProceduralTeacher(executor), np.random.default_rng(5)
    problems = climb(teacher, rng, Mode.DEDUCTION, level=1, turns=3, direction=Direction.HARDER)
    assert [problem.lineage.direction for problem in problems] == ["start", "harder", "harder"]
    rungs = measure_chain(problems, Tiring(problems), executor, attempts=4, seed=0, chain=7)
    assert [(rung.chain, rung.turn, rung.passes, rung.attempts) for rung in rungs] == [
        (7, turn, 4 - turn, 4) for turn in range(3)
    ]
    assert [rung.change for rung in rungs] == [problem.lineage.change for problem in problems]
    show([rungs])


def test_a_model_is_asked_once_for_each_attempt_and_its_replies_are_kept(model_server, tmp_path, capsys):
    model_server.script = lambda body, number: "```output\n0\n```"
    settings = {
        "student": "small",
        "base_url": model_server.url,
        "mode": ["deduction"],
        "chains": 2,
        "turns": 2,
        "attempts": 3,
        "together": 2,
        "responses": tmp_path / "replies.sqlite",
    }
    main(**settings, output=tmp_path / "first.json")
    asked = len(model_server.bodies)
    first = json.loads((tmp_path / "first.json").read_text())
    assert asked == 3 * len(first["rungs"]) == 12
    assert first["student"].startswith("small (")
    assert [trend["chains"] for trend in first["trends"]] == [2]
    assert model_server.most_at_once <= 2
    main(**settings, output=tmp_path / "second.json")
    assert len(model_server.bodies) == asked
    assert json.loads((tmp_path / "second.json").read_text()) == first
    assert "What each mutation changes" in capsys.readouterr().out
