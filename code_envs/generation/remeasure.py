"""Measuring an existing set of problems again, with the model that will be trained; can be killed and resumed."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from code_envs.errors import ProblemError, RunError
from code_envs.executor import Executor
from code_envs.folders import check_begun, cut_torn_line, locked, now, read_toml, replace_file, to_toml
from code_envs.generation.config import CONFIG
from code_envs.generation.runs import in_order
from code_envs.measure import ATTEMPTS, measure
from code_envs.problem import Problem
from code_envs.stored import Stored, read_records
from code_envs.students import Student

__all__ = ["remeasure"]


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
        path: The file of JSON lines to write.
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
            what is to be measured, or is in use.
        ModelError: The student's model cannot be used; resume when it can.
    """
    path = Path(path)
    if isinstance(problems, Stored) and problems.path.resolve() == path.resolve():
        raise RunError(f"{path} holds what is to be measured. Give another file for the measurements.")
    if path.exists() and not resume:
        raise RunError(f"{path} is already there. Add --resume to go on with it, or give another file.")

    def one(index: int) -> Problem:
        own, problem = int(np.random.default_rng([seed, index]).integers(1 << 32)), problems[index]
        report = measure(problem, student, executor, attempts, own, bands=bands)
        return problem.but(measurements=(*problem.measurements, report.but(when=now())))

    tell, starts = on_problem or (lambda _: None), array("q")
    settings = {"student": student.name, "attempts": attempts, "seed": seed, "bands": [list(band) for band in bands]}
    with locked(path.with_name(path.name + ".lock"), path):
        _settle(path, settings)
        for start, problem in _recover(path, problems, student.name) if path.exists() else ():
            starts.append(start)
            tell(problem)
        with path.open("ab") as file, ThreadPoolExecutor(at_once, thread_name_prefix="code-envs-measure") as threads:
            for problem in in_order(threads, one, range(len(starts), len(problems)), 2 * at_once):
                starts.append(file.tell())
                file.write(problem.to_json().encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
                tell(problem)
    return Stored(path, Problem, starts)


def _settle(path: Path, settings: dict[str, Any]) -> None:
    """Write the settings beside a new file, or compare those of one that is there."""
    beside = path.with_name(f"{path.name}.{CONFIG}")
    if path.exists() and beside.exists():  # a file of an earlier version has none
        check_begun(path, settings | read_toml(beside), settings, "file")
    replace_file(beside, to_toml(settings))


def _recover(path: Path, problems: Sequence[Problem], student: str) -> Iterator[tuple[int, Problem]]:
    """What is there already, each problem with its place in the file."""
    cut_torn_line(path)
    wanted = iter(problems)
    try:
        for start, problem in read_records(path, Problem):
            one = next(wanted, None)
            if one is None or problem.key != one.key:
                raise RunError(f"{path} holds other problems. Give another file.")
            if not problem.measurements or problem.measurements[-1].student != student:
                raise RunError(f"{path} was measured with another student than {student}. Give another file.")
            yield start, problem
    except ProblemError as error:
        raise RunError(f"{error}. The file was changed; give another one.") from error
