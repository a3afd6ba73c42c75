"""The parser for literals that a model wrote: bounded, linear, and evaluating nothing.

It reads tokens with regular expressions and builds values by hand; nesting, digits and length are
bounded before any of Python's own parsers sees a piece of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from code_envs.codec import MAX_DEPTH, MAX_DIGITS, MAX_ITEMS
from code_envs.errors import LiteralError

__all__ = ["MAX_STORED", "MAX_TEXT", "parse_arguments", "parse_literal"]

MAX_TEXT = 1 << 20
"""Characters of a literal that a model wrote."""
MAX_STORED = 8 << 20
"""Characters of a literal in a record: the tests of contests are large, and a line break is two characters."""
_MAX_HEX = 3200  # hexadecimal digits that stay below MAX_DIGITS decimal ones

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n\f]+ | \#[^\n]*)
  | (?P<string>(?:[rR]?[bB]|[bB][rR]|[rRuU])?(?:
        '''(?:[^\\]|\\.)*?''' | \"\"\"(?:[^\\]|\\.)*?\"\"\"
      | '(?:[^'\\\n]++|\\.)*+' | "(?:[^"\\\n]++|\\.)*+" ))
  | (?P<number>0[xX][0-9a-fA-F_]+ | 0[oO][0-7_]+ | 0[bB][01_]+
      | (?:[0-9][0-9_]*(?:\.[0-9_]*)? | \.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)? )
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<mark>[][(){},:=+-])
    """,
    re.VERBOSE | re.DOTALL,
)
_DIGITS = "[0-9](?:_?[0-9])*"
_NUMBER = re.compile(rf"(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?[0-9]+)?")
_ESCAPE = re.compile(
    r"\\(?:(?P<simple>[abfnrtv'\"\\])|(?P<octal>[0-7]{1,3})|x(?P<x>[0-9a-fA-F]{2})"
    r"|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|(?P<line>\n)|(?P<cut>[xuUN]))"
)
_SIMPLE = dict(zip("abfnrtv'\"\\", "\a\b\f\n\r\t\v'\"\\", strict=True))
_WORDS: dict[str, object] = {"None": None, "True": True, "False": False}
_FLOATS = {"inf", "+inf", "-inf", "infinity", "+infinity", "-infinity", "nan"}
_CLOSING = {"[": "]", "(": ")", "{": "}"}


_Token = tuple[str, str]  # kind and text


def parse_literal(text: str, *, max_text: int = MAX_TEXT) -> object:
    """Read one literal value.

    Takes what a person would take: a surrounding code fence, comments, line breaks, set literals,
    ``set()``, ``frozenset({1})``, ``float('inf')``, bare ``inf`` and ``nan``, implicit string
    concatenation and a bare tuple (``1, 2``).

    Args:
        text: What was written.
        max_text: How many characters are read at most.

    Returns:
        A fresh value.

    Raises:
        LiteralError: The text is no literal, or over a bound; names, calls and operators are refused.
    """
    reader = _Reader(text, max_text)
    value = reader.bare_tuple()
    reader.finish()
    return value


def parse_arguments(text: str, parameters: Sequence[str], entry: str = "f") -> tuple[object, ...]:
    """Read the arguments of one call.

    Takes ``3, [1]``, ``x=3, ys=[1]`` (also one to a line), ``f(3, [1])``, and, for a function
    of several parameters, one tuple ``(3, [1])`` or one dict ``{"x": 3, "ys": [1]}`` in its place.

    Args:
        text: What was written.
        parameters: The names of the function's parameters, in order.
        entry: The name of the function.

    Returns:
        One value for each parameter.

    Raises:
        LiteralError: The text is no argument list, or not one for these parameters.
    """
    reader = _Reader(text)
    wrapped = reader.skip_call(entry)
    positional, named = reader.arguments(")" if wrapped else "")
    if wrapped:
        reader.expect(")")
    reader.finish()
    count = len(parameters)
    if len(positional) == 1 and not named and count > 1:
        only = positional[0]
        if type(only) is tuple and len(only) == count:
            return only
        if type(only) is dict and set(only) == set(parameters):
            return tuple(only[name] for name in parameters)
    return _bind(positional, named, parameters)


def _bind(positional: list[object], named: dict[str, object], parameters: Sequence[str]) -> tuple[object, ...]:
    unknown = [name for name in named if name not in parameters]
    if unknown:
        raise LiteralError(f"there is no parameter {unknown[0]!r}; the parameters are {', '.join(parameters)}")
    rest = parameters[len(positional) :]
    twice = [name for name in named if name not in rest]
    if twice:
        raise LiteralError(f"parameter {twice[0]!r} was given twice")
    if len(positional) > len(parameters) or len(named) < len(rest):
        given = len(positional) + len(named)
        raise LiteralError(f"{given} arguments were given for {len(parameters)} parameters ({', '.join(parameters)})")
    return (*positional, *(named[name] for name in rest))


