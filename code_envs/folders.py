"""Folders and files that one process works in and that survive a kill: locks, whole writes, settings as TOML."""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from code_envs.errors import CodeEnvsError, ConfigError, RunError

__all__ = [
    "check_begun",
    "claimed",
    "cut_torn_line",
    "drafted",
    "end_of_lines",
    "held",
    "locked",
    "now",
    "read_toml",
    "refuse_mark",
    "replace_file",
    "to_toml",
]

_LOCK = ".lock"
_BLOCK = 1 << 16
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextmanager
def claimed(folder: Path, mark: str, brought: Collection[str] = ()) -> Iterator[None]:
    """Hold a folder for this process; the kernel lets go of it however the process ends.

    Args:
        folder: Made if it does not exist.
        mark: The file that a folder of this kind has; without it the folder must be empty.
        brought: Files that may be there before it.

    Raises:
        RunError: It is a file, holds something else, or another process is at work in it.
    """
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if mark not in names and names - {_LOCK, _draft(folder / mark).name, *brought}:
        raise RunError(f"{folder} holds other files and no {mark}. Give an empty or a new folder.")
    with held(folder):
        yield


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder whatever is in it; made if it does not exist.

    Raises:
        RunError: It is a file, or another process is at work in it.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file. Give a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / _LOCK, folder):
        yield


@contextmanager
def locked(path: Path, what: Path) -> Iterator[None]:
    """Hold a lock file.

    Raises:
        RunError: Another process holds it, and so works on ``what``.
    """
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"another process is at work in {what}. Wait for it, or give another folder.") from error
        yield


def replace_file(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    with drafted(path) as file:
        file.write(text.encode())


@contextmanager
def drafted(path: Path) -> Iterator[BinaryIO]:
    """Write a file piece by piece so that it is there whole or not at all: what was there before stays until then."""
    draft = _draft(path)
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def cut_torn_line(path: Path) -> None:
    """Drop a last line without its end: it was being written when the process was killed.

    Raises:
        RunError: The file begins with a byte order mark.
    """
    os.truncate(path, end_of_lines(path))


def end_of_lines(path: Path) -> int:
    """Where the last line that has its end stops, in bytes; what follows is what :func:`cut_torn_line` drops.

    Raises:
        RunError: The file begins with a byte order mark.
    """
    with path.open("rb") as file:
        refuse_mark(path, file.read(4))
        end, newline = file.seek(0, os.SEEK_END), -1
        while end and newline < 0:
            start = max(0, end - _BLOCK)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            end = start + newline + 1
    return end


def now() -> str:
    """The date and time (UTC), as ISO 8601; that of ``SOURCE_DATE_EPOCH``, in seconds, where it is set.

    Raises:
        ConfigError: ``SOURCE_DATE_EPOCH`` is no time.
    """
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        at = datetime.now(UTC) if fixed is None else datetime.fromtimestamp(int(fixed), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ConfigError(f"SOURCE_DATE_EPOCH is {fixed!r}; give seconds since 1970, or unset it") from error
    return at.isoformat(timespec="seconds")


def read_toml(path: Path) -> dict[str, Any]:
    """Read settings.

    Raises:
        RunError: The file is not TOML.
    """
    text = path.read_bytes()
    refuse_mark(path, text)
    try:
        return tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is not TOML: {error}") from error


def refuse_mark(path: Path, text: bytes, kind: type[CodeEnvsError] = RunError) -> None:
    """Refuse what an editor has saved with a byte order mark, which nobody sees: neither JSON nor TOML has one.

    Args:
        path: The file.
        text: What it holds, or how that begins.
        kind: What to raise.
    """
    if text.startswith(_MARKS):
        raise kind(f"{path} begins with a byte order mark. Save it as UTF-8 without one.")


def check_begun(what: Path, found: Mapping[str, Any], wanted: Mapping[str, Any], other: str) -> None:
    """Refuse to go on with what was begun with other settings.

    Args:
        what: What was begun.
        found: The settings that it was begun with.
        wanted: Those to go on with; one that has no value may be missing in both.
        other: What to give instead: another folder, or another file.

    Raises:
        RunError: A setting differs; names the first one.
    """
    for name, value in wanted.items():
        if found.get(name) != value:
            raise RunError(
                f"{what} was begun with {name} = {found.get(name)!r}, not {value!r}. "
                f"Resume it as it was begun, or give another {other}."
            )


def to_toml(table: dict[str, Any], head: str = "") -> str:
    """Write settings; those without a value are left out, tables in them come last.

    Args:
        table: Strings, numbers, truth values, lists of them, and tables.
        head: The name of the table, for tables in it.
    """
    flat = {name: value for name, value in table.items() if value is not None and not isinstance(value, dict)}
    # such values are written alike in JSON and TOML, but for DEL
    text = "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in flat.items())
    text = text.replace("\x7f", "\\u007f")
    for name, value in table.items():
        if isinstance(value, dict):
            text += f"\n[{head}{name}]\n" + to_toml(value, f"{head}{name}.")
    return text


def _draft(path: Path) -> Path:
    return path.with_name(path.name + ".part")
