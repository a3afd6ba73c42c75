"""The chains of a run on disk: in order in one file, whatever order they finish in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from code_envs.errors import ProblemError, RunError
from code_envs.folders import cut_torn_line, replace_file
from code_envs.generation.config import RunConfig
from code_envs.problem import Chain, load_chains

__all__ = ["AHEAD", "CHAINS", "ChainLog"]

CHAINS = "chains.jsonl"
"""The file of a run folder that holds its chains, in order."""
AHEAD = "ahead.jsonl"
"""The file that holds chains which finished before an earlier one; gone when the run is done."""


class ChainLog:
    """Appends chains to ``chains.jsonl`` in their order; those that are early wait in ``ahead.jsonl``.

    A chain is on disk when :meth:`add` returns. Both files are only appended to, and mended when opened.

    Args:
        folder: The run folder, held by this process.
        config: The run.

    Raises:
        RunError: A file is damaged or holds something else.
    """

    def __init__(self, folder: Path, config: RunConfig) -> None:
        self._config, self._folder = config, folder
        self.chains = _in_order(folder / CHAINS, config)
        """The chains up to the first that is missing."""
        self._early = {index: chain for index, chain in _early(folder / AHEAD, config) if index >= len(self.chains)}
        self.found = [*self.chains, *self._early.values()]
        """What was there already."""
        if (folder / AHEAD).exists():  # a kill between two writes leaves chains in both files
            replace_file(folder / AHEAD, "".join(chain.to_json() + "\n" for chain in self._early.values()))
        self._file = (folder / CHAINS).open("ab")
        self._ahead = (folder / AHEAD).open("ab") if self._early else None
        self._advance()

    @property
    def missing(self) -> list[int]:
        """The indexes of the chains that are still to be made."""
        return [index for index in range(len(self.chains), self._config.chains) if index not in self._early]

    def add(self, index: int, chain: Chain) -> None:
        """Keep a chain that has finished."""
        self._early[index] = chain
        if index == len(self.chains):
            self._advance()
        else:
            self._ahead = self._ahead or (self._folder / AHEAD).open("ab")
            self._ahead.write(chain.to_json().encode() + b"\n")
            self._ahead.flush()  # no sync: a power cut costs making it again

    def _advance(self) -> None:
        """Move on over every chain whose turn has come."""
        while (chain := self._early.pop(len(self.chains), None)) is not None:
            self._file.write(chain.to_json().encode() + b"\n")
            self.chains.append(chain)
        self._file.flush()
        os.fsync(self._file.fileno())
        if self._ahead is not None and not self._early:
            self._ahead.truncate(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._file.close()
        if self._ahead is not None:
            self._ahead.close()
        if kind is None and not self._early:
            (self._folder / AHEAD).unlink(missing_ok=True)


def _in_order(path: Path, config: RunConfig) -> list[Chain]:
    chains = _read(path)
    if len(chains) > config.chains:
        raise RunError(f"{path} holds {len(chains)} chains, more than the {config.chains} of its run.")
    for index, chain in enumerate(chains):
        if chain.id != config.id_of(index):
            raise RunError(f"{path}:{index + 1}: expected chain {config.id_of(index)}, found {chain.id}.")
    return chains


def _early(path: Path, config: RunConfig) -> list[tuple[int, Chain]]:
    found = []
    for number, chain in enumerate(_read(path), 1):
        last = chain.id.rpartition("-")[2]
        index = int(last) if last.isdecimal() else -1
        if not 0 <= index < config.chains or chain.id != config.id_of(index):
            raise RunError(f"{path}:{number}: chain {chain.id} is none of this run. Remove that line to go on.")
        found.append((index, chain))
    return found


def _read(path: Path) -> list[Chain]:
    """A last line without its end was being written: it is dropped."""
    if not path.exists():
        return []
    cut_torn_line(path)
    try:
        return list(load_chains(path))
    except ProblemError as error:
        raise RunError(
            f"{error}. The file was changed; remove that line and all after it to go on from there."
        ) from error
