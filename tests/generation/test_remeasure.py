"""Measuring into files that are there: what is no measurement stays as it is, and a killed one goes on."""

import pytest

from code_envs.errors import RunError
from code_envs.generation.remeasure import remeasure
from code_envs.problem import Case, Mode, Problem, load_problems
from code_envs.students import make_student

PROBLEMS = [
    Problem(
        mode=Mode.DEDUCTION, program=f"def f(x):\n    return x + {n}\n", signature="f(x)", cases=(Case.of((1,), 2),)
    )
    for n in range(3)
]
STUDENT = make_student("constant")


def measured(path, resume=True, problems=PROBLEMS, **settings):
    return remeasure(problems, STUDENT, path, resume=resume, at_once=1, **({"attempts": 2} | settings))


def undated(path):
    return [
        problem.but(measurements=[one.but(when="") for one in problem.measurements]) for problem in load_problems(path)
    ]


def beside(path, end="config.toml"):
    return path.with_name(f"{path.name}.{end}")


@pytest.fixture
def path(tmp_path):
    """A whole measurement."""
    measured(tmp_path / "m.jsonl", resume=False)
    return tmp_path / "m.jsonl"


@pytest.mark.parametrize("text", ['{"my":"weights"}', '{"my":"weights"}\n', "a\nb", "\n\na", "\0"])
def test_a_file_that_is_no_measurement_stays_as_it_is(tmp_path, text):
    (tmp_path / "notes.txt").write_text(text)
    with pytest.raises(RunError, match=r"notes\.txt.* [Gg]ive another"):
        measured(tmp_path / "notes.txt")
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"notes.txt": text}


def test_a_folder_is_refused_and_left_alone(tmp_path):
    with pytest.raises(RunError, match=r"is a folder. Give a file"):
        measured(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_measurement_that_does_not_fit_stays_as_it_is(path):
    torn = path.read_bytes() + b"mine"
    path.write_bytes(torn)
    with pytest.raises(RunError, match="begun with attempts = 2, not 3"):
        measured(path, attempts=3)
    with pytest.raises(RunError, match="holds other problems"):
        measured(path, problems=PROBLEMS[1:])
    with pytest.raises(RunError, match="holds more than the problems"):
        measured(path)
    assert path.read_bytes() == torn


@pytest.mark.parametrize("kept", [0, 1, 2.5])
@pytest.mark.parametrize("settings", [True, False])
def test_a_torn_line_is_measured_again(path, kept, settings):
    whole, lines = undated(path), path.read_bytes().splitlines(keepends=True)
    text = b"".join(lines)[: int(kept * len(lines[0])) + 20]
    path.write_bytes(text)
    if not settings:  # as an earlier version left it
        beside(path).unlink()
    if not settings and not kept:
        with pytest.raises(RunError, match="holds no measurements"):
            measured(path)
        assert path.read_bytes() == text
        return
    assert len(measured(path)) == 3
    assert undated(path) == whole
    assert beside(path).exists()


def test_an_empty_file_is_begun(tmp_path):
    (tmp_path / "m.jsonl").touch()
    assert len(measured(tmp_path / "m.jsonl")) == 3


def test_a_refusal_does_not_lock_the_right_student_out(path):
    beside(path).unlink()
    with pytest.raises(RunError, match="another student"):
        remeasure(PROBLEMS, make_student("majority"), path, attempts=2, resume=True)
    assert not beside(path).exists()
    assert len(measured(path)) == 3


def test_the_folder_of_the_file_is_made(tmp_path):
    measured(tmp_path / "new" / "folder" / "m.jsonl", resume=False)
    assert len(list(load_problems(tmp_path / "new" / "folder" / "m.jsonl"))) == 3
