"""The benchmark of the store keeps and finds every reply; its figures are not asserted."""

import pytest

from code_envs.benchmarks.store import DiskStore, Load, measure_stores
from code_envs.models import Completion

LOAD = Load(problems=3, drafts=2, attempts=4, prompt=200, draft=900, attempt=100)
DISKCACHE = {"reason": "pip install -e '.[bench]'"}


def test_a_client_asks_for_drafts_and_attempts():
    assert LOAD.replies == 18


@pytest.mark.extra
def test_the_peer_is_a_store_of_replies(tmp_path):
    pytest.importorskip("diskcache", **DISKCACHE)
    store = DiskStore(tmp_path / "peer")
    store.keep("a", "teacher", "m", Completion(text="x"))
    store.keep("a", "teacher", "m", Completion(text="other"))
    store.close()
    again = DiskStore(tmp_path / "peer")
    assert again.find(["a", "b"]) == {"a": Completion(text="x")}
    again.close()


@pytest.mark.extra
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_way_to_the_disk_is_measured(tmp_path, start_ray):
    ray = pytest.importorskip("ray", reason="pip install -e '.[ray]'")
    pytest.importorskip("diskcache", **DISKCACHE)
    if ray.is_initialized():
        pytest.skip("a cluster of other tests is up: pytest -p no:xdist tests/benchmarks/test_store.py")
    with start_ray(address="local", num_cpus=2, logging_level="warning"):
        rows = measure_stores(tmp_path, LOAD, clients=2, rounds=1)
    assert [row.store for row in rows] == ["actor", "file", "diskcache"]
    assert all(0 < row.slowest <= row.kept <= row.fastest and row.found > 0 for row in rows)
    assert rows[0].cpu_ms > 0
