"""The base of all records, strict JSON in and out, and the smallest of them: one call."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Self

import msgspec

from code_envs.errors import LiteralError, ProblemError, ValueRefused
from code_envs.values import MAX_STORED, decode, encode_literal, write_literal

__all__ = ["Case", "Record"]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of the records: strict JSON in and out."""

    def __post_init__(self) -> None:
        """Check and convert what the constructor was given, as reading from JSON would."""
        for name, kind in _field_types(type(self)):
            given = getattr(self, name)
            try:
                value = msgspec.convert(given, kind)
            except msgspec.ValidationError as error:
                raise ProblemError(f"not a valid {type(self).__name__}: {name}: {error}") from error
            if value is not given:
                msgspec.structs.force_setattr(self, name, value)

    def to_json(self) -> str:
        """Write the record as one line of JSON, without the newline."""
        return msgspec.json.encode(self, order="deterministic").decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a record from JSON.

        Raises:
            ProblemError: The text is not such a record; says which field is wrong and how.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError as error:
            raise ProblemError(f"not a valid {cls.__name__}: {error}") from error
        except UnicodeDecodeError as error:
            raise ProblemError(f"not a valid {cls.__name__}: the text is not UTF-8") from error

    def but(self, **changes: Any) -> Self:
        """Copy the record with some fields changed; a content key is made anew."""
        if "key" in self.__struct_fields__:
            changes.setdefault("key", "")
        return msgspec.structs.replace(self, **changes)


@lru_cache(maxsize=64)
def _field_types(kind: type[Record]) -> tuple[tuple[str, Any], ...]:
    return tuple((field.name, field.type) for field in msgspec.structs.fields(kind))


class Case(Record, frozen=True):
    """One call: literal arguments and the literal result.

    Attributes:
        arguments: A tuple literal with one item for each parameter, such as ``([3, 1], 2)``.
        result: The literal result; empty where the student has to find it.
    """

    arguments: str
    result: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            if not self.call().startswith(b"("):
                raise ProblemError(f"arguments must be a tuple literal, not {self.arguments!r:.80}")
            if self.result:
                encode_literal(self.result, max_text=MAX_STORED)
        except (LiteralError, ValueRefused) as error:
            raise ProblemError(f"not a valid Case: {error}") from error

    @classmethod
    def of(cls, arguments: tuple[object, ...], result: object) -> Case:
        """Make a case from values."""
        return cls(arguments=write_literal(arguments), result=write_literal(result))

    def values(self) -> tuple[Any, ...]:
        """Read the arguments, freshly."""
        value = decode(self.call())
        assert isinstance(value, tuple)
        return value

    def call(self) -> bytes:
        """Encode the arguments, in order, for the executor."""
        return encode_literal(self.arguments, ordered=True, max_text=MAX_STORED)

    def expected(self) -> bytes:
        """Encode the result canonically."""
        return encode_literal(self.result, max_text=MAX_STORED)

    def shown(self) -> str:
        """The arguments as they stand between the parentheses of a call."""
        return ", ".join(write_literal(value) for value in self.values())