def _without_fence(text: str) -> str:
    lines = text.strip().split("\n")
    fence = lines[0][:3]
    if fence in ("```", "~~~") and len(lines) > 1 and lines[-1].strip() == fence:
        return "\n".join(lines[1:-1])
    return text


def _tokens(text: str) -> Iterator[_Token]:
    at, size = 0, len(text)
    while at < size:
        match = _TOKEN.match(text, at)
        if match is None:
            yield "other", text[at]  # refused when it is reached; nothing after it can matter
            return
        kind, token = match.lastgroup or "", match.group()
        at += len(token)
        if kind == "space":
            continue
        after = text[at : at + 1]
        if kind == "number" and (after.isalnum() or after in {".", "_"}):
            raise LiteralError(f"{token + after!r:.40} is not a number")
        if kind == "name" and after in {"'", '"'}:
            raise LiteralError(f"strings with the prefix {token!r:.20} are not literals")
        yield kind, token


class _Reader:
    """A recursive-descent reader over the tokens of one text; depth and items are bounded."""

    def __init__(self, text: str, max_text: int = MAX_TEXT) -> None:
        if len(text) > max_text:
            raise LiteralError(f"the text has {len(text)} characters; at most {max_text} are read")
        self.tokens = list(_tokens(_without_fence(text)))
        self.at = 0
        self.items = 0

    def peek(self, ahead: int = 0) -> str:
        index = self.at + ahead
        if index >= len(self.tokens):
            return ""
        token = self.tokens[index]
        return token[1] if token[0] == "mark" else token[0]

    def take(self) -> _Token:
        if self.at >= len(self.tokens):
            raise LiteralError("the literal ends too early" if self.tokens else "there is no literal")
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, mark: str) -> None:
        token = self.take()
        if token != ("mark", mark):
            raise LiteralError(f"expected {mark!r}, found {token[1]!r:.40}")

    def finish(self) -> None:
        if self.at < len(self.tokens):
            raise LiteralError(f"{self.tokens[self.at][1]!r:.40} follows the literal; operators are not literals")

    def count(self) -> None:
        self.items += 1
        if self.items > MAX_ITEMS:
            raise LiteralError(f"the literal holds more than {MAX_ITEMS} items")

    def bare_tuple(self) -> object:
        first = self.value(MAX_DEPTH)
        if self.peek() != ",":
            return first
        items = [first]
        while self.peek() == ",":
            self.take()
            if not self.peek():
                break
            self.count()
            items.append(self.value(MAX_DEPTH))
        return tuple(items)

    def skip_call(self, entry: str) -> bool:
        if self.peek() == "name" and self.peek(1) == "(" and self.tokens[self.at][1] == entry:
            self.at += 2
            return True
        return False

    def arguments(self, closing: str) -> tuple[list[object], dict[str, object]]:
        positional: list[object] = []
        named: dict[str, object] = {}
        while self.peek() != closing:
            if self.peek() == "name" and self.peek(1) in ("=", ":"):
                name = self.take()[1]
                self.take()
                if name in named:
                    raise LiteralError(f"parameter {name!r} was given twice")
                named[name] = self.value(MAX_DEPTH)
            elif named:
                raise LiteralError("a positional argument follows a named one")
            else:
                positional.append(self.value(MAX_DEPTH))
            self.count()
            if self.peek() == ",":
                self.take()
            elif not (named and self.peek() == "name" and self.peek(1) in ("=", ":")):
                break
        return positional, named

    def value(self, depth: int) -> object:
        if depth < 0:
            raise LiteralError(f"the literal is nested more than {MAX_DEPTH} deep")
        kind, text = self.take()
        if kind == "string":
            return self.strings(text)
        if kind == "number":
            return _number(text, 1)
        if text in ("-", "+"):
            return self.signed(text)
        if kind == "name":
            return self.word(text, depth)
        if text in _CLOSING:
            return self.container(text, depth - 1)
        raise LiteralError(f"unexpected {text!r:.40} in a literal")

    def signed(self, sign: str) -> object:
        kind, text = self.take()
        factor = -1 if sign == "-" else 1
        if kind == "number":
            return _number(text, factor)
        if kind == "name" and text in ("inf", "nan"):
            return factor * float(text)
        if (kind, text) == ("name", "float") and self.peek() == "(":
            return factor * self.float_call()
        raise LiteralError(f"a sign must be followed by a number, not by {text!r:.40}")

    def strings(self, first: str) -> str | bytes:
        value = _string(first)
        while self.peek() == "string":
            more = _string(self.take()[1])
            if type(value) is not type(more):
                raise LiteralError("text and bytes cannot be joined")
            value += more  # type: ignore[operator]
        return value

    def word(self, name: str, depth: int) -> object:
        if name in _WORDS:
            return _WORDS[name]
        if name in ("inf", "nan"):
            return float(name)
        if name in ("set", "frozenset", "float") and self.peek() == "(":
            return self.float_call() if name == "float" else self.set_call(name, depth)
        if self.peek() == "(":
            raise LiteralError(f"calls are not literals: {name!r:.60}")
        raise LiteralError(f"names are not literals: {name!r:.60}")

    def float_call(self) -> float:
        self.expect("(")
        kind, text = self.take()
        spelled = _string(text) if kind == "string" else None
        if not isinstance(spelled, str) or spelled.strip().lower() not in _FLOATS:
            raise LiteralError("float(...) is read only as float('inf'), float('-inf') or float('nan')")
        self.expect(")")
        return float(spelled)

    def set_call(self, name: str, depth: int) -> object:
        self.expect("(")
        inner: object = ()
        if self.peek() != ")":
            inner = self.value(depth - 1)
            if type(inner) not in (set, frozenset, list, tuple):
                raise LiteralError(f"{name}(...) takes a literal set, list or tuple")
        self.expect(")")
        return _hashed(frozenset if name == "frozenset" else set, inner)

    def container(self, opening: str, depth: int) -> object:
        closing = _CLOSING[opening]
        if opening == "{":
            return self.braces(depth)
        items: list[object] = []
        comma = False
        while self.peek() != closing:
            items.append(self.value(depth))
            self.count()
            comma = self.peek() == ","
            if not comma:
                break
            self.take()
        self.expect(closing)
        if opening == "[":
            return items
        return items[0] if len(items) == 1 and not comma else tuple(items)

    def braces(self, depth: int) -> object:
        table: list[tuple[object, object]] = []
        items: list[object] = []
        while self.peek() != "}":
            key = self.value(depth)
            self.count()
            if self.peek() == ":" and not items:
                self.take()
                table.append((key, self.value(depth)))
            elif table:
                raise LiteralError("a dict and a set are mixed in one pair of braces")
            else:
                items.append(key)
            if self.peek() != ",":
                break
            self.take()
        self.expect("}")
        return _hashed(set, items) if items else _hashed(dict, table)


