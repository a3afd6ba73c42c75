"""What a chain costs: taken from a pilot run, or assumed and measured with the embedded teacher; see :mod:`.plan`."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from code_envs.errors import RunError
from code_envs.executor import Executor
from code_envs.generation import CHAINS, load_config
from code_envs.models import RESPONSES, usage_of
from code_envs.modes import grade_batch, prompt, validate
from code_envs.problem import PROBLEMS, Attempt, Mode, Problem, load_chains, wilson_interval
from code_envs.report.numbers import measured
from code_envs.students import make_student
from code_envs.teacher import make_teacher

__all__ = ["Cost", "Yield", "measure_cpu", "read_cost", "read_yield"]

_TICKS = os.sysconf("SC_CLK_TCK")


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one chain costs. The defaults are round numbers for a reasoning model in the role of both.

    Attributes:
        teacher_calls: Replies of the teacher.
        teacher_read: Tokens that the teacher reads, over all drafts.
        teacher_written: Tokens that it writes, thinking included.
        student_calls: Replies of the student.
        student_read: Tokens that the student reads, over all attempts.
        student_written: Tokens that it writes.
        cpu_seconds: CPU seconds to validate drafts and grade attempts.
        chain_bytes: Bytes of the chain in ``chains.jsonl``.
        reply_bytes: Bytes of its replies in ``responses.sqlite``.
        seconds: How long a chain takes from its first request to its last reply.
        handed_on: Problems of it that the filters leave in ``problems.jsonl``.
    """

    teacher_calls: float = 6 * 1.5
    teacher_read: float = 6 * 1.5 * 2500
    teacher_written: float = 6 * 1.5 * 6000
    student_calls: float = 6 * 32
    student_read: float = 6 * 32 * 600
    student_written: float = 6 * 32 * 1000
    cpu_seconds: float = 6.0
    chain_bytes: float = 60_000
    reply_bytes: float = 1_000_000
    seconds: float = 900.0
    handed_on: float = 6.0

    @property
    def replies(self) -> float:
        """Replies of both."""
        return self.teacher_calls + self.student_calls


class Yield(msgspec.Struct, frozen=True, kw_only=True):
    """What the chains of a run came to.

    Attributes:
        chains: Chains that were made.
        empty: Those without a problem.
        drafts: Replies of teachers that are models.
        valid: Those that became problems.
        problems: Problems in the chains.
        attempts: Attempts at them.
        handed_on: Problems that the filters left.
    """

    chains: int
    empty: int
    drafts: int
    valid: int
    problems: int
    attempts: int
    handed_on: int

    @property
    def valid_interval(self) -> tuple[float, float]:
        """The 95 % interval of the share of drafts that became problems."""
        return wilson_interval(self.valid, self.drafts)


def read_yield(folder: Path) -> Yield:
    """Count what the chains of a finished run came to.

    Raises:
        RunError: The folder holds no run, one without chains, or one that is not finished.
    """
    load_config(folder)
    if not (folder / PROBLEMS).exists():
        raise RunError(f"the run in {folder} is not finished: go on with --resume, then plan.")
    counts = dict.fromkeys(("chains", "empty", "drafts", "valid", "problems", "attempts"), 0)
    for chain in load_chains(folder / CHAINS):
        counts["chains"] += 1
        counts["empty"] += not chain.problems
        counts["drafts"] += len(chain.drafts)
        counts["valid"] += sum(bool(draft.key) for draft in chain.drafts)
        counts["problems"] += len(chain.problems)
        counts["attempts"] += sum(report.attempts for _, report in measured(chain.problems))
    with (folder / PROBLEMS).open("rb") as lines:
        return Yield(**counts, handed_on=sum(1 for _ in lines))


def read_cost(folder: Path, seconds: float | None = None, samples: int = 48) -> tuple[Cost, Yield]:
    """Measure what the chains of a finished run with models have cost.

    Tokens, replies, bytes and yields are the run's. CPU seconds are measured here, with its own problems
    and the attempts at them that it shows: each draft counts as the validation of a problem. How long a
    chain takes follows from the replies' times: drafts come one after the other, attempts at a problem together.

    Args:
        folder: The run.
        seconds: How long a chain takes; from the replies' times if None.
        samples: Problems to measure CPU seconds with, evenly spaced over the run.

    Returns:
        The costs of a mean chain, and what the chains came to.

    Raises:
        RunError: The folder holds no finished run, or no model took part in it.
    """
    found = read_yield(folder)
    usage = {role: [row for row in usage_of(folder / RESPONSES) if row.role == role] for role in ("teacher", "student")}
    if not any(usage.values()):
        raise RunError(f"no model was asked in the run in {folder}: nothing follows for GPUs.")
    models = {
        f"{role}_{kind}": sum(getattr(row, name) for row in rows) / found.chains
        for role, rows in usage.items()
        for kind, name in (("calls", "calls"), ("read", "prompt_tokens"), ("written", "completion_tokens"))
    }
    validating, grading = _run_cpu(folder, found, samples)
    drafts = max(found.drafts, found.problems)  # embedded teachers keep no drafts
    cost = Cost(
        **models,
        cpu_seconds=(drafts * validating + found.attempts * grading) / found.chains,
        chain_bytes=(folder / CHAINS).stat().st_size / found.chains,
        reply_bytes=sum(path.stat().st_size for path in folder.glob(f"{RESPONSES}*")) / found.chains,
        seconds=_chain_seconds(folder, found) if seconds is None else seconds,
        handed_on=found.handed_on / found.chains,
    )
    return cost, found


