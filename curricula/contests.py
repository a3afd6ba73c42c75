"""Contest problems as induction problems, their stored solutions checked in the sandbox."""

from __future__ import annotations

import ast
import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from code_envs.benchmarks.public import read_rows
from code_envs.curricula.contest_rows import Contest, parse_row
from code_envs.errors import CodeEnvsError, MissingExtra, ProblemError
from code_envs.executor import Execution, Executor, Job, Status, shared_executor
from code_envs.problem import Case, Lineage, Mode, Problem, Report
from code_envs.programs.source import parse_program
from code_envs.values import decode, encode, equal

__all__ = ["Loaded", "load_contests"]

_VISIBLE = 5
_PRELUDE = (
    "from typing import *\nfrom collections import *\nimport math, heapq, bisect, itertools, functools, re, string\n"
)
_BUILT_IN = {
    **{name: name for name in ("int", "float", "bool", "str", "bytes")},
    "List": "list",
    "Dict": "dict",
    "Tuple": "tuple",
    "Set": "set",
    "FrozenSet": "frozenset",
}
_BATCH = 64  # problems whose solutions are checked at once


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows of a data set.

    Attributes:
        problems: The problems, in the order of the rows.
        left_out: For each reason how many rows were left out.
        gold: How many problems have a stored solution that passes.
    """

    problems: tuple[Problem, ...]
    left_out: Mapping[str, int]
    gold: int


def load_contests(
    source: str | os.PathLike[str] | Iterable[Mapping[str, Any]],
    executor: Executor | None = None,
    *,
    style: str = "",
    split: str = "train",
    config: str | None = None,
    limit: int | None = None,
    most_cases: int = 50,
    most_solutions: int = 4,
    unchecked: bool = True,
    licence: str = "unknown",
) -> Loaded:
    """Load contest problems.

    Functional tests become cases. Where there are stored solutions, the first that passes all cases
    under the limits of grading becomes the program, and its own results the expected ones: JSON cannot
    tell a tuple from a list. A problem whose stored solutions all fail is left out. Rows whose tests
    are standard input are counted as ``needs standard input``.

    Args:
        source: A ``.json``, ``.jsonl``, ``.jsonl.gz`` or ``.parquet`` file, the name of a data set on the hub,
            or rows. Parquet and the hub need the extra ``hf``.
        executor: Checks the solutions; the shared one if None.
        style: ``livecodebench``, ``taco`` (also APPS), ``deepcoder`` or ``kodcode``; told by the
            columns if empty.
        split: The split of a data set on the hub.
        config: Its configuration.
        limit: Read only so many rows.
        most_cases: Keep at most so many tests of a problem, the first ones.
        most_solutions: Try at most so many solutions of a problem.
        unchecked: Keep problems without any stored solution; their program is empty.
        licence: The SPDX identifier of the data set.

    Raises:
        UnknownName: There is no such style.
        ProblemError: The file does not hold rows, or their columns are of no known style.
        MissingExtra: ``source`` is on the hub, or Parquet, and datasets is not installed.
    """
    executor = executor or shared_executor()
    left_out: Counter[str] = Counter()
    rows = itertools.islice(_rows(source, split, config), limit)
    contests = list(_readable(rows, style, most_cases, left_out))
    problems: list[Problem] = []
    for start in range(0, len(contests), _BATCH):
        batch = contests[start : start + _BATCH]
        for contest, solved in zip(batch, _solve(batch, executor, most_solutions), strict=True):
            reason = _unproven(contest, solved, unchecked)
            try:
                if not reason:
                    problems.append(_problem(contest, solved, licence))
            except CodeEnvsError as error:
                reason = f"no valid record: {error}"
            left_out.update([reason] if reason else [])
    gold = sum(bool(problem.program) for problem in problems)
    return Loaded(problems=tuple(problems), left_out=dict(left_out), gold=gold)


def _readable(
    rows: Iterable[Mapping[str, Any]], style: str, most_cases: int, left_out: Counter[str]
) -> Iterator[Contest]:
    """The contests that have functional tests; counts the others."""
    for number, row in enumerate(rows):
        try:
            contest = parse_row(row, style)
        except ProblemError as error:
            if number == 0:
                raise  # the first row tells: this is no such data set
            left_out[f"unreadable: {error}"] += 1
            continue
        reason = _unfit(contest)
        if reason:
            left_out[reason] += 1
        else:
            yield msgspec.structs.replace(contest, calls=_fitting(contest.calls)[:most_cases])


def _rows(
    source: str | os.PathLike[str] | Iterable[Mapping[str, Any]], split: str, config: str | None
) -> Iterator[Mapping[str, Any]]:
    if not isinstance(source, str | os.PathLike):
        yield from source
    elif Path(source).suffix in (".json", ".jsonl", ".gz"):
        yield from read_rows(Path(source))
    else:
        try:
            import datasets
        except ImportError as error:
            raise MissingExtra("datasets", "hf") from error
        if Path(source).suffix == ".parquet":
            yield from datasets.load_dataset("parquet", data_files=os.fspath(source), split="train", streaming=True)
        else:
            yield from datasets.load_dataset(os.fspath(source), config, split=split, streaming=True)


def _unfit(contest: Contest) -> str:
    """Why a contest cannot become an induction problem, if it cannot."""
    if contest.texts and not contest.calls:
        return "needs standard input"
    if not contest.entry or not contest.calls:
        return "has no functional test with literal arguments"
    if len({len(arguments) for arguments, _ in contest.calls}) > 1:
        return "calls its function with different numbers of arguments"
    return "" if _fitting(contest.calls) else "has no test within the bounds of values"


def _fitting(calls: Sequence[tuple[tuple[Any, ...], Any]]) -> tuple[tuple[tuple[Any, ...], Any], ...]:
    """The calls whose values are within our bounds."""
    found = []
    for arguments, expected in calls:
        try:
            encode(arguments, ordered=True), encode(expected)
        except CodeEnvsError:
            continue
        found.append((arguments, expected))
    return tuple(found)


def _unproven(contest: Contest, solved: _Solved | None, unchecked: bool) -> str:
    """Why a contest without a solution that passes is left out, if it is."""
    if solved is _FAULT:
        return "the sandbox failed: load it again"
    if solved or (unchecked and not contest.solutions):
        return ""
    return "no stored solution passes its tests" if contest.solutions else "no stored solution"


class _Solved(msgspec.Struct, frozen=True):
    program: str
    results: tuple[Any, ...]


_FAULT = _Solved("", ())  # says nothing about the solution


def _solve(batch: Sequence[Contest], executor: Executor, most: int) -> list[_Solved | None]:
    """For each contest the first stored solution that passes; each round tries one of every contest."""
    solved: list[_Solved | None] = [None] * len(batch)
    for turn in range(most):
        tries = [
            (place, program)
            for place, contest in enumerate(batch)
            if solved[place] is None and turn < len(contest.solutions)
            if (program := _callable(contest.solutions[turn], contest))
        ]
        jobs = [
            Job(program=program, entry=batch[place].entry, calls=_encoded(batch[place]), coerce=True)
            for place, program in tries
        ]
        for (place, program), executions in zip(tries, executor.run_jobs(jobs) if jobs else [], strict=True):
            solved[place] = _judge(batch[place], program, executions)
    return solved


def _encoded(contest: Contest) -> list[bytes]:
    return [encode(arguments, ordered=True) for arguments, _ in contest.calls]


def _judge(contest: Contest, program: str, executions: Sequence[Execution]) -> _Solved | None:
    results = []
    for (_, expected), execution in zip(contest.calls, executions, strict=True):
        if execution.status is Status.INFRA:
            return _FAULT
        if not execution.ok:
            return None
        try:
            got = decode(execution.value)
        except CodeEnvsError:  # the untrusted side sent what is no value
            return None
        choices = [expected, *expected] if contest.wrapped and _is_wrapped(expected) else [expected]
        if not any(equal(_plain(choice), _plain(got)) for choice in choices):
            return None
        results.append(got)
    return _Solved(program, tuple(results))


def _plain(value: Any) -> Any:
    """What JSON leaves of a value: tuples are lists, and keys of tables are texts."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()}
    return value


