"""Keeping benchmark items out of training problems: shared word n-grams and equal syntax trees.

A suite is any file of JSON rows. Every text of a row counts: its prose by word n-grams, and what
parses as Python by its functions in normal form. So the same code reads HumanEval, MBPP, CRUXEval or
LiveCodeBench as they were published.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from code_envs.dedup import Removal, normal_tokens, words_of
from code_envs.errors import ConfigError, ProblemError
from code_envs.modes.validity import prose_of
from code_envs.problem import Problem
from code_envs.programs.source import parse_program

__all__ = ["NGRAM", "SuiteIndex", "decontaminate"]

NGRAM = 10
"""Words in a row that must not be shared (as in the reports of Qwen2.5-Coder)."""
_MIN_TOKENS = 24  # of a function in normal form: shorter ones are everyone's
_BODIES = ("canonical_solution", "solution", "code")


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

    def add(self, name: str, texts: Iterable[str], suite: str = "") -> None:
        """Add one item of a benchmark.

        Args:
            name: What a removal will call it.
            texts: Its prose and its programs, in any mix.
            suite: The benchmark.
        """
        for text in texts:
            trees = dict(_functions(text))
            for tree in trees:
                self._trees.setdefault(tree, (name, suite))
            for gram in _grams(_prose(text), self.ngram):
                self._grams.setdefault(_code(gram), (name, suite))

    def add_file(self, path: str | Path) -> int:
        """Add every row of a ``.json``, ``.jsonl`` or ``.jsonl.gz`` file.

        Returns:
            How many rows it has.

        Raises:
            ConfigError: There is no such file, or it holds no rows of JSON objects.
        """
        rows = _rows(Path(path))
        for number, row in enumerate(rows, 1):
            named = next((row[field] for field in ("task_id", "id", "name", "question_id") if field in row), number)
            self.add(str(named), _texts(row), Path(path).name)
        return len(rows)

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
                if _code(gram) in self._grams:
                    item, suite = self._grams[_code(gram)]
                    shared = " ".join(gram)
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


def _rows(path: Path) -> list[Mapping[str, Any]]:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        rows = json.loads(data) if path.suffix == ".json" else [json.loads(line) for line in data.splitlines()]
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as a benchmark, JSON rows are needed: {error}") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"{path} cannot be read as a benchmark: it holds no list of JSON objects")
    return rows


def _texts(row: Mapping[str, Any]) -> list[str]:
    """Every text of a row; a body that continues a prompt, as in HumanEval, is also joined with it."""
    texts = [value for value in row.values() if isinstance(value, str)]
    texts += [part for value in row.values() if isinstance(value, list) for part in value if isinstance(part, str)]
    bodies = [row[field] for field in _BODIES if isinstance(row.get(field), str)]
    if isinstance(row.get("prompt"), str):
        texts += [row["prompt"] + body for body in bodies]
    return texts


def _prose(text: str) -> str:
    """The comments and docstrings of a program; any other text whole."""
    try:
        return prose_of(text)
    except ProblemError:
        return text


def _grams(text: str, count: int) -> Iterator[tuple[str, ...]]:
    words = words_of(text)
    yield from (tuple(words[start : start + count]) for start in range(len(words) - count + 1))


def _code(gram: tuple[str, ...]) -> int:
    return int.from_bytes(hashlib.blake2b(" ".join(gram).encode("utf-8", "replace"), digest_size=8).digest())


def _functions(text: str) -> Iterator[tuple[str, str]]:
    """The functions of a program that are long enough to tell: the hash of the normal form, and the name."""
    try:
        tree = parse_program(text)
    except ProblemError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            tokens = normal_tokens(ast.unparse(node))
            if len(tokens) >= _MIN_TOKENS:
                yield hashlib.sha256(" ".join(tokens).encode("utf-8", "replace")).hexdigest(), node.name
