"""The system call numbers are those of the kernel's headers, of libseccomp and of the running kernel."""

import ctypes
import importlib.util
import os
import re
import shutil
from pathlib import Path

import pytest

from code_envs.executor import policy, syscall_numbers
from code_envs.executor.syscalls import AUDIT_ARCH, table
from code_envs.executor.syscalls import machine as this_machine

# Entries of uprobes' own trampolines. Other headers and libraries leave them out.
TRAMPOLINES = {"uprobe", "uretprobe"}


def load_builder():
    spec = importlib.util.spec_from_file_location("build_syscalls", Path(__file__).with_name("build_syscalls.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def builder():
    builder = load_builder()
    missing = [str(path) for path in (builder.X86_64, builder.AARCH64, builder.VERSION) if not path.exists()]
    if missing or shutil.which("cc") is None:
        pytest.skip("needs the kernel's headers and a C preprocessor: apt-get install linux-libc-dev gcc")
    return builder


def test_numbers_are_those_of_the_headers(builder, machine):
    """Numbers are only ever added: of older headers all are known, and what they lack comes after."""
    header = builder.read_header({"x86_64": builder.X86_64, "aarch64": builder.AARCH64}[machine])
    numbers = table(machine)
    assert len(header) > 290
    assert {name: numbers.get(name) for name in header} == header
    newer = {name: number for name, number in numbers.items() if name not in header and name not in TRAMPOLINES}
    assert all(number > max(header.values()) for number in newer.values()), newer


def test_the_module_is_what_the_builder_writes(builder):
    page = builder.build(table("x86_64"), table("aarch64"), syscall_numbers.LINUX)
    assert page == builder.TARGET.read_text(encoding="utf-8"), "run: make syscalls"


def test_headers_that_would_lose_calls_are_refused(builder, monkeypatch, tmp_path):
    few = tmp_path / "unistd_64.h"
    few.write_text("#define __NR_read 0\n")
    monkeypatch.setattr("sys.argv", ["build_syscalls.py", "--x86-64", str(few)])
    before = builder.TARGET.read_bytes()
    with pytest.raises(SystemExit, match=r"would lose \d+ calls, such as \w+:"):
        builder.main()
    assert builder.TARGET.read_bytes() == before


def test_numbers_are_those_of_libseccomp(machine):
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        pytest.skip("needs libseccomp: apt-get install libseccomp2")
    arch = ctypes.c_uint32(AUDIT_ARCH[machine])
    numbers = table(machine)
    known = 0
    for row in syscall_numbers.NUMBERS.split():
        name = row.split(":")[0]
        theirs = library.seccomp_syscall_resolve_name_arch(arch, name.encode())
        if theirs == -1:  # unknown to this version of the library
            continue
        known += 1
        assert numbers.get(name) == (theirs if theirs >= 0 else None), name  # negative: not on this machine
    assert known > 350


def test_numbers_agree_with_the_running_kernel():
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = table(this_machine())
    assert libc.syscall(numbers["getpid"]) == os.getpid()
    assert libc.syscall(numbers["getuid"]) == os.getuid()
    assert libc.syscall(numbers["getppid"]) == os.getppid()


def test_numbers_are_distinct(machine):
    numbers = table(machine)
    assert len(set(numbers.values())) == len(numbers)
    assert len(numbers) > 290


def test_every_name_of_the_policy_exists(monkeypatch):
    """A misspelt name would be skipped without a word."""
    named = set()

    def note(rules, default, machine):
        named.update(rules)
        return []

    monkeypatch.setattr(policy, "assemble", note)
    for name in policy.__all__:
        make = getattr(policy, name)
        make("x86_64", 42) if name == "monitor_filter" else make("x86_64")
    assert len(named) > 120
    assert named - {*table("x86_64"), *table("aarch64")} == set()


def test_the_table_is_one_that_the_builder_can_read_back():
    rows = syscall_numbers.NUMBERS.split()
    assert all(re.fullmatch(r"[a-z0-9_]+:(\d+|-):(\d+|-)", row) for row in rows)
    assert re.fullmatch(r"\d+\.\d+", syscall_numbers.LINUX)
