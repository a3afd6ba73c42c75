"""Models behind a server that speaks OpenAI's chat protocol: vLLM, SGLang, llama.cpp, a hosted service.

The official client keeps the connections and retries what may pass (429, 5xx, broken connections)
with exponential backoff, and as the server's ``Retry-After`` asks. What a server rejects, and what it does not
answer in time, is data as long as it answers others; a server that takes nothing, or says nothing, is an error.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from code_envs.errors import ConfigError, MissingExtra, ModelError
from code_envs.models.base import Completion, Constraint, Finish, Message, ModelConfig, Request, Sampling, check_url
from code_envs.models.looped import LoopedModel

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

__all__ = ["OpenAIModel", "api_key"]

_FINISHES = {"length": Finish.LENGTH, "content_filter": Finish.REFUSED}
_PAUSES = 60.0  # seconds that a request may spend waiting between tries
_REJECTIONS = (400, 413, 422)  # may be about this request alone, such as a prompt that is too long
_PROBE: Message = {"role": "user", "content": "Say yes."}
_MOST_TOKENS = 10**9  # more than any reply has, and few enough to be added up in 64 bits
_SILENCE = 4  # timeouts in a row after which the server is asked something short; the first before any answer


class OpenAIModel(LoopedModel):
    """A model behind an OpenAI-compatible server.

    The key is read from ``OPENAI_API_KEY``; a server of your own needs none.

    Args:
        config: The model, its server and its sampling.
        concurrency: Requests under way at a time, over all threads.
        retries: How often a request is sent again after a fault that may pass.
        backoff: Seconds before the first retry of a reply that cannot be read; doubled each time.

    Raises:
        ConfigError: A number is out of range, or the URL or the key cannot be used.
        MissingExtra: The client is not installed.
    """

    def __init__(self, config: ModelConfig, *, concurrency: int = 32, retries: int = 6, backoff: float = 0.5) -> None:
        if retries < 0:
            raise ConfigError(f"retries is {retries}; it must not be negative")
        client = _client(config, retries)
        super().__init__(config.model, concurrency)
        self.config, self._client = config, client
        self._retries, self._backoff = retries, backoff
        self._taken: set[_Settings] = set()  # what requests had that were answered
        self._probing = asyncio.Lock()
        self._silent = 0

    async def _shut(self) -> None:
        await self._client.close()

    async def _complete(self, request: Request) -> Completion:
        start = time.monotonic()
        try:
            reply = await self._in_time(request)
        except TimeoutError:
            self._silent += 1
            await self._probe(request, lambda: self._silent < (_SILENCE if self._taken else 1))
            return Completion(text="", finish=Finish.TIMEOUT, note=f"no reply within {self.config.timeout:g} seconds")
        self._silent = 0
        if isinstance(reply, _Rejection):
            await self._probe(request, lambda: _settings(request) in self._taken)
            return Completion(text="", finish=Finish.REJECTED, note=reply.text)
        self._taken.add(_settings(request))
        return msgspec.structs.replace(reply, seconds=time.monotonic() - start)

    async def _in_time(self, request: Request) -> Completion | _Rejection:
        # the client tries a timeout again as often as anything else: twice is enough
        async with asyncio.timeout(2 * self.config.timeout + _PAUSES):
            return await self._try(request)

    async def _try(self, request: Request) -> Completion | _Rejection:
        """The server's reply, or why it takes no such request."""
        import openai

        where = self._where
        try:
            return await self._ask(request)
        except openai.APITimeoutError as error:
            raise TimeoutError from error
        except openai.APIConnectionError as error:
            raise ModelError(f"{where} cannot be reached: {_cause(error)}. Start it, or check the URL.") from error
        except openai.APIStatusError as error:
            text = f"{error.status_code}: {_short(_said(error)) or 'nothing more'}"
            if error.status_code not in _REJECTIONS:
                raise ModelError(f"{where} answers {text}{self._hint(error.status_code)}") from error
            return _Rejection(text)
        except (openai.OpenAIError, ValueError, RecursionError) as error:
            raise ModelError(f"{where} does not speak OpenAI's protocol: {_short(str(error))}") from error

    @property
    def _where(self) -> str:
        return f"the server at {self._client.base_url}"

    def _hint(self, status: int) -> str:
        path = self._client.base_url.path.rstrip("/")
        return "; the URL of most servers ends in /v1" if status == 404 and not path.endswith("/v1") else ""

    async def _probe(self, request: Request, is_fine: Callable[[], bool]) -> None:
        """Ask something short with the same settings, unless all is fine: maybe the server takes or answers nothing."""
        async with self._probing:
            if is_fine():
                return
            probe = msgspec.structs.replace(request, messages=(_PROBE,))
            try:
                reply = await self._in_time(probe)
            except TimeoutError as error:
                raise ModelError(
                    f"{self._where} answers nothing within {self.config.timeout:g} seconds, something short neither. "
                    "Look after it, or allow more time (--timeout), then go on with --resume."
                ) from error
            if isinstance(reply, _Rejection):
                raise ModelError(f"{self._where} takes no request with these settings; it answers {reply.text}")
            self._taken.add(_settings(request))
            self._silent = 0

    async def _ask(self, request: Request) -> Completion:
        """Send a request, and again where the reply cannot be read."""
        create = self._client.chat.completions.with_raw_response.create  # the client makes objects of anything
        for attempt in range(self._retries + 1):
            try:
                reply = await create(**_body(self.config.model, request))
                return _completion(json.loads(reply.content))
            except (ValueError, RecursionError) as error:  # the latter where JSON is nested without end
                fault = error
            if attempt < self._retries:
                await asyncio.sleep(self._backoff * 2**attempt)
        raise fault


