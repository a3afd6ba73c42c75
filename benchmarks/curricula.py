"""A laboratory for curricula: ``python -m code_envs.benchmarks.curricula -o runs/lab``.

A small transformer is trained with GRPO on one fixed set of deduction problems under each curriculum,
with several seeds; every reply is graded by :func:`code_envs.modes.grade_batch`. It draws solve rates
by bin over the steps, and final pass rates on held-out problems with intervals, as Figures 9 to 13 of
arXiv 2603.24202 do for a large model.

What it can show: whether the machinery works, and how the order of problems acts on one small student
that learns twelve functions of three digits from letters. What it cannot: whether the same holds for a
language model that reads programs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
import typer

from code_envs.benchmarks.curricula_plots import draw_curves, draw_final
from code_envs.benchmarks.curricula_policy import Policy, Shape, load_torch
from code_envs.benchmarks.curricula_problems import FAMILIES, make_problems, short_prompt
from code_envs.curricula import POLICIES, SCHEDULES, Sampler, load_bins, place_all
from code_envs.errors import ConfigError, RunError, UnknownName
from code_envs.executor import Executor, shared_executor
from code_envs.modes import Grade, grade_batch
from code_envs.problem import Problem, Report

__all__ = ["BEFORE", "Config", "Lab", "Run", "interval", "main", "prepare", "run_all", "summarise", "train"]

BEFORE = "before training"
_STUDENT = "laboratory"
_ATTEMPTS = 32


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What decides a run of the laboratory.

    Attributes:
        curricula: Names of schedules and adaptive policies.
        seeds: How many seeds each is trained with.
        steps: Training steps.
        batch: Problems in a step.
        group: Attempts at each problem.
        problems: Problems of each family; half of them warm the student up, of the others two thirds
            are trained on and one third is held out.
        warmup: Supervised steps before anything is measured.
        rate: The learning rate of GRPO.
        every: Steps between two evaluations.
        samples: Attempts at each held-out problem in the last evaluation; a quarter of it before.
        shape: How large the student is.
    """

    curricula: tuple[str, ...] = (*SCHEDULES, "learnability")
    seeds: int = 3
    steps: int = 200
    batch: int = 8
    group: int = 16
    problems: int = 300
    warmup: int = 300
    rate: float = 3e-4
    every: int = 40
    samples: int = 8
    shape: Shape = Shape()

    def __post_init__(self) -> None:
        for name in self.curricula:
            if name not in (*SCHEDULES, *POLICIES):
                raise UnknownName("curriculum", name, [*SCHEDULES, *POLICIES])
        if min(self.seeds, self.steps, self.batch, self.warmup, self.every) < 1 or self.samples < 4:
            raise ConfigError("seeds, steps, batch, warmup and every must be positive, and samples at least 4")
        if self.group < 2 or not 6 <= self.problems <= 1000:
            raise ConfigError("a group has at least 2 attempts, and a family 6 to 1000 problems")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One training.

    Attributes:
        curriculum: Its name.
        seed: Of the sampler and of the student's samples.
        steps: At which steps it was evaluated.
        curves: For each bin of the held-out problems the mean pass rates at these steps.
        final: For each held-out problem, by key, the final pass rate.
        seconds: How long it took.
    """

    curriculum: str
    seed: int
    steps: tuple[int, ...]
    curves: Mapping[str, Sequence[float]]
    final: Mapping[str, float]
    seconds: float


class Lab(msgspec.Struct, frozen=True, kw_only=True):
    """What all trainings begin with.

    Attributes:
        config: What decides it.
        policy: The student; its weights are put back before each training.
        weights: Its weights after the warm-up.
        train: Measured problems to train on.
        held_out: Measured problems to evaluate on.
        bins: The bin of each held-out problem, by key.
        before: The pass rate of each held-out problem in attempts of their own: those of the bins would
            flatter, since they chose the bins.
        executor: Grades the replies.
    """

    config: Config
    policy: Policy
    weights: dict[str, Any]
    train: list[Problem]
    held_out: list[Problem]
    bins: Mapping[str, str]
    before: Mapping[str, float]
    executor: Executor


def prepare(config: Config, executor: Executor, device: str = "") -> Lab:
    """Make the problems, warm a student up on half of them, and measure it on the others."""
    found = make_problems(config.problems, 0, executor)
    half = config.problems // 2
    warm = [problem for place, problem in enumerate(found) if place % config.problems < half]
    policy, rng = Policy(config.shape, 0, device), np.random.default_rng([0])
    for _ in range(config.warmup):
        batch = [warm[place] for place in rng.integers(len(warm), size=64)]
        policy.imitate([short_prompt(p) for p in batch], [p.cases[0].result for p in batch])
    others = [problem for place, problem in enumerate(found) if place % config.problems >= half]
    passes = _passes(policy, others, _ATTEMPTS, executor)
    measured = [
        p.but(measurements=(Report(problem=p.key, student=_STUDENT, attempts=_ATTEMPTS, passes=int(count)),))
        for p, count in zip(others, passes, strict=True)
    ]
    held_out = measured[::3]
    placed = place_all(held_out, load_bins("chain"))
    return Lab(
        config=config,
        policy=policy,
        weights=policy.weights(),
        train=[problem for place, problem in enumerate(measured) if place % 3],
        held_out=held_out,
        bins={problem.key: name for problem, name in zip(held_out, placed.names, strict=True)},
        before=_rates(policy, held_out, config.samples, executor),
        executor=executor,
    )


def _attempt(policy: Policy, problems: Sequence[Problem], executor: Executor) -> tuple[list[Grade], Any]:
    """One graded attempt at each problem."""
    answers, ids = policy.sample([short_prompt(problem) for problem in problems])
    replies = [f"```output\n{answer}\n```" for answer in answers]
    return grade_batch(list(zip(problems, replies, strict=True)), executor), ids


def _passes(policy: Policy, problems: Sequence[Problem], attempts: int, executor: Executor) -> npt.NDArray[np.int64]:
    """How many of so many attempts at each problem pass, shape (problems,)."""
    passed: list[bool] = []
    asked = [problem for problem in problems for _ in range(attempts)]
    for start in range(0, len(asked), 4096):
        grades, _ = _attempt(policy, asked[start : start + 4096], executor)
        passed += [grade.passed for grade in grades]
    counts: npt.NDArray[np.int64] = np.array(passed, dtype=np.int64).reshape(-1, attempts).sum(axis=1)
    return counts


def train(lab: Lab, curriculum: str, seed: int) -> Run:
    """Train the warm student under one curriculum."""
    config, policy, start = lab.config, lab.policy, time.perf_counter()
    policy.begin(lab.weights, seed, config.rate)
    sampler = Sampler(lab.train, curriculum, steps=config.steps, batch_size=config.batch, starved="skip", seed=seed)
    at: list[int] = []
    curves: dict[str, list[float]] = {name: [] for name in _shown_bins(lab)}
    for step in range(config.steps):
        if step % config.every == 0:
            _evaluate(lab, step, at, curves)
        asked = [drawn.problem for drawn in (sampler.draw() for _ in range(config.batch)) for _ in range(config.group)]
        grades, ids = _attempt(policy, asked, lab.executor)
        for problem, grade in zip(asked, grades, strict=True):
            sampler.observe(problem, grade)
        policy.reinforce(ids, [grade.reward for grade in grades], config.group)
    _evaluate(lab, config.steps, at, curves)
    final = _rates(policy, lab.held_out, config.samples, lab.executor)
    return Run(
        curriculum=curriculum,
        seed=seed,
        steps=tuple(at),
        curves=curves,
        final=final,
        seconds=time.perf_counter() - start,
    )


def _shown_bins(lab: Lab) -> list[str]:
    return [name for name in load_bins("chain").edges if name in lab.bins.values()]


def _evaluate(lab: Lab, step: int, at: list[int], curves: Mapping[str, list[float]]) -> None:
    rates = _passes(lab.policy, lab.held_out, lab.config.samples // 4, lab.executor) / (lab.config.samples // 4)
    at.append(step)
    for name, curve in curves.items():
        own = [rate for problem, rate in zip(lab.held_out, rates, strict=True) if lab.bins[problem.key] == name]
        curve.append(float(np.mean(own)))


def _rates(policy: Policy, problems: Sequence[Problem], attempts: int, executor: Executor) -> dict[str, float]:
    passes = _passes(policy, problems, attempts, executor)
    return {problem.key: int(count) / attempts for problem, count in zip(problems, passes, strict=True)}


def run_all(lab: Lab, folder: Path, tell: Callable[[str], None] = lambda _: None) -> list[Run]:
    """Train under every curriculum with every seed; what the folder holds already is not trained again.

    Curricula and seeds may be added to a folder later.

    Raises:
        RunError: The folder holds runs of another configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config, done = folder / "config.json", folder / "runs.jsonl"
    if config.exists() and _apart(msgspec.json.decode(config.read_bytes(), type=Config)) != _apart(lab.config):
        raise RunError(f"{folder} holds runs of another configuration: use another folder")
    config.write_bytes(msgspec.json.encode(lab.config))
    runs = _read(done) if done.exists() else []
    wanted = [(name, seed) for seed in range(lab.config.seeds) for name in lab.config.curricula]
    for number, (name, seed) in enumerate(wanted, 1):
        if any((run.curriculum, run.seed) == (name, seed) for run in runs):
            continue
        runs.append(train(lab, name, seed))
        with done.open("ab") as file:
            file.write(msgspec.json.encode(runs[-1]) + b"\n")
        mean = np.mean(list(runs[-1].final.values()))
        tell(f"{number}/{len(wanted)} {name}, seed {seed}: {mean:.3f} held out, {runs[-1].seconds:.0f} s")
    return [run for run in runs if (run.curriculum, run.seed) in wanted]


