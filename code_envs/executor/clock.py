"""Clocks: one that stands still, and one that counts CPU time exactly.

The time that a program sees is the same in every run, so that programs that ask for it are deterministic.

Reading a clock makes no system call that a filter could stop: the C library jumps into the vDSO, a
page of code that the kernel maps into every process. This module overwrites, in this process and those
forked from it, the entries of that page with a few instructions that give a constant. So everything
that asks the C library stands still: ``time``, ``datetime``, and the seed of an unseeded generator.

Where the page cannot be changed (another machine, a kernel that seals it) the clock stays real.
Standard library only: the sandboxed interpreter loads this file.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterator
from typing import Any

from code_envs.executor.confine import Libc

__all__ = ["Alarm", "epoch", "freeze", "now"]

_START = 1_700_000_000  # 2023-11-14 22:13:20 UTC, a Tuesday
_STEP = 37_000_000  # seconds between two variants: another year, month, day and hour
_AT_SYSINFO_EHDR = 33
_CPU_CLOCK = 2  # CLOCK_PROCESS_CPUTIME_ID
_PROT_READ, _PROT_WRITE, _PROT_EXEC = 1, 2, 4
_DYNAMIC, _STRTAB, _SYMTAB = 2, 5, 6

# x86-64, with the seconds of CLOCK_REALTIME in "T". Clocks but REALTIME, REALTIME_COARSE and TAI stand at 1.5 s.
_CODE = {
    # mov rax,T; test edi,edi; je L; cmp edi,5; je L; cmp edi,11; je L; mov eax,1;
    # L: mov [rsi],rax; mov qword [rsi+8],500000000; xor eax,eax; ret
    "__vdso_clock_gettime": "48b8 T 85ff 740f 83ff05 740a 83ff0b 7405 b801000000 488906 48c746080065cd1d 31c0 c3",
    # mov rax,T; test rdi,rdi; je L; mov [rdi],rax; mov qword [rdi+8],500000; L: xor eax,eax; ret
    "__vdso_gettimeofday": "48b8 T 4885ff 740b 488907 48c7470820a10700 31c0 c3",
    # mov rax,T; test rdi,rdi; je L; mov [rdi],rax; L: ret
    "__vdso_time": "48b8 T 4885ff 7403 488907 c3",
    # mov rax,-ENOSYS; ret: randomness comes from the system call, which the filter sees
    "__vdso_getrandom": "48c7c0daffffff c3",
}


def epoch(variant: int) -> int:
    """Return the second since 1970 at which the clock of a variant stands."""
    return _START + _STEP * variant


def freeze(libc: Libc, machine: str, seconds: int) -> bool:
    """Stop the clock of this process, before a filter forbids executable memory to change.

    Args:
        libc: The C library.
        machine: One of ``syscalls.MACHINES``.
        seconds: Where the clock is to stand, in seconds since 1970.

    Returns:
        Whether it stands still now; False where it stays as it was.
    """
    libc.cdll.getauxval.restype = ctypes.c_ulong
    base = libc.cdll.getauxval(ctypes.c_ulong(_AT_SYSINFO_EHDR))
    if machine != "x86_64" or not base:
        return False
    image = _Image(base)
    found = {name: (address, size) for name, address, size in image.symbols()}
    patches = []
    for name, code in _CODE.items():
        body = bytes.fromhex(code.replace("T", struct.pack("<q", seconds).hex()))
        address, size = found.get(name, (0, 0))
        if size >= len(body):
            patches.append((address, body))
        elif name == "__vdso_clock_gettime" or size:
            return False  # nothing is changed unless everything can be
    try:
        image.protect(libc, _PROT_READ | _PROT_WRITE | _PROT_EXEC)
    except OSError:
        return False
    for address, body in patches:
        ctypes.memmove(address, body, len(body))
    image.protect(libc, _PROT_READ | _PROT_EXEC)
    return True


class _Image:
    """The vDSO: a small 64-bit ELF image, whose headers and tables fill less than a page."""

    def __init__(self, base: int) -> None:
        self.base, self.head = base, ctypes.string_at(base, 4096)
        segments_at, sections_at = struct.unpack_from("<QQ", self.head, 32)
        width, count, section_width, sections = struct.unpack_from("<HHHH", self.head, 54)
        self.segments = [
            struct.unpack_from("<IIQQQQQQ", self.head, segments_at + width * index) for index in range(count)
        ]
        end = max(offset + size for _, _, offset, _, _, size, _, _ in self.segments)
        self.size = max(end, sections_at + section_width * sections) + 4095 & -4096

    def protect(self, libc: Libc, protection: int) -> None:
        """Change what may be done with the image; the kernel takes it whole or not at all."""
        libc.call("mprotect", ctypes.c_void_p(self.base), ctypes.c_size_t(self.size), protection)

    def symbols(self) -> Iterator[tuple[str, int, int]]:
        """Name, address and size of each function."""
        head = self.head
        dynamic, length = next((segment[2], segment[5]) for segment in self.segments if segment[0] == _DYNAMIC)
        tags = dict(struct.unpack_from("<QQ", head, at) for at in range(dynamic, dynamic + length, 16))
        names = tags[_STRTAB]
        for at in range(tags[_SYMTAB], names, 24):  # the names follow the symbols
            name, _, _, _, value, size = struct.unpack_from("<IBBHQQ", head, at)
            yield head[names + name : head.index(b"\0", names + name)].decode(), self.base + value, size


class _Time(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _Setting(ctypes.Structure):
    _fields_ = [("interval", _Time), ("value", _Time)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("value", ctypes.c_long),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_long * 6),
    ]


class Alarm:
    """Ends the process that starts it by a signal, once it has used some CPU time.

    A POSIX timer on the clock of the process counts run time exactly. ``setitimer`` and ``RLIMIT_CPU``
    count ticks of the kernel's clock instead, and on a busy machine they have been seen to fire after
    two thirds of the time.
    """

    def __init__(self, syscall: Callable[..., int], numbers: dict[str, int], number: int) -> None:
        self._syscall, self._event, self._timer = syscall, _Event(signal=number), ctypes.c_int()
        self._create, self._start = (ctypes.c_long(numbers[f"timer_{what}"]) for what in ("create", "settime"))

    def steps(self, seconds: float) -> tuple[tuple[Callable[..., int], tuple[Any, ...]], ...]:
        """Say what starts it: two system calls with their arguments, each 0 on success."""
        setting = _Setting(value=_Time(int(seconds), int(seconds % 1 * 1e9)))
        event, timer = ctypes.byref(self._event), ctypes.byref(self._timer)
        return (
            (self._syscall, (self._create, ctypes.c_long(_CPU_CLOCK), event, timer)),
            (self._syscall, (self._start, self._timer, 0, ctypes.byref(setting), None)),
        )


def now(libc: Libc) -> float:
    """Return the kernel's monotonic time in seconds, past a clock that stands still."""
    time = _Time()
    libc.syscall("clock_gettime", ctypes.c_long(1), ctypes.byref(time))
    return float(time.seconds + time.nanoseconds * 1e-9)
