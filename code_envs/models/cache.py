"""A store of replies on disk, so that a resumed or repeated run asks for nothing twice.

One SQLite file in write-ahead mode: a kill loses at most the reply that was being stored, and
several processes of one machine may use it at once (not over a network file system).
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from code_envs.errors import RunError
from code_envs.models.base import Completion, Finish, Model, OnDone, Request

__all__ = ["RESPONSES", "CachedModel", "FileStore", "Store", "Usage", "usage_of"]

RESPONSES = "responses.sqlite"
"""The file of a run folder that holds the replies of its models."""
_TABLE = """
CREATE TABLE IF NOT EXISTS responses (
    key TEXT PRIMARY KEY, role TEXT NOT NULL, model TEXT NOT NULL, completion TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, seconds REAL NOT NULL
) WITHOUT ROWID
"""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a role of a run has cost.

    Attributes:
        role: ``teacher`` or ``student``.
        model: The name of the model.
        calls: Replies that a model gave; what came from the store is not counted again.
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


class Store(Protocol):
    """Where replies are kept; may be used from several threads."""

    def find(self, keys: Sequence[str]) -> dict[str, Completion]:
        """The replies that are known, by key."""
        ...

    def keep(self, key: str, role: str, model: str, completion: Completion) -> None:
        """Keep a reply; when this returns, a killed process loses it no more. A known key stays as it is."""
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...


class FileStore:
    """Replies in a SQLite file.

    Args:
        path: The file; made if it does not exist.

    Raises:
        RunError: The file is something else.
    """

    def __init__(self, path: str | Path) -> None:
        self._lock, self._file = threading.Lock(), _open(Path(path))

    def find(self, keys: Sequence[str]) -> dict[str, Completion]:
        """The replies that are known, by key."""
        found = {}
        with self._lock:
            for key in keys:
                row = self._file.execute("SELECT completion FROM responses WHERE key = ?", (key,)).fetchone()
                if row:
                    found[key] = msgspec.json.decode(row[0], type=Completion)
        return found

    def keep(self, key: str, role: str, model: str, completion: Completion) -> None:
        """Keep a reply, unless there is one."""
        tokens = completion.prompt_tokens, completion.completion_tokens
        row = (key, role, model, msgspec.json.encode(completion).decode(), *tokens, completion.seconds)
        with self._lock, self._file:
            self._file.execute("INSERT OR IGNORE INTO responses VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()


class CachedModel:
    """A model that remembers its replies by model, messages, sampling and seed.

    Timeouts are asked again. A changed server or weights under the same name are not noticed.

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
        names = list(missing)

        def store(place: int, completion: Completion) -> None:
            self._keep(names[place], completion)

        completions = self.model.complete(list(missing.values()), store) if missing else []
        found |= dict(zip(names, completions, strict=True))
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

    def _keep(self, key: str, completion: Completion) -> None:
        with self._lock:
            self.tokens += completion.prompt_tokens + completion.completion_tokens
        if completion.finish is not Finish.TIMEOUT:
            self._store.keep(key, self.role, self.name, completion)


def usage_of(path: str | Path) -> list[Usage]:
    """Add up what a store of replies has cost, by role and model; empty if there is no such file."""
    if not Path(path).exists():
        return []
    file = _open(Path(path))
    try:
        rows = file.execute(
            "SELECT role, model, COUNT(*), SUM(prompt_tokens), SUM(completion_tokens), SUM(seconds) "
            "FROM responses GROUP BY role, model ORDER BY role, model"
        ).fetchall()
    finally:
        file.close()
    return [Usage(**dict(zip(Usage.__struct_fields__, row, strict=True))) for row in rows]


def _open(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(path, timeout=60.0, check_same_thread=False)
    try:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = NORMAL")
        file.execute(_TABLE)
    except sqlite3.DatabaseError as error:
        file.close()
        raise RunError(f"{path} is no store of replies: {error}. Remove it, or give another folder.") from error
    return file


def _key(model: str, request: Request) -> str:
    return hashlib.sha256(msgspec.json.encode([model, request], order="deterministic")).hexdigest()
