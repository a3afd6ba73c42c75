"""The Gymnasium environments: importing this registers them.

Registration is light; modes, teachers and the sandbox load when the first environment is made.
"""

from __future__ import annotations

import gymnasium

from code_envs.problem import Mode

__all__ = ["NAMESPACE", "env_ids", "register_envs"]

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


register_envs()
