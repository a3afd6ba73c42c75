"""Datasets for OpenRLHF: one row for each group of attempts.

A row has ``prompt`` and ``label`` (see :mod:`code_envs.integrations.openrlhf_labels`), ``datasource``
(the mode, and the bin if that is asked for: OpenRLHF's evaluation has metrics by it), ``key``, ``level``,
and, with a curriculum, ``place``, ``step`` and ``bin``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import msgspec
import numpy as np

from code_envs import modes
from code_envs.curricula import Bins, Sampler, load_bins
from code_envs.envs import env_ids
from code_envs.errors import ConfigError, UnknownName
from code_envs.folders import drafted
from code_envs.integrations.dataset_folder import dataset_folder
from code_envs.integrations.openrlhf_labels import Label, placeholder
from code_envs.integrations.splits import Split
from code_envs.problem import Chain, Problem, save_records
from code_envs.stored import Stored

__all__ = [
    "COLUMNS",
    "LABELS",
    "curriculum_rows",
    "ordered_rows",
    "problem_rows",
    "seed_rows",
    "write_dataset",
    "write_rows",
    "write_served",
]

COLUMNS = ("prompt", "label", "datasource")
"""What OpenRLHF reads; the columns after them are for people."""
LABELS = ("record", "key")
"""What a label may hold: the record itself, or the key of one in a file beside the dataset."""
_TRAIN, _EVAL, _PROBLEMS = "train.jsonl", "eval.jsonl", "problems.jsonl"


def problem_rows(
    problems: Iterable[Problem], *, max_turns: int = 1, file: str | Path | None = None, bins: Bins | None = None
) -> Iterator[dict[str, Any]]:
    """One row for each problem, in their order.

    Args:
        problems: The problems.
        max_turns: How many answers an episode may have.
        file: Where all of them are, for labels that hold a key alone; the labels hold records if None.
        bins: Makes ``datasource`` the mode and the bin, as ``deduction_hard``, or why there is no bin.
    """
    where = "" if file is None else str(Path(file).resolve())
    for problem in problems:
        if where:
            label = Label(problems=where, key=problem.key, max_turns=max_turns)
        else:
            label = Label(problem=msgspec.Raw(problem.to_json().encode()), max_turns=max_turns)
        yield {
            "prompt": modes.prompt(problem).text,
            "label": label.to_json(),
            "datasource": str(problem.mode) if bins is None else f"{problem.mode}_{bins.place(problem)}",
            "key": problem.key,
            "level": problem.lineage.level,
        }


def ordered_rows(sampler: Sampler, *, max_turns: int = 1, file: str | Path | None = None) -> Iterator[dict[str, Any]]:
    """One row for each group, in the order of a curriculum: ``batch_size`` rows for each step.

    Args:
        sampler: The sequence; its steps must be known.
        max_turns: As in :func:`problem_rows`.
        file: Likewise.

    Raises:
        ConfigError: The steps are not known.
    """
    if sampler.steps is None:
        raise ConfigError("an ordered dataset needs to know how many steps there are")
    for drawn in sampler:
        (row,) = problem_rows([drawn.problem], max_turns=max_turns, file=file)
        yield {**row, "place": drawn.index, "step": drawn.step, "bin": drawn.bin}


def curriculum_rows(name: str, count: int, *, max_turns: int = 1) -> Iterator[dict[str, Any]]:
    """Rows whose problems a running service chooses, in the order in which rollouts begin.

    Args:
        name: The service's name.
        count: How many rows: the trainer's steps times its batch. Which row comes when is no matter.
        max_turns: How many answers an episode may have.
    """
    for number in range(count):
        label = Label(curriculum=name, ticket=str(number), max_turns=max_turns)
        yield {"prompt": placeholder(label.ticket), "label": label.to_json(), "datasource": "curriculum"}


def seed_rows(
    env_id: str, count: int, seed: int = 0, *, level: int | None = None, max_turns: int = 1, lazy: bool = False
) -> Iterator[dict[str, Any]]:
    """Rows whose problems an environment makes up.

    Args:
        env_id: The environment.
        count: How many rows.
        seed: Row ``i`` draws the seed of its problem from the stream ``[seed, i]``.
        level: The level of all problems; drawn from the seeds if None.
        max_turns: How many answers an episode may have.
        lazy: Make the problems when their rollouts begin, instead of now; a prompt stands for each.

    Raises:
        UnknownName: There is no such environment.
    """
    if env_id not in env_ids():
        raise UnknownName("environment", env_id, env_ids())
    seeds = [int(np.random.default_rng([seed, number]).integers(1 << 53)) for number in range(count)]
    if lazy:
        for own in seeds:
            label = Label(env=env_id, seed=own, level=level, max_turns=max_turns)
            yield {"prompt": placeholder(str(own)), "label": label.to_json(), "datasource": env_id}
        return
    env: Any = gymnasium.make(env_id, level=level, disable_env_checker=True).unwrapped
    for own in seeds:
        env.reset(seed=own)
        yield from problem_rows([env.problem], max_turns=max_turns)


def write_rows(rows: Iterable[Mapping[str, Any]], path: str | Path) -> int:
    """Write rows as JSON lines, replacing the file.

    Returns:
        How many there were.

    Raises:
        ConfigError: There was none; the file is as it was.
    """
    path, count = Path(path), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with drafted(path) as file:
        for row in rows:
            file.write(msgspec.json.encode(row) + b"\n")
            count += 1
        if not count:
            raise ConfigError("there is nothing to write: no problem was left to train on")
    return count


def write_dataset(
    records: Iterable[Problem | Chain],
    folder: str | Path,
    *,
    max_turns: int = 1,
    labels: str = "record",
    eval_share: float = 0.0,
    eval_bins: str | Path | None = None,
    seed: int = 0,
    relatives: Iterable[Chain] = (),
    sampler: Mapping[str, Any] | None = None,
) -> dict[str, int]:
    """Write ``train.jsonl`` and, with a share, ``eval.jsonl``; siblings stay on one side.

    Args:
        records: Problems or chains.
        folder: Where to; made if it does not exist. What an earlier export wrote there is replaced, and nothing else.
        max_turns: How many answers an episode may have.
        labels: One of :data:`LABELS`; with ``key``, ``problems.jsonl`` is written, too.
        eval_share: The share of the problems to evaluate on; see :func:`.splits.split_problems`.
        eval_bins: Bins that evaluation tells apart, see :func:`load_bins`; modes alone if None.
        seed: Shuffles the families of problems for that, and drives the curriculum.
        relatives: As in :func:`.splits.split_problems`.
        sampler: Keywords of a :class:`~code_envs.curricula.Sampler` that orders what is trained on.

    Returns:
        How many rows each file has, by its path.

    Raises:
        UnknownName: There is no such kind of label.
        ConfigError: There is nothing to train or to evaluate on, or a setting cannot be used.
        RunError: The folder holds a file of the same name that no export has written, or cannot be written to.
    """
    if labels not in LABELS:
        raise UnknownName("kind of label", labels, LABELS)
    bins, split = _bins(eval_bins), Split(records, eval_share, seed, relatives)
    split.check("there is nothing to write: no problem was left to train on")
    order = None if sampler is None else Sampler(list(split.side(held_out=False)), seed=seed, **sampler)
    file = Path(folder) / _PROBLEMS if labels == "key" else None
    more: dict[str, Any] = {"max_turns": max_turns, "file": file}
    beside = [_PROBLEMS] if file is not None and not _is_at(records, file) else []
    with dataset_folder(folder, [_TRAIN, *[_EVAL] * split.holds_out, *beside]) as scratch:
        for name in beside:
            sides = (split.side(held_out=held_out) for held_out in (False, True))
            save_records(scratch / name, itertools.chain.from_iterable(sides))
        rows = problem_rows(split.side(held_out=False), **more) if order is None else ordered_rows(order, **more)
        count = write_rows(rows, scratch / _TRAIN)
        return {str(Path(folder) / _TRAIN): count} | _evaluate(split, scratch, folder, bins, **more)


def write_served(
    records: Iterable[Problem | Chain],
    folder: str | Path,
    name: str,
    count: int,
    *,
    max_turns: int = 1,
    eval_share: float = 0.0,
    eval_bins: str | Path | None = None,
    seed: int = 0,
    relatives: Iterable[Chain] = (),
) -> dict[str, int]:
    """Write ``train.jsonl`` for a service that chooses the problems, and what it may choose from.

    ``served.jsonl`` and ``held_out.jsonl`` are for the service's ``problems`` and ``held_out``, see
    :class:`~code_envs.curricula.OnlineConfig`; ``eval.jsonl`` has what is held out as rows. Siblings
    stay on one side.

    Args:
        records: Problems or chains.
        folder: Where to; made if it does not exist. What an earlier export wrote there is replaced, and nothing else.
        name: The service's name.
        count: How many rows to train on; see :func:`curriculum_rows`.
        max_turns: How many answers an episode may have.
        eval_share: The share of the problems to evaluate on; see :func:`.splits.split_problems`.
        eval_bins: As in :func:`write_dataset`.
        seed: Shuffles the families of problems for that.
        relatives: As in :func:`.splits.split_problems`.

    Returns:
        How many rows each dataset has, by its path.

    Raises:
        ConfigError: Nothing is left to hand out or to evaluate on, or a setting cannot be used.
        RunError: As in :func:`write_dataset`.
    """
    bins, split = _bins(eval_bins), Split(records, eval_share, seed, relatives)
    split.check("there is nothing to write: no problem was left for the service to hand out")
    names = [_TRAIN, "served.jsonl", "held_out.jsonl", *[_EVAL] * split.holds_out]
    with dataset_folder(folder, names) as scratch:
        rows = write_rows(curriculum_rows(name, count, max_turns=max_turns), scratch / _TRAIN)
        for beside, held_out in (("served.jsonl", False), ("held_out.jsonl", True)):
            save_records(scratch / beside, split.side(held_out=held_out))
        return {str(Path(folder) / _TRAIN): rows} | _evaluate(split, scratch, folder, bins, max_turns=max_turns)


def _is_at(records: Iterable[Problem | Chain], path: Path) -> bool:
    return isinstance(records, Stored) and records.path.resolve() == path.resolve()


def _bins(name: str | Path | None) -> Bins | None:
    return load_bins(name) if name is not None else None


def _evaluate(split: Split, scratch: Path, folder: str | Path, bins: Bins | None, **more: Any) -> dict[str, int]:
    if not split.holds_out:
        return {}
    rows = problem_rows(split.side(held_out=True), bins=bins, **more)
    return {str(Path(folder) / _EVAL): write_rows(rows, scratch / _EVAL)}
