"""Curricula: which mode and which difficulty come next.

>>> from code_envs.curricula import TargetRate
>>> env = gymnasium.make("code_envs/Mixed-v0", curriculum=TargetRate(0.5))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from code_envs.curricula.bins import Bins, Place, Placed, load_bins, place_all, posterior_mass
from code_envs.curricula.matching import match_histograms
from code_envs.curricula.presets import preset_names
from code_envs.curricula.schedules import SCHEDULES, Schedule, Stage, load_modes, load_schedule
from code_envs.curricula.target_rate import TargetRate
from code_envs.envs.curriculum import Curriculum
from code_envs.errors import UnknownName

__all__ = [
    "CURRICULA",
    "SCHEDULES",
    "Bins",
    "Curriculum",
    "Place",
    "Placed",
    "Schedule",
    "Stage",
    "TargetRate",
    "load_bins",
    "load_modes",
    "load_schedule",
    "make_curriculum",
    "match_histograms",
    "place_all",
    "posterior_mass",
    "preset_names",
]

CURRICULA: dict[str, Callable[..., Curriculum]] = {"target-rate": TargetRate}
"""The curricula by name."""


def make_curriculum(name: str, **settings: Any) -> Curriculum:
    """Make a curriculum by name.

    Args:
        name: One of :data:`CURRICULA`.
        settings: Keywords of that curriculum.

    Raises:
        UnknownName: There is no such curriculum; names the nearest one.
    """
    if name not in CURRICULA:
        raise UnknownName("curriculum", name, CURRICULA)
    return CURRICULA[name](**settings)
