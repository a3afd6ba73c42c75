"""Measuring an existing set of problems again, with the model that will be trained; can be killed and resumed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from code_envs.errors import ProblemError, RunError
from code_envs.executor import Executor
from code_envs.folders import cut_torn_line, locked
from code_envs.generation.runs import in_order
from code_envs.measure import ATTEMPTS, measure
from code_envs.problem import Problem, load_problems
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
) -> list[Problem]:
    """Add a measurement to each problem, and write them line by line.

    Args:
        problems: What to measure; their earlier measurements stay.
        student: Who attempts them.
        path: The file of JSON lines to write.
        executor: Grades the replies; the shared one if None.
        attempts: Attempts at each problem, at most.
        seed: The attempts at problem ``i`` depend on the seed and ``i`` alone.
        bands: Where measuring may stop early, see :func:`code_envs.measure.measure`.
        resume: Go on with a file that is there.
        at_once: Problems under way at a time; 1 for a student that is not safe in threads.
        on_problem: Called with every problem, those of the resumed file first.

    Returns:
        All problems with their new measurement, in order.

    Raises:
        RunError: The file is there and is not to be resumed, holds something else, or is in use.
        ModelError: The student's model cannot be used; resume when it can.
    """
    path = Path(path)
    if path.exists() and not resume:
        raise RunError(f"{path} is already there. Add --resume to go on with it, or give another file.")

    def one(index: int) -> Problem:
        own = int(np.random.default_rng([seed, index]).integers(1 << 32))
        report = measure(problems[index], student, executor, attempts, own, bands=bands)
        stamped = report.but(when=datetime.now(UTC).isoformat(timespec="seconds"))
        return problems[index].but(measurements=(*problems[index].measurements, stamped))

    with locked(path.with_name(path.name + ".lock"), path):
        done = _recover(path, problems, student.name) if path.exists() else []
        tell = on_problem or (lambda _: None)
        for problem in done:
            tell(problem)
        with path.open("ab") as file, ThreadPoolExecutor(at_once, thread_name_prefix="code-envs-measure") as threads:
            for problem in in_order(threads, one, range(len(done), len(problems)), 2 * at_once):
                file.write(problem.to_json().encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
                done.append(problem)
                tell(problem)
    return done


def _recover(path: Path, problems: Sequence[Problem], student: str) -> list[Problem]:
    cut_torn_line(path)
    try:
        done = list(load_problems(path))
    except ProblemError as error:
        raise RunError(f"{error}. The file was changed; give another one.") from error
    if [problem.key for problem in done] != [problem.key for problem in problems[: len(done)]]:
        raise RunError(f"{path} holds other problems. Give another file.")
    if any(not problem.measurements or problem.measurements[-1].student != student for problem in done):
        raise RunError(f"{path} was measured with another student than {student}. Give another file.")
    return done
