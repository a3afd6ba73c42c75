"""Which modes there are: adding one costs its file, its template, its test and one line here."""

from __future__ import annotations

from code_envs.errors import UnknownName
from code_envs.modes.abduction import Abduction
from code_envs.modes.base import Rules
from code_envs.modes.deduction import Deduction
from code_envs.modes.fuzzing import Fuzzing
from code_envs.modes.induction import Induction

__all__ = ["rules"]

_RULES: dict[str, Rules] = {own.mode: own for own in (Induction(), Abduction(), Deduction(), Fuzzing())}


def rules(mode: str) -> Rules:
    """The rules of a mode.

    Args:
        mode: A ``Mode``, or its name.

    Raises:
        UnknownName: There is no such mode.
    """
    if mode not in _RULES:
        raise UnknownName("mode", mode, _RULES)
    return _RULES[mode]
