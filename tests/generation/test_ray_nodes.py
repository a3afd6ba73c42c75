"""Runs on a Ray cluster of several nodes, some of which are lost; all of them are on this machine."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="pip install -e '.[ray]'")
from ray.cluster_utils import Cluster

from code_envs.generation import generate, load_config
from code_envs.models import usage_of

pytestmark = [
    pytest.mark.extra,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
CHAINS = 40
WORDS = ["generate", "--mode", "deduction", "--turns", "2", "--attempts", "4", "--student", "pupil", "--keep", "0", "1"]
QUICK = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 6}
QUICK |= {"gcs_rpc_server_reconnect_timeout_s": 40}  # after which Ray ends a driver


@pytest.fixture
def nodes():
    """A cluster whose head has no CPU, so that all workers are on the nodes that a test adds."""
    quiet = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 100 * 2**20}
    for attempt in range(3):  # a busy machine may be too slow for Ray
        try:
            cluster = Cluster(initialize_head=True, head_node_args={**quiet, "_system_config": QUICK})
            break
        except Exception:
            if attempt == 2:
                raise
    yield cluster
    cluster.shutdown()


@pytest.fixture
def answering():
    """While it is cleared, the student answers nothing."""
    event = threading.Event()
    event.set()
    yield event
    event.set()  # after a fault, too: the server waits for what it is at


@pytest.fixture
def pupil(model_server, answering):
    """A student that is right now and then, and takes its time."""

    def answer(body, number):
        time.sleep(0.2)
        answering.wait()
        text = json.dumps([body["messages"], body["seed"]])
        right = random.Random(hashlib.sha256(text.encode()).digest()).random() < 0.5
        return "```output\n[1]\n```" if right else "I do not know."

    model_server.script = answer
    return model_server


class Run:
    """The command in a process of its own."""

    def __init__(self, folder: Path, url: str, *more: str) -> None:
        command = [sys.executable, "-m", "code_envs.cli", *WORDS, "--chains", str(CHAINS), "--base-url", url]
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*command, "-o", folder, *more], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def read(self, chains: int | None = None) -> list[str]:
        """Wait for so many chains that are done, or for the end."""
        while (chains is None or self.chains < chains) and (line := self.process.stderr.readline()):
            self.lines.append(line.rstrip())
        if chains is not None:
            assert self.chains >= chains, self.lines
        return self.lines

    @property
    def chains(self) -> int:
        return sum(f"/{CHAINS} procedural-" in line for line in self.lines)

    def ends(self) -> int:
        self.read()
        self.process.stderr.close()
        return self.process.wait()


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("config.toml", "chains.jsonl", "problems.jsonl")}


def children(pid: int) -> dict[int, str]:
    """The processes that a process has started, with what they are called."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().rstrip(b"\0").decode()
            except OSError:
                continue  # it has ended
    return found


def raylet_of(node) -> int:
    return node.all_processes["raylet"][0].process.pid


def workers_of(node) -> int:
    return sum("ChainWorker" in title for title in children(raylet_of(node)).values())


def lose(node) -> None:
    """Kill a node as a power cut does: its raylet and all of its workers."""
    for pid in [raylet_of(node), *children(raylet_of(node))]:
        with suppress(ProcessLookupError):  # a worker may end by itself when its raylet is gone
            os.kill(pid, signal.SIGKILL)


def wait_for_worker(node, run: Run) -> None:
    while not workers_of(node):
        assert run.process.poll() is None, run.lines
        time.sleep(0.1)


def test_nodes_come_and_go_and_the_run_stays_the_same(nodes, pupil, answering, tmp_path):
    first, second = nodes.add_node(num_cpus=2), nodes.add_node(num_cpus=2)
    run = Run(tmp_path / "run", pupil.url, "--engine", "ray", "--ray-address", nodes.address, "--in-flight", "8")
    run.read(4)
    assert workers_of(first)
    assert workers_of(second)
    lose(second)
    run.read(8)
    answering.clear()  # on a busy machine the run would be over before the node has come
    third = nodes.add_node(num_cpus=2)
    wait_for_worker(third, run)
    answering.set()
    lose(first)  # what is left is made by the node that came late
    assert run.ends() == 0, run.lines
    assert run.chains == CHAINS
    here = generate(tmp_path / "here", load_config(tmp_path / "run"), workers=8)
    assert len(here) == CHAINS
    assert contents(tmp_path / "run") == contents(tmp_path / "here")
    calls = [sum(row.calls for row in usage_of(tmp_path / name / "responses.sqlite")) for name in ("run", "here")]
    assert calls[0] == calls[1]


def test_a_lost_node_of_the_driver_ends_the_run_and_a_resume_goes_on(nodes, pupil, tmp_path):
    nodes.add_node(num_cpus=2)
    run = Run(tmp_path / "run", pupil.url, "--engine", "ray", "--ray-address", nodes.address, "--in-flight", "8")
    run.read(4)
    lose(nodes.head_node)  # the store of replies is there, too
    code = run.ends()
    assert code in (1, 2), run.lines  # newer Rays (seen with 2.60) end the process at once, without a word
    if code == 2:
        assert "the cluster has lost the node that this process is on" in run.lines[-1]
        assert "go on with --resume" in run.lines[-1]
    done = run.chains
    assert done < CHAINS
    resumes_elsewhere(tmp_path, pupil.url, done)


def test_a_lost_head_is_told_before_ray_ends_the_run_and_a_resume_goes_on(nodes, pupil, tmp_path):
    nodes.add_node(num_cpus=2)
    run = Run(tmp_path / "run", pupil.url, "--engine", "ray", "--ray-address", nodes.address, "--in-flight", "8")
    run.read(4)
    os.kill(nodes.head_node.all_processes["gcs_server"][0].process.pid, signal.SIGKILL)
    assert run.ends() == 1
    (told,) = [line for line in run.lines if "the head of the Ray cluster" in line]
    assert "go on with --resume" in told
    resumes_elsewhere(tmp_path, pupil.url, run.chains)


def resumes_elsewhere(folder: Path, url: str, done: int) -> None:
    again = Run(folder / "run", url, "--engine", "ray", "--ray-address", "local", "--workers", "2", "--resume")
    assert again.ends() == 0, again.lines
    assert again.chains <= CHAINS - done  # what was told is on disk
    generate(folder / "here", load_config(folder / "run"), workers=8)
    assert contents(folder / "run") == contents(folder / "here")
