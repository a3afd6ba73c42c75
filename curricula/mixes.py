"""Mixes of problem sets, by count or by ratio, as one TOML that gives the same problems anywhere.

A file names its parts; where their problems are is said when it is materialised::

    name = "half-real"
    seed = 0
    total = 1000                       # with ratios: as many as there are where it is left out
    [[parts]]
    from = "real"
    ratio = 0.5
    [[parts]]
    from = "synthetic"
    modes = ["induction", "deduction"] # any where it is left out
    ratio = 0.5
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from code_envs.curricula.presets import check_keys, number, preset_names, read_table, typed
from code_envs.envs.sources import read_problems
from code_envs.errors import ConfigError, UnknownName
from code_envs.problem import Mode, Problem

__all__ = ["MIXES", "Materialised", "Mix", "Part", "load_mix", "materialise"]

MIXES = tuple(preset_names("mixes"))
"""The names of the mixes that come along: those of arXiv 2603.24202."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What a mix takes from one source.

    Attributes:
        source: The name of the source.
        count: How many problems; 0 where a ratio says it.
        ratio: Which share of the mix.
        modes: Of which modes; of any if empty.
    """

    source: str
    count: int = 0
    ratio: float = 0.0
    modes: tuple[Mode, ...] = ()

    def __str__(self) -> str:
        return f"{' or '.join(self.modes) or 'any'} problems from {self.source!r}"


class Mix(msgspec.Struct, frozen=True, kw_only=True):
    """Parts that make up a problem set.

    Attributes:
        name: What it is called.
        parts: All by count, or all by ratio.
        about: What it is for, in words.
        total: How many problems, with ratios; 0 for as many as the sources allow.
        seed: Decides which problems are taken.
    """

    name: str
    parts: Sequence[Part]
    about: str = ""
    total: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        where = f"mix {self.name!r}"
        if not self.parts:
            raise ConfigError(f"{where}: there is no part")
        by_ratio = [part.ratio > 0 for part in self.parts]
        if any(by_ratio) and not all(by_ratio):
            raise ConfigError(f"{where}: give every part a count, or every part a ratio")
        if any((part.count > 0) == (part.ratio > 0) for part in self.parts):
            raise ConfigError(f"{where}: every part needs a positive count or a positive ratio, and not both")
        if all(by_ratio) and abs(math.fsum(part.ratio for part in self.parts) - 1) > 1e-6:
            raise ConfigError(
                f"{where}: the ratios sum to {math.fsum(part.ratio for part in self.parts):g}; make them 1"
            )
        if self.total and not all(by_ratio):
            raise ConfigError(f"{where}: 'total' goes with ratios; the counts say how many there are")


class Materialised(msgspec.Struct, frozen=True, kw_only=True):
    """The problems of a mix.

    Attributes:
        problems: Part after part; no problem twice.
        counts: How many each part gave.
        fingerprint: A hash of the keys: equal for equal problem sets.
    """

    problems: tuple[Problem, ...]
    counts: tuple[int, ...]
    fingerprint: str


def materialise(
    mix: Mix,
    sources: Mapping[str, str | os.PathLike[str] | Iterable[object]],
    *,
    scale: float = 1.0,
    seed: int | None = None,
) -> Materialised:
    """Choose the problems of a mix.

    The choice depends on the seed and on which problems a source has, not on their order in it.

    Args:
        mix: What to take.
        sources: For each name in the mix its problems: a file of JSON lines, a run folder, a list.
        scale: Multiplies every count, for a smaller or larger mix of the same make-up.
        seed: Instead of the mix's own.

    Raises:
        UnknownName: The mix names a source that is not given; names the nearest one.
        ConfigError: A source holds fewer problems than a part asks for.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise ConfigError(f"scale must be positive, not {scale}")
    seed = mix.seed if seed is None else seed
    pools = {name: sorted(read_problems(held), key=lambda p: p.key) for name, held in sources.items()}
    taken: dict[str, Problem] = {}
    candidates: list[list[Problem]] = []
    for part in mix.parts:
        if part.source not in pools:
            raise UnknownName(f"source of mix {mix.name!r}: give", part.source, pools)
        candidates.append([p for p in pools[part.source] if not part.modes or p.mode in part.modes])
    counts = _counts(mix, [len(found) for found in candidates], scale)
    for place, (part, found, count) in enumerate(zip(mix.parts, candidates, counts, strict=True)):
        left = {problem.key: problem for problem in found if problem.key not in taken}
        if len(left) < count:
            raise ConfigError(
                f"mix {mix.name!r} asks for {count} {part}, but there are {len(left)}: add some, or lower scale="
            )
        order = np.random.default_rng([seed, place]).permutation(len(left))[:count]
        keys = list(left)
        taken |= {keys[at]: left[keys[at]] for at in order.tolist()}
    fingerprint = hashlib.sha256("".join(sorted(taken)).encode()).hexdigest()[:16]
    return Materialised(problems=tuple(taken.values()), counts=tuple(counts), fingerprint=fingerprint)


def _counts(mix: Mix, there: Sequence[int], scale: float) -> list[int]:
    """How many problems each part gives; what rounding leaves goes to the largest remainders."""
    if not mix.parts[0].ratio:
        return [max(1, round(part.count * scale)) for part in mix.parts]
    most = math.floor(min(count / part.ratio for part, count in zip(mix.parts, there, strict=True)))
    total = round((mix.total or most) * scale)
    exact = [part.ratio * total for part in mix.parts]
    counts = [math.floor(share) for share in exact]
    by_remainder = sorted(range(len(counts)), key=lambda place: counts[place] - exact[place])
    for place in by_remainder[: total - sum(counts)]:
        counts[place] += 1
    return counts


def load_mix(source: str | Path) -> Mix:
    """Load a mix.

    Args:
        source: The name of a preset, one of ``MIXES``, or the path of a TOML file.

    Raises:
        UnknownName: There is no such preset, mode or key.
        ConfigError: The mix cannot be used; says why.
        FileNotFoundError: There is no such file.
    """
    table, where = read_table("mixes", source)
    check_keys(table, ("name", "about", "seed", "total", "parts"), where)
    rows = typed(table, "parts", list, where)
    return Mix(
        name=typed(table, "name", str, where, Path(where).stem),
        about=typed(table, "about", str, where, ""),
        seed=typed(table, "seed", int, where, 0),
        total=typed(table, "total", int, where, 0),
        parts=[_part(row, f"{where}, part {place}") for place, row in enumerate(rows, 1)],
    )


def _part(row: Any, where: str) -> Part:
    if not isinstance(row, dict):
        raise ConfigError(f"{where}: a part is a table with from and count or ratio")
    check_keys(row, ("from", "count", "ratio", "modes"), where)
    modes = typed(row, "modes", list, where, [])
    for mode in modes:
        if mode not in list(Mode):
            raise UnknownName(f"mode in {where}:", mode, Mode)
    return Part(
        source=typed(row, "from", str, where),
        count=typed(row, "count", int, where, 0),
        ratio=number(row.get("ratio", 0), f"{where}: 'ratio'"),
        modes=tuple(map(Mode, modes)),
    )
