"""Problems that no one here wrote: published gold answers pass, perturbed and buggy ones fail."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from code_envs.benchmarks.public import cruxeval, fenced, humaneval_plus, mbpp_plus, mbpp_sanitized, puzzles, read_rows
from code_envs.executor import Executor, Limits
from code_envs.modes import Outcome, grade_batch
from code_envs.problem import Mode, Problem
from code_envs.programs.inputs import vary_arguments
from code_envs.values import parse_literal, write_literal

pytestmark = pytest.mark.data

# What the published oracles accept and our comparison does not, row by row.
INT_FOR_FLOAT = {"mbpp/14", "mbpp/80", "mbpp/293", "mbpp/397", "mbpp/422", "mbpp/432"}  # 240.0 for 240
OTHER_TYPES = {"mbpp/88", "mbpp/737", "mbpp/794", "mbpp/787", "Mbpp/88"}  # a Counter, a Match, None for False
TOO_LONG = 33_000  # characters of a gold answer that a reply may not have
FLAWED = {  # HumanEval's own solutions, which HumanEval+ corrected, and exponential ones
    *(f"HumanEval/{number}" for number in (22, 32, 39, 55, 58, 63, 97, 111, 124, 132, 140, 147, 150)),
}
PATIENT = Limits(cpu_seconds=10.0, wall_seconds=60.0, memory_mib=1024)  # one solution of MBPP takes seconds
NOT_IN_THE_SANDBOX = {"sample_621"}  # the shift_jis codec


@pytest.fixture(scope="module")
def executor():
    with Executor(workers=1, limits=Limits(cpu_seconds=4.0, wall_seconds=60.0, memory_mib=1024)) as executor:
        yield executor


def failures(rows, executor, kind="gold"):
    """The rows of which an answer of this kind did not pass, with the outcome."""
    pairs = [(row, reply) for row in rows if row.problem for reply in getattr(row, kind)]
    grades = grade_batch([(row.problem, reply) for row, reply in pairs], executor)
    assert all(grade.outcome is not Outcome.INFRA for grade in grades)
    return {row.name: grade for (row, _), grade in zip(pairs, grades, strict=True) if not grade.passed}


def perturbed(value: object) -> list[object]:
    """Values that are near to a result and are not it."""
    match value:
        case bool():
            return [not value, int(value), str(value)]
        case int():
            return [value + 1, float(value), str(value)]
        case float():
            return [value + 1.5, str(value)]
        case str():
            return [value + " ", value.encode("utf-8", "surrogatepass"), [value]]
        case list():
            return [tuple(value), [*value, 0], {0: value}]
        case tuple():
            return [list(value), (*value, None)]
        case dict():
            return [list(value.items()), {**value, "extra": 1}]
        case None:
            return [False, "None", 0]
    return [None, [value]]


def test_cruxeval_outputs(data_folder, executor):
    rows = list(cruxeval(data_folder / "cruxeval.jsonl", Mode.DEDUCTION, executor))
    assert Counter(row.problem is None for row in rows) == {False: 797, True: 3}  # two lambdas and a range as inputs
    assert not failures(rows, executor)
    wrong = []
    for problem in (row.problem for row in rows if row.problem):
        literal = problem.cases[0].result
        wrong += [(problem, fenced("output", write_literal(value))) for value in perturbed(parse_literal(literal))]
        wrong += [(problem, fenced("output", text)) for text in (f"{literal} or 1", f"[{literal}][0]")]
    assert len(wrong) > 3500
    assert not [(problem.key, reply) for (problem, reply), grade in _graded(wrong, executor) if grade.passed]


def test_cruxeval_inputs(data_folder, executor):
    rows = list(cruxeval(data_folder / "cruxeval.jsonl", Mode.ABDUCTION, executor))
    assert set(failures(rows, executor)) <= NOT_IN_THE_SANDBOX
    problems = [row.problem for row in rows if row.problem and row.name not in NOT_IN_THE_SANDBOX]
    wrong = [(p, fenced("input", f"*{p.cases[0].arguments}")) for p in problems]
    wrong += [(p, fenced("input", f"{p.cases[0].shown()}, 0, 0, 0")) for p in problems]
    wrong += [(p, fenced("input", f"{p.cases[0].shown()} or 1")) for p in problems]
    assert {grade.outcome for _, grade in _graded(wrong, executor)} == {Outcome.MALFORMED}


# No sandbox of ours: a plain interpreter that decides by ``repr``; an endless loop counts as different.
ORACLE = """
import json, signal, sys
def stop(*_):
    raise TimeoutError
