"""How many replies the store of a run on Ray takes: ``python -m code_envs.benchmarks.store``.

Clients are actors, as the workers of a run are, and ask as these do: a look-up before each draft and one
for all attempts at a problem, and every reply kept by itself, before the client goes on. They write

* through the store's actor, as every run on Ray does;
* with our :class:`.FileStore` in each client, without an actor, as on one machine;
* with diskcache in each client: the peer, a store that its users trust with the same promise
  (SQLite in write-ahead mode, ``synchronous = NORMAL``: what is kept survives the end of the process).

The last two need all clients on one machine. Then everything is looked up again, and compared.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import typer

from code_envs.commands.output import AsJson, print_json, show_table
from code_envs.generation.on_ray import ray_cluster
from code_envs.models import CachedModel, Completion, FileStore, Request, Store
from code_envs.models.base import OnDone
from code_envs.models.on_ray import RayStore, start_store

__all__ = ["STORES", "DiskStore", "Load", "Pace", "main", "measure_stores"]

STORES = ("actor", "file", "diskcache")
"""The ways to the disk, by name."""


class Load(NamedTuple):  # goes to actors from a main module, by value: msgspec's structs cannot
    """What a client asks for; the defaults are those of :mod:`.plan`, at 4.5 characters for each token.

    Attributes:
        problems: Problems of each client.
        drafts: Drafts for each problem.
        attempts: Attempts at each problem, looked up together.
        prompt: Characters of a prompt.
        draft: Characters of a draft, thinking included.
        attempt: Characters of an attempt.
    """

    problems: int = 60
    drafts: int = 2
    attempts: int = 32
    prompt: int = 6_750
    draft: int = 27_000
    attempt: int = 4_500

    @property
    def replies(self) -> int:
        """Replies of each client."""
        return self.problems * (self.drafts + self.attempts)


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast one way to the disk was.

    Attributes:
        store: One of :data:`STORES`.
        kept: Replies kept each second, over all clients; the median over rounds.
        slowest: The lowest of the rounds.
        fastest: The highest.
        found: Replies looked up each second; the median over rounds.
        cpu_ms: CPU milliseconds of the store's own process for each reply that is kept, the median; 0 without one.
    """

    store: str
    kept: float
    slowest: float
    fastest: float
    found: float
    cpu_ms: float


class DiskStore:
    """Replies in diskcache, see :class:`code_envs.models.Store`.

    Args:
        folder: Where it is kept.
    """

    def __init__(self, folder: str | Path) -> None:
        from diskcache import Cache

        self._cache = Cache(str(folder), eviction_policy="none", timeout=60)

    def find(self, keys: Sequence[str]) -> dict[str, Completion]:
        """The replies that are known, by key."""
        rows = ((key, self._cache.get(key)) for key in keys)
        return {key: msgspec.json.decode(row, type=Completion) for key, row in rows if row is not None}

    def keep(self, key: str, role: str, model: str, completion: Completion) -> None:  # noqa: ARG002
        """Keep a reply, unless there is one; diskcache has no columns to count by."""
        self._cache.add(key, msgspec.json.encode(completion))

    def close(self) -> None:
        """Close the file."""
        self._cache.close()


class _Instant:
    """Answers at once, with a text that follows from the request's seed."""

    name = "instant"

    def __init__(self, size: int) -> None:
        letters = np.frombuffer(b"abcdefgh ijklmnop\n", dtype=np.uint8)
        self._text = np.random.default_rng(0).choice(letters, size + 10_007).tobytes().decode()
        self._size = size

    def reply(self, request: Request) -> Completion:
        start = request.seed % 10_007
        return Completion(text=self._text[start : start + self._size], prompt_tokens=1, completion_tokens=1)

    def complete(self, requests: Sequence[Request], on_done: OnDone | None = None) -> list[Completion]:
        found = [self.reply(request) for request in requests]
        for place, completion in enumerate(found):
            if on_done is not None:
                on_done(place, completion)
        return found


class _Client:
    """An actor that asks as a worker of a run does."""

    def __init__(self, number: int, load: Load, store: Store | tuple[str, str]) -> None:
        self._number, self._load = number, load
        if isinstance(store, tuple):
            name, path = store
            store = FileStore(path) if name == "file" else DiskStore(path)
        self._teacher, self._student = _Instant(load.draft), _Instant(load.attempt)
        self._stored = CachedModel(self._teacher, store, "teacher"), CachedModel(self._student, store, "student")

    def ready(self) -> None:
        """Return once the store is open."""

    def work(self) -> int:
        """Ask for everything; returns how many replies were right."""
        right = 0
        for models, requests in self._rounds():
            (own, stored), asked = models, list(requests)
            right += sum(
                reply == own.reply(request) for request, reply in zip(asked, stored.complete(asked), strict=True)
            )
        return right

    def hits(self) -> int:
        """Replies that came from the store."""
        return sum(stored.hits for stored in self._stored)

    def _rounds(self) -> Iterator[tuple[tuple[_Instant, CachedModel], Iterator[Request]]]:
        pupil = (self._student, self._stored[1])
        for problem in range(self._load.problems):
            for draft in range(self._load.drafts):
                yield (self._teacher, self._stored[0]), self._requests(problem, draft, 1)
            yield pupil, self._requests(problem, -1, self._load.attempts)

    def _requests(self, problem: int, draft: int, count: int) -> Iterator[Request]:
        text = f"{self._number} {problem} {draft} ".ljust(self._load.prompt, "x")
        return (Request(messages=({"role": "user", "content": text},), seed=seed) for seed in range(count))


