"""Rows are made by hand, with the columns under which the data sets were published."""

import base64
import json
import os
import pickle
import zlib

import pytest

from code_envs.curricula import Contest, load_contests, parse_row, style_of
from code_envs.errors import MissingExtra, ProblemError, UnknownName
from code_envs.executor import Execution, Executor, Limits, Status
from code_envs.modes import grade, rules
from code_envs.problem import Problem

STARTER = "class Solution:\n    def twoSum(self, nums: List[int], target: int) -> List[int]:\n        "
SOLUTION = (
    "class Solution:\n    def twoSum(self, nums: List[int], target: int) -> List[int]:\n"
    "        seen = {}\n        for place, number in enumerate(nums):\n"
    "            if target - number in seen:\n                return [seen[target - number], place]\n"
    "            seen[number] = place\n"
)
WRONG = SOLUTION.replace("[seen[target - number], place]", "[0, 1]")


def packed(tests) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


def livecodebench(**changes):
    tests = [{"input": "[2,7,11,15]\n9", "output": "[0,1]", "testtype": "functional"}]
    hidden = [{"input": "[3,2,4]\n6", "output": "[1,2]", "testtype": "functional"}]
    return {
        "question_title": "two-sum",
        "question_content": "Return the indices of two numbers that add up to target.",
        "platform": "leetcode",
        "question_id": "2999",
        "contest_id": "weekly-contest-1",
        "contest_date": "2024-08-03T00:00:00",
        "starter_code": STARTER,
        "difficulty": "easy",
        "public_test_cases": json.dumps(tests),
        "private_test_cases": packed(hidden),
        "metadata": json.dumps({"func_name": "twoSum"}),
        **changes,
    }


def taco(**changes):
    tests = {"fn_name": "twoSum", "inputs": [[[2, 7, 11, 15], 9], [[3, 2, 4], 6]], "outputs": [[[0, 1]], [[1, 2]]]}
    return {
        "question": "Return the indices of two numbers that add up to target.",
        "solutions": json.dumps([WRONG, SOLUTION]),
        "starter_code": STARTER,
        "input_output": json.dumps(tests),
        "difficulty": "EASY",
        "raw_tags": "[]",
        "name": None,
        "source": "leetcode",
        "tags": "[]",
        "skill_types": "[]",
        "url": "https://example.org/two-sum",
        "Expected Auxiliary Space": None,
        "time_limit": None,
        "date": None,
        "picture_num": None,
        "memory_limit": None,
        "Expected Time Complexity": None,
        **changes,
    }


def apps(**changes):
    tests = {"fn_name": "half", "inputs": [[4], [10]], "outputs": [2, 5]}
    return {
        "problem_id": 17,
        "question": "Halve a number.",
        "solutions": json.dumps(["def half(n):\n    return n // 2\n"]),
        "input_output": json.dumps(tests),
        "difficulty": "introductory",
        "url": "https://example.org/half",
        "starter_code": "",
        **changes,
    }


def deepcoder(**changes):
    tests = [
        {"type": "function_call", "fn_name": "join", "input": [["a", "b"], "-"], "output": ["a-b"]},
        {"type": "function_call", "fn_name": "join", "input": [[], "-"], "output": [""]},
    ]
    return {
        "problem": "Join texts.",
        "solutions": ["```python\ndef join(parts, by):\n    return by.join(parts)\n```"],
        "tests": json.dumps(tests),
        **changes,
    }


def kodcode(**changes):
    test = (
        "from solution import span\n\ndef test_pairs():\n    assert span([3, 1]) == (1, 3)\n"
        "    assert span([5]) == (5, 5)\n\ndef test_setup():\n    xs = [1]\n    assert span(xs) == (1, 1)\n"
    )
    return {
        "style": "instruct",
        "subset": "Prefill",
        "question_id": "Prefill_1_I",
        "question": "Return the least and the greatest number.",
        "solution": "def span(xs):\n    return min(xs), max(xs)\n",
        "test": test,
        "test_info": [{"function_name": "span", "parameter_list": "(xs)", "function_declaration": "def span(xs):"}],
        "gpt_pass_sequence": [1, 0, 1, 1],
        "gpt_pass_trial_num": 4,
        "gpt_difficulty": "easy",
        "gpt_pass_percentage": 0.75,
        **changes,
    }


