"""The modules that a program may import: loaded before the doors close, since nothing opens a file after.

Only modules of the standard library that a pure function can use; what would need files, processes,
sockets or threads fails when it is used. Any other module raises ``ModuleNotFoundError``.
"""

from __future__ import annotations

import builtins
import importlib
import os
import re
import sys
from _sitebuiltins import Quitter
from typing import Any

__all__ = ["ALLOWED", "is_lean", "preload"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ALLOWED = _words("""
abc array ast atexit base64 binascii bisect builtins calendar cmath codecs collections collections.abc colorsys
contextlib copy copyreg dataclasses datetime decimal difflib dis enum errno fileinput fractions functools gc
graphlib hashlib heapq hmac html inspect io itertools json keyword linecache locale logging marshal math numbers
operator os os.path pathlib pickle posixpath pprint queue random re reprlib secrets shlex signal stat statistics
string struct sys textwrap threading time timeit token tokenize traceback types typing unicodedata urllib.parse
uuid warnings weakref zlib zoneinfo
""")
# What the modules above import only when they are used: strptime, codecs by name, entities.
_LATE = _words("""
_strptime encodings.ascii encodings.base64_codec encodings.cp1252 encodings.hex_codec encodings.idna
encodings.latin_1 encodings.raw_unicode_escape encodings.rot_13 encodings.unicode_escape encodings.utf_16
encodings.utf_16_be encodings.utf_16_le encodings.utf_32 encodings.utf_8 encodings.utf_8_sig encodings.zlib_codec
html.entities importlib.machinery importlib.util
""")

# What nearly every program makes do with. Each module beyond makes every fork dearer, and each shared
# library with five mappings most of all.
_LEAN = _words("""
__future__ abc bisect builtins collections collections.abc copy errno functools heapq io itertools json math
operator os os.path random re string sys time types typing
""")
_IMPORT = re.compile(r"(?:^|[\n;:])[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+([^\n;#]+))")
_WORD = re.compile(r"\bimport\b")
# Ways to need a module without an import statement.
_HIDDEN = re.compile(
    r"__import__|importlib|import_module|\b(?:eval|exec|compile|modules|strptime|set_int_max_str_digits)\b"
    r"|__(?:builtins|loader|spec)__"
)


def is_lean(program: str) -> bool:
    """Tell whether a program surely imports nothing but what a lean zygote has; in doubt it does not.

    Args:
        program: Python source, or whatever a model wrote instead.
    """
    if _HIDDEN.search(program):
        return False
    found = _IMPORT.findall(program)
    if len(found) != len(_WORD.findall(program)):
        return False
    for origin, names in found:
        wanted = [origin] if origin else [name.split(" as ")[0].strip() for name in names.split(",")]
        if not all(name in _LEAN for name in wanted):
            return False
    return True


def preload(*, lean: bool = False) -> None:
    """Import everything that a program may need later.

    Two shortcuts: OpenSSL, which costs 10 ms of start and 5 MB that every fork copies, stays out
    (``hashlib`` has its own), and so do the hooks that ``random``, ``threading`` and ``logging`` run
    after a fork: a child is seeded anyway and has one thread, and they cost half a millisecond each time.

    Args:
        lean: Only what programs need for which :func:`is_lean` holds.
    """
    sys.modules["_hashlib"] = None  # type: ignore[assignment]
    register, os.register_at_fork = os.register_at_fork, _ignore
    for name in _LEAN if lean else ALLOWED + _LATE:
        importlib.import_module(name)
    os.register_at_fork = register
    for name in ("exit", "quit"):
        setattr(builtins, name, Quitter(name, ""))
    if not lean:
        if sys.version_info >= (3, 12):
            importlib.import_module("_pylong")  # for integers of very many digits
        _run_threads_at_once(sys.modules["threading"].Thread)
    os.times = lambda: os.times_result((0.0,) * 5)  # the C library takes a refused call for a time


def _run_threads_at_once(kind: Any) -> None:
    """Let a thread run to its end where it is started, since no other one can start here.

    Programs that read standard input often use one thread, for a deeper stack.
    """

    def start(thread: Any) -> None:
        if thread._started.is_set():
            raise RuntimeError("threads can only be started once")
        thread._started.set()
        try:
            thread.run()
        except BaseException:
            thread._invoke_excepthook(thread)

    def join(thread: Any, timeout: float | None = None) -> None:  # noqa: ARG001
        if not thread._started.is_set():
            raise RuntimeError("cannot join thread before it is started")

    kind.start, kind.join, kind.is_alive = start, join, lambda thread: False  # noqa: ARG005


def _ignore(**hooks: object) -> None:
    """Stand in for ``os.register_at_fork``."""
