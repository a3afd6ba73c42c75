"""Each check refuses a problem that breaks just its rule, and passes a twin that keeps it."""

import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import pytest

from code_envs.executor import Execution, Executor, Job, Status
from code_envs.modes import CHECKS, validate
from code_envs.problem import Case, Problem
from code_envs.values import write_literal


class Given(NamedTuple):
    written: Callable[[str, int], Problem]
    executor: Executor

    def deduction(self, program: str, arguments: tuple[object, ...], result: object = None) -> Problem:
        """A problem with the result that the program gives, unless another one is given."""
        text = textwrap.dedent(program)
        signature = text.partition("def ")[2].partition(":\n")[0]
        if result is None:
            result = self.executor.run(text, "f", [arguments])[0].result()
        return Problem(mode="deduction", program=text, signature=signature, cases=(Case.of(arguments, result),))


@pytest.fixture
def given(written: Callable[[str, int], Problem], executor: Executor) -> Given:
    return Given(written, executor)


def test_the_problems_written_by_hand_are_valid(given: Given) -> None:
    for mode in ("induction", "abduction", "deduction", "fuzzing"):
        for index in range(3):
            assert validate(given.written(mode, index), given.executor) == []


# --- twins: a problem that breaks one rule, and one that keeps it ------------------------------


def deterministic(given: Given, broken: bool) -> Problem:
    order = "set" if broken else "sorted"
    return given.deduction(f"def f(text):\n    return '-'.join({order}(text))\n", ("the quick brown fox",))


def random_needs_its_own_seed(given: Given, broken: bool) -> Problem:
    seed = "" if broken else "text"
    program = f"import random\ndef f(text):\n    return random.Random({seed}).sample(text, 6)\n"
    return given.deduction(program if not broken else program.replace("Random().", ""), ("the quick brown fox",))


def calls_do_not_depend_on_each_other(given: Given, broken: bool) -> Problem:
    state = "seen" if broken else "[0]"
    return given.deduction(f"seen = []\ndef f(n):\n    seen.append(n)\n    return len({state}) * 31 + n\n", (11,))


def echo(given: Given, broken: bool) -> Problem:
    return given.deduction("def f(xs):\n    return sorted(xs)\n", ([1, 5, 9, 11] if broken else [5, 1, 11, 9],))


def gold(given: Given, broken: bool) -> Problem:
    limit = 2 if broken else 4
    return given.written("abduction", 0).but(precondition=f"def pre_test_f(text, shift):\n    return shift < {limit}\n")


def guessable(given: Given, broken: bool) -> Problem:
    end = " % 3" if broken else ""
    problem = given.deduction(f"def f(n: int) -> int:\n    return (n * n + 5){end}\n", (4441,))
    return Problem(mode="abduction", program=problem.program, signature=problem.signature, cases=problem.cases)


def guessable_fault(given: Given, broken: bool) -> Problem:
    window = 4 if broken else 6
    problem = given.written("fuzzing", 1)
    return problem.but(program=problem.program.replace("-6:", f"-{window}:"))


def hidden(given: Given, broken: bool) -> Problem:
    problem = given.written("induction", 1)
    repeated = problem.hidden[:4] + problem.cases
    return problem.but(hidden=repeated if broken else problem.hidden + problem.cases)


def inputs(given: Given, broken: bool) -> Problem:
    problem = given.written("induction", 1)
    return problem.but(cases=problem.cases[:4] + problem.cases[:1]) if broken else problem


def junk(given: Given, broken: bool) -> Problem:
    check = "True" if broken else "type(xs) is list and all(type(x) is int for x in xs)"
    return given.written("fuzzing", 1).but(precondition=f"def pre_test_f(xs):\n    return {check}\n")


def junk_inside(given: Given, broken: bool) -> Problem:
    check = "" if broken else " and all(type(x) is int for x in xs)"
    return given.written("fuzzing", 1).but(precondition=f"def pre_test_f(xs):\n    return type(xs) is list{check}\n")


