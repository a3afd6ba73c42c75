"""A small assembler for seccomp-BPF filters, laid out as a binary search tree.

When a filter is installed, the kernel emulates it once for every system call number, so a linear
chain costs (numbers x length) and a tree (numbers x log length). Standard library only: the
sandboxed interpreter loads this file too.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from code_envs.executor.syscalls import AUDIT_ARCH, table

__all__ = [
    "ALLOW",
    "ERRNO",
    "KILL",
    "Instruction",
    "Rule",
    "allow_descriptors",
    "allow_values",
    "arguments",
    "assemble",
    "deny",
    "deny_bits",
    "deny_pointer",
    "install",
    "prepare",
]

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant
Rule = int | tuple[Instruction, ...]  # what a system call gets: a verdict, or a check of its arguments

LOAD, JUMP, JEQ, JGE, JSET, RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCH, _X32 = 0, 4, 0x40000000


def deny(code: int = errno.EPERM) -> int:
    """Return the verdict that lets a system call fail with an error code (0: do nothing, give 0)."""
    return ERRNO | code


def _low(argument: int) -> int:
    return 16 + 8 * argument


def _return(verdict: int) -> Instruction:
    return (RETURN, 0, 0, verdict)


def deny_bits(argument: int, mask: int) -> tuple[Instruction, ...]:
    """Deny a call whose argument (its low 32 bits) has any bit of ``mask``."""
    return ((LOAD, 0, 0, _low(argument)), (JSET, 0, 1, mask), _return(deny()), _return(ALLOW))


def deny_pointer(argument: int, code: int) -> tuple[Instruction, ...]:
    """Let a call fail with an error code if its argument (all 64 bits) points somewhere."""
    low = _low(argument)
    check = ((LOAD, 0, 0, low), (JEQ, 0, 2, 0), (LOAD, 0, 0, low + 4), (JEQ, 1, 0, 0))
    return (*check, _return(deny(code)), _return(ALLOW))


def allow_values(argument: int, values: Iterable[int]) -> tuple[Instruction, ...]:
    """Allow a call only if its argument (all 64 bits) is one of ``values``, each below 2**32."""
    check: list[Instruction] = [(LOAD, 0, 0, _low(argument) + 4), (JEQ, 1, 0, 0), _return(deny())]
    check.append((LOAD, 0, 0, _low(argument)))
    for value in values:
        check += [(JEQ, 0, 1, value), _return(ALLOW)]
    return (*check, _return(deny()))


def allow_descriptors(*numbers: int) -> tuple[Instruction, ...]:
    """Allow a call only if its first argument is one of these descriptors: 32 bits, as the kernel reads it."""
    check: list[Instruction] = [(LOAD, 0, 0, _low(0))]
    for number in numbers:
        check += [(JEQ, 0, 1, number), _return(ALLOW)]
    return (*check, _return(deny()))


def assemble(rules: Mapping[str, Rule], default: int, machine: str) -> list[Instruction]:
    """Assemble a filter.

    Args:
        rules: Verdict or argument check by system call name; names unknown to the machine are skipped.
        default: The verdict for everything else.
        machine: One of ``syscalls.MACHINES``.

    Returns:
        The instructions: foreign architectures and x32 are killed first, then a search tree.
    """
    numbers = table(machine)
    by_number = {numbers[name]: rule for name, rule in rules.items() if name in numbers}
    head: list[Instruction] = [(LOAD, 0, 0, _ARCH), (JEQ, 1, 0, AUDIT_ARCH[machine]), _return(KILL)]
    head.append((LOAD, 0, 0, _NUMBER))
    if machine == "x86_64":
        head += [(JGE, 0, 1, _X32), _return(KILL)]
    return head + _tree(_ranges(by_number, default))


def _ranges(by_number: Mapping[int, Rule], default: int) -> list[tuple[int, Rule]]:
    """Merge neighbouring numbers with the same rule; each range starts where the last one ends."""
    ranges: list[tuple[int, Rule]] = []
    for number in range(max(by_number) + 2):
        rule = by_number.get(number, default)
        if not ranges or ranges[-1][1] != rule:
            ranges.append((number, rule))
    return ranges


def _tree(ranges: Sequence[tuple[int, Rule]]) -> list[Instruction]:
    if len(ranges) == 1:
        rule = ranges[0][1]
        return [_return(rule)] if isinstance(rule, int) else list(rule)
    middle = len(ranges) // 2
    left, right = _tree(ranges[:middle]), _tree(ranges[middle:])
    start = ranges[middle][0]
    if len(left) <= 255:  # a conditional jump reaches no further
        return [(JGE, len(left), 0, start), *left, *right]
    return [(JGE, 0, 1, start), (JUMP, 0, 0, len(left)), *left, *right]


class _Line(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class _Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.POINTER(_Line))]


def prepare(instructions: Sequence[Instruction]) -> ctypes.Structure:
    """Lay a filter out in memory, ready for :func:`install`."""
    lines = (_Line * len(instructions))(*(_Line(*line) for line in instructions))
    return _Program(len(instructions), lines)


def arguments(number: int, program: ctypes.Structure) -> tuple[Any, ...]:
    """Say what ``syscall`` of the C library is to be called with, to put a process under a filter.

    Args:
        number: The number of the ``seccomp`` system call.
        program: What :func:`prepare` returned.
    """
    return ctypes.c_long(number), 1, 0, ctypes.byref(program)


def install(libc: ctypes.CDLL, number: int, program: ctypes.Structure) -> None:
    """Put this process under a prepared filter, for good.

    Args:
        libc: The C library, opened with ``use_errno``.
        number: The number of the ``seccomp`` system call.
        program: What :func:`prepare` returned.

    Raises:
        OSError: The kernel refused.
    """
    if libc.syscall(*arguments(number, program)) != 0:
        raise OSError(ctypes.get_errno(), "seccomp refused the filter")
