import json
from collections import Counter

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from code_envs.curricula import (
    POLICIES,
    SCHEDULES,
    Bandit,
    CurriculumService,
    Sampler,
    Scheduled,
    TargetRate,
    load_modes,
    load_schedule,
    ordered_rows,
    write_ordered,
)
from code_envs.errors import ConfigError, UnknownName
from code_envs.integrations.huggingface_adapter import from_dataset
from code_envs.modes import rules
from code_envs.modes.base import Grade, Outcome
from code_envs.problem import Mode

PASSED, WRONG = Grade(outcome=Outcome.PASSED, reward=1.0), Grade(outcome=Outcome.WRONG)
CHAIN_SCHEDULES = [name for name in SCHEDULES if name != "medium-start-reverse"]


def keys(draws):
    return [drawn.problem.key for drawn in draws]


def skilled(problem, rng):
    """The grade of a student that passes as often as was measured."""
    return PASSED if rng.random() < problem.measurements[-1].rate else WRONG


# --- schedules ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHAIN_SCHEDULES)
def test_problems_come_as_often_as_the_schedule_says(stepping_stones, name):
    sampler = Sampler(stepping_stones, name, steps=400, batch_size=20, seed=3)
    schedule = load_schedule(name)
    expected, got, spread = Counter(), Counter(), Counter()
    for drawn in sampler:
        stretch = drawn.step // 100
        got[stretch, drawn.bin] += 1
        for bin_, weight in schedule.weights(drawn.step, 400).items():
            expected[stretch, bin_] += weight
            spread[stretch, bin_] += weight * (1 - weight)
    assert sum(got.values()) == 8000
    for cell, mean in expected.items():
        assert abs(got[cell] - mean) <= 5 * np.sqrt(spread[cell]) + 1e-6


def test_modes_come_by_their_weights_and_may_change(stepping_stones, tmp_path):
    path = tmp_path / "modes.toml"
    path.write_text(
        "total = 2\n[[stages]]\nfrom = 0\nuntil = 1\nweights = {induction = 1}\n"
        "[[stages]]\nfrom = 1\nuntil = 2\nweights = {induction = 0.25, fuzzing = 0.75}\n"
    )
    draws = list(Sampler(stepping_stones, "uniform", steps=200, batch_size=10, modes=path))
    assert {drawn.problem.mode for drawn in draws[:1000]} == {Mode.INDUCTION}
    late = Counter(drawn.problem.mode for drawn in draws[1000:])
    assert set(late) == {Mode.INDUCTION, Mode.FUZZING}
    assert 680 < late[Mode.FUZZING] < 820
    only = Sampler(stepping_stones, "uniform", steps=9, modes="deduction-only")
    assert {drawn.problem.mode for drawn in only} == {Mode.DEDUCTION}


def test_every_problem_of_a_cell_comes_once_before_any_comes_again(stepping_stones):
    sampler = Sampler(stepping_stones, "medium-only", steps=100, modes="fuzzing-only")
    drawn = keys(sampler)
    for start in range(0, 100, 10):  # ten problems are medium and fuzzing
        assert len(set(drawn[start : start + 10])) == 10
    assert drawn[:10] != drawn[10:20]  # each round is shuffled anew


@settings(max_examples=25)
@given(st.sampled_from(CHAIN_SCHEDULES), st.integers(0, 1 << 40), st.integers(0, 119))
def test_resumed_is_as_never_interrupted(stepping_stones, name, seed, stop):
    def sampler():
        return Sampler(stepping_stones, name, steps=40, batch_size=3, seed=seed)

    whole, broken = keys(sampler()), sampler()
    early = [broken.draw().problem.key for _ in range(stop)]
    later = sampler()
    later.load_state_dict(json.loads(json.dumps(broken.state_dict())))
    assert early + keys(later) == whole


def test_seeds_give_different_sequences_and_the_same_seed_the_same(stepping_stones):
    sequences = [keys(Sampler(stepping_stones, "soft", steps=40, seed=seed)) for seed in (0, 1, 0)]
    assert sequences[0] == sequences[2] != sequences[1]


# --- three ways out -----------------------------------------------------------------------------