def limits(given: Given, broken: bool) -> Problem:
    depth = 900 if broken else 90
    return given.deduction("def f(n):\n    return n and n % 7 + f(n - 1)\n", (depth,))


def literal(given: Given, broken: bool) -> Problem:
    final = "'unlucky'" if broken else "'un' + 'lucky'"
    return given.deduction(f"def f(n):\n    return {final} if n == 13 else str(n)\n", (13,))


def literal_in_a_docstring(given: Given, broken: bool) -> Problem:
    shown = '"4 4 1"' if broken else '"4 4"'
    return given.deduction(f"def f(n):\n    '''>>> f(441)\n    {shown}\n    '''\n    return ' '.join(str(n))\n", (441,))


def majority(given: Given, broken: bool) -> Problem:
    return given.deduction(f"def f(n):\n    return len('abc' * 7) + n {'* 0' if broken else '* 3'}\n", (4,))


def majority_of_two(given: Given, broken: bool) -> Problem:
    return given.deduction(f"def f(n):\n    return n % 97{' > 44' if broken else ''}\n", (150,))


def message(given: Given, broken: bool) -> Problem:
    text = "Return sorted(xs)[::-1] with abs(x) applied." if broken else "Distances between neighbours that differ."
    return given.written("induction", 0).but(message=text)


def message_of_a_specification(given: Given, broken: bool) -> Problem:
    problem = given.written("fuzzing", 1)
    return problem.but(message=" ") if broken else problem


def mutants(given: Given, broken: bool) -> Problem:
    problem = given.written("induction", 2)
    weak = [(0, 2), (0, 3), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6)]
    cases = tuple(Case.of(pair, pair[0]) for pair in weak)
    return problem.but(hidden=cases if broken else cases + problem.hidden)


def passing(given: Given, broken: bool) -> Problem:
    problem = given.written("fuzzing", 1)
    return problem.but(program=problem.program.replace("return seen", "return seen[1:]")) if broken else problem


def result(given: Given, broken: bool) -> Problem:
    return given.deduction("def f(n):\n    return n * 12345 + 17\n", (7,), 7 * 12345 + (18 if broken else 17))


def results(given: Given, broken: bool) -> Problem:
    problem = given.written("induction", 0)
    same = tuple(Case.of(([n, n],), []) for n in range(5))
    return problem.but(cases=same if broken else (*same, *problem.cases))


def runs(given: Given, broken: bool) -> Problem:
    return given.deduction("def f(xs):\n    return 1000 // sum(xs)\n", ([2, -2] if broken else [2, 5],), 142)


def signature(given: Given, broken: bool) -> Problem:
    names = "text" if broken else "text, shift"
    return given.written("abduction", 0).but(precondition=f"def pre_test_f({names}):\n    return True\n")


def signature_of_the_program(given: Given, broken: bool) -> Problem:
    return given.written("abduction", 0).but(signature="f(text, move)" if broken else "f(text, shift)")


def size(given: Given, broken: bool) -> Problem:
    return given.deduction("def f(n):\n    return 'xy' * n\n", (1000 if broken else 100,))


def syntax(given: Given, broken: bool) -> Problem:
    colon = "" if broken else ":"
    return given.written("abduction", 0).but(precondition=f"def pre_test_f(text, shift){colon}\n    return True\n")


def told(given: Given, broken: bool) -> Problem:
    problem = given.written("abduction", 0)
    doctest = '>>> f("Red Fox", 3)' if broken else '>>> f("Red Fox", 4)'
    return problem.but(program=problem.program + f"    # {doctest}\n")


def told_witness(given: Given, broken: bool) -> Problem:
    problem = given.written("fuzzing", 0)
    call = "f([1, 3, 5, 7, 9, 11], target=11) == 5" if broken else "f(xs, target)"
    return problem.but(program=f"# {call}\n{problem.program}")


