"""Runs: folders of generated chains that survive being killed at any moment."""

from __future__ import annotations

from code_envs.generation.config import CONFIG, RunConfig, begun, dated_problems, load_config
from code_envs.generation.factory import ChainFactory
from code_envs.generation.log import CHAINS
from code_envs.generation.on_ray import RayEngine
from code_envs.generation.remeasure import remeasure
from code_envs.generation.runs import ChainMaker, Engine, generate, in_order
from code_envs.generation.selection import (
    REMOVED,
    Selection,
    distinct,
    each_removal,
    is_kept,
    load_removals,
)

__all__ = [
    "CHAINS",
    "CONFIG",
    "REMOVED",
    "ChainFactory",
    "ChainMaker",
    "Engine",
    "RayEngine",
    "RunConfig",
    "Selection",
    "begun",
    "dated_problems",
    "distinct",
    "each_removal",
    "generate",
    "in_order",
    "is_kept",
    "load_config",
    "load_removals",
    "remeasure",
]
