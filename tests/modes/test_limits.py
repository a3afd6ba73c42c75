"""Problems with limits of their own: granted up to what the executor's owner allows."""

import pickle

import pytest

from code_envs.errors import ConfigError, ProblemError
from code_envs.executor import Executor, Limits
from code_envs.modes import Outcome, grade, prompt, rules, validate
from code_envs.modes.limits import limits_of
from code_envs.modes.validity import check_runs
from code_envs.problem import Case, Problem, ProblemLimits

SLOW = "n = int(input())\nfor _ in range(5_000_000):\n    pass\nprint(n * n)\n"  # 0.1 s and more


def squares(**changes: object) -> Problem:
    cases = tuple(Case.of((f"{number}\n",), f"{number * number}\n") for number in (3, 14, -5, 60, 7, 81, 22, 9, 1, 2))
    fields = {"program": SLOW, "message": "Print the square of the number.", "cases": cases[:5], "hidden": cases[5:]}
    return Problem(**{"mode": "induction", "entry": "", **fields, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def strict():
    """Too little for the slow program; a problem may ask for up to 8 s."""
    with Executor(workers=1, limits=Limits(cpu_seconds=0.03), max_cpu_seconds=8.0, max_memory_mib=512) as executor:
        yield executor


def test_grading_uses_them(strict):
    reply = rules("induction").gold(squares())
    assert grade(squares(), reply, strict).outcome is Outcome.TIMEOUT
    assert grade(squares(limits=ProblemLimits(cpu_seconds=8.0)), reply, strict).passed


def test_a_problem_may_ask_for_less(executor):
    problem = squares(limits=ProblemLimits(cpu_seconds=0.02))
    assert grade(problem, rules("induction").gold(problem), executor).outcome is Outcome.TIMEOUT


def test_validation_uses_a_quarter_of_them(strict):
    def checks(cpu_seconds: float) -> set[str]:
        problem = squares(limits=ProblemLimits(cpu_seconds=cpu_seconds))
        return {one.check for one in check_runs(rules("induction"), problem, strict)}  # its mutants take minutes

    assert checks(0.1) == {"limits"}
    assert checks(8.0) == set()


def test_the_owner_of_the_executor_bounds_what_is_granted(strict):
    granted = limits_of(squares(limits=ProblemLimits(cpu_seconds=60.0, memory_mib=4096)), strict)
    assert (granted.cpu_seconds, granted.memory_mib) == (8.0, 512)
    assert granted.wall_seconds == pytest.approx(8.0 / 0.03 * strict.limits.wall_seconds)
    assert limits_of(squares(limits=ProblemLimits(memory_mib=300)), strict).cpu_seconds == 0.03
    assert limits_of(squares(), strict) is strict.limits
    with Executor(limits=Limits(cpu_seconds=30.0), max_cpu_seconds=2.0) as generous:
        assert generous.grant(60.0).cpu_seconds == 30.0  # what any program gets
    with pytest.raises(ConfigError, match="cpu_seconds is -1"):
        Executor(max_cpu_seconds=-1)


def test_a_copy_of_an_executor_grants_the_same(strict):
    copy = pickle.loads(pickle.dumps(strict))
    assert copy.grant(60.0, 4096) == strict.grant(60.0, 4096)
    copy.close()


def test_the_prompt_of_a_script_and_the_view_tell_them():
    problem = squares(limits=ProblemLimits(cpu_seconds=4, memory_mib=512))
    shown = prompt(problem)
    assert "Each run may take 4 s of CPU time and 512 MiB." in shown.text
    assert shown.view.limits == problem.limits
    assert "Each run may take" not in prompt(squares()).text


def test_they_are_part_of_the_record_and_of_its_key_where_there_are_any():
    limited = squares(limits=ProblemLimits(cpu_seconds=4))
    assert Problem.from_json(limited.to_json()) == limited
    assert limited.key != squares().key
    assert limited.but(limits=None).key == squares().key
    assert "limits" not in squares().to_json()
    with pytest.raises(ProblemError, match="cpu_seconds is -3"):
        ProblemLimits(cpu_seconds=-3.0)


def test_a_problem_without_a_known_solution_says_so(executor):
    open_problem = squares(program="")
    assert [one.check for one in validate(open_problem, executor)] == ["gold"]
    assert rules("induction").gold(open_problem) == ""
    assert grade(open_problem, f"```python\n{SLOW}```", executor).passed
