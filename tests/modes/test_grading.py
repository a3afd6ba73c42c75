"""Grades of honest answers and of ones that try to cheat, each beside an honest twin."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from code_envs.errors import ConfigError, ProblemError, UnknownName
from code_envs.executor import Execution, Executor, Job, Limits, Status
from code_envs.modes import Answer, Grade, Outcome, grade, grade_batch, grade_many, rules, validate
from code_envs.modes.blocks import fence
from code_envs.problem import Case, Problem

Written = Callable[[str, int], Problem]
MODES = ("induction", "abduction", "deduction", "fuzzing")


@pytest.fixture(scope="module")
def quick() -> Iterator[Executor]:
    """A sandbox that gives up soon."""
    with Executor(workers=1, limits=Limits(cpu_seconds=0.2, memory_mib=64)) as executor:
        yield executor


class Counting:
    """An executor that counts the jobs it is given."""

    def __init__(self, executor: Executor) -> None:
        self.executor, self.batches = executor, list[int]()

    def run_jobs(self, jobs: Sequence[Job]) -> list[list[Execution]]:
        self.batches.append(len(jobs))
        return self.executor.run_jobs(jobs)


@pytest.mark.parametrize("mode", MODES)
def test_gold_passes_and_noise_does_not(written: Written, executor: Executor, mode: str) -> None:
    for index in range(3):
        problem = written(mode, index)
        gold, noise = grade_many(problem, [rules(mode).gold(problem), "I do not know."], executor)
        assert (gold.outcome, gold.reward) == (Outcome.PASSED, 1.0)
        assert (noise.outcome, noise.reward) == (Outcome.MALFORMED, 0.0)
        assert noise.reason
        assert noise.feedback


# --- induction --------------------------------------------------------------------------------

HONEST = "def f(n, base):\n    n = abs(n)\n    if base < 2:\n        return n\n    total = 0\n"
HONEST += "    while n:\n        total += n % base\n        n //= base\n    return total\n"
HELPER = HONEST.replace("def f(", "def g(")
CHEATS = {
    "object that equals everything": "class Any:\n    def __eq__(self, other):\n        return True\n\n"
    "    __hash__ = None\n\ndef f(n, base):\n    return Any()\n",
    "subclass of int": f"{HELPER}\nclass Int(int):\n    pass\n\ndef f(n, base):\n    return Int(g(n, base))\n",
    "number that equals everything": "class Int(int):\n    def __eq__(self, other):\n        return True\n\n"
    "    __hash__ = int.__hash__\n\ndef f(n, base):\n    return Int(1)\n",
    "float for int": f"{HELPER}\ndef f(n, base):\n    return float(g(n, base))\n",
    "result in a list": f"{HELPER}\ndef f(n, base):\n    return [g(n, base)]\n",
    "printing": f"{HELPER}\ndef f(n, base):\n    print(g(n, base))\n",
    "exit": "import sys\n\ndef f(n, base):\n    sys.exit(0)\n",
    "exit at once": "import os\n\ndef f(n, base):\n    pass\n\nos._exit(0)\n",
    "verdict on standard output": "print('PASSED')\n\ndef f(n, base):\n    print('{\"reward\": 1.0}')\n",
    "frames": """import sys, gc

def f(n, base):
    frame = sys._getframe()
    while frame:
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            for name in ("result", "expected", "hidden"):
                if hasattr(value, name):
                    return getattr(value, name)
        frame = frame.f_back
    for thing in gc.get_objects():
        if isinstance(thing, dict) and "expected" in thing:
            return thing["expected"]
