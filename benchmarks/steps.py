"""Whether harder turns are harder: ``python -m code_envs.benchmarks.steps --student M --base-url URL``.

Chains of the embedded teacher, every turn of which is asked for in one direction whatever the student does;
the student attempts each problem M times. For each mode: the pass rate p by turn, and Spearman's rank
correlation of the turn with p, over all problems and within chains (p less the mean of its chain, so that
it does not matter that some chains are harder than others). For each mutation: the mean change of p from
parent to child. Intervals are percentiles of a bootstrap that draws whole chains, since the problems of a
chain are not independent. Chains that are impossible or trivial for the student from end to end count:
their p stands still.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
import typer

from code_envs.commands.output import show_table
from code_envs.errors import ProposalFailed
from code_envs.executor import Executor, shared_executor
from code_envs.measure import measure_many
from code_envs.models import CachedModel, Model, ModelConfig, OpenAIModel, Sampling
from code_envs.problem import Direction, Mode, Problem
from code_envs.students import STUDENTS, ModelStudent, Student, make_student
from code_envs.teacher import ProceduralTeacher

__all__ = ["Change", "Rung", "Trend", "changes", "climb", "main", "measure_chain", "show", "spearman", "trends"]

_DRAWS = 2000  # of the bootstrap
Interval = tuple[float, float]


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One problem of a chain, measured.

    Attributes:
        mode: The mode.
        chain: The number of the chain in its mode.
        turn: From 0.
        change: The mutation that made it of the one before; ``grow`` at first.
        passes: Attempts that were right.
        attempts: Attempts that were scored.
    """

    mode: Mode
    chain: int
    turn: int
    change: str
    passes: int
    attempts: int

    @property
    def rate(self) -> float:
        """The pass rate p; NaN if nothing was scored."""
        return self.passes / self.attempts if self.attempts else float("nan")


Chains = Sequence[Sequence[Rung]]


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """What turns do to p in one mode.

    Attributes:
        mode: The mode.
        chains: How many.
        problems: How many.
        by_turn: The mean of p at each turn.
        rho: The rank correlation of turn and p; NaN if p never changes.
        interval: Its 95 % interval.
        within: The same for p less the mean of its chain.
        within_interval: Its 95 % interval.
    """

    mode: Mode
    chains: int
    problems: int
    by_turn: list[float]
    rho: float
    interval: Interval
    within: float
    within_interval: Interval


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What one mutation does to p in one mode.

    Attributes:
        mode: The mode.
        change: The name of the mutation.
        steps: How often it was taken.
        mean: The mean change of p, in [-1, 1].
        interval: Its 95 % interval.
        down: The share of the steps after which p was lower.
        up: The share after which it was higher.
        stuck: The share of the steps before which p was 0 or 1 already.
    """

    mode: Mode
    change: str
    steps: int
    mean: float
    interval: Interval
    down: float
    up: float
    stuck: float


# --- measuring --------------------------------------------------------------------------------


def climb(
    teacher: ProceduralTeacher, rng: np.random.Generator, mode: Mode, *, level: int, turns: int, direction: Direction
) -> list[Problem]:
    """Make a chain that goes in one direction; it ends early where no further variant is found."""
    problems = [teacher.propose(rng, level, mode)]
    while len(problems) < turns:
        try:
            problems.append(teacher.vary(rng, problems[-1], direction))
        except ProposalFailed:
            break
    return problems


def measure_chain(
    problems: Sequence[Problem], student: Student, executor: Executor, *, attempts: int, seed: int, chain: int
) -> list[Rung]:
    """Let a student attempt every problem of a chain.

    Args:
        problems: The chain.
        student: Who attempts it.
        executor: Grades.
        attempts: Attempts at each problem.
        seed: Of the attempts.
        chain: The number of the chain.
    """
    reports = measure_many(problems, student, executor, attempts, seed)
    return [
        Rung(
            mode=problem.mode,
            chain=chain,
            turn=problem.lineage.turn,
            change=problem.lineage.change,
            passes=report.passes,
            attempts=report.attempts,
        )
        for problem, report in zip(problems, reports, strict=True)
    ]


# --- figures ----------------------------------------------------------------------------------


def spearman(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Spearman's rank correlation, ties at their mean rank; NaN if one of both is constant."""
    ranks = np.stack([_ranks(np.asarray(first, dtype=float)), _ranks(np.asarray(second, dtype=float))])
    spread = ranks.std(axis=1)
    if not spread.all():
        return float("nan")
    return float(((ranks - ranks.mean(axis=1, keepdims=True)).prod(axis=0)).mean() / spread.prod())


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    _, place, counts = np.unique(values.round(12), return_inverse=True, return_counts=True)
    ranks: npt.NDArray[np.float64] = (counts.cumsum() - (counts - 1) / 2)[place]
    return ranks


