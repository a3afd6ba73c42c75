"""The seccomp filters, run on a simulator of the BPF machine and compared with a plain reading of the rules."""

import errno

import pytest

from code_envs.executor import bpf, policy
from code_envs.executor.syscalls import AUDIT_ARCH, MACHINES, table

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


def simulate(program, number, arch, arguments=(0,) * 6):
    """Run a filter; returns its verdict and how many instructions it took."""
    data = {0: number, 4: arch}
    for index, argument in enumerate(arguments):
        data[16 + 8 * index], data[20 + 8 * index] = argument & 0xFFFFFFFF, argument >> 32
    at = value = steps = 0
    while True:
        code, if_true, if_false, constant = program[at]
        at, steps = at + 1, steps + 1
        if code == bpf.RETURN:
            return constant, steps
        if code == bpf.LOAD:
            value = data[constant]
        elif code == bpf.JUMP:
            at += constant
        else:
            holds = {bpf.JEQ: value == constant, bpf.JGE: value >= constant, bpf.JSET: bool(value & constant)}[code]
            at += if_true if holds else if_false


def read_plainly(rules, default, machine, number, arguments):
    """What the rules say, without any tree."""
    names = {number: name for name, number in table(machine).items()}
    rule = rules.get(names.get(number), default)
    return rule if isinstance(rule, int) else simulate(rule, number, AUDIT_ARCH[machine], arguments)[0]


@pytest.fixture(params=MACHINES)
def machine(request):
    return request.param


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


def test_the_tree_says_what_the_rules_say(assembled, machine):
    rules, default, program = assembled
    longest = 0
    for number in [*range(600), 0x3FFFFFFF]:
        for arguments in ARGUMENTS:
            verdict, steps = simulate(program, number, AUDIT_ARCH[machine], arguments)
            assert verdict == read_plainly(rules, default, machine, number, arguments), (number, arguments)
            longest = max(longest, steps)
    assert longest < 40
    assert len(program) < 4096  # the kernel's bound


def test_foreign_architectures_and_x32_are_killed(assembled, machine):
    program = assembled[2]
    for arch in (0x40000003, 0x40000028, AUDIT_ARCH["x86_64" if machine == "aarch64" else "aarch64"], 0):
        assert simulate(program, 0, arch)[0] == bpf.KILL
    if machine == "x86_64":
        for number in (0x40000000, 0x40000000 | 39, 0xFFFFFFFF):
            assert simulate(program, number, AUDIT_ARCH[machine])[0] == bpf.KILL


def strictest(verdicts):
    """How the kernel combines stacked filters."""
    order = {bpf.KILL: 0, bpf.ALLOW: 2}
    return min(verdicts, key=lambda verdict: order.get(verdict, 1))


def test_a_child_is_left_with_computing_only(machine):
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


def test_a_child_reads_no_clock_but_the_one_that_stands_still(machine):
    def verdict(name, clock, frozen):
        program = policy.child_filter(machine, frozen)
        return simulate(program, table(machine)[name], AUDIT_ARCH[machine], (clock, 0, 0, 0, 0, 0))[0]

    for name in ("clock_gettime", "clock_getres"):
        assert [verdict(name, clock, False) for clock in (0, 1, 2, 11)] == [bpf.ALLOW] * 4
        assert verdict(name, ~1 << 3 & 0xFFFFFFFF | 2, False) == verdict(name, 1 << 31, True) == EPERM
    assert verdict("clock_gettime", 1, True) == EPERM
    assert verdict("clock_getres", 1, True) == bpf.ALLOW


def test_a_child_waits_for_no_time(machine):
    """Whoever sleeps through the kernel's ticks is not seen by a CPU timer."""
    program, futex = policy.child_filter(machine), table(machine)["futex"]
    assert simulate(program, futex, AUDIT_ARCH[machine])[0] == bpf.ALLOW
    for timeout in (1, 1 << 31, 1 << 40, 0x7FFF_FFFF_F000):
        verdict = simulate(program, futex, AUDIT_ARCH[machine], (4096, 9, 0, timeout, 0, 0))[0]
        assert verdict == bpf.ERRNO | errno.ETIMEDOUT


def test_unknown_numbers_are_denied(machine):
    for number in (470, 599, 1000, 0x3FFFFFFF):
        assert simulate(policy.zygote_filter(machine), number, AUDIT_ARCH[machine])[0] == EPERM


def test_the_monitor_can_kill_its_zygote_only(machine):
    program, kill = policy.monitor_filter(machine, 42), table(machine)["kill"]
    assert simulate(program, kill, AUDIT_ARCH[machine], (42, 9, 0, 0, 0, 0))[0] == bpf.ALLOW
    for pid in (0, 1, 43, 0xFFFFFFFF, 1 << 32 | 42):
        assert simulate(program, kill, AUDIT_ARCH[machine], (pid, 9, 0, 0, 0, 0))[0] == EPERM


def test_numbers_agree_with_the_running_kernel():
    """A wrong number would allow or deny the wrong call."""
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)
    from code_envs.executor.syscalls import machine as this_machine

    numbers = table(this_machine())
    assert libc.syscall(numbers["getpid"]) == os.getpid()
    assert libc.syscall(numbers["getuid"]) == os.getuid()
    assert libc.syscall(numbers["getppid"]) == os.getppid()


def test_numbers_are_distinct(machine):
    numbers = table(machine)
    assert len(set(numbers.values())) == len(numbers)
    assert len(numbers) > 150
