"""Runs on a real Ray cluster: the same folder as on one machine, whatever is killed.

One cluster for the tests of this file, and one that is started and killed with its driver.
"""

import functools
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray", reason="pip install -e '.[ray]'")
import ray

from code_envs.errors import ConfigError, MissingExtra, ModelError, RunError
from code_envs.executor import Executor
from code_envs.generation import ChainFactory, RayEngine, RunConfig, generate, load_config
from code_envs.generation.on_ray import ray_cluster
from code_envs.models import RESPONSES, Completion, FileStore, ModelConfig, Request, usage_of
from code_envs.models.on_ray import RayModel, RayStore, start_engines, start_store
from code_envs.problem import Case, Chain, Lineage, Mode, Problem

pytestmark = [
    pytest.mark.extra,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
CPUS = 4  # as Ray counts them: the workers here wait more than they work

# A driver of its own that can be killed, with a cluster of its own.
SCRIPT = """
import sys, time
import numpy as np
from code_envs.generation import RayEngine, RunConfig, generate
from code_envs.problem import Case, Chain, Lineage, Mode, Problem

def make(config, index):
    rng, name = np.random.default_rng([config.seed, index]), config.id_of(index)
    time.sleep(rng.random() * 0.3)
    number = int(rng.integers(0, 10**6))
    problem = Problem(
        mode=Mode.DEDUCTION,
        program=f"def f(x):\\n    return x + {number}\\n" + "# padding\\n" * int(rng.integers(0, 2000)),
        signature="f(x)",
        cases=(Case.of((index,), index + number),),
        lineage=Lineage(chain=name),
    )
    return Chain(id=name, problems=(problem,) if index % 3 else ())

if __name__ == "__main__":
    folder, engine = sys.argv[1], RayEngine(workers=2, in_flight=6) if sys.argv[2] == "ray" else None
    told = lambda chain: print(chain.id, flush=True)
    generate(folder, RunConfig(chains=150, seed=3), resume=True, make=make, on_chain=told, engine=engine)
"""
DRAFT = """```python
def f(xs: list[int], k: int) -> list[int]:
    stack = []
    for x in xs:
        while stack and stack[-1] > x:
            k += stack.pop()
        stack.append(x + k % {number})
    return stack + [k * 3]
```
```inputs
[5, 3, 8, 1, 9, 2], {k}
```
"""


@pytest.fixture(scope="module")  # a process has one connection, and other modules have clusters of their own
def cluster(start_ray):
    """A small cluster."""
    with start_ray(num_cpus=CPUS, logging_level="warning"):
        yield


def contents(folder: Path) -> dict[str, bytes]:
    names = ("config.toml", "chains.jsonl", "problems.jsonl")
    assert {path.name for path in folder.iterdir()} - {*names, ".lock", "responses.sqlite", "removed.jsonl"} == set()
    return {name: (folder / name).read_bytes() for name in names}


def scripted(config: RunConfig, index: int) -> Chain:
    """One problem; slow and quick chains alternate, so that they finish out of order."""
    time.sleep(0.2 if index % 5 == 0 else 0.01)
    name = config.id_of(index)
    number = int(np.random.default_rng([config.seed, index]).integers(1000))
    problem = Problem(
        mode=Mode.DEDUCTION,
        program=f"def f(x):\n    return x + {number}\n",
        signature="f(x)",
        cases=(Case.of((1,), number + 1),),
        lineage=Lineage(chain=name),
    )
    return Chain(id=name, problems=() if index % 3 == 2 else (problem,))


def dying(folder: Path, always: bool, config: RunConfig, index: int) -> Chain:
    """Kill the worker at chains 7 and 20: at the first try, or whenever."""
    if index in {7, 20} and (always or not (folder / f"died-{index}").exists()):
        (folder / f"died-{index}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return scripted(config, index)


def answer(body, number=0):
    """A teacher that is wrong at first, sometimes refuses, and a student that is right now and then."""
    text = json.dumps([body["messages"], body["seed"]])
    dice = random.Random(hashlib.sha256(text.encode()).digest())
    if body["model"] == "pupil":
        return "```output\n[1]\n```" if dice.random() < 0.5 else "I do not know."
    if dice.random() < 0.3 and len(body["messages"]) == 1:
        return "I would rather not."
    return DRAFT.format(number=dice.randint(5, 10**6), k=dice.randint(1, 9))


@pytest.fixture
def asking(model_server):
    """A run whose teacher and student are models."""
    own = ModelConfig(model="x", base_url=model_server.url)
    model_server.script = answer
    return RunConfig(
        modes=(Mode.DEDUCTION,),
        chains=6,
        turns=2,
        attempts=4,
        teachers=("master",),
        student="pupil",
        keep=(0, 1),
        teacher_model=own,
        student_model=own,
    )


def test_embedded_teachers_make_the_same_run_on_ray(cluster, tmp_path):
    config = RunConfig(chains=6, modes=(Mode.DEDUCTION, Mode.ABDUCTION), turns=2, attempts=4, seed=5)
    engine = RayEngine(workers=2)
    chains = generate(tmp_path / "ray", config, engine=engine)
    assert chains == generate(tmp_path / "here", config)
    assert contents(tmp_path / "ray") == contents(tmp_path / "here")
    assert load_config(tmp_path / "ray") == config  # the engine is no part of it


def test_models_are_asked_once_and_a_resumed_run_costs_nothing(cluster, model_server, tmp_path, asking):
    here = generate(tmp_path / "here", asking, workers=2)
    asked, model_server.bodies = len(model_server.bodies), []
    engine = RayEngine(workers=2, in_flight=4)
    assert generate(tmp_path / "ray", asking, engine=engine) == here
    assert contents(tmp_path / "ray") == contents(tmp_path / "here")
    assert len(model_server.bodies) == asked
    usage = usage_of(tmp_path / "ray" / "responses.sqlite")
    assert sum(row.calls for row in usage) == asked
    assert engine.tokens == sum(row.prompt_tokens + row.completion_tokens for row in usage)
    (tmp_path / "ray" / "chains.jsonl").unlink()
    assert generate(tmp_path / "ray", asking, engine=engine, resume=True) == here
    assert len(model_server.bodies) == asked  # all replies were in the store
    model_server.bodies, again = [], tmp_path / "again"
    make = ChainFactory(again / RESPONSES, earlier=[tmp_path / "here" / RESPONSES])
    assert generate(again, asking, make=make, engine=engine) == here
    assert model_server.bodies == []
    assert usage_of(again / RESPONSES) == usage_of(tmp_path / "here" / RESPONSES)


def test_a_run_moves_between_one_machine_and_ray(cluster, tmp_path):
    config = RunConfig(chains=20, seed=1)
    whole = generate(tmp_path / "whole", config, make=scripted)

    class Stop(Exception):
        pass

    def stop_at(count):
        told = []

        def tell(chain):
            told.append(chain)
            if len(told) == count:
                raise Stop

        return tell

    with pytest.raises(Stop):
        generate(tmp_path / "run", config, make=scripted, on_chain=stop_at(5))
    old = []
    engine = RayEngine(workers=2, in_flight=6)
    with pytest.raises(Stop):
        generate(
            tmp_path / "run",
            config,
            make=scripted,
            resume=True,
            engine=engine,
            on_chain=stop_at(6),
            on_resumed=old.append,
        )
    assert old == whole[:5]
    found = []
    assert generate(tmp_path / "run", config, make=scripted, resume=True, on_resumed=found.append) == whole
    assert len(found) == 11
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_a_killed_worker_costs_a_retry_and_no_chain(cluster, tmp_path):
    config, told = RunConfig(chains=30, seed=2), []
    make = functools.partial(dying, tmp_path, False)
    generate(tmp_path / "run", config, make=make, engine=RayEngine(workers=2, in_flight=6), on_chain=told.append)
    assert (tmp_path / "died-7").exists()
    assert (tmp_path / "died-20").exists()
    assert sorted(chain.id for chain in told) == sorted(config.id_of(index) for index in range(30))
    generate(tmp_path / "whole", config, make=scripted)
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_a_chain_that_keeps_killing_workers_stops_the_run(cluster, tmp_path):
    make = functools.partial(dying, tmp_path, True)
    with pytest.raises(RunError, match=r"5 workers died while they made chain .*-00007"):
        generate(tmp_path / "run", RunConfig(chains=10), make=make, engine=RayEngine(workers=1, in_flight=1))
    assert (tmp_path / "run" / "chains.jsonl").read_bytes().count(b"\n") == 7


def at_most(config: RunConfig, index: int) -> Chain:
    """Say how many chains this process is at, in the chain's id of a file."""
    folder = Path(config.licence)
    mark = folder / f"{os.getpid()}-{index}"
    mark.touch()
    time.sleep(0.05)
    seen = len(list(folder.iterdir()))
    mark.unlink()
    return Chain(id=config.id_of(index), problems=(), drafts=()) if seen <= 5 else Chain(id="too many", problems=())


def test_no_more_chains_are_under_way_than_allowed(cluster, tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    config = RunConfig(chains=40, licence=str(marks))
    chains = generate(tmp_path / "run", config, make=at_most, engine=RayEngine(workers=3, in_flight=5))
    assert [chain.id for chain in chains] == [config.id_of(index) for index in range(40)]


def test_a_worker_has_a_sandbox_for_one_program_and_shares_it_among_its_chains():
    factory = ChainFactory(programs=1)
    found: list[Executor] = []
    threads = [threading.Thread(target=lambda: found.append(factory._sandbox())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {id(executor) for executor in found} == {id(found[0])}
    assert found[0].workers == 1
    found[0].close()


def test_more_workers_than_cpus_do_not_stop_a_run(cluster, tmp_path):
    config = RunConfig(chains=12)
    chains = generate(tmp_path / "run", config, make=scripted, engine=RayEngine(workers=CPUS + 3))
    assert len(chains) == 12


def test_a_fault_of_a_model_comes_out_as_it_is(cluster, model_server, tmp_path, asking):
    model_server.script = lambda body, number: model_server.raw(status=401, body=b'{"error": {"message": "expired"}}')
    with pytest.raises(ModelError, match=r"401.*expired"):
        generate(tmp_path / "run", asking, engine=RayEngine(workers=2))


def test_a_driver_killed_at_random_moments_loses_and_doubles_nothing(tmp_path):
    script = tmp_path / "make_run.py"
    script.write_text(SCRIPT)
    subprocess.run([sys.executable, script, tmp_path / "whole", "here"], check=True, stdout=subprocess.DEVNULL)
    folder, dice = tmp_path / "run", random.Random(7)
    for kills in range(3):
        with (tmp_path / "errors").open("wb") as errors:
            process = subprocess.Popen([sys.executable, script, folder, "ray"], stdout=subprocess.PIPE, stderr=errors)
        before = sum((folder / name).read_bytes().count(b"\n") for name in ("chains.jsonl", "ahead.jsonl") if kills)
        for _ in range(before + dice.randint(3, 15)):
            assert process.stdout.readline(), (tmp_path / "errors").read_text()
        if kills == 1:
            second = [sys.executable, script, folder, "here"]
            refused = subprocess.run(second, capture_output=True, text=True, check=False)
            assert "another process is at work" in refused.stderr
        if kills < 2:
            process.kill()
        process.stdout.read()
        process.stdout.close()
        assert process.wait() == (-signal.SIGKILL if kills < 2 else 0), (tmp_path / "errors").read_text()
        if kills == 0:  # what a full disk leaves
            with (folder / "ahead.jsonl").open("ab") as file:
                file.write(b'{"id":"procedural-ind')
    assert contents(folder) == contents(tmp_path / "whole")


def test_the_command_runs_on_ray(cluster, tmp_path):
    words = ["generate", "--mode", "deduction", "--chains", "3", "--turns", "1", "--attempts", "4", "--engine", "ray"]
    address = ray.get_runtime_context().gcs_address
    command = [sys.executable, "-m", "code_envs.cli", *words, "--ray-address", address, "--workers", "1"]
    done = subprocess.run([*command, "-o", tmp_path / "run", "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["chains"] == 3
    assert len(re.findall(r"^\d/3 procedural-deduction-0-0000\d: .* left$", done.stderr, re.MULTILINE)) == 3


class FakeEngine:
    """Stands for vLLM's engine, which needs a GPU: echoes, counts what is under way, and dies on request."""

    def __init__(self, model, **settings):
        self.model, self.settings, self.under_way, self.most = model, settings, 0, 0

    async def complete(self, request, timeout):
        import asyncio

        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.3)
        self.under_way -= 1
        text, mark = request.messages[-1]["content"], self.settings.get("mark")
        if text == "die" and not Path(mark).exists():
            Path(mark).touch()
            raise ModelError("the engine has died")
        answer = {"text": text, "pid": os.getpid(), "most": self.most, "timeout": timeout}
        return Completion(text=json.dumps(answer), completion_tokens=1)


def request(text, seed=0):
    return Request(messages=({"role": "user", "content": text},), seed=seed)


def test_requests_share_the_batch_of_an_engine_and_spread_over_engines(cluster):
    make = functools.partial(FakeEngine, "tiny")
    engines = start_engines("tiny", make, 2, 0)
    model = RayModel(ModelConfig(model="tiny", timeout=9), engines)
    ray.get([engine.ready.remote() for engine in engines])
    told = []
    replies = model.complete([request(f"{i}", i) for i in range(40)], lambda place, _: told.append(place))
    found = [json.loads(reply.text) for reply in replies]
    assert [each["text"] for each in found] == [f"{i}" for i in range(40)]
    assert sorted(told) == list(range(40))
    pids = [each["pid"] for each in found]
    assert sorted(pids.count(pid) for pid in set(pids)) == [20, 20]
    assert max(each["most"] for each in found) > 10  # at once, in one engine
    assert {each["timeout"] for each in found} == {9}
    model.close()
    for engine in engines:
        ray.kill(engine)


@pytest.mark.parametrize("count", [1, 2])
def test_a_dead_engine_costs_its_requests_another_try(cluster, tmp_path, count):
    make = functools.partial(FakeEngine, "tiny", mark=str(tmp_path / "died"))
    engines = start_engines("tiny", make, count, 0)
    model = RayModel(ModelConfig(model="tiny"), engines)
    replies = model.complete([request(text) for text in ("a", "die", "b", "c")])
    assert [json.loads(reply.text)["text"] for reply in replies] == ["a", "die", "b", "c"]
    assert (tmp_path / "died").exists()
    model.close()
    for engine in engines:
        ray.kill(engine)


def test_engines_that_cannot_start_or_stay_are_named(cluster, tmp_path):
    def broken():
        raise MissingExtra("vllm", "vllm")

    with pytest.raises(ModelError, match=r"no engine of 'tiny' can start.*code-envs\[vllm\]"):
        start_engines("tiny", broken, 1, 0)
    engines = start_engines("tiny", functools.partial(FakeEngine, "tiny"), 1, 0)
    ray.kill(engines[0])
    model = RayModel(ModelConfig(model="tiny"), engines, patience=0)
    with pytest.raises(ModelError, match="keep dying"):
        model.complete([request("a")])
    model.close()


def test_a_run_has_engines_for_its_models(cluster, tmp_path, model_server, asking):
    """The engine is a fake that answers as the loopback server does; actors, store and workers are real."""
    there = generate(tmp_path / "server", asking, workers=2)
    own = ModelConfig(model="x", backend="vllm")
    config = RunConfig(
        **{name: getattr(asking, name) for name in asking.__struct_fields__}
        | {"teacher_model": own, "student_model": own}
    )
    engine = RayEngine(workers=2, in_flight=4, student_engines=2, tensor_parallel=0, make_engine=AnsweringEngine)
    assert [chain.problems for chain in generate(tmp_path / "run", config, engine=engine)] == [
        chain.problems for chain in there
    ]
    assert {row.model for row in usage_of(tmp_path / "run" / "responses.sqlite")} == {"master", "pupil"}


class AnsweringEngine:
    """Stands for vLLM's engine: answers from the script of the loopback server."""

    def __init__(self, model, tensor_parallel_size):
        assert tensor_parallel_size == 1
        self.model = model

    async def complete(self, request, timeout):
        body = {"messages": list(request.messages), "seed": request.seed, "model": self.model}
        return Completion(text=answer(body), completion_tokens=1)


def test_the_store_outlives_its_actor(cluster, tmp_path):
    store = start_store(tmp_path / "r.sqlite")
    assert isinstance(store, RayStore)
    store.keep("a", "teacher", "m", Completion(text="x")).result()
    ray.kill(store.actor, no_restart=False)
    store.keep("b", "teacher", "m", Completion(text="y"))
    store.keep("b", "teacher", "m", Completion(text="other")).result()
    found = store.find(["a", "b", "c"])
    assert {key: completion.text for key, completion in found.items()} == {"a": "x", "b": "y"}
    ray.kill(store.actor)
    (tmp_path / "thesis").write_text("x" * 1000)
    with pytest.raises(RunError, match="no store of replies"):
        start_store(tmp_path / "thesis")


def test_what_the_store_says_is_kept_outlives_its_kill(cluster, tmp_path):
    store = start_store(tmp_path / "r.sqlite")
    pid = ray.get(store.actor.__ray_call__.remote(lambda _: os.getpid()))
    kept = {str(number): store.keep(str(number), "student", "m", Completion(text="x" * 5000)) for number in range(2000)}
    kept["0"].result()
    os.kill(pid, signal.SIGKILL)  # hundreds are still on their way
    done = [key for key, each in kept.items() if each.done()]
    file = FileStore(tmp_path / "r.sqlite")
    assert set(file.find(done)) == set(done) >= {"0"}
    file.close()
    for each in kept.values():
        each.result()
    assert set(store.find(list(kept))) == set(kept)
    ray.kill(store.actor)


def test_what_cannot_work_is_refused_at_once(monkeypatch):
    with pytest.raises(ConfigError, match="workers is 0; give at least 1"):
        RayEngine(workers=0)
    if not ray.is_initialized():
        with pytest.raises(ConfigError, match="on a node of the cluster"), ray_cluster("ray://host:10001"):
            pass
