"""Trivial answers."""

import numpy as np
import pytest

from code_envs.errors import UnknownName
from code_envs.executor import Executor
from code_envs.modes import grade, prompt, read, rules
from code_envs.problem import Case, Mode, Problem
from code_envs.students import BASELINES, make_student
from code_envs.students.baselines import guess_arguments, guess_results, trivial_programs
from code_envs.values import parse_literal

PROGRAM = """def f(xs: list[int], k: int) -> int:
    total = 0
    for x in xs:
        if x > k:
            total += 3 * x
    return total
"""
SIGNATURE = "f(xs: list[int], k: int) -> int"
PRECONDITION = "def pre_test_f(xs, k):\n    return type(k) is int and isinstance(xs, list) and len(xs) < 50\n"
VISIBLE = tuple(Case.of(*case) for case in [(([1, 2], 1), 6), (([5], 1), 15), (([0], 1), 0)])
PROBLEMS = {
    Mode.INDUCTION: Problem(
        mode=Mode.INDUCTION,
        program=PROGRAM,
        signature=SIGNATURE,
        message="Three times the sum of what is above k.",
        cases=VISIBLE,
        hidden=(Case.of(([7, 8], 7), 24), Case.of(([2], 0), 6)),
    ),
    Mode.ABDUCTION: Problem(
        mode=Mode.ABDUCTION, program=PROGRAM, signature=SIGNATURE, cases=(Case.of(([4, 5, 1], 2), 27),)
    ),
    Mode.DEDUCTION: Problem(
        mode=Mode.DEDUCTION, program=PROGRAM, signature=SIGNATURE, cases=(Case.of(([4, 5, 1], 2), 27),)
    ),
    Mode.FUZZING: Problem(
        mode=Mode.FUZZING,
        program=PROGRAM,
        signature=SIGNATURE,
        precondition=PRECONDITION,
        property="def test_f(xs, k):\n    assert f(xs, k) >= 0\n",
        witness="([-1], -2)",
    ),
}


def test_trivial_programs_say_what_was_seen_and_nothing_more(executor: Executor) -> None:
    problem = PROBLEMS[Mode.INDUCTION]
    found = trivial_programs(problem)
    assert [name for name, _ in found] == ["constant", "constant", "constant", "echo", "echo", "lookup"]
    calls = [case.values() for case in problem.cases]
    results = {text: [one.result() for one in executor.run(text, "f", calls)] for _, text in found}
    assert results[found[1][1]] == [15, 15, 15]
    assert results[found[3][1]] == [[1, 2], [5], [0]]
    assert results[found[-1][1]] == [6, 15, 0]
    assert not any(grade(problem, f"```python\n{text}```", executor).passed for _, text in found)


def test_guessed_arguments_are_distinct_reproducible_and_fit_the_program() -> None:
    view = rules(Mode.ABDUCTION).view(PROBLEMS[Mode.ABDUCTION])
    found = guess_arguments(view, np.random.default_rng(1), 40)
    assert found == guess_arguments(view, np.random.default_rng(1), 40)
    assert len(set(found)) == 40
    values = [parse_literal(text) for text in found]
    assert {(type(xs), type(k)) for xs, k in values} == {(list, int)}
    assert ([], 27) in values  # the result in the place of an argument


def test_guessed_results_hold_echoes_literals_and_what_the_program_mostly_gives(executor: Executor) -> None:
    view = rules(Mode.DEDUCTION).view(PROBLEMS[Mode.DEDUCTION])
    found = guess_results(view, executor, np.random.default_rng(1), 30)
    assert {"[4, 5, 1]", "2", "3", "0"} <= set(found)
    constant = view.but(program="def f(xs, k):\n    return [k > 99, 'no']\n", key="")
    assert guess_results(constant, executor, np.random.default_rng(1), 30)[0] == "[False, 'no']"


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_answer_every_mode_alike_each_time(name: str, executor: Executor) -> None:
    prompts = [prompt(problem) for problem in PROBLEMS.values()] * 3
    student = make_student(name, executor)
    replies = student.answer(prompts, seed=4)
    assert replies == student.answer(prompts, seed=4)
    for problem, reply in zip([*PROBLEMS.values()] * 3, replies, strict=True):
        assert bool(read(problem, reply).text) != (reply == "There is no such guess here.")


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_answer_scripts(name: str, executor: Executor) -> None:
    cases = [Case.of((f"{n}\n",), f"{n * n}\n") for n in (3, -4, 7, 12, 20)]
    problem = Problem(
        mode=Mode.INDUCTION,
        entry="",
        program="print(int(input()) ** 2)\n",
        message="The square.",
        cases=cases[:3],
        hidden=cases[3:],
    )
    for reply in make_student(name, executor).answer([prompt(problem)] * 6, seed=1):
        assert read(problem, reply).text
        assert grade(problem, reply, executor).outcome == "wrong"


def test_an_unknown_student_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'majority'"):
        make_student("mayority")
