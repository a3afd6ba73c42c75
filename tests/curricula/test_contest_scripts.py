"""Contest problems whose programs read standard input, in the columns of every style."""

import ast
import base64
import json
import os
import zlib
from pathlib import Path

import gymnasium
import pytest

from code_envs.contamination import SuiteIndex, decontaminate
from code_envs.curricula import Pool, Sampler, load_bins, load_contests, materialise, ordered_rows
from code_envs.curricula.mixes import Mix, Part
from code_envs.dedup import deduplicate
from code_envs.errors import ConfigError, UnknownName
from code_envs.executor import Executor, Limits
from code_envs.integrations.huggingface_adapter import from_dataset, to_rows
from code_envs.measure import measure
from code_envs.modes import Outcome, grade, prompt, rules, validate
from code_envs.outputs import OutputRule
from code_envs.problem import Problem, ProblemLimits, Report
from code_envs.students import BaselineStudent

SUM = "n = int(input())\nprint(sum(map(int, input().split())))\n"
PYTHON_2 = "n = input()\nprint sum(map(int, raw_input().split()))\n"
STATEMENT = "The first line holds a count, the second that many whole numbers. Print their sum."
TESTS = [(f"{n}\n{' '.join(str(n * k) for k in range(1, n + 1))}\n", f"{n * n * (n + 1) // 2}\n") for n in range(1, 13)]
LISTS = {"inputs": [given for given, _ in TESTS], "outputs": [expected for _, expected in TESTS]}


def one_by_one(kind, tests=TESTS):
    return [{"input": given, "output": expected, **kind} for given, expected in tests]


def livecodebench(**changes):
    hidden = json.dumps(one_by_one({"testtype": "stdin"}, TESTS[2:]))
    return {
        "question_content": STATEMENT,
        "question_id": "abc_1",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": json.dumps(one_by_one({"testtype": "stdin"}, TESTS[:2])),
        "private_test_cases": hidden,
        "metadata": "{}",
        **changes,
    }


def taco(**changes):
    return {
        "question": STATEMENT,
        "solutions": json.dumps([PYTHON_2, SUM]),
        "starter_code": "",
        "input_output": json.dumps(LISTS),
        "difficulty": "EASY",
        "url": "https://example.org/sum",
        "time_limit": "2.0 seconds",
        "memory_limit": "512.0 megabytes",
        **changes,
    }


def apps(**changes):
    row = {"problem_id": 3, "question": STATEMENT, "solutions": json.dumps([SUM]), "input_output": json.dumps(LISTS)}
    return {**row, "difficulty": "interview", "url": "", "starter_code": "", **changes}


def deepcoder(**changes):
    tests = json.dumps(one_by_one({"type": "stdin_stdout"}))
    return {"problem": STATEMENT, "solutions": [f"```python\n{SUM}```"], "tests": tests, **changes}


ROWS = {"livecodebench": livecodebench, "taco": taco, "apps": apps, "deepcoder": deepcoder}


@pytest.fixture(scope="module")
def loaded(executor):
    """One problem of every style."""
    return load_contests([apps()], executor).problems[0]


@pytest.mark.parametrize("style", ROWS)
def test_rows_of_every_style_become_scripts(executor, style):
    found = load_contests([ROWS[style]()], executor)
    assert (found.left_out, found.tests_left_out) == ({}, {})
    (problem,) = found.problems
    assert problem.is_script
    assert len(problem.cases) + len(problem.hidden) == len(TESTS)
    assert len(problem.cases) == (2 if style == "livecodebench" else 5)  # as many as are public there
    assert Problem.from_json(problem.to_json()) == problem
    assert grade(problem, f"```python\n{SUM}```", executor).passed
    assert grade(problem, "```python\nprint(1)\n```", executor).outcome is Outcome.WRONG
    shown = prompt(problem).text
    assert "reads standard input and writes to standard output" in shown
    assert STATEMENT in shown


@pytest.mark.parametrize("style", ["taco", "apps", "deepcoder"])
def test_the_gold_answer_is_the_first_solution_that_passes(executor, style):
    found = load_contests([ROWS[style]()], executor)
    (problem,) = found.problems
    assert (found.gold, problem.program) == (1, SUM)
    assert validate(problem, executor) == []


def test_a_script_without_a_stored_solution_can_be_graded_and_is_not_valid(executor):
    found = load_contests([livecodebench()], executor)
    (problem,) = found.problems
    assert (found.gold, problem.program, rules(problem.mode).gold(problem)) == (0, "", "")
    (complaint,) = validate(problem, executor)
    assert complaint.check == "gold"
    assert "no solution is known" in complaint.text


