"""Hugging Face datasets: problems out, problems back in, exactly.

One row for each problem: flat columns for people and trainers, and the record itself as JSON in
``record``. ``gymnasium.make(..., problems=dataset)`` takes such a dataset as it is.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from code_envs.errors import MissingExtra, ProblemError, RunError, UnknownName
from code_envs.integrations.dataset_folder import dataset_folder
from code_envs.integrations.splits import Split, split_problems
from code_envs.modes import prompt, rules
from code_envs.problem import Chain, Mode, Problem
from code_envs.report.markdown import in_markdown

if TYPE_CHECKING:
    from datasets import Dataset, Features

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
_CARD = "README.md"
_ROWS = 1000  # as datasets itself, whose files differ with it
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
    "when": "string",
    "record": "string",
}
"""The columns and their types. ``pass_rate`` is null where nothing was measured."""


def to_rows(records: Iterable[Problem | Chain]) -> list[dict[str, Any]]:
    """Flatten problems into rows; a chain stands for its problems.

    Returns:
        One row for each distinct problem, with the columns of ``COLUMNS`` in their order.
    """
    return [_row(problem) for problem, _ in Split(records, 0)]


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
        "when": report.when if report else "",
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
    features = _features()
    from datasets import Dataset

    return Dataset.from_dict({name: [row[name] for row in rows] for name in COLUMNS}, features=features)


def _features() -> Features:
    try:
        from datasets import Features, Value
    except ImportError as error:
        raise MissingExtra("datasets", "hf") from error
    return Features({name: Value(kind) for name, kind in COLUMNS.items()})


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
        records: Problems or chains. Of those that are read from a file (:class:`code_envs.stored.Stored`)
            only hashes are held.
        folder: Where to; made if it does not exist. What an earlier export wrote there is replaced, and nothing else.
        kind: ``jsonl``, ``parquet`` or ``hf``, the library's own folders.
        eval_share: The share that goes into a second split, ``eval``; see :func:`split_problems`.
        seed: Shuffles the families of problems for that.
        relatives: As in :func:`split_problems`.
        about: Markdown for the card, such as :func:`code_envs.report.card.describe_run` writes.

    Returns:
        What was written, the card last.

    Raises:
        UnknownName: There is no such format.
        ConfigError: There is nothing to write, the share is out of range, or it leaves a split empty.
        MissingExtra: datasets is not installed, and the format needs it.
        RunError: The folder holds a file of the same name that no export has written, or cannot be written to.
    """
    if kind not in FORMATS:
        raise UnknownName("format", kind, FORMATS)
    if kind != "jsonl":
        _features()
    split = Split(records, eval_share, seed, relatives)
    split.check("there is no problem to export: the run kept none")
    splits, contents = ("train", "eval") if eval_share else ("train",), _Contents()
    names = [name if kind == "hf" else f"{name}.{kind}" for name in splits]
    with dataset_folder(folder, [*names, _CARD]) as scratch:
        with ExitStack() as stack:
            writers = [stack.enter_context(_writing(scratch / name, kind)) for name in names]
            for problem, held_out in split:
                writers[held_out](_row(problem))
                contents.add(splits[held_out], problem)
        (scratch / _CARD).write_text(contents.card(splits, kind, about), encoding="utf-8")
    return [Path(folder) / name for name in (*names, _CARD)]


@contextmanager
def _writing(path: Path, kind: str) -> Iterator[Callable[[Mapping[str, Any]], object]]:
    """What writes a row of a split."""
    if kind == "jsonl":
        with path.open("wb") as file:
            yield lambda row: file.write(msgspec.json.encode(row) + b"\n")
        return
    from datasets import Dataset
    from datasets.arrow_writer import ArrowWriter

    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        arrow = str(Path(scratch) / "rows.arrow")
        with ArrowWriter(features=_features(), path=arrow, writer_batch_size=_ROWS) as writer:

            def write(row: Mapping[str, Any]) -> None:
                digest.update(msgspec.json.encode(row))
                writer.write(dict(row))

            yield write
            writer.finalize()
        # its own fingerprint would be that of a file's name and time
        dataset = Dataset(Dataset.from_file(arrow).data, fingerprint=digest.hexdigest()[:16])
        if kind == "parquet":
            dataset.to_parquet(path)
        else:
            dataset.save_to_disk(path)


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


def dataset_card(splits: Mapping[str, Iterable[Problem]], kind: str = "jsonl", about: str = "") -> str:
    """Write the card of a dataset: what is in it, where it comes from and under which licences.

    Args:
        splits: The problems of each split.
        kind: In which format they are written; the card tells the hub where the files are.
        about: Markdown that says how they were made.
    """
    contents = _Contents()
    for name, problems in splits.items():
        for problem in problems:
            contents.add(name, problem)
    return contents.card(list(splits), kind, about)


class _Contents:
    """What a dataset holds, counted for its card."""

    def __init__(self) -> None:
        self._splits: Counter[str] = Counter()
        self._modes = Counter(dict.fromkeys(map(str, Mode), 0))
        self._teachers: Counter[str] = Counter()
        self._licences: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()

    def add(self, split: str, problem: Problem) -> None:
        self._splits[split] += 1
        self._modes[str(problem.mode)] += 1
        self._teachers[problem.lineage.teacher or "unknown"] += 1
        self._licences[problem.lineage.licence] += 1
        self._sources[_source(problem)] += 1

    def card(self, splits: Sequence[str], kind: str, about: str) -> str:
        licences = sorted(filter(None, self._licences))
        named = {licence or "made up, no source": count for licence, count in self._licences.items()}
        parts = [
            "---",
            "tags: [code, reinforcement-learning, synthetic, code-envs]",
            *(["configs:", "- config_name: default", "  data_files:"] if kind != "hf" else []),
            *([f"  - {{split: {name}, path: {name}.{kind}}}" for name in splits] if kind != "hf" else []),
            "---",
            "",
            "# Verifiable code problems",
            "",
            f"{self._splits.total()} problems made with code-envs. Each row is one problem: `prompt` is what a student "
            "sees, `answer` one that passes, `record` the whole problem as JSON, which code-envs grades replies with.",
            "",
            _markdown("split", {name: self._splits[name] for name in splits}),
            _markdown("mode", self._modes),
            _markdown("teacher", self._teachers),
            _markdown("licence", named),
            _markdown("source", self._sources),
            "Siblings, the problems of one chain, are all in the same split.",
            in_markdown(f"Programs under {', '.join(licences)} keep the licence of their source.") if licences else "",
            *(["", about] if about else []),
        ]
        return "\n".join(parts).rstrip() + "\n"


def _source(problem: Problem) -> str:
    """The tree or file that a problem's code comes from, without its lines."""
    return problem.lineage.origin.split(":")[0] or "made up by the teacher"


def _markdown(heading: str, counts: Mapping[str, int]) -> str:
    rows = "".join(
        f"| {in_markdown(name)} | {count} |\n"
        for name, count in sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    )
    return f"| {heading} | problems |\n|---|---:|\n{rows}"