""",
    "huge result": "def f(n, base):\n    return [0] * 10**6\n",
    "huge number": "def f(n, base):\n    return 10 ** 100_000\n",
    "memory": "def f(n, base):\n    return len(bytearray(1 << 30))\n",
    "recursion": "def f(n, base):\n    return f(n, base) + 1\n",
    "exception": "def f(n, base):\n    raise KeyError('no')\n",
    "lookup of the visible cases": "def f(n, base):\n    return {(10, 2): 2, (255, 16): 30, (0, 10): 0, (-123, 10): 6,"
    " (7, 1): 7, (6, 2): 2}.get((n, base), 0)\n",
    "assertion that the grader is wrong": "def f(n, base):\n    assert False\n",
    "syntax that fails only when compiled": "def f(n, base):\n    return n\n\nreturn 3\n",
}


def test_the_honest_program_passes(written: Written, quick: Executor) -> None:
    graded = grade(written("induction", 2), fence(HONEST, "python"), quick)
    assert graded.passed
    assert graded.parts == {"visible": 1.0, "hidden": 1.0}
    assert graded.cpu_seconds > 0


@pytest.mark.parametrize("cheat", CHEATS)
def test_cheating_programs_fail(written: Written, quick: Executor, cheat: str) -> None:
    graded = grade(written("induction", 2), fence(CHEATS[cheat], "python"), quick)
    assert graded.outcome is Outcome.WRONG
    assert graded.reward == 0.0
    assert graded.parts["hidden"] < 1.0
    assert len(graded.reason) < 1000
    assert len(graded.feedback) < 2000


SPY = """import sys

def f(n, base):
    frame = sys._getframe()
    while "session" not in frame.f_locals:
        frame = frame.f_back
    return -frame.f_locals["session"].request_map[:4096].count(bytes.fromhex({mark!r}))
"""


def test_feedback_cannot_tell_hidden_arguments(written: Written, executor: Executor) -> None:
    """A program's calls share a process; what feedback shows must come from one that never held the hidden ones."""
    problem = written("induction", 2)
    mark = problem.hidden[-1].call()
    assert mark not in [case.call() for case in problem.cases]
    spy = fence(SPY.format(mark=mark.hex()), "python")
    assert "gives -1" in grade(problem, spy, executor).feedback  # the spy works
    hidden = grade(problem, spy, executor, hide=True)
    assert "gives 0" in hidden.feedback


@pytest.mark.parametrize("mode", MODES)
def test_the_level_of_isolation_is_stamped_into_grades(written: Written, executor: Executor, mode: str) -> None:
    problem = written(mode, 0)
    gold, unread = grade_many(problem, [rules(mode).gold(problem), "I do not know."], executor)
    assert gold.isolation is (None if mode == "deduction" else executor.isolation)  # where anything was run
    assert unread.isolation is None


def test_hiding_changes_no_verdict(written: Written, executor: Executor) -> None:
    for mode in MODES:
        problem = written(mode, 1)
        replies = [rules(mode).gold(problem), "I do not know.", "```python\ndef f(n, base):\n    return 1\n```"]
        plain, hiding = grade_many(problem, replies, executor), grade_many(problem, replies, executor, hide=True)
        for one, other in zip(plain, hiding, strict=True):
            assert (one.outcome, one.reason, one.feedback, one.parts) == (
                other.outcome,
                other.reason,
                other.feedback,
                other.parts,
            )


def test_a_program_that_never_ends_is_timed_out(written: Written, quick: Executor) -> None:
    graded = grade(written("induction", 2), "```python\ndef f(n, base):\n    while True:\n        pass\n```", quick)
    assert graded.outcome is Outcome.TIMEOUT


def test_changing_the_arguments_helps_nobody_and_harms_nobody(written: Written, executor: Executor) -> None:
    problem = written("induction", 0)
    gaps = "[abs(b - a) for a, b in zip(xs, xs[1:]) if a != b]"
    honest = f"def f(xs):\n    gaps = {gaps}\n    xs.clear()\n    return gaps\n"
    in_place = f"def f(xs):\n    xs[:] = {gaps}\n"
    right, wrong = grade_many(problem, [fence(honest, "python"), fence(in_place, "python")], executor)
    assert right.passed
    assert not wrong.passed


def test_feedback_shows_the_visible_failure(written: Written, executor: Executor) -> None:
    problem = written("induction", 2)
    wrong, raising = grade_many(
        problem,
        ["```python\ndef f(n, base):\n    return -5\n```", "```python\ndef f(n, base):\n    return n[0]\n```"],
        executor,
    )
    assert "f(10, 2) gives -5, but the result must be 1" not in wrong.feedback
    assert "f(10, 2) gives -5, but the result must be 2" in wrong.feedback
    assert "f(10, 2) raises TypeError" in raising.feedback


