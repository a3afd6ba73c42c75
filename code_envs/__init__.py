"""Reinforcement-learning environments for language models that write code.

Importing this registers the environments with Gymnasium and loads little else: the names below
load what they need when they are first used.

>>> import gymnasium, code_envs
>>> env = gymnasium.make("code_envs/Deduction-v0")
>>> observation, info = env.reset(seed=7)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from code_envs.envs import env_ids

if TYPE_CHECKING:
    from code_envs.envs import CodeEnv, CodeVectorEnv, Curriculum, TextSpace
    from code_envs.errors import (
        CodeEnvsError,
        ConfigError,
        ExecutorClosed,
        ExecutorError,
        IsolationUnavailable,
        LiteralError,
        MissingExtra,
        ModelError,
        ProblemError,
        ProposalFailed,
        RunError,
        ServiceUnavailable,
        UnknownName,
        ValueRefused,
    )
    from code_envs.executor import Execution, Executor, Limits, shared_executor
    from code_envs.modes import Answer, Complaint, Grade, Outcome, grade, grade_many, prompt, read, render, validate
    from code_envs.problem import (
        Case,
        Chain,
        Direction,
        Mode,
        Problem,
        Report,
        Seed,
        load_chains,
        load_problems,
        save_records,
    )
    from code_envs.students import Student, make_student
    from code_envs.teacher import Teacher, make_teacher

    __version__: str

__all__ = [
    "Answer",
    "Case",
    "Chain",
    "CodeEnv",
    "CodeEnvsError",
    "CodeVectorEnv",
    "Complaint",
    "ConfigError",
    "Curriculum",
    "Direction",
    "Execution",
    "Executor",
    "ExecutorClosed",
    "ExecutorError",
    "Grade",
    "IsolationUnavailable",
    "Limits",
    "LiteralError",
    "MissingExtra",
    "Mode",
    "ModelError",
    "Outcome",
    "Problem",
    "ProblemError",
    "ProposalFailed",
    "Report",
    "RunError",
    "Seed",
    "ServiceUnavailable",
    "Student",
    "Teacher",
    "TextSpace",
    "UnknownName",
    "ValueRefused",
    "__version__",
    "env_ids",
    "grade",
    "grade_many",
    "load_chains",
    "load_problems",
    "make_student",
    "make_teacher",
    "prompt",
    "read",
    "render",
    "save_records",
    "shared_executor",
    "validate",
]

_HOMES = {
    "envs": ("CodeEnv", "CodeVectorEnv", "Curriculum", "TextSpace"),
    "errors": (
        "CodeEnvsError",
        "ConfigError",
        "ExecutorClosed",
        "ExecutorError",
        "IsolationUnavailable",
        "LiteralError",
        "MissingExtra",
        "ModelError",
        "ProblemError",
        "ProposalFailed",
        "RunError",
        "ServiceUnavailable",
        "UnknownName",
        "ValueRefused",
    ),
    "executor": ("Execution", "Executor", "Limits", "shared_executor"),
    "modes": ("Answer", "Complaint", "Grade", "Outcome", "grade", "grade_many", "prompt", "read", "render", "validate"),
    "problem": (
        *("Case", "Chain", "Direction", "Mode", "Problem", "Report", "Seed"),
        *("load_chains", "load_problems", "save_records"),
    ),
    "students": ("Student", "make_student"),
    "teacher": ("Teacher", "make_teacher"),
}
_HOME = {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("code-envs")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # found at once from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, "__version__"})
