"""TOML files of curricula: those that come along, by name, and anybody's own, by path."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from code_envs.errors import ConfigError, UnknownName

__all__ = ["check_keys", "number", "preset_names", "read_table", "typed"]

_FOLDER = Path(__file__).with_name("presets")
T = TypeVar("T")


def preset_names(kind: str) -> list[str]:
    """The names of the presets of a kind: ``bins``, ``schedules``, ``modes`` or ``mixes``."""
    return sorted(path.stem for path in (_FOLDER / kind).glob("*.toml"))


def read_table(kind: str, source: str | Path) -> tuple[dict[str, Any], str]:
    """Read a TOML file.

    Args:
        kind: The folder of presets that names are looked up in.
        source: The name of a preset, or the path of a file (it ends in ``.toml`` or is a ``Path``).

    Returns:
        The table, and what to call it in messages.

    Raises:
        UnknownName: There is no such preset; names the nearest one.
        ConfigError: The file is not TOML.
        FileNotFoundError: There is no such file.
    """
    if isinstance(source, str) and not source.endswith(".toml"):
        if source not in preset_names(kind):
            raise UnknownName(f"preset of {kind}", source, preset_names(kind))
        path = (_FOLDER / kind / source).with_suffix(".toml")
    else:
        path = Path(source)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), str(source)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def check_keys(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Refuse a key that nothing reads.

    Raises:
        UnknownName: A key is not known; names the nearest one.
    """
    known = list(known)
    for name in table:
        if name not in known:
            raise UnknownName(f"key in {where}:", name, known)


def typed(table: Mapping[str, Any], name: str, kind: type[T], where: str, default: T | None = None) -> T:
    """Take a value of a table.

    Raises:
        ConfigError: It is missing and has no default, or is of another type.
    """
    value = table.get(name, default)
    if value is None:
        raise ConfigError(f"{where}: {name!r} is missing")
    if not isinstance(value, kind):
        raise ConfigError(f"{where}: {name!r} must be a {kind.__name__}, not {value!r}")
    return value


def number(value: object, where: str) -> float:
    """Read a number; a fraction may be written as text, such as ``"1/3"``.

    Raises:
        ConfigError: It is no finite number.
    """
    try:
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            return float(Fraction(value))
    except (ValueError, ZeroDivisionError, OverflowError):
        pass
    raise ConfigError(f"{where} must be a number, or a fraction such as '1/3', not {value!r}")
