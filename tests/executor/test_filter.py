"""The seccomp filters, run on a simulator of the BPF machine and compared with a plain reading of the rules."""

import errno

import pytest

from code_envs.executor import bpf, policy
from code_envs.executor.syscalls import AUDIT_ARCH, table

EPERM = bpf.ERRNO | errno.EPERM
ARGUMENTS = [
    (0,) * 6,
    (0, 0, 4, 0, 0, 0),
    (0, 0, 7, 0, 0, 0),
    (0, 0, 3, 0, 0, 0),
    (0, 0, 1 << 32 | 4, 0, 0, 0),
    (0, 0, 14, 0, 0, 0),
    (0x01200011, 0, 0, 0, 0, 0),
    (1 << 32 | 0x11, 0, 0, 0, 0, 0),
    (0x10000011, 0, 0, 0, 0, 0),
    (42, 9, 0, 0, 0, 0),
    (0, 0, 0, 4, 0, 0),
    (1 << 31, 0, 0, 0, 0, 0),
    (0, 0, 0, 1 << 40, 0, 0),
]


@pytest.fixture(params=["zygote", "child", "monitor"])
def assembled(request, machine, monkeypatch):
    """The rules of one filter, its default, and the filter itself."""
    seen = {}

    def spy(rules, default, machine):
        seen["rules"], seen["default"] = dict(rules), default
        return bpf.assemble(rules, default, machine)

    monkeypatch.setattr(policy, "assemble", spy)
    filters = {"zygote": policy.zygote_filter, "child": policy.child_filter}
    program = policy.monitor_filter(machine, 42) if request.param == "monitor" else filters[request.param](machine)
    return seen["rules"], seen["default"], program


def test_the_tree_says_what_the_rules_say(simulate, assembled, machine):
    rules, default, program = assembled
    names = {number: name for name, number in table(machine).items()}
    longest = 0
    for number in [*range(600), 0x3FFFFFFF]:
        for arguments in ARGUMENTS:
            verdict, steps = simulate(program, number, AUDIT_ARCH[machine], arguments)
            rule = rules.get(names.get(number), default)  # what the rules say, without any tree
            plain = rule if isinstance(rule, int) else simulate(rule, number, AUDIT_ARCH[machine], arguments)[0]
            assert verdict == plain, (number, arguments)
            longest = max(longest, steps)
    assert longest < 40
    assert len(program) < 4096  # the kernel's bound


def test_foreign_architectures_and_x32_are_killed(simulate, assembled, machine):
    program = assembled[2]
    for arch in (0x40000003, 0x40000028, AUDIT_ARCH["x86_64" if machine == "aarch64" else "aarch64"], 0):
        assert simulate(program, 0, arch)[0] == bpf.KILL
    if machine == "x86_64":
        for number in (0x40000000, 0x40000000 | 39, 0xFFFFFFFF):
            assert simulate(program, number, AUDIT_ARCH[machine])[0] == bpf.KILL


def test_a_child_is_left_with_computing_only(simulate, strictest, machine):
    zygote, child = policy.zygote_filter(machine), policy.child_filter(machine)
    allowed = set()
    for name, number in table(machine).items():
        verdicts = [simulate(program, number, AUDIT_ARCH[machine])[0] for program in (zygote, child)]
        if strictest(verdicts) == bpf.ALLOW:
            allowed.add(name)
    assert allowed == {
        *("brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "futex", "rseq", "sigaltstack"),
        *("clock_gettime", "clock_getres", "gettimeofday"),
        *("exit", "exit_group", "sched_yield", "getuid", "getgid", "geteuid", "getegid"),
    } | ({"time"} if machine == "x86_64" else set())


def test_a_child_reads_no_clock_but_the_one_that_stands_still(simulate, machine):
    def verdict(name, clock, frozen):
        program = policy.child_filter(machine, frozen)
        return simulate(program, table(machine)[name], AUDIT_ARCH[machine], (clock, 0, 0, 0, 0, 0))[0]

    for name in ("clock_gettime", "clock_getres"):
        assert [verdict(name, clock, False) for clock in (0, 1, 2, 11)] == [bpf.ALLOW] * 4
        assert verdict(name, ~1 << 3 & 0xFFFFFFFF | 2, False) == verdict(name, 1 << 31, True) == EPERM
    assert verdict("clock_gettime", 1, True) == EPERM
    assert verdict("clock_getres", 1, True) == bpf.ALLOW


def test_a_child_waits_for_no_time(simulate, machine):
    """Whoever sleeps through the kernel's ticks is not seen by a CPU timer."""
    program, futex = policy.child_filter(machine), table(machine)["futex"]
    assert simulate(program, futex, AUDIT_ARCH[machine])[0] == bpf.ALLOW
    for timeout in (1, 1 << 31, 1 << 40, 0x7FFF_FFFF_F000):
        verdict = simulate(program, futex, AUDIT_ARCH[machine], (4096, 9, 0, timeout, 0, 0))[0]
        assert verdict == bpf.ERRNO | errno.ETIMEDOUT


def test_unknown_numbers_are_denied(simulate, machine):
    for number in (470, 599, 1000, 0x3FFFFFFF):
        assert simulate(policy.zygote_filter(machine), number, AUDIT_ARCH[machine])[0] == EPERM


def test_the_monitor_can_kill_its_zygote_only(simulate, machine):
    program, kill = policy.monitor_filter(machine, 42), table(machine)["kill"]
    assert simulate(program, kill, AUDIT_ARCH[machine], (42, 9, 0, 0, 0, 0))[0] == bpf.ALLOW
    for pid in (0, 1, 43, 0xFFFFFFFF, 1 << 32 | 42):
        assert simulate(program, kill, AUDIT_ARCH[machine], (pid, 9, 0, 0, 0, 0))[0] == EPERM
