"""System call numbers for the seccomp filters, by machine.

Standard library only: the sandboxed interpreter loads this file too.
"""

from __future__ import annotations

import os

from code_envs.executor.syscall_numbers import NUMBERS

__all__ = ["AUDIT_ARCH", "MACHINES", "machine", "table"]

MACHINES = ("x86_64", "aarch64")
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def machine() -> str:
    """Name this machine as ``MACHINES`` does; other names have no filter."""
    name = os.uname().machine
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def table(machine: str) -> dict[str, int]:
    """Map system call names to their numbers.

    Args:
        machine: One of ``MACHINES``.

    Returns:
        Number by name, for the names that exist on that machine.
    """
    column = 1 + MACHINES.index(machine)
    rows = (row.split(":") for row in NUMBERS.split())
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}
