"""Runs: folders of generated chains that survive being killed at any moment.

A run folder holds ``config.toml``, written first; ``chains.jsonl``, only ever appended to;
``problems.jsonl``, derived from it at the end; and ``report.html``. Chain ``i`` depends on the
configuration and ``i`` alone, so a resumed run ends with the same bytes as one that was never
interrupted.
"""

from __future__ import annotations

import fcntl
import json
import math
import multiprocessing
import os
import platform
import signal
import threading
import tomllib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from code_envs.errors import ConfigError, ProblemError, ProposalFailed, RunError, UnknownName
from code_envs.executor import Executor, shared_executor
from code_envs.problem import PROBLEMS, Chain, Mode, Problem, load_chains
from code_envs.students import Student, make_student
from code_envs.teacher import LEVELS, Teacher, make_chain, make_teacher
from code_envs.teacher.loop import STRATEGIES

__all__ = ["CHAINS", "CONFIG", "RunConfig", "distinct", "generate", "kept", "load_config", "make_one"]

CONFIG, CHAINS = "config.toml", "chains.jsonl"
_LOCK = ".lock"
_LEVEL_STEP = 3  # coprime to LEVELS: every level comes up, and the first few chains are far apart


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=False):
    """Everything that the chains of a run depend on.

    Attributes:
        modes: The modes, taken in turn.
        chains: How many chains.
        turns: Problems in a chain, at most.
        attempts: Attempts of the student at each problem.
        teachers: The names of the teachers, taken in turn, each for one chain of every mode.
        student: The name of the student.
        strategy: Where chains go, one of :data:`code_envs.teacher.loop.STRATEGIES`.
        level: The level that chains start at, 0 to 9; spread over all levels if None.
        keep: The pass rates, from and to, of the problems that go into ``problems.jsonl``.
        seed: The seed of the run.
    """

    modes: tuple[Mode, ...] = tuple(Mode)
    chains: int = 20
    turns: int = 6
    attempts: int = 32
    teachers: tuple[str, ...] = ("procedural",)
    student: str = "search"
    strategy: str = "stepping-stones"
    level: int | None = None
    keep: tuple[float, float] = (0.01, 0.97)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("modes", "teachers"):
            if not getattr(self, name) or len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ConfigError(f"{name}: name at least one, each once")
        for name in ("chains", "turns", "attempts"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.level is not None and not 0 <= self.level < LEVELS:
            raise ConfigError(f"level is {self.level}; levels run from 0 to {LEVELS - 1}")
        if not 0 <= self.keep[0] <= self.keep[1] <= 1:
            raise ConfigError(f"keep is {self.keep}; give two rates, 0 <= from <= to <= 1")
        if self.strategy not in STRATEGIES:
            raise UnknownName("strategy", self.strategy, STRATEGIES)
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; it must not be negative")

    def mode_of(self, index: int) -> Mode:
        """The mode of chain ``index``."""
        return self.modes[index % len(self.modes)]

    def teacher_of(self, index: int) -> str:
        """The teacher of chain ``index``."""
        return self.teachers[index // len(self.modes) % len(self.teachers)]

    def level_of(self, index: int) -> int:
        """The level that chain ``index`` starts at."""
        step = index // (len(self.modes) * len(self.teachers))
        return self.level if self.level is not None else step * _LEVEL_STEP % LEVELS

    def id_of(self, index: int) -> str:
        """The id of chain ``index``."""
        return f"{self.teacher_of(index)}-{self.mode_of(index)}-{self.seed}-{index:05d}"


ChainMaker = Callable[[RunConfig, int], Chain]


def make_one(config: RunConfig, index: int) -> Chain:
    """Make chain ``index`` of a run; empty if the teacher finds no valid problem."""
    teacher, student, executor, untouched = _workshop(config.teacher_of(index), config.student)
    teacher.load_state_dict(json.loads(untouched))  # what earlier chains taught it must not matter
    rng, name = np.random.default_rng([config.seed, index]), config.id_of(index)
    try:
        return make_chain(
            teacher,
            student,
            executor,
            rng,
            mode=config.mode_of(index),
            level=config.level_of(index),
            turns=config.turns,
            attempts=config.attempts,
            chain_id=name,
            strategy=config.strategy,
        )
    except ProposalFailed:
        return Chain(id=name, problems=())


@lru_cache(maxsize=8)
def _workshop(teacher_name: str, student_name: str) -> tuple[Teacher, Student, Executor, str]:
    # a worker process is one of many: it needs no pool of its own
    executor = Executor(workers=1) if multiprocessing.parent_process() else shared_executor()
    teacher = make_teacher(teacher_name, executor)
    return teacher, make_student(student_name, executor), executor, json.dumps(teacher.state_dict())


def generate(
    folder: str | Path,
    config: RunConfig,
    *,
    resume: bool = False,
    workers: int = 1,
    make: ChainMaker = make_one,
    on_chain: Callable[[Chain], None] | None = None,
) -> list[Chain]:
    """Make the chains of a run, or those that are still missing.

    Args:
        folder: The run folder; made if it does not exist.
        config: What to make. A resumed run must have the same.
        resume: Go on with the run that the folder holds, if it holds one.
        workers: Processes to make chains in; 1 stays in this one. More need a picklable ``make``
            and, as always with processes, a guarded main module.
        make: Makes chain ``index``; must depend on its arguments alone.
        on_chain: Called with every chain, those of the resumed run first.

    Returns:
        All chains of the run, in order; a chain that came to nothing is there, but empty.

    Raises:
        RunError: The folder holds something else, another configuration or a damaged file, or
            another process is at work in it.
    """
    folder = Path(folder)
    with _claimed(folder):
        _settle(folder, config, resume)
        chains = _recover(folder / CHAINS, config)
        tell = on_chain or (lambda _: None)
        for chain in chains:
            tell(chain)
        with (folder / CHAINS).open("ab") as file:
            for chain in _made(config, range(len(chains), config.chains), workers, make):
                file.write(chain.to_json().encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
                chains.append(chain)
                tell(chain)
        problems = kept(distinct(chains), config)
        _replace(folder / PROBLEMS, "".join(problem.to_json() + "\n" for problem in problems))
    return chains


def distinct(chains: Iterable[Chain]) -> list[Problem]:
    """The problems of chains, in order, each content once."""
    found: dict[str, Problem] = {}
    for chain in chains:
        for problem in chain.problems:
            found.setdefault(problem.key, problem)
    return list(found.values())


def kept(problems: Iterable[Problem], config: RunConfig) -> list[Problem]:
    """The problems whose last measured pass rate is one to keep; unmeasured ones are not."""
    low, high = config.keep
    return [problem for problem in problems if low <= _rate(problem) <= high]


def _rate(problem: Problem) -> float:
    return problem.measurements[-1].rate if problem.measurements else math.nan


def _made(config: RunConfig, indexes: Sequence[int], workers: int, make: ChainMaker) -> Iterator[Chain]:
    """Make chains and hand them out in order."""
    if workers <= 1 or len(indexes) <= 1:
        yield from (make(config, index) for index in indexes)
        return
    context = multiprocessing.get_context("spawn")  # forking a process with threads is unsafe
    pool = ProcessPoolExecutor(min(workers, len(indexes)), mp_context=context, initializer=_be_worker)
    waiting: deque[Future[str]] = deque()
    try:
        for index in indexes:
            waiting.append(pool.submit(_make_text, make, config, index))
            if len(waiting) > 2 * workers:
                yield Chain.from_json(waiting.popleft().result())
        while waiting:
            yield Chain.from_json(waiting.popleft().result())
    except BrokenProcessPool as error:
        raise RunError("a worker process died, maybe for lack of memory. Resume the run with fewer workers.") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _make_text(make: ChainMaker, config: RunConfig, index: int) -> str:
    return make(config, index).to_json()


def _be_worker() -> None:
    """Leave at once and silently when the user interrupts, and when the parent is killed."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    parent = multiprocessing.parent_process()
    assert parent is not None

    def outlive() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=outlive, daemon=True).start()


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the kernel lets go of it however the process ends."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file. Give a folder.")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if CONFIG not in names and names - {_LOCK, _draft(folder / CONFIG).name}:
        raise RunError(f"{folder} holds other files and no {CONFIG}. Give an empty or a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"another process is at work in {folder}. Wait for it, or give another folder.") from error
        yield


def _settle(folder: Path, config: RunConfig, resume: bool) -> None:
    """Write the configuration, or compare it with the one that is there."""
    path, wanted = folder / CONFIG, _to_table(config)
    if not path.exists():
        _replace(path, _to_toml(wanted))
        return
    if not resume:
        raise RunError(f"{folder} already holds a run. Add --resume to go on with it, or give another folder.")
    found = _read_toml(path)
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise RunError(
                f"{folder} was begun with {name} = {found.get(name)!r}, not {wanted.get(name)!r}. "
                "Resume it as it was begun, or give another folder."
            )


def load_config(folder: str | Path) -> RunConfig:
    """Read the configuration of a run.

    Raises:
        RunError: The folder holds no run, or its configuration cannot be read.
    """
    path = Path(folder) / CONFIG
    if not path.exists():
        raise RunError(f"{folder} is not a run folder: it holds no {CONFIG}.")
    table = {name: value for name, value in _read_toml(path).items() if not name.startswith("made_with_")}
    try:
        return msgspec.convert(table, RunConfig)
    except msgspec.ValidationError as error:
        raise RunError(f"{path}: {error}") from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is not TOML: {error}") from error


def _to_table(config: RunConfig) -> dict[str, Any]:
    table = {name: value for name, value in msgspec.to_builtins(config).items() if value is not None}
    table |= {name: list(value) for name, value in table.items() if isinstance(value, tuple)}
    # another version could make other chains; harvested code is the interpreter's own
    return table | {"made_with_code_envs": version("code-envs"), "made_with_python": platform.python_version()}


def _to_toml(table: dict[str, Any]) -> str:
    # the strings, numbers and lists here are written alike in JSON and TOML, but for DEL
    text = "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in table.items())
    return text.replace("\x7f", "\\u007f")


def _recover(path: Path, config: RunConfig) -> list[Chain]:
    """Read the chains that are there; a last line without its end was being written: drop it."""
    if not path.exists():
        return []
    with path.open("rb+") as file:
        whole = file.read()
        file.truncate(whole.rfind(b"\n") + 1)
    try:
        chains = list(load_chains(path))
    except ProblemError as error:
        raise RunError(
            f"{error}. The file was changed; remove that line and all after it to go on from there."
        ) from error
    if len(chains) > config.chains:
        raise RunError(f"{path} holds {len(chains)} chains, more than the {config.chains} of its run.")
    for index, chain in enumerate(chains):
        if chain.id != config.id_of(index):
            raise RunError(f"{path}:{index + 1}: expected chain {config.id_of(index)}, found {chain.id}.")
    return chains


def _replace(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    draft = _draft(path)
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _draft(path: Path) -> Path:
    return path.with_name(path.name + ".part")
