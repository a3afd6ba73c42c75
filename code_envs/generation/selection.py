"""Which problems of a run are handed on: by pass rate, by what was said before, by what benchmarks hold."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec

from code_envs.contamination import SuiteIndex
from code_envs.dedup import REPEATED, Deduplicator, Removal
from code_envs.errors import RunError
from code_envs.folders import drafted
from code_envs.generation.config import RunConfig
from code_envs.hashes import HashTable
from code_envs.problem import PROBLEMS, Chain, Problem, load_problems

__all__ = ["REMOVED", "Selection", "distinct", "each_distinct", "each_removal", "is_kept", "load_removals"]

REMOVED = "removed.jsonl"
"""The file of a run folder that says which problems its filters took out, and why."""


class Selection:
    """Chooses the problems of one run; made before the run, so that a filter that cannot work stops it early.

    Of the problems it has seen, and of those of earlier runs, it holds hashes alone.

    Args:
        config: The run.

    Raises:
        ConfigError: A benchmark file cannot be read.
        ProblemError: An earlier run holds no problems.
        FileNotFoundError: There is no such earlier run.
        MissingExtra: Near duplicates are asked for, and datasketch is not installed.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self._suites = SuiteIndex()
        for path in config.suites:
            self._suites.add_file(path)
        self._seen = None
        if config.similarity is not None or config.against:
            self._seen = Deduplicator(config.similarity or 1.0)
            for path in config.against:
                for problem in load_problems(path):
                    self._seen.add(problem, path)

    def __call__(self, chains: Iterable[Chain]) -> Iterator[Problem | Removal]:
        """Choose.

        Yields:
            In order, each problem to hand on, and why a filter took one out; what the pass rate alone
            takes out is passed over.
        """
        for problem in each_distinct(chains):
            if is_kept(problem, self.config):
                yield self._suites.match(problem) or self._repeats(problem) or problem

    def _repeats(self, problem: Problem) -> Removal | None:
        if self._seen is None:
            return None
        removal = self._seen.match(problem)
        if removal is None:
            self._seen.add(problem)
        return removal

    def write(self, chains: Iterable[Chain], folder: Path) -> None:
        """Write the problems to hand on; with filters also the removals, first those for the sake of benchmarks."""
        with ExitStack() as stack:
            out, more = (stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in range(2))
            problems = stack.enter_context(drafted(folder / PROBLEMS))
            for one in self(chains):
                if isinstance(one, Problem):
                    problems.write(one.to_json().encode() + b"\n")
                else:
                    (more if one.reason in REPEATED else out).write(msgspec.json.encode(one) + b"\n")
            if self._seen is not None or self.config.suites:
                with drafted(folder / REMOVED) as removed:
                    for part in (out, more):
                        part.seek(0)
                        shutil.copyfileobj(part, removed)


def load_removals(folder: str | Path) -> list[Removal]:
    """Read what the filters of a run took out; nothing if it has none.

    Raises:
        RunError: The file is damaged.
    """
    return list(each_removal(folder))


def each_removal(folder: str | Path) -> Iterator[Removal]:
    """Read one by one what :func:`load_removals` reads."""
    path = Path(folder) / REMOVED
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            try:
                yield msgspec.json.decode(line, type=Removal)
            except msgspec.DecodeError as error:
                raise RunError(f"{path} cannot be read: {error}") from error


def distinct(chains: Iterable[Chain]) -> list[Problem]:
    """The problems of chains, in order, each content once."""
    return list(each_distinct(chains))


def each_distinct(chains: Iterable[Chain]) -> Iterator[Problem]:
    """Hand out one by one what :func:`distinct` collects; holds the keys alone."""
    seen = HashTable()
    for chain in chains:
        for problem in chain.problems:
            if seen.add_new(int(problem.key, 16)):
                yield problem


def is_kept(problem: Problem, config: RunConfig) -> bool:
    """Whether the last measured pass rate of a problem is one to keep; an unmeasured one is not."""
    low, high = config.keep
    return low <= (problem.measurements[-1].rate if problem.measurements else math.nan) <= high
