"""Models and their replies on a Ray cluster: vLLM engines as actors, one store of replies for all workers."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from code_envs.cluster import last_line, on_this_node
from code_envs.errors import ModelError
from code_envs.models.base import Completion, Model, ModelConfig, Request
from code_envs.models.cache import FileStore, Row, completions_of
from code_envs.models.looped import LoopedModel

__all__ = [
    "AnswersRequests",
    "EngineActor",
    "RayModel",
    "RayStore",
    "model_on_ray",
    "start_engines",
    "start_store",
]

_log = logging.getLogger(__name__)
_AWAY = 5.0  # seconds that an engine which has just failed is passed over
_PATIENCE = 1800.0  # seconds: weights of the largest models take minutes to load again
_SILENCE = 120.0  # seconds without an engine after which the user is told
_AT_MOST = 64  # replies in one call of the store: some megabytes
_AT_ONCE = 1000  # calls that an actor takes; the engine itself decides how many it batches


class AnswersRequests(Protocol):
    """What runs inside an engine actor, such as :class:`code_envs.models.vllm.VllmEngine`."""

    async def complete(self, request: Request, timeout: float) -> Completion:
        """Answer a request; ModelError says that the engine is dead."""
        ...


class EngineActor:
    """One engine as a Ray actor: calls run at once, and the engine batches them.

    Args:
        make: Makes the engine, in the actor's process.
    """

    def __init__(self, make: Callable[[], AnswersRequests]) -> None:
        self._engine = make()

    async def ready(self) -> int:
        """Return the process id, once the weights are loaded."""
        return os.getpid()

    async def complete(self, request: Request, timeout: float) -> Completion:
        """Answer a request; a dead engine ends the process, so that Ray starts another."""
        try:
            return await self._engine.complete(request, timeout)
        except ModelError:
            os._exit(1)


def start_engines(name: str, make: Callable[[], AnswersRequests], count: int, gpus: float) -> list[Any]:
    """Start engines of one model, and wait for the first; the others join as they come.

    Args:
        name: The model, for messages.
        make: Makes an engine, in the actor's process.
        count: How many.
        gpus: GPUs of each: all on one node, as tensor parallelism within an actor needs them.

    Returns:
        The actors.

    Raises:
        ModelError: None of them can start.
    """
    import ray

    actor = ray.remote(EngineActor).options(
        num_cpus=0 if gpus else 1,  # an engine's work is the GPU's: CPUs are the workers'
        num_gpus=gpus,
        max_restarts=-1,
        max_task_retries=0,  # another engine answers sooner
        max_concurrency=_AT_ONCE,
    )
    engines = [actor.remote(make) for _ in range(count)]
    pending = [engine.ready.remote() for engine in engines]
    while pending:
        done, pending = ray.wait(pending, num_returns=1, timeout=_SILENCE)
        if not done:
            _log.warning("no engine of %r is ready yet: weights are loading, or no node has %g free GPUs", name, gpus)
            continue
        try:
            ray.get(done)
            return engines
        except ray.exceptions.RayError as error:
            fault = error
    raise ModelError(f"no engine of {name!r} can start: {last_line(fault)}") from fault


class RayModel(LoopedModel):
    """A model behind engine actors: each request goes to the one that has the fewest of this process.

    Requests that an engine was at when it died go to another one; Ray starts it again meanwhile.

    Args:
        config: The model and its sampling.
        engines: Handles of :class:`EngineActor`.
        patience: Seconds that a request may look for an engine that lives.
    """

    def __init__(self, config: ModelConfig, engines: Sequence[Any], patience: float = _PATIENCE) -> None:
        self.config, self._engines, self._patience = config, list(engines), patience
        self._under_way, self._away_until = [0] * len(engines), [0.0] * len(engines)
        self._first = os.getpid() % len(engines)  # not every process begins with the same
        super().__init__(config.model)

    async def _complete(self, request: Request) -> Completion:
        from ray.exceptions import RayActorError

        give_up = time.monotonic() + self._patience
        while True:
            place = self._choose()
            self._under_way[place] += 1
            try:
                completion: Completion = await self._engines[place].complete.remote(request, self.config.timeout)
                return completion
            except RayActorError as error:
                if time.monotonic() > give_up:
                    text = f"the engines of {self.name!r} keep dying: {last_line(error)}"
                    raise ModelError(f"{text}. Resume the run when they work.") from error
                self._away_until[place] = time.monotonic() + _AWAY
                if min(self._away_until) > time.monotonic():
                    await asyncio.sleep(_AWAY)
            finally:
                self._under_way[place] -= 1

    def _choose(self) -> int:
        now, count = time.monotonic(), len(self._engines)
        places = sorted(range(count), key=lambda place: (place - self._first) % count)
        return min(places, key=lambda place: (self._away_until[place] > now, self._under_way[place]))


class RayStore:
    """The store of replies as seen from a worker: one actor beside the run folder does the work.

    Replies that come while others are on their way to the actor go together in the next call, and
    are written together: a busy store has fewer calls, not a longer queue.

    Args:
        actor: A handle from :func:`start_store`.
    """

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self._lock, self._waiting = threading.Lock(), list[Row]()
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="code-envs-store")
        self._sent: Future[None] = Future()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.actor,)

    def find(self, keys: Sequence[str]) -> dict[str, Completion]:
        """The replies that are known, by key."""
        import ray

        return completions_of(ray.get(self.actor.texts.remote(list(keys))))

    def keep(self, key: str, role: str, model: str, completion: Completion) -> Future[None]:
        """Keep a reply, unless there is one; done when the actor has written it."""
        row = Row.of(key, role, model, completion)
        with self._lock:
            self._waiting.append(row)
            if len(self._waiting) == 1:  # else one that has not begun yet will take it along
                self._sent = self._sender.submit(self._send)
            return self._sent

    def close(self) -> None:
        """Nothing: the store is the driver's."""

    def _send(self) -> None:
        import ray

        with self._lock:
            rows, self._waiting = self._waiting, []
        for start in range(0, len(rows), _AT_MOST):
            ray.get(self.actor.write.remote(rows[start : start + _AT_MOST]))


def start_store(path: str | Path, earlier: Sequence[str | Path] = ()) -> RayStore:
    """Start the store of replies of a run: an actor on this node, where the file is.

    A killed actor is started again by Ray and its calls are repeated: keeping a reply twice does nothing.

    Args:
        path: The file of the run.
        earlier: Files of earlier ones, see :class:`.FileStore`.

    Raises:
        RunError: A file is something else.
    """
    import ray

    paths = Path(path).resolve(), [Path(each).resolve() for each in earlier]
    FileStore(*paths).close()  # says so here if it cannot be used
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": on_this_node(ray)}
    return RayStore(ray.remote(FileStore).options(**options).remote(*paths))


def model_on_ray(engines: Mapping[str, Sequence[Any]], config: ModelConfig, concurrency: int) -> Model:
    """A model behind its engine actors, or behind its server where it has none."""
    from code_envs.models import make_model

    return RayModel(config, engines[config.model]) if config.model in engines else make_model(config, concurrency)
