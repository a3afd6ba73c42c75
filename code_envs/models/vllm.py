"""Models that vLLM runs: its own engine, which batches whatever is under way, in this process or in an actor."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import time
from typing import Any

from code_envs.errors import MissingExtra, ModelError
from code_envs.models.base import Completion, Constraint, Finish, ModelConfig, Request, Sampling
from code_envs.models.looped import LoopedModel

__all__ = ["VllmEngine", "VllmModel"]


class VllmEngine:
    """One engine of vLLM, for any number of requests at a time. Needs a GPU, or vLLM's CPU build.

    Args:
        model: The folder or hub name of the weights.
        settings: Keywords of ``vllm.AsyncEngineArgs``, such as ``tensor_parallel_size``.

    Raises:
        MissingExtra: vLLM is not installed.
    """

    def __init__(self, model: str, **settings: Any) -> None:
        try:
            from vllm import AsyncEngineArgs, AsyncLLMEngine, SamplingParams
            from vllm.sampling_params import RequestOutputKind
        except ImportError as error:
            raise MissingExtra("vllm", "vllm") from error
        self.name = model
        self._engine = AsyncLLMEngine.from_engine_args(AsyncEngineArgs(model=model, **settings))
        self._params, self._whole = SamplingParams, RequestOutputKind.FINAL_ONLY
        self._numbers = itertools.count()
        self._refusals: tuple[type[Exception], ...] = (ValueError, *_client_errors())

    async def complete(self, request: Request, timeout: float) -> Completion:
        """Answer one request.

        Args:
            request: What to answer; ``extra_body`` holds further ``SamplingParams``.
            timeout: Seconds that the reply may take, the wait for its turn included.

        Raises:
            ModelError: The engine has died.
        """
        start = time.monotonic()
        try:
            async with asyncio.timeout(timeout):
                output = await self._generate(request)
        except TimeoutError:
            return Completion(text="", finish=Finish.TIMEOUT, note=f"no reply within {timeout:g} seconds")
        except self._refusals as error:  # a prompt that is too long, a setting that is out of range
            return Completion(text="", finish=Finish.REJECTED, note=" ".join(str(error).split())[:200])
        except Exception as error:
            if self._engine.errored:
                raise ModelError(f"the vLLM engine of {self.name!r} has died: {error}") from error
            raise
        return _completion(output, time.monotonic() - start)

    async def _generate(self, request: Request) -> Any:
        tokenizer = self._engine.get_tokenizer()
        tokenizer = await tokenizer if inspect.isawaitable(tokenizer) else tokenizer  # as the version has it
        effort = request.sampling.reasoning_effort
        tokens = tokenizer.apply_chat_template(
            list(request.messages),
            add_generation_prompt=True,
            tokenize=True,
            return_dict=False,
            **({"reasoning_effort": effort} if effort else {}),
        )
        form = _form(request.constraint) if request.constraint else {}
        params = self._params(**form, **_settings(request.sampling, request.seed), output_kind=self._whole)
        number = f"code-envs-{next(self._numbers)}"
        async for output in self._engine.generate({"prompt_token_ids": tokens}, params, number):
            last = output
        return last

    def close(self) -> None:
        """End the engine."""
        self._engine.shutdown()


class VllmModel(LoopedModel):
    """A model in this process; requests of all threads share the engine's batch.

    Args:
        config: The model and its sampling.
        engine: Keywords of ``vllm.AsyncEngineArgs``.

    Raises:
        MissingExtra: vLLM is not installed.
    """

    def __init__(self, config: ModelConfig, **engine: Any) -> None:
        self.config, self._engine = config, VllmEngine(config.model, **engine)
        super().__init__(config.model)

    async def _complete(self, request: Request) -> Completion:
        return await self._engine.complete(request, self.config.timeout)

    async def _shut(self) -> None:
        self._engine.close()


def _client_errors() -> tuple[type[Exception], ...]:
    """What newer versions of vLLM raise for a request that they do not take."""
    try:
        from vllm.exceptions import VLLMClientError
    except ImportError:
        return ()
    return (VLLMClientError,)


def _form(constraint: Constraint) -> dict[str, Any]:
    """How vLLM is told of a form, since 0.11.1.

    Raises:
        MissingExtra: vLLM is older than that.
    """
    try:
        from vllm.sampling_params import StructuredOutputsParams
    except ImportError as error:
        raise MissingExtra("vllm", "vllm") from error
    given = {"json": constraint.schema} if constraint.schema else {"grammar": constraint.grammar}
    return {"structured_outputs": StructuredOutputsParams(**given)}


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
