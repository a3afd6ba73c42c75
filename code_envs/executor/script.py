"""Programs that read standard input: how a child gets its descriptors, and how it runs a script.

The client sends descriptors 0, 1 and 2 for each run, so that nothing of one run is left to the next:
a memory file that nobody can change any more, and two that only ever grow, up to ``RLIMIT_FSIZE``.
Standard library only: the sandboxed interpreter loads this file.
"""

from __future__ import annotations

import atexit
import builtins
import io
import os
import sys
import traceback
from _socket import CMSG_SPACE, socket
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import TextIO

__all__ = ["FILE", "Receiver", "run"]

FILE = "<program>"

_STANDARD = 3  # descriptors


class Receiver:
    """Takes the descriptors of one script; for the zygote, which keeps none of them."""

    def __init__(self, control: int) -> None:
        self._socket, self._space = socket(fileno=control), CMSG_SPACE(_STANDARD * 4)

    def receive(self) -> None:
        """Take descriptors 0, 1 and 2, free until now, so that they get just these numbers."""
        _, messages, _, _ = self._socket.recvmsg(1, self._space)
        if b"".join(data for _, _, data in messages) != b"\0\0\0\0\1\0\0\0\2\0\0\0":
            os._exit(0)  # the client has gone, or is short of descriptors

    def close(self) -> None:
        """Leave them to the child."""
        for descriptor in range(_STANDARD):
            os.close(descriptor)


def run(source: str, fail: Callable[[BaseException], None]) -> int:
    """Run a script as ``__main__``, with its exit handlers, and flush what it printed.

    Args:
        source: The program.
        fail: Records the exception that ends it.

    Returns:
        Its exit status.
    """
    stdout = _open_streams()
    module = ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    status = _guard(lambda: exec(compile(source, FILE, "exec", dont_inherit=True), module.__dict__), fail)
    atexit._run_exitfuncs()
    streams = {stdout, sys.stdout or stdout}  # a program may have put another in its place
    return max(status, *(_guard(stream.flush, fail) for stream in streams if not stream.closed))


def _open_streams() -> TextIO:
    """What an interpreter does at its start, with UTF-8 whatever the locale."""
    os.fstat = _fstat  # type: ignore[assignment]
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(io.FileIO(0)), "utf-8")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _writer(1, "strict", line_buffering=False)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _writer(2, "backslashreplace", line_buffering=True)  # type: ignore[misc]
    return sys.stdout


def _writer(descriptor: int, errors: str, *, line_buffering: bool) -> io.TextIOWrapper:
    raw = io.BufferedWriter(io.FileIO(descriptor, "w"))
    return io.TextIOWrapper(raw, "utf-8", errors, newline="\n", line_buffering=line_buffering)


def _fstat(descriptor: int) -> os.stat_result:
    """Tell the size of a standard descriptor, as fast readers ask; the filter denies the real call."""
    at = os.lseek(descriptor, 0, os.SEEK_CUR)
    size = os.lseek(descriptor, 0, os.SEEK_END)
    os.lseek(descriptor, at, os.SEEK_SET)
    return os.stat_result((0o100600, 0, 0, 1, 0, 0, size, 0, 0, 0))


def _guard(action: Callable[[], object], fail: Callable[[BaseException], None]) -> int:
    try:
        action()
    except SystemExit as error:
        return _status_of(error)
    except BaseException as error:
        fail(error)
        traceback.print_exception(error.with_traceback(_own(error.__traceback__)))
        return 1
    return 0


def _own(trace: TracebackType | None) -> TracebackType | None:
    """Skip the frames that are not the program's."""
    while trace and trace.tb_frame.f_code.co_filename != FILE:
        trace = trace.tb_next
    return trace


def _status_of(error: SystemExit) -> int:
    """What the interpreter makes of an exit: none is 0, a number is itself, a text is printed and is 1."""
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    print(error.code, file=sys.stderr)
    return 1
