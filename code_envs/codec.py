"""The byte encoding of literal values: canonical, type-exact, bounded.

This file is also loaded, by path, into the sandboxed interpreter: it imports nothing but
:mod:`struct`, and neither side ever pickles, marshals or evaluates what the other side sent.

Two values are equal (floats aside) exactly if their *canonical* encodings are the same bytes.
The *ordered* encoding keeps the insertion order of dicts: it carries arguments, whose order a
program can observe.
"""

from __future__ import annotations

import struct

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_DIGITS", "MAX_ITEMS", "DecodeError", "EncodeError", "decode", "encode"]

MAX_DEPTH = 64
MAX_DIGITS = 4000  # below CPython's own int-to-str limit, so that every value can be shown
MAX_ITEMS = 200_000
MAX_BYTES = 4 << 20
_MAX_INT = 10**MAX_DIGITS
_NAN = b"f\x7f\xf8\x00\x00\x00\x00\x00\x00"


class EncodeError(ValueError):
    """A value is outside the literal universe or over its bounds."""


class DecodeError(ValueError):
    """Bytes are not an encoding."""


def encode(value: object, *, ordered: bool = False, coerce: bool = False, max_bytes: int = MAX_BYTES) -> bytes:
    """Encode a value.

    Args:
        value: ``None``, ``bool``, ``int``, ``float``, ``str``, ``bytes``, ``list``, ``tuple``,
            ``dict``, ``set`` or ``frozenset``, exactly; nested at most ``MAX_DEPTH`` deep.
        ordered: Keep the insertion order of dicts instead of sorting their keys.
        coerce: Take a subclass (a ``Counter``, a named tuple) as its base type.
        max_bytes: Refuse longer encodings.

    Returns:
        The encoding; the same bytes in every process and on every machine.

    Raises:
        EncodeError: The value is of another type, too deep, too long or has too many digits.
    """
    writer = _Writer(ordered, coerce, max_bytes)
    writer.put(value, MAX_DEPTH)
    return b"".join(writer.parts)


class _Writer:
    """Collects the parts of one encoding and counts them against the bounds."""

    __slots__ = ("coerce", "items", "left", "ordered", "parts")

    def __init__(self, ordered: bool, coerce: bool, left: int) -> None:
        self.parts: list[bytes] = []
        self.ordered, self.coerce, self.left, self.items = ordered, coerce, left, MAX_ITEMS

    def add(self, part: bytes) -> None:
        self.left -= len(part)
        if self.left < 0:
            raise EncodeError("the value is too large")
        self.parts.append(part)

    def put(self, value: object, depth: int) -> None:
        """Write one value; ``type(value) is`` tests keep subclasses out."""
        kind = type(value)
        if self.coerce and kind not in _EXACT:
            value, kind = _as_base(value)
        if kind is int:
            self.add(_encode_int(value))  # type: ignore[arg-type]
        elif kind is str:
            body = value.encode("utf-8", "surrogatepass")  # type: ignore[attr-defined]
            self.add(b"s%d:" % len(body))
            self.add(body)
        elif kind is bool:
            self.add(b"T" if value else b"F")
        elif value is None:
            self.add(b"N")
        elif kind is float:
            self.add(b"f" + struct.pack(">d", value) if value == value else _NAN)
        elif kind is bytes:
            self.add(b"b%d:" % len(value))  # type: ignore[arg-type]
            self.add(value)  # type: ignore[arg-type]
        elif kind in _OPEN:
            self.put_container(value, kind, depth)
        else:
            raise EncodeError(f"values of type {kind.__name__!s:.60} are not literals")

    def put_container(self, value: object, kind: type, depth: int) -> None:
        if depth <= 0:
            raise EncodeError(f"the value is nested more than {MAX_DEPTH} deep")
        self.items -= len(value)  # type: ignore[arg-type]
        if self.items < 0:
            raise EncodeError(f"the value holds more than {MAX_ITEMS} items")
        self.add(_OPEN[kind])
        if kind is dict:
            self.put_dict(value, depth)  # type: ignore[arg-type]
        elif kind is list or kind is tuple:
            for item in value:  # type: ignore[attr-defined]
                self.put(item, depth - 1)
        else:
            for part in sorted(self.apart(item, depth - 1) for item in value):  # type: ignore[attr-defined]
                self.parts.append(part)
        self.add(b"]")

    def put_dict(self, value: dict[object, object], depth: int) -> None:
        if self.ordered:
            for key, item in value.items():
                self.put(key, depth - 1)
                self.put(item, depth - 1)
            return
        pairs = [(self.apart(key, depth - 1), item) for key, item in value.items()]
        pairs.sort(key=lambda pair: pair[0])
        for part, item in pairs:
            self.parts.append(part)
            self.put(item, depth - 1)

    def apart(self, value: object, depth: int) -> bytes:
        """Encode an element on its own, so that it can be sorted; its size still counts."""
        outer, self.parts = self.parts, []
        try:
            self.put(value, depth)
            return b"".join(self.parts)
        finally:
            self.parts = outer