STDIN = {"inputs": ["3\n1 2 3\n", "1\n5\n"], "outputs": ["6\n", "5\n"]}
NO_TESTS = "has neither a test over standard input nor a functional one with literal arguments"
ROWS = {"livecodebench": livecodebench, "taco": taco, "apps": apps, "deepcoder": deepcoder, "kodcode": kodcode}


@pytest.mark.parametrize("style", ROWS)
def test_rows_of_every_style_become_problems(executor, style):
    loaded = load_contests([ROWS[style]()], executor)
    assert loaded.left_out == {}
    (problem,) = loaded.problems
    assert problem.lineage.teacher == style
    assert Problem.from_json(problem.to_json()) == problem
    assert len(problem.cases) + len(problem.hidden) == 2
    assert style_of(ROWS[style]()) == ("taco" if style == "apps" else style)


@pytest.mark.parametrize("style", ["taco", "apps", "deepcoder", "kodcode"])
def test_the_first_stored_solution_that_passes_is_the_gold_answer(executor, style):
    loaded = load_contests([ROWS[style]()], executor)
    assert loaded.gold == 1
    (problem,) = loaded.problems
    assert grade(problem, rules(problem.mode).gold(problem), executor).passed
    assert not grade(problem, f"```python\ndef {problem.signature}:\n    return None\n```", executor).passed


def test_a_leetcode_class_is_called_through_a_function(executor):
    (problem,) = load_contests([taco()], executor).problems
    assert problem.signature == "twoSum(nums: list[int], target: int) -> list[int]"
    assert "return Solution().twoSum(nums, target)" in problem.program
    assert problem.tags == ("difficulty:easy",)
    assert [case.result for case in problem.cases] == ["[0, 1]", "[1, 2]"]  # not wrapped in a list


@pytest.mark.parametrize(
    ("declared", "shown"),
    [
        (
            "self, a: Optional[List[str]], b: Dict[str, int]) -> None",
            "twoSum(a: list[str] | None, b: dict[str, int]) -> None",
        ),
        ("self, a: Optional[ListNode], b: list[TreeNode]) -> ListNode", "twoSum(a, b)"),
        ("self, a, b: Tuple[int, float])", "twoSum(a, b: tuple[int, float])"),
        ("self, a)", "twoSum(x1, x2)"),  # it is called with two
    ],
)
def test_a_student_can_copy_the_signature_without_imports(executor, declared, shown):
    row = livecodebench(starter_code=f"class Solution:\n    def twoSum({declared}:\n        ")
    (problem,) = load_contests([row], executor).problems
    assert problem.signature == shown


def test_livecodebench_has_no_solutions_and_packs_its_private_tests(executor):
    loaded = load_contests([livecodebench()], executor)
    (problem,) = loaded.problems
    assert (loaded.gold, problem.program) == (0, "")
    assert [case.arguments for case in problem.cases] == ["([2, 7, 11, 15], 9)"]  # only public tests are shown
    assert [case.arguments for case in problem.hidden] == ["([3, 2, 4], 6)"]
    assert grade(
        problem, f"```python\nfrom typing import *\n{SOLUTION}\ntwoSum = Solution().twoSum\n```", executor
    ).passed
    plain = livecodebench(private_test_cases=json.dumps([]))
    assert len(load_contests([plain], executor).problems[0].cases) == 1
    assert load_contests([livecodebench()], executor, unchecked=False).left_out == {"no stored solution": 1}


def test_tests_that_would_load_code_are_never_unpickled(executor):
    class Evil:
        def __reduce__(self):
            return os.system, ("true",)

    evil = base64.b64encode(zlib.compress(pickle.dumps(Evil()))).decode()
    loaded = load_contests([livecodebench(), livecodebench(private_test_cases=evil)], executor)
    assert len(loaded.problems) == 1
    (reason,) = loaded.left_out
    assert "the tests name posix.system" in reason


