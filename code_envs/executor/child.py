"""What runs in the child: one untrusted program, its calls, and their results.

Everything here shares an interpreter with the program, which can read and change all of it. So
nothing here is a verdict: the client treats whatever arrives as a claim, and the kernel holds the
limits. Standard library only.
"""

from __future__ import annotations

import builtins
import gc
import io
import random
import sys
from collections.abc import Callable
from mmap import mmap
from types import ModuleType
from typing import Any, cast

from code_envs.codec import MAX_BYTES, EncodeError, decode, encode
from code_envs.executor import script
from code_envs.executor.frame import CLAIMS, LENGTH, MAX_MESSAGE, MAX_NAME, RECORD, REQUEST, RESULT

__all__ = ["Session", "warm_up"]

_Map = mmap | bytearray

_CODE = {name: code for code, name in enumerate(CLAIMS)}


class _Request:
    """Reads the request map from its beginning."""

    def __init__(self, memory: _Map | bytes) -> None:
        self.memory, self.at = memory, REQUEST.size
        self._sizes = REQUEST.unpack_from(memory)
        self.calls, self.seed, self.recursion, self.stdout_bytes, self.result_bytes = self._sizes[2:7]
        self.coerce, self.script = map(bool, self._sizes[7:])

    def _take(self, size: int) -> bytes:
        self.at += size
        return bytes(self.memory[self.at - size : self.at])

    def program(self) -> tuple[str, str]:
        """Return the source and the name of the entry; before any call."""
        source, entry = self._take(self._sizes[0]), self._take(self._sizes[1])
        return source.decode("utf-8", "surrogatepass"), entry.decode("utf-8", "surrogatepass")

    def call(self) -> bytes:
        """Return the next call's arguments, encoded."""
        return self._take(LENGTH.unpack(self._take(LENGTH.size))[0])


class _Recorder:
    """Writes the result map; the count goes last, so that a killed call leaves no half record."""

    def __init__(self, memory: _Map) -> None:
        self.memory = memory
        self.begin(0, 0)

    def begin(self, stdout_bytes: int, result_bytes: int) -> None:
        """Start with an empty map."""
        self.at, self.stdout_bytes, self.left = RESULT.size + stdout_bytes, stdout_bytes, result_bytes
        self.records = self.captured = self.shared = 0

    def head(self, finished: int) -> None:
        RESULT.pack_into(self.memory, 0, finished, self.shared, self.records, self.captured)

    def put(self, status: str, mutated: bool = False, name: str = "", message: str = "", value: bytes = b"") -> None:
        name_bytes = name[:MAX_NAME].encode("utf-8", "replace")
        message_bytes = message[:MAX_MESSAGE].encode("utf-8", "replace")
        head = RECORD.pack(_CODE[status], mutated, len(name_bytes), len(message_bytes), len(value))
        record = b"".join((head, name_bytes, message_bytes, value))
        self.memory[self.at : self.at + len(record)] = record
        self.at += len(record)
        self.left -= len(value)
        self.records += 1
        self.head(0)

    def fail(self, error: BaseException, mutated: bool = False) -> None:
        """Record an exception of the program."""
        if isinstance(error, SystemExit):
            status = "exited"
        elif isinstance(error, RecursionError):
            status = "recursion"
        else:
            status = "memory" if isinstance(error, MemoryError) else "raised"
        self.put(status, mutated, *_describe(error))


class _Capture(io.BufferedIOBase):
    """Standard output and error: kept in the result map up to a bound, dropped after."""

    def __init__(self, recorder: _Recorder) -> None:
        self._recorder = recorder

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        start = self._recorder.captured
        kept = bytes(data[: self._recorder.stdout_bytes - start])
        if kept:
            self._recorder.memory[RESULT.size + start : RESULT.size + start + len(kept)] = kept
            self._recorder.captured = start + len(kept)
            self._recorder.head(0)
        return len(data)


def _describe(error: BaseException) -> tuple[str, str]:
    """Name an exception and give its message, whatever its own methods do."""
    try:
        name = str(type(error).__name__)
        if isinstance(error, SyntaxError):
            return name, f"line {error.lineno}: {error.msg}"
        return name, str(error)
    except BaseException:
        return "Exception", "its message cannot be shown"


def _load(request: _Request) -> Callable[..., object]:
    """Execute the program as a module named ``program`` and find its entry."""
    module = ModuleType("program")
    module.__dict__["__builtins__"] = builtins
    sys.modules["program"] = sys.modules["__main__"] = module
    source, entry = request.program()
    exec(compile(source, script.FILE, "exec", dont_inherit=True), module.__dict__)
    if entry not in module.__dict__:
        raise NameError(f"the program defines no function {entry!r}")
    found: Callable[..., object] = module.__dict__[entry]
    return found