def trends(chains: Chains) -> list[Trend]:
    """What turns do to p, for each mode that has chains."""
    return [_trend(mode, own) for mode, own in _by_mode(chains)]


def _trend(mode: Mode, chains: Chains) -> Trend:
    last = max(rung.turn for chain in chains for rung in chain)
    return Trend(
        mode=mode,
        chains=len(chains),
        problems=sum(map(len, chains)),
        by_turn=[
            float(np.mean([rung.rate for chain in chains for rung in chain if rung.turn == turn]))
            for turn in range(last + 1)
        ],
        rho=_rho(chains),
        interval=_bootstrap(chains, _rho),
        within=_within(chains),
        within_interval=_bootstrap(chains, _within),
    )


def _rho(chains: Chains) -> float:
    rungs = [rung for chain in chains for rung in chain]
    return spearman([rung.turn for rung in rungs], [rung.rate for rung in rungs])


def _within(chains: Chains) -> float:
    turns, rates = [], []
    for chain in chains:
        own = np.array([rung.rate for rung in chain])
        turns += [rung.turn for rung in chain]
        rates += list(own - own.mean())
    return spearman(turns, rates)


def changes(chains: Chains) -> list[Change]:
    """What each mutation does to p, the most frequent first, for each mode that has chains."""
    found = []
    for mode, own in _by_mode(chains):
        counts = Counter(child.change for _, child in _steps(own))
        found += [_change(mode, name, own) for name, _ in counts.most_common()]
    return found


def _change(mode: Mode, name: str, chains: Chains) -> Change:
    taking = [chain for chain in chains if any(child.change == name for _, child in _steps([chain]))]

    def moved(chains: Chains) -> list[float]:
        return [child.rate - parent.rate for parent, child in _steps(chains) if child.change == name]

    steps = moved(taking)
    before = [parent.rate for parent, child in _steps(taking) if child.change == name]
    return Change(
        mode=mode,
        change=name,
        steps=len(steps),
        mean=float(np.mean(steps)),
        interval=_bootstrap(taking, lambda drawn: float(np.mean(moved(drawn)))),
        down=float(np.mean([step < 0 for step in steps])),
        up=float(np.mean([step > 0 for step in steps])),
        stuck=float(np.mean([rate in (0, 1) for rate in before])),
    )


def _steps(chains: Chains) -> Iterator[tuple[Rung, Rung]]:
    for chain in chains:
        yield from pairwise(chain)


def _by_mode(chains: Chains) -> Iterator[tuple[Mode, Chains]]:
    scored = [[rung for rung in chain if rung.attempts] for chain in chains]
    for mode in Mode:
        own = [chain for chain in scored if chain and chain[0].mode == mode]
        if own:
            yield mode, own


def _bootstrap(chains: Chains, statistic: Callable[[Chains], float]) -> Interval:
    """The 2.5 and 97.5 percentiles of a statistic over draws of whole chains; NaN from a single chain."""
    if len(chains) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng([2000, len(chains)])
    draws = rng.integers(len(chains), size=(_DRAWS, len(chains)))
    found = np.array([statistic([chains[at] for at in draw]) for draw in draws])
    found = found[~np.isnan(found)]
    low, high = np.percentile(found, [2.5, 97.5]) if len(found) else (float("nan"),) * 2
    return float(low), float(high)


# --- the command ------------------------------------------------------------------------------


