"""The laboratory trains for real, only smaller; its figures are not asserted."""

import sys
import xml.etree.ElementTree as ET

import msgspec
import numpy as np
import pytest

from code_envs.benchmarks.curricula import BEFORE, Config, interval, prepare, run_all, summarise, train
from code_envs.benchmarks.curricula_plots import draw_curves, draw_final
from code_envs.benchmarks.curricula_policy import Policy, Shape
from code_envs.benchmarks.curricula_problems import FAMILIES, make_problems, short_prompt
from code_envs.errors import ConfigError, MissingExtra, RunError, UnknownName
from code_envs.modes import grade, rules

SMALL = Config(
    curricula=("uniform", "learnability"),
    seeds=2,
    steps=3,
    batch=2,
    group=4,
    problems=60,
    warmup=120,
    every=2,
    samples=4,
    shape=Shape(width=16, layers=1, heads=2),
)


@pytest.fixture(scope="module")
def lab(executor):
    """A warm student with measured problems."""
    torch = pytest.importorskip("torch", reason="needs: pip install 'code-envs[lab]'")
    torch.set_num_threads(1)
    return prepare(SMALL, executor, "cpu")


def test_the_problems_are_real_and_all_different(executor):
    problems = make_problems(5, 0, executor)
    assert len({problem.key for problem in problems}) == 5 * len(FAMILIES)
    assert len({short_prompt(problem) for problem in problems}) == 5 * len(FAMILIES)
    for problem in problems[::7]:
        assert grade(problem, rules(problem.mode).gold(problem), executor).passed
        assert len(problem.cases[0].result) < Shape().answer
        assert len(short_prompt(problem)) <= Shape().prompt
    assert problems == make_problems(5, 0, executor)


@pytest.mark.extra
def test_what_is_trained_on_is_measured_and_never_evaluated(lab):
    trained, held_out = ({problem.key for problem in side} for side in (lab.train, lab.held_out))
    assert len(trained) == 2 * len(held_out) > 0
    assert not trained & held_out
    assert all(problem.measurements[0].attempts == 32 for problem in lab.train)
    assert set(lab.before) == set(lab.bins) == held_out


@pytest.mark.extra
def test_the_warm_student_knows_more_than_chance(lab):
    assert np.mean(list(lab.before.values())) > 0.03  # one that knows nothing: (1 / 24) ** 2


@pytest.mark.extra
def test_the_same_seed_trains_the_same_and_another_does_not(lab):
    first, again, other = (train(lab, "uniform", seed) for seed in (0, 0, 1))
    assert (first.curves, first.final) == (again.curves, again.final) != (other.curves, other.final)
    assert first.steps == (0, 2, 3)


@pytest.mark.extra
def test_reinforcement_raises_what_was_rewarded():
    pytest.importorskip("torch", reason="needs: pip install 'code-envs[lab]'")
    policy = Policy(Shape(width=16, layers=1, heads=2), 0, "cpu")
    before = policy.sample(["a123:"] * 200)[0].count("7")
    for _ in range(60):
        answers, ids = policy.sample(["a123:"] * 64)
        policy.reinforce(ids, [float(answer[:1] == "7") for answer in answers], 16)
    answers = policy.sample(["a123:"] * 200)[0]
    assert sum(answer[:1] == "7" for answer in answers) > before + 100


@pytest.mark.extra
def test_a_group_without_variance_changes_nothing():
    torch = pytest.importorskip("torch", reason="needs: pip install 'code-envs[lab]'")
    policy = Policy(Shape(width=16, layers=1, heads=2), 0, "cpu")
    before = policy.weights()
    _, ids = policy.sample(["a123:"] * 8)
    policy.reinforce(ids, [1.0] * 4 + [0.0] * 4, 4)
    assert all(torch.equal(before[name], value) for name, value in policy.weights().items())


@pytest.mark.extra
def test_a_killed_laboratory_goes_on_and_draws(lab, tmp_path):
    told: list[str] = []
    runs = run_all(lab, tmp_path, told.append)
    assert [(run.curriculum, run.seed) for run in runs] == [
        *[("uniform", 0), ("learnability", 0), ("uniform", 1), ("learnability", 1)]
    ]
    lines = (tmp_path / "runs.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "runs.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:20])
    told.clear()
    again = run_all(lab, tmp_path, told.append)
    assert len(told) == 1
    assert [run.final for run in again] == [run.final for run in runs]
    fewer = msgspec.structs.replace(lab, config=msgspec.structs.replace(SMALL, seeds=1, curricula=("learnability",)))
    assert [(run.curriculum, run.seed) for run in run_all(fewer, tmp_path)] == [("learnability", 0)]
    other = msgspec.structs.replace(lab, config=msgspec.structs.replace(SMALL, steps=9))
    with pytest.raises(RunError, match="another configuration"):
        run_all(other, tmp_path)

    rows = list(summarise(lab, runs))
    assert {row["curriculum"] for row in rows} == {BEFORE, "uniform", "learnability"}
    assert all(row["low"] <= row["rate"] <= row["high"] for row in rows)
    for drawing in (draw_curves(runs, SMALL.curricula), draw_final(rows)):
        shown = {element.text for element in ET.fromstring(drawing).iter()}
        assert "learnability" in shown


def test_intervals_cover_seeds_and_problems():
    rng = np.random.default_rng(0)
    mean, low, high = interval(rng.random((3, 50)))
    assert low < mean < high
    assert interval(np.ones((2, 9))) == (1, 1, 1)
    wide = interval(rng.random((3, 5)))
    assert wide[2] - wide[1] > high - low


def test_what_cannot_be_used_is_named(monkeypatch):
    with pytest.raises(UnknownName, match="Did you mean 'soft'"):
        Config(curricula=("sofd",))
    with pytest.raises(ConfigError, match="at least 2 attempts"):
        Config(group=1)
    with pytest.raises(ConfigError, match="must be positive"):
        Config(seeds=0)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"code-envs\[lab\]"):
        Policy(Shape(), 0)
