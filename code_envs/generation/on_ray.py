"""Runs on a Ray cluster: workers and vLLM engines are actors, the driver alone writes the run folder."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from code_envs.cluster import head_watched, import_ray, last_line
from code_envs.errors import ConfigError, RunError
from code_envs.generation.config import RunConfig
from code_envs.generation.crew import Crew, Maker
from code_envs.generation.factory import ChainFactory
from code_envs.models import ModelConfig
from code_envs.models.on_ray import AnswersRequests, RayStore, model_on_ray, start_engines, start_store
from code_envs.models.vllm import VllmEngine
from code_envs.problem import Chain
from code_envs.students import STUDENTS
from code_envs.teacher import TEACHERS

__all__ = ["RayEngine", "ray_cluster"]

_STARTS = 3  # of a local cluster: on a busy machine it may give up
_CLOSING = 60.0  # seconds to wait for the store of replies: its node may be lost
_STORE_BYTES = 200 * 2**20  # of the local object store: chains are small, and go through at once


class RayEngine:
    """Makes the chains of a run on a Ray cluster; for the argument ``engine`` of :func:`.generate`.

    Every worker is an actor that reserves one CPU and runs one untrusted program at a time, so Ray's own
    count of CPUs bounds the sandboxes of each node. It makes several chains at once where models take
    part: they wait more than they work. A worker that dies costs another try of the chains that it was at.

    Args:
        address: The cluster, such as ``auto`` on one of its nodes; if empty ``RAY_ADDRESS``, and
            without that a cluster on this machine for as long as the run takes.
        workers: Worker actors; one for each CPU of the cluster if None. Those for which there is no CPU
            yet join when there is one.
        in_flight: Chains under way at a time, over all workers; if None one for each worker, and with
            models at least ``concurrency``.
        concurrency: Requests under way at a server, over all workers.
        teacher_engines: vLLM engines for each model that teaches, where the backend is ``vllm``.
        student_engines: The same for the student. A model that does both has as many as the larger.
        tensor_parallel: GPUs of an engine, all of one node; 0 for vLLM's CPU build.
        engine_args: Further keywords of ``vllm.AsyncEngineArgs``.
        make_engine: Makes an engine from the model's name and keywords, in its actor.

    Raises:
        ConfigError: A number is out of range.
        MissingExtra: Ray is not installed.
    """

    def __init__(
        self,
        *,
        address: str = "",
        workers: int | None = None,
        in_flight: int | None = None,
        concurrency: int = 32,
        teacher_engines: int = 1,
        student_engines: int = 1,
        tensor_parallel: int = 1,
        engine_args: Mapping[str, Any] | None = None,
        make_engine: Callable[..., AnswersRequests] = VllmEngine,
    ) -> None:
        counts = {"workers": workers, "in_flight": in_flight, "concurrency": concurrency}
        counts |= {"teacher_engines": teacher_engines, "student_engines": student_engines}
        for name, count in (counts | {"tensor_parallel": tensor_parallel}).items():
            if count is not None and count < (0 if name == "tensor_parallel" else 1):
                raise ConfigError(f"{name} is {count}; give at least 1")
        import_ray()
        self.address, self.workers, self.in_flight, self.concurrency = address, workers, in_flight, concurrency
        self.teacher_engines, self.student_engines = teacher_engines, student_engines
        self.tensor_parallel, self.engine_args = tensor_parallel, dict(engine_args or {})
        self.make_engine = make_engine
        self.tokens = 0
        """Tokens that models have read and written so far, the store's left out."""

    def __call__(
        self, config: RunConfig, indexes: Sequence[int], make: Maker
    ) -> Generator[tuple[int, Chain], None, None]:
        """Make chains, and hand them out as they finish.

        Raises:
            RunError: There is no such cluster, workers cannot start, or one chain keeps killing them.
            ModelError: A model cannot be used.
        """
        if not indexes:
            return
        with ray_cluster(self.address) as own:
            import ray

            there = ray.cluster_resources()
            if own and there.get("GPU", 0) < self.tensor_parallel and _uses_vllm(config):
                raise RunError(
                    f"an engine needs {self.tensor_parallel} GPUs and this machine has {there.get('GPU', 0)}."
                )
            workers = min(self.workers or max(1, int(there.get("CPU", 1))), len(indexes))
            asked = self.concurrency if config.asks_models else 1
            in_flight = min(self.in_flight or max(workers, asked), len(indexes))
            head = ray.get_runtime_context().gcs_address
            with head_watched(head), self._shared(make, config, workers) as maker:
                crew = Crew(config, maker, min(workers, in_flight), in_flight)
                try:
                    for index, text, tokens in crew.make(indexes):
                        self.tokens += tokens
                        yield index, Chain.from_json(text)
                finally:
                    for actor in crew.actors:
                        ray.kill(actor)

    @contextmanager
    def _shared(self, make: Maker, config: RunConfig, workers: int) -> Iterator[Maker]:
        """What workers make chains with; the actors that serve all of them live as long."""
        if not isinstance(make, ChainFactory):
            yield make
            return
        import ray

        store = start_store(make.responses, make.earlier) if isinstance(make.responses, str | Path) else make.responses
        engines = self._engines(config)
        connect = partial(model_on_ray, engines) if engines else make.connect
        try:
            yield ChainFactory(store, math.ceil(self.concurrency / workers), 1, connect)
        finally:
            for engine in (engine for some in engines.values() for engine in some):
                ray.kill(engine)
            if isinstance(store, RayStore):
                with contextlib.suppress(ray.exceptions.RayError):
                    ray.get(store.actor.close.remote(), timeout=_CLOSING)
                ray.kill(store.actor)

    def _engines(self, config: RunConfig) -> dict[str, list[Any]]:
        """Engine actors by the name of the model."""
        counts: Counter[str] = Counter()
        teachers = [name for name in (*config.teachers, config.varied_by) if name and name not in TEACHERS]
        if _on_vllm(config.teacher_model):
            counts |= Counter(dict.fromkeys(teachers, self.teacher_engines))
        if _on_vllm(config.student_model) and config.student not in STUDENTS:
            counts |= Counter({config.student: self.student_engines})
        settings = {"tensor_parallel_size": max(1, self.tensor_parallel)} | self.engine_args
        return {
            name: start_engines(name, partial(self.make_engine, name, **settings), count, self.tensor_parallel)
            for name, count in counts.items()
        }


