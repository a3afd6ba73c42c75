"""What a client of the sandbox holds, and what it has left behind: processes, descriptors, memory, files.

Read from ``/proc``, from outside, so that nothing under test is asked about itself.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec

__all__ = ["Residue", "Sample", "find_left", "find_sandboxes", "find_zygotes", "take_residue", "take_sample"]

_NOBODY = 65534  # the sandbox's user where the client is root
_SHARED_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") >> 10


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """The size of a client and its sandbox at one moment.

    Attributes:
        runs: Programs that were run before.
        client_kib: Resident memory of the client.
        descriptors: Open descriptors of the client.
        maps: Memory maps of the client.
        threads: Threads of the client.
        zygote_kib: Resident memory of the largest zygote.
        zygote_pss_kib: The same with shared pages split among their users; 0 without the right to look.
        processes: Processes of the sandbox.
        files: Temporary files of the client or its sandbox, in memory or on disk.
    """

    runs: int
    client_kib: int
    descriptors: int
    maps: int
    threads: int
    zygote_kib: int
    zygote_pss_kib: int
    processes: int
    files: int


class Residue(msgspec.Struct, frozen=True, kw_only=True):
    """What must be the same before an executor is made and after it is closed.

    Attributes:
        processes: Processes of the sandbox, by id.
        descriptors: What the client's descriptors are open on.
        shared_maps: Memory maps of the client that another process could share.
        threads: Names of the client's threads.
        files: Temporary files of the client or its sandbox, in memory or on disk.
    """

    processes: frozenset[int]
    descriptors: tuple[str, ...]
    shared_maps: int
    threads: tuple[str, ...]
    files: frozenset[str]


def find_sandboxes(client: int) -> dict[int, int]:
    """Find the processes (monitors, zygotes, children) of a client.

    Args:
        client: The client's process id.

    Returns:
        Parent by process id, without those that have ended.
    """
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes()
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue  # it has ended meanwhile
            if b"zygote.py" in words and b'"client": %d}' % client in words:
                found[int(folder.name)] = parent
    return found


def find_zygotes(client: int) -> list[int]:
    """Find the fork servers of a client: the processes whose parent is a monitor."""
    found = find_sandboxes(client)
    monitors = {pid for pid, parent in found.items() if parent == client}
    return sorted(pid for pid, parent in found.items() if parent in monitors)


def take_sample(runs: int) -> Sample:
    """Measure this process and its sandbox, after a number of runs."""
    zygotes = find_zygotes(os.getpid())
    return Sample(
        runs=runs,
        client_kib=_resident_kib("self"),
        descriptors=len(_descriptors()),
        maps=len(Path("/proc/self/maps").read_text().splitlines()),
        threads=len(_threads()),
        zygote_kib=max(map(_resident_kib, zygotes), default=0),
        zygote_pss_kib=max(map(_pss_kib, zygotes), default=0),
        processes=len(find_sandboxes(os.getpid())),
        files=len(_files()),
    )


def take_residue() -> Residue:
    """Look at everything that this process must not leave behind when it closes an executor."""
    return Residue(
        processes=frozenset(find_sandboxes(os.getpid())),
        descriptors=tuple(sorted(_descriptors())),
        shared_maps=Path("/proc/self/maps").read_text().count("memfd:"),
        threads=tuple(sorted(_threads())),
        files=_files(),
    )


def find_left(before: Residue, seconds: float = 20.0) -> list[str]:
    """Name what this process holds beyond what it held before.

    Args:
        before: What it held before.
        seconds: How long to wait for processes and threads that are ending.
    """
    end = time.monotonic() + seconds
    while True:
        gc.collect()
        left = _compare(before, take_residue())
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.02)


def _compare(before: Residue, after: Residue) -> list[str]:
    left = [f"process {pid}" for pid in sorted(after.processes - before.processes)]
    left += [f"file {name}" for name in sorted(after.files - before.files)]
    for what in ("descriptors", "threads"):
        more = Counter(getattr(after, what)) - Counter(getattr(before, what))
        left += [f"{count} {what}: {name}" for name, count in more.items()]
    if after.shared_maps > before.shared_maps:
        left.append(f"{after.shared_maps - before.shared_maps} shared memory maps")
    return left


def _files() -> frozenset[str]:
    """What lies in this process's folder for temporary files, and what the sandbox's user has in the shared ones."""
    found = []
    for folder in {tempfile.gettempdir(), *_SHARED_FOLDERS}:
        own = folder not in _SHARED_FOLDERS
        for path in Path(folder).iterdir() if Path(folder).is_dir() else ():
            try:
                if own or path.lstat().st_uid == _NOBODY:
                    found.append(str(path))
            except OSError:
                continue  # it has gone meanwhile
    return frozenset(found)


def _resident_kib(pid: int | str) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_KIB
    except OSError:
        return 0  # it has ended meanwhile


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _descriptors() -> list[str]:
    """What the descriptors are open on, numbers left out: those of sockets and pipes differ each time."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(path.readlink()).partition("[")[0])
        except OSError:
            continue  # the one that lists the folder
    return found


def _threads() -> list[str]:
    return [(path / "comm").read_text().strip() for path in Path("/proc/self/task").iterdir()]