def test_solutions_that_fail_or_never_end_are_no_gold_answers(executor):
    for bad in ("while True: pass\n", "print(0)\n", "import numpy\n", PYTHON_2):
        found = load_contests([apps(solutions=json.dumps([bad]))], executor)
        assert found.left_out == {"no stored solution passes its tests": 1}


@pytest.mark.parametrize(
    ("row", "outputs", "rule"),
    [
        (apps, ["6\n", "5 3\n"], OutputRule.TOKENS),
        (deepcoder, ["0.5\n", "1\n"], OutputRule.FLOATS),
        (livecodebench, ["yes\n", "no\n"], OutputRule.LINES),
        (livecodebench, ["yes 1e-3\n", "no\n"], OutputRule.FLOATS),
        (apps, ["v1.2.3\n", "10:30.\n"], OutputRule.TOKENS),
    ],
)
def test_the_rule_of_output_fits_the_data_set(executor, row, outputs, rule):
    tests = list(zip(("1\n", "2\n"), outputs, strict=True))
    lists = json.dumps({"inputs": [given for given, _ in tests], "outputs": outputs})
    columns = {
        apps: {"input_output": lists},
        deepcoder: {"tests": json.dumps(one_by_one({"type": "stdin_stdout"}, tests))},
        livecodebench: {"public_test_cases": json.dumps(one_by_one({"testtype": "stdin"}, tests))},
    }[row]
    changed = row(solutions="[]", **columns) if row is not livecodebench else row(private_test_cases="[]", **columns)
    assert load_contests([changed], executor).problems[0].output_rule is rule
    assert load_contests([changed], executor, output="exact").problems[0].output_rule is OutputRule.EXACT
    with pytest.raises(UnknownName, match="Did you mean 'exact'"):
        load_contests([changed], executor, output="exakt")


def test_limits_are_the_stated_ones_times_a_factor(executor):
    (problem,) = load_contests([taco()], executor).problems
    assert problem.limits == ProblemLimits(cpu_seconds=8.0, memory_mib=512)
    (same,) = load_contests([taco(time_limit=None, memory_limit="64 MB")], executor, limits=problem.limits).problems
    assert same.limits == problem.limits
    (scarce,) = load_contests([taco(time_limit="500 ms", memory_limit=None)], executor, time_factor=1).problems
    assert scarce.limits == ProblemLimits(cpu_seconds=0.5)
    assert load_contests([taco(time_limit="soon", memory_limit="")], executor).problems[0].limits is None
    with pytest.raises(ConfigError, match="time_factor is 0"):
        load_contests([taco()], executor, time_factor=0)


def test_a_slow_solution_is_gold_where_the_contest_allows_it():
    slow = SUM + "for _ in range(5_000_000):\n    pass\n"
    with Executor(workers=1, limits=Limits(cpu_seconds=0.03), max_cpu_seconds=20.0) as strict:
        row = taco(solutions=json.dumps([slow]), input_output=json.dumps({key: LISTS[key][:1] for key in LISTS}))
        assert load_contests([row], strict).gold == 1
        assert load_contests([{**row, "time_limit": None}], strict).gold == 0


def test_tests_that_no_record_can_hold_are_left_out_and_counted(executor):
    words = "7 " * (1 << 20)
    large = f"{1 << 20}\n{words}\n", f"{7 << 20}\n"  # 2 MiB: fits
    huge = f"{1 << 22}\n{words * 4}\n", f"{7 << 22}\n"
    long = "1\n1\n", "x" * (1 << 19)
    tests = [*TESTS, large, huge, long]
    lists = {"inputs": [given for given, _ in tests], "outputs": [expected for _, expected in tests]}
    found = load_contests([apps(input_output=json.dumps(lists))], executor, most_cases=None)
    assert (found.gold, found.left_out, found.tests_left_out) == (1, {}, {"too large": 2})
    (problem,) = found.problems
    assert problem.hidden[-1].values() == (large[0],)
    assert Problem.from_json(problem.to_json()) == problem
    assert grade(problem, rules(problem.mode).gold(problem), executor).passed
    fewer = load_contests([apps(input_output=json.dumps(lists))], executor, most_cases=12)
    assert fewer.tests_left_out == {"after the first 12": 3}


def test_a_problem_whose_tests_are_too_long_to_be_shown_is_left_out(executor):
    lists = json.dumps({"inputs": [f"1\n{'9' * 5000}\n"], "outputs": ["1\n"]})
    found = load_contests([apps(input_output=lists)], executor)
    assert found.left_out == {"no valid record: no test is short enough to be shown": 1}


