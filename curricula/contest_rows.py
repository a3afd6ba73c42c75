"""Rows of contest-style data sets, read into one form, whatever their columns.

Four styles, by the columns that their authors published: LiveCodeBench (``code_generation_lite``),
TACO and APPS, DeepCoder, KodCode. Nothing that is read is ever imported, unpickled freely or run.
"""

from __future__ import annotations

import ast
import base64
import binascii
import io
import json
import math
import pickle
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from code_envs.errors import CodeEnvsError, ProblemError, UnknownName
from code_envs.programs.source import parse_program
from code_envs.values import parse_literal

__all__ = ["STYLES", "Contest", "parse_row", "style_of"]

_MOST_BYTES = 1 << 26  # of unpacked tests: LiveCodeBench's largest have some tens of megabytes
_AMOUNT = re.compile(r"\s*(\d{1,12}(?:\.\d{0,6})?)\s*([A-Za-z]*)")
_FENCE = re.compile(r"```(?:python|py)?3?\s*\n(.*?)```", re.DOTALL)

Call = tuple[tuple[Any, ...], Any]


class Contest(msgspec.Struct, frozen=True, kw_only=True):
    """A contest problem as its data set states it.

    Attributes:
        name: The row's own id.
        statement: The problem in words.
        entry: The name of the function that is called; empty where programs read standard input.
        starter: The code that a solver begins with, if any.
        calls: Functional tests: arguments and the expected result, public ones first.
        texts: Standard-input tests: what is read and what is to be printed, public ones first.
        solutions: Stored solutions.
        difficulty: What the data set calls its difficulty.
        wrapped: Whether expected results may be wrapped in a list of one, as in TACO and APPS.
        public: How many of the first tests a solver may see; None where the data set does not tell.
        cpu_seconds: The stated time limit; 0 if none.
        memory_mib: The stated memory limit; 0 if none.
        measured: Who attempted it, how often, and how often it passed; empty if nobody.
    """

    name: str
    statement: str
    entry: str = ""
    starter: str = ""
    calls: tuple[Call, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    solutions: tuple[str, ...] = ()
    difficulty: str = ""
    wrapped: bool = False
    public: int | None = None
    cpu_seconds: float = 0.0
    memory_mib: int = 0
    measured: tuple[str, int, int] | None = None


def parse_row(row: Mapping[str, Any], style: str = "") -> Contest:
    """Read a row.

    Args:
        row: Its columns.
        style: One of ``STYLES``; found by the columns if empty.

    Raises:
        UnknownName: There is no such style.
        ProblemError: The row cannot be read; says why.
    """
    style = style or style_of(row)
    if style not in STYLES:
        raise UnknownName("style of contests", style, STYLES)
    try:
        contest = STYLES[style](row)
        return replace(contest, cpu_seconds=_seconds(row.get("time_limit")), memory_mib=_mib(row.get("memory_limit")))
    except KeyError as error:
        raise ProblemError(f"a {style} row has no column or field {error}") from error
    except (TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise ProblemError(f"a {style} row cannot be read: {error}") from error


def style_of(columns: Iterable[str]) -> str:
    """Tell the style by the names of the columns.

    Raises:
        ProblemError: They are those of no style.
    """
    columns = set(columns)
    for style, needed in _COLUMNS.items():
        if needed <= columns:
            return style
    raise ProblemError(
        f"columns of no known style of contests: {', '.join(sorted(columns))}; known: {', '.join(STYLES)}"
    )


# --- LiveCodeBench ------------------------------------------------------------------------------


def _livecodebench(row: Mapping[str, Any]) -> Contest:
    public = _load(row["public_test_cases"])
    tests = public + _load(_unpacked(row.get("private_test_cases") or "[]"))
    metadata = _load(row.get("metadata") or "{}")
    return _of_tests(
        tests,
        fallback=metadata.get("func_name") or "",
        public=len(public),
        name=f"livecodebench/{row['question_id']}",
        statement=row["question_content"],
        starter=row.get("starter_code") or "",
        difficulty=row.get("difficulty") or "",
    )


class _OnlyText(pickle.Unpickler):
    """A pickle of a text needs no class; anything that names one is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"the tests name {module}.{name}")


def _unpacked(text: str) -> str:
    """Private tests are JSON, or JSON that was pickled, compressed and written in base 64."""
    if text.lstrip().startswith("["):
        return text
    try:
        unzip = zlib.decompressobj()
        data = unzip.decompress(base64.b64decode(text), _MOST_BYTES)
        if unzip.unconsumed_tail:
            raise ProblemError(f"its tests unpack to more than {_MOST_BYTES >> 20} MiB")
        found = _OnlyText(io.BytesIO(data)).load()
    except (binascii.Error, zlib.error, pickle.UnpicklingError, EOFError) as error:
        raise ProblemError(f"its private tests cannot be unpacked: {error}") from error
    if not isinstance(found, str):
        raise ProblemError("its private tests are not a text")
    return found


# --- TACO and APPS ------------------------------------------------------------------------------


def _taco(row: Mapping[str, Any]) -> Contest:
    named = next(
        str(row[name]) for name in ("problem_id", "url", "name", "question") if row.get(name) not in (None, "")
    )
    return _of_lists(
        _load(row["input_output"] or "{}"),
        name=f"{'apps' if 'problem_id' in row else 'taco'}/{named}",
        statement=row["question"],
        starter=row.get("starter_code") or "",
        solutions=_solutions(row.get("solutions")),
        difficulty=str(row.get("difficulty") or "").lower(),
    )


# --- DeepCoder ----------------------------------------------------------------------------------


def _deepcoder(row: Mapping[str, Any]) -> Contest:
    tests = _load(row["tests"])
    facts = {
        "name": f"deepcoder/{row.get('problem_id') or _digest(row['problem'])}",
        "statement": row["problem"],
        "starter": row.get("starter_code") or "",
        "solutions": _solutions(row.get("solutions")),
    }
    if isinstance(tests, dict):
        return _of_lists(tests, **facts)
    metadata = row.get("metadata") or {}
    return _of_tests(tests, fallback=(_load(metadata) or {}).get("func_name") or "", **facts)


def _digest(text: str) -> str:
    return f"{zlib.crc32(text.encode('utf-8', 'replace')):08x}"


# --- KodCode ------------------------------------------------------------------------------------


def _kodcode(row: Mapping[str, Any]) -> Contest:
    declared = (_load(row.get("test_info") or "[]") or [{}])[0]
    entry = declared.get("function_name") or _called(row["test"])
    tries = _load(row.get("gpt_pass_sequence") or "[]")
    return Contest(
        name=f"kodcode/{row['question_id']}",
        statement=row["question"],
        entry=entry,
        starter=declared.get("function_declaration") or "",
        calls=tuple(_asserted(row["test"], entry)),
        solutions=_solutions([row["solution"]]),
        difficulty=row.get("gpt_difficulty") or "",
        measured=("kodcode-gpt", len(tries), sum(map(bool, tries))) if tries else None,
    )


def _asserted(tests: str, entry: str) -> Iterable[Call]:
    """The assertions about one call with literal arguments; others are no cases."""
    for node in ast.walk(parse_program(tests)):
        if isinstance(node, ast.Assert):
            call, expected = _sides(node.test)
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == entry:
                try:
                    arguments = tuple(parse_literal(ast.unparse(argument)) for argument in call.args)
                    if not call.keywords:
                        yield arguments, parse_literal(ast.unparse(expected))
                except CodeEnvsError:
                    continue


def _sides(test: ast.expr) -> tuple[ast.expr, ast.expr]:
    match test:
        case ast.Compare(left=call, ops=[ast.Eq() | ast.Is()], comparators=[expected]):
            return call, expected
        case ast.UnaryOp(op=ast.Not(), operand=call):
            return call, ast.Constant(False)
    return test, ast.Constant(True)


def _called(tests: str) -> str:
    """The one function that the tests import from the solution; empty if there are others."""
    names = [
        alias.asname or alias.name
        for node in ast.walk(parse_program(tests))
        if isinstance(node, ast.ImportFrom) and node.module == "solution"
        for alias in node.names
    ]
    return names[0] if len(names) == 1 else ""


# --- what the styles share ----------------------------------------------------------------------


def _load(value: Any) -> Any:
    """Columns hold JSON as text, or, from Parquet files, the values themselves."""
    return json.loads(value) if isinstance(value, str) else value


def _solutions(value: Any) -> tuple[str, ...]:
    found = _load(value) if isinstance(value, str) and value.lstrip().startswith("[") else value
    texts = [found] if isinstance(found, str) else list(found or ())
    return tuple(_unfenced(text) for text in texts if text)


def _unfenced(text: str) -> str:
    found = _FENCE.search(text)
    return found[1] if found else text


def _of_lists(tests: Mapping[str, Any], **facts: Any) -> Contest:
    """Tests as two lists: a function is named, or the program reads standard input."""
    pairs = list(zip(tests.get("inputs") or (), tests.get("outputs") or (), strict=False))
    entry = tests.get("fn_name") or ""
    if entry:
        calls = tuple((tuple(given), expected) for given, expected in pairs if isinstance(given, list))
        return Contest(entry=entry, calls=calls, wrapped=True, **facts)
    return Contest(texts=tuple((_text(given), _text(expected)) for given, expected in pairs), **facts)


def _of_tests(tests: list[Mapping[str, Any]], fallback: str, **facts: Any) -> Contest:
    """Tests one by one, each of which says of what kind it is."""
    calls: list[Call] = []
    texts: list[tuple[str, str]] = []
    entry, wrapped = fallback, False
    for test in tests:
        kind = test.get("testtype") or test.get("type") or "stdin"
        named = test.get("fn_name") or (test.get("metadata") or {}).get("func_name") or ""
        if kind == "function_call":
            entry, wrapped = named or entry, True
            calls.append((tuple(_load(test["input"])), _load(test["output"])))
        elif kind == "functional":
            entry = named or entry
            lines = [line for line in test["input"].split("\n") if line.strip()]
            calls.append((tuple(json.loads(line) for line in lines), json.loads(test["output"])))
        else:
            texts.append((_text(test["input"]), _text(test["output"])))
    return Contest(
        entry=entry if calls else "",
        calls=tuple(calls),
        texts=tuple(texts if not calls else ()),
        wrapped=wrapped,
        **facts,
    )


def _seconds(value: Any) -> float:
    """A stated time limit, such as ``2.0 seconds``, ``500 ms`` or a number; 0 where there is none that can be read."""
    number, unit = _quantity(value)
    return number / 1000 if unit.startswith("m") else number


def _mib(value: Any) -> int:
    """A stated memory limit, such as ``256.0 megabytes`` or a number of them; 0 where none can be read."""
    number, unit = _quantity(value)
    scale = {"b": 2.0**-20, "k": 2.0**-10, "g": 2.0**10}.get(unit[:1], 1.0)
    return round(number * scale)


def _quantity(value: Any) -> tuple[float, str]:
    if isinstance(value, int | float):
        return (float(value) if 0 < value < math.inf else 0.0), ""
    found = _AMOUNT.match(value) if isinstance(value, str) else None
    return (float(found[1]), found[2].lower()) if found else (0.0, "")


def _text(value: Any) -> str:
    """Some rows hold the lines of a text."""
    return value if isinstance(value, str) else "\n".join(map(str, value))


STYLES: dict[str, Callable[[Mapping[str, Any]], Contest]] = {
    "livecodebench": _livecodebench,
    "taco": _taco,
    "deepcoder": _deepcoder,
    "kodcode": _kodcode,
}
"""How rows are read, by style; ``taco`` reads APPS, too."""
_COLUMNS = {
    "livecodebench": {"question_id", "question_content", "public_test_cases"},
    "taco": {"question", "input_output"},
    "deepcoder": {"problem", "tests"},
    "kodcode": {"question_id", "question", "solution", "test"},
}
