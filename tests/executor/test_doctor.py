"""The doctor attacks this machine, says what to do about what it finds, and refuses exactly where the executor does."""

import json
import sys

import pytest
from typer.testing import CliRunner

from code_envs.cli import app
from code_envs.errors import ExecutorError, IsolationUnavailable
from code_envs.executor import Executor, Isolation, Status, doctor, kernel, ladder
from code_envs.executor.probes import PROBES, Probe


def run():
    """The command's exit status and its checks by name."""
    done = CliRunner().invoke(app, ["doctor", "--json"])
    found = json.loads(done.stdout)
    assert found["sound"] == (done.exit_code == 0)
    return done.exit_code, {check["name"]: check for check in found["checks"]}


@pytest.fixture
def without(monkeypatch):
    """Make levels fail, as on a machine that does not have them."""

    def fail(*levels):
        start = ladder.start

        def refuse(level, *more):
            if level in levels:
                raise IsolationUnavailable("[Errno 1] unshare: Operation not permitted")
            return start(level, *more)

        monkeypatch.setattr(ladder, "start", refuse)
        monkeypatch.setattr(ladder, "_known", {})

    return fail


@pytest.fixture
def few_attacks(monkeypatch):
    monkeypatch.setattr(doctor, "PROBES", PROBES[:2])


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """Stand-ins for the kernel's own files."""
    monkeypatch.setattr(kernel, "_SYSCTL", tmp_path)
    monkeypatch.setattr(kernel, "_MODULES", tmp_path / "lsm")

    def write(**values):
        for name, value in values.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(value + "\n")

    return write


def test_this_machine_is_attacked_at_every_level():
    status, checks = run()
    assert checks["operating system"]["ok"]
    levels = [name for name in checks if name.startswith("level ")]
    assert levels == ["level full", "level no_userns", "level seccomp"]
    assert any(checks[name]["ok"] for name in levels)
    attacks = [check for name, check in checks.items() if name.startswith("attack on ")]
    assert len(attacks) == len(PROBES)
    assert all(check["ok"] for check in attacks), attacks
    for name in levels:
        assert not checks[name]["ok"] or f"held {len(PROBES)} of {len(PROBES)} attacks" in checks[name]["detail"]
    assert all(check["advice"] for check in checks.values() if not check["ok"])
    assert status == 0


def test_every_feature_of_the_kernel_is_shown(few_attacks):
    _, checks = run()
    for name in ("seccomp", "Landlock", "user namespaces", "tracing"):
        assert checks[f"kernel: {name}"]["detail"]
    assert checks["clock"]["detail"] in ("stands still", "real")


def test_it_refuses_where_the_executor_refuses(without, few_attacks):
    without(*ladder.LEVELS)
    status, checks = run()
    assert status == 1
    assert [check["ok"] for name, check in checks.items() if name.startswith("level")] == [False] * 3
    assert not [name for name in checks if name.startswith("attack")]
    with Executor(workers=1) as executor, pytest.raises(IsolationUnavailable):
        executor.isolation  # noqa: B018


@pytest.mark.parametrize("missing", [(Isolation.FULL,), (Isolation.FULL, Isolation.NO_USERNS)])
def test_it_accepts_where_the_executor_falls_back(without, few_attacks, missing):
    without(*missing)
    status, checks = run()
    assert status == 0
    for level in missing:
        assert not checks[f"level {level.value}"]["ok"]
        assert checks[f"level {level.value}"]["advice"]
    with Executor(workers=1) as executor:
        assert checks[f"level {executor.isolation.value}"]["ok"]
        assert f"attack on {executor.isolation.value}: open a file" in checks


def test_an_attack_that_gets_through_is_named(monkeypatch):
    monkeypatch.setattr(doctor, "PROBES", (*PROBES[:1], Probe("compute", "return 1")))
    status, checks = run()
    assert status == 1
    for level in ("full", "no_userns", "seccomp"):
        if checks[f"level {level}"]["ok"]:
            assert not checks[f"attack on {level}: compute"]["ok"]
            assert "Do not run untrusted programs here" in checks[f"attack on {level}: compute"]["advice"]
    text = CliRunner().invoke(app, ["doctor"])
    assert text.exit_code == 1
    assert "does NOT hold" in text.stdout


