"""Schedules: weights over training steps, of bins or of modes, as data.

A file says which stages there are, in any unit; the stages scale to any number of steps::

    name = "gentle"
    bins = "chain"                 # whose bins the weights name; left out where they name modes
    total = 40                     # in what unit the stages are written
    [[stages]]
    from = 0
    until = 40
    weights = { easy = 0.5, medium = 0.5 }
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from code_envs.curricula.bins import Bins, load_bins
from code_envs.curricula.presets import check_keys, number, preset_names, read_table, typed
from code_envs.errors import ConfigError, UnknownName
from code_envs.problem import Mode

__all__ = ["SCHEDULES", "Schedule", "Stage", "load_modes", "load_schedule"]

SCHEDULES = tuple(preset_names("schedules"))
"""The names of the schedules that come along."""
_SLACK = 1e-9


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of training with fixed weights.

    Attributes:
        start: Where it begins, in the unit of the schedule.
        until: Where it ends.
        weights: The share of each bin or mode; those that are not named have none.
    """

    start: float
    until: float
    weights: Mapping[str, float]


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Weights over training steps.

    Attributes:
        name: What it is called.
        about: What it does, in words.
        stages: From 0 to ``total`` without gap or overlap.
        total: The length of training in the unit of the stages.
        bins: The bins that the weights name; None where they name modes.
    """

    name: str
    stages: Sequence[Stage]
    total: float
    about: str = ""
    bins: Bins | None = None

    def __post_init__(self) -> None:
        where = f"schedule {self.name!r}"
        if not (math.isfinite(self.total) and self.total > 0):
            raise ConfigError(f"{where}: 'total' must be positive, not {self.total}")
        if not self.stages:
            raise ConfigError(f"{where}: there is no stage")
        for number_, stage in enumerate(self.stages, 1):
            _check_weights(stage.weights, self.names, "bin" if self.bins else "mode", f"{where}, stage {number_}")
        _check_cover(self.stages, self.total, where)

    @property
    def names(self) -> tuple[str, ...]:
        """What the weights can name, bins from easy to hard."""
        return tuple(self.bins.edges) if self.bins else tuple(mode.value for mode in Mode)

    def weights(self, step: int, steps: int) -> dict[str, float]:
        """The weights at a training step.

        Args:
            step: From 0; later than the last step counts as the last.
            steps: How many steps there are.

        Returns:
            A share for every name, zeros included; they sum to 1.
        """
        position = min(step, steps - 1) / steps * self.total
        last = self.stages[-1]
        stage = next((stage for stage in self.stages if position < stage.until - _SLACK), last)
        return {name: stage.weights.get(name, 0.0) for name in self.names}


def _check_weights(weights: Mapping[str, float], names: Sequence[str], kind: str, where: str) -> None:
    for name, weight in weights.items():
        if name not in names:
            raise UnknownName(f"{kind} in {where}:", name, names)
        if not (math.isfinite(weight) and weight >= 0):
            raise ConfigError(f"{where}: the weight of {name} must not be negative, but is {weight}")
    total = math.fsum(weights.values())
    if abs(total - 1) > 1e-6:
        raise ConfigError(f"{where}: the weights sum to {total:g}; make them sum to 1")


def _check_cover(stages: Sequence[Stage], total: float, where: str) -> None:
    """The stages follow on one another from 0 to the end."""
    reached = 0.0
    for number_, stage in enumerate(stages, 1):
        if stage.until <= stage.start:
            raise ConfigError(
                f"{where}, stage {number_}: it ends at {stage.until:g}, not after its start {stage.start:g}"
            )
        if stage.start > reached + _SLACK:
            raise ConfigError(f"{where}: a gap from {reached:g} to {stage.start:g}, before stage {number_}")
        if stage.start < reached - _SLACK:
            raise ConfigError(
                f"{where}: stage {number_} begins at {stage.start:g} and overlaps what goes to {reached:g}"
            )
        reached = stage.until
    if reached < total - _SLACK:
        raise ConfigError(f"{where}: a gap from {reached:g} to the total of {total:g}, after the last stage")
    if reached > total + _SLACK:
        raise ConfigError(f"{where}: the last stage goes to {reached:g}, beyond the total of {total:g}")


def load_schedule(source: str | Path, bins: Bins | None = None) -> Schedule:
    """Load a schedule over bins.

    Args:
        source: The name of a preset, one of :data:`SCHEDULES`, or the path of a TOML file.
        bins: Bins to use instead of those that the file names; they must have the same names.

    Raises:
        UnknownName: There is no such preset, or the file names a bin or a key that is not known.
        ConfigError: The schedule cannot be used: weights that do not sum to 1, a gap, an overlap.
        FileNotFoundError: There is no such file.
    """
    table, where = read_table("schedules", source)
    if bins is None:
        named = typed(table, "bins", str, where)
        bins = load_bins(Path(source).parent / named if named.endswith(".toml") else named)
    return _read(table, where, bins)


def load_modes(source: str | Path | Mapping[str, float]) -> Schedule:
    """Load weights of the modes, which may change over the steps.

    Args:
        source: The name of a preset (``equal``, ``induction-only``, …), the path of a TOML file, or
            fixed weights by mode, which need not sum to 1.

    Raises:
        UnknownName: There is no such preset, mode or key.
        ConfigError: The weights cannot be used.
        FileNotFoundError: There is no such file.
    """
    if isinstance(source, Mapping):
        total = math.fsum(source.values())
        if not (math.isfinite(total) and total > 0):
            raise ConfigError("the weights of the modes must be positive")
        weights = {str(name): weight / total for name, weight in source.items()}
        return Schedule(name="given", total=1.0, stages=[Stage(start=0.0, until=1.0, weights=weights)])
    table, where = read_table("modes", source)
    return _read(table, where, None)


def _read(table: Mapping[str, Any], where: str, bins: Bins | None) -> Schedule:
    check_keys(table, ("name", "about", "total", "stages", *(["bins"] if bins else [])), where)
    stages = []
    for place, row in enumerate(typed(table, "stages", list, where), 1):
        here = f"{where}, stage {place}"
        if not isinstance(row, dict):
            raise ConfigError(f"{here}: a stage is a table with from, until and weights")
        check_keys(row, ("from", "until", "weights"), here)
        weights = {
            name: number(weight, f"{here}: the weight of {name}")
            for name, weight in typed(row, "weights", dict, here).items()
        }
        ends = [number(row.get(end), f"{here}: {end!r}") for end in ("from", "until")]
        stages.append(Stage(start=ends[0], until=ends[1], weights=weights))
    return Schedule(
        name=typed(table, "name", str, where, Path(where).stem),
        about=typed(table, "about", str, where, ""),
        stages=stages,
        total=number(table.get("total"), f"{where}: 'total'"),
        bins=bins,
    )
