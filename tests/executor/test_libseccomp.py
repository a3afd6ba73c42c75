"""libseccomp, given the same policy, writes filters that decide as ours do."""

import ctypes
import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from code_envs.executor import bpf, policy
from code_envs.executor.syscalls import AUDIT_ARCH, MACHINES, table

EQUAL, MASKED_EQUAL = 4, 7
NATIVE, ARCH_BAD_ACTION = 0, 2
UNKNOWN = -1  # to this version of the library
FILTERS = ["zygote", "child", "monitor", "script"]
FOREIGN = (0x40000003, 0x40000028, 0xC0000015, 0)  # i386, arm, ppc64, none


class Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp``."""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


# Of the instructions of an argument check: one comparison for each way to pass, and the verdict otherwise.
MEANINGS = {}
LOW = 0xFFFFFFFF
CHECKS = {
    "deny_bits": lambda argument, mask: ([(argument, MASKED_EQUAL, mask, 0)], bpf.deny()),
    "deny_pointer": lambda argument, code: ([(argument, EQUAL, 0, 0)], bpf.deny(code)),
    "allow_values": lambda argument, values: ([(argument, EQUAL, value, 0) for value in values], bpf.deny()),
    "allow_descriptors": lambda *numbers: ([(0, MASKED_EQUAL, LOW, number) for number in numbers], bpf.deny()),
}


def understand(monkeypatch):
    """Note what each argument check of the policy means, beside its instructions."""

    def noting(make, meaning):
        def noted(*given):
            instructions = make(*given)
            MEANINGS[instructions] = meaning(*given)
            return instructions

        return noted

    for name, meaning in CHECKS.items():
        if hasattr(policy, name):
            monkeypatch.setattr(policy, name, noting(getattr(policy, name), meaning))


@pytest.fixture(scope="module")
def library():
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        pytest.skip("needs libseccomp: apt-get install libseccomp2")
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_arch_native.restype = ctypes.c_uint32
    return library


class Oracle:
    """One policy, written by libseccomp: plain verdicts in one filter, argument checks in one for each verdict."""

    def __init__(self, library, rules, default, machine):
        self.cdll, self.machine = library, machine
        plain = {name: rule for name, rule in rules.items() if isinstance(rule, int) and rule != default}
        checks = {name: rule for name, rule in rules.items() if not isinstance(rule, int)}
        self.unknown = set()
        self.plain = self.export(default, [(name, rule, ()) for name, rule in plain.items()])
        verdicts = {MEANINGS[rule][1] for rule in checks.values()}
        checked = {verdict: self.export_checks(checks, verdict) for verdict in verdicts}
        own = table(machine)
        self.numbers = {own[name]: checked[MEANINGS[rule][1]] for name, rule in checks.items() if name in own}

    def export_checks(self, checks, otherwise):
        meant = {name: MEANINGS[rule] for name, rule in checks.items()}
        passing = [(name, one) for name, (ways, verdict) in meant.items() if verdict == otherwise for one in ways]
        return self.export(otherwise, [(name, bpf.ALLOW, one) for name, one in passing])

    def export(self, default, rules):
        library = self.cdll
        context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(default)))
        arch = ctypes.c_uint32(AUDIT_ARCH[self.machine])
        if library.seccomp_arch_native() != AUDIT_ARCH[self.machine]:
            assert library.seccomp_arch_add(context, arch) == 0
            assert library.seccomp_arch_remove(context, ctypes.c_uint32(NATIVE)) == 0
        assert library.seccomp_attr_set(context, ARCH_BAD_ACTION, ctypes.c_uint32(bpf.KILL)) == 0
        for name, verdict, comparison in rules:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number == UNKNOWN:
                self.unknown.add(table(self.machine).get(name))
                continue
            conditions = (Comparison * 1)(Comparison(*comparison)) if comparison else None
            count = 1 if comparison else 0
            done = library.seccomp_rule_add_array(context, ctypes.c_uint32(verdict), number, count, conditions)
            assert done == 0, (name, done)
        descriptor = os.memfd_create("filter")
        try:
            assert library.seccomp_export_bpf(context, descriptor) == 0
            os.lseek(descriptor, 0, os.SEEK_SET)
            written = os.read(descriptor, 1 << 20)
        finally:
            os.close(descriptor)
            library.seccomp_release(context)
        return list(struct.iter_unpack("<HBBI", written))

    def filter_for(self, number):
        return self.numbers.get(number, self.plain)


@pytest.fixture(params=FILTERS)
def pair(request, machine, library, monkeypatch):
    """Our filter and libseccomp's, of one policy for one machine."""
    make = getattr(policy, f"{request.param}_filter", None)
    if make is None:
        pytest.skip(f"there is no filter {request.param}")
    return build_pair(make, machine, library, monkeypatch)


