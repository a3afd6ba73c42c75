"""The configuration of a run: everything that its chains depend on."""

from __future__ import annotations

import platform
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from code_envs.errors import ConfigError, RunError, UnknownName
from code_envs.folders import read_toml
from code_envs.measure import KEEP, check_bands
from code_envs.models import ModelConfig
from code_envs.problem import PROBLEMS, Mode, Problem, stored_problems
from code_envs.stored import Stored
from code_envs.teacher import LEVELS, TEACHERS
from code_envs.teacher.constraints import constraint
from code_envs.teacher.loop import STRATEGIES

__all__ = ["BEGUN", "CONFIG", "RunConfig", "begun", "dated_problems", "load_config", "to_table"]

CONFIG = "config.toml"
BEGUN = "begun"
"""The entry of that file that says when the run was begun; nothing that is made depends on it."""
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
        level: The level that chains start at, 0 to 9; if None the strategy's, or spread over all levels.
        keep: The pass rates, from and to, of the problems that go into ``problems.jsonl``.
        seed: The seed of the run.
        teacher_model: How teachers are asked that are models: every name that is no embedded teacher.
        student_model: How the student is asked, if it is a model.
        varied_by: Who makes the later problems of each chain, if not the teacher of the first: a model.
        seeds: Where the code comes from that a model starts with, see :func:`.teacher.seeds.make_source`.
        licence: The licence of that code, if it does not say so itself.
        repairs: How often a model may mend a draft that is refused.
        templates: A folder of prompts for teachers that are models.
        constrain: What holds drafts to their form, one of :data:`.teacher.constraints.CONSTRAINTS`; empty for nothing.
        plant_faults: In fuzzing, a model writes what is right, and a mutation plants the fault.
        bands: Where measuring may stop early, see :func:`code_envs.measure.measure`.
        similarity: From which share of common parts a problem repeats an earlier one, in (0, 1]; None
            takes out only identical records.
        against: Earlier runs, or files of problems, whose problems must not come again.
        suites: Benchmark files, as JSON rows, whose items must not come up.
    """

    modes: tuple[Mode, ...] = tuple(Mode)
    chains: int = 20
    turns: int = 6
    attempts: int = 32
    teachers: tuple[str, ...] = ("procedural",)
    student: str = "search"
    strategy: str = "stepping-stones"
    level: int | None = None
    keep: tuple[float, float] = KEEP
    seed: int = 0
    teacher_model: ModelConfig | None = None
    student_model: ModelConfig | None = None
    varied_by: str = ""
    seeds: str = "stdlib"
    licence: str = ""
    repairs: int = 3
    templates: str = ""
    constrain: str = ""
    plant_faults: bool = False
    bands: tuple[tuple[float, float], ...] = ()
    similarity: float | None = None
    against: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()

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
        for name in ("seed", "repairs"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must not be negative")
        constraint(self.modes[0], self.constrain)  # refuses a name that it does not know
        if self.varied_by and (self.varied_by in TEACHERS or self.teacher_model is None):
            raise ConfigError(
                f"varied_by is {self.varied_by!r}; name a model, and its server: others vary only their own"
            )
        if self.similarity is not None and not 0 < self.similarity <= 1:
            raise ConfigError(f"similarity is {self.similarity}; give a share above 0, at most 1")
        check_bands(self.bands)

    @property
    def asks_models(self) -> bool:
        """Whether a language model takes part."""
        return self.teacher_model is not None or self.student_model is not None

    def mode_of(self, index: int) -> Mode:
        """The mode of chain ``index``."""
        return self.modes[index % len(self.modes)]

    def teacher_of(self, index: int) -> str:
        """The teacher of chain ``index``."""
        return self.teachers[index // len(self.modes) % len(self.teachers)]

    def level_of(self, index: int) -> int:
        """The level that chain ``index`` starts at."""
        asked = STRATEGIES[self.strategy].level if self.level is None else self.level
        step = index // (len(self.modes) * len(self.teachers))
        return step * _LEVEL_STEP % LEVELS if asked is None else asked

    def id_of(self, index: int) -> str:
        """The id of chain ``index``."""
        return f"{self.teacher_of(index)}-{self.mode_of(index)}-{self.seed}-{index:05d}"


def load_config(folder: str | Path) -> RunConfig:
    """Read the configuration of a run.

    Raises:
        RunError: The folder holds no run, or its configuration cannot be read.
    """
    path = Path(folder) / CONFIG
    if not path.exists():
        raise RunError(f"{folder} is not a run folder: it holds no {CONFIG}.")
    table = {name: value for name, value in read_toml(path).items() if not name.startswith(("made_with_", BEGUN))}
    try:
        return msgspec.convert(table, RunConfig)
    except msgspec.ValidationError as error:
        raise RunError(f"{path}: {error}") from error


def begun(folder: str | Path) -> str:
    """When a run was begun: date and time (UTC); empty if that is not known, or the folder holds no run."""
    path = Path(folder) / CONFIG
    return str(read_toml(path).get(BEGUN, "")) if path.exists() else ""


def dated_problems(path: str | Path) -> Stored[Problem]:
    """The problems of :func:`code_envs.problem.stored_problems`; those of a run say when it was begun.

    Args:
        path: A run folder, the file of problems in one, or any file of problems.

    Returns:
        The problems; a measurement without a time has the one at which the run was begun, if that is known.

    Raises:
        RunError: The configuration of the run cannot be read.
    """
    problems = stored_problems(path)
    when = begun(problems.path.parent) if problems.path.name == PROBLEMS else ""
    return problems.changed(partial(_dated, when=when)) if when else problems


def _dated(problem: Problem, when: str) -> Problem:
    return problem.but(measurements=tuple(one if one.when else one.but(when=when) for one in problem.measurements))


def to_table(config: RunConfig) -> dict[str, Any]:
    """The configuration as TOML has it, with what made it; settings without a value are left out."""
    table = msgspec.json.decode(msgspec.json.encode(config))
    table = {name: value for name, value in table.items() if value is not None}
    # another version could make other chains; harvested code is the interpreter's own
    return table | {"made_with_code_envs": version("code-envs"), "made_with_python": platform.python_version()}
