"""Runs: folders of generated chains that survive being killed at any moment."""

from __future__ import annotations

from code_envs.generation.config import CONFIG, RunConfig, load_config
from code_envs.generation.factory import ChainFactory
from code_envs.generation.remeasure import remeasure
from code_envs.generation.runs import CHAINS, ChainMaker, generate, in_order
from code_envs.generation.selection import REMOVED, Selection, distinct, kept, load_removals

__all__ = [
    "CHAINS",
    "CONFIG",
    "REMOVED",
    "ChainFactory",
    "ChainMaker",
    "RunConfig",
    "Selection",
    "distinct",
    "generate",
    "in_order",
    "kept",
    "load_config",
    "load_removals",
    "remeasure",
]