def build_pair(make, machine, library, monkeypatch):
    understand(monkeypatch)
    seen = {}

    def note(rules, default, machine):
        seen["oracle"] = Oracle(library, rules, default, machine)
        return bpf.assemble(rules, default, machine)

    monkeypatch.setattr(policy, "assemble", note)
    ours = make(machine, 42) if make.__name__ == "monitor_filter" else make(machine)
    return ours, seen["oracle"]


ARGUMENTS = [0, 1, 2, 3, 4, 5, 7, 8, 14, 17, 42, 0x11, 0x01200011, 0x10000011, 1 << 31, 1 << 32, (1 << 32) + 4]
ARGUMENTS += [(1 << 32) + 17, (1 << 32) + 42, (1 << 63) + 3, (1 << 64) - 1]


def test_verdicts_agree_for_every_number(pair, machine, simulate):
    ours, oracle = pair
    arch = AUDIT_ARCH[machine]
    for number in [*range(600), 1000, 0x3FFFFFFF]:
        if number in oracle.unknown:
            continue
        for value in ARGUMENTS if number in oracle.numbers else (0, (1 << 64) - 1):
            arguments = (value,) * 6
            theirs = simulate(oracle.filter_for(number), number, arch, arguments)[0]
            assert simulate(ours, number, arch, arguments)[0] == theirs, (number, arguments)
    assert len(oracle.unknown) < 12, "this version of the library is too old to be an oracle"


def test_verdicts_agree_on_foreign_calls(pair, machine, simulate):
    ours, oracle = pair
    other = next(AUDIT_ARCH[name] for name in MACHINES if name != machine)
    cases = [(number, arch) for number in (0, 39, 59, 322) for arch in (*FOREIGN, other)]
    if machine == "x86_64":  # x32; libseccomp lets -1 through, for tracers that skip a call, and ours does not
        cases += [(0x40000000 | number, AUDIT_ARCH[machine]) for number in (0, 1, 39, 59, 520, 0x3FFFFFFE)]
    for number, arch in cases:
        assert simulate(oracle.plain, number, arch)[0] == bpf.KILL
        assert simulate(ours, number, arch)[0] == bpf.KILL


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("which", MACHINES)
def test_verdicts_agree_on_random_arguments(name, which, library, simulate):
    make = getattr(policy, f"{name}_filter", None)
    if make is None:
        pytest.skip(f"there is no filter {name}")
    with pytest.MonkeyPatch.context() as patch:
        ours, oracle = build_pair(make, which, library, patch)
    near = st.sampled_from(ARGUMENTS).flatmap(
        lambda value: st.sampled_from([value, value ^ 4, (value + 1) % (1 << 64)])
    )
    argument = near | st.integers(0, (1 << 64) - 1)
    numbers = st.integers(0, 480) | st.sampled_from(sorted(oracle.numbers) or [0])

    @settings(max_examples=300)
    @given(numbers, st.tuples(*[argument] * 6))
    def compare(number, arguments):
        if number not in oracle.unknown:
            theirs = simulate(oracle.filter_for(number), number, AUDIT_ARCH[which], arguments)[0]
            assert simulate(ours, number, AUDIT_ARCH[which], arguments)[0] == theirs

    compare()
