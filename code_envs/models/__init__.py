"""Language models behind one small interface: a server, vLLM in process or on Ray, and a store of replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from code_envs.errors import UnknownName
from code_envs.models.base import Completion, Constraint, Finish, Message, Model, ModelConfig, OnDone, Request, Sampling
from code_envs.models.cache import RESPONSES, CachedModel, FileStore, Store, Usage, replies_of, store_beside, usage_of
from code_envs.models.openai import OpenAIModel
from code_envs.models.vllm import VllmModel

__all__ = [
    "BACKENDS",
    "RESPONSES",
    "CachedModel",
    "Completion",
    "Constraint",
    "FileStore",
    "Finish",
    "Message",
    "Model",
    "ModelConfig",
    "OnDone",
    "OpenAIModel",
    "Request",
    "Sampling",
    "Store",
    "Usage",
    "VllmModel",
    "make_model",
    "replies_of",
    "store_beside",
    "usage_of",
]

BACKENDS: Mapping[str, Callable[[ModelConfig, int], Model]] = {
    "openai": lambda config, concurrency: OpenAIModel(config, concurrency=concurrency),
    "vllm": lambda config, _: VllmModel(config),
}
"""How to make a model, by backend."""


def make_model(config: ModelConfig, concurrency: int = 32) -> Model:
    """Make a model.

    Args:
        config: Which, where and how.
        concurrency: Requests under way at a time, at a server.

    Raises:
        UnknownName: There is no such backend.
        MissingExtra: The backend's library is not installed.
    """
    if config.backend not in BACKENDS:
        raise UnknownName("backend", config.backend, BACKENDS)
    return BACKENDS[config.backend](config, concurrency)
