"""Each level of isolation: attacked for real, demanded, and stamped into all that comes back."""

import pytest

from code_envs.codec import encode
from code_envs.errors import ConfigError, IsolationUnavailable
from code_envs.executor import Execution, Executor, Isolation, Job, Limits, Status, ladder
from code_envs.executor.client import Zygote
from code_envs.executor.probes import PROBES, attack, wait

LIMITS = Limits(cpu_seconds=0.1, wall_seconds=10.0, memory_mib=64, result_bytes=1000)
ADD = "def f(a): return a + 1"


@pytest.fixture(params=ladder.LEVELS, scope="module")
def level(request):
    """Each level that protects and that this machine can give."""
    try:
        ladder.start(request.param).close()
    except IsolationUnavailable as error:
        pytest.skip(f"this machine does not give the level {request.param}: {error}")
    return request.param


@pytest.fixture(scope="module")
def zygote(level):
    with ladder.start(level) as zygote:
        yield zygote


@pytest.fixture
def weaken(monkeypatch, level):
    """Make this machine one that gives no level above the one under test."""
    return forbid(monkeypatch, ladder.LEVELS[: ladder.LEVELS.index(level)])


def forbid(monkeypatch, levels):
    monkeypatch.setattr(ladder, "_known", {(level, ""): f"no {level.value} here" for level in levels})
    return levels


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_every_attack_is_stopped_at_every_level(zygote, level, probe):
    done = attack(zygote, probe)
    assert probe.is_held(done), done
    assert done.isolation is level


def test_some_attacks_get_through_where_only_limits_are_left():
    """The control: the probes can tell a level that holds from one that does not."""
    with ladder.start(Isolation.UNSAFE) as zygote:
        held = {probe.name: probe.is_held(attack(zygote, probe)) for probe in PROBES}
    assert not any(held[name] for name in ("execute a program", "executable memory", "signal a process", "bpf"))
    assert held["memory limit"]
    assert held["CPU limit"]


def test_a_level_without_its_filter_is_refused(level):
    """The attacks at the start notice, so the level does not count as in force."""
    with Zygote(level, seccomp=False) as zygote:
        wait(zygote)
        zygote.finish_start()
        with pytest.raises(IsolationUnavailable, match="was not stopped as it must be"):
            ladder._check(zygote)


def every_kind_of_execution(executor):
    """Executions of all statuses that a test can bring about, by different ways into the executor."""
    bodies = {
        Status.OK: "return 1",
        Status.RAISED: "return 1 // 0",
        Status.EXITED: "os._exit(1)",
        Status.CPU: "while True: pass",
        Status.RECURSION: "return f()",
        Status.MEMORY: "return bytearray(1 << 40)",
        Status.TOO_LARGE: "return 'x' * 5000",
    }
    for status, body in bodies.items():
        (done,) = executor.run(f"import os\ndef f():\n    {body}", "f", [()], LIMITS)
        assert done.status is status, done
        yield done
    yield from executor.run("def f(", "f", [(), ()], LIMITS)
    yield from executor.run("#" * (9 << 20), "f", [()], LIMITS)  # refused before it is sent
    yield from executor.run_script("print(input())", ["a", "b"], LIMITS)
    call = encode((1,), ordered=True)
    yield from executor.run_jobs([Job(program=ADD, entry="f", calls=[call, call], isolate_calls=True)])[0]
    for _ in range(2):  # the second time it may be remembered
        yield from executor.run_jobs([Job(program=ADD, entry="f", calls=[call])])[0]


def test_the_level_is_stamped_into_every_execution(level, weaken):
    with Executor(workers=1, min_isolation=level, remember=8) as executor:
        found = list(every_kind_of_execution(executor))
        assert len(found) > 15
        assert {done.isolation for done in found} == {level}
        assert executor.isolation is level


def test_the_strongest_level_is_used_whatever_less_is_accepted(level, weaken):
    for minimum in ladder.LEVELS[ladder.LEVELS.index(level) :]:
        with Executor(workers=1, min_isolation=minimum) as executor:
            assert executor.isolation is level


def test_less_than_is_demanded_is_refused_with_every_reason(level, weaken):
    for demanded in weaken:
        tried = ladder.LEVELS[: ladder.LEVELS.index(demanded) + 1]
        with Executor(workers=1, min_isolation=demanded) as executor:
            with pytest.raises(IsolationUnavailable, match="code-envs doctor") as caught:
                executor.run(ADD, "f", [(1,)])
            assert f"level {demanded.value!r} or stronger" in str(caught.value)
            for above in tried:
                assert f"{above.value}: no {above.value} here" in str(caught.value)


def test_unsafe_has_to_be_asked_for_in_words(monkeypatch):
    forbid(monkeypatch, ladder.LEVELS)
    with Executor(workers=1) as executor, pytest.raises(IsolationUnavailable):
        executor.run(ADD, "f", [(1,)])
    with pytest.raises(ConfigError, match="allow_unsafe=True"):
        Executor(min_isolation=Isolation.UNSAFE)
    with Executor(workers=1, allow_unsafe=True) as executor:
        assert {done.isolation for done in every_kind_of_execution(executor)} == {Isolation.UNSAFE}


@pytest.mark.parametrize("platform", ["darwin", "win32", "freebsd14"])
def test_other_systems_are_refused_with_what_to_do(platform, monkeypatch):
    monkeypatch.setattr("sys.platform", platform)
    for unsafe in (False, True):
        with Executor(workers=1, allow_unsafe=unsafe) as executor:
            with pytest.raises(IsolationUnavailable, match="Linux container or virtual machine") as caught:
                executor.run(ADD, "f", [(1,)])
            assert platform in str(caught.value)


def test_an_execution_that_nothing_is_said_of_claims_no_protection():
    assert Execution(status=Status.OK).isolation is Isolation.UNSAFE
