"""The online curriculum service as a named Ray actor, which all rollouts of a cluster ask and report to.

The driver, or ``code-envs curriculum serve``, starts it; agents find it by its name:

>>> client = serve(load_online("online.toml"), "runs/online")         # once
>>> client = connect()                                                # in every agent
>>> drawn = await client.ask("prompt 17")                             # once for each rollout
>>> await client.report("prompt 17", grade, index=drawn.index)        # once for each rollout

Works with Ray 2.50 and newer; OpenRLHF 0.11.2 pins 2.55.0.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import msgspec

from code_envs.cluster import import_ray, on_this_node
from code_envs.curricula import CurriculumService, Draw, OnlineConfig, open_service
from code_envs.curricula.beliefs import shorten
from code_envs.errors import ConfigError, ServiceUnavailable
from code_envs.modes.base import Grade, Outcome
from code_envs.problem import Problem

__all__ = ["NAME", "NAMESPACE", "ServiceClient", "connect", "join_cluster", "serve"]

NAME, NAMESPACE = "code-envs-curriculum", "code-envs"
_CONCURRENCY = 10_000  # questions that may wait at the actor; each is answered in well under a millisecond
_ANSWER = 30.0  # seconds after which an answer is not waited for any more, and the question asked again

_read_problem = lru_cache(maxsize=1024)(Problem.from_json)  # the members of a group read one problem


class _Service:
    """The actor: the service of one process, its methods as coroutines, so that one thread serves all."""

    def __init__(self, make: Callable[[], CurriculumService], identity: str) -> None:
        self._make, self._identity = make, identity

    @cached_property
    def service(self) -> CurriculumService:
        """Made on first use: what a constructor raises reaches its caller as a text alone."""
        return self._make()

    async def identity(self) -> str:
        return self._identity if self.service else ""

    async def ask(self, ticket: str, call: str) -> tuple[int, int, str, str]:
        drawn = self.service.ask(ticket, call=call)
        return drawn.index, drawn.step, drawn.bin, drawn.problem.to_json()

    async def report(
        self, ticket: str, verdict: tuple[str, float, str], index: int | None, reply: str, call: str
    ) -> None:
        outcome, reward, reason = verdict
        grade = Grade(outcome=Outcome(outcome), reward=reward, reason=reason)
        self.service.report(ticket, grade, index=index, reply=reply, call=call)

    async def stats(self) -> dict[str, Any]:
        return {**self.service.stats(), "pid": os.getpid()}

    async def state_dict(self) -> dict[str, Any]:
        return self.service.state_dict()

    async def close(self) -> None:
        self.service.close()


class ServiceClient:
    """Asks and reports by name. Can be sent to other processes, and used from any thread or event loop.

    What Ray loses, because the actor dies and is begun anew, is asked again; the service knows a
    question that it has answered already. Each method has a twin that ends in ``_sync``.

    Args:
        name: The actor's name.
        namespace: The actor's namespace.
        patience: For how many seconds an actor that does not answer is asked again.
    """

    def __init__(self, name: str = NAME, namespace: str = NAMESPACE, *, patience: float = 120.0) -> None:
        self.name, self.namespace, self.patience = name, namespace, patience
        self._actor: Any = None
        self._held: Any = None  # an actor that is not detached lives as long as its first handle

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(ServiceClient, patience=self.patience), (self.name, self.namespace)

    async def ask(self, ticket: str | int) -> Draw:
        """Get the problem of a group, once for each rollout; see :meth:`CurriculumService.ask`.

        Raises:
            ServiceUnavailable: The service could not be reached for as long as the patience.
        """
        return _draw(await self._call("ask", str(ticket), _name_call()))

    def ask_sync(self, ticket: str | int) -> Draw:
        """:meth:`ask`, for code without an event loop."""
        return _draw(self._call_sync("ask", str(ticket), _name_call()))

    async def report(self, ticket: str | int, grade: Grade, *, index: int | None = None, reply: str = "") -> None:
        """Say what a rollout was worth; see :meth:`CurriculumService.report`.

        Args:
            ticket: What was asked with.
            grade: The verdict; report one that is not scored, too, so that its group is completed.
            index: The draw's ``index``, which tells apart the groups of one ticket.
            reply: What the policy wrote, for the teacher to see.

        Raises:
            ServiceUnavailable: The service could not be reached for as long as the patience.
        """
        await self._call("report", str(ticket), _verdict(grade), index, shorten(reply), _name_call())

    def report_sync(self, ticket: str | int, grade: Grade, *, index: int | None = None, reply: str = "") -> None:
        """:meth:`report`, for code without an event loop."""
        self._call_sync("report", str(ticket), _verdict(grade), index, shorten(reply), _name_call())

    async def stats(self) -> dict[str, Any]:
        """What the service has done, see :meth:`CurriculumService.stats`, and the ``pid`` of its process."""
        found: dict[str, Any] = await self._call("stats")
        return found

    def stats_sync(self) -> dict[str, Any]:
        """:meth:`stats`, for code without an event loop."""
        found: dict[str, Any] = self._call_sync("stats")
        return found

    def state_dict_sync(self) -> dict[str, Any]:
        """Everything that the service knows; see :meth:`CurriculumService.state_dict`."""
        found: dict[str, Any] = self._call_sync("state_dict")
        return found

    def stop_sync(self) -> None:
        """Have the service save everything, and end its actor."""
        ray = _ray()
        self._call_sync("close")
        ray.kill(self._find(ray), no_restart=True)
        self._actor = None

    async def _call(self, method: str, *arguments: Any) -> Any:
        ray = _ray()
        for fault, wait in self._tries():
            try:
                question = getattr(self._find(ray), method).remote(*arguments)
                return await asyncio.wait_for(asyncio.wrap_future(question.future()), _ANSWER)
            except ray.exceptions.RayTaskError as error:
                raise _own(error) from None
            except (ray.exceptions.RayError, ValueError, TimeoutError) as error:
                self._actor = None
                fault.append(error)
            await asyncio.sleep(wait)
        raise self._unavailable(fault)

    def _call_sync(self, method: str, *arguments: Any) -> Any:
        ray = _ray()
        for fault, wait in self._tries():
            try:
                return ray.get(getattr(self._find(ray), method).remote(*arguments), timeout=_ANSWER)
            except ray.exceptions.RayTaskError as error:
                raise _own(error) from None
            except (ray.exceptions.RayError, ValueError, TimeoutError) as error:
                self._actor = None
                fault.append(error)
            time.sleep(wait)
        raise self._unavailable(fault)

    def _tries(self) -> Iterator[tuple[list[Exception], float]]:
        """Room for the last fault, and how long to wait after it, until the patience is over."""
        faults: list[Exception] = []
        end, wait = time.monotonic() + self.patience, 0.1
        while not faults or time.monotonic() < end:
            yield faults, wait
            wait = min(2 * wait, 5.0)

    def _find(self, ray: Any) -> Any:
        if self._actor is None:
            self._actor = ray.get_actor(self.name, namespace=self.namespace)
        return self._actor

    def _unavailable(self, faults: list[Exception]) -> ServiceUnavailable:
        why = str(faults[-1]).strip().splitlines()[0] if str(faults[-1]).strip() else type(faults[-1]).__name__
        return ServiceUnavailable(
            f"the curriculum service {self.name!r} in Ray's namespace {self.namespace!r} did not answer for "
            f"{self.patience:g} s: {why} Start it with 'code-envs curriculum serve', or name the one that runs."
        )


def serve(
    config: OnlineConfig | Callable[[], CurriculumService],
    folder: str | Path | None = None,
    *,
    name: str = NAME,
    namespace: str = NAMESPACE,
    detached: bool = True,
    max_restarts: int = -1,
    num_cpus: float = 1.0,
    anywhere: bool = False,
    patience: float = 120.0,
) -> ServiceClient:
    """Start the service in the cluster that this process is connected to, or find the one that runs.

    Args:
        config: What it hands out, or a function that makes the service, for what a file cannot say.
        folder: Where its state is kept, on the machine of the actor; without one, an actor that is
            begun anew begins from nothing.
        name: The actor's name.
        namespace: The actor's namespace.
        detached: Whether it outlives this driver; if not, it lives as long as the client that is returned.
        max_restarts: How often Ray begins it anew when its process dies; -1 always.
        num_cpus: Cores that it takes of the cluster.
        anywhere: Whether it may run on any machine: the folder must be on a file system that all
            share then. If not, it runs on this one.
        patience: For how many seconds an actor that does not answer is asked again.

    Returns:
        A client of it.

    Raises:
        MissingExtra: Ray is not installed.
        ServiceUnavailable: Ray is not started here, or the actor does not begin.
        ConfigError: A service with another configuration runs under that name, or it cannot be used.
        RunError: The folder holds something else, or another process is at work in it.
    """
    ray = _ray()
    folder = str(Path(folder).resolve()) if folder is not None else None
    make = partial(open_service, config, folder) if isinstance(config, OnlineConfig) else config
    identity = msgspec.json.encode([config, folder]).decode() if isinstance(config, OnlineConfig) else ""
    options: dict[str, Any] = {"scheduling_strategy": "DEFAULT" if anywhere else on_this_node(ray)}
    actor = (
        ray.remote(_Service)
        .options(
            name=name,
            namespace=namespace,
            get_if_exists=True,
            lifetime="detached" if detached else None,
            max_restarts=max_restarts,
            max_concurrency=_CONCURRENCY,
            num_cpus=num_cpus,
            **options,
        )
        .remote(make, identity)
    )
    try:
        found = ray.get(actor.identity.remote(), timeout=patience)
    except ray.exceptions.RayTaskError as error:
        ray.kill(actor, no_restart=True)
        raise _own(error) from None
    except (ray.exceptions.RayError, TimeoutError) as error:
        raise ServiceUnavailable(f"the actor {name!r} did not begin: {error}") from error
    if found != identity:
        raise ConfigError(
            f"a service with another configuration runs as {name!r} in {namespace!r}: "
            "stop it, or give this one another name"
        )
    client = ServiceClient(name, namespace, patience=patience)
    client._held = actor
    return client


def connect(name: str = NAME, namespace: str = NAMESPACE, *, patience: float = 120.0) -> ServiceClient:
    """Find the service of the cluster that this process is connected to.

    Args:
        name: The actor's name.
        namespace: The actor's namespace.
        patience: For how many seconds it is looked for, now and whenever it does not answer.

    Returns:
        A client of it; it has answered once.

    Raises:
        MissingExtra: Ray is not installed.
        ServiceUnavailable: Ray is not started here, or there is no such actor.
    """
    client = ServiceClient(name, namespace, patience=patience)
    client._call_sync("identity")
    return client


def join_cluster(address: str = "auto", namespace: str = NAMESPACE) -> None:
    """Connect this process to a Ray cluster.

    Args:
        address: Of the cluster; ``auto`` for the one of this machine, ``local`` to start one for this
            process alone.
        namespace: Of this process.

    Raises:
        MissingExtra: Ray is not installed.
        ServiceUnavailable: There is no cluster at the address.
    """
    ray = import_ray()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # what will become of accelerators in a later Ray
            ray.init(address=address, namespace=namespace, log_to_driver=False, logging_level="warning")
    except (ConnectionError, RuntimeError, ValueError) as error:
        why = str(error).strip().splitlines()[0]
        raise ServiceUnavailable(
            f"there is no Ray cluster at {address!r}: {why} Start one with 'ray start --head'"
        ) from error


def _ray() -> Any:
    ray = import_ray()
    if not ray.is_initialized():  # a call would start a cluster of its own, in which there is no service
        raise ServiceUnavailable("this process is not connected to a Ray cluster: call ray.init(address='auto') first")
    return ray


def _own(error: Any) -> Exception:
    """What the service itself raised."""
    return error.cause if isinstance(error.cause, Exception) else error


def _name_call() -> str:
    return uuid.uuid4().hex


def _verdict(grade: Grade) -> tuple[str, float, str]:
    return grade.outcome.value, grade.reward, shorten(grade.reason)


def _draw(told: tuple[int, int, str, str]) -> Draw:
    index, step, bin_, text = told
    return Draw(index=index, step=step, bin=bin_, problem=_read_problem(text))
