"""What a run hands on: of problems that say the same once, also within a chain; what was left out is on record."""

from code_envs.dedup import Removal
from code_envs.generation.config import RunConfig
from code_envs.generation.selection import Selection, load_removals
from code_envs.problem import Case, Chain, Lineage, Mode, Problem, Report, load_problems

PROGRAM = "def f(xs):\n    total = NUMBER\n    for x in xs:\n        total += x % 7\n    return total\n"


def chain(name, *programs):
    """A chain of deduction problems, each of them solved now and then."""
    problems = []
    for turn, program in enumerate(programs):
        lineage = Lineage(chain=name, turn=turn, parent=problems[-1].key if problems else "")
        case = Case.of(([5, 9, 3],), 10)
        made = Problem(mode=Mode.DEDUCTION, program=program, signature="f(xs)", cases=(case,), lineage=lineage)
        report = Report(problem=made.key, student="s", attempts=4, passes=2)
        problems.append(made.but(measurements=(report,)))
    return Chain(id=name, problems=tuple(problems))


def test_a_chain_that_comes_back_to_a_problem_hands_it_on_once(tmp_path):
    one, other = PROGRAM.replace("NUMBER", "1"), PROGRAM.replace("NUMBER", "2")
    made = chain("a", one, other, one.replace("total", "result"), other.replace("total", "result"))
    first, second, *again = made.problems
    Selection(RunConfig(similarity=1.0)).write([made], tmp_path)
    assert list(load_problems(tmp_path)) == [first, second]
    assert load_removals(tmp_path) == [
        Removal(key=again[0].key, reason="duplicate", match=first.key),
        Removal(key=again[1].key, reason="duplicate", match=second.key),
    ]
    assert list(Selection(RunConfig())([made])) == list(made.problems)  # nothing was asked for