def _is_wrapped(value: object) -> bool:
    return isinstance(value, list) and len(value) == 1


def _callable(solution: str, contest: Contest) -> str:
    """A program that defines the entry as a function; empty if the solution has nothing of that name.

    A method of a class ``Solution``, as LeetCode asks for, gets a function that calls it.
    """
    try:
        tree = parse_program(solution)
    except ProblemError:
        return ""
    body = solution.rstrip() + "\n"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == contest.entry:
            return _with_prelude(body)
        if isinstance(node, ast.ClassDef) and any(
            isinstance(method, ast.FunctionDef) and method.name == contest.entry for method in node.body
        ):
            names = ", ".join(parameter.arg for parameter in _declared(contest, solution)[0])
            call = f"{node.name}().{contest.entry}({names})"
            return _with_prelude(f"{body}\n\ndef {contest.entry}({names}):\n    return {call}\n")
    return ""


def _with_prelude(program: str) -> str:
    """The names that contest sites import for everybody; futures must come first."""
    return program if "__future__" in program else _PRELUDE + "\n" + program


def _declared(contest: Contest, code: str) -> tuple[list[ast.arg], ast.expr | None]:
    """The parameters and the type of the result in starter code or a solution; made-up names where neither tells."""
    count = len(contest.calls[0][0])
    for text in (contest.starter, code):
        function = _method(text, contest.entry)
        if function is not None:
            parameters = [argument for argument in function.args.args if argument.arg != "self"]
            if len(parameters) == count:
                return parameters, function.returns
    return [ast.arg(f"x{number}") for number in range(1, count + 1)], None


