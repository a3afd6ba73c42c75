"""Models that vLLM runs in this process, batch by batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from code_envs.errors import MissingExtra
from code_envs.models.base import Completion, Finish, ModelConfig, OnDone, Request, Sampling

__all__ = ["VllmModel"]


class VllmModel:
    """A model in process, through ``vllm.LLM.chat``.

    Calls from several threads take turns: give it large batches. Needs a GPU, or vLLM's CPU build.

    Args:
        config: The model and its sampling; ``extra_body`` holds further ``SamplingParams``.
        engine: Keywords of ``vllm.LLM``, such as ``tensor_parallel_size``.

    Raises:
        MissingExtra: vLLM is not installed.
    """

    def __init__(self, config: ModelConfig, **engine: Any) -> None:
        try:
            from vllm import LLM, SamplingParams
        except ImportError as error:
            raise MissingExtra("vllm", "vllm") from error
        self.config, self.name = config, config.model
        self._llm = LLM(model=config.model, **engine)
        self._params = SamplingParams
        self._turn = threading.Lock()

    def complete(self, requests: Sequence[Request], on_done: OnDone | None = None) -> list[Completion]:
        """Answer each request; see :meth:`code_envs.models.base.Model.complete`."""
        done: dict[int, Completion] = {}
        for effort, places in _by_effort(requests).items():
            chats = [list(requests[place].messages) for place in places]
            params = [self._params(**_settings(requests[place].sampling, requests[place].seed)) for place in places]
            template = {"reasoning_effort": effort} if effort else None
            with self._turn:
                start = time.monotonic()
                outputs = self._llm.chat(chats, params, use_tqdm=False, chat_template_kwargs=template)
                seconds = (time.monotonic() - start) / max(1, len(places))
            done |= {place: _completion(output, seconds) for place, output in zip(places, outputs, strict=True)}
        for place, completion in done.items():
            if on_done is not None:
                on_done(place, completion)
        return [done[place] for place in range(len(requests))]


def _by_effort(requests: Sequence[Request]) -> dict[str, list[int]]:
    """The effort is part of the chat template, which is one for a batch."""
    groups: dict[str, list[int]] = {}
    for place, request in enumerate(requests):
        groups.setdefault(request.sampling.reasoning_effort, []).append(place)
    return groups


def _settings(sampling: Sampling, seed: int) -> dict[str, Any]:
    given = {"temperature": sampling.temperature, "top_p": sampling.top_p}
    known = {name: value for name, value in given.items() if value is not None}
    return {"max_tokens": sampling.max_tokens, "seed": seed, **known, **sampling.extra()}


def _completion(output: Any, seconds: float) -> Completion:
    own = output.outputs[0]
    return Completion(
        text=own.text.encode("utf-8", "replace").decode(),
        finish=Finish.LENGTH if own.finish_reason == "length" else Finish.STOP,
        prompt_tokens=len(output.prompt_token_ids or ()),
        completion_tokens=len(own.token_ids),
        seconds=seconds,
    )
