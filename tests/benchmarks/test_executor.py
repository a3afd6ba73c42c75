"""The benchmark runs real peers and checks them; its figures are not asserted."""

import json
import subprocess
import sys

import msgspec
import pytest

from code_envs.benchmarks.executor import measure
from code_envs.benchmarks.executor_report import Leg, Report, as_markdown, print_tables, summarise
from code_envs.benchmarks.peers.catalog import PEERS, Entry
from code_envs.benchmarks.workload import make_workload
from code_envs.errors import ConfigError

CHEAP = ("in-process", "bare-fork", "bare-fork-all", "executor", "executor-batch", "cold", "sandboxfusion")


@pytest.fixture(scope="module")
def workload():
    """Two programs; the results asked for of the second are spoiled."""
    right, *_, spoiled = make_workload(programs=8, calls=3, seed=1)
    assert (right.right, spoiled.right) == (True, False)
    return [right, spoiled]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_every_peer_here_tells_right_from_wrong(workload, workers):
    rows = measure(workload, list(PEERS), [workers], rounds=1).rows
    assert [row.peer for row in rows] == list(PEERS)
    assert {row.peer for row in rows if not row.missing} >= set(CHEAP)
    for row in rows:
        if not row.missing:
            assert row.wrong == 0
            assert row.programs_per_second.low == row.programs_per_second.median > 0
            assert row.cpu_ms.median > 0
            assert row.p50_ms is None or 0 < row.p50_ms <= row.p99_ms
            assert ("bare-fork" in row.cpu_times) == (row.peer != "bare-fork")


def test_a_peer_with_wrong_verdicts_is_shown(workload):
    claimed = [msgspec.structs.replace(item, right=True) for item in workload]
    measured = measure(claimed, ["in-process"], [1], rounds=2)
    assert measured.rows[0].wrong == 2  # the spoiled one, in both rounds
    report = _report(measured.rows)
    assert "2 wrong" in as_markdown(report)


def test_what_is_missing_or_fails_is_a_row_with_a_reason(workload, monkeypatch):
    monkeypatch.setitem(PEERS, "nsjail", Entry("nsjail", "cold:nsjail", "pip install it", lambda: False))
    monkeypatch.setitem(PEERS, "cold", Entry("cold", "cold:no_such_function"))
    absent, failed, works = measure(workload, ["nsjail", "cold", "in-process"], [1], rounds=1).rows
    assert absent.missing == "not installed: pip install it"
    assert "no_such_function" in failed.missing
    assert (works.missing, works.wrong) == ("", 0)


def test_an_unknown_peer_is_named(workload):
    with pytest.raises(ConfigError, match="there is no peer 'evalminus': choose from in-process, "):
        measure(workload, ["evalminus"], [1], rounds=1)


def test_ratios_are_taken_within_a_round():
    def leg(seconds, cpu, latencies=()):
        return Leg(seconds=seconds, cpu=cpu, passed=[True, False], latencies=list(latencies))

    legs = {
        ("executor", 1): [leg(1.0, 1.0, (0.25, 0.75)), leg(2.0, 4.0, (0.5, 1.5)), leg(4.0, 1.0, (1.0, 3.0))],
        ("evalplus", 1): [leg(4.0, 9.0), leg(6.0, 9.0), leg(20.0, 9.0)],
        ("bare-fork", 1): [leg(1.0, 1.0), leg(1.0, 2.0), leg(1.0, 2.0)],
        ("executor", 2): [leg(0.5, 1.0), leg(1.0, 1.0), leg(1.0, 1.0)],
    }
    one, *_, two = summarise(legs, dict.fromkeys(legs, "full"), {}, [True, False])
    assert (one.programs_per_second.low, one.programs_per_second.median, one.programs_per_second.high) == (0.5, 1, 2)
    assert (one.times, one.cpu_times) == ({"evalplus": 4.0}, {"bare-fork": 1.0})
    assert (one.p50_ms, one.cpu_ms.median) == (1000, 500)
    assert (one.scaling, two.scaling, two.times, two.p50_ms) == (None, 2.0, {}, None)


def test_the_workload_is_made_from_its_seed(monkeypatch):
    items = make_workload(programs=16, calls=4, seed=3)
    assert items == make_workload(programs=16, calls=4, seed=3)
    assert len({item.program for item in items}) == 16
    assert [item.right for item in items].count(False) == 2
    assert all(len(set(item.calls)) == len(item.expected) == 4 for item in items)
    monkeypatch.setattr("code_envs.benchmarks.workload._TRIES", 0)
    with pytest.raises(ConfigError, match="only 0 programs with 4 distinct calls"):
        make_workload(programs=1, calls=4)


@pytest.mark.slow
@pytest.mark.parametrize("output", ["--json", "--markdown", None])
def test_the_script_prints_what_is_asked_for(output):
    command = [
        sys.executable,
        "-m",
        "code_envs.benchmarks.executor",
        "--programs",
        "2",
        "--calls",
        "2",
        "--workers",
        "1",
    ]
    command += ["--rounds", "1", "--only", "in-process", *([output] if output else [])]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if output == "--json":
        assert [row["peer"] for row in json.loads(printed)["rows"]] == ["in-process"]
    assert "in-process" in printed or PEERS["in-process"].title in printed


def test_tables_show_every_row(workload, capsys):
    report = _report(measure(workload, ["in-process", "cold"], [1, 2], rounds=1).rows)
    lines = as_markdown(report).splitlines()
    assert "2 programs × 3 calls" in lines[0]
    assert any(line.startswith("| 1 worker |") for line in lines)
    assert sum(line.startswith(f"| {PEERS['cold'].title} |") for line in lines) == 2
    print_tables(report)
    assert capsys.readouterr().out.count(PEERS["cold"].title) == 2


def _report(rows):
    return Report(
        programs=2, calls=3, rounds=1, seed=1, machine="m", load_before=0, load_after=0, others=0.0, rows=rows
    )
