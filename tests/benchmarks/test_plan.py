"""The plan of a large run is plain arithmetic over measured costs."""

import pytest

from code_envs.benchmarks.plan import Cost, Speed, measure_cpu, plan, read_cost
from code_envs.errors import RunError
from code_envs.generation import CHAINS, RunConfig, generate
from code_envs.models import RESPONSES, Completion, FileStore
from code_envs.problem import Chain

COST = Cost(
    teacher_read=1000,
    teacher_written=500,
    student_read=2000,
    student_written=1500,
    cpu_seconds=4,
    chain_bytes=1,
    reply_bytes=1,
    seconds=60,
)
SPEED = Speed(read=1000, written=100, cached=0.5)


def test_a_plan_follows_from_its_costs():
    found = plan(1000, 11, COST, SPEED, replies=10)
    # 2000 tokens read and 2000 written: 2 + 20 GPU seconds for each chain, on 11 GPUs one in two seconds
    assert found.chains_per_second == pytest.approx(0.5)
    assert found.days == pytest.approx(2000 / 86_400)
    assert (found.cpus, found.in_flight, found.replies_per_second) == pytest.approx((2, 30, 5))


def test_costs_are_read_from_a_run(tmp_path):
    generate(tmp_path / "run", RunConfig(chains=2), make=lambda config, i: Chain(id=config.id_of(i), problems=()))
    store = FileStore(tmp_path / "run" / RESPONSES)
    for key, role in (("a", "teacher"), ("b", "student"), ("c", "student")):
        store.keep(key, role, "m", Completion(text="x", prompt_tokens=30, completion_tokens=10))
    store.close()
    cost, replies = read_cost(tmp_path / "run", COST)
    assert (cost.teacher_read, cost.teacher_written) == (15, 5)
    assert (cost.student_read, cost.student_written) == (30, 10)
    assert (replies, cost.cpu_seconds) == (1.5, 4)
    assert cost.chain_bytes == (tmp_path / "run" / CHAINS).stat().st_size / 2
    with pytest.raises(RunError, match="not a run folder"):
        read_cost(tmp_path, COST)


@pytest.mark.slow
def test_cpu_seconds_of_the_sandbox_are_counted():
    validating, grading = measure_cpu(attempts=4, problems=1)
    assert validating > 0
    assert grading >= 0
