"""What the teacher is told, compared with files: read ``golden/`` to see every prompt as a model gets it.

After changing a template: ``GOLDEN=write pytest tests/teacher/test_instructions.py``, and read the difference.
"""

import os
from pathlib import Path

import pytest

from code_envs.errors import ConfigError
from code_envs.modes import Complaint
from code_envs.problem import Direction, Mode, Report, Seed, load_problems
from code_envs.teacher import LEVELS, STRATEGIES
from code_envs.teacher.constraints import FORMS
from code_envs.teacher.instructions import Instructions

GOLDEN = Path(__file__).with_name("golden")
PROBLEMS = Path(__file__).parents[1] / "problems"
SEED = Seed(text="def area(w, h):\n    return w * h  # $5\n", origin="a.py:1-2")


def measured(mode, planted):
    problem = next(one for one in load_problems(PROBLEMS / f"{mode}.jsonl") if one.differential or not planted)
    report = Report(
        problem=problem.key,
        student="s",
        attempts=32,
        passes=24,
        solved=({"reply": "First I look.\n```output\n[1]\n```", "outcome": "passed"},),
        failed=(
            {"reply": "x" * 2000, "outcome": "wrong", "reason": "it gives 3"},
            {"reply": "", "outcome": "malformed"},
        ),
    )
    return problem.but(measurements=(report,))


def written(form, kind):
    mode, planted = Mode(form.partition("-")[0]), form not in list(Mode)
    tell = Instructions()
    complaints = [Complaint("runs", "f(3) raises KeyError: 'x'"), Complaint("message", "there is no message")]
    match kind:
        case "first":
            return tell.first(form, SEED, 7)
        case "repair":
            return tell.repair(form, complaints)
    return tell.next(measured(mode, planted), Direction(kind), (0.35, 0.65), form)


@pytest.mark.parametrize("kind", ["first", "harder", "easier", "sideways", "repair"])
@pytest.mark.parametrize("form", FORMS)
def test_prompts_are_as_written(form, kind):
    text, path = written(form, kind), GOLDEN / f"{form}-{kind}.txt"
    if os.environ.get("GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    assert path.read_text("utf-8") == text + "\n"


def test_the_first_prompt_says_which_pass_rates_a_level_means():
    asked = [Instructions().first(Mode.INDUCTION, SEED, level) for level in range(LEVELS)]
    words = ("very easy", "easy", "medium", "hard", "very hard")
    rates = ("85 to 97 %", "65 to 85 %", "35 to 65 %", "16 to 35 %", "5 to 16 %")
    for level, text in enumerate(asked):
        wanted = f"Difficulty: {words[level // 2]}. The student should solve it in {rates[level // 2]} of its attempts."
        assert wanted in text


def test_the_first_prompt_asks_for_what_the_strategy_aims_at():
    down = STRATEGIES["top-down"]
    low, high = down.target(0)
    assert f"{100 * low:.0f} to {100 * high:.0f} %" in Instructions().first(Mode.INDUCTION, SEED, down.level)


def test_nothing_is_known_of_an_unmeasured_problem():
    problem = next(iter(load_problems(PROBLEMS / "induction.jsonl")))
    text = Instructions().next(problem, Direction.SIDEWAYS, (0.35, 0.65))
    assert "nothing is known yet" in text
    assert "No attempt is shown." in text


def test_a_folder_replaces_templates_one_by_one(tmp_path):
    (tmp_path / "induction").mkdir()
    (tmp_path / "induction" / "first.txt").write_text("Mine: $difficulty\n$seed")
    mine = Instructions(tmp_path)
    assert (
        mine.first(Mode.INDUCTION, SEED, 0)
        == "Mine: very easy\n```python\ndef area(w, h):\n    return w * h  # $5\n```"
    )
    assert mine.first(Mode.DEDUCTION, SEED, 9) == Instructions().first(Mode.DEDUCTION, SEED, 9)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no template"):
        Instructions(tmp_path)
    (tmp_path / "induction").mkdir()
    (tmp_path / "induction" / "frist.txt").write_text("x")
    with pytest.raises(ConfigError, match=r"induction/frist\.txt; templates are named like"):
        Instructions(tmp_path)
    (tmp_path / "induction" / "frist.txt").rename(tmp_path / "induction" / "first.txt")
    (tmp_path / "induction" / "first.txt").write_text("$seeed")
    with pytest.raises(ConfigError, match="seeed"):
        Instructions(tmp_path).first(Mode.INDUCTION, SEED, 0)
