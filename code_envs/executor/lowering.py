"""What a child does to itself between the fork and the program: less time, less memory, the filter.

A fresh child copies each page that it writes to, and counting references is writing. So the zygote makes
a plan before it forks, a row of C functions with their arguments, and the child only walks it.
Standard library only.
"""

from __future__ import annotations

import ctypes
import resource
import signal
from collections.abc import Callable, Sequence
from typing import Any

from code_envs.executor import bpf
from code_envs.executor.clock import Alarm
from code_envs.executor.confine import DIE_WITH_PARENT

__all__ = ["Lowering", "Plan", "walk"]

Plan = tuple[tuple[Callable[..., object], tuple[Any, ...]], ...]
"""Functions and their arguments; each returns 0 or None, or has failed."""

_KEPT = 64  # plans


def walk(plan: Plan) -> None:
    """Do each step of a plan.

    Raises:
        OSError: One failed.
    """
    for function, arguments in plan:
        if function(*arguments):
            raise OSError


class Lowering:
    """Plans how to take from a child what a program must not have.

    Args:
        numbers: The numbers of the system calls.
        base: Bytes of address space that are taken before a program needs any.
        filters: The filter of a program and that of a script; none where nothing is filtered.
    """

    def __init__(self, numbers: dict[str, int], base: int, filters: Sequence[ctypes.Structure]) -> None:
        library = ctypes.CDLL(None)  # without errno: to keep it costs pages
        self._base, self._plans = base, dict[tuple[float, int, int], Plan]()
        self._alarm = Alarm(library.syscall, numbers, signal.SIGPROF)
        self.bond: Plan = ((library.prctl, DIE_WITH_PARENT),)
        self._unblock = library.pthread_sigmask, (int(signal.SIG_SETMASK), bytes(128), None)
        self._filters = [(library.syscall, bpf.arguments(numbers["seccomp"], each)) for each in filters]

    def plan(self, cpu: float, memory: int, file_bytes: int) -> Plan:
        """Say what a child has to do for one run.

        Args:
            cpu: Seconds.
            memory: Bytes.
            file_bytes: Bytes of a file; more than 0 for a script.
        """
        key = cpu, memory, file_bytes
        if key not in self._plans:
            if len(self._plans) >= _KEPT:
                self._plans.clear()
            self._plans[key] = self._make(*key)
        return self._plans[key]

    def _make(self, cpu: float, memory: int, file_bytes: int) -> Plan:
        whole, space = 2 * int(cpu) + 2, self._base + memory  # ticks are counted here: far behind the alarm
        limits = {
            resource.RLIMIT_AS: (space, space),
            resource.RLIMIT_CPU: (whole, whole + 1),
            resource.RLIMIT_FSIZE: (file_bytes, file_bytes),
            resource.RLIMIT_NOFILE: (0, 0),
            resource.RLIMIT_NPROC: (0, 0),
        }
        steps = [(resource.setrlimit, limit) for limit in limits.items()]
        filters = (self._filters[file_bytes > 0],) if self._filters else ()
        return (*steps, *self._alarm.steps(cpu), self._unblock, *filters)
