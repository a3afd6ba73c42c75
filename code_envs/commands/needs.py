"""Options that cannot take effect are refused: passed over in silence, one would be taken for one that worked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import typer

from code_envs.errors import ConfigError

__all__ = ["Need", "refuse_idle", "was_given"]


class Need(NamedTuple):
    """What some options need to take effect; an option may have several needs.

    Attributes:
        what: What they need, in words.
        met: Whether it is there, as a truth value.
        options: The names of their parameters.
    """

    what: str
    met: object
    options: Sequence[str]


def was_given(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line, be it with its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def refuse_idle(context: typer.Context, *needs: Need) -> None:
    """Refuse options that were given a value of their own though something that they need is missing.

    What comes from the environment, and what is the default, is never refused.

    Args:
        context: The call of the command.
        needs: What its options need.

    Raises:
        ConfigError: There is such an option; names all of them and what each needs.
    """
    idle: dict[str, list[str]] = {}
    for option in context.command.params:
        name = option.name or ""
        missing = [need.what for need in needs if name in need.options and not need.met]
        if missing and was_given(context, name) and context.params[name] != option.default:
            idle.setdefault(" and ".join(missing), []).append(option.opts[0])
    if idle:
        said = (f"{', '.join(names)} need{'s' * (len(names) == 1)} {what}" for what, names in idle.items())
        raise ConfigError("; ".join(said))
