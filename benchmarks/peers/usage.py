"""CPU time of a process and of everything that it started. Standard library, Linux only.

``getrusage`` counts a child only once it has been waited for, so a long-lived fork server and all of
its own children are missing from it. They are read from ``/proc``, where a living process shows what
it used and what the children that it waited for used.
"""

from __future__ import annotations

import ctypes
import os
import resource
import time
from pathlib import Path

__all__ = ["Meter", "adopt_orphans", "busy_seconds"]

_PR_SET_CHILD_SUBREAPER = 36
_TICK = 1 / os.sysconf("SC_CLK_TCK")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none leaves the count."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0)


class Meter:
    """Counts the CPU seconds of this process, its children and all further descendants, from now on.

    What a living descendant used itself is exact; what its dead children used has the resolution of
    a clock tick (0.01 s for each such descendant, over the whole measurement). Made and read while no
    child is being waited for: both reap whatever has ended.
    """

    def __init__(self) -> None:
        _reap()
        living = _living()
        self._start = living + _own()

    def read(self) -> float:
        """Return the CPU seconds since the start."""
        _reap()
        own = _own()  # first, so that looking around does not count
        return own + _living() - self._start


def _reap() -> None:
    """Wait for orphans that have ended: their use counts only then."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass  # there is no child


def _own() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, kinds))


def _living() -> float:
    parents, reaped = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            parents[int(folder.name)] = int(fields[1])
            reaped[int(folder.name)] = (int(fields[13]) + int(fields[14])) * _TICK
    return sum(_clock(pid) + reaped[pid] for pid in parents if _descends(pid, parents))


def _descends(pid: int, parents: dict[int, int]) -> bool:
    here = os.getpid()
    while (pid := parents.get(pid, 0)) > 1:
        if pid == here:
            return True
    return False


def _clock(pid: int) -> float:
    """What a process used itself, from its CPU clock."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def busy_seconds() -> float:
    """Return the seconds for which the machine's cores were busy since it started, all of them together."""
    user, nice, system, _, _, irq, softirq, steal = Path("/proc/stat").read_text().split()[1:9]
    return sum(map(int, (user, nice, system, irq, softirq, steal))) * _TICK
