"""Whatever is done with a run, memory holds a few of its chains at a time, never all of them.

What is allocated is counted, over chains that are far larger together than what may be held.
"""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from code_envs.benchmarks.driver import large_chain
from code_envs.commands.exporting import export_run
from code_envs.generation import RunConfig, generate, load_config
from code_envs.generation.remeasure import remeasure
from code_envs.integrations.openrlhf_data import write_dataset
from code_envs.problem import Mode, load_chains, stored_problems
from code_envs.report import write_report
from code_envs.report.card import describe_run

COUNT, SIZE = 250, 60_000
MOST = 6_000_000  # bytes, of 15 million; most of it is what draws the plots of a report


def config(chains: int = COUNT) -> RunConfig:
    return RunConfig(modes=(Mode.DEDUCTION,), chains=chains, turns=2, similarity=1.0)


def backwards(config, indexes, make):
    """An engine whose last chain finishes first: all but one have to wait on disk."""
    for index in reversed(indexes):
        yield index, make(config, index)


def peak(do: Callable[[], object]) -> int:
    """The bytes that were allocated at a time, at most."""
    tracemalloc.start()
    try:
        do()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class Speechless:
    """A student that has one answer to everything."""

    name = "speechless"

    def answer(self, prompts, *, seed=0):
        return ["?" for _ in prompts]


READERS: dict[str, Callable[[Path, Path], object]] = {
    "resume": lambda run, _: generate(run, load_config(run), resume=True),
    "report": lambda run, _: write_report(run),
    "card": lambda run, _: describe_run(run),
    "export": lambda run, out: export_run(run, out, "jsonl", eval_share=0.5, seed=0),
    "remeasure": lambda run, out: remeasure(
        stored_problems(run), Speechless(), out.with_name(f"{out.name}.jsonl"), attempts=1, resume=True
    ),
    "openrlhf": lambda run, out: write_dataset(
        stored_problems(run), out, eval_share=0.5, labels="key", relatives=load_chains(run / "chains.jsonl")
    ),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("memory") / "run"
    small = folder.with_name("small")
    generate(small, config(2), make=large_chain)  # what is imported and remembered at first does not count
    for do in READERS.values():
        do(small, folder.with_name("first"))
    generate(folder, config(), make=large_chain)
    assert folder.joinpath("chains.jsonl").stat().st_size > COUNT * SIZE
    assert len(stored_problems(folder)) == 2 * COUNT
    return folder


@pytest.mark.parametrize("engine", [None, backwards])
def test_making_a_run_holds_no_chains(run, tmp_path, engine):
    assert peak(lambda: generate(tmp_path / "run", config(), make=large_chain, engine=engine)) < MOST
    for name in ("chains.jsonl", "problems.jsonl", "removed.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes()


@pytest.mark.parametrize("name", READERS)
def test_what_reads_a_run_holds_no_chains(run, tmp_path, name):
    assert peak(lambda: READERS[name](run, tmp_path)) < MOST


def test_the_chains_of_a_run_are_read_when_they_are_asked_for(run):
    held = []
    assert peak(lambda: held.append(generate(run, config(), resume=True))) < MOST
    (chains,) = held
    assert (len(chains), chains[-1], chains[3:5]) == (
        COUNT,
        large_chain(config(), COUNT - 1),
        [large_chain(config(), 3), large_chain(config(), 4)],
    )
    assert list(chains) == chains == [large_chain(config(), index) for index in range(COUNT)]
    with pytest.raises(IndexError):
        chains[COUNT]
