"""The plan of a large run is plain arithmetic over costs."""

import pytest

from code_envs.benchmarks.costs import Cost
from code_envs.benchmarks.plan import Speed, plan, store_serves

COST = Cost(
    teacher_calls=4,
    teacher_read=1000,
    teacher_written=500,
    student_calls=6,
    student_read=2000,
    student_written=1500,
    cpu_seconds=4,
    chain_bytes=1,
    reply_bytes=1,
    seconds=60,
)
SPEED = Speed(read=1000, written=100, cached=0.5)


def test_a_plan_follows_from_its_costs():
    found = plan(1000, 11, COST, SPEED, store=20)
    # 2000 tokens read and 2000 written: 2 + 20 GPU seconds for each chain, on 11 GPUs one in two seconds
    assert found.chains_per_second == pytest.approx(0.5)
    assert found.days == pytest.approx(2000 / 86_400)
    assert (found.cpus, found.in_flight, found.replies_per_second) == pytest.approx((2, 30, 5))
    assert found.store_share == pytest.approx(0.25)


def test_the_store_serves_as_many_gpus_as_fill_it():
    serves = store_serves(COST, SPEED, store=20)
    assert serves == pytest.approx(44)
    assert plan(1000, 44, COST, SPEED, store=20).store_share == pytest.approx(1)
