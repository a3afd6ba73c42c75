"""Records: validated when made, exact through JSON, with a stable key."""

import subprocess
import sys

import pytest

from code_envs.errors import ProblemError
from code_envs.outputs import OutputRule
from code_envs.problem import (
    Case,
    Chain,
    Direction,
    Lineage,
    Mode,
    Problem,
    Report,
    Seed,
    load_chains,
    load_problems,
    parameters_of,
    save_records,
    wilson_interval,
)

PROGRAM = "def f(xs: list[int], k: int) -> list[int]:\n    return sorted(xs)[:k]\n"
KEY = "from code_envs.problem import *; print(Problem.from_json(input()).key)"


def problem(**changes) -> Problem:
    fields = {
        "mode": Mode.INDUCTION,
        "program": PROGRAM,
        "signature": "f(xs: list[int], k: int) -> list[int]",
        "message": "The k smallest numbers, in order.",
        "cases": (Case.of(([3, 1, 2], 2), [1, 2]), Case.of(([], 1), [])),
        "hidden": (Case.of(([5, 4], 1), [4]),),
        "lineage": Lineage(chain="c1", level=3, teacher="hand"),
    }
    return Problem(**{**fields, **changes})


def test_json_round_trip_is_exact_and_states_schema_and_key():
    original = problem(measurements=(Report(problem="", student="s", attempts=32, passes=3),))
    line = original.to_json()
    assert "\n" not in line
    assert '"schema":1' in line
    assert f'"key":"{original.key}"' in line
    assert Problem.from_json(line) == original
    assert hash(Problem.from_json(line)) == hash(original)


def test_key_depends_on_content_only():
    one = problem()
    assert one.key == problem(lineage=Lineage(chain="other"), tags=("x",)).key
    assert one.but(measurements=(Report(problem=one.key, student="s", attempts=1, passes=1),)).key == one.key
    different = [
        one.but(message="Another."),
        one.but(program=PROGRAM + "\n"),
        one.but(cases=one.cases[:1]),
        one.but(hidden=()),
        one.but(precondition="def pre_test_f(xs, k): return True\n"),
    ]
    assert len({one.key, *(other.key for other in different)}) == 6


def test_key_is_the_same_in_another_process():
    one = problem()
    got = subprocess.run(
        [sys.executable, "-c", KEY], input=one.to_json(), capture_output=True, text=True, check=True
    ).stdout.strip()
    assert got == one.key


def test_a_changed_record_is_noticed():
    line = problem().to_json().replace("smallest", "largest")
    with pytest.raises(ProblemError, match="was changed after the key was made"):
        Problem.from_json(line)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cases": ()}, "visible cases"),
        ({"cases": (Case(arguments="(1, 2)"),)}, "needs its result"),
        ({"cases": (Case.of((1,), 1),)}, "number of arguments"),
        ({"signature": "g(xs, k)"}, "must begin with 'f\\('"),
        ({"signature": "f(xs, *k)"}, "starred"),
        ({"signature": "f(xs, k"}, "not a signature"),
        ({"signature": "f(xs, k): pass\nimport os\ndef g()"}, "one line"),
        ({"mode": Mode.DEDUCTION}, "exactly one case"),
        ({"mode": Mode.FUZZING, "cases": (), "hidden": ()}, "needs a precondition"),
        ({"mode": Mode.FUZZING, "precondition": "x", "property": "y", "reference": "z"}, "property or a reference"),
        ({"schema": 2}, "schema 2"),
        ({"mode": "inductoin"}, "mode: Invalid enum value 'inductoin'"),
        ({"message": 3}, "message: Expected `str`, got `int`"),
        ({"cases": [{"arguments": 3}]}, "cases: Expected `str`"),
    ],
)
def test_bad_problems_are_refused(changes, reason):
    with pytest.raises(ProblemError, match=reason):
        problem(**changes)


def script(**changes) -> Problem:
    fields = {"mode": "induction", "entry": "", "program": "print(input())\n", "cases": (Case.of(("3\n",), "6\n"),)}
    return Problem(**{**fields, **changes})


