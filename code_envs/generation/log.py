"""The chains of a run on disk: in order in one file, whatever order they finish in."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

from code_envs.errors import ProblemError, RunError
from code_envs.folders import cut_torn_line, drafted
from code_envs.generation.config import RunConfig
from code_envs.problem import Chain
from code_envs.stored import Stored, read_records

__all__ = ["AHEAD", "CHAINS", "ChainLog"]

CHAINS = "chains.jsonl"
"""The file of a run folder that holds its chains, in order."""
AHEAD = "ahead.jsonl"
"""The file that holds chains which finished before an earlier one; gone when the run is done."""

_SLACK = 1 << 20  # bytes of chains that have moved on which do not yet make a rewrite worth its while


class ChainLog:
    """Appends chains to ``chains.jsonl`` in their order; those that are early wait in ``ahead.jsonl``.

    A chain is on disk when :meth:`add` returns, and of no chain more is held than where it stands there.
    Both files are mended when opened; ``ahead.jsonl`` is rewritten when most of it has moved on.

    Args:
        folder: The run folder, held by this process.
        config: The run.
        on_found: Called with every chain that is there already, as it is read.

    Raises:
        RunError: A file is damaged or holds something else.
    """

    def __init__(self, folder: Path, config: RunConfig, on_found: Callable[[Chain], None] | None = None) -> None:
        tell = on_found or (lambda _: None)
        self._config, self._starts = config, array("q")
        for start, chain in _in_order(folder / CHAINS, config):
            self._starts.append(start)
            tell(chain)
        self._early = _Early(folder / AHEAD, _not_yet(folder / AHEAD, config, len(self._starts), tell))
        self._file = (folder / CHAINS).open("ab")
        self.chains = Stored(folder / CHAINS, Chain, self._starts)
        """The chains up to the first that is missing."""
        self._advance()

    @property
    def missing(self) -> list[int]:
        """The indexes of the chains that are still to be made."""
        return [index for index in range(len(self._starts), self._config.chains) if index not in self._early]

    def add(self, index: int, chain: Chain) -> None:
        """Keep a chain that has finished."""
        line = _line(chain)
        if index == len(self._starts):
            self._append(line)
            self._advance()
        else:
            self._early.add(index, line)

    def _append(self, line: bytes) -> None:
        self._starts.append(self._file.tell())
        self._file.write(line)

    def _advance(self) -> None:
        """Move on over every chain whose turn has come."""
        while (line := self._early.take(len(self._starts))) is not None:
            self._append(line)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._early.tidy()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._file.close()
        self._early.close()
        if kind is None and not self._early:
            self._early.path.unlink(missing_ok=True)


class _Early:
    """The lines of ``ahead.jsonl`` by the index of their chain, of which only their places are held.

    Args:
        path: The file.
        found: What is to stay of it, each with its index; read only if there is a file.
    """

    def __init__(self, path: Path, found: Iterable[tuple[int, bytes]]) -> None:
        self.path = path
        self._places: dict[int, int] = {}
        self._size = self._live = 0  # bytes of the file, and of the lines in it that still wait
        self._file: BinaryIO | None = None
        if path.exists():  # a kill between two writes leaves chains in both files
            self._rewrite(found)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, index: int) -> bool:
        return index in self._places

    def add(self, index: int, line: bytes) -> None:
        file = self._open()
        file.write(line)
        file.flush()  # no sync: a power cut costs making it again
        self._places[index] = self._size
        self._size += len(line)
        self._live += len(line)

    def take(self, index: int) -> bytes | None:
        """Read a line that is to move on; it stays in the file until :meth:`tidy`."""
        if index not in self._places:
            return None
        line = self._line_at(self._places.pop(index))
        self._live -= len(line)
        return line

    def tidy(self) -> None:
        """Give back the room of what was taken, now that it is safe elsewhere; seldom, as it copies all that waits."""
        if not self._places and self._size:
            self._open().truncate(0)
            self._size = self._live = 0
        elif self._size - self._live > max(self._live, _SLACK):
            self._rewrite((index, self._line_at(start)) for index, start in self._places.items())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def _open(self) -> BinaryIO:
        self._file = self._file or self.path.open("ab+")
        return self._file

    def _line_at(self, start: int) -> bytes:
        self._open().seek(start)
        return self._open().readline()

    def _rewrite(self, lines: Iterable[tuple[int, bytes]]) -> None:
        """Whatever moment a kill falls on, the file is the old one or the new one, and both hold all that waits."""
        places: dict[int, int] = {}
        with drafted(self.path) as draft:
            for index, line in lines:
                places[index] = draft.tell()
                draft.write(line)
            self._size = self._live = draft.tell()
        self._places = places
        self.close()


def _line(chain: Chain) -> bytes:
    return chain.to_json().encode() + b"\n"


def _in_order(path: Path, config: RunConfig) -> Iterator[tuple[int, Chain]]:
    """The chains of a run up to the first that is missing, each with its place in the file."""
    count = 0
    for start, chain in _read(path):
        if chain.id != config.id_of(count):
            raise RunError(f"{path}:{count + 1}: expected chain {config.id_of(count)}, found {chain.id}.")
        count += 1
        if count <= config.chains:
            yield start, chain
    if count > config.chains:
        raise RunError(f"{path} holds {count} chains, more than the {config.chains} of its run.")


def _not_yet(path: Path, config: RunConfig, first: int, tell: Callable[[Chain], None]) -> Iterator[tuple[int, bytes]]:
    """The lines of chains that still wait, from index ``first`` on, each once."""
    seen: set[int] = set()
    for number, (_, chain) in enumerate(_read(path), 1):
        last = chain.id.rpartition("-")[2]
        index = int(last) if last.isdecimal() else -1
        if not 0 <= index < config.chains or chain.id != config.id_of(index):
            raise RunError(f"{path}:{number}: chain {chain.id} is none of this run. Remove that line to go on.")
        if index >= first and index not in seen:
            seen.add(index)
            tell(chain)
            yield index, _line(chain)


def _read(path: Path) -> Iterator[tuple[int, Chain]]:
    """A last line without its end was being written: it is dropped."""
    if not path.exists():
        return
    cut_torn_line(path)
    try:
        yield from read_records(path, Chain)
    except ProblemError as error:
        raise RunError(
            f"{error}. The file was changed; remove that line and all after it to go on from there."
        ) from error