signal.signal(signal.SIGVTALRM, stop)
for line in sys.stdin:
    program, arguments, result = json.loads(line)
    space = {}
    signal.setitimer(signal.ITIMER_VIRTUAL, 3)
    try:
        exec(program, space)
        got = space["f"](*eval(arguments))
        print(repr(got) == repr(eval(result)))
    except Exception:
        print(False)
"""


def test_perturbed_cruxeval_inputs_get_the_verdict_of_a_plain_interpreter(data_folder, executor, rng):
    rows = list(cruxeval(data_folder / "cruxeval.jsonl", Mode.ABDUCTION, executor))
    problems = [row.problem for row in rows if row.problem and row.name not in NOT_IN_THE_SANDBOX]
    problems = [problem for problem in problems if "{" not in problem.cases[0].result]  # repr of dicts: order
    inputs = [write_literal(vary_arguments(problem.cases[0].values(), rng)) for problem in problems]
    lines = "".join(
        json.dumps([problem.program, given, problem.cases[0].result]) + "\n"
        for problem, given in zip(problems, inputs, strict=True)
    )
    oracle = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ORACLE], input=lines, capture_output=True, text=True, check=True
    ).stdout.split()
    replies = [fenced("input", f"f{given}".replace(",)", ")")) for given in inputs]
    verdicts = [grade.passed for _, grade in _graded(list(zip(problems, replies, strict=True)), executor)]
    assert [str(verdict) for verdict in verdicts] == oracle
    assert 20 < sum(verdicts) < len(verdicts) / 2  # both verdicts occur


def test_humaneval_plus(data_folder, executor):
    rows = list(
        humaneval_plus(
            data_folder / "HumanEvalPlus.jsonl.gz",
            executor,
            original=data_folder / "HumanEval.jsonl.gz",
            pack=data_folder / "humanevalpack_python.jsonl",
            most_inputs=12,
        )
    )
    assert len(rows) == 164
    assert all(row.problem for row in rows)
    assert set(failures(rows, executor)) <= FLAWED
    first = [(row.problem, row.gold[0]) for row in rows]
    assert all(grade.passed for _, grade in _graded(first, executor))
    assert len(failures(rows, executor, "wrong")) == 164  # every published buggy solution


def test_mbpp_plus(data_folder, executor):
    rows = list(mbpp_plus(data_folder / "MbppPlus.jsonl.gz", executor, most_inputs=8))
    assert len(rows) == 378
    # list + tuple where JSON gives two lists, and complex numbers
    assert {row.name for row in rows if not row.problem} == {"Mbpp/106", "Mbpp/124", "Mbpp/590", "Mbpp/720"}
    assert set(failures(rows, executor)) == {"Mbpp/88"}
    constants = [
        (row.problem, fenced("python", f"def {row.problem.entry}(*_):\n    return {row.problem.cases[0].result}"))
        for row in rows
        if row.problem and len({case.result for case in (*row.problem.cases, *row.problem.hidden)}) > 1
    ]
    assert len(constants) > 350
    assert not [problem.lineage.origin for (problem, _), grade in _graded(constants, executor) if grade.passed]


def test_mbpp_sanitized(data_folder):
    rows = list(mbpp_sanitized(data_folder / "sanitized-mbpp.json"))
    assert len(rows) == 427
    assert sum(row.problem is not None for row in rows) == 406  # the others assert a tolerance or a set of the call
    with Executor(workers=1, limits=PATIENT) as patient:
        assert set(failures(rows, patient)) == INT_FOR_FLOAT | (OTHER_TYPES - {"Mbpp/88"})


def test_puzzles(data_folder, executor, tmp_path):
    every_fourth = read_rows(data_folder / "p3_puzzles.json")[::4]
    (tmp_path / "puzzles.json").write_text(json.dumps(every_fourth))
    rows = list(puzzles(tmp_path / "puzzles.json", executor))
    assert sum(row.problem is not None for row in rows) > 400
    assert sum(row.problem is None for row in rows) <= 4  # over our bounds, or over Python's own on digits
    for name, grade in failures(rows, executor).items():
        (gold,) = next(row.gold for row in rows if row.name == name)
        assert len(gold) > TOO_LONG or "4300 digits" in grade.reason, name
    problems = [row.problem for row in rows if row.problem]
    two = [(problem, fenced("input", f"{problem.cases[0].shown()}, 0")) for problem in problems]
    assert not [problem.lineage.origin for (problem, _), grade in _graded(two, executor) if grade.passed]
    none = [(problem, fenced("input", "None")) for problem in problems]
    passed = [problem.lineage.origin for (problem, _), grade in _graded(none, executor) if grade.passed]
    assert len(passed) < 5  # puzzles whose instance is empty take anything


def _graded(pairs: list[tuple[Problem, str]], executor):
    return list(zip(pairs, grade_batch(pairs, executor), strict=True))
