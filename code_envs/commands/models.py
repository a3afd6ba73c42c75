"""The options that say which language model answers, and how; shared by the commands that ask one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from code_envs.models import ModelConfig

__all__ = [
    "Backend",
    "BaseUrl",
    "Concurrency",
    "ExtraBody",
    "StopEarly",
    "StudentEffort",
    "StudentTemperature",
    "StudentTokens",
    "Timeout",
    "model_config",
]

BaseUrl = Annotated[
    str,
    typer.Option(
        "--base-url", envvar="OPENAI_BASE_URL", help="An OpenAI-compatible server, such as http://127.0.0.1:8000/v1."
    ),
]
Backend = Annotated[str, typer.Option("--backend", help="openai; or vllm, in this process.")]
Concurrency = Annotated[int, typer.Option("--concurrency", min=1, help="Requests under way at a time.")]
Timeout = Annotated[float, typer.Option("--timeout", help="Seconds that one reply may take.")]
ExtraBody = Annotated[str, typer.Option("--extra-body", help="Further fields of each request, as a JSON object.")]
StudentEffort = Annotated[
    str, typer.Option("--student-effort", help="The student's reasoning effort: low, medium, high.")
]
StudentTemperature = Annotated[float, typer.Option("--student-temperature", help="The student's temperature.")]
StudentTokens = Annotated[int, typer.Option("--student-tokens", min=1, help="Tokens of a student's reply, at most.")]
StopEarly = Annotated[
    bool, typer.Option("--stop-early", help="End measuring once the interval lies within 0.01–0.35, 0.35–0.65 or 0.65–0.97.")
]


def model_config(
    names: Iterable[str],
    known: Iterable[str],
    *,
    base_url: str,
    backend: str,
    timeout: float,
    effort: str = "",
    temperature: float = 1.0,
    max_tokens: int = 4096,
    extra_body: str = "",
) -> ModelConfig | None:
    """How to ask those of some names that are models; None where all are embedded.

    A name that is not known is a model's where a server or another backend is given.

    Raises:
        ConfigError: A setting cannot be used.
        UnknownName: There is no such backend.
    """
    from code_envs.errors import UnknownName
    from code_envs.models import BACKENDS, ModelConfig, Sampling

    models = [name for name in names if name not in set(known)]
    if not models or not (base_url or backend != "openai"):
        return None
    if backend not in BACKENDS:
        raise UnknownName("backend", backend, BACKENDS)
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens, reasoning_effort=effort, extra_body=extra_body)
    return ModelConfig(model=models[0], backend=backend, base_url=base_url, timeout=timeout, sampling=sampling)