_OPEN: dict[type, bytes] = {list: b"[", tuple: b"(", dict: b"{", set: b"<", frozenset: b"|"}
_MAKE = {ord("["): list, ord("("): tuple, ord("<"): set, ord("|"): frozenset}
_BASES = (bool, int, float, str, bytes, list, tuple, dict, set, frozenset)
_EXACT = frozenset((*_BASES, type(None)))


def _as_base(value: object) -> tuple[object, type]:
    for base in _BASES:
        if isinstance(value, base):
            # the base's own methods: an override could return anything
            plain = {k: dict.__getitem__(value, k) for k in dict.__iter__(value)} if base is dict else base(value)  # type: ignore
            return (plain, base) if type(plain) is base else (value, type(value))
    return value, type(value)


def _encode_int(value: int) -> bytes:
    if not -_MAX_INT < value < _MAX_INT:
        raise EncodeError(f"the integer has more than {MAX_DIGITS} digits")
    return b"i%x;" % value if value >= 0 else b"i-%x;" % -value


def decode(data: bytes) -> object:
    """Decode what :func:`encode` wrote; bounded, whatever the bytes are.

    Args:
        data: An encoding, canonical or ordered.

    Returns:
        A fresh value.

    Raises:
        DecodeError: The bytes are not exactly one encoding within the bounds.
    """
    if len(data) > 2 * MAX_BYTES:
        raise DecodeError("the encoding is too large")
    try:
        value, end = _decode(data, 0, MAX_DEPTH, [MAX_ITEMS])
    except DecodeError:
        raise
    except (ValueError, IndexError, TypeError, struct.error, OverflowError) as error:
        raise DecodeError(f"not an encoding: {type(error).__name__}") from error
    if end != len(data):
        raise DecodeError("bytes follow the encoding")
    return value


def _decode(data: bytes, at: int, depth: int, left: list[int]) -> tuple[object, int]:
    """Read one value; ``left`` holds how many more items all containers together may have."""
    tag, at = data[at], at + 1
    if tag == 0x69:  # i
        end = data.index(b";", at, at + MAX_DIGITS + 8)
        return int(data[at:end], 16), end + 1
    if tag == 0x73 or tag == 0x62:  # s, b
        colon = data.index(b":", at, at + 12)
        size = int(data[at:colon])
        end = colon + 1 + size
        if size < 0 or end > len(data):
            raise DecodeError("a string ends after the data")
        body = data[colon + 1 : end]
        return (body.decode("utf-8", "surrogatepass") if tag == 0x73 else bytes(body)), end
    if tag == 0x66:  # f
        return struct.unpack(">d", data[at : at + 8])[0], at + 8
    if tag in _SINGLE:
        return _SINGLE[tag], at
    if depth <= 0:
        raise DecodeError("nested too deep")
    if tag == 0x7B:  # {
        return _decode_dict(data, at, depth, left)
    if tag not in _MAKE:
        raise DecodeError("unknown tag")
    items: list[object] = []
    while data[at] != 0x5D:
        left[0] -= 1
        if left[0] < 0:  # a forged empty set is 2 bytes here, and 200 in memory
            raise DecodeError(f"more than {MAX_ITEMS} items")
        item, at = _decode(data, at, depth - 1, left)
        items.append(item)
    if tag == 0x3C or tag == 0x7C:  # <, |
        _check_spread(items)
    return _MAKE[tag](items), at + 1


def _decode_dict(data: bytes, at: int, depth: int, left: list[int]) -> tuple[object, int]:
    pairs: list[tuple[object, object]] = []
    while data[at] != 0x5D:
        left[0] -= 1
        if left[0] < 0:
            raise DecodeError(f"more than {MAX_ITEMS} items")
        key, at = _decode(data, at, depth - 1, left)
        item, at = _decode(data, at, depth - 1, left)
        pairs.append((key, item))
    _check_spread([key for key, _ in pairs])
    return dict(pairs), at + 1


def _check_spread(keys: list[object]) -> None:
    """Refuse forged keys that all hash alike: a table of them would take quadratic time to build."""
    if len(keys) < 1000:
        return
    counts: dict[int, int] = {}
    for key in keys:
        number = hash(key)
        counts[number] = counts.get(number, 0) + 1
    if max(counts.values()) > 100:
        raise DecodeError("too many keys with the same hash")


_SINGLE: dict[int, bool | None] = {0x4E: None, 0x54: True, 0x46: False}
