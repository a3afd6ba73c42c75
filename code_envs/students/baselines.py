"""Trivial answers: what anyone could say without understanding the problem.

Problems that these solve are no problems; as students they are the floor of a leaderboard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from code_envs.errors import ProblemError, UnknownName, ValueRefused
from code_envs.executor import Executor, Job, shared_executor
from code_envs.problem import Mode, Problem
from code_envs.programs.inputs import random_arguments
from code_envs.programs.shapes import Shape
from code_envs.programs.source import literals_of
from code_envs.programs.usage import parameter_shapes
from code_envs.students.base import Prompt
from code_envs.values import decode, encode, parse_literal, write_literal

__all__ = [
    "BASELINES",
    "BaselineStudent",
    "guess_arguments",
    "guess_results",
    "majority_results",
    "trivial_programs",
    "write_reply",
]

_DEFAULTS = {bool: False, int: 0, float: 0.0, str: "", list: [], tuple: (), dict: {}, set: set()}
_LINES = ("stdin.partition('\\n')[0]", "stdin.rstrip().rpartition('\\n')[2]")  # the first and the last one
_PROBES = 64  # guesses, and runs of a program on guessed inputs


def write_reply(view: Problem, answer: str) -> str:
    """Write an answer as a reply of the problem's mode: one fenced block.

    Args:
        view: The problem, as the student sees it.
        answer: A program, a tuple literal of arguments, or a literal result.
    """
    match view.mode:
        case Mode.INDUCTION:
            return f"```python\n{answer.rstrip()}\n```"
        case Mode.DEDUCTION:
            return f"```output\n{answer}\n```"
    values = parse_literal(answer)
    assert isinstance(values, tuple)
    return f"```input\n{', '.join(map(write_literal, values))}\n```"


# --- induction --------------------------------------------------------------------------------


def trivial_programs(problem: Problem) -> list[tuple[str, str]]:
    """Programs that solve nothing: constants, echoes (of lines, too), a table of the visible cases, a default.

    Args:
        problem: An induction problem; only its signature and visible cases are looked at.

    Returns:
        Names and programs; all define the problem's entry, or are scripts.
    """
    results = list(dict.fromkeys(write_literal(parse_literal(case.result)) for case in problem.cases))
    names = problem.parameters
    found = [("constant", _returning(problem, text)) for text in results]
    found += [("identity" if len(names) == 1 else "echo", _returning(problem, name)) for name in names]
    found += [("echo", _returning(problem, line)) for line in _LINES if problem.is_script]
    kinds = dict.fromkeys(type(parse_literal(text)) for text in results)
    defaults = [write_literal(_DEFAULTS[kind]) for kind in kinds if kind in _DEFAULTS]
    found += [("default", _returning(problem, text)) for text in defaults if text not in results]
    return [*found, ("lookup", _lookup(problem))]


def _returning(problem: Problem, expression: str) -> str:
    return _program(problem, f"    return {expression}\n")


def _program(problem: Problem, body: str) -> str:
    """The program whose function has this body; a script prints what the function returns."""
    text = f"def {problem.entry or 'solve'}({', '.join(problem.parameters)}):\n{body}"
    if problem.is_script:
        text = f"import sys\n\n{text}\nsys.stdout.write(solve(sys.stdin.read()))\n"
    return text


def _lookup(problem: Problem) -> str:
    rows = "".join(
        f"    if {_given(problem.parameters)} == {write_literal(case.values())}:\n"
        f"        return {write_literal(parse_literal(case.result))}\n"
        for case in problem.cases
    )
    return _program(problem, f"{rows}    return {_commonest(problem)}\n")


def _given(names: Sequence[str]) -> str:
    return f"({names[0]},)" if len(names) == 1 else f"({', '.join(names)})"


def _commonest(problem: Problem) -> str:
    counts = Counter(write_literal(parse_literal(case.result)) for case in problem.cases)
    return counts.most_common(1)[0][0]


# --- arguments --------------------------------------------------------------------------------


def guess_arguments(view: Problem, rng: np.random.Generator, count: int) -> list[str]:
    """Guess arguments from what the program seems to take: a probe set first, then random ones.

    Args:
        view: An abduction or fuzzing problem; its case's arguments and its witness are not looked at.
        rng: The only source of randomness.
        count: How many are wanted.

    Returns:
        At most ``count`` distinct tuple literals, the probe set in its first half.
    """
    shapes = parameter_shapes(view.program, view.entry, view.precondition)
    found: dict[str, None] = {}
    for values in _probe_set(view, shapes, rng):
        if len(found) < max(1, count // 2):
            found[write_literal(values)] = None
    for _ in range(8 * count):
        if len(found) >= count:
            break
        found[write_literal(tuple(shape.draw(rng) for shape in shapes))] = None
    return list(found)


def _probe_set(view: Problem, shapes: Sequence[Shape], rng: np.random.Generator) -> Iterator[tuple[object, ...]]:
    """The result in place of each parameter, then borders: all at once, and one by one."""
    edges = [shape.edges(rng) for shape in shapes]
    first = [options[0] for options in edges]
    if view.mode is Mode.ABDUCTION:
        known = parse_literal(view.cases[0].result)
        for place, shape in enumerate(shapes):
            for echo in (known, [known]):
                if type(echo) is type(shape.draw(rng)):
                    yield (*first[:place], echo, *first[place + 1 :])
    for step in range(max(map(len, edges), default=1)):
        yield tuple(options[step % len(options)] for options in edges)
    for place, options in enumerate(edges):
        for edge in options:
            yield (*first[:place], edge, *first[place + 1 :])


# --- results ----------------------------------------------------------------------------------


def guess_results(view: Problem, executor: Executor | None, rng: np.random.Generator, count: int) -> list[str]:
    """Guess a result without following the program: what it mostly returns, its arguments, its literals.

    Args:
        view: A deduction problem.
        executor: Runs the program on random inputs; the shared one if None.
        rng: The only source of randomness.
        count: How many are wanted.

    Returns:
        At most ``count`` distinct literals, the likeliest first.
    """
    found = dict.fromkeys(majority_results(view, executor, rng)[: max(1, count // 3)])
    values = [*view.cases[0].values(), *literals_of(view.program), *_DEFAULTS.values()]
    found.update(dict.fromkeys(write_literal(value) for value in values))
    return list(found)[:count]


def majority_results(view: Problem, executor: Executor | None, rng: np.random.Generator) -> list[str]:
    """What a program returns on random inputs like its own, commonest first; its own input is left out.

    Args:
        view: A deduction problem.
        executor: Runs the program; the shared one if None.
        rng: The only source of randomness.

    Returns:
        Distinct literals; none where no run succeeded.
    """
    own = view.cases[0].call()
    inputs = random_arguments([view.cases[0].values()], rng, _PROBES)
    calls = [code for code in (encode(values, ordered=True) for values in inputs) if code != own]
    if not calls:
        return []
    runner = executor or shared_executor()
    (executions,) = runner.run_jobs([Job(program=view.program, entry=view.entry, calls=calls)])
    counts = Counter(execution.value for execution in executions if execution.ok)
    return [text for value, _ in counts.most_common() if (text := _written(value))]


def _written(code: bytes) -> str:
    try:
        return write_literal(decode(code))
    except ValueRefused:  # the program forged it
        return ""


# --- students ---------------------------------------------------------------------------------


class _Ask(NamedTuple):
    view: Problem
    executor: Executor | None
    rng: np.random.Generator

    def shapes(self) -> list[Shape]:
        return parameter_shapes(self.view.program, self.view.entry, self.view.precondition)


_Guess = Callable[[_Ask], list[str]]


def _programs(*names: str) -> _Guess:
    return lambda ask: [text for name, text in trivial_programs(ask.view) if not names or name in names]


def _first_programs(ask: _Ask) -> list[str]:
    return [_returning(ask.view, name) for name in ask.view.parameters[:1]]


def _constant_program(ask: _Ask) -> list[str]:
    return [_returning(ask.view, _commonest(ask.view))]


def _default_arguments(ask: _Ask) -> list[str]:
    return [write_literal(tuple(shape.edges(ask.rng)[0] for shape in ask.shapes()))]


def _random_arguments(ask: _Ask) -> list[str]:
    shapes = ask.shapes()
    return [write_literal(tuple(shape.draw(ask.rng) for shape in shapes)) for _ in range(_PROBES)]


def _probes(ask: _Ask) -> list[str]:
    return guess_arguments(ask.view, ask.rng, _PROBES)[: _PROBES // 2]


def _echoed_result(places: int | None) -> _Guess:
    def guess(ask: _Ask) -> list[str]:
        known = parse_literal(ask.view.cases[0].result)
        rest = [shape.edges(ask.rng)[0] for shape in ask.shapes()]
        return [write_literal((*rest[:at], known, *rest[at + 1 :])) for at in range(len(rest))[:places]]

    return guess


def _echoed_arguments(places: int | None) -> _Guess:
    return lambda ask: [write_literal(value) for value in ask.view.cases[0].values()[:places]]


def _source_literals(ask: _Ask) -> list[str]:
    return [write_literal(value) for value in literals_of(ask.view.program)]


_GUESSES: dict[str, dict[Mode, _Guess]] = {
    "constant": {
        Mode.INDUCTION: _constant_program,
        Mode.ABDUCTION: _default_arguments,
        Mode.DEDUCTION: lambda _: ["True", "0", "''", "[]"],
        Mode.FUZZING: _default_arguments,
    },
    "identity": {
        Mode.INDUCTION: _first_programs,
        Mode.ABDUCTION: _echoed_result(1),
        Mode.DEDUCTION: _echoed_arguments(1),
    },
    "echo": {
        Mode.INDUCTION: _programs("identity", "echo"),
        Mode.ABDUCTION: _echoed_result(None),
        Mode.DEDUCTION: _echoed_arguments(None),
    },
    "lookup": {Mode.INDUCTION: _programs("lookup"), Mode.DEDUCTION: _source_literals},
    "majority": {
        Mode.INDUCTION: _constant_program,
        Mode.DEDUCTION: lambda ask: majority_results(*ask)[:1],
    },
    "probe": {
        Mode.INDUCTION: _programs(),
        Mode.ABDUCTION: _probes,
        Mode.DEDUCTION: lambda ask: guess_results(*ask, count=20),
        Mode.FUZZING: _probes,
    },
    "random": {
        Mode.INDUCTION: _programs(),
        Mode.ABDUCTION: _random_arguments,
        Mode.DEDUCTION: lambda ask: majority_results(*ask),
        Mode.FUZZING: _random_arguments,
    },
}
BASELINES = tuple(_GUESSES)
"""The names of the baseline students."""


class BaselineStudent:
    """Answers every prompt with one of its trivial guesses, drawn anew at each attempt.

    Args:
        name: One of ``BASELINES``.
        executor: Runs programs where a guess needs it; the shared one if None.

    Raises:
        UnknownName: There is no such baseline.
    """

    def __init__(self, name: str, executor: Executor | None = None) -> None:
        if name not in _GUESSES:
            raise UnknownName("baseline student", name, _GUESSES)
        self.name, self._executor = name, executor

    def answer(self, prompts: Sequence[Prompt], *, seed: int = 0) -> list[str]:
        """Answer each prompt; see :class:`code_envs.students.base.Student`."""
        guesses: dict[str, list[str]] = {}
        replies = []
        for index, view in enumerate(prompt.view for prompt in prompts):
            if view.key not in guesses:
                guesses[view.key] = self._guesses(view, np.random.default_rng([seed, int(view.key, 16)]))
            known = guesses[view.key]
            at = int(np.random.default_rng([seed, index]).integers(max(1, len(known))))
            replies.append(write_reply(view, known[at]) if known else "There is no such guess here.")
        return replies

    def _guesses(self, view: Problem, rng: np.random.Generator) -> list[str]:
        guess = _GUESSES[self.name].get(view.mode)
        try:
            return guess(_Ask(view, self._executor, rng)) if guess else []
        except ProblemError:  # a program that cannot be parsed
            return []
