"""The layers that a zygote puts around itself before it serves, and a child before it runs a program.

Standard library only: the sandboxed interpreter loads this file. Every step raises ``OSError`` with
the name of what failed, so that the client can fall back to a lower level and say why.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from pathlib import Path

__all__ = [
    "DIE_WITH_PARENT",
    "Libc",
    "die_with_parent",
    "drop_capabilities",
    "drop_user",
    "enter_landlock",
    "enter_namespaces",
    "forbid_privileges",
    "landlock_version",
    "lower_limits",
]

NOBODY = 65534
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 4, 24, 38, 47
_CLONE_NEWNS, _CLONE_NEWCGROUP, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x20000, 0x02000000, 0x04000000, 0x08000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_NAMESPACES = _CLONE_NEWUSER | _CLONE_NEWPID | _CLONE_NEWNET | _CLONE_NEWNS | _CLONE_NEWIPC | _CLONE_NEWUTS
_NAMESPACES |= _CLONE_NEWCGROUP
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_REC, _MS_PRIVATE = 1, 2, 4, 8, 32, 0x4000, 0x40000
_MNT_DETACH = 2
_MOUNT_POINTS = ("/tmp", "/var", "/usr", "/etc", "/dev")
_STACK = 64 << 20


class Libc:
    """The C library, with errors raised as ``OSError``."""

    def __init__(self, numbers: dict[str, int]) -> None:
        self.cdll = ctypes.CDLL(None, use_errno=True)
        self.numbers = numbers

    def call(self, name: str, *arguments: object) -> int:
        """Call a C function; a negative result raises ``OSError`` with its name."""
        return self._check(name, getattr(self.cdll, name)(*arguments))

    def syscall(self, name: str, *arguments: object) -> int:
        """Make a system call by name; a negative result raises ``OSError`` with its name."""
        return self._check(name, self.cdll.syscall(ctypes.c_long(self.numbers[name]), *arguments))

    def prctl(self, option: int, value: int = 0) -> int:
        """Call ``prctl`` with every argument as wide as the kernel reads it."""
        return self.call("prctl", *_prctl_arguments(option, value))

    @staticmethod
    def _check(name: str, result: int) -> int:
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{name}: {os.strerror(code)}")
        return result


def _prctl_arguments(option: int, value: int) -> tuple[ctypes.c_int | ctypes.c_ulong, ...]:
    zero = ctypes.c_ulong(0)
    return ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero


DIE_WITH_PARENT = _prctl_arguments(_PR_SET_PDEATHSIG, 9)


def die_with_parent(libc: Libc, parent: int) -> None:
    """Let the kernel kill this process when its parent ends; leave at once if it has ended already."""
    libc.call("prctl", *DIE_WITH_PARENT)
    if os.getppid() != parent:
        os._exit(1)


def drop_user(libc: Libc) -> None:
    """Become nobody, where started as root with the right to do so."""
    if os.getuid() != 0:
        return
    try:
        _drop_bounding_set(libc)
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:
        return  # a root without capabilities or other ids, in some container: no layer relies on this one
    libc.prctl(_PR_SET_DUMPABLE, 1)  # or /proc/self stays root's and the user namespace cannot be mapped


def enter_namespaces(libc: Libc) -> None:
    """Move into fresh namespaces and into an empty, read-only root; children get a fresh process space."""
    uid, gid = os.getuid(), os.getgid()
    libc.call("unshare", _NAMESPACES)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {gid} 1")
    _empty_root(libc)


def _empty_root(libc: Libc) -> None:
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    libc.call("mount", b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None)
    place = next(path for path in _MOUNT_POINTS if Path(path).is_dir())
    options = b"size=64k,nr_inodes=16,mode=555"
    libc.call("mount", b"tmpfs", place.encode(), b"tmpfs", ctypes.c_ulong(flags), options)
    os.chdir(place)
    Path("old").mkdir()
    libc.syscall("pivot_root", b".", b"old")
    os.chdir("/")
    libc.call("umount2", b"old", _MNT_DETACH)
    Path("old").rmdir()
    libc.call("mount", b"none", b"/", None, ctypes.c_ulong(_MS_REMOUNT | _MS_RDONLY | flags), None)


def _drop_bounding_set(libc: Libc) -> None:
    for capability in range(64):
        try:
            libc.prctl(_PR_CAPBSET_DROP, capability)
        except OSError:
            break  # past the last one that this kernel knows, or without the right to drop


def drop_capabilities(libc: Libc) -> None:
    """Give up every capability in every set."""
    _drop_bounding_set(libc)
    try:
        libc.prctl(_PR_CAP_AMBIENT, 4)
    except OSError:
        pass  # kernels before 4.3 have no ambient set
    libc.call("capset", struct.pack("II", 0x20080522, 0), bytes(24))


def forbid_privileges(libc: Libc) -> None:
    """No process from here on gains privileges, dumps core or is open to a debugger."""
    libc.prctl(_PR_SET_DUMPABLE, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1)


def lower_limits() -> None:
    """Set the resource limits that are the same for every program."""
    for kind in ("CORE", "MEMLOCK", "MSGQUEUE", "RTPRIO", "NICE"):
        _lower(getattr(resource, f"RLIMIT_{kind}", None), 0)
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    stack = _STACK if hard == resource.RLIM_INFINITY else min(_STACK, hard)
    resource.setrlimit(resource.RLIMIT_STACK, (stack, hard))


def _lower(kind: int | None, value: int) -> None:
    if kind is not None:
        resource.setrlimit(kind, (value, value))


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


def landlock_version(libc: Libc) -> int:
    """Return the Landlock version of this kernel, 0 where there is none."""
    try:
        return libc.syscall("landlock_create_ruleset", None, ctypes.c_size_t(0), 1)
    except OSError:
        return 0


def enter_landlock(libc: Libc) -> int:
    """Deny every file, TCP port, outside signal and abstract socket that this kernel's Landlock handles.

    Returns:
        The Landlock version in force, 0 where the kernel has none.
    """
    version = landlock_version(libc)
    if version == 0:
        return 0
    files = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    rules = _Ruleset(files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    descriptor = libc.syscall("landlock_create_ruleset", ctypes.byref(rules), ctypes.c_size_t(size), 0)
    libc.syscall("landlock_restrict_self", descriptor, 0)
    os.close(descriptor)
    return version
