"""A store of replies on disk, so that a resumed or repeated run asks for nothing twice.

One SQLite file in write-ahead mode: a kill loses at most the replies that were being stored, and
several processes of one machine may use it at once (not over a network file system).
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from code_envs.errors import ConfigError, RunError
from code_envs.models.base import Completion, Finish, Model, OnDone, Request

__all__ = [
    "RESPONSES",
    "CachedModel",
    "FileStore",
    "Row",
    "Store",
    "Usage",
    "completions_of",
    "replies_of",
    "store_beside",
    "usage_of",
]

RESPONSES = "responses.sqlite"
"""The file of a run folder that holds the replies of its models."""
_TABLE = """
CREATE TABLE IF NOT EXISTS responses (
    key TEXT PRIMARY KEY, role TEXT NOT NULL, model TEXT NOT NULL, completion TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, seconds REAL NOT NULL
) WITHOUT ROWID
"""
_FIND = "SELECT completion FROM responses WHERE key = ?"
_KEEP = "INSERT OR IGNORE INTO responses VALUES (?, ?, ?, ?, ?, ?, ?)"
_PATIENCE = 60.0  # seconds that another process may hold the file
_MOST_EARLIER = 10  # what SQLite attaches, as it is usually built
_ASK_AGAIN = "Remove it, and go on with --resume: its replies are asked for again."
_NAME_ANOTHER = f"Name a run in which models took part, or its {RESPONSES}."
_AROUND = {  # faults of what is around the file, which may be whole
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What the replies to a role of a run have cost, be it in an earlier run that they were taken from.

    Attributes:
        role: ``teacher`` or ``student``.
        model: The name of the model.
        calls: Different replies; one that came from the store is not counted again.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
        seconds: Time of the replies, added up; much passes at once.
    """

    role: str
    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float


class Row(NamedTuple):
    """A reply as it is stored; ``completion`` is JSON. The columns of the file, in their order."""

    key: str
    role: str
    model: str
    completion: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float

    @classmethod
    def of(cls, key: str, role: str, model: str, completion: Completion) -> Row:
        """Make the row of a reply."""
        tokens = completion.prompt_tokens, completion.completion_tokens
        return cls(key, role, model, msgspec.json.encode(completion).decode(), *tokens, completion.seconds)


class Store(Protocol):
    """Where replies are kept; may be used from several threads."""

    def find(self, keys: Sequence[str]) -> dict[str, Completion]:
        """The replies that are known, by key."""
        ...

    def keep(self, key: str, role: str, model: str, completion: Completion) -> Future[None] | None:
        """Keep a reply. A known key stays as it is.

        Returns:
            Done as soon as a killed process loses the reply no more; None if that is so already.
        """
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...


class FileStore:
    """Replies in a SQLite file.

    Args:
        path: The file; made if it does not exist, and its folder likewise.
        earlier: Other such files, at most ten, which are only read: a reply that is found there is taken over.

    Raises:
        ConfigError: There are more than ten.
        RunError: A file is something else, is damaged, which may show only later, or cannot be used.
    """

    def __init__(self, path: str | Path, earlier: Sequence[str | Path] = ()) -> None:
        self._path = Path(path)
        others = dict.fromkeys(Path(each).resolve() for each in earlier)
        others.pop(self._path.resolve(), None)
        if len(others) > _MOST_EARLIER:
            raise ConfigError(f"{len(others)} earlier stores of replies; give at most {_MOST_EARLIER}")
        self._lock, self._file = threading.Lock(), _open(self._path)
        with ExitStack() as stack:
            stack.callback(self._file.close)
            self._earlier = {each: _attach(self._file, each, f"earlier{place}") for place, each in enumerate(others)}
            stack.pop_all()

    def find(self, keys: Sequence[str]) -> dict[str, Completion]:
        """The replies that are known, by key."""
        with _explained(self._path):
            return completions_of(self.texts(keys))

    def keep(self, key: str, role: str, model: str, completion: Completion) -> None:
        """Keep a reply, unless there is one."""
        self.write([Row.of(key, role, model, completion)])

    def texts(self, keys: Sequence[str]) -> dict[str, str]:
        """The replies that are known, by key, as JSON."""
        with self._lock, _explained(self._path):
            asked = ((key, self._file.execute(_FIND, (key,)).fetchone()) for key in keys)
            found = {key: row[0] for key, row in asked if row}
            for path, query in self._earlier.items():
                with _explained(path, _NAME_ANOTHER):
                    missing = (key for key in keys if key not in found)
                    taken = [Row(*row) for key in missing for row in self._file.execute(query, (key,))]
                with self._file:
                    self._file.executemany(_KEEP, taken)
                found |= {row.key: row.completion for row in taken}
            return found

    def write(self, rows: Sequence[Row]) -> None:
        """Keep replies, all or none of them; those that are known stay as they are."""
        with self._lock, _explained(self._path), self._file:
            self._file.executemany(_KEEP, rows)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()


