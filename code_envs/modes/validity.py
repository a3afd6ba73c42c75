"""What makes a problem valid: the checks that the modes share, and the names of all of them.

A problem is first looked at, then run, then attacked with trivial answers; a stage that finds
something ends the validation, since the next ones rely on it.
"""

from __future__ import annotations

import ast
import contextlib
import io
import tokenize
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec
import numpy as np

from code_envs.errors import ProblemError
from code_envs.executor import Execution, Executor, Job, Limits, Status
from code_envs.modes.base import Complaint, Rules
from code_envs.modes.limits import limits_of
from code_envs.modes.verdicts import called, gives, infra, short, told
from code_envs.problem import PRECONDITION, PROPERTY, Mode, Problem, parameters_of
from code_envs.programs.source import function_of, parse_program, signature_of

__all__ = [
    "CHECKS",
    "check_runs",
    "check_sources",
    "complain",
    "generator",
    "in_stages",
    "prose_of",
]

CHECKS = {
    "deterministic": "Results are the same in fresh processes, with other hash seeds and in any order of calls.",
    "echo": "The result is not one of the arguments.",
    "gold": "The stored answer passes.",
    "guessable": "At most 5 % of guessed arguments pass.",
    "hidden": "There are at least 5 hidden cases that are not visible.",
    "infra": "The sandbox worked.",
    "inputs": "There are at least 5 different visible inputs.",
    "junk": "The precondition refuses arguments of wrong types.",
    "limits": "The program needs at most a quarter of what it may use.",
    "literal": "The result is not written in the program, in a comment or a docstring either.",
    "majority": "The result is not what the program mostly returns, and not True, False, None, 0 or empty.",
    "message": "There is a message, and in induction it holds no code.",
    "mutants": "The hidden cases kill at least 80 % of the program's mutants.",
    "passing": "Most valid arguments do not show the fault.",
    "result": "The program gives the stored results.",
    "results": "There are at least 2 different visible results.",
    "runs": "The program returns a value on each of its inputs.",
    "signature": "Every function takes the parameters of the signature.",
    "size": "Program, arguments and results are short enough to be shown.",
    "syntax": "Every source is Python and defines its function, if it is no script.",
    "told": "No comment or docstring calls the function with the stored arguments.",
    "trivial": "Programs that do not solve the problem fail.",
    "valid": "There are enough arguments that the precondition allows.",
    "witness": "There is a witness, the arguments of one call.",
}
"""Every check by name, as the sentence that is true of a valid problem."""

_MAX_SOURCE = 12_000
_MAX_ARGUMENTS = 4_000
_MAX_RESULT = {Mode.INDUCTION: 4_000, Mode.ABDUCTION: 1_000, Mode.DEDUCTION: 1_000, Mode.FUZZING: 4_000}
_SHARE = 4  # of the grading limits that a valid program may use: one quarter
_OVER = (Status.CPU, Status.WALL, Status.MEMORY, Status.RECURSION, Status.TOO_LARGE)


def complain(check: str, text: str) -> Complaint:
    """Make a complaint; the check must have its sentence in :data:`CHECKS`."""
    assert check in CHECKS, check
    return Complaint(check, text)


def in_stages(*stages: Callable[[], Iterable[Complaint]]) -> list[Complaint]:
    """Run checks until a stage complains."""
    for stage in stages:
        complaints = list(dict.fromkeys(stage()))
        if complaints:
            return complaints
    return []


def generator(problem: Problem) -> np.random.Generator:
    """The source of randomness for validating a problem: depends on its content alone."""
    return np.random.default_rng([int(problem.key, 16)])


# --- looking ----------------------------------------------------------------------------------


def check_sources(problem: Problem) -> Iterator[Complaint]:
    """Check what can be seen without running anything."""
    if not problem.program:
        yield complain("gold", "no solution is known, as its program is empty: it can be graded, but not validated")
        return
    sources = {
        "program": (problem.program, problem.entry),
        "reference": (problem.reference, problem.entry),
        "precondition": (problem.precondition, PRECONDITION),
        "property": (problem.property, PROPERTY),
    }
    for name, (source, entry) in sources.items():
        if source or name == "program":
            yield from _check_source(problem, name, source, entry)
    # hidden cases of scripts are never shown, and those of contests are large
    for case in problem.cases if problem.is_script else (*problem.cases, *problem.hidden):
        if len(case.arguments) > _MAX_ARGUMENTS:
            yield complain("size", f"arguments of {len(case.arguments)} characters; at most {_MAX_ARGUMENTS} are shown")
        if len(case.result) > _MAX_RESULT[problem.mode]:
            yield complain("size", f"a result of {len(case.result)} characters; at most {_MAX_RESULT[problem.mode]}")


