"""Where the rows of contests come from: local files, the Hugging Face hub, or the caller."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from code_envs.benchmarks.public import read_rows
from code_envs.errors import ConfigError, MissingExtra, ProblemError

__all__ = ["Rows", "read_contest_rows"]

Rows = str | os.PathLike[str] | Iterable[Mapping[str, Any]]
_LOCAL = (".json", ".jsonl", ".gz", ".parquet")


def read_contest_rows(
    source: Rows, *, split: str = "train", config: str | None = None, revision: str | None = None
) -> Iterator[Mapping[str, Any]]:
    """Read rows one by one; a file or data set is never held as a whole, but for ``.json``.

    Args:
        source: A ``.json``, ``.jsonl``, ``.jsonl.gz`` or ``.parquet`` file; files on the hub, as
            ``hf://datasets/OWNER/NAME/PATTERN`` that ends in ``.jsonl``, ``.json`` or ``.parquet``; the
            name of a data set on the hub; or rows.
        split: The split of a data set on the hub.
        config: Its configuration.
        revision: Its branch, tag or commit, such as ``refs/convert/parquet``.

    Raises:
        ConfigError: There is no such file or data set, or it is one of those that a script loads.
        ProblemError: The file does not hold rows.
        MissingExtra: datasets is not installed, and the source is Parquet or on the hub.
    """
    if not isinstance(source, str | os.PathLike):
        yield from source
        return
    name = os.fspath(source)
    suffix = Path(name).suffix
    if name.startswith("hf://"):
        yield from _loaded(name, "parquet" if suffix == ".parquet" else "json", data_files=name, split="train")
    elif suffix not in _LOCAL:
        yield from _loaded(name, name, config, split=split, revision=revision)
    elif not Path(name).is_file():
        raise ConfigError(f"there is no file {name}; files on the hub are named hf://datasets/OWNER/NAME/{name}")
    elif suffix == ".parquet":
        yield from _loaded(name, "parquet", data_files=name, split="train")
    elif suffix == ".json":
        yield from read_rows(name)
    else:
        yield from _lines(Path(name))


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise ProblemError(f"{path}:{number} is not a row of JSON: {error}") from error


def _loaded(name: str, *builder: str | None, **options: Any) -> Iterator[Mapping[str, Any]]:
    """Rows by way of datasets, streamed."""
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra("datasets", "hf") from error
    try:
        rows = datasets.load_dataset(*builder, streaming=True, **options)
    except Exception as error:  # of datasets, huggingface_hub, fsspec or an HTTP library, as the versions go
        if "scripts are no longer supported" in str(error):
            raise ConfigError(
                f"{name} is loaded by a script, and datasets 4 runs none; name its files, such as "
                f"'hf://datasets/{name}/test*.jsonl', or its Parquet copy: revision 'refs/convert/parquet'"
            ) from error
        raise ConfigError(f"{name} cannot be read with datasets: {str(error) or type(error).__name__}") from error
    yield from rows
