"""Python's parser, for several threads at a time."""

from __future__ import annotations

import ast
import os
import threading
import warnings
from typing import Literal, overload

__all__ = ["parse"]

_PARSING = threading.RLock()  # a finaliser may parse, too
os.register_at_fork(before=_PARSING.acquire, after_in_parent=_PARSING.release, after_in_child=_PARSING.release)


@overload
def parse(source: str, mode: Literal["exec"] = "exec") -> ast.Module: ...


@overload
def parse(source: str, mode: Literal["eval"]) -> ast.Expression: ...


def parse(source: str, mode: Literal["exec", "eval"] = "exec") -> ast.Module | ast.Expression:
    """Parse as :func:`ast.parse` does, one thread at a time and without its warnings.

    CPython before 3.11.8 and 3.12.2 counts the levels of the trees of all threads together, and fails with a
    ``SystemError`` where a garbage collection lets another thread in (gh-106905). Nor may several threads change
    the warning filters.

    Raises:
        SyntaxError: The text is not Python.
        ValueError: It holds null characters.
        MemoryError: It is too deeply nested.
        RecursionError: Likewise.
    """
    with _PARSING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source, mode=mode)
    assert isinstance(tree, ast.Module | ast.Expression)
    return tree
