"""Planted faults: mutants that few inputs tell from the program."""

import numpy as np

from code_envs.teacher.planting import plant
from code_envs.values import parse_literal

PROGRAM = """def f(xs, k):
    if len(xs) > 3 and xs[0] == xs[-1]:
        return xs[:-1]
    while k > 40:
        k -= 7
    return xs + [k]
"""
CALLS = [([place % 7, *range(place % 5), place % 3], place) for place in range(60)]


def run(program, call):
    space = {}
    exec(program, space)
    return space["f"](*call)


def test_each_fault_shows_on_a_few_inputs_and_its_witnesses_are_among_them(executor):
    faults = plant(PROGRAM, "f", CALLS, np.random.default_rng(0), executor)
    assert faults == plant(PROGRAM, "f", CALLS, np.random.default_rng(0), executor)
    assert faults
    assert [fault.rate for fault in faults] == sorted((fault.rate for fault in faults), reverse=True)
    for fault in faults:
        assert 0 < fault.rate <= 0.06
        for witness in fault.witnesses:
            call = parse_literal(witness)
            assert call in CALLS
            assert run(fault.program, call) != run(PROGRAM, call)


def test_a_program_without_rare_cases_has_no_such_fault(executor):
    assert plant("def f(xs, k):\n    return xs + [k]\n", "f", CALLS, np.random.default_rng(0), executor) == []
    assert plant("def f(xs, k):\n    return 1 / 0\n", "f", CALLS, np.random.default_rng(0), executor) == []


def test_a_program_whose_faults_would_depend_on_the_machine_has_none(executor):
    slow = PROGRAM.replace("    while", "    for _ in range(1_000_000):\n        pass\n    while")
    assert plant(slow, "f", CALLS, np.random.default_rng(0), executor) == []


def test_what_never_ends_is_left_out(executor):
    endless = "def f(xs, k):\n    while len(xs) > 7 or k:\n        k = max(0, k - 1)\n    return [*xs, k]\n"
    for fault in plant(endless, "f", CALLS, np.random.default_rng(0), executor):
        assert run(fault.program, parse_literal(fault.witnesses[0])) != run(endless, parse_literal(fault.witnesses[0]))
