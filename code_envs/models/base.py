"""What a model is: it completes chats. Backends, caches and tests all have this one shape."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Any, Protocol, TypedDict, runtime_checkable
from urllib.parse import urlsplit

import msgspec

from code_envs.errors import ConfigError

__all__ = ["Completion", "Constraint", "Finish", "Message", "Model", "ModelConfig", "OnDone", "Request", "Sampling"]

_MAX_TOLD = 80  # characters of further fields in a model's label


def check_url(url: str) -> str:
    """Refuse the URL of a server that no request can be sent to.

    Returns:
        The URL without whitespace around it, such as what ends a line of a file of settings.

    Raises:
        ConfigError: It is no URL, or not one of HTTP.
    """
    url = url.strip()
    if not url.lower().startswith(("http://", "https://")):
        raise ConfigError(f"the server's URL is {url!r}; it must begin with http:// or https://")
    try:
        _check_address(url)
    except ValueError as error:
        raise ConfigError(f"the server's URL {url!r} cannot be used: {error}") from error
    return url


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if " " in url or not url.isprintable():
        raise ValueError("it holds a space or a character that cannot be seen")
    if not parts.hostname:
        raise ValueError("it names no host")
    parts.hostname.encode("idna")
    if re.fullmatch(r"[0-9]+(\.[0-9]+){3}", parts.hostname):
        IPv4Address(parts.hostname)
    if parts.port == 0:  # others that are none are refused as they are read
        raise ValueError("its port is 0")


def read_object(name: str, text: str, example: str) -> dict[str, Any]:
    """Read settings that were given as a JSON object.

    Args:
        name: What they are, for errors.
        text: The object; empty for none.
        example: What one looks like.

    Raises:
        ConfigError: It is no JSON object; NaN is none, since no server reads it.
    """
    try:
        found = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError as error:
        raise ConfigError(f"{name} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{name} must be a JSON object, such as {example}")
    return found


class Message(TypedDict):
    """One chat message."""

    role: str
    content: str


class Sampling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How replies are drawn.

    Attributes:
        temperature: 0 for the most likely reply; None leaves it to the server.
        top_p: The share of probability to draw from; None leaves it to the server.
        max_tokens: Tokens of a reply at most, thinking included.
        reasoning_effort: ``low``, ``medium`` or ``high`` for models that have it; empty leaves it out.
        extra_body: A JSON object with further fields of the request, such as ``{"top_k": 20}`` or a
            ``response_format`` that constrains replies; empty for none.
    """

    temperature: float | None = 1.0
    top_p: float | None = None
    max_tokens: int = 4096
    reasoning_effort: str = ""
    extra_body: str = ""

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ConfigError(f"max_tokens is {self.max_tokens}; it must be at least 1")
        if self.temperature is not None and not 0 <= self.temperature < math.inf:
            raise ConfigError(f"temperature is {self.temperature}; give a number that is not negative")
        if self.top_p is not None and not math.isfinite(self.top_p):
            raise ConfigError(f"top_p is {self.top_p}; give a number")
        self.extra()

    def extra(self) -> dict[str, Any]:
        """Read ``extra_body``.

        Raises:
            ConfigError: It is no JSON object.
        """
        return read_object("extra_body", self.extra_body, '{"top_k": 20}')


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model answers, where it runs and how its replies are drawn.

    Attributes:
        model: Its name at the server, or the folder or hub name that vLLM loads.
        backend: ``openai`` for any server that speaks OpenAI's protocol, ``vllm`` for this process.
        base_url: The server, such as ``http://127.0.0.1:8000/v1``; the client's own default if empty.
        timeout: Seconds that one reply may take; a request that runs over it is sent again, for at most twice that
            time and a minute.
        sampling: How replies are drawn.
    """

    model: str
    backend: str = "openai"
    base_url: str = ""
    timeout: float = 600.0
    sampling: Sampling = Sampling()

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise ConfigError("a model needs a name")
        if not 0 < self.timeout < math.inf:
            raise ConfigError(f"timeout is {self.timeout}; give a number of seconds above 0")
        if self.base_url and self.backend == "openai":  # another one leaves it alone
            check_url(self.base_url)

    @property
    def label(self) -> str:
        """The model with the settings that its replies depend on."""
        sampling = self.sampling
        parts = [f"T={sampling.temperature:g}"] if sampling.temperature is not None else []
        parts += [f"top_p={sampling.top_p:g}"] if sampling.top_p is not None else []
        parts += [f"effort={sampling.reasoning_effort}"] if sampling.reasoning_effort else []
        parts += [f"max_tokens={sampling.max_tokens}"]
        extra = sampling.extra()
        parts += [f"extra_body={_told(extra)}"] if extra else []
        return f"{self.model} ({', '.join(parts)})"


def _told(fields: Mapping[str, Any]) -> str:
    """The fields themselves where they are short; of long ones, such as grammars, a digest."""
    text = msgspec.json.encode(fields, order="sorted").decode()
    return text if len(text) <= _MAX_TOLD else hashlib.sha256(text.encode()).hexdigest()[:12]


class Constraint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The form that a reply must have; exactly one of the two is given.

    Attributes:
        schema: A JSON schema, as JSON, for servers with ``response_format``.
        grammar: A grammar in GBNF, with the rule ``root``, which llama.cpp, vLLM and SGLang read.
    """

    schema: str = ""
    grammar: str = ""

    def __post_init__(self) -> None:
        if bool(self.schema) == bool(self.grammar):
            raise ConfigError("a constraint is a schema or a grammar, one of the two")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One reply that is asked for.

    Attributes:
        messages: The chat so far.
        sampling: How the reply is drawn.
        seed: Passed to the server, in [0, 2**31); a server may ignore it.
        constraint: The form that the reply must have; any if unset.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    seed: int = 0
    constraint: Constraint | msgspec.UnsetType = msgspec.UNSET  # unset, so that stores know requests without one


class Finish(StrEnum):
    """How a reply ended."""

    STOP = "stop"  # the model was done
    LENGTH = "length"  # it ran into max_tokens
    REFUSED = "refused"  # the model or a filter of its server declined
    REJECTED = "rejected"  # the server takes no such request, for instance a prompt that is too long
    TIMEOUT = "timeout"  # no reply in time, retries included


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """One reply of a model.

    Attributes:
        text: What it wrote, without reasoning that the server keeps apart.
        finish: How it ended.
        note: What the server said where there is no reply, in words.
        prompt_tokens: Tokens read; 0 where the server does not say.
        completion_tokens: Tokens written, thinking included.
        seconds: How long it took from when it was sent first, retries included.
    """

    text: str
    finish: Finish = Finish.STOP
    note: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


OnDone = Callable[[int, Completion], None]
"""Called with the place of a request and its reply, as soon as there is one."""


@runtime_checkable
class Model(Protocol):
    """Completes chats; may be called from several threads."""

    name: str

    def complete(self, requests: Sequence[Request], on_done: OnDone | None = None) -> list[Completion]:
        """Answer each request once, as many at a time as the backend bears.

        Args:
            requests: What to answer.
            on_done: Told of each reply at once, so that it can be stored before the others are there.

        Returns:
            One reply for each request, in order. Refusals, cut replies, requests that the server
            rejects and timeouts are replies: see :class:`Finish`.

        Raises:
            ModelError: The model cannot be used at all: no server, no such model, no permission, no credit,
                settings that the server always rejects, or a server that keeps failing or says nothing.
        """
        ...