def _apart(config: Config) -> Config:
    """What all runs of a folder share."""
    return msgspec.structs.replace(config, curricula=(), seeds=1)


def _read(path: Path) -> list[Run]:
    """The finished runs; a line that a kill cut short is trained again."""
    lines = path.read_bytes().split(b"\n")
    runs = [msgspec.json.decode(line, type=Run) for line in lines[:-1]]
    if lines[-1]:
        path.write_bytes(b"".join(line + b"\n" for line in lines[:-1]))
    return runs


def interval(rates: npt.NDArray[np.float64], seed: int = 0, rounds: int = 1000) -> tuple[float, float, float]:
    """The mean of rates with a 95 % bootstrap interval over seeds and problems.

    Args:
        rates: Shape (seeds, problems).
        seed: Of the resampling.
        rounds: How often both are resampled.

    Returns:
        The mean, and the lower and upper bound.
    """
    rng = np.random.default_rng([seed])
    seeds, problems = rates.shape
    means = [
        rates[rng.integers(seeds, size=seeds)][:, rng.integers(problems, size=problems)].mean() for _ in range(rounds)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(rates.mean()), float(low), float(high)


def summarise(lab: Lab, runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """The final held-out pass rates of each curriculum: of each bin, and of all problems."""
    finals = [(BEFORE, lab.before), *((run.curriculum, run.final) for run in runs)]
    for name in (BEFORE, *lab.config.curricula):
        own = [final for curriculum, final in finals if curriculum == name]
        for bin_ in (*_shown_bins(lab), "all"):
            keys = [p.key for p in lab.held_out if bin_ in ("all", lab.bins[p.key])]
            rates = np.array([[final[key] for key in keys] for final in own])
            mean, low, high = interval(rates)
            by_seed = rates.mean(axis=1).tolist()
            row = {"curriculum": name, "bin": bin_, "problems": len(keys), "rate": mean, "low": low, "high": high}
            yield {**row, "by_seed": by_seed}


def main(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The run folder.")],
    curriculum: Annotated[list[str] | None, typer.Option("--curriculum", help="All if not given.")] = None,
    seeds: Annotated[int, typer.Option("--seeds", help="Trainings of each curriculum.")] = 3,
    steps: Annotated[int, typer.Option("--steps", help="Training steps.")] = 200,
    batch: Annotated[int, typer.Option("--batch", help="Problems in a step.")] = 8,
    group: Annotated[int, typer.Option("--group", help="Attempts at each problem.")] = 16,
    rate: Annotated[float, typer.Option("--rate", help="The learning rate.")] = 3e-4,
    problems: Annotated[int, typer.Option("--problems", help="Problems of each of the families.")] = 300,
    warmup: Annotated[int, typer.Option("--warmup", help="Supervised steps before the measurement.")] = 300,
    width: Annotated[int, typer.Option("--width", help="Features of the transformer.")] = 48,
    layers: Annotated[int, typer.Option("--layers", help="Layers of the transformer.")] = 2,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda; the best there is if not given.")] = "",
    threads: Annotated[int, typer.Option("--threads", help="Of torch; more only slow a model of this size down.")] = 1,
) -> None:
    """Train a small student under each curriculum, and draw what came of it."""
    load_torch().set_num_threads(threads)
    config = Config(
        curricula=tuple(curriculum or Config().curricula),
        seeds=seeds,
        steps=steps,
        batch=batch,
        group=group,
        rate=rate,
        problems=problems,
        warmup=warmup,
        shape=Shape(width=width, layers=layers),
    )
    lab = prepare(config, shared_executor(), device)
    counts = place_all(lab.train, load_bins("chain")).counts
    print(f"{len(lab.train)} problems of {len(FAMILIES)} families to train on: {dict(counts)}", flush=True)
    runs = run_all(lab, output, lambda text: print(text, flush=True))
    rows = list(summarise(lab, runs))
    (output / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1))
    (output / "curves.svg").write_text(draw_curves(runs, config.curricula), encoding="utf-8")
    (output / "final.svg").write_text(draw_final(rows), encoding="utf-8")
    for row in rows:
        if row["bin"] == "all":
            print(f"{row['curriculum']:>22}  {row['rate']:.3f}  ({row['low']:.3f}–{row['high']:.3f})")
    print(f"Drawn into {output}/curves.svg and {output}/final.svg")


if __name__ == "__main__":
    typer.run(main)