def _check_source(problem: Problem, name: str, source: str, entry: str) -> Iterator[Complaint]:
    if len(source) > _MAX_SOURCE:
        yield complain("size", f"the {name} has {len(source)} characters; at most {_MAX_SOURCE} are shown")
    try:
        tree = parse_program(source)
        if problem.is_script:
            return
        function_of(tree, entry)
    except ProblemError as error:
        yield complain("syntax", f"the {name}: {error}")
        return
    try:
        own = parameters_of(signature_of(source, entry))
    except ProblemError as error:
        yield complain("signature", f"the {name}: {error}")
        return
    # the others are called by position alone
    fits = own == problem.parameters if name == "program" else len(own) == len(problem.parameters)
    if not fits:
        yield complain("signature", f"the {name} takes ({', '.join(own)}), not ({', '.join(problem.parameters)})")


def prose_of(program: str) -> str:
    """The comments and docstrings of a program, which tell a student more than the program does."""
    tree = parse_program(program)
    documented = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    texts = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented)]
    with contextlib.suppress(tokenize.TokenError, SyntaxError):
        tokens = tokenize.generate_tokens(io.StringIO(program).readline)
        texts += [token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT]
    return "\n".join(texts)


# --- running ----------------------------------------------------------------------------------


def check_runs(rules: Rules, problem: Problem, executor: Executor) -> Iterator[Complaint]:
    """Run the stored answer as grading would, within a quarter of the limits, and twice more otherwise.

    The other two processes have other hash seeds and other seeds of ``random``; the calls come in
    another order and repeatedly.
    """
    reply = rules.gold(problem)
    answer = rules.read(problem, reply)
    if answer.complaint:
        yield complain("gold", f"the stored answer cannot be read: {answer.complaint}")
        return
    jobs = rules.jobs(problem, answer)
    ran = jobs or [Job(program=problem.program, entry=problem.entry, calls=[problem.cases[0].call()])]
    limits = limits_of(problem, executor)
    executions = executor.run_jobs([other for job in ran for other in _thrice(job, limits)])
    first = executions[::3]
    if infra(executions):
        yield complain("infra", "the sandbox failed")
        return
    over = next((run for job in first for run in job if run.status in _OVER), None)
    if over:
        yield complain("limits", f"within a quarter of the limits a call {told(over, script=problem.is_script)}")
        return
    if not all(map(_agree, first, executions[1::3], executions[2::3])):
        yield complain("deterministic", "a call gives another result in another process or order")
    yield from _check_results(problem, first[0])
    grade = rules.judge(problem, answer, first if jobs else [])
    if not grade.passed:
        yield complain("gold", f"the stored answer is {grade.outcome}: {grade.reason}")


def _thrice(job: Job, limits: Limits) -> list[Job]:
    quarter = msgspec.structs.replace(
        limits,  # not the wall clock: the machine may be busy
        cpu_seconds=max(0.01, limits.cpu_seconds / _SHARE),
        memory_mib=max(1, limits.memory_mib // _SHARE),
        result_bytes=max(64, limits.result_bytes // _SHARE),
        recursion=max(100, limits.recursion // _SHARE),
    )
    calls = list(job.calls)
    return [
        msgspec.structs.replace(job, limits=quarter),
        msgspec.structs.replace(job, limits=limits, calls=[*calls[::-1], *calls], variant=1, seed=1),
        msgspec.structs.replace(job, limits=limits, calls=[*calls, *calls], variant=2, seed=2),
    ]


def _agree(once: Sequence[Execution], turned: Sequence[Execution], repeated: Sequence[Execution]) -> bool:
    def seen(runs: Sequence[Execution]) -> list[tuple[object, ...]]:
        return [(run.status, run.value, run.exception) for run in runs]

    count = len(once)
    expected = seen(once)
    return all(
        expected == seen(runs) for runs in (turned[:count][::-1], turned[count:], repeated[:count], repeated[count:])
    )


def _check_results(problem: Problem, executions: Sequence[Execution]) -> Iterator[Complaint]:
    if problem.mode is Mode.FUZZING:
        return
    cases = (*problem.cases, *problem.hidden)
    for case, run in zip(cases, executions, strict=True):
        did = f"{called(problem, case)} {told(run, script=problem.is_script)}"
        if not run.ok:
            yield complain("runs", did)
        elif not gives(problem, case.expected(), run):
            yield complain("result", f"{did}, but {short(case.result)} is stored")
