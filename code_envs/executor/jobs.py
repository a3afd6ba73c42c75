"""Makes jobs of what callers give: checks it, and encodes the arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from code_envs.codec import MAX_BYTES, EncodeError, encode
from code_envs.errors import ConfigError, ValueRefused
from code_envs.executor import wire
from code_envs.executor.types import Job

__all__ = ["make_job", "make_script"]


def make_job(program: str, entry: str, calls: Sequence[Sequence[object]], **options: Any) -> Job:
    """Make the job of calls into a function; reads the arguments at once.

    Args:
        program: Python source.
        entry: The function to call.
        calls: The arguments of each call, literal values.
        options: Further fields of the job.

    Raises:
        ConfigError: The entry is empty.
        ValueRefused: An argument is not a literal value.
    """
    if not entry:
        raise ConfigError("entry is empty; name the function to call, or use run_script for a whole program.")
    encoded = [
        _encode_call(f"The arguments of call {index} are not literal values", call) for index, call in enumerate(calls)
    ]
    return Job(program=program, entry=entry, calls=encoded, **options)


def make_script(program: str, stdins: Sequence[str | bytes], **options: Any) -> Job:
    """Make the job of a whole program that reads texts.

    Args:
        program: Python source.
        stdins: What it reads, one text for each run; at most 8 MiB.
        options: Further fields of the job.

    Raises:
        ValueRefused: A text is neither ``str`` nor ``bytes``, or it is too long.
    """
    if isinstance(stdins, str | bytes):
        raise ValueRefused("stdins is one text; give a list of them, one for each run.")
    for index, text in enumerate(stdins):
        if not isinstance(text, str | bytes):
            raise ValueRefused(f"Standard input {index} is of type {type(text).__name__}; give str or bytes.")
    encoded = [
        _encode_call(f"Standard input {index} is too long", (text,), wire.MAX_STDIN)
        for index, text in enumerate(stdins)
    ]
    return Job(program=program, entry="", calls=encoded, **options)


def _encode_call(what: str, arguments: Sequence[object], max_bytes: int = MAX_BYTES) -> bytes:
    try:
        return encode(tuple(arguments), ordered=True, max_bytes=max_bytes)
    except EncodeError as error:
        raise ValueRefused(f"{what}: {error}.") from error
