"""What the problems of the chain under way ask, so that a teacher that is a model writes none of them again."""

from __future__ import annotations

from code_envs.dedup import fingerprints, normal_tokens
from code_envs.hashes import hash_of
from code_envs.problem import Problem

__all__ = ["Series"]


class Series:
    """Remembers the problems of one chain, those that the teacher was given and those that it made.

    Args:
        plant_faults: In differential fuzzing compare what is right: another fault that is planted in it
            makes nothing new.
    """

    def __init__(self, *, plant_faults: bool = False) -> None:
        self.plant_faults = plant_faults
        self.forget()

    def forget(self) -> None:
        """The chain is done."""
        self._chain = ""
        self._last: set[int] = set()
        self._all: set[int] = set()

    def enter(self, chain: str, last: Problem | None) -> None:
        """Go on with a chain, after its last problem; without one it begins. Other chains are forgotten."""
        if last is None or not chain or chain != self._chain:
            self.forget()
        self._chain = chain
        if last is not None:
            self._last = self._asked(last)
            self.add(last)

    def add(self, problem: Problem) -> None:
        """Remember a problem of the chain."""
        self._all |= self._asked(problem)

    def repeated(self, problem: Problem) -> str:
        """Which problem of the chain it is again, names and layout aside, in words; empty if it is new."""
        asked = self._asked(problem)
        if asked & self._last:
            return "the last problem"
        return "an earlier problem of this series" if asked & self._all else ""

    def _asked(self, problem: Problem) -> set[int]:
        if self.plant_faults and problem.differential:
            return {hash_of(" ".join(normal_tokens(problem.reference)))}
        return set(fingerprints(problem))
