"""What a recipe is: records read from TOML, with overrides."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from code_envs.errors import ConfigError, UnknownName

__all__ = ["MODELS", "VARIANTS", "Hardware", "Recipe", "Shape", "Training", "Variant", "load_recipe"]

_FOLDER = Path(__file__).parent


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A decoder's dimensions, by the names of its ``config.json``; from these its memory is counted."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    attention_bias: bool = False
    qk_norm: bool = False
    tied: bool = False


class Hardware(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The GPUs of a run.

    Attributes:
        gpu: What they are, in words.
        gpu_gib: Memory of one, GiB.
        actor_nodes: Machines that train.
        actor_gpus_per_node: GPUs of each that do.
        engines: vLLM engines.
        engine_gpus: GPUs of each engine (tensor parallelism).
        engine_memory: Share of a GPU that an engine takes.
        node_gpus: GPUs of a machine, for SLURM.
    """

    gpu: str
    gpu_gib: float
    actor_nodes: int = 1
    actor_gpus_per_node: int = 4
    engines: int = 4
    engine_gpus: int = 1
    engine_memory: float = 0.9
    node_gpus: int = 8

    @property
    def actor_gpus(self) -> int:
        """GPUs that train."""
        return self.actor_nodes * self.actor_gpus_per_node


class Training(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How it trains; what each value is for stands in ``defaults.toml``.

    Attributes:
        steps: RL steps.
        batch_size: Problems in a step.
        group_size: Attempts at each.
        temperature: Of the rollouts.
        learning_rate: Of AdamW.
        warmup: Share of the steps in which the rate rises.
        scheduler: Of the rate, by its name in transformers.
        clip_low: PPO's clip range, downward.
        clip_high: PPO's clip range, upward.
        kl: Coefficient of the KL term; 0 loads no reference model.
        estimator: Of advantages: ``dr_grpo``, or ``group_norm`` with division by the standard deviation.
        loss_mean: ``token-mean`` or ``seq-mean-token-mean``.
        correction: Importance correction between engine and trainer: ``off``, ``token`` or ``seq``.
        async_enable: Whether rollouts go on while training does; otherwise all GPUs do both in turn.
        queue_size: How many batches rollouts may be ahead.
        partial_rollout: Whether an answer goes on over an update of the weights.
        dynamic_filtering: Whether groups without variance are drawn again.
        max_len: Tokens of prompt and answer together.
        tokens_per_gpu: Tokens that a GPU takes at once in training.
        eval_every: Steps between evaluations; 0 for none.
        eval_attempts: Attempts at each problem that is held out.
        eval_temperature: Of these attempts.
        save_every: Steps between checkpoints.
        save_models: Whether each checkpoint comes with a model that other libraries load; the last one always does.
        seed: Of the trainer and the curriculum.
    """

    steps: int
    batch_size: int
    group_size: int
    temperature: float
    learning_rate: float
    warmup: float
    scheduler: str
    clip_low: float
    clip_high: float
    kl: float
    estimator: Literal["dr_grpo", "group_norm"]
    loss_mean: Literal["token-mean", "seq-mean-token-mean"]
    correction: Literal["off", "token", "seq"]
    async_enable: bool
    queue_size: int
    partial_rollout: bool
    dynamic_filtering: bool
    max_len: int
    tokens_per_gpu: int
    eval_every: int
    eval_attempts: int
    eval_temperature: float
    save_every: int
    save_models: bool
    seed: int


class Variant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An experiment: a mix of problems, or an online curriculum over measured ones.

    Attributes:
        name: What it is called.
        about: What it is, in words.
        mix: The mix, see :func:`code_envs.curricula.load_mix`.
        sources: The names in the mix.
        policy: The curriculum, see :class:`code_envs.curricula.OnlineConfig`.
        teacher: Who makes siblings of problems, of an online curriculum.
    """

    name: str
    about: str
    mix: str = ""
    sources: tuple[str, ...] = ()
    policy: str = ""
    teacher: str = ""


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model's recipe with one experiment.

    Attributes:
        name: Its model's short name.
        about: What it needs, in words.
        model: The name on the hub, or a folder.
        shape: The model's dimensions.
        hardware: The GPUs.
        training: How it trains.
        variant: The experiment.
        why: For each setting where its value comes from.
    """

    name: str
    about: str
    model: str
    shape: Shape
    hardware: Hardware
    training: Training
    variant: Variant
    why: Mapping[str, str]

    @property
    def engine_share(self) -> float:
        """The share of a GPU that an engine takes: at most half where training wakes up beside it."""
        share = self.hardware.engine_memory
        return share if self.training.async_enable else min(share, 0.5)


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


MODELS = tuple(sorted(path.stem for path in (_FOLDER / "models").glob("*.toml")))
"""The models that there are recipes for."""

_VARIANTS = _read(_FOLDER / "variants.toml")
VARIANTS = tuple(_VARIANTS)
"""The experiments, in the order of ``variants.toml``."""


def load_recipe(model: str, variant: str = VARIANTS[0], settings: Mapping[str, str] | None = None) -> Recipe:
    """Read a recipe.

    Args:
        model: One of ``MODELS``.
        variant: One of ``VARIANTS``.
        settings: Values instead of its own, as text, for ``model`` and for anything of
            :class:`Training` and :class:`Hardware`.

    Raises:
        UnknownName: There is no such model, variant or setting; names the nearest one.
        ConfigError: A value is of the wrong type, or values do not go together.
    """
    if model not in MODELS:
        raise UnknownName("recipe", model, MODELS)
    if variant not in VARIANTS:
        raise UnknownName("variant", variant, VARIANTS)
    table, defaults = _read(_FOLDER / "models" / f"{model}.toml"), _read(_FOLDER / "defaults.toml")
    table["training"] = {**defaults["training"], **table["training"]}
    table["why"] = {**defaults["why"], **table["why"]}
    table["variant"] = {"name": variant, **_VARIANTS[variant]}
    for name, value in (settings or {}).items():
        _set(table, name, value)
        table["why"][name] = "set by hand"
    try:
        recipe = msgspec.convert(table, Recipe, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"recipe {model!r}: {error}") from error
    _check(recipe)
    return recipe


def _set(table: dict[str, Any], name: str, value: str) -> None:
    """Put a value where its name belongs."""
    if name == "model":
        table["model"] = value
        return
    for part, kind in (("training", Training), ("hardware", Hardware)):
        if name in kind.__struct_fields__:
            table[part][name] = value
            return
    raise UnknownName("setting", name, ("model", *Training.__struct_fields__, *Hardware.__struct_fields__))


def _check(recipe: Recipe) -> None:
    """Refuse what the trainer would refuse, or do nothing with, after minutes of start-up."""
    training, hardware = recipe.training, recipe.hardware
    positive = ("steps", "batch_size", "queue_size", "max_len", "save_every", "eval_attempts")
    counts = {name: getattr(training, name) for name in positive}
    gpus = ("actor_nodes", "actor_gpus_per_node", "engines", "engine_gpus", "node_gpus")
    for name, value in {**counts, **{name: getattr(hardware, name) for name in gpus}}.items():
        if value < 1:
            raise ConfigError(f"{name} must be positive, not {value}")
    for name in ("learning_rate", "temperature", "clip_low", "clip_high"):
        if not (math.isfinite(value := getattr(training, name)) and value > 0):
            raise ConfigError(f"{name} must be positive and finite, not {value}")
    for name in ("kl", "seed", "eval_every", "eval_temperature"):
        if not (math.isfinite(value := getattr(training, name)) and value >= 0):
            raise ConfigError(f"{name} must not be negative or infinite, and is {value}")
    for name, value in (("warmup", training.warmup), ("engine_memory", hardware.engine_memory)):
        if not 0 <= value < 1:
            raise ConfigError(f"{name} is a share, from 0 to below 1, not {value:g}")
    _check_together(training, hardware)


def _check_together(training: Training, hardware: Hardware) -> None:
    """What must hold between values."""
    if training.group_size < 2:
        raise ConfigError(f"group_size must be at least 2, not {training.group_size}: a group of one has no advantage")
    if (rollouts := training.batch_size * training.group_size) % hardware.actor_gpus:
        raise ConfigError(
            f"batch_size × group_size is {rollouts}, which the {hardware.actor_gpus} training GPUs cannot share "
            "alike: change one of them"
        )
    if training.tokens_per_gpu < training.max_len:
        raise ConfigError(
            f"tokens_per_gpu is {training.tokens_per_gpu}, below max_len ({training.max_len}): "
            "a whole sequence must fit on a training GPU"
        )
    if not training.async_enable and hardware.actor_gpus != hardware.engines * hardware.engine_gpus:
        raise ConfigError(
            f"without async_enable all GPUs train and generate in turn: {hardware.actor_gpus} training GPUs need "
            f"engines × engine_gpus to be as many, not {hardware.engines * hardware.engine_gpus}"
        )
