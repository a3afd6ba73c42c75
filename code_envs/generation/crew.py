"""The workers of a run on Ray: what each is at, and what becomes of the chains of one that dies."""

from __future__ import annotations

import asyncio
import logging
import math
import platform
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from typing import Any

from code_envs.cluster import HomeNode, last_line
from code_envs.errors import CodeEnvsError, RunError
from code_envs.generation.config import RunConfig
from code_envs.problem import Chain

__all__ = ["ChainWorker", "Crew"]

_TRIES = 5  # workers that one chain may lose before it is to blame
_SILENCE = 120.0  # seconds without any worker after which the user is told
_LOOK = 5.0  # seconds without a chain after which the driver looks whether its own node is still there
_log = logging.getLogger(__name__)

Maker = Callable[[RunConfig, int], Chain]


class ChainWorker:
    """A worker actor: makes chains, several at a time where they wait for models.

    Args:
        config: The run.
        make: Makes a chain.
        threads: Chains at a time.
    """

    def __init__(self, config: RunConfig, make: Maker, threads: int) -> None:
        self._config, self._make = config, make
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="code-envs-chain")

    async def ready(self) -> tuple[str, str]:
        """What chains depend on beside the configuration: the versions of code-envs and of Python."""
        return _versions()

    async def make(self, index: int) -> tuple[str, int]:
        """Make a chain; returns it as JSON, with the tokens that this worker has used so far."""
        chain = await asyncio.get_running_loop().run_in_executor(self._threads, self._make, self._config, index)
        return chain.to_json(), getattr(self._make, "tokens", 0)


class Crew:
    """The workers of a run, and what each of them is at.

    Args:
        config: The run.
        make: Makes a chain.
        count: Workers.
        in_flight: Chains at a time, over all workers.
    """

    def __init__(self, config: RunConfig, make: Maker, count: int, in_flight: int) -> None:
        import ray

        self._ray, self._config = ray, config
        self._room = math.ceil(in_flight / count)
        self._in_flight = in_flight
        options = {"num_cpus": 1, "max_concurrency": self._room + 1, "scheduling_strategy": "SPREAD"}
        shared = ray.put(make)
        self._start = partial(ray.remote(ChainWorker).options(**options).remote, config, shared, self._room)
        self._starting: dict[Any, Any] = {}
        self._load: dict[Any, int] = {}
        self._tokens: dict[Any, int] = {}
        self._busy: dict[Any, tuple[Any, int]] = {}
        self._waiting: deque[int] = deque()
        self._lost: Counter[int] = Counter()
        self._home = HomeNode()
        for _ in range(count):
            self._hire()

    @property
    def actors(self) -> list[Any]:
        """All workers that live or are about to."""
        return [*self._starting.values(), *self._load]

    def make(self, indexes: Sequence[int]) -> Iterator[tuple[int, str, int]]:
        """Hand out the index of each chain, the chain as JSON, and the tokens used since the last."""
        self._waiting = deque(indexes)
        told = time.monotonic()
        while self._waiting or self._busy:
            ready, _ = self._ray.wait([*self._busy, *self._starting], num_returns=1, timeout=_LOOK)
            if not ready:
                self._home.check()
            if not ready and not self._load and time.monotonic() > told + _SILENCE:
                told = time.monotonic()
                _log.warning("no worker has started yet: is there a free CPU in the cluster?")
            for ref in ready:
                if ref in self._starting:
                    self._welcome(ref)
                else:
                    yield from self._finish(ref)
            self._hand_out()

    def _hire(self) -> None:
        worker = self._start()
        self._starting[worker.ready.remote()] = worker

    def _welcome(self, ref: Any) -> None:
        worker = self._starting.pop(ref)
        try:
            found = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            if not self._load and not self._starting:
                raise RunError(f"no worker can start on the cluster: {last_line(error)}") from error
            return
        if tuple(found) != _versions():
            raise RunError(
                f"a node of the cluster has code-envs {found[0]} on Python {found[1]}, this one has "
                f"{' on Python '.join(_versions())}. Chains depend on both: install the same everywhere."
            )
        self._load[worker] = self._tokens[worker] = 0

    def _hand_out(self) -> None:
        """Give waiting chains to the workers that have the fewest."""
        while self._waiting and self._load and len(self._busy) < self._in_flight:
            worker = min(self._load, key=self._load.__getitem__)
            if self._load[worker] >= self._room:
                return
            index = self._waiting.popleft()
            self._load[worker] += 1
            self._busy[worker.make.remote(index)] = worker, index

    def _finish(self, ref: Any) -> Iterator[tuple[int, str, int]]:
        worker, index = self._busy.pop(ref)
        try:
            text, tokens = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, CodeEnvsError):
                raise error.cause from error
            self._home.check()  # the store of replies was there
            raise
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.ObjectLostError) as error:
            self._retry(worker, index, error)
            return
        used = max(0, tokens - self._tokens.get(worker, tokens))
        if worker in self._load:
            self._load[worker] -= 1
            self._tokens[worker] = max(tokens, self._tokens[worker])
        yield index, text, used

    def _retry(self, worker: Any, index: int, error: Exception) -> None:
        """A worker is gone, or out of reach: another takes its place, and others its chains."""
        if self._load.pop(worker, None) is not None:
            self._ray.kill(worker)  # it may live on the other side of a broken network
            self._hire()
        self._lost[index] += 1
        if self._lost[index] >= _TRIES:
            raise RunError(
                f"{_TRIES} workers died while they made chain {self._config.id_of(index)}, maybe for lack of "
                f"memory: {last_line(error)}. Resume the run with fewer chains in flight."
            ) from error
        self._waiting.appendleft(index)


def _versions() -> tuple[str, str]:
    return version("code-envs"), platform.python_version()
