"""What the student sees: all that it needs, and nothing of what is hidden."""

from collections.abc import Callable

import pytest

from code_envs.errors import ConfigError
from code_envs.modes import prompt, render, rules
from code_envs.problem import Attempt, Lineage, Problem, Report
from code_envs.values import parse_literal

Written = Callable[[str, int], Problem]
MODES = ("induction", "induction-script", "abduction", "deduction", "fuzzing")
ALL = [(mode, index) for mode in MODES for index in range(3)]


@pytest.mark.parametrize(("mode", "index"), ALL)
def test_the_prompt_asks_for_the_block_that_is_read(written: Written, mode: str, index: int) -> None:
    problem = written(mode, index)
    (message,) = render(problem)
    tag = {"induction": "python", "deduction": "output"}.get(problem.mode, "input")
    assert message["role"] == "user"
    assert f"```{tag}\n" in message["content"]
    assert "$" not in message["content"]
    assert "<|" not in message["content"]


def hidden_texts(problem: Problem) -> list[str]:
    """What only the grader may know."""
    match problem.mode.value:
        case "induction" if problem.is_script:
            return [problem.program, *(text for case in problem.hidden for text in case.values() if len(text) > 4)]
        case "induction":
            return [problem.program, *(case.shown() for case in problem.hidden if len(case.shown()) > 4)]
        case "abduction":
            return [problem.cases[0].shown(), problem.cases[0].arguments]
        case "deduction":
            return [problem.cases[0].result]
    return [problem.witness, rules("fuzzing").gold(problem).splitlines()[1], *filter(None, [problem.reference])]


def shown_texts(problem: Problem) -> list[str]:
    """What the student needs."""
    match problem.mode.value:
        case "induction" if problem.is_script:
            texts = [text for case in problem.cases for text in (*case.values(), parse_literal(case.result))]
            return [problem.message, *(text.rstrip() for text in texts)]
        case "induction":
            return [problem.message, problem.signature, *(case.shown() for case in problem.cases)]
        case "abduction":
            return [problem.program.strip(), problem.cases[0].result, problem.precondition.strip()]
        case "deduction":
            return [problem.program.strip(), problem.cases[0].shown()]
    texts = (problem.program, problem.precondition, problem.property, problem.message)
    return [text.strip() for text in texts]


@pytest.mark.parametrize(("mode", "index"), ALL)
def test_text_and_view_hold_what_is_needed_and_nothing_hidden(written: Written, mode: str, index: int) -> None:
    lineage = Lineage(chain="c", change="off by one", origin="elsewhere")
    problem = written(mode, index)
    solved = Report(
        problem=problem.key, student="s", attempts=1, passes=1, solved=(Attempt(reply="gold", outcome="passed"),)
    )
    problem = problem.but(lineage=lineage, measurements=(solved,), tags=("a block",))
    seen = prompt(problem)
    for text in shown_texts(problem):
        assert text in seen.text
    record = seen.view.to_json()
    for text in hidden_texts(problem):
        assert text not in seen.text
        assert text not in record
    for trace in ("off by one", "elsewhere", "gold", "a block"):
        assert trace not in seen.text + record
    assert prompt(seen.view).text == seen.text


def test_a_message_is_shown_only_where_it_belongs(written: Written) -> None:
    for mode, index in (("abduction", 0), ("deduction", 0), ("fuzzing", 0)):
        problem = written(mode, index).but(message="It tells the answer.")
        seen = prompt(problem)
        assert "tells the answer" not in seen.text + seen.view.to_json()


def test_programs_with_fences_are_shown_and_read_whole(written: Written) -> None:
    program = 'def f(xs):\n    """Like this:\n\n    ```python\n    f([1])\n    ```\n    """\n    return xs\n'
    problem = written("induction", 0).but(program=program)
    own = rules("induction")
    assert own.read(problem, own.gold(problem)).text == program
    shown = prompt(written("deduction", 0).but(program=program, signature="f(xs, k)")).text
    assert "````python\ndef f(xs)" in shown


def test_own_templates_are_filled(written: Written) -> None:
    problem = written("deduction", 0)
    (message,) = render(problem, "For $$1: $call\n")
    assert message["content"] == "For $1: ```\nf([5, 3, 8, 6, 6, 2, 4, 1], 3)\n```"
    with pytest.raises(ConfigError, match=r"\$result does not exist.*\$program"):
        render(problem, "Tell me $result")
    with pytest.raises(ConfigError, match=r"\$\$"):
        render(problem, "costs $ 5")
