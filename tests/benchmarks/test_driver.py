"""The memory of a driver is measured in a process of its own, on chains of the size of a model's."""

from code_envs.benchmarks.driver import PHASES, large_chain, measure_memory
from code_envs.generation import RunConfig


def test_a_run_is_made_and_its_peak_found():
    found = measure_memory(3)
    assert [(row.phase, row.chains, row.peak > 10) for row in found] == [(phase, 3, True) for phase in PHASES]
    size = sum(len(large_chain(RunConfig(chains=3), index).to_json()) + 1 for index in range(3))
    assert {1e6 * row.megabytes for row in found} == {size}


def test_chains_differ_and_are_large():
    first, second = (large_chain(RunConfig(chains=2), index) for index in range(2))
    assert not {problem.key for problem in first.problems} & {problem.key for problem in second.problems}
    assert len(first.to_json()) > 50_000
