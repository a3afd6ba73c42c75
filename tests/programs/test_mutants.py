"""Mutants: many, different, reproducible, and mostly noticed."""

import ast

import numpy as np
import pytest

from code_envs.errors import ProblemError
from code_envs.executor import Executor
from code_envs.programs.inputs import boundary_arguments, random_arguments
from code_envs.programs.mutants import mutants

PROGRAM = '''
def clamp(x, low=0):
    return max(x, low)

def f(xs: list[int], k: int = 2) -> int:
    """Adds up 1 thing."""
    total = 0
    for i, x in enumerate(xs):
        if x % 2 == 0 and x > k:
            total += x * x
        elif i < len(xs) - 1:
            total -= xs[i + 1]
    return clamp(total)
'''


def rng() -> np.random.Generator:
    return np.random.default_rng(2)


def test_mutants_are_distinct_parsable_and_reproducible() -> None:
    found = mutants(PROGRAM, "f", rng(), 200)
    programs = {mutant.program for mutant in found}
    assert 30 <= len(found) == len(programs) <= 80
    assert ast.unparse(ast.parse(PROGRAM)) + "\n" not in programs
    assert all(ast.parse(program) for program in programs)
    assert found == mutants(PROGRAM, "f", rng(), 200)
    assert mutants(PROGRAM, "f", rng(), 7) == found[:7]
    assert all(mutant.change for mutant in found)


def test_docstrings_annotations_and_defaults_stay() -> None:
    for mutant in mutants(PROGRAM, "f", rng(), 200):
        assert 'def f(xs: list[int], k: int=2) -> int:\n    """Adds up 1 thing."""' in mutant.program
        assert "def clamp(x, low=0):" in mutant.program


def test_a_script_is_changed_as_a_whole() -> None:
    script = "n = int(input())\nk = 0\nif n > 3:\n    k += 2\nprint(k * n)\n"
    found = [mutant.program for mutant in mutants(script, "", rng(), 100)]
    assert script.replace("print(k * n)\n", "") in found
    assert script.replace("n > 3", "n >= 3") in found
    assert script.replace("    k += 2", "    k -= 2") in found
    assert not any(program.startswith("k = 0") for program in found)  # only a NameError
    within = mutants(f"{script}\ndef f(n):\n    return n\n", "f", rng(), 100)
    assert all("print(" in mutant.program for mutant in within)


@pytest.mark.parametrize(
    ("source", "faulty"),
    [
        ("return a < b", "return a <= b"),
        ("return a[1:n]", "return a[1:n + 1]"),
        ("return a and b", "return a or b"),
        ("return [x for x in a if x]", "return [x for x in a]"),
        ("return range(n)", "return range(n - 1)"),
        ("return a if b else n", "return n"),
        ("return sorted(a, reverse=True)", "return sorted(a)"),
        ("a.append(n)\n    return a", "return a"),
        ("return not a", "return a"),
        ("return -1", "return 1"),
        ("return a.lower()", "return a.upper()"),
    ],
)
def test_usual_faults_are_among_them(source: str, faulty: str) -> None:
    head = "def f(a, b, n):\n    "
    found = {mutant.program for mutant in mutants(head + source, "f", rng(), 100)}
    assert head + faulty + "\n" in found or any(faulty == "return n" and "if False else n" in text for text in found)


def test_most_mutants_are_noticed_by_drawn_inputs(executor: Executor) -> None:
    samples = [([3, 1, 2], 2), ([5, 9, 4, 4], 1), ([6, 8], 3)]
    calls = random_arguments(samples, rng(), 30) + boundary_arguments(samples, rng(), 20)
    expected = [execution.value for execution in executor.run(PROGRAM, "f", calls)]
    found = mutants(PROGRAM, "f", rng(), 60)
    kept = [
        mutant.change
        for mutant in found
        if [execution.value for execution in executor.run(mutant.program, "f", calls)] == expected
    ]
    assert len(kept) <= 0.15 * len(found), kept


def test_the_entry_must_exist() -> None:
    with pytest.raises(ProblemError, match="no top-level function 'g'"):
        mutants(PROGRAM, "g", rng(), 5)