class CachedModel:
    """A model that remembers its replies by model, messages, sampling and seed.

    Timeouts, and what the server rejects, are asked again. A changed server or weights under the same name
    are not noticed.

    Args:
        model: Answers what is not known yet.
        store: Where the replies are kept, or the path of a :class:`FileStore`.
        role: Whose tokens are counted, see :class:`Usage`.

    Raises:
        RunError: The file is something else.
    """

    def __init__(self, model: Model, store: Store | str | Path, role: str = "") -> None:
        self.model, self.name, self.role = model, model.name, role
        self.hits = 0
        """Replies that came from the store."""
        self.tokens = 0
        """Tokens of the others, read and written."""
        self._lock = threading.Lock()
        self._store = FileStore(store) if isinstance(store, str | Path) else store

    def complete(self, requests: Sequence[Request], on_done: OnDone | None = None) -> list[Completion]:
        """Answer each request, from the store where it is known; equal requests are asked once."""
        keys = [_key(self.name, request) for request in requests]
        found = self._store.find(list(dict.fromkeys(keys)))
        self.hits += sum(key in found for key in keys)
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in found}
        found |= self._ask(missing) if missing else {}
        answers = [found[key] for key in keys]
        for place, answer in enumerate(answers):
            if on_done is not None:
                on_done(place, answer)
        return answers

    def close(self) -> None:
        """Close the store, and the model if it can be closed."""
        close = getattr(self.model, "close", None)
        if close is not None:
            close()
        self._store.close()

    def _ask(self, missing: Mapping[str, Request]) -> dict[str, Completion]:
        """Ask the model, and return when every reply is stored."""
        names, written = list(missing), list[Future[None] | None]()

        def store(place: int, completion: Completion) -> None:
            written.append(self._keep(names[place], completion))

        try:
            return dict(zip(names, self.model.complete(list(missing.values()), store), strict=True))
        finally:  # after a fault, too: what was answered is not asked again
            for each in written:
                if each is not None:
                    each.result()

    def _keep(self, key: str, completion: Completion) -> Future[None] | None:
        with self._lock:
            self.tokens += completion.prompt_tokens + completion.completion_tokens
        if completion.finish in (Finish.TIMEOUT, Finish.REJECTED):
            return None
        return self._store.keep(key, self.role, self.name, completion)


def completions_of(texts: Mapping[str, str]) -> dict[str, Completion]:
    """Decode replies from JSON."""
    return {key: msgspec.json.decode(text, type=Completion) for key, text in texts.items()}


def store_beside(path: Path) -> Path:
    """The store of the replies that a file of measured problems rests on."""
    return Path(f"{path}.{RESPONSES}")  # of "." too, which has no name


