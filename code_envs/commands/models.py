"""The options that say which language model answers, and how; shared by the commands that ask one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from code_envs.commands.output import stderr
from code_envs.errors import ConfigError, UnknownName

if TYPE_CHECKING:
    from code_envs.models import ModelConfig

__all__ = [
    "Backend",
    "BaseUrl",
    "Concurrency",
    "ExtraBody",
    "Replies",
    "StopEarly",
    "StudentEffort",
    "StudentTemperature",
    "StudentTokens",
    "Timeout",
    "check_embedded",
    "model_config",
]

_NEAR = 0.8  # likeness of two names from which one may be the other, misspelt; of 'serach' and 'search' it is 0.83

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
    bool,
    typer.Option("--stop-early", help="End measuring once the interval lies within 0.01–0.35, 0.35–0.65 or 0.65–0.97."),
]
Replies = Annotated[
    list[Path] | None,
    typer.Option("--replies", help="An earlier run: what it asked is not asked again. May be given again."),
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

    A name that is not known is a model's where a server or another backend is given; one that is almost that of
    an embedded teacher or student gets a note on stderr.

    Raises:
        ConfigError: A setting cannot be used.
        UnknownName: There is no such backend.
    """
    from code_envs.models import BACKENDS, ModelConfig, Sampling
    from code_envs.models.openai import api_key

    embedded = set(known)
    models = [name for name in names if name not in embedded]
    if not models or not (base_url or backend != "openai"):
        return None
    if backend not in BACKENDS:
        raise UnknownName("backend", backend, BACKENDS)
    for name in models:
        for near in get_close_matches(name, embedded, n=1, cutoff=_NEAR):
            note = f"Note: {name!r} is taken for the name of a model. Did you mean {near!r}, which needs none?"
            stderr().print(note, markup=False, soft_wrap=True)
    if backend == "openai":
        api_key()  # here, since whatever asks for it later has begun a folder
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens, reasoning_effort=effort, extra_body=extra_body)
    return ModelConfig(model=models[0], backend=backend, base_url=base_url, timeout=timeout, sampling=sampling)


def check_embedded(kind: str, name: str, known: Iterable[str]) -> str:
    """Refuse a name that is not known where no server is given that could have a model of this name.

    Raises:
        ConfigError: It is not known; names the nearest one, and what a model needs.
    """
    if name not in known:
        raise ConfigError(f"{UnknownName(kind, name, known)} A model needs its server: --base-url.")
    return name
