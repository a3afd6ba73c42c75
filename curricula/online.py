"""The configuration of an online service, as TOML: one file says everything that it depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from code_envs.curricula.presets import check_keys, read_table
from code_envs.curricula.sampler import Sampler
from code_envs.curricula.service import CurriculumService
from code_envs.curricula.siblings import OnlineSettings
from code_envs.envs.sources import read_problems
from code_envs.errors import ConfigError, UnknownName
from code_envs.models import ModelConfig, Sampling, make_model
from code_envs.modes import rules
from code_envs.problem import Mode, Problem
from code_envs.teacher import TEACHERS, ModelTeacher, Teacher
from code_envs.teacher.constraints import constraint

__all__ = ["OnlineConfig", "load_online", "open_service"]


class OnlineConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an online service hands out, by which policy, and how the set follows the policy being trained.

    Attributes:
        problems: A file of JSON lines or a run folder.
        held_out: Another, of problems that are evaluated on: neither they nor their siblings are ever
            handed out, and a teacher's problem that equals one of them in normal form is refused.
        policy: A schedule or an adaptive policy, see :class:`~code_envs.curricula.Sampler`.
        steps: How many training steps there are; schedules need it.
        batch_size: How many groups a step takes.
        group_size: How many rollouts a group has: the trainer's samples for each prompt.
        bins: The bins: a preset or a TOML file.
        modes: The weights of the modes: a preset or a TOML file.
        chain_order: ``easy-first`` or ``hard-first``.
        rest: For how many steps a problem rests after a group without variance.
        starved: ``refuse`` a schedule that asks for a bin without problems, or ``skip`` such bins.
        seed: The only source of randomness.
        teacher: An embedded teacher, or the name of a model; empty for none.
        repairs: How often a model may mend a draft that is refused.
        templates: A folder of prompts for a teacher that is a model.
        constrain: What holds its drafts to their form, see :data:`code_envs.teacher.constraints.CONSTRAINTS`.
        plant_faults: In fuzzing it writes what is right, and a mutation plants the fault.
        teacher_model: Where that model runs and how its replies are drawn; its name is ``teacher``.
        online: When siblings are wanted, and how long things are remembered.
    """

    problems: str
    held_out: str = ""
    policy: str = "learnability"
    steps: int | None = None
    batch_size: int = 64
    group_size: int = 8
    bins: str | None = None
    modes: str | None = None
    chain_order: str | None = None
    rest: int = 0
    starved: str = "refuse"
    seed: int = 0
    teacher: str = ""
    repairs: int = 3
    templates: str = ""
    constrain: str = ""
    plant_faults: bool = False
    teacher_model: ModelConfig | None = None
    online: OnlineSettings = OnlineSettings()

    def __post_init__(self) -> None:
        if self.teacher and self.teacher not in TEACHERS and self.teacher_model is None:
            raise UnknownName("teacher", self.teacher, TEACHERS)
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; it must not be negative")
        constraint(Mode.INDUCTION, self.constrain)  # refuses a name that it does not know

    def make_teacher(self) -> Callable[[], Teacher] | str | None:
        """What the service makes its teachers with."""
        if not self.teacher or self.teacher in TEACHERS:
            return self.teacher or None
        assert self.teacher_model is not None
        own = msgspec.structs.replace(self.teacher_model, model=self.teacher)
        model = make_model(own)  # one for all threads
        return partial(
            ModelTeacher,
            model,
            own,
            repairs=self.repairs,
            templates=self.templates or None,
            constrain=self.constrain,
            plant_faults=self.plant_faults,
        )


def load_online(path: str | Path) -> OnlineConfig:
    """Read the configuration of an online service.

    Paths in it are relative to its own folder.

    Raises:
        UnknownName: A key, a teacher or a preset is not known; names the nearest one.
        ConfigError: A value cannot be used; says which and why.
        FileNotFoundError: There is no such file.
    """
    path = Path(path).resolve()
    table, _ = read_table("online", path)
    _check(table, str(path))
    if table.get("teacher_model") is not None:
        table["teacher_model"].setdefault("model", table.get("teacher", ""))
    paths = ("problems", "held_out", "templates")
    for name in (*paths, "policy", "bins", "modes"):
        given = table.get(name)
        if isinstance(given, str) and given and (name in paths or given.endswith(".toml")):
            table[name] = str(path.parent / Path(given).expanduser())
    try:
        return msgspec.convert(table, OnlineConfig)
    except msgspec.ValidationError as error:
        # errors of our own come wrapped: they say enough by themselves
        raise error.__cause__ if isinstance(error.__cause__, ConfigError) else ConfigError(f"{path}: {error}")  # noqa: B904


def _check(table: dict[str, Any], where: str) -> None:
    """Refuse keys that nothing reads, with the nearest one."""
    check_keys(table, OnlineConfig.__struct_fields__, where)
    kinds: dict[str, type[msgspec.Struct]] = {"online": OnlineSettings, "teacher_model": ModelConfig}
    for name, kind in kinds.items():
        own = table.get(name, {})
        if not isinstance(own, dict):
            raise ConfigError(f"{where}: {name!r} must be a table, [{name}], not {own!r}")
        check_keys(own, kind.__struct_fields__, f"{where}, [{name}]")
    sampling = table.get("teacher_model", {}).get("sampling", {})
    check_keys(sampling, Sampling.__struct_fields__, f"{where}, [teacher_model.sampling]")


def open_service(config: OnlineConfig, folder: str | Path | None = None) -> CurriculumService:
    """Make the service that a configuration describes, or go on with the one in the folder.

    Args:
        config: Everything that it depends on.
        folder: Where its state is kept; None keeps it in memory alone.

    Raises:
        ConfigError: A setting cannot be used, or the folder holds the state of another service.
        ProblemError: Something in the problems is not a problem.
        RunError: The folder holds something else, or another process is at work in it.
    """
    held_out = read_problems(config.held_out) if config.held_out else []
    sampler = Sampler(
        _apart_from(held_out, read_problems(config.problems)) if held_out else config.problems,
        config.policy,
        steps=config.steps,
        batch_size=config.batch_size,
        group_size=config.group_size,
        bins=config.bins,
        modes=config.modes,
        chain_order=config.chain_order,
        rest=config.rest,
        starved=config.starved,
        seed=config.seed,
    )
    return CurriculumService(sampler, config.make_teacher(), settings=config.online, folder=folder, barred=held_out)


def _apart_from(held_out: Iterable[Problem], problems: Iterable[Problem]) -> list[Problem]:
    """The problems that are not held out, nor of a chain or a parent that is, nor show the same as one that is."""
    names = {name for problem in held_out for name in _names(problem)}
    return [problem for problem in problems if names.isdisjoint(_names(problem))]


def _names(problem: Problem) -> set[str]:
    """What siblings have in common, and what problems that show the student the same."""
    seen = f"seen {rules(problem.mode).view(problem).key}"  # not as a key: of some modes it is the problem itself
    return {problem.key, problem.lineage.chain, problem.lineage.parent, seen} - {""}