def test_a_problem_without_an_entry_is_a_script():
    one = script(output="floats")
    assert (one.is_script, one.parameters, one.signature, one.output_rule) == (True, ("stdin",), "", OutputRule.FLOATS)
    assert Problem.from_json(one.to_json()) == one
    assert script().output_rule is OutputRule.LINES
    assert not problem().is_script
    keys = {script(output=rule).key for rule in ("", *OutputRule)}
    assert len(keys) == 5
    assert script(output=OutputRule.FLOATS) == one


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mode": "deduction"}, "only induction has scripts"),
        ({"signature": "f(x)"}, "it has the signature 'f\\(x\\)'"),
        ({"output": "token"}, "Unknown output rule 'token'. Did you mean 'tokens'?"),
        ({"cases": (Case.of((3,), "6"),)}, "one text as its argument"),
        ({"cases": (Case.of((b"3",), "6"),)}, "one text as its argument"),
        ({"cases": (Case.of(("3", "4"), "6"),)}, "one text as its argument"),
        ({"hidden": (Case.of(("3",), 6),)}, "a text as its result"),
        ({"cases": (Case(arguments="('3',)"),)}, "needs its result"),
        ({"entry": "f"}, "needs a signature; or"),
        ({"entry": "f", "signature": "f(x)", "output": "tokens"}, "for scripts"),
    ],
)
def test_bad_scripts_are_refused(changes, reason):
    with pytest.raises(ProblemError, match=reason):
        script(**changes)


@pytest.mark.parametrize(("arguments", "result"), [("3", "1"), ("(1,", "1"), ("(1,)", "x"), ("(open('f'),)", "1")])
def test_bad_cases_are_refused(arguments, result):
    with pytest.raises(ProblemError):
        Case(arguments=arguments, result=result)


def test_the_constructor_converts_as_json_does():
    one = problem(mode="induction", cases=list(problem().cases))
    assert one == problem()
    assert one.mode is Mode.INDUCTION


def test_a_case_hands_out_fresh_values():
    case = Case.of(([1], 2), None)
    case.values()[0].append(9)
    assert case.values() == ([1], 2)
    assert case.shown() == "[1], 2"


def test_a_bad_line_is_named_by_file_and_number(tmp_path):
    path = tmp_path / "problems.jsonl"
    path.write_text(problem().to_json() + '\n\n{"mode": "inductoin", "program": "", "signature": "f()"}\n')
    with pytest.raises(ProblemError, match=r"problems\.jsonl:3: not a valid Problem: Invalid enum value 'inductoin'"):
        list(load_problems(path))
    path.write_text('{"mode": "deduction", "colour": 3}\n')
    with pytest.raises(ProblemError, match="colour"):
        list(load_problems(path))
    path.write_bytes(b"\xff\n")
    with pytest.raises(ProblemError, match="jsonl:1"):
        list(load_problems(path))


def test_files_of_records_round_trip(tmp_path):
    parent = problem()
    child = problem(message="Twice.", lineage=Lineage(chain="c1", parent=parent.key, turn=1, direction="harder"))
    chain = Chain(id="c1", problems=(parent, child), seed=Seed(text="x = 1", origin="a.py:1-1", licence="MIT"))
    assert save_records(tmp_path / "p", chain.problems) == 2
    assert tuple(load_problems(tmp_path / "p")) == chain.problems
    save_records(tmp_path / "c", [chain])
    assert list(load_chains(tmp_path / "c")) == [chain]
    assert chain.problems[1].lineage.direction is Direction.HARDER


def test_a_chain_holds_only_its_own_descendants():
    with pytest.raises(ProblemError, match="belongs to chain"):
        Chain(id="c2", problems=(problem(),))
    with pytest.raises(ProblemError, match="not in the chain"):
        Chain(id="c1", problems=(problem(lineage=Lineage(chain="c1", parent="0" * 16)),))


def test_reports_and_intervals():
    report = Report(problem="k", student="s", attempts=32, passes=16)
    assert report.rate == 0.5
    low, high = report.interval
    assert low == pytest.approx(0.3364, abs=1e-3)
    assert high == pytest.approx(0.6636, abs=1e-3)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 32)[0] == 0.0
    with pytest.raises(ProblemError, match="33 passes"):
        Report(problem="k", student="s", attempts=32, passes=33)


def test_parameters():
    assert parameters_of("f(a: dict[str, int] = {}, /, b=2) -> int") == ("a", "b")
    assert parameters_of("g()") == ()


def test_a_run_folder_gives_its_problems_or_says_why_not(tmp_path):
    with pytest.raises(ProblemError, match="no run folder, or its run is not finished"):
        load_problems(tmp_path)
    save_records(tmp_path / "problems.jsonl", [problem()])
    assert list(load_problems(tmp_path)) == [problem()]
