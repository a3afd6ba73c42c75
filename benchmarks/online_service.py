"""What the online curriculum costs a rollout: one question and one report, in process and through Ray.

``python -m code_envs.benchmarks.online_service`` prints what each rollout waits for. Through Ray the peer
is an empty method of a Ray actor, called twice for each rollout by the same number of clients in the
same run: what is above it is the service's own.

Problems are copies of small ones; grades are drawn. With ``--teacher`` the procedural teacher makes
siblings in the background all the while, as it would in training.
"""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import typer

from code_envs.commands.output import show_table
from code_envs.curricula import CurriculumService, OnlineSettings, Sampler
from code_envs.integrations.ray_service import join_cluster, serve
from code_envs.modes.base import Grade, Outcome
from code_envs.problem import Case, Lineage, Mode, Problem, Report
from code_envs.teacher import ProceduralTeacher

__all__ = ["Cost", "make_service", "measure_in_process", "measure_through_ray"]

_GROUP, _BATCH, _CLIENTS = 8, 64, (1, 16, 128)
_PEER = "Ray: two empty calls"


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one rollout waits for.

    Attributes:
        what: What was measured.
        clients: How many ask at a time.
        median: The median over the rounds of each round's median, in milliseconds.
        p99: The median over the rounds of each round's 99th percentile, in milliseconds.
        rate: The median over the rounds of rollouts per second, of all clients together.
    """

    what: str
    clients: int
    median: float
    p99: float
    rate: float


def make_service(problems: int, teacher: bool, folder: str | Path | None) -> CurriculumService:
    """Make a service over many measured problems, some of them the procedural teacher's.

    Args:
        problems: How many.
        teacher: Whether it makes siblings.
        folder: Where the state is kept; None keeps it in memory.
    """
    real = ProceduralTeacher() if teacher else None
    rng = np.random.default_rng(0)
    made = [real.propose(np.random.default_rng([0, at]), 1, Mode.DEDUCTION) for at in range(32)] if real else []
    plain = [_plain(number, int(rng.integers(2, 30))) for number in range(problems - len(made))]
    sampler = Sampler([*made, *plain], "learnability", batch_size=_BATCH, group_size=_GROUP, rest=4)
    return CurriculumService(sampler, real and ProceduralTeacher, settings=OnlineSettings(), folder=folder)


def _plain(number: int, passes: int) -> Problem:
    problem = Problem(
        mode=Mode.DEDUCTION,
        program=f"def f(x):\n    return x + {number}\n",
        signature="f(x)",
        cases=(Case.of((1,), number + 1),),
        lineage=Lineage(chain=f"c{number // 3}", level=number % 3),
    )
    return problem.but(measurements=(Report(problem=problem.key, student="s", attempts=32, passes=passes),))


def _grade(number: int) -> Grade:
    passed = number * 2654435761 % 2**32 < 0.8 * 2**32
    return Grade(outcome=Outcome.PASSED if passed else Outcome.WRONG, reward=float(passed))


def measure_in_process(what: str, service: CurriculumService, rollouts: int, rounds: int) -> Cost:
    """Time rollouts one after the other, group by group."""
    times: list[list[float]] = []
    for round_ in range(rounds):
        times.append([])
        for number in range(rollouts):
            ticket, began = f"{round_}-{number // _GROUP}", time.perf_counter()
            drawn = service.ask(ticket)
            service.report(ticket, _grade(number), index=drawn.index, reply="```output\n1\n```")
            times[-1].append(time.perf_counter() - began)
    return _cost(what, 1, times, [sum(each) for each in times])


def measure_through_ray(
    what: str, rollout: Callable[[str, int], Awaitable[None]], clients: int, rollouts: int, rounds: int
) -> Cost:
    """Time rollouts of several clients at once, as coroutines of this process.

    Args:
        what: What is measured.
        rollout: One rollout, from its ticket and number.
        clients: How many at a time.
        rollouts: How many in a round, of all clients together.
        rounds: How often.
    """

    async def one_round(name: str) -> tuple[list[float], float]:
        numbers, times = iter(range(rollouts)), []

        async def client() -> None:
            for number in numbers:
                began = time.perf_counter()
                await rollout(f"{name}-{number // _GROUP}", number)
                times.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(clients)))
        return times, time.perf_counter() - began

    asyncio.run(one_round(f"{what}-{clients}-warm"))
    found = [asyncio.run(one_round(f"{what}-{clients}-{round_}")) for round_ in range(rounds)]
    return _cost(what, clients, [times for times, _ in found], [whole for _, whole in found])


def _cost(what: str, clients: int, times: Sequence[Sequence[float]], wholes: Sequence[float]) -> Cost:
    middle, most = (
        statistics.median(float(np.quantile(each, share)) * 1000 for each in times) for share in (0.5, 0.99)
    )
    rate = statistics.median(len(each) / whole for each, whole in zip(times, wholes, strict=True))
    return Cost(what=what, clients=clients, median=middle, p99=most, rate=rate)


class _Peer:
    """An actor that does nothing."""

    async def nothing(self, _: str) -> None:
        return None


def _through_ray(problems: int, teacher: bool, clients: Sequence[int], rollouts: int, rounds: int) -> list[Cost]:
    import ray

    join_cluster("local")
    peer = ray.remote(_Peer).options(num_cpus=0, max_concurrency=10_000).remote()
    folder = tempfile.mkdtemp(prefix="code-envs-online-")
    client = serve(partial(make_service, problems, teacher, folder), name="measured", num_cpus=0, detached=False)

    async def empty(ticket: str, _: int) -> None:
        await peer.nothing.remote(ticket)
        await peer.nothing.remote(ticket)

    async def served(ticket: str, number: int) -> None:
        drawn = await client.ask(ticket)
        await client.report(ticket, _grade(number), index=drawn.index, reply="```output\n1\n```")

    found: list[Cost] = []
    for count in clients:
        for what, rollout in ((_PEER, empty), ("Ray: ask and report", served)):
            found.append(measure_through_ray(what, rollout, count, rollouts, rounds))
    made: dict[str, Any] = client.stats_sync()
    print(f"through Ray: {made['reports']} reports, {made['harder'] + made['easier']} siblings made meanwhile")
    client.stop_sync()
    ray.shutdown()
    return found


def main(
    *,
    problems: Annotated[int, typer.Option(min=64, help="How many problems there are.")] = 10_000,
    rollouts: Annotated[int, typer.Option(min=8, help="Rollouts in a round.")] = 8_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often all of them are timed.")] = 5,
    clients: Annotated[
        list[int] | None, typer.Option(help="Clients at a time, through Ray: 1, 16 and 128; 0 leaves Ray out.")
    ] = None,
    teacher: Annotated[bool, typer.Option("--teacher", help="Have siblings made all the while.")] = False,
) -> None:
    """Measure, and print a table."""
    rows: list[Cost] = []
    with tempfile.TemporaryDirectory(prefix="code-envs-online-") as folder:
        for what, place in (("in process, in memory", None), ("in process, on disk", Path(folder) / "state")):
            with make_service(problems, teacher, place) as service:
                rows.append(measure_in_process(what, service, rollouts, rounds))
    counts = [count for count in (clients or _CLIENTS) if count]
    if counts:
        rows += _through_ray(problems, teacher, counts, rollouts, rounds)
    peers = {row.clients: row.median for row in rows if row.what == _PEER}
    show_table(
        f"{problems} problems; medians of {rounds} rounds of {rollouts} rollouts; {platform.machine()}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}",
        ["one rollout", ">clients", ">median ms", ">p99 ms", ">rollouts/s", ">times the peer"],
        [
            (
                row.what,
                row.clients,
                f"{row.median:.3f}",
                f"{row.p99:.3f}",
                f"{row.rate:,.0f}",
                f"{row.median / peers[row.clients]:.2f}" if row.what.startswith("Ray") else "",
            )
            for row in rows
        ],
    )


if __name__ == "__main__":
    typer.run(main)
