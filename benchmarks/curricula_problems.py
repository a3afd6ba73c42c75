"""The problems of the curriculum laboratory: deduction problems that a very small model can learn."""

from __future__ import annotations

import numpy as np

from code_envs.executor import Executor
from code_envs.problem import Case, Lineage, Mode, Problem

__all__ = ["FAMILIES", "make_problems", "short_prompt"]

FAMILIES = (
    *("xs[0]", "xs[2]", "max(xs)", "min(xs)", "xs[0] + 1", "xs[0] + xs[1]", "abs(xs[0] - xs[2])"),
    *("(xs[1] + xs[2]) % 10", "sorted(xs)[1]", "sum(xs)", "xs[0] * xs[1]", "sum(xs) % 7"),
)
"""What the programs return, of a list of three digits."""


def make_problems(count: int, seed: int, executor: Executor) -> list[Problem]:
    """Make problems; their results come from running the programs.

    Args:
        count: How many of each family, all with different arguments.
        seed: Decides the arguments.
        executor: Runs the programs.

    Returns:
        The problems, family by family; the level of a problem is the number of its family.
    """
    problems = []
    for level, expression in enumerate(FAMILIES):
        numbers = np.random.default_rng([seed, level]).permutation(1000)[:count]
        calls = [([int(number) // 100, int(number) // 10 % 10, int(number) % 10],) for number in numbers]
        program = f"def f(xs):\n    return {expression}\n"
        for call, execution in zip(calls, executor.run(program, "f", calls), strict=True):
            problems.append(
                Problem(
                    mode=Mode.DEDUCTION,
                    program=program,
                    signature="f(xs)",
                    cases=(Case.of(call, execution.result()),),
                    lineage=Lineage(level=level, teacher="laboratory"),
                )
            )
    return problems


def short_prompt(problem: Problem) -> str:
    """What the small model reads instead of the prompt: a letter for the program, and the digits.

    Reading programs is beyond it; it learns what each letter stands for.
    """
    expression = problem.program.partition("return ")[2].strip()
    (digits,) = problem.cases[0].values()
    return f"{'abcdefghijkl'[FAMILIES.index(expression)]}{''.join(map(str, digits))}:"
