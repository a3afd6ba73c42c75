"""What everything that runs on Ray asks of it; Ray itself is imported only when it is asked for."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from code_envs.errors import MissingExtra, RunError

__all__ = ["HomeNode", "head_watched", "import_ray", "last_line", "on_this_node"]

_log = logging.getLogger(__name__)
_MISSES = 4  # looks in a row at a head that does not answer, after which the user is told
_GO_ON = "What was written is there: go on with --resume, on this cluster or another."


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


class HomeNode:
    """The node of this process, as the cluster sees it.

    Ray ends a process that has lost the head of its cluster. One whose own node is lost it leaves waiting
    (seen with 2.55; 2.60 ends it, too).
    """

    def __init__(self) -> None:
        import ray

        self._ray, self._id = ray, ray.get_runtime_context().get_node_id()

    def check(self) -> None:
        """Look whether the node is still there.

        Raises:
            RunError: It is not.
        """
        if not any(node["Alive"] for node in self._ray.nodes() if node["NodeID"] == self._id):
            raise RunError(
                "the cluster has lost the node that this process is on: its raylet has died, maybe for lack of memory. "
                + _GO_ON
            )


@contextmanager
def head_watched(address: str, look: float = 5.0) -> Iterator[None]:
    """Tell the user when the head of the cluster is gone: after a minute Ray ends the process with a word of its own.

    Args:
        address: Host and port of the head's control store (GCS).
        look: Seconds between two looks.
    """
    stop = threading.Event()
    thread = threading.Thread(target=_watch, args=(address, look, stop), name="code-envs-head", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _watch(address: str, look: float, stop: threading.Event) -> None:
    """Look by plain connections, since Ray's own calls wait for the head."""
    host, _, port = address.rpartition(":")
    misses = 0
    while not stop.wait(look):
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=look).close()
            misses = 0
        except OSError:
            misses += 1
        if misses == _MISSES:
            _log.warning(
                "the head of the Ray cluster, %s, is gone. If it stays away Ray ends this run. %s", address, _GO_ON
            )


def last_line(error: BaseException) -> str:
    """The last line of what Ray says, which is what happened; above it are traces of other processes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
