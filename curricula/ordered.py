"""The ordered way out: the sequence as a file, for trainers that read a fixed dataset.

The file has ``batch_size * repeat`` rows for each step, in the order of the steps. A trainer must
read it once, in that order: every row carries ``step`` and ``place``, so that a reader that shuffles
can be noticed, and its rows be put back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from code_envs.curricula.sampler import Sampler
from code_envs.errors import ConfigError
from code_envs.integrations.huggingface_adapter import to_rows

__all__ = ["ordered_rows", "write_ordered"]


def ordered_rows(sampler: Sampler, *, repeat: int = 1) -> Iterator[dict[str, Any]]:
    """The rows of an ordered dataset, from the sampler's position to its last step.

    Args:
        sampler: The sequence; its steps must be known.
        repeat: How often each problem stands in a row, one after the other: 1 for a trainer that
            makes the group itself, the group size for one that takes each row as one attempt.

    Yields:
        ``place`` (the row's number), ``step``, ``bin``, and the columns of an export: ``key``,
        ``prompt``, ``record``, …

    Raises:
        ConfigError: The steps are not known, or ``repeat`` is not positive.
    """
    if sampler.steps is None or repeat < 1:
        raise ConfigError("an ordered dataset needs a sampler with steps=, and repeat of at least 1")
    columns: dict[str, dict[str, Any]] = {}
    for drawn in sampler:
        key = drawn.problem.key
        if key not in columns:
            columns[key] = to_rows([drawn.problem])[0]
        for copy in range(repeat):
            yield {"place": drawn.index * repeat + copy, "step": drawn.step, "bin": drawn.bin, **columns[key]}


def write_ordered(sampler: Sampler, path: str | Path, *, repeat: int = 1) -> int:
    """Write an ordered dataset as JSON lines, replacing the file; see :func:`ordered_rows`.

    Returns:
        How many rows were written.
    """
    count = 0
    with Path(path).open("wb") as file:
        for row in ordered_rows(sampler, repeat=repeat):
            file.write(msgspec.json.encode(row) + b"\n")
            count += 1
    return count
