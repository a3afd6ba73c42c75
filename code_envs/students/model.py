"""Students that are language models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from code_envs.models import Finish, Model, ModelConfig, OpenAIModel, Request, Sampling
from code_envs.students.base import Prompt

__all__ = ["ModelStudent", "OpenAIStudent"]

_NO_REPLY = (Finish.TIMEOUT, Finish.REJECTED)  # says nothing about what the student can do


class ModelStudent:
    """Answers prompts with a language model, each as a chat of its own.

    Args:
        model: Who answers.
        config: How its replies are drawn; also makes the student's name.
    """

    def __init__(self, model: Model, config: ModelConfig) -> None:
        self.model, self.config, self.name = model, config, config.label

    def answer(self, prompts: Sequence[Prompt], *, seed: int = 0) -> Sequence[str | None]:
        """Ask for all replies at once; None where none came in time, and where the server rejects the prompt.

        A refusal is an empty reply.
        """
        requests = [
            Request(
                messages=({"role": "user", "content": prompt.text},),
                sampling=self.config.sampling,
                seed=int(np.random.default_rng([seed, attempt]).integers(1 << 31)),
            )
            for attempt, prompt in enumerate(prompts)
        ]
        completions = self.model.complete(requests)
        return [None if one.finish in _NO_REPLY else one.text for one in completions]


class OpenAIStudent(ModelStudent):
    """A student behind an OpenAI-compatible server; the key is read from ``OPENAI_API_KEY``.

    Args:
        model: The name of the model at the server.
        base_url: The server, such as ``http://127.0.0.1:8000/v1``; the client's own default if empty.
        concurrency: Requests under way at a time.
        timeout: Seconds that a reply may take.
        sampling: Keywords of :class:`code_envs.models.Sampling`, such as ``temperature`` and ``max_tokens``.

    Raises:
        MissingExtra: The client is not installed.
    """

    def __init__(
        self, model: str, base_url: str = "", *, concurrency: int = 32, timeout: float = 600.0, **sampling: Any
    ) -> None:
        config = ModelConfig(model=model, base_url=base_url, timeout=timeout, sampling=Sampling(**sampling))
        self._server = OpenAIModel(config, concurrency=concurrency)
        super().__init__(self._server, config)

    def close(self) -> None:
        """Close the connections."""
        self._server.close()
