"""The Gymnasium environments: importing this registers them.

Registration is light; modes, teachers and the sandbox load when the first environment is made.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import gymnasium

from code_envs.problem import Mode

if TYPE_CHECKING:
    from code_envs.envs.curriculum import Curriculum
    from code_envs.envs.single import CodeEnv
    from code_envs.envs.spaces import TextSpace
    from code_envs.envs.vector import CodeVectorEnv

__all__ = ["NAMESPACE", "CodeEnv", "CodeVectorEnv", "Curriculum", "TextSpace", "env_ids", "register_envs"]

NAMESPACE = "code_envs"
"""What every environment id begins with."""


def register_envs() -> None:
    """Register one environment for each mode, and one that mixes them; again is harmless."""
    for name, settings in {**{mode.value: {"mode": mode.value} for mode in Mode}, "mixed": {}}.items():
        env_id = f"{NAMESPACE}/{name.capitalize()}-v0"
        if env_id not in gymnasium.registry:
            gymnasium.register(
                env_id,
                entry_point="code_envs.envs.single:CodeEnv",
                vector_entry_point="code_envs.envs.vector:CodeVectorEnv",
                kwargs=settings,
            )


def env_ids() -> list[str]:
    """The ids of all environments of this package, as ``gymnasium.make`` takes them."""
    return [env_id for env_id, spec in gymnasium.registry.items() if spec.namespace == NAMESPACE]


_HOMES = {"Curriculum": "curriculum", "CodeEnv": "single", "TextSpace": "spaces", "CodeVectorEnv": "vector"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


register_envs()