def measure_stores(folder: Path, load: Load, clients: int, rounds: int, stores: Sequence[str] = STORES) -> list[Pace]:
    """Measure ways to the disk, one after the other in each round; needs a connection to Ray.

    Args:
        folder: Where files are made, a new one for each measurement.
        load: What each client asks for.
        clients: How many ask at a time.
        rounds: How often.
        stores: Names of :data:`STORES`.

    Raises:
        RuntimeError: A reply was lost or is another: the figures would mean nothing.
    """
    rows: dict[str, list[tuple[float, float, float]]] = {store: [] for store in stores}
    for number in range(rounds):
        for store in stores:
            rows[store].append(_measure(folder / f"{store}-{number}", store, load, clients))
    return [_pace(store, found) for store, found in rows.items()]


def _pace(store: str, rounds: Sequence[tuple[float, float, float]]) -> Pace:
    kept, found, cpu = ([each[at] for each in rounds] for at in range(3))
    return Pace(
        store=store,
        kept=statistics.median(kept),
        slowest=min(kept),
        fastest=max(kept),
        found=statistics.median(found),
        cpu_ms=statistics.median(cpu),
    )


def _measure(path: Path, store: str, load: Load, clients: int) -> tuple[float, float, float]:
    """Replies kept and found each second, and the store's CPU milliseconds for each that is kept."""
    import ray

    shared: Any = start_store(path) if store == "actor" else (store, str(path))
    client = ray.remote(_Client).options(num_cpus=0)
    actors = [client.remote(number, load, shared) for number in range(clients)]
    ray.get([actor.ready.remote() for actor in actors])
    before, total = _cpu_of(shared), clients * load.replies
    seconds = [_seconds(actors, total)]
    cpu = _cpu_of(shared) - before
    seconds.append(_seconds(actors, total))
    hits = sum(ray.get([actor.hits.remote() for actor in actors]))
    for actor in [*actors, *([shared.actor] if isinstance(shared, RayStore) else [])]:
        ray.kill(actor)
    if hits != total:
        raise RuntimeError(f"{store}: {hits} replies of {total} were found again")
    return total / seconds[0], total / seconds[1], 1000 * cpu / total


def _seconds(actors: Sequence[Any], total: int) -> float:
    import ray

    start = time.perf_counter()
    right = sum(ray.get([actor.work.remote() for actor in actors]))
    if right != total:
        raise RuntimeError(f"{right} replies of {total} were right")
    return time.perf_counter() - start


def _cpu_of(store: Any) -> float:
    import ray

    if not isinstance(store, RayStore):
        return 0.0
    return float(ray.get(store.actor.__ray_call__.remote(lambda _: time.process_time())))


def main(
    *,
    problems: Annotated[int, typer.Option("--problems", min=1, help="Problems of each client.")] = 60,
    drafts: Annotated[int, typer.Option("--drafts", min=1, help="Drafts for each problem.")] = 2,
    attempts: Annotated[int, typer.Option("--attempts", min=1, help="Attempts at each problem.")] = 32,
    prompt: Annotated[int, typer.Option("--prompt", min=100, help="Characters of a prompt.")] = 6_750,
    draft: Annotated[int, typer.Option("--draft", min=1, help="Characters of a draft.")] = 27_000,
    attempt: Annotated[int, typer.Option("--attempt", min=1, help="Characters of an attempt.")] = 4_500,
    clients: Annotated[int, typer.Option("--clients", min=1, help="Workers that ask at a time.")] = 4,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often everything is measured.")] = 5,
    folder: Annotated[Path | None, typer.Option("--folder", help="A folder on the disk to measure.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the figures as JSON.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure every way to the disk, and print a table."""
    load = Load(problems=problems, drafts=drafts, attempts=attempts, prompt=prompt, draft=draft, attempt=attempt)
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="code-envs-store-", dir=folder) as name, ray_cluster("local"):
        rows = measure_stores(Path(name), load, clients, rounds)
    document = {
        "rows": [msgspec.structs.asdict(row) for row in rows],
        "load": load._asdict(),
        "clients": clients,
        "rounds": rounds,
        "cpus": os.cpu_count(),
        "load_average": busy,
        "python": platform.python_version(),
    }
    if output:
        output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json(document)
        return
    show_table(
        f"{clients} clients, {load.replies:,} replies each, medians of {rounds} rounds; {os.cpu_count()} cores, "
        f"load average {busy:.1f} before",
        ["store", ">kept/s", ">slowest – fastest", ">found/s", ">ms of its own CPU"],
        [
            (
                row.store,
                f"{row.kept:,.0f}",
                f"{row.slowest:,.0f} – {row.fastest:,.0f}",
                f"{row.found:,.0f}",
                f"{row.cpu_ms:.2f}",
            )
            for row in rows
        ],
    )


if __name__ == "__main__":
    typer.run(main)
