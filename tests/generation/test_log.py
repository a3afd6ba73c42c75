"""Chains on disk keep their order, whatever order they finish in and wherever a kill falls."""

import itertools

import pytest

from code_envs.errors import RunError
from code_envs.generation import RunConfig
from code_envs.generation.log import ChainLog
from code_envs.problem import Chain

CONFIG = RunConfig(chains=4)
CHAIN = [Chain(id=CONFIG.id_of(index), problems=()) for index in range(4)]
WHOLE = "".join(chain.to_json() + "\n" for chain in CHAIN)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_every_order_gives_the_same_file_and_nothing_is_lost_in_between(tmp_path, order):
    for done, index in enumerate(order):  # a new process for each chain, as if it was killed after each
        log = ChainLog(tmp_path, CONFIG)
        assert sorted(chain.id for chain in log.found) == sorted(CHAIN[i].id for i in order[:done])
        assert log.missing == sorted(order[done:])
        log.add(index, CHAIN[index])
        log.__exit__(KeyboardInterrupt)  # closes the files, and does nothing more
    with ChainLog(tmp_path, CONFIG) as log:
        assert log.chains == CHAIN
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"chains.jsonl": WHOLE}


def test_torn_lines_and_chains_in_both_files_are_mended(tmp_path):
    (tmp_path / "chains.jsonl").write_text(CHAIN[0].to_json() + "\n" + CHAIN[1].to_json() + "\n" + '{"id":')
    (tmp_path / "ahead.jsonl").write_text(
        CHAIN[3].to_json() + "\n" + CHAIN[1].to_json() + "\n" + CHAIN[2].to_json()[:9]
    )
    with ChainLog(tmp_path, CONFIG) as log:
        assert (log.found, log.missing) == ([CHAIN[0], CHAIN[1], CHAIN[3]], [2])
        log.add(2, CHAIN[2])
    assert (tmp_path / "chains.jsonl").read_text() == WHOLE


@pytest.mark.parametrize("name", ["procedural-induction-1-00000", "procedural-deduction-0-00000", "x", "x-9"])
def test_a_chain_of_another_run_is_named(tmp_path, name):
    (tmp_path / "ahead.jsonl").write_text(Chain(id=name, problems=()).to_json() + "\n")
    with pytest.raises(RunError, match=rf"ahead\.jsonl:1: chain {name} is none of this run"):
        ChainLog(tmp_path, CONFIG)
