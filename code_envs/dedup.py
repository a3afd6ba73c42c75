"""Finding problems that say the same: in normal form, or nearly, within a run and against earlier ones.

Two problems are compared by what the student sees: mode, program and checks as normal-form syntax trees
(names, comments and layout aside), message, and the call or the result that is asked about. Siblings of one
chain are alike on purpose: they repeat each other only if they are equal in normal form.

Near duplicates are found by MinHash over shingles of that text and locality-sensitive hashing
(Broder 1997; the library is datasketch), so that the cost grows with the number of problems, not its square.
"""

from __future__ import annotations

import io
import re
import tokenize
from array import array
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from code_envs.errors import ConfigError, MissingExtra, ProblemError
from code_envs.hashes import HashTable, hash_of
from code_envs.problem import Case, Mode, Problem
from code_envs.programs.source import normalise
from code_envs.values import decode, write_literal

__all__ = ["NEAR", "REPEATED", "Deduplicator", "Removal", "deduplicate", "fingerprints", "normal_tokens", "words_of"]

NEAR = 0.9
"""The similarity from which problems count as near duplicates where nothing else is asked for."""
REPEATED = ("duplicate", "near-duplicate")
"""The reasons of removals that are about other problems, not about benchmarks."""
_PERMUTATIONS = 128
_SHINGLE = 4  # tokens
_WORD = re.compile(r"\w+")
_MARKS = re.compile(r"\w+|\W\s*")  # of a literal: together they are its text


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a problem was taken out of a set.

    Attributes:
        key: The content key of the problem.
        reason: ``duplicate``, ``near-duplicate``, ``ngram`` or ``syntax-tree``.
        match: What it matched: the key of another problem, or the name of a benchmark's item.
        source: Where that stands: a run, a file, a suite; empty for the same set.
        similarity: How much of it is shared, in [0, 1]; 1 for exact matches.
        evidence: The words or the function that both have.
    """

    key: str
    reason: str
    match: str
    source: str = ""
    similarity: float = 1.0
    evidence: str = ""


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return _WORD.findall(text.lower())


def normal_tokens(program: str) -> list[str]:
    """The tokens of a program in normal form; the words of a text that is no program."""
    try:
        source = normalise(program)
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        return [token.string for token in tokens if token.string.strip()]
    except (ProblemError, tokenize.TokenError, SyntaxError):
        return words_of(program)


class Deduplicator:
    """Remembers problems by hashes, and says of a new one which of them it repeats.

    Args:
        similarity: From which share of common shingles problems are near duplicates, in (0, 1]; at 1
            only those that are equal in normal form count, and no library is needed.

    Raises:
        ConfigError: The similarity is out of range.
        MissingExtra: datasketch is not installed, and the similarity is below 1.
    """

    def __init__(self, similarity: float = NEAR) -> None:
        if not 0 < similarity <= 1:
            raise ConfigError(f"similarity is {similarity}; give a share above 0, at most 1")
        self.similarity = similarity
        self._fingerprints, self._origins = HashTable(), _Origins()
        self._near = _NearIndex(similarity) if similarity < 1 else None

    def add(self, problem: Problem, source: str = "") -> None:
        """Remember a problem; ``source`` is the name that a later removal gives as its origin."""
        for code in fingerprints(problem):
            if self._fingerprints.add_new(code):
                self._origins.add(problem, source)
        if self._near is not None:
            self._near.add(problem, source)

    def match(self, problem: Problem) -> Removal | None:
        """Find what a problem repeats: the same first, then the most similar; None if it is new."""
        for code in fingerprints(problem):
            for number in self._fingerprints.find(code):
                key, source = self._origins.name(number)
                return Removal(key=problem.key, reason="duplicate", match=key, source=source)
        return None if self._near is None else self._near.match(problem)


class _Origins:
    """Which problems were remembered, of which chains and sets: 20 bytes of each."""

    def __init__(self) -> None:
        self._keys, self._chains, self._sets = array("Q"), array("Q"), array("i")
        self._names = {"": 0}

    def add(self, problem: Problem, source: str) -> None:
        self._keys.append(int(problem.key, 16))
        self._chains.append(hash_of(problem.lineage.chain))
        self._sets.append(self._names.setdefault(source, len(self._names)))

    def name(self, number: int) -> tuple[str, str]:
        """The content key and the set of a problem."""
        return f"{self._keys[number]:016x}", list(self._names)[self._sets[number]]

    def are_siblings(self, problem: Problem, number: int) -> bool:
        """Whether both are of one chain, which only two of one run can be: others may name theirs alike."""
        chain = problem.lineage.chain
        return bool(chain) and not self._sets[number] and self._chains[number] == hash_of(chain)


class _NearIndex:
    """The sketches of problems, and which of them share a band with another.

    It is :class:`datasketch.MinHashLSH` with its bands, but holds hashes of them: some 700 bytes of a
    problem, where the library's tables take 5,000.
    """

    def __init__(self, similarity: float) -> None:
        self._similarity = similarity
        self._bands = [(start, end, HashTable()) for start, end in _lsh(similarity).hashranges]
        self._keys, self._origins, self._sketches = HashTable(), _Origins(), array("I")

    def add(self, problem: Problem, source: str) -> None:
        key = int(problem.key, 16)
        if key in self._keys:
            return
        sketch = _sketch(problem)
        self._keys.add(key)
        self._origins.add(problem, source)
        self._sketches.frombytes(sketch.tobytes())
        for code, table in self._codes(sketch):
            table.add(code)

    def match(self, problem: Problem) -> Removal | None:
        sketch, best = _sketch(problem), (0.0, -1)
        found = {number for code, table in self._codes(sketch) for number in table.find(code)}
        for number in sorted(found, key=self._keys.hashes.__getitem__):
            shared = self._shared(sketch, number)
            if shared >= self._similarity and shared > best[0] and not self._origins.are_siblings(problem, number):
                best = shared, number
        if best[1] < 0:
            return None
        key, source = self._origins.name(best[1])
        return Removal(key=problem.key, reason="near-duplicate", match=key, source=source, similarity=best[0])

    def _codes(self, sketch: np.ndarray) -> Iterator[tuple[int, HashTable]]:
        for start, end, table in self._bands:
            yield hash_of(sketch[start:end].tobytes()), table

    def _shared(self, sketch: np.ndarray, number: int) -> float:
        """The Jaccard similarity of two sets of shingles, as their sketches estimate it."""
        other = self._sketches[number * _PERMUTATIONS : (number + 1) * _PERMUTATIONS]
        return float(np.count_nonzero(sketch == np.asarray(other))) / _PERMUTATIONS


def deduplicate(
    problems: Iterable[Problem],
    similarity: float = NEAR,
    against: Iterable[tuple[str, Iterable[Problem]]] = (),
) -> tuple[list[Problem], list[Removal]]:
    """Take out what was said before.

    Args:
        problems: What to look through; of two that repeat each other the first stays.
        similarity: See :class:`Deduplicator`.
        against: Earlier sets, each with its name; their problems stay where they are.

    Returns:
        The problems that are new, in order, and a record of each that is not.

    Raises:
        ConfigError: The similarity is out of range.
        MissingExtra: datasketch is not installed, and the similarity is below 1.
    """
    seen = Deduplicator(similarity)
    for source, earlier in against:
        for problem in earlier:
            seen.add(problem, source)
    new: list[Problem] = []
    removals: list[Removal] = []
    for problem in problems:
        removal = seen.match(problem)
        if removal:
            removals.append(removal)
        else:
            seen.add(problem)
            new.append(problem)
    return new, removals


@lru_cache(maxsize=16)  # a problem is looked up, then remembered; these are large
def _parts(problem: Problem) -> tuple[tuple[str, ...], ...]:
    """What a problem asks, as token sequences that are not affected by names and layout."""
    program = tuple(normal_tokens(problem.program))
    match problem.mode:
        case Mode.INDUCTION:  # the program stands for its examples, of which others would do
            return program, tuple(words_of(problem.message))
        case Mode.DEDUCTION:
            return program, _marks(_call(problem.cases[0]))
        case Mode.ABDUCTION:
            return program, tuple(normal_tokens(problem.precondition)), _marks(_result(problem.cases[0]))
    message = problem.message.split() if problem.differential else []  # it alone says what is right
    checks = (tuple(normal_tokens(source)) for source in (problem.precondition, problem.property))
    return program, *checks, tuple(message)


def _call(case: Case) -> str:
    return write_literal(case.values())


def _result(case: Case) -> str:
    return write_literal(decode(case.expected())) if case.result else ""


def _marks(literal: str) -> tuple[str, ...]:
    return tuple(_MARKS.findall(literal))


@lru_cache(maxsize=16)
def fingerprints(problem: Problem) -> tuple[int, ...]:
    """Hash what a problem asks, names and layout aside: problems that share a hash are the same to a student.

    Returns:
        One hash of 64 bits; in induction also one of message and examples, with which they are the same
        whatever program they come from, and that one alone where no program is known.
    """
    asked: list[tuple[object, ...]] = [_parts(problem)] if problem.program else []
    if problem.mode is Mode.INDUCTION:
        examples = [(_call(case), _result(case)) for case in problem.cases]
        asked.append(("examples", problem.message.split(), examples))
    return tuple(hash_of(msgspec.json.encode([str(problem.mode), *parts])) for parts in asked)


def _shingles(problem: Problem) -> Iterator[bytes]:
    yield str(problem.mode).encode()
    for place, part in enumerate(_parts(problem)):
        for start in range(max(1, len(part) - _SHINGLE + 1) if part else 0):
            yield f"{place} {' '.join(part[start : start + _SHINGLE])}".encode("utf-8", "replace")


def _sketch(problem: Problem) -> np.ndarray:
    from datasketch import MinHash

    sketch = MinHash(num_perm=_PERMUTATIONS, seed=1)
    sketch.update_batch(sorted(set(_shingles(problem))))
    return np.asarray(sketch.hashvalues, np.uint32)  # they are of 32 bits


def _lsh(similarity: float) -> Any:
    try:
        from datasketch import MinHashLSH
    except ImportError as error:
        raise MissingExtra("datasketch", "dedup") from error
    # the index may miss few and propose too many: what it proposes is compared
    return MinHashLSH(threshold=similarity, num_perm=_PERMUTATIONS, weights=(0.1, 0.9))
