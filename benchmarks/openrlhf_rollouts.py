"""How many rollouts a core grades as OpenRLHF's agent does it: ``python -m code_envs.benchmarks.openrlhf_rollouts``.

Each rollout is an episode of one answer: label read, problem found, prompt made, reply graded, logs made.
A third of the replies are right, a third well-formed and wrong, a third malformed; groups of 8 share a
problem, as the trainer's do, and no two replies of a problem are equal, so nothing is graded once for many.
The peer is :func:`code_envs.modes.grade_batch` on the same replies with the same workers: the ratio is what
the agent's path costs beside bare grading. Through Ray it is the shared actor of a machine (``--ray``).

What it is for: an engine that writes ``T`` tokens per second, in answers of ``L`` tokens, finishes ``T / L``
rollouts per second; ``N`` of them need ``N * T / (L * r)`` cores, where ``r`` is the rate measured here.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer

from code_envs.benchmarks.throughput import sample_problems
from code_envs.executor import Executor
from code_envs.integrations.node_grader import Grader, LocalGrader, NodeGrader
from code_envs.integrations.openrlhf_data import problem_rows
from code_envs.integrations.openrlhf_rollout import Rollout
from code_envs.integrations.turns import Tokenizer
from code_envs.modes import grade_batch, rules
from code_envs.problem import Mode, Problem

__all__ = ["GROUP", "Rate", "cores_needed", "main", "make_replies", "measure_mode"]

GROUP = 8
"""Rollouts of one problem."""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """What one mode reached.

    Attributes:
        mode: The mode.
        path: ``process`` (an executor of this process) or ``ray`` (the shared actor).
        workers: Programs at once.
        rollouts: Rollouts in a round.
        per_second_and_core: Graded rollouts per second and worker, the median over the rounds.
        bare: The same for ``grade_batch`` alone.
        ratio: The first by the second.
    """

    mode: str
    path: str
    workers: int
    rollouts: int
    per_second_and_core: float
    bare: float
    ratio: float


def make_replies(problems: Sequence[Problem], batch: int) -> list[tuple[Problem, str]]:
    """A group of distinct replies to each problem.

    Args:
        problems: All of one mode.
        batch: Makes the replies of this batch differ from those of others.
    """
    found = []
    for problem in problems:
        gold = rules(problem.mode).gold(problem)
        for member in range(GROUP):
            note = f"Attempt {batch}.{member}.\n\n"
            found.append((problem, note + (gold, _wrong(gold, batch, member), "I do not know.")[member % 3]))
    return found


def _wrong(gold: str, batch: int, member: int) -> str:
    """An answer that can be read and, in every mode, is run or compared: in vain."""
    head, _, rest = gold.partition("\n")
    body, _, _ = rest.rpartition("\n```")
    spoiled = f"{body}\n\ndef f(*_): return ({batch}, {member})" if "python" in head else f"('{batch}.{member}',)"
    return f"{head}\n{spoiled}\n```"


def cores_needed(engines: int, tokens_per_second: float, answer: float, rate: float) -> float:
    """Cores that grade as fast as engines write.

    Args:
        engines: How many.
        tokens_per_second: What each writes, over all of its requests.
        answer: Tokens of an answer, on average.
        rate: Graded rollouts per second and core.
    """
    return engines * tokens_per_second / answer / rate


class _Plain:
    """A tokenizer that is not asked: episodes have one answer."""

    def apply_chat_template(self, conversation: Any, **settings: Any) -> Any:  # noqa: ARG002
        raise ValueError("there is no template")


async def _roll(pairs: Sequence[tuple[Problem, str]], grader: Grader, tokenizer: Tokenizer) -> list[float]:
    async def one(row: dict[str, Any], reply: str) -> float:
        rollout = Rollout(row["label"], grader, tokenizer)
        await rollout.begin(row["prompt"])
        turn = await rollout.answer(reply)
        assert rollout.logs()["masked"] == 0
        return turn.reward

    rows = list(problem_rows([problem for problem, _ in pairs]))
    return list(await asyncio.gather(*(one(row, reply) for row, (_, reply) in zip(rows, pairs, strict=True))))


def measure_mode(problems: Sequence[Problem], rounds: int, grader: Grader, executor: Executor, path: str) -> Rate:
    """Time the rollouts of one mode, each round beside bare grading of as many.

    Args:
        problems: All of one mode.
        rounds: How many, after one that does not count.
        grader: What the agent grades with.
        executor: What bare grading uses, with as many workers.
        path: What the grader is called.
    """
    agent, bare = [], []
    for number in range(rounds + 1):
        pairs = make_replies(problems, number)
        start = time.perf_counter()
        rewards = asyncio.run(_roll(pairs, grader, _Plain()))
        middle = time.perf_counter()
        grades = grade_batch(make_replies(problems, -1 - number), executor)
        end = time.perf_counter()
        assert rewards == [grade.reward for grade in grades]
        if number:
            agent.append(len(pairs) / (middle - start) / executor.workers)
            bare.append(len(pairs) / (end - middle) / executor.workers)
    return Rate(
        mode=str(problems[0].mode),
        path=path,
        workers=executor.workers,
        rollouts=GROUP * len(problems),
        per_second_and_core=statistics.median(agent),
        bare=statistics.median(bare),
        ratio=statistics.median(own / other for own, other in zip(agent, bare, strict=True)),
    )


def main(
    problems: Annotated[int, typer.Option(min=1, help="Problems of each mode; each gets a group.")] = 16,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Which problems.")] = 0,
    ray: Annotated[bool, typer.Option("--ray", help="Through the shared actor of a local Ray cluster.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure graded rollouts per second and core on the agent's path."""
    found = sample_problems(problems, seed)
    with Executor() as executor:
        grader: Grader = LocalGrader(executor)
        if ray:
            _start_ray()
            grader = NodeGrader()
        path = "ray" if ray else "process"
        rows = [
            measure_mode([problem for problem in found if problem.mode == mode], rounds, grader, executor, path)
            for mode in Mode
        ]
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
        return
    print(f"{rows[0].rollouts} rollouts at once, {rows[0].workers} workers, {path}, median of {rounds} rounds")
    print("mode        rollouts/s/core   grade_batch   ratio")
    for row in rows:
        print(f"{row.mode:<12}{row.per_second_and_core:>15,.0f}{row.bare:>14,.0f}{row.ratio:>8.2f}")
    rate = len(rows) / sum(1 / row.per_second_and_core for row in rows)
    cores = cores_needed(8, 2500, 1000, rate)
    print(f"All modes alike: {rate:,.0f} rollouts/s/core.")
    print(f"8 engines of 2,500 tokens/s with answers of 1,000 tokens need {cores:.2f} cores.")


def _start_ray() -> None:
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)


if __name__ == "__main__":
    typer.run(main)