def main(
    *,
    student: Annotated[str, typer.Option(help="A student, or a model at the server.")] = "search",
    base_url: Annotated[str, typer.Option(help="An OpenAI-compatible server, for a model.")] = "",
    mode: Annotated[list[str] | None, typer.Option(help="A mode; all four if not given.")] = None,
    chains: Annotated[int, typer.Option(help="Chains for each mode.")] = 20,
    turns: Annotated[int, typer.Option(help="Problems in a chain, at most.")] = 6,
    attempts: Annotated[int, typer.Option(help="Attempts at each problem.")] = 32,
    level: Annotated[int, typer.Option(help="The level that chains start at, 0 to 9.")] = 1,
    direction: Annotated[Direction, typer.Option(help="Where every turn goes.")] = Direction.HARDER,
    seed: Annotated[int, typer.Option(help="Of the chains and the attempts.")] = 0,
    max_tokens: Annotated[int, typer.Option(help="Tokens of a model's attempt, at most.")] = 1024,
    temperature: Annotated[float, typer.Option(help="A model's temperature.")] = 0.8,
    extra_body: Annotated[str, typer.Option(help="Further fields of a model's requests, as JSON.")] = "",
    timeout: Annotated[float, typer.Option(help="Seconds that a model's attempt may take.")] = 600.0,
    responses: Annotated[Path | None, typer.Option(help="A store of a model's replies, to go on with.")] = None,
    together: Annotated[int, typer.Option(help="Chains under way; a model is asked so much at a time.")] = 8,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A JSON file to write.")] = None,
) -> None:
    """Measure whether problems that are meant to be harder are harder for a student."""
    executor, found = shared_executor(), dict[tuple[int, Mode], list[Rung]]()
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens, extra_body=extra_body)
    config = ModelConfig(model=student, base_url=base_url, timeout=timeout, sampling=sampling)
    lock = threading.Lock()

    def one(job: tuple[int, Mode]) -> None:
        number, kind = job
        rng = np.random.default_rng([seed, list(Mode).index(kind), number])
        teacher = ProceduralTeacher(executor)
        problems = climb(teacher, rng, kind, level=level, turns=turns, direction=direction)
        with _student(config, responses, executor) as own:
            rungs = measure_chain(
                problems, own, executor, attempts=attempts, seed=int(rng.integers(1 << 32)), chain=number
            )
        with lock:
            found[job] = rungs
            if output:  # what is there stays there if the rest is stopped
                output.write_bytes(_written(config, direction, [found[key] for key in sorted(found)]))

    jobs = [(number, kind) for number in range(chains) for kind in ([Mode(name) for name in mode] if mode else Mode)]
    with ThreadPoolExecutor(together) as threads:
        list(threads.map(one, jobs))
    show([found[key] for key in sorted(found)])


@contextmanager
def _student(config: ModelConfig, responses: Path | None, executor: Executor) -> Iterator[Student]:
    """A student for one chain; a model gets one attempt after the other, so that its server can keep the prompt."""
    if config.model in STUDENTS:
        yield make_student(config.model, executor)
        return
    server = OpenAIModel(config, concurrency=1)
    model: CachedModel | OpenAIModel = CachedModel(server, responses, "student") if responses else server
    asked: Model = model
    try:
        yield ModelStudent(asked, config)
    finally:
        model.close()


def _written(config: ModelConfig, direction: Direction, chains: Chains) -> bytes:
    name = config.model if config.model in STUDENTS else config.label
    document = {"student": name, "direction": direction, "trends": trends(chains), "changes": changes(chains)}
    return msgspec.json.format(msgspec.json.encode({**document, "rungs": [rung for chain in chains for rung in chain]}))


def show(chains: Chains) -> None:
    """Print both tables."""
    found = trends(chains)
    most = max((len(trend.by_turn) for trend in found), default=0)
    columns = ["mode", ">chains", ">problems", *(f">p{turn}" for turn in range(most))]
    rows = [
        (
            trend.mode,
            trend.chains,
            trend.problems,
            *(f"{rate:.2f}" for rate in trend.by_turn),
            *[""] * (most - len(trend.by_turn)),
            _signed(trend.rho, trend.interval),
            _signed(trend.within, trend.within_interval),
        )
        for trend in found
    ]
    show_table("Pass rate by turn", [*columns, ">rank correlation (95 %)", ">within chains (95 %)"], rows)
    columns = ["mode", "mutation", ">steps", ">change of p (95 %)", ">lower", ">higher", ">was 0 or 1"]
    moves = [
        (
            row.mode,
            row.change,
            row.steps,
            _signed(row.mean, row.interval),
            *(f"{100 * share:.0f} %" for share in (row.down, row.up, row.stuck)),
        )
        for row in changes(chains)
    ]
    show_table("What each mutation changes", columns, moves)


def _signed(value: float, interval: Interval) -> str:
    if value != value:
        return "–"
    if interval[0] != interval[0]:  # from one chain
        return f"{value:+.2f}"
    return f"{value:+.2f}  ({interval[0]:+.2f} to {interval[1]:+.2f})"


if __name__ == "__main__":
    typer.run(main)
