"""Public benchmark files as ``Problem`` records, and the answers that were published with them.

Each loader reads the file as its authors published it and yields :class:`PublicProblem`: the record,
a gold answer that was written independently of the expected results where there is one, and answers
that are known to be wrong. Rows that cannot be stated as literal cases are left out and counted.
"""

from __future__ import annotations

import ast
import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from code_envs.errors import CodeEnvsError, LiteralError, ProblemError
from code_envs.executor import Executor, Job, Limits
from code_envs.problem import Case, Lineage, Mode, Problem, parameters_of
from code_envs.programs.source import function_of, parse_program, signature_of
from code_envs.values import MAX_BYTES, decode, encode, parse_arguments, parse_literal, write_literal

__all__ = ["PublicProblem", "cruxeval", "humaneval_plus", "mbpp_plus", "mbpp_sanitized", "puzzles", "read_rows"]

LIMITS = Limits(cpu_seconds=10.0, wall_seconds=60.0, memory_mib=1024, result_bytes=MAX_BYTES)
"""Public programs were not written for our default limits."""
_VISIBLE = 5


class PublicProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a public benchmark.

    Attributes:
        name: The row's own id.
        problem: The record; None if the row cannot be stated as literal cases.
        gold: Replies that must pass.
        wrong: Replies that must fail, published as such.
        reason: Why there is no record.
    """

    name: str
    problem: Problem | None
    gold: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    reason: str = ""


def read_rows(path: str | Path) -> list[dict[str, Any]]:
    """Read a ``.json``, ``.jsonl`` or ``.jsonl.gz`` file of rows.

    Raises:
        ProblemError: The file is not that.
    """
    path = Path(path)
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    try:
        return list(json.loads(data)) if path.suffix == ".json" else [json.loads(line) for line in data.splitlines()]
    except json.JSONDecodeError as error:
        raise ProblemError(f"{path} is not a file of JSON rows: {error}") from error


def fenced(tag: str, text: str) -> str:
    """Write a reply with one block."""
    return f"```{tag}\n{text.rstrip()}\n```"


def signature_for(program: str, entry: str, count: int) -> str:
    """The signature of a function called with its first ``count`` arguments only."""
    function = function_of(parse_program(program), entry)
    left_out = len(function.args.args) - count
    function.args.args = function.args.args[:count]
    function.args.defaults = function.args.defaults[: max(len(function.args.defaults) - left_out, 0)]
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    return f"{entry}({ast.unparse(function.args)}){returns}"


def cruxeval(path: str | Path, mode: Mode, executor: Executor) -> Iterator[PublicProblem]:
    """CRUXEval: predict the output (deduction), or find an input (abduction).

    Args:
        path: ``cruxeval.jsonl``.
        mode: ``Mode.DEDUCTION`` or ``Mode.ABDUCTION``.
        executor: Works out the few published inputs that are expressions and not literals.

    Yields:
        One problem for each row.
    """
    for row in read_rows(path):
        program = row["code"].rstrip() + "\n"
        signature = signature_of(program, "f")
        try:
            arguments = _published_arguments(row["input"], signature, program, executor)
        except CodeEnvsError as error:
            yield PublicProblem(name=row["id"], problem=None, reason=f"the input is no literal: {error}")
            continue
        case = Case.of(arguments, parse_literal(row["output"]))
        lineage = Lineage(origin=f"cruxeval/{row['id']}", licence="MIT", teacher="cruxeval")
        problem = Problem(mode=mode, program=program, signature=signature, cases=(case,), lineage=lineage)
        gold = fenced("output", row["output"]) if mode is Mode.DEDUCTION else fenced("input", case.shown())
        yield PublicProblem(name=row["id"], problem=problem, gold=(gold,))


def _published_arguments(text: str, signature: str, program: str, executor: Executor) -> tuple[object, ...]:
    """Read an input; one that is an expression, such as ``'a'.upper()``, is worked out in the sandbox."""
    try:
        return parse_arguments(text, parameters_of(signature))
    except LiteralError as error:
        (execution,) = executor.run(f"{program}\ndef _given():\n    return repr(({text},))\n", "_given", [()])
        if not execution.ok:
            raise LiteralError(f"{error}; and running it gives no value") from error
        given = parse_literal(str(execution.result()))  # as text, since a result does not keep the order of a dict
        assert isinstance(given, tuple)
        return given


def humaneval_plus(
    path: str | Path,
    executor: Executor,
    *,
    original: str | Path | None = None,
    pack: str | Path | None = None,
    most_inputs: int | None = None,
) -> Iterator[PublicProblem]:
    """HumanEval+ as induction, its expected results computed by its own canonical solution.

    Args:
        path: ``HumanEvalPlus.jsonl.gz``.
        executor: Runs the canonical solutions.
        original: ``HumanEval.jsonl.gz``, whose solutions are other programs: gold answers.
        pack: ``humanevalpack_python.jsonl``, whose buggy solutions are wrong answers.
        most_inputs: Use only this many of each row's inputs, the original ones first.

    Yields:
        One problem for each row.
    """
    older = {row["task_id"].split("/")[1]: row for row in read_rows(original)} if original else {}
    buggy = {row["task_id"].split("/")[1]: row for row in read_rows(pack)} if pack else {}
    for row in read_rows(path):
        number = row["task_id"].split("/")[1]
        gold = [row["prompt"] + row["canonical_solution"]]
        if number in older:
            gold.append(older[number]["prompt"] + older[number]["canonical_solution"])
        wrong = []
        if number in buggy:
            # the prompt may define helpers that the declaration leaves out
            wrong.append(row["prompt"] + buggy[number]["buggy_solution"])
        yield _from_inputs(row, gold, wrong, executor, "humaneval-plus", most_inputs)


def mbpp_plus(path: str | Path, executor: Executor, *, most_inputs: int | None = None) -> Iterator[PublicProblem]:
    """MBPP+ as induction, its expected results computed by its own canonical solution.

    Args:
        path: ``MbppPlus.jsonl.gz``.
        executor: Runs the canonical solutions.
        most_inputs: Use only this many of each row's inputs, the original ones first.

    Yields:
        One problem for each row.
    """
    for row in read_rows(path):
        yield _from_inputs(row, [row["canonical_solution"]], [], executor, "mbpp-plus", most_inputs)


def _from_inputs(  # noqa: PLR0917
    row: dict[str, Any], gold: list[str], wrong: list[str], executor: Executor, suite: str, most_inputs: int | None
) -> PublicProblem:
    program, entry = gold[0].strip("\n") + "\n", row["entry_point"]
    inputs = (_inputs(row["base_input"]) + _inputs(row["plus_input"]))[:most_inputs]
    try:
        cases = _run(program, entry, inputs, executor)
        count = len(cases[0].values()) if cases else 0
        problem = Problem(
            mode=Mode.INDUCTION,
            program=program,
            signature=signature_for(program, entry, count),
            entry=entry,
            message=row["prompt"],
            cases=tuple(cases[:_VISIBLE]),
            hidden=tuple(cases[_VISIBLE:]),
            lineage=Lineage(origin=f"{suite}/{row['task_id']}", licence="Apache-2.0", teacher=suite),
        )
    except CodeEnvsError as error:
        return PublicProblem(name=row["task_id"], problem=None, reason=str(error))
    replies = [tuple(fenced("python", text) for text in texts) for texts in (gold, wrong)]
    return PublicProblem(name=row["task_id"], problem=problem, gold=replies[0], wrong=replies[1])


def _inputs(held: Any) -> list[tuple[object, ...]]:
    calls: Any = parse_literal(held) if isinstance(held, str) else held
    return [tuple(call) for call in calls]


def _run(program: str, entry: str, inputs: Sequence[tuple[object, ...]], executor: Executor) -> list[Case]:
    """Make cases of the inputs on which a program returns a literal; others were never published as tests."""
    # named tuples and counters are published results: the suites compare them as their base type
    calls = [encode(call, ordered=True) for call in inputs]
    job = Job(program=program, entry=entry, calls=calls, limits=LIMITS, coerce=True)
    executions = executor.run_jobs([job])[0]
    return [
        Case.of(call, decode(execution.value))
        for call, execution in zip(inputs, executions, strict=True)
        if execution.ok
    ]


def mbpp_sanitized(path: str | Path) -> Iterator[PublicProblem]:
    """MBPP, sanitised, as induction; the cases are its assertions, where they state literals.

    Args:
        path: ``sanitized-mbpp.json``.

    Yields:
        One problem for each row.
    """
    for row in read_rows(path):
        name, program = f"mbpp/{row['task_id']}", row["code"].replace("\r", "").rstrip() + "\n"
        imports = "".join(f"{line}\n" for line in row["test_imports"])
        try:
            entry, cases = _assertions(row["test_list"])
            problem = Problem(
                mode=Mode.INDUCTION,
                program=imports + program,
                signature=signature_for(program, entry, len(cases[0].values())),
                entry=entry,
                message=row["prompt"],
                cases=tuple(cases),
                lineage=Lineage(origin=name, licence="CC-BY-4.0", teacher="mbpp-sanitized"),
            )
        except CodeEnvsError as error:
            yield PublicProblem(name=name, problem=None, reason=str(error))
            continue
        yield PublicProblem(name=name, problem=problem, gold=(fenced("python", imports + program),))


def _assertions(lines: Sequence[str]) -> tuple[str, list[Case]]:
    """Read ``assert f(literals) == literal`` lines; other forms of assertion are no cases."""
    cases, entry = [], ""
    for line in lines:
        statement = parse_program(line).body[0]
        if not isinstance(statement, ast.Assert):
            raise ProblemError("an assertion is not one assert statement")
        call, expected = _call_and_result(statement.test)
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ProblemError(f"the assertion is not one call compared with a literal: {line:.80}")
        entry = call.func.id
        arguments = parse_literal("(" + "".join(f"{ast.unparse(item)}, " for item in call.args) + ")")
        cases.append(Case(arguments=write_literal(arguments), result=write_literal(parse_literal(expected))))
    return entry, cases


def _call_and_result(test: ast.expr) -> tuple[ast.expr, str]:
    match test:
        case ast.Compare(left=call, ops=[ast.Eq() | ast.Is()], comparators=[expected]):
            return call, ast.unparse(expected)
        case ast.UnaryOp(op=ast.Not(), operand=call):
            return call, "False"
    return test, "True"


def puzzles(path: str | Path, executor: Executor) -> Iterator[PublicProblem]:
    """Python Programming Puzzles (P3) as abduction: find an argument for which ``sat`` is true.

    Args:
        path: ``p3_puzzles.json``.
        executor: Runs the stored solutions, which are programs.

    Yields:
        One problem for each puzzle that has a solution; its gold answer is what the solution returns.
    """
    rows = [row for row in read_rows(path) if row["sol_bodies"]]
    prelude = "from typing import *\n"
    jobs = [
        Job(
            program=f"{prelude}{row['sol_header']}\n{row['sol_bodies'][0]}\n",
            entry="sol",
            calls=[encode(())],
            limits=LIMITS,
        )
        for row in rows
    ]
    for row, (execution,) in zip(rows, executor.run_jobs(jobs), strict=True):
        if not execution.ok:
            reason = f"the stored solution ended with {execution.status}: {execution.message}"
            yield PublicProblem(name=row["name"], problem=None, reason=reason)
            continue
        program, found = f"{prelude}{row['sat'].rstrip()}\n", execution.result()
        try:
            problem = Problem(
                mode=Mode.ABDUCTION,
                program=program,
                signature=signature_for(program, "sat", 1),
                entry="sat",
                cases=(Case.of((found,), True),),
                lineage=Lineage(origin=f"p3/{row['name']}", licence="MIT", teacher="p3"),
            )
        except CodeEnvsError as error:
            yield PublicProblem(name=row["name"], problem=None, reason=str(error))
            continue
        yield PublicProblem(name=row["name"], problem=problem, gold=(fenced("input", write_literal((found,))[1:-1]),))
