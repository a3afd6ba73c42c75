"""Benchmark items are found in problems by their words and by their functions, and each match is named."""

import gzip
import json
import textwrap

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
WORDS = "Of a list of deposits and withdrawals, tell whether the balance ever falls below zero."
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


METHOD = textwrap.indent(COPY.replace("f(moves)", "calc(self, moves)"), "    ")


@pytest.mark.parametrize(
    "row",
    [
        {"solutions": json.dumps([COPY, "print(1)"])},  # APPS, TACO
        {"solutions": {"language": [3], "solution": [COPY]}},  # CodeContests
        {"code": f"class Solution:\n{METHOD}"},  # LeetCode
        {"code": f"class Solution:\n    @staticmethod\n{METHOD.replace('self, ', '')}"},
        {"answer": f"So this is it:\n```python\n{COPY}```\nand nothing else."},
        {"answer": f"1. Do it:\n   ```python\n{textwrap.indent(COPY, '   ')}   ```"},
        {"messages": [{"role": "assistant", "content": f"```\n{COPY}```"}]},
        {"item": {"prompt": PROMPT, "canonical_solution": BODY}},
    ],
    ids=["json", "nested", "method", "static", "fenced", "indented", "chat", "body"],
)
def test_solutions_are_found_however_a_suite_holds_them(tmp_path, row):
    (tmp_path / "s.jsonl").write_text(json.dumps({"id": "S/1", **row}))
    index = SuiteIndex()
    index.add_file(tmp_path / "s.jsonl")
    removal = index.match(problem(COPY.replace("moves", "xs")))
    assert (removal.reason, removal.match) == ("syntax-tree", "S/1")
    assert index.match(problem(CLEAN, "Count the positive ones.")) is None


def test_a_method_that_calls_itself_is_the_function_that_does():
    index = SuiteIndex()
    method = "def go(self, a, b):\n        return a if b == 0 else self.go(b, a % b) + self.go(a, b - 1)\n"
    index.add("L/1", [f"class Solution:\n    {method}"])
    copied = "def f(xs, k):\n    return xs if k == 0 else f(k, xs % k) + f(xs, k - 1)\n"
    assert index.match(problem(copied)).match == "L/1"
    assert index.match(problem(copied.replace("+", "-"))) is None


def test_short_methods_belong_to_everyone():
    index = SuiteIndex()
    index.add("L/1", ["class Solution:\n    def add(self, a, b):\n        return a + b\n"])
    assert index.match(problem("def f(xs, b):\n    return xs + b\n")) is None


@pytest.mark.parametrize(
    "row",
    [
        {"question": {"content": WORDS}},
        {"messages": [{"role": "user", "content": WORDS}]},
        {"notes": json.dumps({"note": [WORDS]})},
        {"question": json.dumps({"title": "?"}) + "\n" + WORDS},  # no JSON after all
    ],
    ids=["nested", "chat", "json", "text"],
)
def test_words_are_found_however_deep_they_lie(tmp_path, row):
    (tmp_path / "s.jsonl").write_text(json.dumps({"id": "S/1", **row}))
    index = SuiteIndex()
    index.add_file(tmp_path / "s.jsonl")
    assert index.match(problem(CLEAN, WORDS)).match == "S/1"
    assert index.match(problem(CLEAN, "Keep the positive ones, the last one first, and nothing else of them.")) is None


@pytest.mark.parametrize("field", ["test", "private_tests", "test_list", "input_output", "public_test_cases", "inputs"])
def test_the_tests_of_an_item_say_nothing(tmp_path, field):
    commands = "push 17 pop push 22 push 3 pop pop push 5 pop push 8 top"
    row = {"question": WORDS, field: [{"input": commands}, commands]}
    (tmp_path / "s.jsonl").write_text(json.dumps(row))
    index = SuiteIndex()
    index.add_file(tmp_path / "s.jsonl")
    assert index.match(problem(CLEAN, f"Such as {commands}.")) is None
    assert index.match(problem(CLEAN, WORDS)) is not None


