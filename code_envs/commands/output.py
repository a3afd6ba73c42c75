"""What the commands share: options, names of environments, and how things are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from code_envs.errors import RunError, UnknownName

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "AsJson",
    "EnvName",
    "SeedOption",
    "check_name",
    "find_env",
    "legible",
    "output_option",
    "percent",
    "print_json",
    "show_table",
    "stderr",
]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same result.")]
EnvName = Annotated[str, typer.Argument(metavar="ENV", help="An environment: deduction, or code_envs/Deduction-v0.")]


def output_option(about: str) -> Any:
    """The option ``--output``; empty, as an unset variable of a shell leaves it, it would be the working folder."""
    return typer.Option("--output", "-o", parser=_some_path, metavar="<path>", help=about)


def _some_path(given: str) -> Path:
    if not str(given):
        raise RunError("--output is empty. Give the path to write to.")
    return Path(given)


def find_env(name: str) -> str:
    """The full id of an environment, by its id or by its short name.

    Raises:
        UnknownName: There is none.
    """
    from code_envs.envs import env_ids

    ids = env_ids()
    for env_id in ids:
        bare = env_id.partition("/")[2]
        if name.lower() in (env_id.lower(), bare.lower(), bare.partition("-")[0].lower()):
            return env_id
    raise UnknownName("environment", name, ids)


def check_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Refuse a name before anything is made or written for it.

    Raises:
        UnknownName: It is not known.
    """
    if name not in known:
        raise UnknownName(kind, name, known)
    return name


def print_json(document: object) -> None:
    """Print one JSON document; not-a-number becomes null."""
    try:
        text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
    except UnicodeEncodeError:  # a path that is no UTF-8: escaped, it can be opened by who reads it
        known = json.loads(json.dumps(msgspec.to_builtins(document)), parse_constant=lambda _: None)
        text = json.dumps(known, indent=2)
    sys.stdout.write(text + "\n")


def stderr() -> Console:
    """A console for progress and notes, which leaves stdout to results."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; columns whose name begins with ``>`` are right-aligned."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else legible(str(cell)) for cell in row))
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 200).print(table)


def legible(text: str) -> str:
    """Write out control characters: programs and replies must not play tricks on a terminal."""
    return "".join(c if c in "\n\t" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def percent(rate: float, interval: tuple[float, float]) -> str:
    """Write a rate with its interval, such as ``47 %  (31–64)``."""
    if rate != rate:
        return "–"
    return f"{100 * rate:.0f} %  ({100 * interval[0]:.0f}–{100 * interval[1]:.0f})"
