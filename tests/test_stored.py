"""Records of a file as a sequence, and files that survive being cut off."""

import pickle
from contextlib import suppress
from functools import partial

import pytest

from code_envs.errors import ProblemError, RunError
from code_envs.folders import cut_torn_line, drafted, read_toml
from code_envs.problem import Case, Mode, Problem, load_problems, save_records, stored_problems


def problem(number):
    return Problem(
        mode=Mode.DEDUCTION,
        program=f"def f(x):\n    return x + {number}\n",
        signature="f(x)",
        cases=(Case.of((1,), 2),),
    )


PROBLEMS = [problem(number) for number in range(5)]


@pytest.fixture
def path(tmp_path):
    first, *others = (one.to_json() + "\n" for one in PROBLEMS)
    (tmp_path / "problems.jsonl").write_text(first + "\n  \n" + "".join(others))
    return tmp_path / "problems.jsonl"


def test_it_is_the_sequence_of_the_records(path):
    found = stored_problems(path)
    assert len(found) == 5
    assert found == PROBLEMS == list(load_problems(path))
    assert (found,) == (PROBLEMS,)
    assert list(found) == list(found) == PROBLEMS
    assert (found[0], found[-1], found[3:0:-2]) == (PROBLEMS[0], PROBLEMS[-1], PROBLEMS[3:0:-2])
    assert list(reversed(found)) == PROBLEMS[::-1]
    assert PROBLEMS[2] in found
    assert problem(9) not in found
    assert found != PROBLEMS[:4]
    assert found != [*PROBLEMS[:4], problem(9)]
    with pytest.raises(IndexError):
        found[5]


def test_a_run_folder_stands_for_its_problems(path):
    assert stored_problems(path.parent) == PROBLEMS


def renamed(record, name):
    return record.but(message=record.message + name)


def test_records_can_be_changed_as_they_are_read(path):
    found = stored_problems(path)
    changed = found.changed(partial(renamed, name="a")).changed(partial(renamed, name="b"))
    assert [one.message for one in changed] == ["ab"] * 5
    assert (changed[-1].message, changed[1:2][0].program) == ("ab", PROBLEMS[1].program)
    assert found == PROBLEMS
    assert pickle.loads(pickle.dumps(changed)) == changed  # a worker may get it


def test_a_bad_line_is_named_before_any_record_is_used(path):
    with path.open("a") as file:
        file.write("{}\n")
    with pytest.raises(ProblemError, match=r"problems\.jsonl:8: not a valid Problem"):
        stored_problems(path)


@pytest.mark.parametrize("torn", ["", "x", "x" * 70_000, "x" * 200_000])
@pytest.mark.parametrize("whole", ["", "one\n", "one\ntwo\n", "y" * 65_535 + "\n"])
def test_a_torn_line_is_cut_however_long_it_is(tmp_path, whole, torn):
    (tmp_path / "file").write_text(whole + torn)
    cut_torn_line(tmp_path / "file")
    assert (tmp_path / "file").read_text() == whole


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_named(tmp_path, encoding):
    said = r"file begins with a byte order mark\. Save it as UTF-8 without one\.$"
    (tmp_path / "file").write_text(f"{PROBLEMS[0].to_json()}\ntorn", encoding)
    before = (tmp_path / "file").read_bytes()
    with pytest.raises(ProblemError, match=said):
        stored_problems(tmp_path / "file")
    with pytest.raises(RunError, match=said):
        cut_torn_line(tmp_path / "file")  # as a run that goes on does first
    with pytest.raises(RunError, match=said):
        read_toml(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == before


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    save_records(tmp_path / "file", PROBLEMS[:1])
    with suppress(KeyboardInterrupt), drafted(tmp_path / "file") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert list(load_problems(tmp_path / "file")) == PROBLEMS[:1]
    with drafted(tmp_path / "file") as file:
        file.write(b"whole")
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"file": "whole"}