def _is_changed(arguments: tuple[object, ...], before: bytes) -> bool:
    try:
        return encode(arguments, ordered=True, max_bytes=2 * MAX_BYTES) != before
    except (EncodeError, MemoryError, RecursionError):
        return True


def _call(entry: Callable[..., object], data: bytes, recorder: _Recorder, coerce: bool) -> None:
    try:
        arguments: tuple[object, ...] = decode(data)  # type: ignore[assignment]
    except MemoryError as error:
        recorder.fail(error)
        return
    try:
        result = entry(*arguments)
    except BaseException as error:
        recorder.fail(error, _is_changed(arguments, data))
        return
    try:
        value = encode(result, coerce=coerce, max_bytes=min(recorder.left, MAX_BYTES))
    except EncodeError as error:
        recorder.put("too_large", _is_changed(arguments, data), "", str(error))
    except BaseException as error:  # out of memory, or from a subclass that is taken as its base type
        recorder.fail(error, _is_changed(arguments, data))
    else:
        recorder.put("ok", _is_changed(arguments, data), value=value)


class Session:
    """The two maps and what stands on them: made in the zygote, used once in each child.

    Args:
        request_map: Read only by a child.
        result_map: Written only by a child.
    """

    def __init__(self, request_map: _Map | bytes, result_map: _Map) -> None:
        self.request_map = request_map
        self.recorder = _Recorder(result_map)
        self.stream: Any = io.TextIOWrapper(
            cast("io.BytesIO", _Capture(self.recorder)),
            encoding="utf-8",
            errors="backslashreplace",
            newline="\n",
            line_buffering=True,
        )

    def redirect(self) -> None:
        """Send what is printed into the result map; there is nothing to read."""
        sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = self.stream  # type: ignore[misc]
        sys.stdin = sys.__stdin__ = cast("Any", None)  # type: ignore[misc]

    def run(self) -> int:
        """Run the program in the request map; every limit is in force already.

        Returns:
            The exit status: a script's own, else 0.
        """
        request, recorder, flush = _Request(self.request_map), self.recorder, self.stream.flush
        recorder.begin(request.stdout_bytes, request.result_bytes)
        random.seed(request.seed)
        gc.enable()
        sys.setrecursionlimit(request.recursion)
        if request.script:
            return script.run(request.program()[0], recorder.fail)
        try:
            entry = _load(request)
        except BaseException as error:
            recorder.shared = 1
            recorder.fail(error)
        else:
            for _ in range(request.calls):
                _call(entry, request.call(), recorder, request.coerce)
        flush()
        recorder.head(1)
        return 0


_SAMPLE = """
import collections, functools, itertools, math, re
from typing import List, Optional

class Node:
    def __init__(self, value: int, left: Optional["Node"] = None) -> None:
        self.value, self.left = value, left

def helper(items: List[int], *, start: int = 0) -> int:
    total = start
    for index, item in enumerate(items):
        if item % 2 == 0 and index > 0:
            total += item
        elif not item:
            continue
    while total > 100:
        total //= 2
    return total

def f(items, table, text):
    counts = collections.Counter(items)
    try:
        value = table["missing"]
    except KeyError:
        value = Node(1).value
    words = [word.lower() for word in text.split() if word]
    print(f"{value} {len(words):>3}")
    return {"total": helper(items, start=1), "pairs": sorted(counts.items()), "words": set(words), "x": (1.5, None)}
"""


def warm_up() -> None:
    """Run a sample program as a child would, before the first fork.

    Children inherit the interpreter's caches and specialised bytecode instead of making, and
    paging in, their own.
    """
    call = encode(([3, 1, 2, 2], {"a": 1.5}, "Some words here"), ordered=True)
    program, entry, calls = _SAMPLE.encode(), b"f", 8
    head = REQUEST.pack(len(program), len(entry), calls, 0, sys.getrecursionlimit(), 1000, 10_000, False, False)
    request = head + program + entry + (LENGTH.pack(len(call)) + call) * calls
    streams, main = (sys.stdin, sys.stdout, sys.stderr), sys.modules["__main__"]
    for _ in range(4):
        session = Session(request, bytearray(20_000))
        session.redirect()
        session.run()
    gc.disable()
    sys.stdin, sys.stdout, sys.stderr = streams
    sys.modules["__main__"] = main
    del sys.modules["program"]
