"""Benchmark items are found in problems by their words and by their functions, and each match is named."""

import gzip
import json

import pytest

from code_envs.contamination import SuiteIndex, decontaminate
from code_envs.errors import ConfigError
from code_envs.problem import Case, Mode, Problem

PROMPT = (
    'def below_zero(operations):\n    """ You\'re given a list of deposit and withdrawal operations on a bank '
    'account that\n    starts with zero balance. Detect if at any point the balance falls below zero."""\n'
)
BODY = (
    "    balance = 0\n    for op in operations:\n        balance += op\n        if balance < 0:\n"
    "            return True\n    return False\n"
)
COPY = (
    "def f(moves):\n    level = 0\n    for m in moves:\n        level += m\n        if level < 0:\n"
    "            return True\n    return False\n"
)
CLEAN = "def f(xs):\n    return [x for x in xs if x > 0][::-1]\n"


def problem(program, message=""):
    return Problem(
        mode=Mode.DEDUCTION, program=program, signature="f(xs)", message=message, cases=(Case.of(([1],), 1),)
    )


@pytest.fixture
def index(tmp_path) -> SuiteIndex:
    path = tmp_path / "HumanEval.jsonl.gz"
    row = {"task_id": "HumanEval/3", "prompt": PROMPT, "canonical_solution": BODY, "tests": ["assert True"]}
    path.write_bytes(gzip.compress(json.dumps(row).encode() + b"\n"))
    index = SuiteIndex()
    assert index.add_file(path) == 1
    return index


def test_a_renamed_solution_is_found_by_its_tree(index):
    source = COPY.replace("f(moves)", "f(xs)").replace("in moves", "in xs")
    removal = index.match(problem(source))
    assert (removal.reason, removal.match, removal.source) == ("syntax-tree", "HumanEval/3", "HumanEval.jsonl.gz")
    assert removal.evidence == "f"


def test_shared_words_are_found_and_shown(index):
    message = "Starting empty: you're given a list of DEPOSIT and withdrawal operations on a bank account. Count them."
    removal = index.match(problem(CLEAN, message))
    assert (removal.reason, removal.match) == ("ngram", "HumanEval/3")
    assert removal.evidence == "you re given a list of deposit and withdrawal operations"
    assert index.match(problem(CLEAN, "You're given a list of numbers; keep the positive ones.")) is None


def test_what_is_clean_stays_in_order(index):
    copied = problem(COPY.replace("moves", "xs"))
    clean, removals = decontaminate([problem(CLEAN), copied, problem(CLEAN, "other")], index)
    assert [one.message for one in clean] == ["", "other"]
    assert [removal.key for removal in removals] == [copied.key]


def test_short_functions_belong_to_everyone():
    index = SuiteIndex()
    index.add("a/1", ["def add(a, b):\n    return a + b\n"])
    assert index.match(problem("def f(xs, b=1):\n    return xs + b\n")) is None


@pytest.mark.parametrize("text", ["[1, 2]", "{", "[]", '{"a": 1}'])
def test_files_that_are_no_benchmark_are_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ConfigError, match=r"x\.json cannot be read as a benchmark"):
        SuiteIndex().add_file(tmp_path / "x.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        SuiteIndex().add_file(tmp_path / "none.jsonl")


@pytest.mark.data
@pytest.mark.parametrize("name", ["HumanEval.jsonl.gz", "sanitized-mbpp.json", "cruxeval.jsonl", "MbppPlus.jsonl.gz"])
def test_public_suites_are_read_as_they_were_published(data_folder, name):
    index = SuiteIndex()
    assert index.add_file(data_folder / name) > 150
    copied = {"HumanEval.jsonl.gz": COPY.replace("moves", "xs")}.get(name)
    assert copied is None or index.match(problem(copied)).match == "HumanEval/3"
