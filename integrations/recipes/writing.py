"""A recipe as a folder: the scripts that make its data and start it."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from string import Template

import msgspec

from code_envs.integrations.recipes.flags import trainer_flags
from code_envs.integrations.recipes.memory import parameters, plan_memory
from code_envs.integrations.recipes.recipe import Recipe

__all__ = ["SERVICE", "write_recipe"]

SERVICE = "code-envs-curriculum"
"""What the agents find the online curriculum by."""

_KEPT = 3  # by the trainer, of its own checkpoints
_TEMPLATES = Path(__file__).with_name("templates")


class _At(Template):
    """``@name`` instead of ``$name``, which is the shell's."""

    delimiter = "@"


def write_recipe(recipe: Recipe, folder: str | Path) -> list[Path]:
    """Write everything that a run needs but its problems; files of the same names are replaced.

    Args:
        recipe: What to write.
        folder: Where to; made if it does not exist.

    Returns:
        The files: ``README.md``, ``data.sh``, ``launch.sh``, ``slurm.sh``, ``recipe.json`` and, with an
        online curriculum, ``curriculum.toml``.
    """
    online, words = bool(recipe.variant.policy), _words(recipe)
    texts = {
        "README.md": _fill("README.md", words),
        "data.sh": _fill("data-curriculum.sh" if online else "data-mix.sh", words),
        "launch.sh": _fill("launch.sh", words),
        "slurm.sh": _fill("slurm.sh", words),
        "recipe.json": msgspec.json.format(msgspec.json.encode(recipe)).decode() + "\n",
    }
    if online:
        texts["curriculum.toml"] = _curriculum(recipe)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        if name.endswith(".sh"):
            (folder / name).chmod(0o755)
    return [folder / name for name in texts]


def _fill(name: str, words: dict[str, str]) -> str:
    return _At((_TEMPLATES / name).read_text(encoding="utf-8")).substitute(words)


def _words(recipe: Recipe) -> dict[str, str]:
    """What the templates leave open."""
    training, hardware, variant = recipe.training, recipe.hardware, recipe.variant
    gpus = hardware.actor_gpus + (hardware.engines * hardware.engine_gpus if training.async_enable else 0)
    return {
        "title": f"{recipe.name}, {variant.name}",
        "name": f"{recipe.name}-{variant.name}",
        "about": recipe.about,
        "variant_about": variant.about,
        "mix": variant.mix,
        "policy": variant.policy,
        "named": " ".join(f'--source {name}="${name.upper()}"' for name in variant.sources),
        "needs": "\n".join(map(_need, variant.sources)),
        "start": f"{' '.join(f'{n}=…' for n in _inputs(recipe))} bash data.sh",
        "steps": str(training.steps),
        "batch_size": str(training.batch_size),
        "group_size": str(training.group_size),
        "prompts": str(training.steps * training.batch_size),
        "eval_every": str(training.eval_every or -1),
        "flags": "\n".join(_line(name, values) for name, values in trainer_flags(recipe, "$episodes").items()),
        "service_name": SERVICE,
        "service": f"code-envs curriculum serve curriculum.toml --name {SERVICE} -o curriculum -- \\\n"
        if variant.policy
        else "",
        "nodes": str(math.ceil(gpus / hardware.node_gpus)),
        "node_gpus": str(min(gpus, hardware.node_gpus)),
        "node_cpus": str(8 * min(gpus, hardware.node_gpus)),
        "hardware": _hardware(recipe),
        "disk": _disk(recipe),
        "curriculum_row": "| `curriculum.toml` | the online curriculum |\n" if variant.policy else "",
    }


def _inputs(recipe: Recipe) -> list[str]:
    """The shell variables that ``data.sh`` asks for."""
    return [name.upper() for name in recipe.variant.sources] or ["MEASURED"]


def _need(source: str) -> str:
    how = "code-envs curriculum contests …" if source == "real" else "code-envs generate …, a run folder"
    name = source.upper()
    return f'{name}=$(realpath "${{{name}:?set it to the {source} problems ({how})}}")'


def _line(name: str, values: tuple[str, ...]) -> str:
    quoted = [f'"{value}"' if value.startswith("$") else shlex.quote(value) for value in values]
    return "  " + " ".join([name, *quoted]) + " \\"


def _hardware(recipe: Recipe) -> str:
    """The memory plan in one sentence."""
    plan, hardware, training = plan_memory(recipe), recipe.hardware, recipe.training
    verdict = "fits" if plan.fits else "DOES NOT FIT"
    return (
        f"{hardware.actor_gpus} × {hardware.gpu} train, {hardware.engines} engines of {hardware.engine_gpus} generate. "
        f"Counted, not measured: {plan.training:.0f} of {plan.gpu:.0f} GiB on a training GPU ({verdict}), and a "
        f"key-value cache for {plan.sequences:.0f} sequences of {training.max_len} tokens on an engine."
    )


def _disk(recipe: Recipe) -> str:
    """What the checkpoints take: weights in bf16, and AdamW's copy and two moments in fp32."""
    training, billions = recipe.training, parameters(recipe.shape) / 1e9
    text = f"On disk: the last {_KEPT} checkpoints, of {14 * billions:.0f} GB each"
    if training.save_models:
        text += (
            f", and {training.steps // training.save_every} models of {2 * billions:.0f} GB, of which none is removed"
        )
    return f"{text}."


def _curriculum(recipe: Recipe) -> str:
    """The configuration of the service, see :class:`code_envs.curricula.OnlineConfig`."""
    training, variant = recipe.training, recipe.variant
    settings = {
        "problems": "data/served.jsonl",
        "held_out": "data/held_out.jsonl",
        "policy": variant.policy,
        "steps": training.steps,
        "batch_size": training.batch_size,
        "group_size": training.group_size,
        "seed": training.seed,
        **({"teacher": variant.teacher} if variant.teacher else {}),
    }
    lines = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in settings.items()]
    return "\n".join([f"# {recipe.name}: {variant.about}", *lines, ""])
