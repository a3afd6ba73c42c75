"""The label of a dataset row: what makes its problem, the same for every member of a group.

A trainer hands an environment the prompt and the label, nothing else. So the label, a line of JSON,
names the problem in one of four ways:

==========================  ==================================================================
``problem``                 the record itself: works on any machine, the default of an export
``problems`` and ``key``    a file of records and a content key: for records of megabytes
``env`` and ``seed``        an environment that makes it up; with ``level`` at that level
``curriculum``, ``ticket``  a service that is asked when the rollout begins, under that ticket
==========================  ==================================================================

and says how many answers an episode may have: ``max_turns``.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path

import gymnasium
import msgspec

from code_envs.envs import env_ids
from code_envs.envs.single import CodeEnv
from code_envs.errors import ConfigError, ProblemError, UnknownName
from code_envs.executor import Executor
from code_envs.modes.grading import lacks_result
from code_envs.problem import Problem

__all__ = ["Label", "ProblemFile", "find_problem", "placeholder", "read_label"]

_NO_RECORD = msgspec.Raw()
_REMEMBERED = 1024  # problems that a process keeps: a group, and the groups beside it, read each once


class Label(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a row of a dataset says about its problem; see the module.

    Attributes:
        env: The id of an environment.
        seed: What it makes the problem from.
        level: The level of the problem, 0 to 9; drawn from the seed if None.
        problem: The record, as JSON within the JSON of the label.
        problems: The path of a file of records, on every machine that rolls out.
        key: Which of them.
        curriculum: The name of a service that chooses the problem.
        ticket: What the group is called when it asks.
        max_turns: How many answers an episode may have.
    """

    env: str = ""
    seed: int | None = None
    level: int | None = None
    problem: msgspec.Raw = _NO_RECORD
    problems: str = ""
    key: str = ""
    curriculum: str = ""
    ticket: str = ""
    max_turns: int = 1

    @property
    def record(self) -> bytes:
        """The record's JSON; empty if the label names its problem in another way."""
        return bytes(self.problem)

    def to_json(self) -> str:
        """Write the label, as a row of a dataset holds it."""
        return msgspec.json.encode(self).decode()


def read_label(text: str) -> Label:
    """Read a label.

    Raises:
        ConfigError: It is none, or does not say which problem is meant.
    """
    try:
        label = msgspec.json.decode(text, type=Label)
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"the label {text[:60]!r} is not one of code-envs: {error}. Write the dataset with "
            "'code-envs export … --for openrlhf', and train with --data.label_key label"
        ) from error
    ways = (
        bool(label.record),
        bool(label.problems and label.key),
        bool(label.env) and label.seed is not None,
        bool(label.curriculum and label.ticket),
    )
    if sum(ways) != 1:
        raise ConfigError(
            f"the label {text[:60]!r} must name its problem in one way: by problem, by problems and key, "
            "by env and seed, or by curriculum and ticket"
        )
    if label.max_turns < 1:
        raise ConfigError(f"max_turns of a label must be positive, not {label.max_turns}")
    return label


def placeholder(ticket: str) -> str:
    """The prompt of a row whose problem is chosen later; the agent puts the problem in its place."""
    return f"[[code-envs chooses the problem of ticket {ticket}]]"


def find_problem(label: Label, executor: Executor) -> Problem:
    """Find or make the problem of a label that names it; a pure function of the label.

    Args:
        label: Any but one with a ticket.
        executor: Where a teacher runs what it makes up.

    Raises:
        ConfigError: There is no such file, key or environment, or the label holds a ticket.
        ProblemError: The record is not a valid problem.
        ProposalFailed: The teacher found no problem for the seed.
    """
    if label.record:
        return _read(label.record)
    if label.problems:
        return _problem_file(label.problems).find(label.key)
    if label.env:
        return _make(label, executor)
    raise ConfigError(f"ticket {label.ticket!r} is for the curriculum {label.curriculum!r}, which chooses the problem")


@lru_cache(maxsize=_REMEMBERED)
def _read(record: bytes) -> Problem:
    problem = Problem.from_json(record)
    if lacks_result(problem):
        raise ProblemError(f"problem {problem.key} cannot be graded: its case has no result")
    return problem


def _make(label: Label, executor: Executor) -> Problem:
    """A seed's problem; the teacher remembers the last ones, so that a group costs one proposal."""
    if label.env not in env_ids():
        raise UnknownName("environment", label.env, env_ids())
    env = gymnasium.make(label.env, executor=executor, level=label.level, disable_env_checker=True).unwrapped
    assert isinstance(env, CodeEnv)
    env.reset(seed=label.seed)
    assert env.problem is not None
    return env.problem


class ProblemFile:
    """A file of records that is never held in memory: only where each begins.

    Args:
        path: JSON lines, one problem each.

    Raises:
        ConfigError: The file cannot be read.
        ProblemError: A line is not a problem.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._places: dict[str, int] = {}
        self._lock = threading.Lock()
        place = 0
        try:
            with self.path.open("rb") as file:
                for line in file:
                    if line.strip():
                        self._places[Problem.from_json(line).key] = place
                    place += len(line)
        except OSError as error:
            raise ConfigError(
                f"the problems that the label names cannot be read: {error}. The file must be on every machine"
            ) from error

    def find(self, key: str) -> Problem:
        """Read the problem of a key.

        Raises:
            ConfigError: There is none.
        """
        if key not in self._places:
            raise ConfigError(f"{self.path} has no problem with the key {key!r}: export the dataset again")
        with self.path.open("rb") as file:
            file.seek(self._places[key])
            return _read(file.readline())


@lru_cache(maxsize=16)
def _problem_file(path: str) -> ProblemFile:
    return ProblemFile(path)
