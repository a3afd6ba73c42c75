"""Keeping benchmark items out of training problems: shared word n-grams and equal syntax trees.

A suite is any file of JSON rows. Every text of a row but its tests counts, however deep it lies, in lists
written as a text too: its prose by word n-grams, and what parses as Python, alone or in a fenced block, by its
functions and methods in normal form. So the same code reads HumanEval, MBPP, CRUXEval, LiveCodeBench,
APPS or CodeContests as they were published. Numbers alone, as in tests, and packed data say nothing.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
import re
import textwrap
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from code_envs.dedup import Removal, normal_tokens, words_of
from code_envs.errors import ConfigError, ProblemError
from code_envs.hashes import hash_of
from code_envs.modes.blocks import blocks_of
from code_envs.modes.validity import prose_of
from code_envs.problem import Problem
from code_envs.programs.source import parse_program, write_program

__all__ = ["NGRAM", "SuiteIndex", "decontaminate"]

NGRAM = 10
"""Words in a row that must not be shared (as in the reports of Qwen2.5-Coder)."""
_MIN_TOKENS = 24  # of a function in normal form: shorter ones are everyone's
_BODIES = ("canonical_solution", "solution", "code")
_NAMES = ("task_id", "id", "name", "question_id")
_PACKED = re.compile(r"[\w+/=-]{200,}", re.ASCII)  # such as the hidden tests of LiveCodeBench
_TESTS = re.compile(r"(^|_)(tests?|inputs|outputs|input_output)(_|$)")  # fields that neither ask nor answer
_UNBINDING = ("staticmethod", "classmethod")


class SuiteIndex:
    """What benchmarks say, looked up by n-gram and by function.

    Args:
        ngram: How many words in a row must not be shared.

    Raises:
        ConfigError: ``ngram`` is not positive.
    """

    def __init__(self, ngram: int = NGRAM) -> None:
        if ngram < 1:
            raise ConfigError(f"ngram is {ngram}; it must be at least 1")
        self.ngram = ngram
        self._grams: dict[int, tuple[str, str]] = {}  # hash of the words: item, suite
        self._trees: dict[str, tuple[str, str]] = {}

    def add(self, name: str, texts: Iterable[str], suite: str = "") -> bool:
        """Add one item of a benchmark.

        Args:
            name: What a removal will call it.
            texts: Its prose and its programs, in any mix.
            suite: The benchmark.

        Returns:
            Whether it says anything that a problem can be compared with.
        """
        found = False
        for text in texts:
            for tree, _ in _functions(text):
                self._trees.setdefault(tree, (name, suite))
                found = True
            for gram in _grams(_prose(text), self.ngram) if len(text) >= 2 * self.ngram - 1 else ():
                self._grams.setdefault(hash_of(" ".join(gram)), (name, suite))
                found = True
        return found

    def add_file(self, path: str | Path) -> int:
        """Add every row of a ``.json``, ``.jsonl`` or ``.jsonl.gz`` file; one of JSON lines is read row by row.

        Returns:
            How many rows it has.

        Raises:
            ConfigError: There is no such file, it holds no rows of JSON objects, or nothing in them can
                be compared with.
        """
        path, count, found = Path(path), 0, False
        for count, row in enumerate(_rows(path), 1):
            named = next((row[field] for field in _NAMES if field in row), count)
            found |= self.add(str(named), _texts(row), path.name)
        if not count:
            raise ConfigError(f"{path} cannot be read as a benchmark: it holds no JSON objects")
        if not found:
            raise ConfigError(
                f"{path} would keep nothing out: none of its {count} rows has {self.ngram} words in a row, "
                "or a Python function that is long enough to tell; give the benchmark with its texts and solutions"
            )
        return count

    def match(self, problem: Problem) -> Removal | None:
        """Find a benchmark item that a problem shares words or a function with; None if there is none."""
        if not self._grams and not self._trees:
            return None
        for source in (problem.program, problem.reference):
            for tree, name in _functions(source):
                if tree in self._trees:
                    item, suite = self._trees[tree]
                    return Removal(key=problem.key, reason="syntax-tree", match=item, source=suite, evidence=name)
        for text in (problem.message, _prose(problem.program)):
            for gram in _grams(text, self.ngram):
                shared = " ".join(gram)
                if hash_of(shared) in self._grams:
                    item, suite = self._grams[hash_of(shared)]
                    return Removal(key=problem.key, reason="ngram", match=item, source=suite, evidence=shared)
        return None


def decontaminate(problems: Iterable[Problem], index: SuiteIndex) -> tuple[list[Problem], list[Removal]]:
    """Take out what benchmarks hold.

    Returns:
        The clean problems, in order, and a record of each that was taken out.
    """
    clean: list[Problem] = []
    removals: list[Removal] = []
    for problem in problems:
        removal = index.match(problem)
        if removal:
            removals.append(removal)
        else:
            clean.append(problem)
    return clean, removals


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.name.removesuffix(".gz").endswith(".json"):
        held = _decoded(path, "it", b"".join(_lines(path)))
        if not isinstance(held, list):
            raise ConfigError(f"{path} cannot be read as a benchmark: it holds no list of JSON objects")
        rows: Iterable[tuple[str, Any]] = ((f"item {number}", row) for number, row in enumerate(held, 1))
    else:
        lines = ((f"line {number}", line.strip()) for number, line in enumerate(_lines(path), 1))
        rows = ((where, _decoded(path, where, line)) for where, line in lines if line)
    for where, row in rows:
        if not isinstance(row, dict):
            raise ConfigError(f"{path} cannot be read as a benchmark: {where} is no JSON object")
        yield row


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from file
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path} cannot be read as a benchmark, JSON rows are needed: {error}") from error


def _decoded(path: Path, where: str, text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        # a decoder's own line number would start anew with each row
        fault = f"{error.msg} (character {error.pos + 1})" if isinstance(error, json.JSONDecodeError) else error
        raise ConfigError(f"{path} cannot be read as a benchmark: {where} is no JSON: {fault}") from error


def _texts(row: Mapping[str, Any]) -> Iterator[str]:
    """Every text of a row but its tests, and the fenced blocks in it.

    A body that continues a prompt, as in HumanEval, is also joined with it.
    """
    parts: list[Any] = [row]
    while parts:  # no recursion: a row may nest deeply
        part = parts.pop()
        if isinstance(part, dict):
            parts += [held for field, held in part.items() if not _TESTS.search(field)]
            if isinstance(part.get("prompt"), str):
                parts += [part["prompt"] + part[field] for field in _BODIES if isinstance(part.get(field), str)]
        elif isinstance(part, list):
            parts += part
        elif isinstance(part, str):
            held = _held(part)
            if held is not None:
                parts.append(held)
            elif not _PACKED.fullmatch(part):
                yield part
                yield from (textwrap.dedent(block.text) for block in blocks_of(part.split("\n")))


def _held(text: str) -> Any:
    """The list or object that a text holds as JSON, as the solutions of APPS; None if it holds none."""
    text = text.strip()
    if text[:1] + text[-1:] not in ("[]", "{}"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _prose(text: str) -> str:
    """The comments and docstrings of a program; any other text whole."""
    try:
        return prose_of(text)
    except ProblemError:
        return text


def _grams(text: str, count: int) -> Iterator[tuple[str, ...]]:
    words = words_of(text)
    for start in range(len(words) - count + 1):
        gram = tuple(words[start : start + count])
        if not all(map(str.isdigit, gram)):
            yield gram


def _functions(text: str) -> Iterator[tuple[str, str]]:
    """The functions of a program that are long enough to tell: the hash of the normal form, and the name."""
    if "def" not in text:
        return
    try:
        tree = parse_program(text)
    except ProblemError:
        return
    _free_methods(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            try:
                tokens = normal_tokens(write_program(node))
            except ProblemError:
                continue
            if len(tokens) >= _MIN_TOKENS:
                yield hashlib.sha256(" ".join(tokens).encode("utf-8", "replace")).hexdigest(), node.name


def _free_methods(tree: ast.Module) -> None:
    """Make functions of methods: the same solution is the one at LeetCode and the other elsewhere."""
    methods = (each for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for each in node.body)
    for method in methods:
        if not isinstance(method, ast.FunctionDef):
            continue
        marks = [node.id for node in method.decorator_list if isinstance(node, ast.Name)]
        method.decorator_list = [
            node for node in method.decorator_list if not (isinstance(node, ast.Name) and node.id in _UNBINDING)
        ]
        parameters = method.args.posonlyargs or method.args.args
        if parameters and "staticmethod" not in marks:
            _Unbinder(parameters.pop(0).arg).visit(method)


class _Unbinder(ast.NodeTransformer):
    """Turns the calls of an object's own methods into plain ones."""

    def __init__(self, owner: str) -> None:
        self.owner = owner

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node.func:
            case ast.Attribute(value=ast.Name(id=self.owner), attr=name):
                node.func = ast.copy_location(ast.Name(id=name, ctx=ast.Load()), node.func)
        return self.generic_visit(node)
