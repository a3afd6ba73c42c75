"""Measuring an existing set of problems again, with the model that will be trained; can be killed and resumed."""

from __future__ import annotations

import os
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from code_envs.errors import ProblemError, RunError
from code_envs.executor import Executor
from code_envs.folders import (
    check_begun,
    cut_torn_line,
    end_of_lines,
    locked,
    now,
    read_toml,
    replace_file,
    to_toml,
)
from code_envs.generation.config import CONFIG
from code_envs.generation.runs import in_order
from code_envs.measure import ATTEMPTS, measure
from code_envs.problem import Problem
from code_envs.stored import Stored, read_records
from code_envs.students import Student

__all__ = ["check_file", "remeasure"]


def remeasure(
    problems: Sequence[Problem],
    student: Student,
    path: str | Path,
    *,
    executor: Executor | None = None,
    attempts: int = ATTEMPTS,
    seed: int = 0,
    bands: Sequence[tuple[float, float]] = (),
    resume: bool = False,
    at_once: int = 4,
    on_problem: Callable[[Problem], None] | None = None,
) -> Sequence[Problem]:
    """Add a measurement to each problem, and write them line by line.

    Args:
        problems: What to measure, such as :func:`code_envs.problem.stored_problems`; their earlier measurements stay.
        student: Who attempts them.
        path: The file of JSON lines to write; its folder is made if it does not exist.
        executor: Grades the replies; the shared one if None.
        attempts: Attempts at each problem, at most.
        seed: The attempts at problem ``i`` depend on the seed and ``i`` alone.
        bands: Where measuring may stop early, see :func:`code_envs.measure.measure`.
        resume: Go on with a file that is there.
        at_once: Problems under way at a time; 1 for a student that is not safe in threads.
        on_problem: Called with every problem, those of the resumed file first, as they are read.

    Returns:
        All problems with their new measurement, in order, read from the file whenever they are asked for.

    Raises:
        RunError: The file is there and is not to be resumed, was begun with other settings, holds something else, is
            what is to be measured, or is in use. It stays as it is.
        ModelError: The student's model cannot be used; resume when it can.
    """
    path = Path(path)
    check_file(problems, student.name, path, attempts=attempts, seed=seed, bands=bands, resume=resume)

    def one(index: int) -> Problem:
        own, problem = int(np.random.default_rng([seed, index]).integers(1 << 32)), problems[index]
        report = measure(problem, student, executor, attempts, own, bands=bands)
        return problem.but(measurements=(*problem.measurements, report.but(when=now())))

    tell, starts = on_problem or (lambda _: None), array("q")
    settings = _settings(student.name, attempts, seed, bands)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(path.name + ".lock"), path):
        if path.exists():
            for start, problem in _found(path, problems, settings):
                starts.append(start)
                tell(problem)
            cut_torn_line(path)
        replace_file(_beside(path), to_toml(settings))
        with path.open("ab") as file, ThreadPoolExecutor(at_once, thread_name_prefix="code-envs-measure") as threads:
            for problem in in_order(threads, one, range(len(starts), len(problems)), 2 * at_once):
                starts.append(file.tell())
                file.write(problem.to_json().encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
                tell(problem)
    return Stored(path, Problem, starts)


def check_file(
    problems: Sequence[Problem],
    student: str,
    path: str | Path,
    *,
    attempts: int = ATTEMPTS,
    seed: int = 0,
    bands: Sequence[tuple[float, float]] = (),
    resume: bool = False,
) -> None:
    """Refuse a file that :func:`remeasure` would, before a model is loaded or anything is written beside the file.

    Args:
        problems: What to measure.
        student: The name of who attempts them.
        path: The file of JSON lines to write.
        attempts: Attempts at each problem, at most.
        seed: The seed.
        bands: Where measuring may stop early.
        resume: Go on with a file that is there.

    Raises:
        RunError: As :func:`remeasure`, but for a file that is in use.
    """
    path = Path(path)
    if isinstance(problems, Stored) and problems.path.resolve() == path.resolve():
        raise RunError(f"{path} holds what is to be measured. Give another file for the measurements.")
    if path.is_dir():
        raise RunError(f"{path} is a folder. Give a file for the measurements.")
    if path.exists() and not resume:
        raise RunError(f"{path} is already there. Add --resume to go on with it, or give another file.")
    if path.exists():
        settings = _settings(student, attempts, seed, bands)
        _check_settings(path, settings)
        if not _beside(path).exists():  # it may be anybody's: nothing but what it holds says that it is not
            deque(_found(path, problems, settings), maxlen=0)


def _settings(student: str, attempts: int, seed: int, bands: Sequence[tuple[float, float]]) -> dict[str, Any]:
    return {"student": student, "attempts": attempts, "seed": seed, "bands": [list(band) for band in bands]}


def _beside(path: Path) -> Path:
    """The file of settings beside a file of measurements."""
    return path.with_name(f"{path.name}.{CONFIG}")


def _check_settings(path: Path, settings: dict[str, Any]) -> None:
    beside = _beside(path)
    if beside.exists():  # a file of an earlier version has none
        check_begun(path, settings | read_toml(beside), settings, "file")


def _found(path: Path, problems: Sequence[Problem], settings: dict[str, Any]) -> Iterator[tuple[int, Problem]]:
    """What is there already, each problem with its place in the file, but for a last line without its end."""
    _check_settings(path, settings)
    end, wanted, count, student = end_of_lines(path), iter(problems), 0, settings["student"]
    try:
        for start, problem in read_records(path, Problem, end):
            one = next(wanted, None)
            if one is None or problem.key != one.key:
                raise RunError(f"{path} holds other problems. Give another file.")
            if not problem.measurements or problem.measurements[-1].student != student:
                raise RunError(f"{path} was measured with another student than {student}. Give another file.")
            count += 1
            yield start, problem
    except ProblemError as error:
        raise RunError(f"{error}. The file was changed; give another one.") from error
    torn = path.stat().st_size > end
    if torn and not count and not _beside(path).exists():
        raise RunError(f"{path} holds no measurements. Give another file.")
    if torn and next(wanted, None) is None:
        raise RunError(f"{path} holds more than the problems. Give another file.")
