"""What is measured is what it says; figures are not asserted."""

import asyncio

from code_envs.benchmarks.online_service import make_service, measure_in_process, measure_through_ray


def test_each_rollout_asks_and_reports_once(tmp_path):
    with make_service(64, teacher=False, folder=tmp_path / "state") as service:
        cost = measure_in_process("here", service, rollouts=32, rounds=2)
        counts = service.stats()
    assert (counts["asked"], counts["reports"], counts["open"], counts["late"]) == (64, 64, 0, 0)
    assert 0 < cost.median <= cost.p99
    assert cost.rate > 0


def test_clients_share_the_rollouts_of_a_round():
    seen, at_once, most = [], 0, 0

    async def rollout(ticket, number):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        seen.append((ticket, number))

    cost = measure_through_ray("peer", rollout, clients=4, rollouts=32, rounds=2)
    assert len(seen) == len(set(seen)) == 96  # one round warms up
    assert {number for _, number in seen} == set(range(32))
    assert len({ticket for ticket, _ in seen}) == 12  # groups of eight
    assert (most, cost.clients) == (4, 4)
