"""The harvest teacher: valid problems of all modes about real functions, the same in any process."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from code_envs.errors import ConfigError, ProposalFailed
from code_envs.executor import Executor
from code_envs.modes import Grade, Outcome, validate
from code_envs.problem import Case, Direction, Mode, Problem
from code_envs.teacher.base import Teacher
from code_envs.teacher.harvest import HarvestTeacher, harvest
from code_envs.teacher.harvest_evidence import evidence
from code_envs.teacher.harvest_slice import logic_of
from code_envs.teacher.harvest_words import summary
from code_envs.teacher.seeds import TreeSource

SHELF = '''# SPDX-License-Identifier: MIT
"""Small, pure functions."""

import random

SEPARATOR = "/"


def collapse(path):
    """Collapse the empty and the single-dot segments of a slash-separated path.

    A double-dot segment removes the segment before it.

    >>> collapse("a//b/./c")
    'a/b/c'
    """
    kept = []
    for part in path.split(SEPARATOR):
        if part == ".." and kept:
            kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    return SEPARATOR.join(kept)


def run_lengths(text):
    """Return the runs of equal letters in a text, each letter with the length of its run."""
    runs = []
    for letter in text:
        if runs and runs[-1][0] == letter:
            runs[-1] = (letter, runs[-1][1] + 1)
        else:
            runs.append((letter, 1))
    return runs


def toll(weight, axles):
    """Return the toll of a lorry with so many axles: the heavier it is, the more it pays for each."""
    price = 3 * axles
    if weight > 40 and axles > 2:
        price += 7 * (weight - 40)
    if weight % 16 == 0 and axles % 3 == 1:
        price -= 1
    if weight < 0 or axles < 0:
        price = 0
    return price


def shuffled(items):
    result = list(items)
    random.shuffle(result)
    return result


def scattered(items):
    """Return the items in an order that differs between processes."""
    found = set(str(item) for item in items)
    result = list(found)
    return result


def wipe(items):
    """Empty a list and say how long it was."""
    count = len(items)
    items.clear()
    items.append(count)
    return count
'''
TESTS = """
from shelf import collapse

def test_collapse():
    path = "/usr/../lib"
    assert collapse(path) == "lib"
    assert collapse("x/y/../../z") == "z"
    assert collapse(unknown) == ""
"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> TreeSource:
    root = tmp_path_factory.mktemp("trees") / "shelf"
    (root / "tests").mkdir(parents=True)
    (root / "shelf.py").write_text(SHELF)
    (root / "tests" / "test_shelf.py").write_text(TESTS)
    return TreeSource(root)


@pytest.fixture(scope="module")
def teacher(shelf: TreeSource, executor: Executor) -> HarvestTeacher:
    return HarvestTeacher(shelf, executor)


def test_inputs_come_from_doctests_and_tests(shelf: TreeSource) -> None:
    (collapse,) = (item for item in harvest(shelf) if item.name == "collapse")
    assert evidence(collapse, shelf) == [("a//b/./c",), ("/usr/../lib",), ("x/y/../../z",)]


@pytest.mark.parametrize("mode", Mode)
def test_every_mode_gets_valid_problems_with_the_logic_untouched(
    teacher: HarvestTeacher, executor: Executor, mode: Mode
) -> None:
    originals = {node.name: node for node in ast.parse(SHELF).body if isinstance(node, ast.FunctionDef)}
    problem = teacher.propose(np.random.default_rng([3, 1]), 4, mode)
    assert problem.mode is mode
    assert validate(problem, executor) == []
    untouched = problem.reference or problem.program
    (function,) = (node for node in ast.parse(untouched).body if isinstance(node, ast.FunctionDef))
    if not problem.property:  # a mutant of it may stand in property mode
        assert logic_of(function) == logic_of(originals[problem.entry])
    lineage = problem.lineage
    first = SHELF.split("\n").index(f"def {problem.entry}({', '.join(problem.parameters)}):") + 1
    assert lineage.origin.startswith(f"shelf/shelf.py:{first}-")
    assert (lineage.licence, lineage.teacher, lineage.turn) == ("MIT", "harvest", 0)
    assert lineage.chain.startswith(f"harvest-{mode}-")
    assert ">>>" not in problem.program + problem.message


def test_what_is_random_unordered_or_changes_its_arguments_is_never_used(teacher: HarvestTeacher) -> None:
    entries = {teacher.propose(np.random.default_rng([4, i]), mode=Mode.DEDUCTION).entry for i in range(12)}
    assert entries == {"collapse", "run_lengths", "toll"}