def test_nothing_hidden_is_told(written: Written, executor: Executor) -> None:
    """A program that is right on the visible cases tries to carry hidden inputs out."""
    problem = written("induction", 2)
    known = {case.values(): case.result for case in problem.cases}
    leaks = [
        "raise ValueError(repr((n, base)))",
        "return repr((n, base))",
        "print(n, base)\n        return None",
        "import sys\n        sys.exit(n)",
    ]
    told = set()
    for leak in leaks:
        program = f"def f(n, base):\n    known = {known}\n    if (n, base) not in known:\n        {leak}\n"
        program += "    return int(known[n, base])\n"
        graded = grade(problem, fence(program, "python"), executor)
        assert graded.parts == {"visible": 1.0, "hidden": 0.0}
        told |= {graded.reason, graded.feedback}
    assert len(told) == 2, "what is told depends on what the program did with hidden inputs"


# --- abduction and fuzzing --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("'red fox', 3", Outcome.PASSED),  # not the arguments that the teacher chose
        ("'red fox', 29", Outcome.PASSED),
        ("'red fox', 4", Outcome.WRONG),
        ("'red fox', None", Outcome.WRONG),
        ("'red fox'", Outcome.MALFORMED),
        ("x, 3", Outcome.MALFORMED),
    ],
)
def test_any_arguments_with_the_result_pass_in_abduction(
    written: Written, executor: Executor, reply: str, outcome: Outcome
) -> None:
    assert grade(written("abduction", 0), f"```input\n{reply}\n```", executor).outcome is outcome


@pytest.mark.parametrize(
    ("check", "outcome"),
    [
        ("return True", Outcome.PASSED),
        ("return 1", Outcome.WRONG),
        ("return [True]", Outcome.WRONG),
        ("return shift < 0", Outcome.WRONG),
        ("raise ValueError", Outcome.WRONG),
        ("print(True)", Outcome.WRONG),
    ],
)
def test_a_precondition_must_return_exactly_true(
    written: Written, executor: Executor, check: str, outcome: Outcome
) -> None:
    problem = written("abduction", 0).but(precondition=f"def pre_test_f(text, shift):\n    {check}\n")
    assert grade(problem, rules("abduction").gold(problem), executor).outcome is outcome


PROPERTY = {
    "assert f(n) > 0": Outcome.PASSED,
    "raise AssertionError": Outcome.PASSED,
    "assert f(n) < 0": Outcome.WRONG,
    "raise KeyError(n)": Outcome.WRONG,
    "test_f(n)": Outcome.WRONG,
    "return len(bytearray(1 << 30))": Outcome.WRONG,
    "while True: pass": Outcome.TIMEOUT,
    "raise SystemExit": Outcome.WRONG,
    "print('AssertionError')": Outcome.WRONG,
}


@pytest.mark.parametrize("body", PROPERTY)
def test_a_property_is_broken_by_failed_assertions_alone(quick: Executor, body: str) -> None:
    problem = Problem(
        mode="fuzzing",
        program="def f(n):\n    return -abs(n)\n",
        signature="f(n)",
        precondition="def pre_test_f(n):\n    return type(n) is int\n",
        property=f"def test_f(n):\n    {body}\n",
    )
    assert grade(problem, "```input\n3\n```", quick).outcome is PROPERTY[body]
    assert grade(problem, "```input\n'3'\n```", quick).outcome is Outcome.WRONG


RIGHT = "return n * 2"
DIFFERENTIAL = {
    (RIGHT, "return n * 3"): Outcome.PASSED,
    (RIGHT, "return n * 2.0"): Outcome.PASSED,
    (RIGHT, "raise KeyError(n)"): Outcome.PASSED,
    (RIGHT, "return n + n"): Outcome.WRONG,
    (RIGHT, "return f(n)"): Outcome.WRONG,
    (RIGHT, "return len(bytearray(1 << 30))"): Outcome.WRONG,
    (RIGHT, "while True: pass"): Outcome.TIMEOUT,
    ("return n / 3", "return n * (1 / 3)"): Outcome.WRONG,
    ("raise KeyError(n)", "return n * 3"): Outcome.WRONG,
    ("return f(n)", "return n * 3"): Outcome.WRONG,
}


