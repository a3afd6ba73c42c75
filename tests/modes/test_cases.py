"""Hidden cases that are made from the visible ones."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from code_envs.errors import ProblemError
from code_envs.executor import Executor
from code_envs.modes import complete_cases, validate
from code_envs.problem import Case, Problem

Written = Callable[[str, int], Problem]


@pytest.mark.parametrize("index", range(3))
def test_hidden_cases_make_a_valid_problem(written: Written, executor: Executor, index: int) -> None:
    bare = written("induction", index).but(hidden=())
    problem = complete_cases(bare, executor, np.random.default_rng(5))
    assert len(problem.hidden) == 16
    assert not {case.call() for case in problem.hidden} & {case.call() for case in problem.cases}
    assert validate(problem, executor) == []
    assert problem == complete_cases(bare, executor, np.random.default_rng(5))
    assert problem != complete_cases(bare, executor, np.random.default_rng(6))


def choosy(body: str) -> Problem:
    """A program of one number, with visible cases that do not matter."""
    cases = tuple(Case.of((n,), n) for n in (3, 7, 12, 40, 95))
    program = f"def f(n: int) -> object:\n    {body}\n"
    return Problem(mode="induction", program=program, signature="f(n: int) -> object", message="m", cases=cases)


def test_no_result_fills_more_than_half(executor: Executor) -> None:
    problem = complete_cases(choosy("return n > 0"), executor, np.random.default_rng(0))
    counts = Counter(case.result for case in problem.hidden)
    assert set(counts) == {"True", "False"}
    assert max(counts.values()) <= 8


@pytest.mark.parametrize(
    "fault",
    [
        "raise ValueError",
        "return object()",
        "return 'x' * 5000",
        "return f(n)",
        "import sys; sys.exit()",
        "while 1: pass",
    ],
)
def test_inputs_that_the_program_cannot_take_are_left_out(executor: Executor, fault: str) -> None:
    program = choosy(f"if n < 0 or n == 0:\n        {fault}\n    return n")
    problem = complete_cases(program, executor, np.random.default_rng(0))
    assert len(problem.hidden) >= 8
    assert all(case.values()[0] > 0 for case in problem.hidden)


def test_only_induction_has_hidden_cases(written: Written, executor: Executor) -> None:
    with pytest.raises(ProblemError, match="deduction"):
        complete_cases(written("deduction", 0), executor, np.random.default_rng(0))
