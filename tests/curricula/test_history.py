import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from code_envs.curricula import (
    POLICIES,
    SCHEDULES,
    Bandit,
    History,
    Sampler,
    TargetRate,
    load_modes,
    load_schedule,
    plot_history,
    plot_schedule,
)
from code_envs.curricula.plots import bars
from code_envs.modes.base import Grade, Outcome


def test_counts_stay_whole_however_long_the_run():
    history = History()
    for step in range(5000):
        history.show(step, "deduction" if step % 2 else "fuzzing", "easy" if step < 2500 else "hard")
        history.grade(step, "deduction", "easy", passed=step % 4 == 0)
    kinds, modes = history.counts("kind"), history.counts("mode")
    assert len(kinds["easy"]) <= 256
    assert kinds["easy"][:, 0].sum() == kinds["hard"][:, 0].sum() == 2500
    assert modes["deduction"].sum(axis=0).tolist() == [2500, 5000, 1250]
    middle = 2500 // history.width
    assert kinds["hard"][:middle, 0].sum() == 0
    assert kinds["easy"][middle + 1 :, 0].sum() == 0


def test_it_is_saved_and_restored():
    history, twin = History(), History()
    for step in (0, 3, 700):
        history.show(step, "fuzzing", "easy")
    twin.load_state_dict(json.loads(json.dumps(history.state_dict())))
    for each in (history, twin):
        each.show(701, "fuzzing", "hard")
    assert twin.state_dict() == history.state_dict()


def texts(svg):
    root = ET.fromstring(svg)
    return {element.text for element in root.iter() if element.tag.endswith("text")}


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_can_be_drawn(name):
    svg = plot_schedule(load_schedule(name), 400)
    weights = [load_schedule(name).weights(step, 400) for step in range(400)]
    used = {bin_ for row in weights for bin_, weight in row.items() if weight}
    assert used | {name, "training step"} <= texts(svg)
    assert svg == plot_schedule(load_schedule(name), 400)


def test_weights_of_modes_can_be_drawn():
    assert {"induction", "fuzzing"} <= texts(plot_schedule(load_modes("equal"), 10))


@pytest.mark.parametrize("policy", [*POLICIES, "soft"])
def test_what_a_sampler_did_can_be_drawn(stepping_stones, policy):
    sampler = Sampler(stepping_stones, policy, steps=50, batch_size=2, seed=1)
    for drawn in sampler:
        sampler.observe(drawn.problem, Grade(outcome=Outcome.PASSED, reward=1.0))
    kinds = set(sampler.history.counts("kind"))
    assert kinds <= (
        {"level 0", "level 3", "level 6"} if policy in ("bandit", "target-rate") else {"easy", "medium", "hard"}
    )
    assert kinds | {"pass rate", "mine"} <= texts(plot_history(sampler.history, title="mine"))
    assert "fuzzing" in texts(plot_history(sampler.history, by="mode"))


@pytest.mark.parametrize("kind", [TargetRate, Bandit])
def test_what_a_curriculum_over_levels_did_can_be_drawn(kind):
    curriculum, rng = kind(modes=["fuzzing"]), np.random.default_rng(0)
    chosen = {f"level {curriculum.choose(rng)[1]}" for _ in range(20)}
    assert chosen <= texts(plot_history(curriculum.history))


def test_a_history_without_anything_is_an_empty_plot():
    assert "training step" in texts(plot_history(History()))


def test_bars_show_whatever_is_above_nothing():
    assert bars([0, 0.001, 0.5, 1]) == " ▁▄█"