@pytest.mark.parametrize(("reference", "faulty"), DIFFERENTIAL)
def test_a_variant_is_caught_by_another_result_alone(quick: Executor, reference: str, faulty: str) -> None:
    problem = Problem(
        mode="fuzzing",
        message="Twice the number.",
        program=f"def f(n):\n    {faulty}\n",
        signature="f(n)",
        precondition="def pre_test_f(n):\n    return type(n) is int\n",
        reference=f"def f(n):\n    {reference}\n",
    )
    graded = grade(problem, "```input\n7\n```", quick)
    assert graded.outcome is DIFFERENTIAL[reference, faulty]
    assert "14" not in graded.feedback + graded.reason  # what the reference gives


# --- deduction --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "reply", "outcome"),
    [
        ("1", "1", Outcome.PASSED),
        ("1", "True", Outcome.WRONG),
        ("1", "1.0", Outcome.WRONG),
        ("[1, 2]", "(1, 2)", Outcome.WRONG),
        ("0.3", "0.1 + 0.2", Outcome.MALFORMED),
        ("0.3", "0.30000000000000004", Outcome.PASSED),
        ("float('nan')", "nan", Outcome.PASSED),
        ("{'a': 1, 'b': {2, 3}}", "{'b': {3, 2}, 'a': 1}", Outcome.PASSED),
    ],
)
def test_values_are_compared_by_type_and_nothing_is_run(result: str, reply: str, outcome: Outcome) -> None:
    problem = Problem(
        mode="deduction", program="while True: pass\n", signature="f(n)", cases=(Case(arguments="(1,)", result=result),)
    )
    graded = grade(problem, f"```output\n{reply}\n```", executor=None)  # type: ignore[arg-type]
    assert graded.outcome is outcome
    assert outcome is Outcome.PASSED or result not in graded.feedback.replace(reply, "").replace("f(1)", "")


# --- batches ----------------------------------------------------------------------------------


def test_a_batch_keeps_its_order_and_runs_equal_answers_once(written: Written, executor: Executor) -> None:
    pairs = [(problem, rules(mode).gold(problem)) for mode in MODES for problem in (written(mode, 0), written(mode, 1))]
    pairs += [(problem, "no idea") for problem, _ in pairs[:2]]
    counting = Counting(executor)
    grades = grade_batch([*pairs, *pairs], counting)  # type: ignore[arg-type]
    assert [graded.passed for graded in grades] == 2 * ([True] * 8 + [False] * 2)
    # induction 2 x 1, abduction 1 + 2 for the precondition, fuzzing 2 for the property, 3 for a reference
    assert counting.batches == [2 + 3 + 2 + 3]
    assert grades[:10] == grades[10:]


def test_answers_that_were_read_already_are_checked(written: Written, executor: Executor) -> None:
    problem = written("abduction", 0)
    good, bad = grade_many(problem, [Answer(text="('red fox', 3)"), Answer(text="red fox")], executor)
    assert good.passed
    assert bad.outcome is Outcome.MALFORMED


@pytest.mark.parametrize("mode", ["induction", "abduction", "fuzzing"])
def test_a_failing_sandbox_is_no_verdict(written: Written, mode: str) -> None:
    problem, own = written(mode, 0), rules(mode)
    answer = own.read(problem, own.gold(problem))
    executions = [
        [Execution(status=Status.INFRA, message="no process") for _ in job.calls] for job in own.jobs(problem, answer)
    ]
    graded: Grade = own.judge(problem, answer, executions)
    assert graded.outcome is Outcome.INFRA
    assert not graded.scored
    assert graded.reward == 0.0
    assert "no process" in graded.reason


def test_an_unknown_mode_is_named_with_its_neighbour() -> None:
    with pytest.raises(UnknownName, match="deduction"):
        rules("deducton")


def test_a_problem_without_its_result_is_refused_in_words(executor):
    view = Problem(
        mode="deduction", program="def f(x):\n    return x\n", signature="f(x)", cases=(Case(arguments="(1,)"),)
    )
    assert [complaint.check for complaint in validate(view, executor)] == ["result"]
    with pytest.raises(ProblemError, match="its case has no result"):
        grade_many(view, ["```output\n1\n```"], executor)


def test_one_text_is_not_a_list_of_replies(executor):
    view = Problem(mode="deduction", program="def f(x):\n    return x\n", signature="f(x)", cases=(Case.of((1,), 1),))
    with pytest.raises(ConfigError, match="replies is one text"):
        grade_many(view, "abc", executor)
