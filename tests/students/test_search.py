"""The search student: graded pass rates from differing budgets."""

import pytest

from code_envs.executor import Executor
from code_envs.modes import grade_many, prompt
from code_envs.problem import Case, Mode, Problem
from code_envs.students import SearchStudent
from code_envs.students.base import Student
from code_envs.students.tracing import trace_budgets

ATTEMPTS = 32
LOOP = """def f(n: int, k: int) -> int:
    total = k
    for i in range(n):
        total = (total * 3 + i) % 1009
    return total
"""
MATCH = """def f(xs: list[int], k: int) -> int:
    total = 0
    for x in xs:
        if x > k:
            total += x * 3
    return total
"""
PRECONDITION = """def pre_test_f(xs, k):
    return isinstance(xs, list) and all(type(x) is int for x in xs) and type(k) is int
"""


SQUARE = Problem(mode=Mode.INDUCTION, entry="", program="", cases=(Case.of(("3\n",), "9\n"), Case.of(("4\n",), "16\n")))


def test_it_gives_up_on_scripts(executor: Executor) -> None:
    prompts = [prompt(SQUARE), prompt(loop(2)), prompt(SQUARE)]
    replies = SearchStudent(executor=executor).answer(prompts, seed=1)
    assert "gives up" in replies[0]
    assert replies[2] == replies[0]
    assert replies[1] == SearchStudent(executor=executor).answer([prompt(loop(2))] * 2, seed=1)[1]
    assert grade_many(SQUARE, replies[:1], executor)[0].outcome == "malformed"


def called(mode: Mode, program: str, signature: str, arguments: tuple, result: object) -> Problem:
    return Problem(mode=mode, program=program, signature=signature, cases=(Case.of(arguments, result),))


def loop(times: int) -> Problem:
    total = 5
    for i in range(times):
        total = (total * 3 + i) % 1009
    return called(Mode.DEDUCTION, LOOP, "f(n: int, k: int) -> int", (times, 5), total)


def preimage(result: int, arguments: tuple) -> Problem:
    return called(Mode.ABDUCTION, MATCH, "f(xs: list[int], k: int) -> int", arguments, result)


def falsified(claim: str, witness: str) -> Problem:
    return Problem(
        mode=Mode.FUZZING,
        program=MATCH,
        signature="f(xs: list[int], k: int) -> int",
        precondition=PRECONDITION,
        property=f"def test_f(xs, k):\n    assert {claim}\n",
        witness=witness,
    )


def differing(fault: str) -> Problem:
    return Problem(
        mode=Mode.FUZZING,
        program=MATCH.replace("x > k", fault),
        reference=MATCH,
        signature="f(xs: list[int], k: int) -> int",
        message="Three times the sum of what is above k.",
        precondition=PRECONDITION,
        witness="([1], 1)",
    )


def induced(f, calls: list[tuple]) -> Problem:
    cases = tuple(Case.of(call, f(*call)) for call in calls)
    return Problem(
        mode=Mode.INDUCTION,
        program="def f(xs):\n    return 0\n",
        signature="f(xs: list[int])",
        message="Find out.",
        cases=cases[:-1],
        hidden=cases[-1:],
    )


CALLS = [([1, 2, 3, 4],), ([5, 6],), ([],), ([2, 2, 9],), ([-4, 1, 3],), ([8, 3, 8],)]
EASY_AND_HARD = {
    "deduction": (loop(2), loop(30), loop(400)),
    "abduction": (preimage(0, ([1], 1)), preimage(27, ([4, 5, 1], 2)), preimage(9171, ([3000, 57, 1], 40))),
    "fuzzing": (
        falsified("f(xs, k) < 40", "([50], 0)"),
        falsified("f(xs, k) != 60", "([20], 0)"),
        falsified("(f(xs, k), k, len(xs)) != (33, 7, 2)", "([11, 1], 7)"),
    ),
    "induction": (
        induced(sum, CALLS),
        induced(lambda xs: sum(x * x for x in xs if x % 2 == 0), CALLS),
        induced(lambda xs: sum((x * x + i) % 5 for i, x in enumerate(xs)), CALLS),
    ),
}


