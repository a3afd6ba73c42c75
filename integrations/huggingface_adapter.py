"""Hugging Face datasets: problems out, problems back in, exactly.

One row for each problem: flat columns for people and trainers, and the record itself as JSON in
``record``. ``gymnasium.make(..., problems=dataset)`` takes such a dataset as it is.
"""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from code_envs.errors import ConfigError, MissingExtra, ProblemError, RunError, UnknownName
from code_envs.modes import prompt, rules
from code_envs.problem import Chain, Mode, Problem

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = [
    "COLUMNS",
    "FORMATS",
    "dataset_card",
    "from_dataset",
    "push",
    "split_problems",
    "to_dataset",
    "to_rows",
    "write",
]

FORMATS = ("jsonl", "parquet", "hf")
COLUMNS = {
    "key": "string",
    "mode": "string",
    "prompt": "string",
    "answer": "string",
    "message": "string",
    "level": "int64",
    "chain": "string",
    "parent": "string",
    "turn": "int64",
    "direction": "string",
    "change": "string",
    "teacher": "string",
    "origin": "string",
    "licence": "string",
    "student": "string",
    "attempts": "int64",
    "passes": "int64",
    "pass_rate": "float64",
    "record": "string",
}
"""The columns and their types. ``pass_rate`` is null where nothing was measured."""


def to_rows(records: Iterable[Problem | Chain]) -> list[dict[str, Any]]:
    """Flatten problems into rows; a chain stands for its problems.

    Returns:
        One row for each distinct problem, with the columns of ``COLUMNS`` in their order.
    """
    return [_row(problem) for problem in _problems(records)]


def _problems(records: Iterable[Problem | Chain]) -> list[Problem]:
    found: dict[str, Problem] = {}
    for record in records:
        for problem in record.problems if isinstance(record, Chain) else (record,):
            found.setdefault(problem.key, problem)
    return list(found.values())


def _row(problem: Problem) -> dict[str, Any]:
    lineage = problem.lineage
    report = problem.measurements[-1] if problem.measurements else None
    row = {
        "key": problem.key,
        "mode": str(problem.mode),
        "prompt": prompt(problem).text,
        "answer": rules(problem.mode).gold(problem),
        "message": problem.message,
        "student": report.student if report else "",
        "attempts": report.attempts if report else 0,
        "passes": report.passes if report else 0,
        "pass_rate": report.rate if report and not math.isnan(report.rate) else None,
        "record": problem.to_json(),
    }
    row |= {name: getattr(lineage, name) for name in COLUMNS if name not in row and name != "direction"}
    row["direction"] = str(lineage.direction)
    return {name: row[name] for name in COLUMNS}


def to_dataset(records: Iterable[Problem | Chain]) -> Dataset:
    """Make a dataset of problems; a chain stands for its problems.

    Raises:
        MissingExtra: datasets is not installed.
    """
    return _as_dataset(to_rows(records))


def _as_dataset(rows: Sequence[Mapping[str, Any]]) -> Dataset:
    try:
        from datasets import Dataset, Features, Value
    except ImportError as error:
        raise MissingExtra("datasets", "hf") from error
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    return Dataset.from_dict(columns, features=Features({name: Value(kind) for name, kind in COLUMNS.items()}))


def from_dataset(dataset: Iterable[Mapping[str, Any]]) -> list[Problem]:
    """Read the problems back, exactly as they were.

    Args:
        dataset: A dataset, or any rows with a column ``record``.

    Raises:
        ProblemError: A row holds no valid record; says which.
    """
    problems = []
    for number, row in enumerate(dataset):
        if "record" not in row:
            raise ProblemError(f"row {number} has no column 'record'; it is not from an export of problems")
        try:
            problems.append(Problem.from_json(row["record"]))
        except ProblemError as error:
            raise ProblemError(f"row {number}: {error}") from error
    return problems


def split_problems(
    records: Iterable[Problem | Chain], eval_share: float, seed: int = 0, relatives: Iterable[Chain] = ()
) -> tuple[list[Problem], list[Problem]]:
    """Split problems into some to train on and some to evaluate on.

    Siblings never part: problems of one chain, and of chains that share a problem, land on the
    same side.

    Args:
        records: Problems or chains.
        eval_share: The share to evaluate on, in [0, 1); families are taken until it is reached.
        seed: Shuffles the families.
        relatives: Chains that problems which were left out belong to; they join families, too.

    Returns:
        The problems to train on and those to evaluate on, each in their order.

    Raises:
        ConfigError: The share is out of range.
    """
    if not 0 <= eval_share < 1:
        raise ConfigError(f"eval_share is {eval_share}; it must be at least 0 and below 1")
    records = list(records)
    problems, family = _problems(records), _families([*records, *relatives])
    sizes = Counter(family[problem.key] for problem in problems)
    order = np.random.default_rng([seed]).permutation(len(sizes))
    chosen: set[str] = set()
    missing = round(eval_share * len(problems))
    for name in (list(sizes)[place] for place in order):
        if sizes[name] <= missing:
            chosen.add(name)
            missing -= sizes[name]
    train = [problem for problem in problems if family[problem.key] not in chosen]
    return train, [problem for problem in problems if family[problem.key] in chosen]


def _families(records: Iterable[Problem | Chain]) -> dict[str, str]:
    """For each key the name of its family: what is joined by a chain, a parent or a shared problem."""
    above: dict[str, str] = {}

    def top(name: str) -> str:
        while (next_one := above.setdefault(name, name)) != name:
            above[name] = above[next_one]  # halve the path
            name = above[name]
        return name

    keys = []
    for record in records:
        for problem in record.problems if isinstance(record, Chain) else (record,):
            keys.append(problem.key)
            relatives = (f"chain {problem.lineage.chain}" if problem.lineage.chain else "", problem.lineage.parent)
            for relative in filter(None, relatives):
                above[top(relative)] = top(problem.key)
    return {key: top(key) for key in keys}


