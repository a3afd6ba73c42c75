"""Contest problems as induction problems, their stored solutions checked in the sandbox."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from code_envs.curricula.contest_calls import published_results, signature_of_contest
from code_envs.curricula.contest_files import Rows, read_contest_rows
from code_envs.curricula.contest_rows import Contest, parse_row
from code_envs.curricula.contest_solutions import FAULT, Solved, solve
from code_envs.curricula.contest_tests import bounded, divided, output_rule
from code_envs.errors import CodeEnvsError, ConfigError, ProblemError, UnknownName
from code_envs.executor import Executor, Limits, shared_executor
from code_envs.outputs import OutputRule
from code_envs.problem import Case, Lineage, Mode, Problem, ProblemLimits, Report

__all__ = ["Loaded", "load_contests"]

_BATCH = 64  # problems whose solutions are checked at once


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows of a data set.

    Attributes:
        problems: The problems, in the order of the rows.
        left_out: For each reason how many rows were left out.
        tests_left_out: For each reason how many tests the problems lost.
        gold: How many problems have a stored solution that passes.
    """

    problems: tuple[Problem, ...]
    left_out: Mapping[str, int]
    tests_left_out: Mapping[str, int]
    gold: int


class _Settings(msgspec.Struct, frozen=True):
    """How contests become problems; see :func:`load_contests`."""

    style: str
    most_cases: int | None
    output: str
    limits: ProblemLimits | None
    time_factor: float
    licence: str


def load_contests(
    source: Rows,
    executor: Executor | None = None,
    *,
    style: str = "",
    split: str = "train",
    config: str | None = None,
    revision: str | None = None,
    limit: int | None = None,
    most_cases: int | None = 50,
    most_solutions: int = 4,
    unchecked: bool = True,
    output: OutputRule | str = "",
    limits: ProblemLimits | None = None,
    time_factor: float = 4.0,
    licence: str = "unknown",
) -> Loaded:
    """Load contest problems.

    Tests become cases: of a function that is called, or of a script that reads standard input (see
    :attr:`Problem.entry`). Where there are stored solutions, the first that passes all cases under the
    limits of grading becomes the program, and a function's own results the expected ones: JSON cannot
    tell a tuple from a list. A problem whose stored solutions all fail is left out.

    Args:
        source: A ``.json``, ``.jsonl``, ``.jsonl.gz`` or ``.parquet`` file; files on the hub, as
            ``hf://datasets/OWNER/NAME/PATTERN``; the name of a data set on the hub; or rows. Parquet
            and the hub need the extra ``hf``.
        executor: Checks the solutions; the shared one if None.
        style: ``livecodebench``, ``taco`` (also APPS), ``deepcoder`` or ``kodcode``; told by the
            columns if empty.
        split: The split of a data set on the hub.
        config: Its configuration.
        revision: Its branch, tag or commit, such as ``refs/convert/parquet``.
        limit: Read only so many rows.
        most_cases: Keep at most so many tests of a problem, the first ones; all if None.
        most_solutions: Try at most so many solutions of a problem.
        unchecked: Keep problems without any stored solution; their program is empty.
        output: The rule by which outputs of scripts are compared. If empty, ``floats`` where an expected
            output holds a number with a point, else ``lines`` for LiveCodeBench and ``tokens`` for others.
        limits: The limits of problems whose row states none.
        time_factor: Stated time limits are multiplied by this. They are meant for compiled programs, and
            a valid problem's own program needs at most a quarter of what a student's may use.
        licence: The SPDX identifier of the data set.

    Raises:
        UnknownName: There is no such style or rule.
        ConfigError: There is no such file or data set, or the factor is not positive.
        ProblemError: The file does not hold rows, or their columns are of no known style.
        MissingExtra: ``source`` is on the hub, or Parquet, and datasets is not installed.
    """
    if output not in ("", *OutputRule):
        raise UnknownName("output rule", output, OutputRule)
    if time_factor <= 0:
        raise ConfigError(f"time_factor is {time_factor}; give a positive number")
    executor = executor or shared_executor()
    settings = _Settings(style, most_cases, str(output), limits, time_factor, licence)
    left_out: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    problems: list[Problem] = []
    rows = read_contest_rows(source, split=split, config=config, revision=revision)
    drafts = _drafted(itertools.islice(rows, limit), settings, left_out, lost)
    while batch := list(itertools.islice(drafts, _BATCH)):
        for (contest, draft), solved in zip(batch, solve(batch, executor, most_solutions), strict=True):
            reason = _unproven(contest, solved, unchecked)
            try:
                if not reason:
                    problems.append(_problem(contest, settings, solved) if solved else draft)
            except CodeEnvsError as error:
                reason = f"no valid record: {error}"
            left_out.update([reason] if reason else [])
    gold = sum(bool(problem.program) for problem in problems)
    return Loaded(problems=tuple(problems), left_out=dict(left_out), tests_left_out=dict(lost), gold=gold)