def _hashed(kind: type, items: object) -> object:
    try:
        return kind(items)
    except TypeError as error:
        raise LiteralError(f"a list, dict or set cannot be a member of a {kind.__name__} or its key") from error


def _string(text: str) -> str | bytes:
    start = min(text.index(quote) for quote in "'\"" if quote in text)
    prefix, body = text[:start].lower(), text[start:]
    width = 3 if body[:3] in ("'''", '"""') and len(body) >= 6 else 1
    body = body[width:-width].replace("\r\n", "\n")
    as_bytes = "b" in prefix
    if "r" not in prefix and body.count("\\") == body.count("\\n"):  # long texts of many lines, much faster
        body = body.replace("\\n", "\n")
    elif "r" not in prefix:
        body = _ESCAPE.sub(lambda match: _unescape(match, as_bytes), body)
    if not as_bytes:
        return body
    try:
        return body.encode("latin-1") if body.isascii() or "\\" in text else body.encode("ascii")
    except UnicodeEncodeError as error:
        raise LiteralError("bytes hold only ASCII characters and escapes") from error


def _unescape(match: re.Match[str], as_bytes: bool) -> str:
    kind, code = match.lastgroup, match.group(match.lastgroup or 0)
    if kind == "simple":
        return _SIMPLE[code]
    if kind == "line":
        return ""
    if as_bytes and kind in ("u", "U"):
        return match.group()
    point = int(code, 8 if kind == "octal" else 16) if kind != "cut" else -1
    if as_bytes and (point > 0xFF or code in ("u", "U", "N")):
        return match.group() if kind == "cut" else chr(point & 0xFF)
    if not 0 <= point <= 0x10FFFF:
        raise LiteralError(f"{match.group()!r:.20} is not an escape that is read here")
    return chr(point)


def _number(text: str, factor: int) -> int | float:
    if text[:2].lower() in ("0x", "0o", "0b"):
        if len(text) > _MAX_HEX:
            raise LiteralError(f"the integer has more than {MAX_DIGITS} digits")
        return factor * _digits(text, 0)
    if not _NUMBER.fullmatch(text):
        raise LiteralError(f"{text!r:.40} is not a number")
    if len(text) > MAX_DIGITS:
        raise LiteralError(f"the number has more than {MAX_DIGITS} digits")
    if text.replace("_", "").isdigit():
        if text[0] == "0" and text.strip("0_"):
            raise LiteralError(f"{text!r:.40} has leading zeros")
        return factor * _digits(text, 10)
    return factor * float(text)


def _digits(text: str, base: int) -> int:
    try:
        return int(text, base)
    except ValueError as error:
        raise LiteralError(f"{text!r:.40} is not a number") from error