def write(
    records: Iterable[Problem | Chain],
    folder: str | Path,
    kind: str = "jsonl",
    *,
    eval_share: float = 0.0,
    seed: int = 0,
    relatives: Iterable[Chain] = (),
    about: str = "",
) -> list[Path]:
    """Write a dataset folder that ``datasets.load_dataset`` (``load_from_disk`` for ``hf``) reads.

    Args:
        records: Problems or chains.
        folder: Where to; made if it does not exist. A file in it of the same name is replaced.
        kind: ``jsonl``, ``parquet`` or ``hf``, the library's own folders.
        eval_share: The share that goes into a second split, ``eval``; see :func:`split_problems`.
        seed: Shuffles the families of problems for that.
        relatives: As in :func:`split_problems`.
        about: Markdown for the card, such as :func:`code_envs.report.card.describe_run` writes.

    Returns:
        What was written, the card last.

    Raises:
        UnknownName: There is no such format.
        ConfigError: There is nothing to write, or the share is out of range.
        MissingExtra: datasets is not installed, and the format needs it.
    """
    if kind not in FORMATS:
        raise UnknownName("format", kind, FORMATS)
    train, held_out = split_problems(records, eval_share, seed, relatives)
    splits = {"train": train, "eval": held_out} if eval_share else {"train": train}
    if not train:
        raise ConfigError("there is no problem to export: the run kept none")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in {"train", "eval"} - splits.keys():  # an earlier export's split would hold siblings of this one's
        (folder / name).with_suffix(".jsonl").unlink(missing_ok=True)
        (folder / name).with_suffix(".parquet").unlink(missing_ok=True)
        shutil.rmtree(folder / name, ignore_errors=True)
    paths = [_write_split(to_rows(problems), folder / name, kind) for name, problems in splits.items()]
    card = folder / "README.md"
    card.write_text(dataset_card(splits, kind, about), encoding="utf-8")
    return [*paths, card]


def push(folder: str | Path, paths: Iterable[Path], repository: str, *, private: bool = False) -> str:
    """Upload a dataset folder to the Hugging Face hub, or to the server that ``HF_ENDPOINT`` names.

    The token is the one of ``hf auth login``, or ``HF_TOKEN``.

    Args:
        folder: The folder that :func:`write` wrote.
        paths: What it wrote, as ``jsonl`` or ``parquet``; nothing else is uploaded.
        repository: The dataset, such as ``someone/problems``; made if it does not exist.
        private: Make it private.

    Returns:
        Where it is.

    Raises:
        MissingExtra: huggingface_hub is not installed.
        RunError: The server does not take it.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError
    except ImportError as error:
        raise MissingExtra("huggingface_hub", "hf") from error
    names = [path.relative_to(folder).as_posix() for path in paths]
    api = HfApi()
    try:
        where = api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, repo_type="dataset", folder_path=folder, allow_patterns=names)
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError) as error:
        raise RunError(f"{repository} cannot be pushed: {' '.join(str(error).split())}") from error
    return str(where)


def _write_split(rows: Sequence[Mapping[str, Any]], path: Path, kind: str) -> Path:
    if kind == "jsonl":
        path = path.with_suffix(".jsonl")
        path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    elif kind == "parquet":
        path = path.with_suffix(".parquet")
        _as_dataset(rows).to_parquet(path)
    else:
        _as_dataset(rows).save_to_disk(path)
    return path


def dataset_card(splits: Mapping[str, Sequence[Problem]], kind: str = "jsonl", about: str = "") -> str:
    """Write the card of a dataset: what is in it, where it comes from and under which licences.

    Args:
        splits: The problems of each split.
        kind: In which format they are written; the card tells the hub where the files are.
        about: Markdown that says how they were made.
    """
    problems = [problem for split in splits.values() for problem in split]
    licences = sorted({problem.lineage.licence for problem in problems if problem.lineage.licence})
    parts = [
        "---",
        "tags: [code, reinforcement-learning, synthetic, code-envs]",
        *(["configs:", "- config_name: default", "  data_files:"] if kind != "hf" else []),
        *([f"  - {{split: {name}, path: {name}.{kind}}}" for name in splits] if kind != "hf" else []),
        "---",
        "",
        "# Verifiable code problems",
        "",
        f"{len(problems)} problems made with code-envs. Each row is one problem: `prompt` is what a student "
        "sees, `answer` one that passes, `record` the whole problem as JSON, which code-envs grades replies with.",
        "",
        _markdown("split", {name: len(split) for name, split in splits.items()}),
        _markdown("mode", Counter({mode: sum(p.mode == mode for p in problems) for mode in Mode})),
        _markdown("teacher", Counter(problem.lineage.teacher or "unknown" for problem in problems)),
        _markdown("licence", Counter(problem.lineage.licence or "made up, no source" for problem in problems)),
        _markdown("source", Counter(_source(problem) for problem in problems)),
        "Siblings, the problems of one chain, are all in the same split.",
        f"Programs under {', '.join(licences)} keep the licence of their source." if licences else "",
        *(["", about] if about else []),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _source(problem: Problem) -> str:
    """The tree or file that a problem's code comes from, without its lines."""
    return problem.lineage.origin.split(":")[0] or "made up by the teacher"


def _markdown(heading: str, counts: Mapping[str, int]) -> str:
    rows = "".join(
        f"| {name} | {count} |\n" for name, count in sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    )
    return f"| {heading} | problems |\n|---|---:|\n{rows}"
