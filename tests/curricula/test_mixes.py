from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_envs.curricula import MIXES, Mix, Part, load_mix, materialise
from code_envs.errors import ConfigError, UnknownName
from code_envs.problem import Mode, save_records

PAPER = {
    "real-25k-synthetic-20k": [("real", "induction", 25_000), ("synthetic", "induction", 20_000)],
    "real-81k": [("real", "induction", 81_000)],
    "synthetic-20k": [("synthetic", "induction", 20_000)],
    "four-5k": [("synthetic", mode, 5_000) for mode in ("induction", "abduction", "deduction", "fuzzing")],
}


@pytest.mark.parametrize("name", PAPER)
def test_the_presets_are_the_paper_s_mixes(name):
    assert [(part.source, *part.modes, part.count) for part in load_mix(name).parts] == PAPER[name]
    assert set(MIXES) == set(PAPER)


@pytest.fixture(scope="module")
def sources(make):
    real = [make(number, mode=Mode.INDUCTION) for number in range(90)]
    synthetic = [make(100 + number, mode=list(Mode)[number % 4]) for number in range(120)]
    return {"real": real, "synthetic": synthetic}


@pytest.mark.parametrize("name", PAPER)
def test_a_preset_is_materialised_in_small(sources, name):
    mix = load_mix(name)
    made = materialise(mix, sources, scale=1 / 1000)
    assert made.counts == tuple(part.count // 1000 for part in mix.parts)
    modes = Counter()
    for part in mix.parts:
        modes[part.modes[0]] += part.count // 1000
    assert Counter(problem.mode for problem in made.problems) == modes


def test_the_same_file_gives_the_same_problems_whatever_the_order(sources, tmp_path):
    mix = load_mix("four-5k")
    made = materialise(mix, sources, scale=0.002)
    backwards = {name: list(reversed(problems)) for name, problems in sources.items()}
    save_records(tmp_path / "synthetic.jsonl", backwards["synthetic"])
    from_file = materialise(mix, {"synthetic": tmp_path / "synthetic.jsonl"}, scale=0.002)
    assert made == materialise(mix, backwards, scale=0.002) == from_file
    assert made.fingerprint != materialise(mix, sources, scale=0.002, seed=1).fingerprint


@given(st.integers(1, 60), st.floats(0.05, 0.95))
def test_ratios_give_every_problem_and_no_more(sources, total, ratio):
    parts = [Part(source="real", ratio=ratio), Part(source="synthetic", ratio=1 - ratio)]
    made = materialise(Mix(name="m", parts=parts, total=total), sources)
    assert sum(made.counts) == len(made.problems) == total
    assert made.counts[0] == pytest.approx(ratio * total, abs=1)


def test_without_a_total_ratios_take_as_many_as_there_are(sources):
    parts = [Part(source="real", ratio=0.75), Part(source="synthetic", ratio=0.25)]
    assert materialise(Mix(name="m", parts=parts), sources).counts == (90, 30)


def test_parts_that_overlap_share_no_problem(sources):
    parts = [Part(source="real", count=40), Part(source="real", count=50)]
    made = materialise(Mix(name="m", parts=parts), sources)
    assert len({problem.key for problem in made.problems}) == 90
    with pytest.raises(ConfigError, match="asks for 51 any problems from 'real', but there are 50"):
        materialise(Mix(name="m", parts=[parts[0], Part(source="real", count=51)]), sources)


PART = '[[parts]]\nfrom = "real"\n'


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("parts = []", ConfigError, "there is no part"),
        ("name = 'x'", ConfigError, "'parts' is missing"),
        ("parts = [3]", ConfigError, "part 1: a part is a table"),
        (PART, ConfigError, "a positive count or a positive ratio"),
        (PART + "count = 3\nratio = 1", ConfigError, "and not both"),
        (PART + "count = 3\n" + PART + "ratio = 1", ConfigError, "every part a count, or every part a ratio"),
        (PART + "ratio = 0.5", ConfigError, "the ratios sum to 0.5"),
        ("total = 4\n" + PART + "count = 3", ConfigError, "'total' goes with ratios"),
        (PART + "count = 3\nmodes = ['inducton']", UnknownName, "Did you mean 'induction'"),
        (PART + "cuont = 3", UnknownName, "Did you mean 'count'"),
        (PART + "count = '3'", ConfigError, "must be a int"),
    ],
)
def test_mixes_that_cannot_be_used_are_named(tmp_path, text, kind, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(kind, match=message):
        load_mix(tmp_path / "mine.toml")


def test_a_source_that_is_not_given_is_named(sources):
    with pytest.raises(UnknownName, match="Did you mean 'real'"):
        materialise(Mix(name="m", parts=[Part(source="reel", count=1)]), sources)
    with pytest.raises(ConfigError, match="scale must be positive"):
        materialise(load_mix("real-81k"), sources, scale=0)