def _method(code: str, entry: str) -> ast.FunctionDef | None:
    """A function or method in code that may lack its body, as starter code does."""
    for text in (code, code.rstrip() + "\n        pass\n", code.rstrip() + "\n    pass\n"):
        try:
            nodes = ast.walk(parse_program(text))
        except ProblemError:
            continue
        return next((node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == entry), None)
    return None


def _problem(contest: Contest, solved: _Solved | None, licence: str) -> Problem:
    program = solved.program if solved else ""
    results = solved.results if solved else _published(contest)
    cases = tuple(Case.of(given, result) for (given, _), result in zip(contest.calls, results, strict=True))
    problem = Problem(
        mode=Mode.INDUCTION,
        program=program,
        signature=_signature(contest, program),
        entry=contest.entry,
        message=contest.statement,
        cases=cases[:_VISIBLE],
        hidden=cases[_VISIBLE:],
        lineage=Lineage(origin=contest.name, licence=licence, teacher=contest.name.partition("/")[0]),
        tags=(f"difficulty:{contest.difficulty}",) if contest.difficulty else (),
    )
    if contest.measured is None:
        return problem
    student, attempts, passes = contest.measured
    report = Report(problem=problem.key, student=student, attempts=attempts, passes=passes)
    return problem.but(measurements=(report,))


def _published(contest: Contest) -> list[Any]:
    """The expected results as published; a list of one around every result is a wrapping."""
    results = [expected for _, expected in contest.calls]
    wrapped = contest.wrapped and all(_is_wrapped(result) for result in results)
    return [result[0] for result in results] if wrapped else results


def _signature(contest: Contest, program: str) -> str:
    """How the function is called, with the types that need no import: a student copies this line."""
    parameters, returns = _declared(contest, program)
    typed = [(parameter.arg, _type(parameter.annotation)) for parameter in parameters]
    shown = ", ".join(f"{name}: {kind}" if kind else name for name, kind in typed)
    return f"{contest.entry}({shown})" + (f" -> {_type(returns)}" if _type(returns) else "")


def _type(annotation: ast.expr | None) -> str:
    """Write a type with built-in names; empty for one that has others."""
    match annotation:
        case ast.Constant(value=None):
            return "None"
        case ast.Name(id=name) if name in _BUILT_IN or name in _BUILT_IN.values():
            return _BUILT_IN.get(name, name)
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return f"{_type(inner)} | None" if _type(inner) else ""
        case ast.Subscript(value=ast.Name() as outer, slice=inner):
            parts = [_type(item) for item in (inner.elts if isinstance(inner, ast.Tuple) else [inner])]
            return f"{_type(outer)}[{', '.join(parts)}]" if _type(outer) and all(parts) else ""
    return ""
