"""What this machine can give, found out by attacking it; the matter of ``code-envs doctor``."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import msgspec

from code_envs.errors import ExecutorError, IsolationUnavailable
from code_envs.executor import ladder
from code_envs.executor.client import Zygote
from code_envs.executor.probes import PROBES, attack
from code_envs.executor.syscalls import MACHINES, machine
from code_envs.executor.types import Isolation, Limits

__all__ = ["Check", "get_isolation", "probe"]

_ADVICE = {
    Isolation.FULL: (
        "Allow unprivileged user namespaces: on Ubuntu 24.04 and later "
        "'sysctl kernel.apparmor_restrict_unprivileged_userns=0', elsewhere 'sysctl user.max_user_namespaces=10000'; "
        "in Docker add '--security-opt seccomp=unconfined'. The lower levels are safe to use meanwhile."
    ),
    Isolation.NO_USERNS: "Use Linux 5.13 or later with Landlock among its security modules ('lsm=landlock,...').",
    Isolation.SECCOMP: f"Use a Linux kernel with seccomp filters (CONFIG_SECCOMP_FILTER) on {' or '.join(MACHINES)}.",
}
_OUTSIDE = "Do not run untrusted programs here; report this with the output of 'code-envs doctor --json'."


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


def get_isolation() -> Isolation:
    """Return the strongest level that holds on this machine.

    Raises:
        IsolationUnavailable: Not even the weakest level holds.
    """
    zygote = ladder.establish(Isolation.SECCOMP)
    try:
        return zygote.isolation
    finally:
        zygote.close()


def probe() -> list[Check]:
    """Look at the platform, set up every level, and attack the strongest one that works.

    Returns:
        The checks in the order in which they were made. The executor would refuse to run here
        exactly if none of the checks named ``level ...`` is ok.
    """
    checks = [_platform(), _processor()]
    if sys.platform != "linux":
        return checks
    checks.append(_memory())
    attacked = False
    for level in ladder.LEVELS:
        try:
            zygote = ladder.start(level)
        except ExecutorError as error:
            checks.append(Check(f"level {level.value}", False, str(error), _ADVICE[level]))
            continue
        with zygote:
            landlock = f"Landlock version {zygote.landlock}" if zygote.landlock else "no Landlock"
            detail = landlock if level is not Isolation.SECCOMP else "seccomp and resource limits"
            checks.append(Check(f"level {level.value}", True, detail))
            if not attacked:
                checks += _attack_all(zygote)
                attacked = True
    return checks


def _attack_all(zygote: Zygote) -> list[Check]:
    checks = []
    for one in PROBES:
        done = attack(zygote, one)
        held = one.is_held(done)
        detail = f"{done.status.value}: {done.exception or done.message} ({one.layers})"
        checks.append(Check(f"attack: {one.name}", held, detail, "" if held else _OUTSIDE))
    return checks


def _platform() -> Check:
    ok = sys.platform == "linux"
    detail = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    try:
        ladder.check_platform()
    except IsolationUnavailable as error:
        return Check("operating system", ok, detail, str(error))
    return Check("operating system", ok, detail)


def _processor() -> Check:
    if sys.platform != "linux":
        return Check("processor", False, platform.machine(), "")
    ok = machine() in MACHINES
    return Check("processor", ok, machine(), "" if ok else _ADVICE[Isolation.SECCOMP])


def _memory() -> Check:
    """Where memory is short, the kernel ends programs before they reach their limit."""
    free = _available_memory() >> 20
    cores = len(os.sched_getaffinity(0))
    need = cores * (Limits().memory_mib + 50)
    advice = "" if free >= need else "Use fewer workers or a lower memory_mib: programs may fail for lack of memory."
    return Check("memory", free >= need, f"{free} MiB free; {cores} workers need up to {need} MiB", advice)


def _available_memory() -> int:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        bound = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return free
    return free if bound == "max" else min(free, int(bound))
