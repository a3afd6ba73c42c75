"""The actor in a real Ray cluster; it needs ``pip install 'code-envs[ray]'``."""

import asyncio
import gc
import importlib.util
import os
import pickle
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from code_envs.curricula import CurriculumService, Sampler, load_online, open_service
from code_envs.errors import ConfigError, MissingExtra, RunError, ServiceUnavailable, UnknownName
from code_envs.integrations.ray_service import ServiceClient, connect, join_cluster, serve
from code_envs.modes.base import Grade, Outcome
from code_envs.problem import Mode, save_records
from code_envs.teacher import ProceduralTeacher

PASSED = Grade(outcome=Outcome.PASSED, reward=1.0)
INSTALLED = importlib.util.find_spec("ray") is not None
needs_ray = [
    pytest.mark.extra,
    pytest.mark.skipif(not INSTALLED, reason="needs: pip install 'code-envs[ray]'"),
    pytest.mark.filterwarnings("ignore:.*Tip. In future versions of Ray:FutureWarning"),
]
CONFIG = 'problems = "problems.jsonl"\nbatch_size = 4\ngroup_size = 4\nteacher = "procedural"\n'


@pytest.fixture(scope="module")
def ray(start_ray):
    """A cluster of this machine."""
    with start_ray(num_cpus=4) as ray:
        yield ray


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("online")
    teacher = ProceduralTeacher()
    problems = [teacher.propose(np.random.default_rng([0, at]), 1, Mode.DEDUCTION) for at in range(8)]
    save_records(folder / "problems.jsonl", problems)
    (folder / "online.toml").write_text(CONFIG)
    return folder / "online.toml"


@pytest.fixture
def client(ray, config, tmp_path, request):
    """A service of its own for the test."""
    made = serve(load_online(config), tmp_path / "state", name=request.node.name, num_cpus=0, patience=60)
    yield made
    try:
        made.stop_sync()
    except ServiceUnavailable:
        pass  # the test has stopped it