def _drafted(
    rows: Iterable[Mapping[str, Any]],
    settings: _Settings,
    left_out: Counter[str],
    lost: Counter[str],
) -> Iterator[tuple[Contest, Problem]]:
    """The contests that have usable tests, with their problems as published; counts the others."""
    for number, row in enumerate(rows):
        try:
            contest = parse_row(row, settings.style)
        except ProblemError as error:
            if number == 0:
                raise  # the first row tells: this is no such data set
            left_out[f"unreadable: {error}"] += 1
            continue
        reason = _unfit(contest)
        if not reason:
            contest, fewer = bounded(contest, settings.most_cases)
            lost.update(fewer)
            reason = "" if contest.calls or contest.texts else "has no test within the bounds of values"
        try:
            if not reason:
                yield contest, _problem(contest, settings)
        except CodeEnvsError as error:
            reason = f"no valid record: {error}"
        left_out.update([reason] if reason else [])


def _unfit(contest: Contest) -> str:
    """Why a contest cannot become an induction problem, if it cannot."""
    if not contest.calls and not contest.texts:
        return "has neither a test over standard input nor a functional one with literal arguments"
    if contest.calls and not contest.entry:
        return "does not name its function"
    if len({len(arguments) for arguments, _ in contest.calls}) > 1:
        return "calls its function with different numbers of arguments"
    return ""


def _unproven(contest: Contest, solved: Solved | None, unchecked: bool) -> str:
    """Why a contest without a solution that passes is left out, if it is."""
    if solved is FAULT:
        return "the sandbox failed: load it again"
    if solved or (unchecked and not contest.solutions):
        return ""
    return "no stored solution passes its tests" if contest.solutions else "no stored solution"


def _problem(contest: Contest, settings: _Settings, solved: Solved | None = None) -> Problem:
    """The problem with a solution, or as it was published."""
    cases = _cases(contest, solved.results if solved and contest.calls else None)
    visible, hidden = divided(cases, contest.public)
    if not visible:
        raise ProblemError("no test is short enough to be shown")
    program = solved.program if solved else ""
    script = not contest.calls
    problem = Problem(
        mode=Mode.INDUCTION,
        program=program,
        signature="" if script else signature_of_contest(contest, program),
        entry="" if script else contest.entry,
        output=(settings.output or output_rule(contest)) if script else "",
        limits=_limits(contest, settings),
        message=contest.statement,
        cases=visible,
        hidden=hidden,
        lineage=Lineage(origin=contest.name, licence=settings.licence, teacher=contest.name.partition("/")[0]),
        tags=(f"difficulty:{contest.difficulty}",) if contest.difficulty else (),
    )
    if contest.measured is None:
        return problem
    student, attempts, passes = contest.measured
    report = Report(problem=problem.key, student=student, attempts=attempts, passes=passes)
    return problem.but(measurements=(report,))


def _cases(contest: Contest, results: Sequence[Any] | None) -> list[Case]:
    if not contest.calls:
        return [Case.of((given,), expected) for given, expected in contest.texts]
    results = published_results(contest) if results is None else results
    return [Case.of(given, result) for (given, _), result in zip(contest.calls, results, strict=True)]


def _limits(contest: Contest, settings: _Settings) -> ProblemLimits | None:
    """What the row states, more generous; less memory than any program has is not asked for."""
    memory_mib = contest.memory_mib if contest.memory_mib > Limits().memory_mib else 0
    if not contest.cpu_seconds and not memory_mib:
        return settings.limits
    return ProblemLimits(cpu_seconds=round(contest.cpu_seconds * settings.time_factor, 2), memory_mib=memory_mib)