def test_the_documentation_becomes_the_message_without_its_examples(shelf: TreeSource) -> None:
    told = {item.name: summary(item) for item in harvest(shelf)}
    assert told["collapse"] == "Collapse the empty and the single-dot segments of a slash-separated path."
    assert told["run_lengths"].endswith("each letter with the length of its run.")
    assert told["scattered"].startswith("Return the items in an order")


@pytest.mark.parametrize("direction", [Direction.HARDER, Direction.EASIER, Direction.SIDEWAYS])
def test_variants_keep_their_lineage(teacher: HarvestTeacher, executor: Executor, direction: Direction) -> None:
    parent = teacher.propose(np.random.default_rng([6, 0]), 4, Mode.DEDUCTION)
    child = teacher.vary(np.random.default_rng([6, 1]), parent, direction)
    assert validate(child, executor) == []
    assert (child.lineage.chain, child.lineage.parent) == (parent.lineage.chain, parent.key)
    assert (child.lineage.turn, child.lineage.direction) == (1, direction)
    step = {Direction.HARDER: 1, Direction.EASIER: -1}.get(direction, 0)
    assert child.lineage.level == min(max(parent.lineage.level + step, 0), 9)
    assert child.lineage.change
    if step and child.entry == parent.entry:
        assert step * (shown_size(child.cases[0]) - shown_size(parent.cases[0])) > 0


def shown_size(case: Case) -> int:
    return len(case.arguments) + len(case.result)


def test_an_example_more_or_less_makes_induction_easier_or_harder(teacher: HarvestTeacher) -> None:
    parent = teacher.propose(np.random.default_rng([7, 0]), 4, Mode.INDUCTION)
    easier = teacher.vary(np.random.default_rng([7, 1]), parent, Direction.EASIER)
    harder = teacher.vary(np.random.default_rng([7, 2]), easier, Direction.HARDER)
    if easier.entry == parent.entry:
        assert len(easier.cases) > len(parent.cases)
    assert harder.lineage.parent == easier.key
    assert harder.lineage.turn == 2


def test_problems_do_not_depend_on_process_or_history(teacher: HarvestTeacher, shelf: TreeSource) -> None:
    code = (
        "import sys, numpy as np\n"
        "from code_envs.teacher.harvest import HarvestTeacher\n"
        "from code_envs.teacher.seeds import TreeSource\n"
        "teacher = HarvestTeacher(TreeSource(sys.argv[1]))\n"
        "for mode in ('fuzzing', 'abduction'):\n"
        "    print(teacher.propose(np.random.default_rng([8, 0]), 5, mode).to_json())\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(shelf.root)], capture_output=True, text=True, check=True)
    others = [Problem.from_json(line) for line in done.stdout.splitlines()]
    own = [teacher.propose(np.random.default_rng([8, 0]), 5, mode) for mode in (Mode.FUZZING, Mode.ABDUCTION)]
    assert own == others


def test_what_was_observed_moves_the_level(shelf: TreeSource, executor: Executor) -> None:
    teacher = HarvestTeacher(shelf, executor)
    assert isinstance(teacher, Teacher)
    problem = teacher.propose(np.random.default_rng(0), 4, Mode.DEDUCTION)
    for _ in range(50):
        teacher.observe(problem, Grade(outcome=Outcome.PASSED, reward=1.0))
    teacher.observe(problem, Grade(outcome=Outcome.INFRA))
    other = HarvestTeacher(shelf, executor)
    other.load_state_dict(json.loads(json.dumps(teacher.state_dict())))
    assert other.tracker.rate(Mode.DEDUCTION, problem.lineage.level) > 0.9
    drawn = [item.propose(np.random.default_rng(1), mode=Mode.DEDUCTION) for item in (teacher, other)]
    assert drawn[0] == drawn[1]


def test_failures_say_what_was_wrong(teacher: HarvestTeacher, tmp_path: Path, executor: Executor) -> None:
    with pytest.raises(ConfigError, match="no level 10"):
        teacher.propose(np.random.default_rng(0), 10)
    problem = teacher.propose(np.random.default_rng(0), 4, Mode.DEDUCTION)
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(ProposalFailed, match="functions near level"):
        HarvestTeacher(TreeSource(tmp_path), executor).propose(np.random.default_rng(0), 4)
    with pytest.raises(ProposalFailed, match="is not in this source"):
        HarvestTeacher(TreeSource(tmp_path), executor).vary(np.random.default_rng(0), problem, Direction.HARDER)


@pytest.mark.slow
def test_the_standard_library_gives_problems_of_every_mode(executor: Executor) -> None:
    teacher = HarvestTeacher(executor=executor)
    assert len(harvest(teacher.source)) > 150
    for index, mode in enumerate(Mode):
        problem = teacher.propose(np.random.default_rng([9, index]), 3, mode)
        assert validate(problem, executor) == []
        assert problem.lineage.licence == "PSF-2.0"