def test_private_tests_that_unpack_to_too_much_are_refused(executor):
    bomb = base64.b64encode(zlib.compress(b"0" * (1 << 27))).decode()
    found = load_contests([livecodebench(), livecodebench(private_test_cases=bomb)], executor)
    (reason,) = found.left_out
    assert "its tests unpack to more than 64 MiB" in reason


def test_duplicates_and_benchmark_items_are_found(executor):
    rows = [apps(), deepcoder(), livecodebench(), livecodebench(question_id="abc_2")]
    problems = load_contests(rows[:1], executor).problems + load_contests(rows[1:2], executor).problems
    problems += load_contests(rows[2:], executor).problems
    new, removals = deduplicate(problems, 1.0)
    assert [problem.lineage.origin.partition("/")[0] for problem in new] == ["apps", "livecodebench"]
    assert {removal.reason for removal in removals} == {"duplicate"}
    suite = SuiteIndex(ngram=8)
    suite.add("item-1", [f"Solve this. {STATEMENT}"], "suite")
    clean, found = decontaminate(new, suite)
    assert clean == []
    assert [removal.match for removal in found] == ["item-1", "item-1"]


def test_they_go_through_an_export(loaded):
    (row,) = to_rows([loaded])
    assert row["answer"] == f"```python\n{SUM.rstrip()}\n```"
    assert from_dataset([row]) == [loaded]
    (unsolved,) = to_rows([loaded.but(program="")])
    assert unsolved["answer"] == ""


def test_an_environment_takes_them(executor, loaded):
    env = gymnasium.make("code_envs/Induction-v0", problems=[loaded], executor=executor)
    observation, info = env.reset(seed=0)
    assert "reads standard input" in observation
    assert info["key"] == loaded.key
    *_, info = env.step(f"```python\n{SUM}```")
    assert info["outcome"] == "passed"


def test_mixes_bins_measurements_and_the_sampler_take_them(executor, loaded, make):
    report = measure(loaded, BaselineStudent("constant", executor), executor, attempts=4, seed=0)
    assert (report.problem, report.attempts, report.passes) == (loaded.key, 4, 0)
    measured = loaded.but(measurements=(Report(problem=loaded.key, student="s", attempts=32, passes=28),))
    mix = Mix(name="half", parts=(Part(source="real", count=1), Part(source="made", count=2)))
    made = materialise(mix, {"real": [measured], "made": [make(1, 28), make(2, 28)]})
    assert made.counts == (1, 2)
    pool = Pool(made.problems, load_bins("chain"))
    assert pool.placed.counts["easy"] == 3
    sampler = Sampler(made.problems, "easy-only", steps=4, batch_size=3, modes="induction-only", seed=0)
    keys = [row["key"] for row in ordered_rows(sampler)]
    assert set(keys) == {loaded.key}


@pytest.mark.data
def test_public_problems_as_scripts_keep_their_published_solutions(executor):
    folder = os.environ.get("CODE_ENVS_DATA")
    if not folder:
        pytest.skip("needs: CODE_ENVS_DATA=FOLDER, the folder of the public benchmark files")
    published = json.loads((Path(folder) / "sanitized-mbpp.json").read_text())
    rows = [row for each in published[:60] if (row := _as_script(each))]
    assert len(rows) > 30
    strict = load_contests(rows, executor)  # two solutions print 240.0 where 240 is published
    assert strict.left_out == {"no stored solution passes its tests": 2}
    found = load_contests(rows, executor, licence="CC-BY-4.0", output="floats")
    assert (found.left_out, found.gold) == ({}, len(rows))
    for problem in found.problems:
        assert grade(problem, rules(problem.mode).gold(problem), executor).passed
        assert not grade(problem, "```python\nprint(input())\n```", executor).passed


def _as_script(published):
    """An MBPP problem whose program reads arguments, one literal tuple, and prints the result; None if none fits."""
    tests = {"inputs": [], "outputs": []}
    for text in published["test_list"]:
        match ast.parse(text).body[0].test:
            case ast.Compare(left=ast.Call(func=ast.Name(id=name), args=args), ops=[ast.Eq()], comparators=[expected]):
                try:
                    given = tuple(map(ast.literal_eval, args))
                    tests["outputs"].append(f"{ast.literal_eval(expected)!r}\n")
                except ValueError:
                    return None
                tests["inputs"].append(f"{given!r}\n")
            case _:
                return None
    if any(mark in "".join(tests["outputs"]) for mark in "{."):  # sets have no order; floats are compared loosely
        return None
    main = f"import ast\nprint(repr({name}(*ast.literal_eval(input()))))\n"
    solution = f"{published['code'].replace(chr(13), '')}\n\n{main}"
    return apps(
        problem_id=published["task_id"],
        question=published["prompt"],
        input_output=json.dumps(tests),
        solutions=json.dumps([solution]),
    )
