"""Making the user prompt of a problem."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Template

from code_envs.errors import ConfigError

__all__ = ["default_template", "fill"]


@cache
def default_template(name: str) -> str:
    """The text of a prompt template that comes with the package."""
    return files("code_envs.modes").joinpath("templates", f"{name}.txt").read_text(encoding="utf-8")


def fill(template: str, fields: Mapping[str, str]) -> str:
    """Fill a template; ``$$`` stands for a dollar sign.

    Args:
        template: Text with ``$name`` placeholders.
        fields: Their values.

    Returns:
        The prompt, without blank lines at its end.

    Raises:
        ConfigError: The template has a placeholder that does not exist, or a stray dollar sign.
    """
    try:
        return Template(template).substitute(fields).rstrip()
    except KeyError as error:
        known = ", ".join(f"${name}" for name in sorted(fields))
        raise ConfigError(f"the template's placeholder ${error.args[0]} does not exist; there are {known}.") from None
    except ValueError as error:
        raise ConfigError(f"the template cannot be read: {error}; write $$ for a dollar sign.") from None
