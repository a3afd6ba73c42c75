"""Generation on Ray under a simulated load: how close the run comes to the sum of its latencies / concurrency.

Every chain is made by a scripted model, whose replies take as long as drawn from a lognormal
distribution, times ``--scale``. Nothing is executed, so what is measured is the way of a chain through
workers, driver and run folder. At the end every chain is compared with what it must be. Usage::

    python -m code_envs.benchmarks.ray_generation --chains 10000 --kill 0.5 -o ray.json
"""

from __future__ import annotations

import json
import math
import os
import platform
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from code_envs.generation import CHAINS, RayEngine, RunConfig, generate
from code_envs.generation.on_ray import ray_cluster
from code_envs.models import Completion, Request
from code_envs.problem import Case, Chain, Lineage, Mode, Problem, Report

__all__ = ["ScriptedModel", "SimulatedChains", "main", "simulate"]

TEACHER = (45.0, 0.6)
"""Median seconds of a teacher's reply and the sigma of its logarithm: long reasoning, on a busy server."""
STUDENT = (12.0, 0.5)
"""The same for a student's reply; the attempts at a problem are under way together."""


class ScriptedModel:
    """Answers with its request's seed, after a time that is drawn from the seed.

    Args:
        median: Median seconds of a reply.
        sigma: Standard deviation of the logarithm of the seconds.
        scale: What all seconds are multiplied with.
    """

    name = "scripted"

    def __init__(self, median: float, sigma: float, scale: float) -> None:
        self.median, self.sigma, self.scale = median, sigma, scale

    def seconds(self, requests: Sequence[Request]) -> float:
        """How long these requests take together, before scaling."""
        rng = np.random.default_rng([request.seed for request in requests])
        return self.median * math.exp(self.sigma * rng.standard_normal(len(requests)).max())

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Wait as long as the slowest of these replies takes."""
        time.sleep(self.scale * self.seconds(requests))
        return [Completion(text=str(request.seed)) for request in requests]


class SimulatedChains:
    """Makes chains with scripted models as teacher and student.

    Args:
        scale: What the seconds of replies are multiplied with.
    """

    def __init__(self, scale: float) -> None:
        self.teacher, self.student = ScriptedModel(*TEACHER, scale), ScriptedModel(*STUDENT, scale)

    def __call__(self, config: RunConfig, index: int) -> Chain:
        """Make chain ``index``."""
        name, problems, parent = config.id_of(index), [], ""
        for turn, asked, attempts in self._turns(config, index):
            (draft,) = self.teacher.complete([asked])
            replies = self.student.complete(attempts)
            problem = Problem(
                mode=Mode.DEDUCTION,
                program=f"def f(x):\n    return x + {draft.text}\n",
                signature="f(x)",
                cases=(Case.of((turn,), turn + int(draft.text)),),
                lineage=Lineage(chain=name, turn=turn, parent=parent),
            )
            passes = sum(int(reply.text) % 2 for reply in replies)
            report = Report(problem=problem.key, student="scripted", attempts=len(replies), passes=passes)
            problems.append(problem.but(measurements=(report,)))
            parent = problem.key
        return Chain(id=name, problems=tuple(problems))

    def seconds(self, config: RunConfig, index: int) -> float:
        """How long the replies of chain ``index`` take, scaled."""
        turns = self._turns(config, index)
        own = sum(self.teacher.seconds([asked]) + self.student.seconds(attempts) for _, asked, attempts in turns)
        return own * self.teacher.scale

    @staticmethod
    def _turns(config: RunConfig, index: int) -> Iterator[tuple[int, Request, list[Request]]]:
        rng = np.random.default_rng([config.seed, index])
        for turn in range(config.turns):
            first, *rest = (
                Request(messages=(), seed=int(seed)) for seed in rng.integers(2**31, size=config.attempts + 1)
            )
            yield turn, first, rest


def simulate(
    folder: Path, config: RunConfig, *, scale: float, workers: int, in_flight: int, kill: float | None = None
) -> dict[str, Any]:
    """Make a run on a local Ray cluster, and check every chain of it.

    Args:
        folder: The run folder.
        config: The run; only its chains, turns, attempts and seed matter.
        scale: What the seconds of replies are multiplied with.
        workers: Worker actors.
        in_flight: Chains under way at a time.
        kill: After which share of the chains a worker is killed, by SIGKILL; None for never.

    Returns:
        The figures, with what the machine was.
    """
    import ray

    make, finished = SimulatedChains(scale), []
    killed: list[int] = []

    def tell(chain: Chain) -> None:
        finished.append(chain.id)
        if kill is not None and not killed and len(finished) >= kill * config.chains:
            killed.append(_kill_a_worker())

    with ray_cluster("local"):
        start, cpu = time.monotonic(), time.process_time()
        engine = RayEngine(workers=workers, in_flight=in_flight)
        generate(folder, config, make=make, engine=engine, on_chain=tell)
        seconds, cpu = time.monotonic() - start, time.process_time() - cpu
        ray_version = ray.__version__
    expected = SimulatedChains(0.0)
    latencies = [make.seconds(config, index) for index in range(config.chains)]
    lines = (folder / CHAINS).read_text("utf-8").splitlines()
    right = sum(line == expected(config, index).to_json() for index, line in enumerate(lines))
    ideal = sum(latencies) / in_flight
    return {
        "chains": config.chains,
        "workers": workers,
        "in_flight": in_flight,
        "seconds": seconds,
        "chains_per_second": config.chains / seconds,
        "latencies_over_concurrency": ideal,
        "over_ideal": seconds / ideal - 1,
        "longest_chain": max(latencies),
        "driver_cpu_seconds": cpu,
        "killed": len(killed),
        "right": right,
        "lost": config.chains - len({json.loads(line)["id"] for line in lines}),
        "doubled": len(finished) - len(set(finished)),
        "scale": scale,
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "ray": ray_version,
    }


def _kill_a_worker() -> int:
    """Kill a worker of the cluster that this process has started."""
    parents, workers = {}, []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                title = (entry / "cmdline").read_bytes()
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has ended
            if title.startswith(b"ray::ChainWorker"):
                workers.append(int(entry.name))
    for worker in sorted(workers):
        above = worker
        while above > 1:
            above = parents.get(above, 0)
            if above == os.getpid():
                os.kill(worker, signal.SIGKILL)
                return worker
    raise RuntimeError("no worker of this cluster was found")


def main(
    *,
    chains: Annotated[int, typer.Option("--chains", min=1, help="How many chains.")] = 10_000,
    turns: Annotated[int, typer.Option("--turns", min=1, help="Problems in a chain.")] = 6,
    attempts: Annotated[int, typer.Option("--attempts", min=1, help="Attempts at each problem.")] = 32,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Worker actors; each reserves a CPU.")] = 2,
    in_flight: Annotated[int, typer.Option("--in-flight", min=1, help="Chains under way at a time.")] = 256,
    scale: Annotated[float, typer.Option("--scale", help="Seconds that pass here for one of a model.")] = 0.01,
    kill: Annotated[float | None, typer.Option("--kill", help="Kill a worker after this share of the chains.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed draws the same latencies.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the figures as JSON.")] = None,
) -> None:
    """Run the simulation, print its figures, and exit with 1 if a chain is lost, doubled or wrong."""
    config = RunConfig(modes=(Mode.DEDUCTION,), chains=chains, turns=turns, attempts=attempts, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        found = simulate(Path(folder) / "run", config, scale=scale, workers=workers, in_flight=in_flight, kill=kill)
    for name, value in found.items():
        print(f"{name:28} {value:,.3f}" if isinstance(value, float) else f"{name:28} {value}")
    if output:
        output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if found["right"] != chains or found["lost"] or found["doubled"]:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
