"""What this machine can give, found out by attacking it; the matter of ``code-envs doctor``."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from code_envs.errors import ExecutorError, IsolationUnavailable
from code_envs.executor import ladder
from code_envs.executor.client import Zygote
from code_envs.executor.kernel import Check, is_container, kernel_checks
from code_envs.executor.probes import PROBES, attack
from code_envs.executor.syscalls import MACHINES, machine
from code_envs.executor.types import Isolation, Limits

__all__ = ["Check", "get_isolation", "is_sound", "probe"]

_NEEDS = {  # what a level is built from, by the name of the check that looks at it
    Isolation.FULL: "kernel: user namespaces",
    Isolation.NO_USERNS: "kernel: Landlock",
    Isolation.SECCOMP: "kernel: seccomp",
}
_CONTAINER = (
    "This looks like a container, whose manager forbids what the level needs: in Docker add "
    "'--security-opt seccomp=unconfined --security-opt apparmor=unconfined'. The lower levels are safe meanwhile."
)
_UNKNOWN = "The kernel's settings allow it; look for a security module or a parent process that does not."
_PROCESSOR = f"Use a machine with a {' or '.join(MACHINES)} processor: filters for others do not exist yet."
_CLOCK = "Programs that read the clock see the real one; validation still refuses them."
_OUTSIDE = "Do not run untrusted programs here; report this with the output of 'code-envs doctor --json'."


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
    """Look at the platform and the kernel, set up every level, and attack each one that works.

    Returns:
        The checks in the order in which they were made. The executor would refuse to run here
        exactly if none of the checks named ``level ...`` is ok. Those named ``attack ...`` are the
        attacks on the strongest level, and any that got through a weaker one.
    """
    checks = [_platform(), _processor()]
    if not all(check.ok for check in checks):
        return checks
    checks += [_memory(), *kernel_checks()]
    attacked = False
    for level in ladder.LEVELS:
        try:
            zygote = ladder.start(level)
        except ExecutorError as error:
            checks.append(Check(f"level {level.value}", False, str(error), _advice(level, checks)))
            continue
        with zygote:
            found = [_attack(zygote, index) for index in range(len(PROBES))]
            checks.append(_level(zygote, sum(check.ok for check in found)))
            if not attacked:
                checks.append(_clock(zygote))
            checks += [check for check in found if not (attacked and check.ok)]
            attacked = True
    return checks


def is_sound(checks: list[Check]) -> bool:
    """Tell whether the executor would run here, and no attack got through."""
    runs = any(check.ok for check in checks if check.name.startswith("level"))
    return runs and all(check.ok for check in checks if check.name.startswith("attack"))


def _level(zygote: Zygote, held: int) -> Check:
    landlock = f"Landlock version {zygote.landlock}" if zygote.landlock else "no Landlock"
    detail = landlock if zygote.isolation is not Isolation.SECCOMP else "seccomp and resource limits"
    return Check(f"level {zygote.isolation.value}", True, f"{detail}; held {held} of {len(PROBES)} attacks")


def _attack(zygote: Zygote, index: int) -> Check:
    one, level = PROBES[index], zygote.isolation.value
    try:
        done = attack(zygote, one)
    except ExecutorError as error:
        return Check(f"attack on {level}: {one.name}", False, str(error), _OUTSIDE)
    held = one.is_held(done)
    detail = f"{done.status.value}: {done.exception or done.message} ({one.layers})"
    return Check(f"attack on {level}: {one.name}", held, detail, "" if held else _OUTSIDE)


def _advice(level: Isolation, checks: list[Check]) -> str:
    """What to do about a level that cannot be had, by what was found in the kernel."""
    for check in checks:
        if check.name == _NEEDS[level] and not check.ok:
            return check.advice
    return _CONTAINER if is_container() else _UNKNOWN


def _clock(zygote: Zygote) -> Check:
    frozen = zygote.clock_frozen
    return Check("clock", frozen, "stands still" if frozen else "real", "" if frozen else _CLOCK)


def _platform() -> Check:
    detail = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    try:
        ladder.check_platform()
    except IsolationUnavailable as error:
        return Check("operating system", False, detail, str(error))
    return Check("operating system", True, detail)


def _processor() -> Check:
    ok = sys.platform != "linux" or machine() in MACHINES
    return Check("processor", ok, platform.machine(), "" if ok else _PROCESSOR)


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