def test_an_attack_that_ends_the_sandbox_is_named(monkeypatch, few_attacks):
    def end(zygote, probe):
        raise ExecutorError("The sandbox ended while probing")

    monkeypatch.setattr(doctor, "attack", end)
    status, checks = run()
    assert status == 1
    assert "ended" in checks["attack on full: open a file"]["detail"] or not checks["level full"]["ok"]


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"user__max_user_namespaces": "0"}, "sysctl user.max_user_namespaces=10000"),
        ({"kernel__unprivileged_userns_clone": "0"}, "sysctl kernel.unprivileged_userns_clone=1"),
        (
            {"user__max_user_namespaces": "9000", "kernel__apparmor_restrict_unprivileged_userns": "1"},
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ({}, "CONFIG_USER_NS"),
    ],
)
def test_advice_fits_what_forbids_user_namespaces(without, few_attacks, settings, values, advice):
    settings(**values)
    without(Isolation.FULL)
    status, checks = run()
    assert status == 0
    assert not checks["kernel: user namespaces"]["ok"]
    assert advice in checks["kernel: user namespaces"]["advice"]
    assert checks["level full"]["advice"] == checks["kernel: user namespaces"]["advice"]


def test_advice_for_a_container_is_about_its_manager(without, few_attacks, settings, monkeypatch, tmp_path):
    settings(user__max_user_namespaces="9000", mark="")
    monkeypatch.setattr(kernel, "_CONTAINER_MARKS", (tmp_path / "missing",))
    without(Isolation.FULL)
    assert "security module" in run()[1]["level full"]["advice"]
    monkeypatch.setattr(kernel, "_CONTAINER_MARKS", (tmp_path / "mark",))
    assert "Docker" in run()[1]["level full"]["advice"]


def test_a_kernel_without_filters_or_landlock(without, few_attacks, settings, monkeypatch):
    settings(kernel__seccomp__actions_avail="log allow", lsm="capability,yama", kernel__yama__ptrace_scope="1")
    monkeypatch.setattr(kernel, "landlock_version", lambda libc: 0)
    without(*ladder.LEVELS)
    status, checks = run()
    assert status == 1
    assert "CONFIG_SECCOMP_FILTER" in checks["level seccomp"]["advice"]
    assert "Linux 5.13" in checks["level no_userns"]["advice"]
    assert "capability,yama" in checks["kernel: Landlock"]["detail"]
    assert "Yama ptrace_scope 1" in checks["kernel: tracing"]["detail"]


def test_a_real_clock_is_said_but_refuses_nothing(monkeypatch, few_attacks):
    start = ladder.start

    def real(level):
        zygote = start(level)
        zygote.clock_frozen = False
        return zygote

    monkeypatch.setattr(ladder, "start", real)
    status, checks = run()
    assert status == 0
    assert (checks["clock"]["ok"], checks["clock"]["detail"]) == (False, "real")


@pytest.mark.parametrize("name", ["darwin", "win32"])
def test_other_systems_are_told_what_to_run(monkeypatch, name):
    monkeypatch.setattr(sys, "platform", name)
    status, checks = run()
    assert status == 1
    assert not checks["operating system"]["ok"]
    for word in ("Linux", name, "container", "WSL 2"):
        assert word in checks["operating system"]["advice"]
    assert not [found for found in checks if found.startswith(("level", "attack", "kernel"))]


def test_another_processor_is_told_which_will_do(monkeypatch):
    monkeypatch.setattr(doctor, "machine", lambda: "riscv64")
    status, checks = run()
    assert status == 1
    assert "x86_64 or aarch64" in checks["processor"]["advice"]


def test_a_shortage_of_memory_is_said_but_refuses_nothing(monkeypatch, few_attacks):
    monkeypatch.setattr(doctor, "_available_memory", lambda: 1 << 20)
    status, checks = run()
    assert status == 0
    assert "fewer workers" in checks["memory"]["advice"]


def test_a_slow_machine_is_no_weak_one():
    """Only the attack on the wall limit is about wall time; the others have time to fail."""
    walls = {probe.name: probe.job().limits.wall_seconds for probe in PROBES}
    assert [name for name, wall in walls.items() if wall < 10] == ["wall limit"]
    assert {probe.held for probe in PROBES if probe.name == "wall limit"} == {(Status.WALL,)}


def test_soundness_needs_a_level_and_every_attack():
    level, attack = kernel.Check("level full", True, ""), kernel.Check("attack on full: x", True, "")
    assert doctor.is_sound([level, attack])
    assert not doctor.is_sound([attack])
    assert not doctor.is_sound([level, kernel.Check("attack on seccomp: x", False, "")])
    assert doctor.is_sound([level, kernel.Check("level seccomp", False, ""), kernel.Check("clock", False, "")])
