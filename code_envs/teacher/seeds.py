"""Where seeds come from: trees of Python files, JSON lines, Hugging Face datasets, stored solutions.

Every source draws the same seeds for the same random stream, whatever the order of the file system,
and says where each came from and under which licence. Nothing that is read is ever imported or run.
"""

from __future__ import annotations

import json
import os
import re
import sys
import sysconfig
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from code_envs.errors import ConfigError, MissingExtra, UnknownName
from code_envs.problem import Seed

__all__ = [
    "WINDOW",
    "DatasetSource",
    "JsonlSource",
    "SeedSource",
    "SolutionSource",
    "TreeSource",
    "make_source",
    "read_python",
]

WINDOW = (25, 50)
"""The fewest and the most consecutive lines of a seed."""

_TRIES = 300
_MAX_FILE = 1 << 20  # bytes; larger files are tables
_MAX_LINE = 300  # characters; longer lines are data
_SKIPPED_FOLDERS = """__pycache__ build dist dist-packages ensurepip idle_test lib2to3 node_modules pydoc_data
site-packages test testing tests turtledemo venv"""
_GENERATED = re.compile(
    r"(?i)\bauto-?generated\b|\bgenerated (?:by|from|and used by|with)\b|\bdo not edit\b|@generated"
)
_SPDX = re.compile(r"SPDX-License-Identifier:\s*([A-Za-z0-9.+-]+)")
_SOLUTION_COLUMNS = ("program", "solution", "canonical_solution", "code")


@runtime_checkable
class SeedSource(Protocol):
    """Draws seeds; iterating gives its units (files, records) whole, in a fixed order."""

    def draw(self, rng: np.random.Generator) -> Seed:
        """Draw one seed.

        Args:
            rng: The only source of randomness.

        Returns:
            A snippet with its origin and licence.

        Raises:
            ConfigError: The source holds nothing that could be a seed.
        """
        ...

    def __iter__(self) -> Iterator[Seed]:
        """Give every unit, whole."""
        ...

    def __len__(self) -> int:
        """Count the units."""
        ...


