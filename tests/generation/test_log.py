"""Chains on disk keep their order, whatever order they finish in and wherever a kill falls."""

import itertools
import os
import shutil
from collections.abc import Iterator

import pytest

from code_envs.errors import RunError
from code_envs.generation import RunConfig
from code_envs.generation.log import ChainLog
from code_envs.problem import Chain, Seed

CONFIG = RunConfig(chains=4)
CHAIN = [Chain(id=CONFIG.id_of(index), problems=()) for index in range(4)]
WHOLE = "".join(chain.to_json() + "\n" for chain in CHAIN)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_every_order_gives_the_same_file_and_nothing_is_lost_in_between(tmp_path, order):
    for done, index in enumerate(order):  # a new process for each chain, as if it was killed after each
        found = []
        log = ChainLog(tmp_path, CONFIG, found.append)
        assert sorted(chain.id for chain in found) == sorted(CHAIN[i].id for i in order[:done])
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
    found = []
    with ChainLog(tmp_path, CONFIG, found.append) as log:
        assert (found, log.missing) == ([CHAIN[0], CHAIN[1], CHAIN[3]], [2])
        log.add(2, CHAIN[2])
    assert (tmp_path / "chains.jsonl").read_text() == WHOLE


@pytest.mark.parametrize("name", ["procedural-induction-1-00000", "procedural-deduction-0-00000", "x", "x-9"])
def test_a_chain_of_another_run_is_named(tmp_path, name):
    (tmp_path / "ahead.jsonl").write_text(Chain(id=name, problems=()).to_json() + "\n")
    with pytest.raises(RunError, match=rf"ahead\.jsonl:1: chain {name} is none of this run"):
        ChainLog(tmp_path, CONFIG)


def large_chain(config: RunConfig, index: int) -> Chain:
    """A chain of 40 KB, none like another."""
    return Chain(id=config.id_of(index), problems=(), seed=Seed(text=f"{index:03d} " * 10_000, origin=""))


def never_all_in_order(count: int) -> Iterator[int]:
    """All indexes up to an even count; from the first to the last but two some chain waits for an earlier one."""
    yield from (2, 0)
    for index in range(1, count, 2):
        yield from (index + 3, index) if index + 3 < count else (index,)


def test_what_has_moved_on_does_not_pile_up_while_some_chain_is_always_early(tmp_path):
    config, most = RunConfig(chains=200), 0
    assert sorted(never_all_in_order(200)) == list(range(200))
    with ChainLog(tmp_path, config) as log:
        for index in never_all_in_order(200):
            log.add(index, large_chain(config, index))
            most = max(most, (tmp_path / "ahead.jsonl").stat().st_size)
        assert log.chains == [large_chain(config, index) for index in range(200)]
    assert most < 1.5e6 < 100 * 40_000  # those that were early
    assert not (tmp_path / "ahead.jsonl").exists()


def test_a_kill_between_any_two_writes_loses_and_doubles_nothing(tmp_path, monkeypatch):
    config, kills, sync = RunConfig(chains=70), [], os.fsync

    def note(file: int) -> None:
        sync(file)
        kills.append(shutil.copytree(tmp_path / "run", tmp_path / f"kill-{len(kills)}"))

    monkeypatch.setattr(os, "fsync", note)
    (tmp_path / "run").mkdir()
    with ChainLog(tmp_path / "run", config) as log:
        for index in never_all_in_order(70):
            log.add(index, large_chain(config, index))
    monkeypatch.undo()
    assert any((folder / "ahead.jsonl.part").exists() for folder in kills)  # one fell into a rewrite
    whole = (tmp_path / "run" / "chains.jsonl").read_bytes()
    for folder in kills:
        found = []
        with ChainLog(folder, config, found.append) as log:
            assert len({chain.id for chain in found}) == len(found) == 70 - len(log.missing)
            for index in log.missing:
                log.add(index, large_chain(config, index))
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"chains.jsonl": whole}