class _Rejection(NamedTuple):
    """The server takes no such request, and what it says."""

    text: str


_Settings = tuple[Sampling, Constraint | msgspec.UnsetType]


def _settings(request: Request) -> _Settings:
    return request.sampling, request.constraint


def _client(config: ModelConfig, retries: int) -> AsyncOpenAI:
    try:
        from openai import AsyncOpenAI
    except ImportError as error:
        raise MissingExtra("openai", "openai") from error
    url, key = config.base_url.strip() or os.environ.get("OPENAI_BASE_URL", "").strip(), api_key()
    url = url and check_url(url)
    try:
        return AsyncOpenAI(base_url=url or None, api_key=key, timeout=config.timeout, max_retries=retries)
    except Exception as error:  # of its HTTP library, which is another one from version to version
        raise ConfigError(f"no client can be made for {url or 'the default server'}: {_short(str(error))}") from error


def api_key() -> str:
    """The key of ``OPENAI_API_KEY``; a server of one's own takes any.

    Raises:
        ConfigError: No request can carry it; the message does not show it.
    """
    key = os.environ.get("OPENAI_API_KEY", "").strip()  # a file of settings may leave the end of its line
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            "OPENAI_API_KEY holds a character that no key has, such as a line ending or a letter outside ASCII; "
            "set it again"
        )
    return key or "none"


def _body(model: str, request: Request) -> dict[str, Any]:
    sampling = request.sampling
    given = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "reasoning_effort": sampling.reasoning_effort or None,
        "response_format": _schema(request),
        "extra_body": {**_grammar(request), **sampling.extra()} or None,
    }
    return {
        "model": model,
        "messages": list(request.messages),
        "max_tokens": sampling.max_tokens,
        "seed": request.seed,
        **{name: value for name, value in given.items() if value is not None},
    }


def _schema(request: Request) -> dict[str, Any] | None:
    if not request.constraint or not request.constraint.schema:
        return None
    schema = {"name": "problem", "schema": json.loads(request.constraint.schema), "strict": True}
    return {"type": "json_schema", "json_schema": schema}


def _grammar(request: Request) -> dict[str, Any]:
    """There is no standard field for it: those of llama.cpp, vLLM (from 0.12) and SGLang; each ignores the others."""
    if not request.constraint or not request.constraint.grammar:
        return {}
    grammar = request.constraint.grammar
    return {"grammar": grammar, "structured_outputs": {"grammar": grammar}, "ebnf": grammar}


def _completion(reply: Any) -> Completion:
    """Take over what is of use; a server may leave out or confuse anything.

    Raises:
        ValueError: There is no message, or none that can be read.
    """
    match reply:
        case {"choices": [{"message": {} as message} as choice, *_]}:
            refusal = message.get("refusal")
            finish = _FINISHES.get(str(choice.get("finish_reason")), Finish.STOP)
            return Completion(
                text=_text(message.get("content")).encode("utf-8", "replace").decode(),
                finish=Finish.REFUSED if refusal else finish,
                note=_short(str(refusal)) if refusal else "",
                prompt_tokens=_tokens(reply, "prompt_tokens"),
                completion_tokens=_tokens(reply, "completion_tokens"),
            )
        case _:
            raise ValueError(f"a reply without a message: {_short(str(reply))}")


def _text(content: Any) -> str:
    match content:
        case None:
            return ""
        case str():
            return content
        case list():
            return "".join(map(_part, content))
        case _:
            raise ValueError(f"a message that is no text: {_short(str(content))}")


def _part(part: Any) -> str:
    """The text of a part of a message; thoughts and whatever else there is have none."""
    match part:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": str(kind)} if kind != "text":
            return ""
        case _:
            raise ValueError(f"a part of a message that cannot be read: {_short(str(part))}")


def _tokens(reply: Mapping[str, Any], name: str) -> int:
    """A count, 0 where it cannot be one: it is a statistic, and must not stop a run."""
    usage: Any = reply.get("usage")
    try:
        count = int(usage[name])
    except (KeyError, OverflowError, TypeError, ValueError):
        return 0
    return count if 0 <= count <= _MOST_TOKENS else 0


def _said(error: APIStatusError) -> str:
    """What the server says is wrong, in the forms of OpenAI, FastAPI and others; all of it where it has none."""
    match error.body:
        case {"error": {"message": str(text)}} | {"error": str(text)} | {"message": str(text)} | {"detail": str(text)}:
            return text
        case str(text):  # the client has unpacked it
            return text
        case _:
            return error.response.text


def _cause(error: Exception) -> str:
    """Why there is no connection, without a full stop; the client itself says only that there is none."""
    return (_short(str(error.__cause__ or "")) or _short(str(error))).rstrip(".")


def _short(text: str) -> str:
    text = " ".join(text.encode("utf-8", "replace").decode().split())
    return text if len(text) <= 200 else text[:200] + "…"