def trivial(given: Given, broken: bool) -> Problem:
    values = [0, 4, -9, 33, 120, 5, 6, 7, -77, 1000, 2]
    end = "" if broken else " + abs(n)"
    cases = tuple(Case.of((n,), n if broken else n + abs(n)) for n in values)
    return Problem(
        mode="induction",
        program=f"def f(n):\n    return n{end}\n",
        signature="f(n)",
        message="The number, changed.",
        cases=cases[:5],
        hidden=cases[5:],
    )


def valid(given: Given, broken: bool) -> Problem:
    problem = given.written("fuzzing", 1)
    more = " and xs == [1, 2, 3, 4, 5, 6, 7, 1]" if broken else ""
    return problem.but(precondition=problem.precondition.replace("in xs)", f"in xs){more}"))


def witness(given: Given, broken: bool) -> Problem:
    problem = given.written("fuzzing", 0)
    return problem.but(witness="([1, 3, 5, 7, 9, 11],)" if broken else problem.witness)


TWINS: list[tuple[str, Callable[[Given, bool], Problem]]] = [
    ("deterministic", deterministic),
    ("deterministic", random_needs_its_own_seed),
    ("deterministic", calls_do_not_depend_on_each_other),
    ("echo", echo),
    ("gold", gold),
    ("guessable", guessable),
    ("guessable", guessable_fault),
    ("hidden", hidden),
    ("inputs", inputs),
    ("junk", junk),
    ("junk", junk_inside),
    ("limits", limits),
    ("literal", literal),
    ("literal", literal_in_a_docstring),
    ("majority", majority),
    ("majority", majority_of_two),
    ("message", message),
    ("message", message_of_a_specification),
    ("mutants", mutants),
    ("passing", passing),
    ("result", result),
    ("results", results),
    ("runs", runs),
    ("signature", signature),
    ("signature", signature_of_the_program),
    ("size", size),
    ("syntax", syntax),
    ("told", told),
    ("told", told_witness),
    ("trivial", trivial),
    ("valid", valid),
    ("witness", witness),
]


@pytest.mark.parametrize(("check", "twin"), TWINS, ids=[twin.__name__ for _, twin in TWINS])
def test_a_check_refuses_just_what_breaks_it(given: Given, check: str, twin: Callable[[Given, bool], Problem]) -> None:
    broken = validate(twin(given, True), given.executor)
    assert {complaint.check for complaint in broken} == {check}, broken
    assert all(complaint.text for complaint in broken)
    assert validate(twin(given, False), given.executor) == []


class Failing:
    """An executor whose sandbox fails."""

    def __init__(self, executor: Executor) -> None:
        self.limits = executor.limits

    def run_jobs(self, jobs: Sequence[Job]) -> list[list[Execution]]:
        return [[Execution(status=Status.INFRA) for _ in job.calls] for job in jobs]


def test_a_failing_sandbox_is_told_apart(given: Given) -> None:
    for mode in ("induction", "abduction", "deduction", "fuzzing"):
        complaints = validate(given.written(mode, 0), Failing(given.executor))  # type: ignore[arg-type]
        assert {complaint.check for complaint in complaints} == {"infra"}


def test_every_check_is_tested() -> None:
    assert {check for check, _ in TWINS} | {"infra"} == CHECKS.keys()


def test_validation_depends_on_the_content_alone(given: Given) -> None:
    problem = guessable(given, True)
    again = msgspec.structs.replace(problem, tags=("other",))
    assert validate(problem, given.executor) == validate(again, given.executor)


def test_equivalent_mutants_do_not_count_against_a_problem(given: Given) -> None:
    """Changing a bound that is never reached changes nothing."""
    program = "def f(n):\n    n = max(n, -(10**30))\n    n = min(n, 10**30)\n    return n * n + 1\n"
    values = [0, 4, -9, 33, 120, 5, 6, 7, -77, 1000, 2]
    cases = tuple(Case(arguments=write_literal((n,)), result=write_literal(n * n + 1)) for n in values)
    problem = Problem(
        mode="induction", program=program, signature="f(n)", message="m", cases=cases[:5], hidden=cases[5:]
    )
    assert validate(problem, given.executor) == []
