"""What a student is: anything that maps prompts to replies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from code_envs.problem import Problem

__all__ = ["Prompt", "Student"]


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """One problem as a student sees it.

    Attributes:
        text: The user prompt, as plain text.
        view: The same as a record, without anything hidden; for students that do not read prose.
    """

    text: str
    view: Problem


@runtime_checkable
class Student(Protocol):
    """Maps prompts to replies."""

    name: str

    def answer(self, prompts: Sequence[Prompt], *, seed: int = 0) -> Sequence[str | None]:
        """Answer each prompt once.

        Args:
            prompts: Any mix; a problem that is to be attempted M times stands M times in it.
            seed: Attempt ``i`` draws from ``np.random.default_rng([seed, i])``.

        Returns:
            One reply for each prompt, in order; None where the infrastructure lost it: unscored.
        """
        ...