def test_results_are_the_solution_s_own_where_json_cannot_tell(executor):
    row = apps(
        solutions=json.dumps(["def pair(n):\n    return (n, n)\n"]),
        input_output=json.dumps({"fn_name": "pair", "inputs": [[1], [2]], "outputs": [[1, 1], [2, 2]]}),
    )
    (problem,) = load_contests([row], executor).problems
    assert [case.result for case in problem.cases] == ["(1, 1)", "(2, 2)"]


def test_kodcode_keeps_literal_assertions_and_its_measurement(executor):
    (problem,) = load_contests([kodcode()], executor).problems
    assert [case.arguments for case in problem.cases] == ["([3, 1],)", "([5],)"]
    assert (problem.measurements[0].attempts, problem.measurements[0].passes) == (4, 3)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (taco(solutions=json.dumps([WRONG])), "no stored solution passes its tests"),
        (
            taco(solutions=json.dumps(["def other():\n    pass\n", "not python ("])),
            "no stored solution passes its tests",
        ),
        (apps(input_output=""), NO_TESTS),
        (kodcode(test="def test_it():\n    pass\n"), NO_TESTS),
        (
            apps(input_output=json.dumps({"fn_name": "half", "inputs": [[4], [1, 2]], "outputs": [2, 5]})),
            "calls its function with different numbers of arguments",
        ),
    ],
)
def test_what_is_left_out_is_counted_with_its_reason(executor, row, reason):
    loaded = load_contests([row, apps()], executor)
    assert loaded.left_out == {reason: 1}
    assert [problem.entry for problem in loaded.problems] == ["half"]


def test_standard_input_is_parsed(executor):
    contest = parse_row(taco(input_output=json.dumps(STDIN)))
    assert contest.texts == (("3\n1 2 3\n", "6\n"), ("1\n5\n", "5\n"))
    assert isinstance(contest, Contest)
    assert not contest.entry


def test_a_row_that_cannot_be_read_is_counted_unless_it_is_the_first(executor):
    broken = apps(input_output="{")
    loaded = load_contests([apps(), broken], executor)
    assert len(loaded.problems) == 1
    assert next(iter(loaded.left_out)).startswith("unreadable: a taco row cannot be read")
    with pytest.raises(ProblemError, match="columns of no known style"):
        load_contests([{"text": "x"}], executor)
    with pytest.raises(UnknownName, match="Did you mean 'taco'"):
        load_contests([apps()], executor, style="tacos")


def test_files_and_limits(executor, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(apps(problem_id=number)) + "\n" for number in range(5)))
    loaded = load_contests(path, executor, limit=3, most_cases=1, licence="MIT")
    assert [problem.lineage.origin for problem in loaded.problems] == ["apps/0", "apps/1", "apps/2"]
    assert {len(problem.cases) + len(problem.hidden) for problem in loaded.problems} == {1}
    assert loaded.problems[0].lineage.licence == "MIT"


@pytest.mark.extra
def test_parquet_files(executor, tmp_path):
    datasets = pytest.importorskip("datasets", reason="needs: pip install 'code-envs[hf]'")
    datasets.Dataset.from_list([kodcode(), kodcode(question_id="2")]).to_parquet(tmp_path / "rows.parquet")
    loaded = load_contests(tmp_path / "rows.parquet", executor)
    assert [problem.lineage.origin for problem in loaded.problems] == ["kodcode/Prefill_1_I", "kodcode/2"]


class Broken(Executor):
    """A sandbox that fails on every run, as none can be made to."""

    def __init__(self):
        self.limits = Limits()

    def run_jobs(self, jobs, **settings):
        return [[Execution(status=Status.INFRA)] * len(job.calls) for job in jobs]


def test_faults_of_the_sandbox_are_no_verdict():
    loaded = load_contests([apps()], Broken())
    assert loaded.left_out == {"the sandbox failed: load it again": 1}


def test_the_hub_needs_an_extra(executor, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"code-envs\[hf\]"):
        load_contests("codeparrot/apps", executor)
