"""Which problems of a run are handed on: by pass rate, by what was said before, by what benchmarks hold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import msgspec

from code_envs.contamination import SuiteIndex, decontaminate
from code_envs.dedup import Deduplicator, Removal, deduplicate
from code_envs.errors import RunError
from code_envs.generation.config import RunConfig
from code_envs.problem import Chain, Problem, load_problems

__all__ = ["REMOVED", "Selection", "distinct", "kept", "load_removals"]

REMOVED = "removed.jsonl"
"""The file of a run folder that says which problems its filters took out, and why."""


class Selection:
    """Chooses the problems of a run; made before the run, so that a filter that cannot work stops it early.

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
        self.filters = config.similarity is not None or bool(config.against or config.suites)
        self._similarity = config.similarity or 1.0
        Deduplicator(self._similarity)
        self._index = SuiteIndex()
        for path in config.suites:
            self._index.add_file(path)
        self._earlier = [(path, list(load_problems(path))) for path in config.against]

    def __call__(self, chains: Iterable[Chain]) -> tuple[list[Problem], list[Removal]]:
        """Choose.

        Returns:
            The problems to hand on, in order, and those that a filter took out; what the pass rate
            alone takes out is not listed.
        """
        problems = kept(distinct(chains), self.config)
        if not self.filters:
            return problems, []
        problems, contaminated = decontaminate(problems, self._index)
        if self.config.similarity is None and not self._earlier:
            return problems, contaminated
        problems, repeated = deduplicate(problems, self._similarity, self._earlier)
        return problems, [*contaminated, *repeated]


def load_removals(folder: str | Path) -> list[Removal]:
    """Read what the filters of a run took out; nothing if it has none.

    Raises:
        RunError: The file is damaged.
    """
    path = Path(folder) / REMOVED
    if not path.exists():
        return []
    try:
        return [msgspec.json.decode(line, type=Removal) for line in path.read_bytes().splitlines()]
    except msgspec.DecodeError as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def distinct(chains: Iterable[Chain]) -> list[Problem]:
    """The problems of chains, in order, each content once."""
    found: dict[str, Problem] = {}
    for chain in chains:
        for problem in chain.problems:
            found.setdefault(problem.key, problem)
    return list(found.values())


def kept(problems: Iterable[Problem], config: RunConfig) -> list[Problem]:
    """The problems whose last measured pass rate is one to keep; unmeasured ones are not."""
    low, high = config.keep
    return [problem for problem in problems if low <= _rate(problem) <= high]


def _rate(problem: Problem) -> float:
    return problem.measurements[-1].rate if problem.measurements else math.nan
