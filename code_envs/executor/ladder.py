"""Find the strongest isolation that this machine can give, by setting it up and attacking it."""

from __future__ import annotations

import sys

from code_envs.errors import ExecutorError, IsolationUnavailable
from code_envs.executor.client import Zygote
from code_envs.executor.probes import ESSENTIAL, attack, wait
from code_envs.executor.types import Isolation

__all__ = ["LEVELS", "establish", "start"]

LEVELS = (Isolation.FULL, Isolation.NO_USERNS, Isolation.SECCOMP)
_known: dict[tuple[Isolation, str], str] = {}  # why this machine cannot give a level; found out once per process


def establish(minimum: Isolation, allow_unsafe: bool = False, python: str = "") -> Zygote:
    """Start a zygote at the strongest level that holds.

    Args:
        minimum: Refuse anything weaker.
        allow_unsafe: Go on without isolation if nothing else works.
        python: The interpreter that runs the programs; this one if empty.

    Returns:
        A zygote that is ready; its ``isolation`` is the level in force.

    Raises:
        IsolationUnavailable: No level at or above the minimum holds here; the message says why.
        ExecutorError: No process can be started.
    """
    check_platform()
    wanted = LEVELS if minimum is Isolation.UNSAFE else LEVELS[: LEVELS.index(minimum) + 1]
    for level in wanted:
        if (level, python) in _known:
            continue
        try:
            return start(level, python)
        except IsolationUnavailable as error:
            _known[level, python] = str(error)
    if allow_unsafe:
        return start(Isolation.UNSAFE, python)
    reasons = "; ".join(f"{level.value}: {_known[level, python]}" for level in wanted)
    raise IsolationUnavailable(
        f"This machine cannot isolate untrusted programs at level {minimum.value!r} or stronger ({reasons}). "
        "Run 'code-envs doctor' for advice."
    )


def check_platform() -> None:
    """Refuse operating systems that have none of the layers.

    Raises:
        IsolationUnavailable: This is not Linux.
    """
    if sys.platform != "linux":
        raise IsolationUnavailable(
            f"The executor isolates programs with features of the Linux kernel, which {sys.platform} lacks; "
            "run code-envs in a Linux container or virtual machine (Docker Desktop or WSL 2 will do)."
        )


def start(level: Isolation, python: str = "") -> Zygote:
    """Start a zygote at one level and attack it.

    Raises:
        IsolationUnavailable: The level cannot be set up here, or it does not hold.
        ExecutorError: No process can be started; that says nothing about the level.
    """
    try:
        zygote = Zygote(level, lean=True, python=python)
    except OSError as error:
        raise ExecutorError(f"No sandbox process can be started: {error}.") from error
    try:
        wait(zygote)
        zygote.finish_start()
        if level is not Isolation.UNSAFE:
            _check(zygote)
    except BaseException:
        zygote.close()
        raise
    return zygote


def _check(zygote: Zygote) -> None:
    for probe in ESSENTIAL:
        done = attack(zygote, probe)
        if not probe.is_held(done):
            what = done.message or done.status.value
            raise IsolationUnavailable(f"the attack {probe.name!r} was not stopped as it must be ({what})")