@contextmanager
def ray_cluster(address: str = "") -> Iterator[bool]:
    """Be connected to a Ray cluster; a connection that is there already is used, and stays.

    Args:
        address: As for ``ray.init``; if empty ``RAY_ADDRESS``, and without that a cluster on this machine.

    Yields:
        Whether the cluster was started here, for this.

    Raises:
        ConfigError: The address is that of Ray's client, from outside the cluster.
        MissingExtra: Ray is not installed.
        RunError: There is no such cluster, or none can be started.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield False
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as Ray will do; otherwise it warns
    address = address or os.environ.get("RAY_ADDRESS", "") or "local"
    if address.startswith("ray://"):
        raise ConfigError("the run folder must be on a node of the cluster: start there, with the address auto.")
    if address == "local":
        _start_locally(ray)
    else:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise RunError(f"there is no Ray cluster at {address!r}: {last_line(error)}") from error
    try:
        yield address == "local"
    finally:
        ray.shutdown()


def _start_locally(ray: Any) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # 30 are too few on a busy machine
    for attempt in range(_STARTS):
        try:
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.WARNING,
                object_store_memory=_STORE_BYTES,
            )
            return
        except Exception as error:
            ray.shutdown()
            if attempt == _STARTS - 1:
                raise RunError(f"Ray cannot be started on this machine: {last_line(error)}") from error
            time.sleep(2 + 3 * attempt)


def _uses_vllm(config: RunConfig) -> bool:
    return _on_vllm(config.teacher_model) or _on_vllm(config.student_model)


def _on_vllm(config: ModelConfig | None) -> bool:
    return config is not None and config.backend == "vllm"