class TreeSource:
    """Draws windows of consecutive lines from a tree of Python files.

    Tests, vendored and generated files, and files that are not UTF-8 are skipped; so are windows
    that are mostly blank lines and comments.

    Args:
        root: The folder; the standard library of the running interpreter if None.
        licence: The SPDX identifier for files that do not state one; ``PSF-2.0`` for the standard
            library, else ``unknown``, if None.

    Raises:
        ConfigError: There is no such folder, or no Python file in it.
    """

    def __init__(self, root: str | Path | None = None, licence: str | None = None) -> None:
        standard = root is None
        self.root = Path(sysconfig.get_paths()["stdlib"] if root is None else root)
        if not self.root.is_dir():
            raise ConfigError(f"There is no folder {str(self.root)!r} to draw seeds from.")
        self.label = f"python{sys.version_info[0]}.{sys.version_info[1]}" if standard else self.root.resolve().name
        self.licence = licence or ("PSF-2.0" if standard else "unknown")

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The paths of the files, relative to the root, in a fixed order.

        Raises:
            ConfigError: There is none.
        """
        files = tuple(sorted(_python_files(self.root)))
        if not files:
            raise ConfigError(f"{str(self.root)!r} holds no Python files apart from tests.")
        return files

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Seed]:
        for name in self.files:
            if (text := self.read(name)) is not None:
                yield Seed(text=text, origin=f"{self.label}/{name}", licence=licence_of(text, self.licence))

    def read(self, name: str) -> str | None:
        """Read one of ``files``; None if it is not UTF-8, generated or a table."""
        return read_python(self.root / name)

    def draw(self, rng: np.random.Generator) -> Seed:
        """Draw 25 to 50 consecutive lines; see :meth:`SeedSource.draw`."""
        for _ in range(_TRIES):
            name = self.files[rng.integers(len(self.files))]
            window = _window(self.read(name) or "", rng)
            if window is not None:
                text, first, last = window
                licence = licence_of(self.read(name) or "", self.licence)
                return Seed(text=text, origin=f"{self.label}/{name}:{first}-{last}", licence=licence)
        raise ConfigError(f"{str(self.root)!r} holds no file with {WINDOW[0]} consecutive lines of code.")


def _python_files(root: Path) -> Iterator[str]:
    skipped = {*_SKIPPED_FOLDERS.split()}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in skipped and not name.startswith((".", "config-"))]
        for name in names:
            tests = name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"
            if name.endswith(".py") and not tests:
                yield (Path(folder) / name).relative_to(root).as_posix()


@lru_cache(maxsize=256)
def read_python(path: Path) -> str | None:
    """Read a file of Python source.

    Returns:
        Its text, with plain line ends; None if it is not UTF-8, too large, generated or a table.
    """
    try:
        if path.stat().st_size > _MAX_FILE:
            return None
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    if _GENERATED.search(text[:1000]) or any(len(line) > _MAX_LINE for line in text.split("\n")) or "\0" in text:
        return None
    return text.removeprefix("\ufeff")


def licence_of(text: str, default: str) -> str:
    """Read the SPDX identifier that a file states about itself."""
    stated = _SPDX.search(text[:2000])
    return stated.group(1) if stated else default


def _window(text: str, rng: np.random.Generator) -> tuple[str, int, int] | None:
    """Draw consecutive lines: the text and its first and last line number; None if it is mostly prose."""
    lines = text.rstrip().split("\n")
    size = int(rng.integers(WINDOW[0], WINDOW[1] + 1))
    if len(lines) < WINDOW[0]:
        return None
    size = min(size, len(lines))
    start = int(rng.integers(len(lines) - size + 1))
    chosen = lines[start : start + size]
    code = sum(1 for line in chosen if line.strip() and not line.lstrip().startswith("#"))
    return ("\n".join(chosen) + "\n", start + 1, start + size) if 2 * code > size else None


class _Records(ABC):
    """Draws from numbered texts: a window of a long one, a short one whole."""

    licence: str

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def text(self, index: int) -> str:
        """Read the text of a record."""

    @abstractmethod
    def origin(self, index: int) -> str:
        """Say where a record stands."""

    def __iter__(self) -> Iterator[Seed]:
        for index in range(len(self)):
            yield Seed(text=self.text(index), origin=self.origin(index), licence=self.licence)

    def draw(self, rng: np.random.Generator) -> Seed:
        """Draw 25 to 50 consecutive lines of a record, or a shorter record whole."""
        if not len(self):
            raise ConfigError(f"{self.origin(0)}: there are no records to draw seeds from.")
        for _ in range(_TRIES):
            index = int(rng.integers(len(self)))
            text = self.text(index)
            if 0 < text.rstrip().count("\n") + 1 < WINDOW[0] and text.strip():
                return Seed(text=text, origin=self.origin(index), licence=self.licence)
            window = _window(text, rng)
            if window is not None:
                text, first, last = window
                return Seed(text=text, origin=f"{self.origin(index)}:{first}-{last}", licence=self.licence)
        raise ConfigError(f"{self.origin(0)}: no record holds code.")


class JsonlSource(_Records):
    """Draws from one column of a file of JSON lines.

    Args:
        path: The file.
        column: The key of each record that holds source code.
        licence: The SPDX identifier of all of it.

    Raises:
        ConfigError: There is no such file, or a line of it is not a JSON object.
        UnknownName: The first record has no such column; names the nearest one.
    """

    def __init__(self, path: str | Path, column: str, licence: str = "unknown") -> None:
        self.path, self.column, self.licence = Path(path), column, licence
        self._offsets = _line_offsets(self.path)
        if self._offsets:
            _cell(self._record(0), column)

    def __len__(self) -> int:
        return len(self._offsets)

    def origin(self, index: int) -> str:
        """Say where a record stands: the file and the line's number among the records."""
        return f"{self.path.name}:{index + 1}"

    def text(self, index: int) -> str:
        """Read the text of a record."""
        record = self._record(index)
        value = record.get(self.column)
        if not isinstance(value, str):
            raise ConfigError(f"{self.path}: record {index + 1} has no text in column {self.column!r}.")
        return value

    def _record(self, index: int) -> dict[str, Any]:
        with self.path.open("rb") as file:
            file.seek(self._offsets[index])
            return _json_object(file.readline(), f"{self.path}: record {index + 1}")


def _line_offsets(path: Path) -> Sequence[int]:
    if not path.is_file():
        raise ConfigError(f"There is no file {str(path)!r} to draw seeds from.")
    offsets, at = [], 0
    with path.open("rb") as lines:
        for line in lines:
            if line.strip():
                offsets.append(at)
            at += len(line)
    return offsets


