"""What the kernel of this machine offers for isolation, read from its own files; nothing is attacked here."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from code_envs.executor.confine import Libc, landlock_version
from code_envs.executor.syscalls import machine, table

__all__ = ["Check", "is_container", "kernel_checks", "oom_kills"]

_SYSCTL, _MODULES = Path("/proc/sys"), Path("/sys/kernel/security/lsm")
_COUNTERS = Path("/proc/vmstat")
_CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        name: What was looked at.
        ok: Whether it is as it should be.
        detail: What was found.
        advice: What to do if it is not as it should be; empty otherwise.
    """

    name: str
    ok: bool
    detail: str
    advice: str = ""


def kernel_checks() -> list[Check]:
    """Look at what the levels are built from. None of it decides anything: the levels are tried for real."""
    return [_seccomp(), _landlock(), _user_namespaces(), _tracing()]


def is_container() -> bool:
    """Guess whether this is a container, whose manager adds restrictions of its own."""
    return any(mark.exists() for mark in _CONTAINER_MARKS)


def oom_kills() -> int | None:
    """How many processes this kernel has killed for want of memory since it started; None if it does not say."""
    words = _read(_COUNTERS).split()
    return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else None


def _read(path: Path) -> str:
    """Read a setting of the kernel; empty where there is none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _seccomp() -> Check:
    actions = _read(_SYSCTL / "kernel/seccomp/actions_avail")
    if "kill_process" in actions.split():
        return Check("kernel: seccomp", True, actions)
    advice = "Use Linux 4.14 or later with CONFIG_SECCOMP_FILTER; nothing isolates programs without it."
    return Check("kernel: seccomp", False, actions or "no filters", advice)


def _landlock() -> Check:
    version = landlock_version(Libc(table(machine())))
    if version:
        return Check("kernel: Landlock", True, f"version {version}")
    listed = _read(_MODULES)
    advice = "Use Linux 5.13 or later, with Landlock among its security modules ('lsm=landlock,...')."
    return Check("kernel: Landlock", False, f"none; security modules: {listed or 'unknown'}", advice)


# setting, the value that forbids, what to do
_NAMESPACE_SETTINGS = (
    ("user.max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
    ("kernel.unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
)


def _user_namespaces() -> Check:
    found, advice = [], []
    for name, forbidding, command in _NAMESPACE_SETTINGS:
        value = _read(_SYSCTL / name.replace(".", "/"))
        if value:
            found.append(f"{name} = {value}")
        if value == forbidding:
            advice.append(f"'{command}'")
    detail = ", ".join(found) or "this kernel has none"
    if not found:
        advice.append("a kernel with CONFIG_USER_NS")
    what = f"Allow them: {' and '.join(advice)}." if advice else ""
    return Check("kernel: user namespaces", not advice, detail, what)


def _tracing() -> Check:
    """Yama is one more layer against debuggers; sandboxes forbid them anyway."""
    scope = _read(_SYSCTL / "kernel/yama/ptrace_scope")
    user = "root" if os.getuid() == 0 else f"user {os.getuid()}"
    yama = f"Yama ptrace_scope {scope}" if scope else "no Yama"
    return Check("kernel: tracing", True, f"{yama}; this is {user}")
