"""What everything that runs on Ray asks of it; Ray itself is imported only when it is asked for."""

from __future__ import annotations

from typing import Any

from code_envs.errors import MissingExtra

__all__ = ["import_ray", "last_line", "on_this_node"]


def import_ray() -> Any:
    """Return the module ``ray``.

    Raises:
        MissingExtra: Ray is not installed.
    """
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    return ray


def on_this_node(ray: Any) -> Any:
    """The scheduling strategy of an actor that must run on the node of this process."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def last_line(error: BaseException) -> str:
    """The last line of what Ray says, which is what happened; above it are traces of other processes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
