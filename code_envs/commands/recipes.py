"""``recipe``: how to train a model with OpenRLHF, as folders ready to start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from code_envs.commands.output import AsJson, output_option, print_json, show_table, stderr

if TYPE_CHECKING:
    from code_envs.integrations.recipes import MemoryPlan, Recipe

__all__ = ["app"]

app = typer.Typer(help="Recipes for training with OpenRLHF.", no_args_is_help=True)

Model = Annotated[str, typer.Argument(metavar="NAME", help="The model: see recipe list.")]
VariantOption = Annotated[str, typer.Option("--variant", help="The experiment: see recipe list.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="KEY=VALUE instead of the recipe's own; may be given again.")
]


@app.command("list")
def list_recipes(as_json: AsJson = False) -> None:
    """List the models and the experiments."""
    from code_envs.integrations.recipes import MODELS, VARIANTS, load_recipe

    models = {name: load_recipe(name).about for name in MODELS}
    variants = {name: load_recipe(MODELS[0], name).variant.about for name in VARIANTS}
    if as_json:
        print_json({"models": models, "variants": variants})
        return
    show_table("Models", ["name", "about"], list(models.items()))
    show_table("Experiments, for --variant", ["name", "about"], list(variants.items()))


@app.command("show")
def show(
    name: Model,
    *,
    variant: VariantOption = "real-25k-synthetic-20k",
    settings: SetOption = None,
    as_json: AsJson = False,
) -> None:
    """Show a recipe: its settings, where they come from, and the memory it takes."""
    from code_envs.integrations.recipes import plan_memory

    recipe = _load(name, variant, settings)
    plan = plan_memory(recipe)
    if as_json:
        print_json({"recipe": recipe, "memory": plan, "fits": plan.fits})
        return
    print(f"{recipe.name}: {recipe.about}\n{recipe.variant.name}: {recipe.variant.about}\n")
    rows: list[tuple[Any, ...]] = [("model", recipe.model, recipe.why.get("model", ""))]
    for part in (recipe.training, recipe.hardware):
        rows += [(key, getattr(part, key), recipe.why.get(key, "")) for key in part.__struct_fields__]
    show_table("Settings", ["setting", ">value", "where from"], rows)
    print(f"hardware: {recipe.why['hardware']}\n")
    _show_memory(recipe, plan)


def _show_memory(recipe: Recipe, plan: MemoryPlan) -> None:
    parts = ("weights", "gradients", "optimizer", "reference", "activations", "logits", "gathered", "overhead")
    rows = [(part, f"{getattr(plan, part):.1f}") for part in parts]
    title = f"A training GPU of {recipe.hardware.actor_gpus} (counted, not measured)"
    show_table(title, ["what", ">GiB"], [*rows, ("together", f"{plan.training:.1f} of {plan.gpu:.0f}")])
    print(
        f"{plan.parameters / 1e9:.2f} billion parameters. An engine's GPU: {plan.engine_weights:.1f} GiB of weights, "
        f"{plan.engine_cache:.1f} GiB of cache; an engine holds {plan.sequences:.0f} sequences of "
        f"{recipe.training.max_len} tokens at once."
    )
    if not plan.fits:
        _warn(plan)


@app.command("write")
def write(
    name: Model,
    *,
    output: Annotated[Path, output_option("The folder to write to.")],
    variant: VariantOption = "real-25k-synthetic-20k",
    settings: SetOption = None,
    as_json: AsJson = False,
) -> None:
    """Write a recipe as a folder: data command, launch scripts for Ray and SLURM, curriculum, README."""
    from code_envs.integrations.recipes import plan_memory, write_recipe

    recipe = _load(name, variant, settings)
    files = write_recipe(recipe, output)
    if not (plan := plan_memory(recipe)).fits:
        _warn(plan)
    if as_json:
        print_json({"files": [str(path) for path in files]})
    else:
        print(f"{', '.join(path.name for path in files)}: start with {output / 'README.md'}")


def _warn(plan: MemoryPlan) -> None:
    text = (
        f"It does not fit: {plan.training:.0f} GiB on a training GPU of {plan.gpu:.0f}, and an engine holds "
        f"{plan.sequences:.1f} sequences. More actor_gpus_per_node, a smaller tokens_per_gpu or max_len, or more "
        "engine_gpus help."
    )
    stderr().print(text, markup=False, soft_wrap=True)


def _load(name: str, variant: str, settings: list[str] | None) -> Recipe:
    from code_envs.errors import ConfigError
    from code_envs.integrations.recipes import load_recipe

    pairs = [given.partition("=") for given in settings or ()]
    for key, _, value in pairs:
        if not key or not value:
            raise ConfigError("--set is KEY=VALUE, such as --set steps=2000")
    return load_recipe(name, variant, {key: value for key, _, value in pairs})
