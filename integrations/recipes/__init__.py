"""Recipes for OpenRLHF 0.11.2: a model, an experiment, and everything that its launch needs.

>>> recipe = load_recipe("qwen3-8b", "soft", {"steps": "2000"})
>>> plan_memory(recipe).fits
True
>>> write_recipe(recipe, "runs/qwen3-8b-soft")  # launch.sh, slurm.sh, data.sh, the curriculum, README.md

A recipe is data: ``models/*.toml``, over ``defaults.toml``, with an experiment of ``variants.toml``. Each
value is the paper's (arXiv 2603.24202), the trainer's own or ours, and says so under ``[why]``.
"""

from code_envs.integrations.recipes.flags import trainer_flags
from code_envs.integrations.recipes.memory import MemoryPlan, parameters, plan_memory
from code_envs.integrations.recipes.recipe import (
    MODELS,
    VARIANTS,
    Hardware,
    Recipe,
    Shape,
    Training,
    Variant,
    load_recipe,
)
from code_envs.integrations.recipes.writing import write_recipe

__all__ = [
    "MODELS",
    "VARIANTS",
    "Hardware",
    "MemoryPlan",
    "Recipe",
    "Shape",
    "Training",
    "Variant",
    "load_recipe",
    "parameters",
    "plan_memory",
    "trainer_flags",
    "write_recipe",
]