def _json_object(line: bytes | str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise ConfigError(f"{where} is not a JSON object.")
    return record


def _cell(record: dict[str, Any], column: str) -> object:
    if column not in record:
        raise UnknownName("column", column, record)
    return record[column]


class DatasetSource(_Records):
    """Draws from one column of a Hugging Face dataset.

    Args:
        dataset: Its name on the hub (needs the extra ``hf`` and the network), or a loaded dataset:
            anything with ``column_names``, a length, and records by index.
        column: The column that holds source code.
        split: The split to load, if ``dataset`` is a name.
        licence: The SPDX identifier of all of it; what the dataset says of itself if None.

    Raises:
        MissingExtra: ``dataset`` is a name and ``datasets`` is not installed.
        ConfigError: ``dataset`` is several splits at once.
        UnknownName: The dataset has no such column; names the nearest one.
    """

    def __init__(self, dataset: Any, column: str, *, split: str = "train", licence: str | None = None) -> None:
        self.name = dataset if isinstance(dataset, str) else ""
        self.dataset = _load_dataset(dataset, split) if isinstance(dataset, str) else dataset
        columns = getattr(self.dataset, "column_names", None)
        if isinstance(columns, dict) or columns is None:
            raise ConfigError("Seeds are drawn from one split of a dataset: give dataset['train'], for example.")
        if column not in columns:
            raise UnknownName("column", column, columns)
        info = getattr(self.dataset, "info", None)
        self.column = column
        self.name = self.name or getattr(info, "dataset_name", None) or "dataset"
        self.licence = licence or getattr(info, "license", None) or "unknown"

    def __len__(self) -> int:
        return len(self.dataset)

    def origin(self, index: int) -> str:
        """Say where a record stands: the dataset and the record's index."""
        return f"{self.name}[{index}]"

    def text(self, index: int) -> str:
        """Read the text of a record."""
        value = self.dataset[index][self.column]
        if not isinstance(value, str):
            raise ConfigError(f"{self.origin(index)} has no text in column {self.column!r}.")
        return value


def _load_dataset(name: str, split: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra("datasets", "hf") from error
    return datasets.load_dataset(name, split=split)


class SolutionSource:
    """Draws whole programs that are known to be correct, from JSON lines.

    Takes this package's own problems (of fuzzing problems only those with a reference), and records
    with a column ``program``, ``solution``, ``canonical_solution`` or ``code``.

    Args:
        path: The file.
        licence: The SPDX identifier for records that state none in their lineage.

    Raises:
        ConfigError: There is no such file, a line of it is not a JSON object, or none holds a program.
    """

    def __init__(self, path: str | Path, licence: str = "unknown") -> None:
        self.path, self.licence = Path(path), licence
        self.seeds: list[Seed] = []
        for index, offset_line in enumerate(_lines(self.path), 1):
            record = _json_object(offset_line, f"{self.path}: record {index}")
            program = _solution(record)
            if program:
                stated = record.get("lineage") or {}
                self.seeds.append(
                    Seed(
                        text=program,
                        origin=f"{self.path.name}:{index}",
                        licence=(stated.get("licence") if isinstance(stated, dict) else "") or licence,
                    )
                )
        if not self.seeds:
            raise ConfigError(f"{self.path} holds no solutions: looked for {', '.join(_SOLUTION_COLUMNS)}.")

    def __len__(self) -> int:
        return len(self.seeds)

    def __iter__(self) -> Iterator[Seed]:
        return iter(self.seeds)

    def draw(self, rng: np.random.Generator) -> Seed:
        """Draw one solution, whole."""
        return self.seeds[rng.integers(len(self.seeds))]


def _lines(path: Path) -> Iterator[bytes]:
    if not path.is_file():
        raise ConfigError(f"There is no file {str(path)!r} to draw seeds from.")
    with path.open("rb") as lines:
        yield from (line for line in lines if line.strip())


def _solution(record: dict[str, Any]) -> str:
    if record.get("mode") == "fuzzing":
        return str(record.get("reference") or "")  # the program itself is the faulty one
    for column in _SOLUTION_COLUMNS:
        if isinstance(record.get(column), str) and record[column].strip():
            return str(record[column])
    return ""


def make_source(spec: str, licence: str | None = None) -> SeedSource:
    """Make a source from a word on a command line.

    Args:
        spec: ``stdlib``, a folder, ``FILE.jsonl:COLUMN``, ``FILE.jsonl`` (stored solutions) or
            ``hf:NAME:COLUMN``.
        licence: The SPDX identifier of what it holds, if it does not say so itself.

    Returns:
        The source.

    Raises:
        ConfigError: The word names no source; or see the source's class.
    """
    if spec == "stdlib":
        return TreeSource(licence=licence)
    if spec.startswith("hf:"):
        name, _, column = spec.removeprefix("hf:").rpartition(":")
        if not name:
            raise ConfigError(f"{spec!r} names no column: write hf:NAME:COLUMN.")
        return DatasetSource(name, column, licence=licence)
    path, _, column = spec.rpartition(":")
    if path.endswith(".jsonl"):
        return JsonlSource(path, column, licence or "unknown")
    if spec.endswith(".jsonl"):
        return SolutionSource(spec, licence or "unknown")
    if Path(spec).is_dir():
        return TreeSource(spec, licence)
    raise ConfigError(f"{spec!r} is no source of seeds: give stdlib, a folder, FILE.jsonl:COLUMN or hf:NAME:COLUMN.")
