"""The folder of an online service: what it knows survives a kill at any moment.

``state.json`` is replaced whole; ``events-N.jsonl`` holds what happened since state ``N``, one line
for each question, grade and batch of siblings, so that a service that was killed replays it and
stands where it stood; ``siblings.jsonl`` holds the problems that the teacher made, as they came.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from code_envs.errors import ProblemError, RunError
from code_envs.folders import claimed, cut_torn_line, replace_file
from code_envs.problem import Problem, load_problems

__all__ = ["SIBLINGS", "STATE", "Ledger"]

STATE, SIBLINGS = "state.json", "siblings.jsonl"
_log = logging.getLogger(__name__)


class Ledger:
    """Holds the folder until :meth:`close`; the kernel lets go of it however the process ends.

    Args:
        folder: Made if it does not exist.

    Raises:
        RunError: It holds something else, a damaged file, or another process is at work in it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._held = ExitStack()
        self._held.enter_context(claimed(self.folder, STATE))
        self._events: BinaryIO | None = None
        self._saving, self._appending = threading.Lock(), threading.Lock()
        self.broken, self._saved = "", 0
        try:
            self.state: dict[str, Any] | None = self._read_state()
            self.number = self.state["number"] if self.state else 0
            self.siblings = {problem.key: problem for problem in self._read_siblings()}
        except BaseException:
            self._held.close()
            raise

    def _read_state(self) -> dict[str, Any] | None:
        path = self.folder / STATE
        if not path.exists():
            return None
        try:
            state: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict)
        except msgspec.DecodeError as error:
            raise RunError(f"{path} was changed and cannot be read: {error}. Give another folder.") from error
        if not {"number", "tickets"} <= state.keys() or not isinstance(state["number"], int):
            raise RunError(f"{path} is no state of a curriculum's service. Give another folder.")
        return state

    def _read_siblings(self) -> list[Problem]:
        path = self.folder / SIBLINGS
        if not path.exists():
            return []
        cut_torn_line(path)
        try:
            return list(load_problems(path))
        except ProblemError as error:
            raise RunError(f"{error}. The file was changed; remove that line, or give another folder.") from error

    def events(self) -> Iterator[dict[str, Any]]:
        """What happened since the state was written, in order.

        Raises:
            RunError: A line is damaged.
        """
        for number in sorted(self._numbers()):
            if number >= self.number:
                path = self._path(number)
                cut_torn_line(path)
                for at, line in enumerate(path.read_bytes().splitlines(), 1):
                    try:
                        yield msgspec.json.decode(line, type=dict)
                    except msgspec.DecodeError as error:
                        raise RunError(f"{path}:{at} was changed and cannot be read: {error}") from error

    def _numbers(self) -> list[int]:
        return [int(path.stem.partition("-")[2]) for path in self.folder.glob("events-*.jsonl")]

    def _path(self, number: int) -> Path:
        return self.folder / f"events-{number:08d}.jsonl"

    def log(self, event: Mapping[str, Any]) -> None:
        """Write down what happened. It outlives the process, though not a power cut.

        A disk that is full or gone is told once, in the log and as ``broken``: no rollout fails for it.
        """
        try:
            if self._events is None:
                self._events = self._path(self.number).open("ab", buffering=0)
            self._events.write(msgspec.json.encode(event) + b"\n")
        except OSError as error:
            self._break(error)

    def begin_state(self) -> int:
        """Let what happens from now on belong to the next state, which :meth:`save` then writes."""
        if self._events is not None:
            self._events.close()
        self._events, self.number = None, max(self.number, *self._numbers(), 0) + 1
        return self.number

    def save(self, number: int, state: Mapping[str, Any]) -> None:
        """Replace the state, and drop the events that it holds already."""
        with self._saving:
            if number < self._saved:
                return  # a later one is there already
            self._saved = number
            try:
                replace_file(self.folder / STATE, msgspec.json.encode({"number": number, **state}).decode())
                for old in self._numbers():
                    if old < number:
                        self._path(old).unlink(missing_ok=True)
            except OSError as error:
                self._break(error)

    def add_sibling(self, problem: Problem) -> None:
        """Append a problem that the teacher made."""
        with self._appending:
            try:
                with (self.folder / SIBLINGS).open("ab") as file:
                    file.write(problem.to_json().encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                self._break(error)
            self.siblings[problem.key] = problem

    def _break(self, error: OSError) -> None:
        if not self.broken:
            _log.error("the service goes on, but what it learns is not saved: %s", error)
        self.broken = str(error)

    def close(self) -> None:
        """Let go of the folder."""
        if self._events is not None:
            self._events.close()
            self._events = None
        self._held.close()