def _chain_seconds(folder: Path, found: Yield) -> float:
    """The seconds of a mean chain: its drafts, and for each problem the slowest of its attempts.

    The slowest of M is that of M draws from all attempts of the run; with ``--stop-early`` they come in eights.
    """
    file = sqlite3.connect(folder / RESPONSES)
    try:
        query = "SELECT seconds FROM responses WHERE role = ?"
        drafts, attempts = (np.array(file.execute(query, (role,)).fetchall()) for role in ("teacher", "student"))
    finally:
        file.close()
    each = found.attempts / max(1, found.problems)
    together = max(1.0, min(8.0, each) if load_config(folder).bands else each)
    steps = np.linspace(0, 1, len(attempts) + 1) ** together
    slowest = float(np.sort(attempts.ravel()) @ np.diff(steps))
    return (float(drafts.sum()) + found.attempts / together * slowest) / found.chains


def _run_cpu(folder: Path, found: Yield, samples: int) -> tuple[float, float]:
    """CPU seconds to validate a problem of a run, and to grade an attempt."""
    step = math.ceil(max(1, found.problems) / samples)
    every = (pair for chain in load_chains(folder / CHAINS) for pair in measured(chain.problems))
    sample = [pair for place, pair in enumerate(every) if place % step == 0]
    if not sample:
        return 0.0, 0.0
    with Executor(workers=1) as executor:
        executor.run("def f():\n    return 1\n", "f", [()])  # what it takes to start is not counted
        validating = _cpu_of(lambda: [validate(problem, executor) for problem, _ in sample])
        right = _cpu_of_attempts([(problem, report.solved) for problem, report in sample], executor)
        wrong = _cpu_of_attempts([(problem, report.failed) for problem, report in sample], executor)
    passes, attempts = (sum(getattr(report, name) for _, report in sample) for name in ("passes", "attempts"))
    grading = (passes * right + (attempts - passes) * wrong) / max(1, attempts)
    return validating / len(sample), grading


def _cpu_of_attempts(shown: Sequence[tuple[Problem, Sequence[Attempt]]], executor: Executor) -> float:
    """CPU seconds to grade one of these attempts."""
    given = [(problem, attempt.reply) for problem, attempts in shown for attempt in attempts]
    return _cpu_of(partial(grade_batch, given, executor)) / len(given) if given else 0.0


def measure_cpu(attempts: int, problems: int = 6, seed: int = 0) -> tuple[float, float]:
    """Measure the CPU seconds of a chain: its drafts are validated, and its attempts graded, for real.

    Problems are those of the procedural teacher and attempts those of the search student, as many
    for each mode; making them is not counted. All processes of the sandbox are.

    Args:
        attempts: Attempts at each problem.
        problems: Problems of each mode to measure with.
        seed: Chooses them.

    Returns:
        CPU seconds to validate a draft and to grade the attempts at a problem, each the mean over modes
        of the median over problems; ``turns * (drafts * first + second)`` is a chain's.
    """
    validating, grading = [], []
    with Executor(workers=1) as executor, Executor(workers=1) as other:
        teacher, student = make_teacher("procedural", other), make_student("search", other)
        for number, mode in enumerate(Mode):
            costs = []
            for index in range(problems):
                problem = teacher.propose(np.random.default_rng([seed, number, index]), mode=mode, level=index % 10)
                replies = [reply for reply in student.answer([prompt(problem)] * attempts, seed=index) if reply]
                given = [(problem, reply) for reply in replies]
                checked = _cpu_of(partial(validate, problem, executor))
                costs.append((checked, _cpu_of(partial(grade_batch, given, executor))))
            validating.append(float(np.median([first for first, _ in costs])))
            grading.append(float(np.median([second for _, second in costs])))
    return float(np.mean(validating)), float(np.mean(grading))


def _cpu_of(work: Callable[[], object]) -> float:
    before = _tree_seconds()
    work()
    return _tree_seconds() - before


def _tree_seconds() -> float:
    """CPU seconds of this process and of all that it has started, those that have ended included."""
    rows = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            rows[int(entry.name)] = int(fields[1]), sum(int(field) for field in fields[11:15])
    total, found = 0, {os.getpid()}
    while found:
        total += sum(rows[pid][1] for pid in found if pid in rows)
        found = {pid for pid, (parent, _) in rows.items() if parent in found}
    return total / _TICKS
