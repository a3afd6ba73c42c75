"""Nothing that is expected ever enters the sandbox, whatever is graded."""

import re

import pytest

from code_envs.executor import Executor, client
from code_envs.modes import grade, rules
from code_envs.problem import Case, Mode, Problem
from code_envs.values import encode

HASH = "def f(n):\n    for _ in range(5): n = n * 1_000_003 % (1 << 200) + 7\n    return n"
WRONG = HASH.replace(" + 7", "; n += 7 + (n % 7 == 0)")
PRE = "def pre_test_f(n):\n    return type(n) is int and n > 10"
CALLS = [10**40 + 17 * index for index in range(9)]


def hashed(number, fault=0):
    for _ in range(5):
        number = number * 1_000_003 % (1 << 200)
        number += 7 + fault * (number % 7 == 0)
    return number


def harmless():
    """Arguments that show no fault."""
    return next(n for n in range(10**40 + 1, 10**40 + 999) if n % 7 and hashed(n) == hashed(n, fault=1))


def harmful():
    """Arguments that show the fault of either program."""
    return next(n for n in range(10**40, 10**40 + 999) if not n % 7 and hashed(n) != hashed(n, fault=1))


def problems():
    """One problem for each kind of grading, with results that cannot be there by chance."""
    cases = [Case.of((number,), hashed(number)) for number in CALLS]
    shared = {"signature": "f(n: int) -> int", "program": HASH}
    test = "def test_f(n):\n    assert f(n) >= 0 and n % 7 != 0"
    return {
        Mode.INDUCTION: Problem(mode=Mode.INDUCTION, message="m", cases=cases[:5], hidden=cases[5:], **shared),
        Mode.ABDUCTION: Problem(mode=Mode.ABDUCTION, cases=cases[:1], precondition=PRE, **shared),
        Mode.DEDUCTION: Problem(mode=Mode.DEDUCTION, cases=cases[:1], **shared),
        "property": Problem(mode=Mode.FUZZING, precondition=PRE, property=test, witness=f"({harmful()},)", **shared),
        "differential": Problem(
            mode=Mode.FUZZING,
            message="m",
            precondition=PRE,
            reference=HASH,
            witness=f"({harmful()},)",
            **{**shared, "program": WRONG},
        ),
    }


@pytest.mark.parametrize("name", list(problems()))
@pytest.mark.parametrize("wrong", [False, True], ids=["right", "wrong"])
def test_nothing_that_is_expected_goes_into_the_sandbox(name, wrong, monkeypatch):
    """The whole request map, read while the program runs, for right and for wrong answers."""
    problem = problems()[name]
    seen = []
    submit = client.Zygote.submit

    def spy(zygote, *given):
        submit(zygote, *given)
        seen.append(bytes(zygote._request.memory[: 1 << 20]))

    reply = rules(problem.mode).gold(problem)
    if wrong:
        reply = re.sub(r"\b\d{30,}\b", str(harmless()), reply.replace("1_000_003", "1_000_033"))
    with Executor(workers=1) as executor:
        _ = executor.isolation
        monkeypatch.setattr(client.Zygote, "submit", spy)
        verdict = grade(problem, reply, executor)
    assert verdict.passed == (not wrong), verdict
    assert len(seen) == {"deduction": 0, "induction": 1, "differential": 3}.get(str(name), 2)
    expected = {case.result for case in (*problem.cases, *problem.hidden)}
    if problem.witness and wrong:
        expected.add(problem.witness.strip("(),"))
    if name == "differential":
        expected.add(str(hashed(int(problem.witness.strip("(),")))))
    for request in seen:
        assert b"def " in request
        for result in expected:
            assert result.encode() not in request
            assert encode(int(result)) not in request
    asked = [encode(case.values()[0]) for case in (*problem.cases, *problem.hidden)]
    if name == Mode.INDUCTION:
        assert all(argument in seen[0] for argument in asked)  # the search finds what is there
