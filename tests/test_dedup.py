"""What repeats an earlier problem is found, whatever it was renamed to; what only looks like it stays."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from code_envs.dedup import Deduplicator, _shingles, deduplicate, normal_tokens
from code_envs.errors import ConfigError, MissingExtra
from code_envs.modes import prompt
from code_envs.problem import Case, Lineage, Mode, Problem, load_problems

WRITTEN = Path(__file__).parent / "problems"
SUM = (
    "def f(xs):\n    total = 0\n    for x in xs:\n        if x % 2 == 0:\n            total += x * x\n"
    "    return total\n"
)
RENAMED = (
    "def f(values: list) -> int:\n    '''Squares.'''\n    out = 0  # the sum\n    for v in values:\n"
    "        if v % 2 == 0:\n            out += v * v\n    return out\n"
)
NEARLY = SUM.replace("x * x", "x * 3")
OTHER = "def f(xs):\n    return sorted(set(xs), reverse=True)[:3]\n"


def problem(program, chain="", call=((1, 2),), message="", mode=Mode.DEDUCTION):
    head = program.split("\n")[0].removeprefix("def ").removesuffix(":")
    return Problem(
        mode=mode,
        program=program,
        signature=head,
        message=message,
        cases=(Case.of(call, 4),),
        lineage=Lineage(chain=chain),
    )


def test_renamed_programs_are_the_same():
    first, second = problem(SUM), problem(RENAMED)
    kept, removed = deduplicate([first, second, problem(OTHER)], similarity=1.0)
    assert [one.key for one in kept] == [first.key, problem(OTHER).key]
    (removal,) = removed
    assert (removal.key, removal.reason, removal.match, removal.similarity) == (
        second.key,
        "duplicate",
        first.key,
        1.0,
    )


@pytest.mark.parametrize(
    ("program", "call", "other"),
    [
        (SUM, ((1, 2),), ((7, 9),)),
        ("def f(x):\n    return x * x if x < 0 else 3 * x\n", (-4,), (4,)),
        ("def f(a, b):\n    return len(a) * 10 + sum(b)\n", ([1, 2], [3]), ([1], [2, 3])),
        ("def f(a):\n    return a\n", ((1, 2),), ([1, 2],)),
        ("def f(s):\n    return sum(c.isupper() for c in s) + len(s)\n", ("abC!",), ("ABC",)),
        ("def f(s):\n    return s.split(' ')\n", ("a b",), ("a  b",)),
        ("def f(x):\n    return x / 2\n", (1.5,), ("1.5",)),
    ],
)
def test_another_call_of_the_same_program_asks_something_else(program, call, other):
    kept, removed = deduplicate([problem(program, call=call), problem(program, call=other)], similarity=1.0)
    assert (len(kept), removed) == (2, [])


def test_the_layout_of_a_call_does_not_count():
    written = problem(SUM).but(cases=(Case(arguments="( (1,2), )", result="4"),))
    assert len(deduplicate([problem(SUM), written], similarity=1.0)[0]) == 1


def test_in_abduction_the_result_counts_and_the_arguments_do_not():
    program = "def f(xs: list[int]) -> int:\n    return sum(xs) * 3\n"

    def abduction(call, result=9, precondition=""):
        case = Case.of((call,), result)
        return problem(program, mode=Mode.ABDUCTION).but(cases=(case,), precondition=precondition)

    one, same, other = abduction([1, 2]), abduction([3, 0]), abduction([1, 3], 12)
    asked = abduction([1, 2], precondition="def pre_test_f(xs):\n    return len(xs) > 1\n")
    kept, (removal,) = deduplicate([one, same, other, asked], similarity=1.0)
    assert kept == [one, other, asked]
    assert (removal.key, removal.match) == (same.key, one.key)


def test_what_the_student_does_not_see_does_not_count():
    induction = next(load_problems(WRITTEN / "induction.jsonl"))
    fuzzing = list(load_problems(WRITTEN / "fuzzing.jsonl"))
    differential = next(one for one in fuzzing if one.differential)
    property_ = next(one for one in fuzzing if not one.differential)
    hidden = [
        (induction, induction.but(program=OTHER, hidden=())),
        (differential, differential.but(reference=f"{differential.reference}\nunused = 1\n", witness="()")),
        (property_, property_.but(witness="()", message="Whatever.")),
    ]
    for one, same in hidden:
        assert prompt(one).text == prompt(same).text
        assert deduplicate([one, same], similarity=1.0)[0] == [one]
    said = differential.but(message=differential.message.replace(" ", " not ", 1))
    assert deduplicate([differential, said], similarity=1.0)[0] == [differential, said]


def test_in_induction_the_message_counts_and_the_examples_do_not():
    message = "Add up the squares of the even numbers."
    one = problem(SUM, message=message, mode=Mode.INDUCTION)
    same = problem(RENAMED, message=message.upper(), call=((3, 4),), mode=Mode.INDUCTION)
    other = problem(SUM, message="Something else entirely.", mode=Mode.INDUCTION)
    kept, removed = deduplicate([one, same, other], similarity=1.0)
    assert kept == [one, other]
    assert [removal.match for removal in removed] == [one.key]


@pytest.mark.extra
def test_near_duplicates_are_found_and_told_apart_from_the_rest():
    pytest.importorskip("datasketch", reason="pip install -e '.[dedup]'")
    kept, removed = deduplicate([problem(SUM), problem(NEARLY), problem(OTHER)], similarity=0.6)
    assert [one.program for one in kept] == [SUM, OTHER]
    (removal,) = removed
    assert (removal.reason, removal.match) == ("near-duplicate", problem(SUM).key)
    assert 0.6 <= removal.similarity < 1
    assert len(deduplicate([problem(SUM), problem(NEARLY)], similarity=0.99)[0]) == 2


@pytest.mark.extra
def test_siblings_are_alike_on_purpose():
    pytest.importorskip("datasketch", reason="pip install -e '.[dedup]'")
    kept, _ = deduplicate([problem(SUM, "a"), problem(NEARLY, "a")], similarity=0.6)
    assert len(kept) == 2
    kept, _ = deduplicate([problem(SUM, "a"), problem(NEARLY, "b")], similarity=0.6)
    assert len(kept) == 1


def test_siblings_that_are_equal_in_normal_form_repeat_each_other():
    one, same = problem(SUM, "a"), problem(RENAMED, "a")
    kept, (removal,) = deduplicate([one, problem(OTHER, "a"), same], similarity=1.0)
    assert kept == [one, problem(OTHER, "a")]
    assert (removal.key, removal.reason, removal.match) == (same.key, "duplicate", one.key)


def test_chains_of_other_sets_may_have_the_same_names():
    kept, _ = deduplicate(
        [problem(SUM, "a")], 1.0, [("another run, whose chains have the same names", [problem(SUM, "a")])]
    )
    assert kept == []


def test_earlier_sets_are_named():
    kept, (removal,) = deduplicate([problem(RENAMED)], 1.0, [("runs/old", [problem(SUM)])])
    assert kept == []
    assert (removal.match, removal.source) == (problem(SUM).key, "runs/old")


def test_a_text_that_is_no_program_is_compared_by_its_words():
    assert normal_tokens("def f(:") == ["def", "f"]
    assert normal_tokens(SUM) == normal_tokens(RENAMED)


def test_impossible_similarities_are_refused():
    for similarity in (0.0, 1.1):
        with pytest.raises(ConfigError, match="similarity"):
            Deduplicator(similarity)


def test_the_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasketch", None)
    with pytest.raises(MissingExtra, match=r"code-envs\[dedup\]"):
        Deduplicator(0.9)
    assert Deduplicator(1.0).match(problem(SUM)) is None


def test_importing_loads_no_library():
    program = (
        "import sys, code_envs.dedup, code_envs.contamination; assert not {'datasketch', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.extra
@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.9])
def test_what_is_near_is_what_the_library_says(similarity):
    datasketch = pytest.importorskip("datasketch", reason="pip install -e '.[dedup]'")
    dice = random.Random(3)
    lines = [f"    total = total * {number} + len(xs[{number}:])\n" for number in range(12)]
    programs = [
        f"def f(xs):\n    total = 0\n{''.join(dice.sample(lines, dice.randint(6, 12)))}    return total\n"
        for _ in range(60)
    ]
    index = datasketch.MinHashLSH(threshold=similarity, num_perm=128, weights=(0.1, 0.9))
    sketches, expected = {}, []
    for one in map(problem, programs):
        sketch = datasketch.MinHash(num_perm=128, seed=1)
        sketch.update_batch(sorted(set(_shingles(one))))
        shared = {key: sketch.jaccard(sketches[key]) for key in sorted(index.query(sketch))}
        if shared and max(shared.values()) >= similarity:
            expected.append((one.key, max(shared, key=shared.get), max(shared.values())))
        elif one.key not in sketches:
            index.insert(one.key, sketch)
            sketches[one.key] = sketch
    new, removed = deduplicate(map(problem, programs), similarity)
    assert [(one.key, one.match, one.similarity) for one in removed] == expected
    assert 0 < len(new) == len(programs) - len(expected) < len(programs)


def test_contest_problems_without_a_program_are_told_apart_by_their_examples():
    def contest(message, result):
        cases = (Case.of(("1 2\n",), result),)
        return Problem(mode=Mode.INDUCTION, program="", signature="", entry="", message=message, cases=cases)

    more, less = contest("Print a + b.", "3\n"), contest("Print a - b.", "-1\n")
    assert len(deduplicate([more, less, more.but(lineage=Lineage(chain="other"))], 1.0)[0]) == 2
