import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_envs.curricula import SCHEDULES, load_bins, load_modes, load_schedule, preset_names
from code_envs.errors import ConfigError, UnknownName
from code_envs.problem import Mode

# The table of arXiv 2603.24202: until which thousand steps of 40, easy/medium/hard.
PAPER = {
    "soft": [(7.5, (0.80, 0.15, 0.05)), (17.5, (0.15, 0.80, 0.05)), (30, (0.15, 0.40, 0.45)), (40, (0.05, 0.15, 0.80))],
    "hard": [(7.5, (0.90, 0.05, 0.05)), (17.5, (0.05, 0.90, 0.05)), (40, (0.05, 0.05, 0.90))],
    "classic": [(10, (1, 0, 0)), (15, (0.75, 0.25, 0)), (25, (0, 1, 0)), (30, (0, 0.75, 0.25)), (40, (0, 0, 1))],
    "reverse": [(10, (0, 0, 1)), (15, (0, 0.25, 0.75)), (25, (0, 1, 0)), (30, (0.25, 0.75, 0)), (40, (1, 0, 0))],
    "medium-start-reverse": [(17.5, (0, 1, 0)), (20, (0.25, 0.75, 0)), (40, (1, 0, 0))],
    "uniform": [(40, (1 / 3, 1 / 3, 1 / 3))],
    "easy-only": [(40, (1, 0, 0))],
    "medium-only": [(40, (0, 1, 0))],
    "hard-only": [(40, (0, 0, 1))],
}


def test_every_schedule_of_the_paper_is_there_and_no_other():
    assert set(SCHEDULES) == set(PAPER)