def test_the_three_ways_out_give_one_sequence(stepping_stones, tmp_path, executor):
    def sampler(group_size=1):
        return Sampler(stepping_stones, "soft", steps=12, batch_size=2, group_size=group_size, seed=11)

    expected = keys(sampler())
    env = gymnasium.make("code_envs/Mixed-v0", curriculum=sampler(), executor=executor)
    assert [env.reset()[1]["key"] for _ in expected] == expected
    write_ordered(sampler(), tmp_path / "train.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [row["key"] for row in rows] == expected
    service = CurriculumService(sampler(3))
    assert [service.ask(f"prompt {number}").problem.key for number in range(24)] == expected


def test_a_vector_environment_gives_every_group_one_problem(stepping_stones, executor):
    sampler = Sampler(stepping_stones, "soft", steps=12, batch_size=2, group_size=3, seed=11)
    envs = gymnasium.make_vec("code_envs/Mixed-v0", num_envs=6, curriculum=sampler, executor=executor)
    expected = keys(Sampler(stepping_stones, "soft", steps=12, batch_size=2, seed=11))
    for step in range(3):
        _, info = envs.reset()
        assert list(info["key"]) == [key for key in expected[2 * step : 2 * step + 2] for _ in range(3)]
    assert sampler.step == 3


def test_the_position_within_a_group_is_saved(stepping_stones):
    def sampler():
        return Sampler(stepping_stones, "soft", steps=4, group_size=4)

    rng, whole, first, second = np.random.default_rng(0), sampler(), sampler(), sampler()
    expected = [whole.choose(rng).key for _ in range(12)]
    early = [first.choose(rng).key for _ in range(6)]
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert early + [second.choose(rng).key for _ in range(6)] == expected


@pytest.mark.parametrize(("batch_size", "repeat"), [(1, 1), (4, 1), (4, 8)])
def test_the_rows_of_a_file_come_out_at_the_right_step(stepping_stones, batch_size, repeat):
    sampler = Sampler(stepping_stones, "classic", steps=8, batch_size=batch_size, seed=5)
    rows = list(ordered_rows(sampler, repeat=repeat))
    assert [row["place"] for row in rows] == list(range(8 * batch_size * repeat))
    assert [row["step"] for row in rows] == [place // (batch_size * repeat) for place in range(len(rows))]
    assert all(len({row["key"] for row in rows[at : at + repeat]}) == 1 for at in range(0, len(rows), repeat))
    assert {row["bin"] for row in rows if row["step"] < 2} == {"easy"}
    assert {row["bin"] for row in rows if row["step"] >= 6} == {"hard"}
    assert [problem.key for problem in from_dataset(rows)] == [row["key"] for row in rows]
    assert rows[0]["prompt"]


def test_a_file_goes_on_where_the_sampler_stands(stepping_stones):
    sampler = Sampler(stepping_stones, "soft", steps=10, batch_size=2)
    for _ in range(6):
        sampler.draw()
    rows = list(ordered_rows(sampler))
    assert [row["place"] for row in rows] == list(range(6, 20))
    with pytest.raises(ConfigError, match="needs a sampler with steps"):
        next(ordered_rows(Sampler(stepping_stones, "learnability")))


def test_a_group_asks_with_one_ticket_until_its_last_report(stepping_stones):
    service = CurriculumService(Sampler(stepping_stones, "learnability", group_size=2))
    first = service.ask("a")
    assert service.ask("b").index == 1
    service.report("a", PASSED)
    twin = CurriculumService(Sampler(stepping_stones, "learnability", group_size=2))
    twin.load_state_dict(json.loads(json.dumps(service.state_dict())))
    for each in (service, twin):
        assert each.ask("a") == first
        each.report("a", WRONG)
        assert each.ask("a").index == 2  # a new group
        each.report("c", PASSED)  # nobody asked with it
        assert each.stats()["stray"] == 1
    assert service.state_dict() == twin.state_dict()


def test_an_environment_reports_to_the_sampler(stepping_stones, executor):
    sampler = Sampler(stepping_stones, "learnability", modes="deduction-only", seed=1)
    env = gymnasium.make("code_envs/Mixed-v0", curriculum=sampler, executor=executor)
    _, info = env.reset()
    problem = env.unwrapped.problem
    place = sampler.pool.places[info["key"]]
    before = sampler.policy.rates()[place]
    _, reward, *_ = env.step(rules(problem.mode).gold(problem))
    assert reward == 1
    assert sampler.policy.rates()[place] > before


# --- adaptive policies --------------------------------------------------------------------------


def train(sampler, count, seed=0):
    """Draws problems and reports a student's attempts at them."""
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(count):
        problem = sampler.choose(rng)
        sampler.observe(problem, skilled(problem, rng))
        drawn.append(problem.key)
    return drawn


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("settings_", [{}, {"group_size": 4, "rest": 3, "chain_order": "easy-first"}])
def test_adaptive_policies_repeat_and_resume(stepping_stones, name, settings_):
    def sampler():
        return Sampler(stepping_stones, name, batch_size=4, seed=7, **settings_)

    first, second = sampler(), sampler()
    assert train(first, 60) == train(second, 60)
    third = sampler()
    third.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert train(first, 60, seed=1) == train(third, 60, seed=1)
    assert first.state_dict() == third.state_dict()


def test_learnability_prefers_what_is_passed_half_of_the_time(stepping_stones):
    sampler = Sampler(stepping_stones, "learnability", seed=1)
    bins = Counter(sampler.draw().bin for _ in range(3000))
    assert bins["medium"] > 1.2 * bins["easy"]
    assert bins["medium"] > 1.2 * bins["hard"]
    assert min(bins.values()) > 300


def test_failure_first_prefers_what_fails(stepping_stones):
    sampler = Sampler(stepping_stones, "failure-first", seed=1)
    bins = Counter(sampler.draw().bin for _ in range(3000))
    assert bins["hard"] > bins["medium"] > bins["easy"]


def test_what_is_observed_moves_the_weights(stepping_stones):
    sampler = Sampler(stepping_stones, "failure-first", seed=1)
    for problem in stepping_stones:
        if problem.measurements[0].passes == 3:  # the hard ones are mastered, the easy ones forgotten
            for _ in range(200):
                sampler.observe(problem, PASSED)
        elif problem.measurements[0].passes == 28:
            for _ in range(200):
                sampler.observe(problem, WRONG)
    bins = Counter(sampler.draw().bin for _ in range(2000))
    assert bins["easy"] > bins["medium"] > bins["hard"]


def test_unscored_attempts_and_strangers_say_nothing(stepping_stones, make):
    sampler = Sampler(stepping_stones, "learnability")
    before = sampler.state_dict()
    sampler.observe(stepping_stones[0], Grade(outcome=Outcome.INFRA))
    sampler.observe(make(99_999), PASSED)
    assert sampler.state_dict() == before


def test_a_target_rate_over_a_fixed_set_settles_at_its_level(stepping_stones):
    sampler = Sampler(stepping_stones, TargetRate(0.5), seed=2)  # levels 0, 3 and 6 pass at .88, .5 and .09
    train(sampler, 500)
    late = Counter(sampler.draw().problem.lineage.level for _ in range(300))
    assert late.most_common(1)[0][0] == 3


def test_a_bandit_goes_where_the_student_is_learning(stepping_stones):
    rng = np.random.default_rng(0)
    bandit = Bandit(["deduction"], levels=[0, 3, 6])
    shown = Counter()
    deduction = {p.lineage.level: p for p in stepping_stones if p.mode is Mode.DEDUCTION}
    for number in range(1500):
        _, level = bandit.choose(rng)
        shown[level] += number >= 500
        rate = {0: 1.0, 3: (number % 300) / 300, 6: 0.0}[level]  # only level 3 changes, again and again
        bandit.observe(deduction[level], PASSED if rng.random() < rate else WRONG)
    assert shown[3] > shown[0]
    assert shown[3] > shown[6]
    assert min(shown.values()) > 20


def test_a_bandit_refuses_the_state_of_another():
    with pytest.raises(ConfigError, match="these modes and levels"):
        Bandit().load_state_dict(Bandit(["fuzzing"]).state_dict())
    with pytest.raises(ConfigError, match="at least one level"):
        Bandit(levels=[])
    with pytest.raises(ConfigError, match="temperature"):
        Bandit(temperature=0)


# --- what cannot be used ------------------------------------------------------------------------


def test_starved_bins_are_refused_or_skipped(make):
    problems = [make(0, 28), make(1, 16)]
    with pytest.raises(ConfigError, match=r"no problem for deduction hard.* 1 easy, 1 medium, 0 hard"):
        Sampler(problems, "soft", steps=10)
    sampler = Sampler(problems, "soft", steps=10, starved="skip")
    assert sampler.starved() == {("deduction", "hard"): 0.8}
    assert {drawn.bin for drawn in sampler} == {"easy", "medium"}
    with pytest.raises(ConfigError, match="step 8: no problem to show"):
        list(Sampler(problems, "classic", steps=10, starved="skip"))
    with pytest.raises(ConfigError, match="no problem for fuzzing any bin"):
        Sampler(problems, "learnability", modes={"fuzzing": 1, "deduction": 1})


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"policy": "sofd"}, UnknownName, "Did you mean 'soft'"),
        ({"policy": "learnabilty"}, UnknownName, "Did you mean 'learnability'"),
        ({"policy": "soft"}, ConfigError, "needs steps="),
        ({"policy": 3}, ConfigError, "policy must be a name"),
        ({"policy": load_modes("equal"), "steps": 3}, ConfigError, "give it as modes="),
        ({"policy": "soft", "steps": 3, "modes": load_schedule("soft")}, ConfigError, "a schedule over bins"),
        ({"policy": "bandit", "modes": "equal"}, ConfigError, "chooses the modes itself"),
        ({"policy": "soft", "steps": 0}, ConfigError, "at least one step"),
        ({"policy": "soft", "steps": 3, "batch_size": 0}, ConfigError, "batch_size must be positive"),
        ({"policy": "learnability", "rest": 3}, ConfigError, "groups of 2 or more"),
        ({"policy": "learnability", "chain_order": "easy"}, UnknownName, "Did you mean 'easy-first'"),
        ({"policy": "learnability", "starved": "no"}, UnknownName, "refuse"),
        ({"policy": "soft", "steps": 3, "bins": "broad"}, ConfigError, "no problem for"),
    ],
)
def test_what_cannot_be_used_is_named(stepping_stones, arguments, kind, message):
    with pytest.raises(kind, match=message):
        Sampler(stepping_stones, **arguments)


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        ("problems", {"policy": "soft", "steps": 10, "problems": slice(3, None), "starved": "skip"}),
        ("seed", {"policy": "soft", "steps": 10, "seed": 1}),
        ("steps", {"policy": "soft", "steps": 11}),
        ("policy", {"policy": "hard", "steps": 10}),
        ("policy", {"policy": "learnability"}),
        ("batch_size", {"policy": "soft", "steps": 10, "batch_size": 2}),
        ("filters", {"policy": "soft", "steps": 10, "chain_order": "easy-first"}),
        ("group_size", {"policy": "soft", "steps": 10, "group_size": 2, "rest": 4}),
    ],
)
def test_the_state_of_another_sampler_is_refused(stepping_stones, what, arguments):
    sampler = Sampler(stepping_stones, "soft", steps=10)
    sampler.draw()
    before = sampler.state_dict()
    chosen = stepping_stones[arguments.pop("problems", slice(None))]
    with pytest.raises(ConfigError, match=f"a sampler with other {what}"):
        sampler.load_state_dict(Sampler(chosen, **arguments).state_dict())
    assert sampler.state_dict() == before


def test_a_state_that_is_broken_changes_nothing(stepping_stones):
    sampler = Sampler(stepping_stones, "learnability")
    broken = {**sampler.state_dict(), "index": 7, "history": {}}
    before = sampler.state_dict()
    with pytest.raises(ConfigError, match="does not fit this sampler"):
        sampler.load_state_dict(broken)
    assert sampler.state_dict() == before
    with pytest.raises(ConfigError, match="at least one problem"):
        Sampler([], "learnability")
    with pytest.raises(ConfigError, match="at least one step"):
        Scheduled(load_schedule("soft"), 0)