def replies_of(path: str | Path) -> Path:
    """Where the replies are that a run, or measuring, has stored.

    Args:
        path: A run folder, a file that :func:`.remeasure` wrote, or the store itself.

    Raises:
        RunError: There is none, or it is something else.
    """
    path = Path(path)
    own = path / RESPONSES if path.is_dir() else store_beside(path)
    file = own if own.is_file() else path
    if not file.is_file():
        raise RunError(f"{path} holds no replies. {_NAME_ANOTHER}")
    with _explained(file, _NAME_ANOTHER), closing(_open_to_read(file)) as store:
        store.execute(_FIND, ("",))
    return file


def usage_of(path: str | Path) -> list[Usage]:
    """Add up what a store of replies has cost, by role and model; empty if there is no such file.

    Raises:
        RunError: The file is something else, is damaged, or cannot be used.
    """
    path = Path(path)
    if not path.exists():
        return []
    with _explained(path), closing(_open_to_read(path)) as file:
        rows = file.execute(
            "SELECT role, model, COUNT(*), SUM(prompt_tokens), SUM(completion_tokens), SUM(seconds) "
            "FROM responses GROUP BY role, model ORDER BY role, model"
        ).fetchall()
    return [Usage(**dict(zip(Usage.__struct_fields__, row, strict=True))) for row in rows]


def _open(path: Path) -> sqlite3.Connection:
    with _explained(path), ExitStack() as stack:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(path.absolute().as_uri(), timeout=_PATIENCE, check_same_thread=False, uri=True)
        stack.callback(file.close)
        _write_ahead(file)
        file.execute("PRAGMA synchronous = NORMAL")
        file.execute(_TABLE)
        stack.pop_all()
    return file


def _attach(file: sqlite3.Connection, path: Path, name: str) -> str:
    """Make another store readable under a name; returns the query for a row of it."""
    query = f"SELECT {', '.join(Row._fields)} FROM {name}.responses WHERE key = ?"
    with _explained(path, _NAME_ANOTHER):
        file.execute("ATTACH ? AS ?", (_to_read(path), name))
        file.execute(query, ("",))  # says so here if it is something else
    return query


def _open_to_read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(_to_read(path), timeout=_PATIENCE, uri=True)


def _to_read(path: Path) -> str:
    """The address of a store that is only read, maybe that of a run in an archive or of a colleague.

    Even to read one SQLite makes files beside it, which go only with a connection that may write. Where it cannot
    make any, it must hear that the store is complete and nobody changes it.
    """
    where, log = path.absolute().as_uri(), path.with_name(f"{path.name}-wal")
    if os.access(path.parent, os.W_OK):
        return f"{where}?mode={'rw' if os.access(path, os.W_OK) else 'ro'}"
    is_complete = not log.exists() or not log.stat().st_size  # else somebody writes, or was killed
    return f"{where}?mode=ro{'&immutable=1' * is_complete}"


def _write_ahead(file: sqlite3.Connection) -> None:
    """Switch to write-ahead mode.

    Of two that do so at once with a new file each bars the other, and SQLite refuses both at once, without its
    usual wait. With the refusal they let go of the file, so that the next try of either succeeds.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            file.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        time.sleep(0.01)


@contextmanager
def _explained(path: Path, what_to_do: str = _ASK_AGAIN) -> Iterator[None]:
    """Say in one sentence what is wrong with a store, and what to do if it is none."""
    try:
        yield
    except sqlite3.ProgrammingError:  # a fault of ours, such as a use after the end
        raise
    except (sqlite3.DatabaseError, msgspec.DecodeError, OSError) as error:
        if isinstance(error, OSError) or _code(error) in _AROUND:
            raise RunError(
                f"{path} cannot be used as a store of replies: {error}. See that its folder can be written to, "
                "that the disk has room, and that no other process holds the file."
            ) from error
        raise RunError(f"{path} is no store of replies, or a damaged one: {error}. {what_to_do}") from error


def _code(error: Exception) -> int:
    """The primary code of a fault of SQLite; the bits above it tell details."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _key(model: str, request: Request) -> str:
    return hashlib.sha256(msgspec.json.encode([model, request], order="deterministic")).hexdigest()