@pytest.mark.parametrize("name", PAPER)
@pytest.mark.parametrize("steps", [40_000, 400, 37])
def test_every_step_has_the_weights_of_the_table(name, steps):
    schedule = load_schedule(name)
    easy = "easy-medium" if name == "medium-start-reverse" else "easy"
    for step in range(0, steps, max(1, steps // 1000)):
        expected = next(weights for until, weights in PAPER[name] if step * 40 < until * steps)
        got = schedule.weights(step, steps)
        assert sum(got.values()) == pytest.approx(1)
        assert (got[easy], got["medium"], got["hard"]) == pytest.approx(expected)


def test_medium_start_reverse_takes_its_easy_from_the_easy_medium_bin():
    assert load_schedule("medium-start-reverse").bins == load_bins("broad")
    assert all(load_schedule(name).bins == load_bins("chain") for name in PAPER if name != "medium-start-reverse")


def test_steps_beyond_the_last_count_as_the_last():
    schedule = load_schedule("classic")
    assert schedule.weights(500, 100) == schedule.weights(99, 100) == {"easy": 0, "medium": 0, "hard": 1}


def test_the_mode_mixtures_of_the_paper():
    assert load_modes("equal").weights(3, 10) == dict.fromkeys(Mode, 0.25)
    assert load_modes("induction-only").weights(3, 10) == {**dict.fromkeys(Mode, 0.0), "induction": 1.0}
    assert {f"{mode}-only" for mode in Mode} < set(preset_names("modes"))


def test_any_weights_of_modes_and_scheduled_ones(tmp_path):
    assert load_modes({"induction": 3, "fuzzing": 1}).weights(0, 1)["induction"] == 0.75
    path = tmp_path / "modes.toml"
    path.write_text(
        "total = 2\n[[stages]]\nfrom = 0\nuntil = 1\nweights = {deduction = 1}\n"
        "[[stages]]\nfrom = 1\nuntil = 2\nweights = {induction = '1/2', deduction = '1/2'}\n"
    )
    modes = load_modes(path)
    assert modes.weights(49, 100)["deduction"] == 1
    assert modes.weights(50, 100)["induction"] == 0.5


cuts = st.lists(st.integers(1, 99), max_size=5, unique=True).map(lambda found: [0, *sorted(found), 100])


@given(cuts, st.integers(1, 500), st.data())
def test_any_valid_file_gives_its_weights_at_every_step(tmp_path_factory, ends, steps, data):
    rows, text = [], 'bins = "chain"\ntotal = 100\n'
    for start, until in itertools.pairwise(ends):
        easy = data.draw(st.integers(0, 10))
        medium = data.draw(st.integers(0, 10 - easy))
        rows.append((until, (easy / 10, medium / 10, (10 - easy - medium) / 10)))
        text += f"[[stages]]\nfrom = {start}\nuntil = {until}\n"
        text += f"weights = {{easy = '{easy}/10', medium = '{medium}/10', hard = '{10 - easy - medium}/10'}}\n"
    path = tmp_path_factory.mktemp("schedules") / "mine.toml"
    path.write_text(text)
    schedule = load_schedule(path)
    for step in range(steps):
        expected = next(weights for until, weights in rows if step * 100 < until * steps)
        assert tuple(schedule.weights(step, steps).values()) == pytest.approx(expected)


STAGE = "[[stages]]\nfrom = {}\nuntil = {}\nweights = {{{}}}\n"


@pytest.mark.parametrize(
    ("head", "stages", "kind", "message"),
    [
        ("", [(0, 4, "easy = 0.5, hard = 0.4")], ConfigError, "stage 1: the weights sum to 0.9; make them sum to 1"),
        ("", [(0, 1, "easy = 1"), (2, 4, "hard = 1")], ConfigError, "a gap from 1 to 2, before stage 2"),
        ("", [(1, 4, "easy = 1")], ConfigError, "a gap from 0 to 1"),
        ("", [(0, 3, "easy = 1")], ConfigError, "a gap from 3 to the total of 4"),
        ("", [(0, 5, "easy = 1")], ConfigError, "beyond the total of 4"),
        ("", [(0, 3, "easy = 1"), (2, 4, "hard = 1")], ConfigError, "stage 2 begins at 2 and overlaps what goes to 3"),
        ("", [(0, 0, "easy = 1")], ConfigError, "not after its start"),
        ("", [(0, 4, "esy = 1")], UnknownName, "Did you mean 'easy'"),
        ("", [(0, 4, "easy = 2, hard = -1")], ConfigError, "must not be negative"),
        ("", [(0, 4, "easy = 'all'")], ConfigError, "a number, or a fraction"),
        ("", [(0, 4, "easy = nan")], ConfigError, "a number, or a fraction"),
        ("", [], ConfigError, "'stages' is missing"),
        ("stages = []\n", [], ConfigError, "there is no stage"),
        ("stages = [1]\n", [], ConfigError, "a stage is a table"),
        ("stges = 1\n", [(0, 4, "easy = 1")], UnknownName, "Did you mean 'stages'"),
    ],
)
def test_schedules_that_cannot_be_used_are_named(tmp_path, head, stages, kind, message):
    path = tmp_path / "mine.toml"
    path.write_text('bins = "chain"\ntotal = 4\n' + head + "".join(STAGE.format(*stage) for stage in stages))
    with pytest.raises(kind, match=message):
        load_schedule(path)


def test_a_schedule_needs_its_bins_and_may_have_bins_of_its_own(tmp_path):
    text = "total = 1\n" + STAGE.format(0, 1, "low = 1")
    (tmp_path / "bins.toml").write_text("[bins]\nlow = [0.0, 0.5]\n")
    (tmp_path / "none.toml").write_text(text)
    (tmp_path / "own.toml").write_text('bins = "bins.toml"\n' + text)
    assert load_schedule(tmp_path / "own.toml").weights(0, 1) == {"low": 1}
    assert load_schedule(tmp_path / "none.toml", load_bins(tmp_path / "bins.toml")).weights(0, 1) == {"low": 1}
    with pytest.raises(ConfigError, match="'bins' is missing"):
        load_schedule(tmp_path / "none.toml")


@pytest.mark.parametrize("weights", [{}, {"induction": 0}, {"induction": float("nan")}])
def test_modes_without_weight_are_refused(weights):
    with pytest.raises(ConfigError, match="must be positive"):
        load_modes(weights)


def test_unknown_presets_and_modes_name_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'soft'"):
        load_schedule("sofd")
    with pytest.raises(UnknownName, match="Did you mean 'deduction'"):
        load_modes({"deducton": 1})