class TestInACluster:
    pytestmark = needs_ray

    def test_many_agents_at_once_work_on_whole_groups(self, client):
        async def rollout(ticket):
            drawn = await client.ask(ticket)
            await client.report(ticket, PASSED, index=drawn.index, reply="```output\n1\n```")
            return drawn

        async def step(number):
            return await asyncio.gather(*(rollout(f"{number}-{at // 4}") for at in range(16)))

        for number in range(10):
            draws = asyncio.run(step(number))
            for at in range(0, 16, 4):
                assert len({drawn.problem.key for drawn in draws[at : at + 4]}) == 1
            assert {drawn.step for drawn in draws} == {number}
        stats = client.stats_sync()
        assert (stats["asked"], stats["reports"], stats["open"], stats["late"]) == (160, 160, 0, 0)
        assert stats["rates"] == {"deduction": 1.0}
        end = time.monotonic() + 120
        while not client.stats_sync()["harder"] and time.monotonic() < end:
            asyncio.run(step(f"more {time.monotonic()}"))
        assert client.stats_sync()["harder"] > 0  # the teacher works in the actor

    def test_agents_in_other_processes_find_it_by_its_name(self, ray, client):
        @ray.remote(num_cpus=0)
        def agent(name, sent, ticket):
            found = [connect(name, patience=30), sent]
            drawn = [each.ask_sync(ticket) for each in found]
            for each in found:
                each.report_sync(ticket, Grade(outcome=Outcome.WRONG), index=drawn[0].index)
            return [one.problem.key for one in drawn]

        refs = [agent.remote(client.name, client, number // 2) for number in range(8)]
        answers = ray.get(refs, timeout=120)
        for at in range(0, 8, 2):
            assert len({key for keys in answers[at : at + 2] for key in keys}) == 1
        assert client.stats_sync()["reports"] == 16

    def test_an_actor_that_is_killed_is_begun_anew_and_knows_everything(self, client):
        drawn = client.ask_sync("a")
        client.report_sync("a", PASSED, index=drawn.index)
        pid = client.stats_sync()["pid"]
        os.kill(pid, signal.SIGKILL)
        assert client.ask_sync("a") == drawn
        stats = client.stats_sync()
        assert stats["pid"] != pid
        assert (stats["asked"], stats["reports"], stats["open"]) == (2, 1, 1)

    def test_coroutines_outlive_a_kill_too(self, client):
        async def ask_while_it_dies():
            first = await client.ask("a")
            os.kill((await client.stats())["pid"], signal.SIGKILL)
            rest = await asyncio.gather(*(client.ask("a") for _ in range(3)))
            return {drawn.index for drawn in (first, *rest)}

        assert asyncio.run(ask_while_it_dies()) == {0}
        assert client.stats_sync()["asked"] == 4

    def test_a_stopped_service_goes_on_under_the_same_name(self, client, config, tmp_path):
        drawn = client.ask_sync("a")
        client.stop_sync()
        again = serve(load_online(config), tmp_path / "state", name=client.name, num_cpus=0)
        assert again.ask_sync("a") == drawn
        assert serve(load_online(config), tmp_path / "state", name=client.name).ask_sync("a") == drawn

    def test_services_in_conflict_are_refused(self, client, config, tmp_path):
        with pytest.raises(ConfigError, match="a service with another configuration runs as"):
            serve(load_online(config), tmp_path / "elsewhere", name=client.name)
        with pytest.raises(RunError, match="another process is at work"):
            serve(load_online(config), tmp_path / "state", name="second", num_cpus=0)

    def test_what_a_service_refuses_reaches_the_caller_in_one_sentence(self, ray, config, tmp_path):
        path = tmp_path / "bad.toml"
        path.write_text(f'problems = "{config.parent}/problems.jsonl"\npolicy = "sofd"\n')
        with pytest.raises(UnknownName, match="Did you mean 'soft'"):
            serve(load_online(path), name="bad", num_cpus=0)
        with pytest.raises(ServiceUnavailable, match=r"'bad' in Ray's namespace 'code-envs' did not answer for 0.5 s"):
            connect("bad", patience=0.5)

    def test_a_function_may_make_the_service(self, ray, config):
        problems = config.parent / "problems.jsonl"
        make = partial(CurriculumService, Sampler(problems, "failure-first"))
        made = serve(make, name="own", num_cpus=0, detached=False)
        gc.collect()
        assert made.ask_sync(0).index == 0
        assert made.state_dict_sync()["sampler"]["index"] == 1
        made.stop_sync()

    def test_the_command_serves_until_it_is_told_to_stop(self, ray, config, tmp_path):
        command = [sys.executable, "-m", "code_envs.cli", "curriculum", "serve", str(config), "-o", str(tmp_path / "s")]
        address = ray.get_runtime_context().gcs_address
        options = ["--address", address, "--name", "by-command", "--every", "0.5", "--json"]
        process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert '"asked": 0' in process.stdout.readline()
            drawn = connect("by-command", patience=60).ask_sync("a")
            while '"asked": 1' not in process.stdout.readline():
                assert process.poll() is None
        finally:
            process.send_signal(signal.SIGTERM)
            rest, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
        assert '"asked": 1' in rest.splitlines()[-1]
        assert "by-command is stopped" in told
        with open_service(load_online(config), tmp_path / "s") as service:
            assert service.ask("a") == drawn

    def test_the_command_serves_for_the_time_of_another(self, ray, config, tmp_path):
        command = [sys.executable, "-m", "code_envs.cli", "curriculum", "serve", str(config), "-o", str(tmp_path / "s")]
        command += ["--address", ray.get_runtime_context().gcs_address, "--name", "beside", "--"]
        there = (
            f"import pathlib, sys; sys.exit(3 if pathlib.Path({str(tmp_path / 's' / 'state.json')!r}).exists() else 4)"
        )
        done = subprocess.run(
            [*command, sys.executable, "-c", there], check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 3, done.stderr
        assert done.stdout.startswith("step 0: 0 reports (0 late)")  # what it came to, though no minute has passed
        assert "beside is stopped" in done.stderr
        done = subprocess.run([*command, "no-such-command"], check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 2
        assert "'no-such-command' cannot be run: No such file" in done.stderr
        with pytest.raises(ServiceUnavailable):
            connect("beside", patience=0.5)


@pytest.mark.skipif(not INSTALLED, reason="needs: pip install 'code-envs[ray]'")
@pytest.mark.extra
def test_without_a_cluster_that_is_said_at_once(monkeypatch):
    import ray

    def find_none(**_):  # Ray looks through all processes of the machine: it cannot be kept from finding one
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", find_none)
    with pytest.raises(ServiceUnavailable, match=r"no Ray cluster at 'auto': Could not .* Start one with 'ray start"):
        join_cluster()
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ServiceUnavailable, match=r"not connected to a Ray cluster: call ray\.init"):
        connect()


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    for call in (connect, join_cluster, lambda: serve(lambda: None), ServiceClient().stats_sync):
        with pytest.raises(MissingExtra, match=r"pip install 'code-envs\[ray\]'"):
            call()


def test_a_client_can_be_sent():
    sent = pickle.loads(pickle.dumps(ServiceClient("a", "b", patience=3.0)))
    assert (sent.name, sent.namespace, sent.patience) == ("a", "b", 3.0)
