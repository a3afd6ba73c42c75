"""Finding problems that say the same: in normal form, or nearly, within a run and against earlier ones.

Two problems are compared by what they ask: mode, program and checks as normal-form syntax trees
(names, comments and layout aside), message by its words, and the asked call where there is one.
Siblings of one chain are alike on purpose, and are never compared with each other.

Near duplicates are found by MinHash over shingles of that text and locality-sensitive hashing
(Broder 1997; the library is datasketch), so that the cost grows with the number of problems, not its square.
"""

from __future__ import annotations

import hashlib
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

from code_envs.errors import ConfigError, MissingExtra, ProblemError
from code_envs.problem import Mode, Problem
from code_envs.programs.source import normalise

__all__ = ["NEAR", "Deduplicator", "Removal", "deduplicate", "fingerprint", "normal_tokens", "words_of"]

NEAR = 0.9
"""The similarity from which problems count as near duplicates where nothing else is asked for."""
_PERMUTATIONS = 128
_SHINGLE = 4  # tokens
_WORD = re.compile(r"\w+")


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
    """Remembers problems, and says of a new one which of them it repeats.

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
        self._exact: dict[str, list[tuple[str, str, str]]] = {}  # fingerprint: key, chain, source
        self._near: dict[str, tuple[Any, str, str]] = {}  # key: MinHash, chain, source
        self._index = _lsh(similarity) if similarity < 1 else None

    def add(self, problem: Problem, source: str = "") -> None:
        """Remember a problem; ``source`` is the name that a later removal gives as its origin."""
        place = (problem.key, problem.lineage.chain, source)
        self._exact.setdefault(fingerprint(problem), []).append(place)
        if self._index is not None and problem.key not in self._near:
            sketch = _sketch(problem)
            self._near[problem.key] = (sketch, *place[1:])
            self._index.insert(problem.key, sketch)

    def match(self, problem: Problem) -> Removal | None:
        """Find what a problem repeats: the same first, then the most similar; None if it is new."""
        for key, chain, source in self._exact.get(fingerprint(problem), ()):
            if not _are_siblings(problem, chain, source):
                return Removal(key=problem.key, reason="duplicate", match=key, source=source)
        if self._index is None:
            return None
        sketch, best = _sketch(problem), None
        for key in sorted(self._index.query(sketch)):
            other, chain, source = self._near[key]
            shared = float(sketch.jaccard(other))
            if (
                shared >= self.similarity
                and not _are_siblings(problem, chain, source)
                and (not best or shared > best[0])
            ):
                best = shared, key, source
        if best is None:
            return None
        return Removal(key=problem.key, reason="near-duplicate", match=best[1], source=best[2], similarity=best[0])


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


def _are_siblings(problem: Problem, chain: str, source: str) -> bool:
    return bool(chain) and problem.lineage.chain == chain and not source  # two runs may name chains alike


@lru_cache(maxsize=4096)
def _parts(problem: Problem) -> tuple[tuple[str, ...], ...]:
    """What a problem asks, as token sequences that are not affected by names and layout."""
    sources = (problem.program, problem.precondition, problem.property, problem.reference)
    asked = problem.cases[0].arguments if problem.mode in (Mode.ABDUCTION, Mode.DEDUCTION) else ""
    message = words_of(problem.message) if problem.mode is Mode.INDUCTION or problem.differential else []
    return (*(tuple(normal_tokens(source)) for source in sources), tuple(message), tuple(words_of(asked)))


def fingerprint(problem: Problem) -> str:
    """A hash of what a problem asks, the same for problems that differ in names and layout alone."""
    text = msgspec.json.encode([str(problem.mode), _parts(problem)])
    return hashlib.sha256(text).hexdigest()


def _shingles(problem: Problem) -> Iterator[bytes]:
    yield str(problem.mode).encode()
    for place, part in enumerate(_parts(problem)):
        for start in range(max(1, len(part) - _SHINGLE + 1) if part else 0):
            yield f"{place} {' '.join(part[start : start + _SHINGLE])}".encode("utf-8", "replace")


def _sketch(problem: Problem) -> Any:
    from datasketch import MinHash

    sketch = MinHash(num_perm=_PERMUTATIONS, seed=1)
    sketch.update_batch(sorted(set(_shingles(problem))))
    return sketch


def _lsh(similarity: float) -> Any:
    try:
        from datasketch import MinHashLSH
    except ImportError as error:
        raise MissingExtra("datasketch", "dedup") from error
    # the index may miss few and propose too many: what it proposes is compared
    return MinHashLSH(threshold=similarity, num_perm=_PERMUTATIONS, weights=(0.1, 0.9))
