"""Literal values: how they are encoded, written, read back and compared.

The values of code-envs are exact ``None``, ``bool``, ``int``, ``float``, ``str``, ``bytes``,
``list``, ``tuple``, ``dict``, ``set`` and ``frozenset``. What a model wrote is read by the parser
in :mod:`code_envs.literals`, never evaluated.
"""

from __future__ import annotations

import math
from functools import lru_cache

from code_envs import codec
from code_envs.codec import MAX_BYTES, MAX_DEPTH, MAX_DIGITS, MAX_ITEMS
from code_envs.errors import ValueRefused
from code_envs.literals import MAX_STORED, MAX_TEXT, parse_arguments, parse_literal

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_DIGITS",
    "MAX_ITEMS",
    "MAX_STORED",
    "MAX_TEXT",
    "REL_TOL",
    "decode",
    "encode",
    "encode_literal",
    "equal",
    "parse_arguments",
    "parse_literal",
    "same_result",
    "write_literal",
]

REL_TOL = 1e-9
_MAX_UNMATCHED = 256
_SHORT = 2048


def encode(value: object, *, ordered: bool = False) -> bytes:
    """Encode a value; see :func:`code_envs.codec.encode`.

    Args:
        value: A literal value.
        ordered: Keep the insertion order of dicts (for arguments); sorted otherwise.

    Returns:
        The encoding: equal bytes for equal values (floats aside), on every machine.

    Raises:
        ValueRefused: The value is not a literal, or over the bounds.
    """
    try:
        return codec.encode(value, ordered=ordered)
    except codec.EncodeError as error:
        raise ValueRefused(str(error)) from error


def decode(data: bytes) -> object:
    """Decode an encoding into a fresh value.

    Raises:
        ValueRefused: The bytes are not an encoding.
    """
    try:
        return codec.decode(data)
    except codec.DecodeError as error:
        raise ValueRefused(str(error)) from error


def encode_literal(text: str, *, ordered: bool = False, max_text: int = MAX_TEXT) -> bytes:
    """Encode the value of a literal text; short ones are remembered, since groups repeat their cases.

    Args:
        text: The literal.
        ordered: See :func:`encode`.
        max_text: See :func:`parse_literal`; ``MAX_STORED`` for a text that stands in a record.
    """
    if len(text) <= _SHORT:
        return _encode_short(text, ordered)
    return encode(parse_literal(text, max_text=max_text), ordered=ordered)


@lru_cache(maxsize=1 << 14)
def _encode_short(text: str, ordered: bool) -> bytes:
    return encode(parse_literal(text), ordered=ordered)


def write_literal(value: object) -> str:
    """Write a value as Python source that :func:`parse_literal` reads back exactly.

    Sets are written in a fixed order, dicts in their own. Infinities and NaN are written
    ``float('inf')``, ``float('-inf')`` and ``float('nan')``.

    Args:
        value: A literal value.

    Returns:
        One line of source.

    Raises:
        ValueRefused: The value is not a literal, or over the bounds.
    """
    encode(value)
    return _write(value)


def _write(value: object) -> str:
    match value:
        case float() if not math.isfinite(value):
            return f"float('{value}')"
        case list():
            return f"[{', '.join(map(_write, value))}]"
        case tuple():
            return f"({_write(value[0])},)" if len(value) == 1 else f"({', '.join(map(_write, value))})"
        case dict():
            return "{" + ", ".join(f"{_write(key)}: {_write(item)}" for key, item in value.items()) + "}"
        case set():
            return "{" + ", ".join(_in_order(value)) + "}" if value else "set()"
        case frozenset():
            return "frozenset({" + ", ".join(_in_order(value)) + "})" if value else "frozenset()"
        case _:
            return repr(value)


def _in_order(items: set[object] | frozenset[object]) -> list[str]:
    numbers = all(type(item) in (int, float) and item == item for item in items)
    ordered = sorted(items) if numbers else sorted(items, key=encode)  # type: ignore[type-var]
    return [_write(item) for item in ordered]


def equal(expected: object, got: object) -> bool:
    """Compare two values, strictly by type.

    ``True`` is not ``1``, a tuple is not a list. Floats compare at a relative tolerance of
    ``REL_TOL``, NaN equals NaN; tolerance never applies to ints, to dict keys, or between types.

    Args:
        expected: A literal value.
        got: A literal value.

    Returns:
        Whether they are the same.
    """
    kind = type(expected)
    if kind is not type(got):
        return False
    if kind is float:
        return _close(expected, got)  # type: ignore[arg-type]
    if kind is list or kind is tuple:
        return len(expected) == len(got) and all(map(equal, expected, got))  # type: ignore[arg-type, call-overload]
    if kind is dict:
        return _equal_dicts(expected, got)  # type: ignore[arg-type]
    if kind is set or kind is frozenset:
        return _equal_sets(expected, got)  # type: ignore[arg-type]
    return bool(expected == got)


def _close(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=REL_TOL, abs_tol=0.0)


def _equal_dicts(a: dict[object, object], b: dict[object, object]) -> bool:
    if len(a) != len(b):
        return False
    # by encoding, since True == 1 and 1.0 == 1 as dict keys
    right = {encode(key): item for key, item in b.items()}
    left = {encode(key): item for key, item in a.items()}
    return left.keys() == right.keys() and all(equal(item, right[key]) for key, item in left.items())


def _equal_sets(a: frozenset[object], b: frozenset[object]) -> bool:
    if len(a) != len(b):
        return False
    left, right = {encode(item): item for item in a}, {encode(item): item for item in b}
    alone = [left[key] for key in sorted(left.keys() - right.keys())]
    rest = [right[key] for key in sorted(right.keys() - left.keys())]
    if len(alone) != len(rest) or len(alone) > _MAX_UNMATCHED:
        return False
    for item in alone:  # only floats, or tuples of them, can still match
        index = next((i for i, other in enumerate(rest) if equal(item, other)), None)
        if index is None:
            return False
        del rest[index]
    return True


def same_result(expected: bytes, got: bytes) -> bool:
    """Compare two canonical encodings; decoded only where float tolerance could matter.

    Args:
        expected: The trusted encoding.
        got: The encoding that came from the untrusted side, of any content.

    Returns:
        Whether they encode the same value.
    """
    if expected == got:
        return True
    if b"f" not in expected or b"f" not in got:
        return False
    try:
        return equal(codec.decode(expected), codec.decode(got))
    except (codec.DecodeError, codec.EncodeError):
        return False