def rate(student: Student, problem: Problem, executor: Executor) -> float:
    replies = student.answer([prompt(problem)] * ATTEMPTS, seed=1)
    grades = grade_many(problem, replies, executor)
    assert all(grade.outcome in ("passed", "wrong") for grade in grades)  # every reply can be read
    return sum(grade.passed for grade in grades) / ATTEMPTS


@pytest.mark.parametrize("problems", EASY_AND_HARD.values(), ids=EASY_AND_HARD.keys())
def test_pass_rates_fall_with_difficulty(problems: tuple[Problem, ...], executor: Executor) -> None:
    easy, medium, hard = (rate(SearchStudent(executor=executor), problem, executor) for problem in problems)
    assert easy > medium > hard, (easy, medium, hard)
    assert easy >= 0.8
    assert 0.1 <= medium <= 0.9
    assert hard <= 0.35


def test_a_fault_near_the_program_is_found_without_the_reference(executor: Executor) -> None:
    assert 0.2 <= rate(SearchStudent(executor=executor), differing("x >= k"), executor) <= 1.0


def test_same_seed_same_replies_whatever_else_is_asked(executor: Executor) -> None:
    problems = [group[1] for group in EASY_AND_HARD.values()]
    together = SearchStudent(executor=executor).answer([prompt(problem) for problem in problems], seed=9)
    assert together == SearchStudent(executor=executor).answer([prompt(problem) for problem in problems], seed=9)
    first = SearchStudent(executor=executor).answer([prompt(problems[0])], seed=9)
    assert first == together[:1]


def test_a_larger_budget_solves_more(executor: Executor) -> None:
    problem = loop(30)
    small, large = SearchStudent(budget=0.03, executor=executor), SearchStudent(budget=10, executor=executor)
    assert small.name != large.name
    assert rate(small, problem, executor) < rate(large, problem, executor)


def test_candidates_that_run_forever_do_not_end_the_search(executor: Executor) -> None:
    program = "def f(n: int) -> int:\n    while n < 5:\n        n -= 1\n    return n * 2 + 1\n"
    problem = called(Mode.ABDUCTION, program, "f(n: int) -> int", (9,), 19)
    replies = SearchStudent(executor=executor).answer([prompt(problem)] * ATTEMPTS, seed=1)
    assert 5 <= replies.count("```input\n9\n```") < ATTEMPTS


def told(program: str, executor: Executor) -> str:
    """What the tracer answers with a budget that no short program uses up."""
    view = called(Mode.DEDUCTION, program, "f(x)", (3,), 0)
    steps = trace_budgets(view, [5, 500])
    try:
        jobs = next(steps)
        steps.send(executor.run_jobs(jobs))
    except StopIteration as end:
        return end.value[500]
    raise AssertionError("the tracer wants a second run")


@pytest.mark.parametrize(
    ("program", "answer"),
    [
        ("def f(x):\n    return [x] * 2\n", "[3, 3]"),
        ("def f(x):\n    return f(x - 1) + x if x else 0\n", "6"),
        ("def f(x):\n    raise ValueError(x)\n", "3"),
        ("def f(x):\n    return object()\n", "3"),
        ("def f(x):\n    while True:\n        x += 1\n", None),
        ("import sys\ndef f(x):\n    sys.settrace(None)\n    return x + 1\n", "4"),
        ("def f(x):\n    try:\n        return f(x + 1)\n    except BaseException:\n        return 8\n", None),
        ("def f(:\n", "3"),
        ("import os\ndef f(x):\n    os._exit(0)\n", "3"),
    ],
)
def test_the_tracer_always_answers_with_a_literal(program: str, answer: str | None, executor: Executor) -> None:
    got = told(program, executor)
    assert got == answer if answer is not None else int(got) > 0
