"""Run a harvested function in the sandbox to learn which inputs it takes and what it gives.

What is found depends on the function alone, not on what was drawn before, so that it can be kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from code_envs.errors import ValueRefused
from code_envs.executor import Execution, Executor, Job, Limits
from code_envs.programs.inputs import boundary_arguments, random_arguments, vary_arguments
from code_envs.teacher.harvest_evidence import Arguments, evidence
from code_envs.teacher.harvest_guess import guesses
from code_envs.teacher.harvest_scan import Candidate
from code_envs.teacher.seeds import SeedSource
from code_envs.values import encode, write_literal

__all__ = ["LIMITS", "Known", "Pool", "build_pool", "call_all", "stream_of"]

LIMITS = Limits(cpu_seconds=0.5, wall_seconds=10.0, result_bytes=1 << 16)
"""What a harvested function may use while its inputs are sought: far below the grading limits."""
_CHUNK = 24  # calls to one process: one that never ends costs only its own chunk
_MAX_RESULT, _MAX_ARGUMENTS = 600, 600  # encoded bytes; more is not for reading
_WANTED = 72
_MIN_RESULTS = 2
_MIN_SHARE = 0.5  # of the guessed inputs that must run cleanly


class Known(NamedTuple):
    """One call that ran cleanly.

    Attributes:
        arguments: The argument tuple.
        result: What the function gave.
        code: The canonical encoding of the result.
        size: How much there is to read in the arguments, in encoded bytes.
    """

    arguments: Arguments
    result: object
    code: bytes
    size: int


class Pool(msgspec.Struct, frozen=True):
    """What is known about a function.

    Attributes:
        known: Calls that ran cleanly, with distinct arguments, in a fixed order.
        samples: The argument tuples that others were made like.
    """

    known: tuple[Known, ...]
    samples: tuple[Arguments, ...]

    def results(self) -> dict[bytes, int]:
        """How often each result occurs."""
        counts: dict[bytes, int] = {}
        for known in self.known:
            counts[known.code] = counts.get(known.code, 0) + 1
        return counts


def stream_of(*texts: str) -> np.random.Generator:
    """Make a random stream that depends on texts alone."""
    digest = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def build_pool(candidate: Candidate, source: SeedSource, executor: Executor) -> Pool | None:
    """Find inputs for a function and run it on them.

    Args:
        candidate: The function.
        source: Where it comes from.
        executor: Runs it.

    Returns:
        What is known; None if too few inputs work, its results are too much alike, or it is not
        deterministic.
    """
    rng = stream_of(candidate.program, candidate.name)
    samples = _samples(candidate, source, executor, rng)
    if not samples:
        return None
    wider = random_arguments(samples, rng, _WANTED)
    wider += boundary_arguments(samples, rng, _WANTED // 4)
    wider += [vary_arguments(samples[rng.integers(len(samples))], rng) for _ in range(_WANTED // 4)]
    known = call_all(candidate, [*samples, *wider], executor)
    pool = Pool(tuple(known), tuple(samples))
    if len(pool.results()) < _MIN_RESULTS or not _is_deterministic(candidate, known, executor):
        return None
    return pool


def _samples(candidate: Candidate, source: SeedSource, executor: Executor, rng: np.random.Generator) -> list[Arguments]:
    """The inputs that people wrote, else the guessed ones of the types that work best."""
    found = call_all(candidate, evidence(candidate, source), executor)
    if len({known.code for known in found}) >= 3:
        return [known.arguments for known in found]
    best: list[Known] = []
    groups = guesses(candidate, rng, 8)
    for group, known in zip(groups, _call_groups(candidate, groups, executor), strict=True):
        results = len({item.code for item in known})
        if len(known) >= _MIN_SHARE * len(group) and results > 1.25 * len({item.code for item in best}):
            best = known  # the likelier types were tried first: only clearly better ones replace them
    return [known.arguments for known in (*found, *best)] if best else []


def call_all(candidate: Candidate, calls: Sequence[Arguments], executor: Executor) -> list[Known]:
    """Run a function and keep the calls that ran cleanly, with a result that can be read."""
    return _call_groups(candidate, [calls], executor)[0]


def _call_groups(candidate: Candidate, groups: Sequence[Sequence[Arguments]], executor: Executor) -> list[list[Known]]:
    jobs: list[Job] = []
    places: list[tuple[int, list[Arguments]]] = []
    for index, group in enumerate(groups):
        distinct = list({_encoded(call): call for call in group if _encoded(call)}.values())
        for start in range(0, len(distinct), _CHUNK):
            chunk = distinct[start : start + _CHUNK]
            encoded = [_encoded(call) for call in chunk]
            jobs.append(Job(program=candidate.program, entry=candidate.name, calls=encoded, limits=LIMITS))
            places.append((index, chunk))
    known: list[list[Known]] = [[] for _ in groups]
    for (index, chunk), executions in zip(places, executor.run_jobs(jobs), strict=True):
        pairs = zip(chunk, executions, strict=True)
        known[index] += [item for call, execution in pairs if (item := _clean(call, execution))]
    return known


def _encoded(call: Arguments) -> bytes:
    try:
        code = encode(call, ordered=True)
        write_literal(call)
    except ValueRefused:
        return b""
    return code if len(code) <= _MAX_ARGUMENTS else b""


def _clean(call: Arguments, execution: Execution) -> Known | None:
    if not execution.ok or execution.mutated or len(execution.value) > _MAX_RESULT:
        return None
    try:
        return Known(call, execution.result(), execution.value, len(_encoded(call)))
    except ValueError:  # bytes that are no encoding: a program can forge its own result
        return None


def _is_deterministic(candidate: Candidate, known: Sequence[Known], executor: Executor) -> bool:
    """Run everything once more, in reverse, with another hash seed."""
    backwards = list(reversed(known))
    calls = [_encoded(item.arguments) for item in backwards]
    job = Job(program=candidate.program, entry=candidate.name, calls=calls, limits=LIMITS, variant=1, seed=1)
    executions = executor.run_jobs([job])[0]
    return all(item.code == execution.value for item, execution in zip(backwards, executions, strict=True))
