"""The folder of a dataset: the files of an export come into it together, and nothing that is somebody else's goes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from code_envs.errors import RunError
from code_envs.folders import held, replace_file

__all__ = ["dataset_folder"]

_MARK = ".exported"  # lists what exports have written into the folder
_SCRATCH = ".exporting"
_SPLITS = ("train", "eval")


@contextmanager
def dataset_folder(folder: str | Path, names: Collection[str]) -> Iterator[Path]:
    """Hand out a folder to write an export into; when this ends its files take their places together.

    They replace what an earlier export has written. Its other splits go, since they would hold siblings of the
    new ones. If anything fails, what was there is as it was.

    Args:
        folder: Where to; made if it does not exist.
        names: What may be written: files, or folders.

    Raises:
        RunError: One of them is there already and no export has written it, another process exports into the
            folder, or it cannot be written to.
    """
    folder = Path(folder)
    try:
        _known(folder, names)  # a folder that is refused gets no lock
        with held(folder):
            known, scratch = _known(folder, names), folder / _SCRATCH
            _remove(scratch)  # of an export that was killed
            scratch.mkdir()
            try:
                yield scratch
                _take_places(scratch, folder, known)
            finally:
                _remove(scratch)
    except OSError as error:
        raise RunError(f"the dataset cannot be written to {folder}: {error}. See that the disk has room.") from error


def _known(folder: Path, names: Collection[str]) -> set[str]:
    """What exports have written; nothing else may be in the way."""
    mark = folder / _MARK
    known = set(mark.read_text(encoding="utf-8").splitlines()) if mark.exists() else set()
    others = [name for name in names if name not in known and os.path.lexists(folder / name)]
    if others:
        raise RunError(
            f"{folder} holds {', '.join(others)}, which no export has written. Give an empty or a new folder."
        )
    return known


def _take_places(scratch: Path, folder: Path, known: set[str]) -> None:
    made = {path.name for path in scratch.iterdir()}
    replace_file(folder / _MARK, "".join(f"{name}\n" for name in sorted(known | made)))
    for name in known:
        if name.partition(".")[0] in _SPLITS and name not in made:
            _remove(folder / name)
    for name in made:
        if (folder / name).is_dir():
            _remove(folder / name)
        (scratch / name).replace(folder / name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
