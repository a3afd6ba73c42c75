"""Curricula: which mode, which difficulty and which problem come next.

Over problems that a teacher makes up, by mode and level:

>>> from code_envs.curricula import TargetRate
>>> env = gymnasium.make("code_envs/Mixed-v0", curriculum=TargetRate(0.5))

Over a fixed set of measured problems, by a schedule or by what was observed:

>>> from code_envs.curricula import Sampler
>>> sampler = Sampler("runs/first", "soft", steps=1000, batch_size=64, seed=0)
>>> env = gymnasium.make("code_envs/Mixed-v0", curriculum=sampler)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from code_envs.curricula.adaptive import FailureFirst, Learnability
from code_envs.curricula.bandit import Bandit
from code_envs.curricula.bins import Bins, Place, Placed, load_bins, place_all, posterior_mass
from code_envs.curricula.contest_rows import STYLES, Contest, parse_row, style_of
from code_envs.curricula.contests import Loaded, load_contests
from code_envs.curricula.filters import CHAIN_ORDERS, ChainOrder, Filter, VarianceFilter
from code_envs.curricula.history import History
from code_envs.curricula.matching import match_histograms
from code_envs.curricula.mixes import MIXES, Materialised, Mix, Part, load_mix, materialise
from code_envs.curricula.online import OnlineConfig, load_online, open_service
from code_envs.curricula.ordered import ordered_rows, write_ordered
from code_envs.curricula.plots import plot_history, plot_schedule
from code_envs.curricula.policies import ByLevel, Growing, Policy, Scheduled
from code_envs.curricula.pool import Pool
from code_envs.curricula.presets import preset_names
from code_envs.curricula.sampler import POLICIES, Draw, Sampler
from code_envs.curricula.schedules import SCHEDULES, Schedule, Stage, load_modes, load_schedule
from code_envs.curricula.service import CurriculumService
from code_envs.curricula.siblings import OnlineSettings
from code_envs.curricula.target_rate import TargetRate
from code_envs.envs.curriculum import Curriculum
from code_envs.errors import UnknownName

__all__ = [
    "CHAIN_ORDERS",
    "CURRICULA",
    "MIXES",
    "POLICIES",
    "SCHEDULES",
    "STYLES",
    "Bandit",
    "Bins",
    "ByLevel",
    "ChainOrder",
    "Contest",
    "Curriculum",
    "CurriculumService",
    "Draw",
    "FailureFirst",
    "Filter",
    "Growing",
    "History",
    "Learnability",
    "Loaded",
    "Materialised",
    "Mix",
    "OnlineConfig",
    "OnlineSettings",
    "Part",
    "Place",
    "Placed",
    "Policy",
    "Pool",
    "Sampler",
    "Schedule",
    "Scheduled",
    "Stage",
    "TargetRate",
    "VarianceFilter",
    "load_bins",
    "load_contests",
    "load_mix",
    "load_modes",
    "load_online",
    "load_schedule",
    "make_curriculum",
    "match_histograms",
    "materialise",
    "open_service",
    "ordered_rows",
    "parse_row",
    "place_all",
    "plot_history",
    "plot_schedule",
    "posterior_mass",
    "preset_names",
    "style_of",
    "write_ordered",
]

CURRICULA: dict[str, Callable[..., Curriculum]] = {"bandit": Bandit, "target-rate": TargetRate}
"""The curricula over modes and levels by name; those over problems are ``SCHEDULES`` and ``POLICIES``."""


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
