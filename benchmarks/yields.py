"""What a model as teacher is worth: ``python -m code_envs.benchmarks.yields --model M --base-url URL``.

Two ways to spend the same number of written tokens, from the same seeds in the same order, per mode:

- ``single``: first drafts alone; one that is refused is lost.
- ``multi``: whole chains; refused drafts go back with their complaints, valid problems are attempted by
  the search student and varied by what it did.

Counted are drafts (one call of the model each) and the problems that they became: valid in their mode,
and no two the same in normal form; and those of them that are worth training on, by the pass rate of the
search student.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer

from code_envs.commands.output import percent, show_table
from code_envs.dedup import deduplicate
from code_envs.errors import ProposalFailed
from code_envs.executor import Executor, shared_executor
from code_envs.generation import RunConfig, is_kept
from code_envs.models import CachedModel, Completion, Model, ModelConfig, OnDone, Request, Sampling, make_model
from code_envs.problem import Draft, Mode, Problem, wilson_interval
from code_envs.students import make_student
from code_envs.teacher import ModelTeacher, make_chain, take_notes
from code_envs.teacher.seeds import make_source

__all__ = ["ARMS", "Yield", "main", "measure_yield"]

ARMS = {"single": (0, 1), "multi": (3, 6)}
"""Repairs and turns of each way."""
_ATTEMPTS = 16
_MAX_CHAINS = 10_000


class Yield(msgspec.Struct, frozen=True, kw_only=True):
    """What one way of asking gave in one mode.

    Attributes:
        mode: The mode.
        arm: ``single`` or ``multi``.
        chains: Seeds that were begun with.
        calls: Drafts.
        valid: Distinct valid problems.
        repeated: Valid problems that were the same as an earlier one.
        per_call: Distinct valid problems for each call.
        interval: Its 95 % Wilson interval.
        kept: Those whose pass rate is one that a run keeps (0.01 to 0.97), for the search student.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written; the budget bounds these, the last draft may go over it.
        refused: Drafts by the first check that refused them.
    """

    mode: str
    arm: str
    chains: int
    calls: int
    valid: int
    repeated: int
    per_call: float
    interval: tuple[float, float]
    kept: int
    prompt_tokens: int
    completion_tokens: int
    refused: dict[str, int]


class _Spent(ProposalFailed):
    """The budget is used up."""


class _Budgeted:
    """A model that stops answering once so many tokens are written."""

    def __init__(self, model: Model, budget: int) -> None:
        self.model, self.name, self.left = model, model.name, budget

    @property
    def spent(self) -> bool:
        return self.left <= 0

    def complete(self, requests: Sequence[Request], on_done: OnDone | None = None) -> list[Completion]:
        if self.spent:
            raise _Spent("the budget is used up")
        completions = self.model.complete(requests, on_done)
        # a reply without a count, such as a timeout, must not be free
        self.left -= sum(one.completion_tokens or requests[0].sampling.max_tokens for one in completions)
        return completions


def measure_yield(
    model: Model,
    config: ModelConfig,
    mode: Mode,
    arm: str,
    *,
    budget: int,
    executor: Executor,
    seeds: str = "stdlib",
    constrain: str = "",
    plant_faults: bool = False,
) -> Yield:
    """Spend a budget in one way.

    Args:
        model: The teacher.
        config: How its replies are drawn.
        mode: What problems to ask for.
        arm: A name of :data:`ARMS`.
        budget: Tokens to be written.
        executor: Runs and grades.
        seeds: Where the code comes from.
        constrain: What holds drafts to their form.
        plant_faults: In fuzzing, let a mutation plant the faults.

    Returns:
        What came of it.
    """
    repairs, turns = ARMS[arm]
    limited = _Budgeted(model, budget)
    teacher = ModelTeacher(
        limited,
        config,
        make_source(seeds),
        executor,
        repairs=repairs,
        constrain=constrain,
        plant_faults=plant_faults,
    )
    student = make_student("search", executor)
    drafts: list[Draft] = []
    problems: list[Problem] = []
    chains = 0
    while not limited.spent and chains < _MAX_CHAINS:
        rng = np.random.default_rng([7, list(Mode).index(mode), chains])  # the same seeds for both ways
        chains += 1
        try:
            chain = make_chain(
                teacher,
                student,
                executor,
                rng,
                mode=mode,
                level=4,
                turns=turns,
                attempts=_ATTEMPTS,
                chain_id=str(chains),
            )
            problems += chain.problems
            drafts += chain.drafts
        except ProposalFailed:
            drafts += take_notes(teacher).drafts
    last, _ = deduplicate(reversed(problems), similarity=1.0)
    distinct = len(last)
    return Yield(
        mode=str(mode),
        arm=arm,
        chains=chains,
        calls=len(drafts),
        valid=distinct,
        repeated=len(problems) - distinct,
        per_call=distinct / max(1, len(drafts)),
        interval=wilson_interval(distinct, len(drafts)),
        kept=sum(is_kept(problem, RunConfig()) for problem in last),
        prompt_tokens=sum(draft.prompt_tokens for draft in drafts),
        completion_tokens=sum(draft.completion_tokens for draft in drafts),
        refused=dict(Counter(draft.checks[0] for draft in drafts if draft.checks).most_common()),
    )


def main(
    *,
    model: Annotated[str, typer.Option(help="The model at the server.")],
    base_url: Annotated[str, typer.Option(help="An OpenAI-compatible server.")],
    budget: Annotated[int, typer.Option(help="Tokens to be written, for each mode and way.")] = 20_000,
    mode: Annotated[list[str] | None, typer.Option(help="A mode; all four if not given.")] = None,
    seeds: Annotated[str, typer.Option(help="Where the code comes from.")] = "stdlib",
    max_tokens: Annotated[int, typer.Option(help="Tokens of a draft, at most.")] = 1024,
    temperature: Annotated[float, typer.Option(help="The temperature.")] = 0.8,
    timeout: Annotated[float, typer.Option(help="Seconds that a draft may take.")] = 600.0,
    constrain: Annotated[str, typer.Option(help="What holds drafts to their form: schema, or grammar.")] = "",
    plant_faults: Annotated[
        bool, typer.Option("--plant-faults", help="In fuzzing a mutation plants the faults.")
    ] = False,
    responses: Annotated[Path | None, typer.Option(help="A store of replies, to go on with.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A JSON file to write.")] = None,
) -> None:
    """Compare single drafts with chains that are mended and varied."""
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens)
    config = ModelConfig(model=model, base_url=base_url, timeout=timeout, sampling=sampling)
    served: Model = make_model(config, 8)
    served = CachedModel(served, responses, "teacher") if responses else served
    asked = [Mode(name) for name in mode or list(Mode)]
    found: list[Yield] = []
    lock = threading.Lock()

    def one(kind: Mode) -> None:
        for arm in reversed(ARMS):  # one after the other: first drafts that both need are asked for once
            result = measure_yield(
                served,
                config,
                kind,
                arm,
                budget=budget,
                executor=shared_executor(),
                seeds=seeds,
                constrain=constrain,
                plant_faults=plant_faults,
            )
            with lock:
                found.append(result)
                if output:  # what is there stays there if the rest is stopped
                    output.write_bytes(msgspec.json.format(msgspec.json.encode(found)))

    with ThreadPoolExecutor(len(asked)) as threads:
        list(threads.map(one, asked))
    show(sorted(found, key=lambda row: (list(Mode).index(Mode(row.mode)), list(ARMS).index(row.arm))))


def show(rows: Sequence[Yield]) -> None:
    """Print the yields and what refused the rest."""
    counts = [">seeds", ">calls", ">valid", ">valid per call (95 %)", ">kept", ">tokens read", ">written"]
    table = [
        (
            row.mode,
            row.arm,
            row.chains,
            row.calls,
            row.valid,
            percent(row.per_call, row.interval),
            row.kept,
            row.prompt_tokens,
            row.completion_tokens,
        )
        for row in rows
    ]
    show_table("Distinct valid problems per call of the teacher", ["mode", "arm", *counts], table)
    checks = [check for check, _ in sum((Counter(row.refused) for row in rows), Counter()).most_common()]
    refused = [(row.mode, row.arm, *(row.refused.get(check, 0) for check in checks)) for row in rows]
    show_table("Refused first by", ["mode", "arm", *(f">{check}" for check in checks)], refused)


if __name__ == "__main__":
    typer.run(main)
