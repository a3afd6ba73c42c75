"""Records in files of JSON lines, read one at a time."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar, overload

from code_envs.errors import ProblemError
from code_envs.folders import refuse_mark
from code_envs.record import Record

__all__ = ["Stored", "read_records"]

RecordT = TypeVar("RecordT", bound=Record)


class Stored(Sequence[RecordT], Generic[RecordT]):
    """The records of a file as a sequence that holds 8 bytes for each, and reads one whenever it is asked for.

    It equals any sequence of the same records. A slice is a list. The file must stay as it is.

    Args:
        path: JSON lines.
        kind: What each line is.
        starts: Where each line begins, as :func:`read_records` says; what is added to it later counts, too.
        changes: Called with each record as it is read, one after the other; what the last returns takes its place.

    Raises:
        FileNotFoundError: When a record is read: the file is gone.
        ProblemError: When a record is read: the file was changed; names it and the number of the record.
    """

    def __init__(
        self,
        path: Path,
        kind: type[RecordT],
        starts: array[int],
        changes: Sequence[Callable[[RecordT], RecordT]] = (),
    ) -> None:
        self.path, self._kind, self._starts, self._changes = path, kind, starts, changes

    def changed(self, change: Callable[[RecordT], RecordT]) -> Stored[RecordT]:
        """The same records, each changed as it is read; the file stays as it is."""
        return Stored(self.path, self._kind, self._starts, [*self._changes, change])

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[RecordT]:
        return self._read(range(len(self)))

    @overload
    def __getitem__(self, index: int) -> RecordT: ...
    @overload
    def __getitem__(self, index: slice) -> list[RecordT]: ...
    def __getitem__(self, index: int | slice) -> RecordT | list[RecordT]:
        places = range(len(self))[index]
        return list(self._read(places)) if isinstance(places, range) else next(self._read([places]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as a list has none

    def __repr__(self) -> str:
        return f"<{len(self)} records of {self.path}>"

    def _read(self, places: Sequence[int]) -> Iterator[RecordT]:
        with self.path.open("rb") as file:
            for place in places:
                file.seek(self._starts[place])
                record = _record(self.path, self._kind, place + 1, file.readline())
                for change in self._changes:
                    record = change(record)
                yield record


def read_records(path: Path, kind: type[RecordT], until: int | None = None) -> Iterator[tuple[int, RecordT]]:
    """Read records one by one, each with the place in the file where its line begins.

    Args:
        path: JSON lines.
        kind: What each line is.
        until: The place in the file to stop at; its end if None.

    Raises:
        ProblemError: A line is no such record; names the file and the line.
        FileNotFoundError: There is no such file.
    """
    start = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if until is not None and start >= until:
                return
            if number == 1:
                refuse_mark(path, line, ProblemError)
            if line.strip():
                yield start, _record(path, kind, number, line)
            start += len(line)


def _record(path: Path, kind: type[RecordT], number: int, line: bytes) -> RecordT:
    try:
        return kind.from_json(line)
    except ProblemError as error:
        raise ProblemError(f"{path}:{number}: {error}") from error
