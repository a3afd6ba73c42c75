import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_envs.curricula import Bins, load_bins, match_histograms, place_all, posterior_mass
from code_envs.errors import ConfigError, UnknownName
from code_envs.problem import Mode, Report
from code_envs.report.numbers import BINS

PAPER = {
    "chain": {"easy": (0.81, 0.91), "medium": (0.41, 0.59), "hard": (0.05, 0.16)},
    "broad": {"easy": (0.85, 0.97), "easy-medium": (0.61, 0.85), "medium": (0.26, 0.61), "hard": (0.10, 0.26)},
}


@pytest.mark.parametrize("name", PAPER)
def test_the_presets_are_the_paper_s_table(name):
    bins = load_bins(name)
    assert dict(bins.edges) == PAPER[name]
    assert list(bins.edges) == list(PAPER[name])  # easiest first
    assert bins.between == "discard"


def test_the_report_of_a_run_marks_the_same_bins():
    assert load_bins("chain").edges == BINS


@pytest.mark.parametrize("name", PAPER)
def test_32_attempts_are_placed_as_in_the_paper(name):
    for passes in range(33):
        inside = [bin_ for bin_, (low, high) in PAPER[name].items() if low <= passes / 32 <= high]
        placed = load_bins(name).place_counts(passes, 32)
        assert placed == inside[0] if inside else placed in ("between", "outside")


def test_few_attempts_leave_a_problem_unplaced():
    chain = load_bins("chain")
    assert chain.place_counts(7, 8) == chain.place_counts(1, 8) == "unsure"
    assert chain.but(confidence=0.0).place_counts(7, 8) == "easy"
    assert chain.place_counts(56, 64) == "easy"


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0, 1), st.floats(0, 1))
def test_the_posterior_is_a_distribution(passes, fails, a, b):
    low, high = sorted((a, b))
    parts = [posterior_mass(passes, passes + fails, *ends) for ends in ((0, low), (low, high), (high, 1))]
    assert sum(parts) == pytest.approx(1)
    assert min(parts) >= 0


def test_the_posterior_is_that_of_a_beta(rng):
    drawn = rng.beta(28 + 1, 4 + 1, size=200_000)
    assert posterior_mass(28, 32, 0.81, 0.91) == pytest.approx(np.mean((drawn >= 0.81) & (drawn <= 0.91)), abs=0.005)


def test_gaps_are_discarded_or_assigned_to_the_nearer_bin():
    chain = load_bins("chain").but(confidence=0.0)
    assert [chain.place_counts(passes, 32) for passes in (0, 8, 20, 24, 32)] == [
        *("outside", "between", "between", "between", "outside")
    ]
    chain = chain.but(between="assign")
    assert [chain.place_counts(passes, 32) for passes in (0, 8, 20, 24, 32)] == [
        *("outside", "hard", "medium", "easy", "outside")
    ]


def test_it_counts_how_many_fall_where(make):
    problems = [make(0), make(1, 28), make(2, 29), make(3, 16), make(4, 24), make(5, 32), make(6, 1, 8)]
    placed = place_all(problems, load_bins("chain"))
    assert placed.names == ("unmeasured", "easy", "easy", "medium", "between", "outside", "unsure")
    assert placed.counts == {
        "easy": 2,
        "medium": 1,
        "hard": 0,
        "unmeasured": 1,
        "outside": 1,
        "between": 1,
        "unsure": 1,
    }


def test_only_the_named_student_s_reports_with_enough_attempts_count(make):
    problem = make(1, 28)
    weak = Report(problem=problem.key, student="weak", attempts=32, passes=3)
    few = Report(problem=problem.key, student="s", attempts=4, passes=0)
    problem = problem.but(measurements=(*problem.measurements, weak, few))
    chain = load_bins("chain").but(attempts=8)
    assert chain.place(problem) == "hard"
    assert chain.but(student="s").place(problem) == "easy"
    assert chain.but(student="nobody").place(problem) == "unmeasured"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("[bins]\neasy = [0.9, 0.8]", ConfigError, "from a lower to a higher rate"),
        ("[bins]\na = [0.1, 0.5]\nb = [0.4, 0.9]", ConfigError, "'b' and 'a' overlap"),
        ("[bins]\neasy = [0.9]", ConfigError, "two pass rates"),
        ("[bins]\nunsure = [0.1, 0.2]", ConfigError, "cannot be the name"),
        ("[bins]", ConfigError, "there is no bin"),
        ("bins = 3", ConfigError, "must be a dict"),
        ("name = 'x'", ConfigError, "'bins' is missing"),
        ("confidnce = 1\n[bins]\na = [0, 1]", UnknownName, "Did you mean 'confidence'"),
        ("confidence = 1\n[bins]\na = [0, 1]", ConfigError, "below 1"),
        ("between = 'asign'\n[bins]\na = [0, 1]", UnknownName, "Did you mean 'assign'"),
        ("bins = [", ConfigError, "is not TOML"),
    ],
)
def test_bins_that_cannot_be_used_are_named(tmp_path, text, kind, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(kind, match=message):
        load_bins(tmp_path / "mine.toml")


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'chain'"):
        load_bins("chains")


@given(st.lists(st.integers(0, 16), max_size=60), st.lists(st.integers(0, 16), max_size=60), st.integers(0, 5))
def test_matched_sets_have_one_histogram(make, left, right, seed):
    first = [make(number, passes, 16, mode=list(Mode)[number % 2]) for number, passes in enumerate(left)]
    second = [make(number, passes, 16, mode=list(Mode)[number % 2]) for number, passes in enumerate(right)]
    a, b = match_histograms(first, second, cells=4, seed=seed)
    histograms = [sorted((p.mode, min(p.measurements[0].passes // 4, 3)) for p in side) for side in (a, b)]
    assert histograms[0] == histograms[1]
    assert (a, b) == match_histograms(first, second, cells=4, seed=seed)
    assert a == [p for p in first if p in a]  # in their order
    most = {cell for p in first if (cell := (p.mode, min(p.measurements[0].passes // 4, 3)))}
    assert all((p.mode, min(p.measurements[0].passes // 4, 3)) in most for p in b)


def test_matching_keeps_all_that_it_can(make):
    first = [make(number, passes) for number, passes in enumerate((3, 3, 16, 28))]
    second = [make(10 + number, passes) for number, passes in enumerate((3, 16, 16, 32))] + [make(99)]
    a, b = match_histograms(first, second)
    assert [len(a), len(b)] == [2, 2]
    assert second[4] not in b
    with pytest.raises(ConfigError, match="at least one cell"):
        match_histograms(first, second, cells=0)


def test_bins_are_easy_first_however_they_are_written():
    assert list(Bins(name="x", edges={"low": (0.0, 0.3), "high": (0.5, 1.0)}).edges) == ["high", "low"]
