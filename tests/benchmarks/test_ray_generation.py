"""The simulated load on Ray: the same chains whatever the time scale, and all of them checked."""

import pytest

from code_envs.benchmarks.ray_generation import SimulatedChains, simulate
from code_envs.generation import RunConfig
from code_envs.problem import Mode

CONFIG = RunConfig(modes=(Mode.DEDUCTION,), chains=60, turns=3, attempts=8, seed=1)


def test_latencies_are_drawn_from_the_seed_and_scale():
    make, slower = SimulatedChains(0.001), SimulatedChains(0.002)
    times = [make.seconds(CONFIG, index) for index in range(20)]
    assert len(set(times)) == 20
    assert [slower.seconds(CONFIG, index) for index in range(20)] == pytest.approx([2 * each for each in times])
    chain = SimulatedChains(0.0)(CONFIG, 3)
    assert chain == SimulatedChains(0.0)(CONFIG, 3)
    assert [problem.lineage.turn for problem in chain.problems] == [0, 1, 2]
    assert all(problem.measurements[0].attempts == 8 for problem in chain.problems)


@pytest.mark.extra
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_killed_worker_loses_and_doubles_nothing(tmp_path):
    ray = pytest.importorskip("ray", reason="pip install -e '.[ray]'")
    if ray.is_initialized():
        pytest.skip("a cluster of other tests is up: pytest -p no:xdist tests/benchmarks/test_ray_generation.py")
    found = simulate(tmp_path / "run", CONFIG, scale=0.002, workers=2, in_flight=8, kill=0.4)
    assert (found["right"], found["lost"], found["doubled"], found["killed"]) == (60, 0, 0, 1)