def test_numbers_and_packed_data_say_nothing(tmp_path):
    numbers = " ".join(map(str, range(30)))
    packed = "/".join(["eJxrYJmqxgABGj2M"] * 20)
    row = {"question": WORDS, "examples": json.dumps({"given": [numbers]}), "hidden": packed}
    (tmp_path / "s.jsonl").write_text(json.dumps(row))
    index = SuiteIndex()
    index.add_file(tmp_path / "s.jsonl")
    assert index.match(problem(CLEAN, f"Such as {numbers}.")) is None
    assert index.match(problem(CLEAN, packed)) is None
    assert index.match(problem(CLEAN, WORDS)) is not None


@pytest.mark.parametrize("row", [{"id": 1, "code": "x"}, {"id": 1, "inputs": [[1, 2], {"a": None}]}, {}])
def test_a_file_that_would_keep_nothing_out_is_refused(tmp_path, row):
    (tmp_path / "s.jsonl").write_text(f"{json.dumps(row)}\n" * 2)
    with pytest.raises(ConfigError, match=r"s\.jsonl would keep nothing out: none of its 2 rows has 10 words in a row"):
        SuiteIndex().add_file(tmp_path / "s.jsonl")


def test_blank_lines_are_passed_over_and_broken_ones_named(tmp_path):
    row = json.dumps({"id": "S/1", "text": WORDS + "\u2028"}, ensure_ascii=False)
    (tmp_path / "s.jsonl").write_text(f"\n{row}\r\n  \n{row}\n\n")
    assert SuiteIndex().add_file(tmp_path / "s.jsonl") == 2
    (tmp_path / "s.jsonl").write_text(f"{row}\n\n{row[:-9]}\n")
    with pytest.raises(
        ConfigError, match=r"s\.jsonl cannot be read as a benchmark: line 3 is no JSON: Unterminated .*character 23"
    ):
        SuiteIndex().add_file(tmp_path / "s.jsonl")
    (tmp_path / "s.jsonl").write_text(f"{row}\n[1]\n")
    with pytest.raises(ConfigError, match="line 2 is no JSON object"):
        SuiteIndex().add_file(tmp_path / "s.jsonl")


def test_a_packed_file_that_is_cut_short_is_refused(tmp_path):
    whole = gzip.compress(json.dumps([{"text": WORDS}]).encode())
    (tmp_path / "s.json.gz").write_bytes(whole)
    assert SuiteIndex().add_file(tmp_path / "s.json.gz") == 1
    (tmp_path / "s.json.gz").write_bytes(whole[:-12])
    with pytest.raises(ConfigError, match=r"s\.json\.gz cannot be read as a benchmark"):
        SuiteIndex().add_file(tmp_path / "s.json.gz")


ROTATIONS = (
    "def f(xs):\n    both = xs + xs\n    size = len(xs)\n    for at in range(1, size + 1):\n"
    "        part = both[at:at + size]\n        if xs == part:\n            return at\n    return size\n"
)
SHORTER_ROTATIONS = (
    "def f(xs):\n    size = len(xs)\n    xs += xs\n    for at in range(1, size + 1):\n"
    "        if xs[at:at + size] == xs[0:size]:\n            return at\n    return size\n"
)
COUNTS = (
    "def f(xs):\n    found = []\n    for x in xs:\n        found.append((xs.count(x), x))\n"
    "    found.sort(reverse=True)\n    return found\n"
)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "copied", "item"),
    [
        ("HumanEval.jsonl.gz", COPY.replace("moves", "xs"), "HumanEval/3"),
        ("sanitized-mbpp.json", ROTATIONS, "9"),
        ("MbppPlus.jsonl.gz", SHORTER_ROTATIONS, "Mbpp/9"),
        ("cruxeval.jsonl", COUNTS, "sample_0"),
    ],
)
def test_public_suites_are_read_as_they_were_published(data_folder, name, copied, item):
    index = SuiteIndex()
    assert index.add_file(data_folder / name) > 150
    removal = index.match(problem(copied))
    assert (removal.reason, removal.match, removal.source) == ("syntax-tree", item, name)
    assert index.match(problem(CLEAN)) is None
