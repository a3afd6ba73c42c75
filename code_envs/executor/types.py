"""What goes into the executor and what comes out of it: limits, jobs and executions."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from code_envs.codec import DecodeError, decode

__all__ = ["Execution", "Isolation", "Job", "Limits", "Status"]


class Status(StrEnum):
    """How one call ended."""

    OK = "ok"  # a result within the bounds
    RAISED = "raised"  # an ordinary exception, SyntaxError and a missing entry included
    CPU = "cpu"  # over the CPU limit
    WALL = "wall"  # over the wall-clock limit
    MEMORY = "memory"  # over the memory limit
    RECURSION = "recursion"  # over the recursion limit
    TOO_LARGE = "too_large"  # a result that is too large, or not a literal value
    FORBIDDEN = "forbidden"  # killed for a system call that no honest program makes
    CRASHED = "crashed"  # the interpreter died by a signal
    EXITED = "exited"  # the program left by exit, before returning
    INFRA = "infra"  # the sandbox failed, twice: says nothing about the program


class Isolation(StrEnum):
    """What protects a run, strongest first."""

    FULL = "full"  # namespaces, landlock, seccomp, rlimits
    NO_USERNS = "no_userns"  # landlock where there is one, seccomp, rlimits
    SECCOMP = "seccomp"  # seccomp and rlimits
    UNSAFE = "unsafe"  # rlimits at best; only with allow_unsafe=True


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one process of a program may use, over all of the calls made in it together.

    Attributes:
        cpu_seconds: CPU time, to 0.01 s.
        wall_seconds: Wall-clock time; generous, so that a loaded machine changes no verdict.
        memory_mib: Address space on top of the interpreter's own.
        result_bytes: Encoded size of all results of the job together; for a script the size of its output.
        recursion: Python's recursion limit.
        stdout_bytes: How much of what the program prints is kept; for a script of its standard error.
    """

    cpu_seconds: float = 2.0
    wall_seconds: float = 20.0
    memory_mib: int = 256
    result_bytes: int = 1 << 20
    recursion: int = 2000
    stdout_bytes: int = 16_384


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One program and the calls to make into it, in one fresh process; or one for each call.

    Attributes:
        program: Python source.
        entry: The name of the function to call, top-level in ``program``; empty for a script, which is
            run as ``__main__``, in a fresh process for each call.
        calls: Encoded argument tuples (``encode(args, ordered=True)``), one for each call; for a script
            the one argument is its standard input, ``str`` or ``bytes``.
        limits: What the program may use; the executor's own limits if None.
        seed: Seeds ``random`` in the child.
        variant: Which hash seed and address layout: 0 for grading, others for checks of determinism.
        coerce: Take results of a subclass (a ``Counter``) as their base type.
        isolate_calls: Make each call in a fresh process, under limits of its own.
    """

    program: str
    entry: str
    calls: Sequence[bytes]
    limits: Limits | None = None
    seed: int = 0
    variant: int = 0
    coerce: bool = False
    isolate_calls: bool = False

    @property
    def is_script(self) -> bool:
        """Whether the program is run as a whole, with something to read."""
        return not self.entry


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """What one call did. A claim of the untrusted side, except status by signal and the times.

    Attributes:
        status: How the call ended.
        value: The canonical encoding of the result, for a script of what it wrote to standard output;
            empty unless ``status`` is ``ok``.
        exception: The type name of the exception, for ``raised``.
        message: Its message or the reason in words; at most 300 characters, no control characters.
        mutated: Whether the call changed its arguments.
        stdout: What a script wrote to standard output. Of a function what it printed, to both streams,
            bounded, for debugging only; the same on each call of a job.
        stderr: What a script wrote to standard error, bounded.
        cpu_seconds: CPU time of the whole process.
        wall_seconds: Wall-clock time of the whole process.
        isolation: What protected the run.
    """

    status: Status
    value: bytes = b""
    exception: str = ""
    message: str = ""
    mutated: bool = False
    stdout: str = ""
    stderr: str = ""
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    isolation: Isolation = Isolation.UNSAFE

    @property
    def ok(self) -> bool:
        """Whether the call returned a value."""
        return self.status is Status.OK

    def result(self) -> object:
        """Decode the result, freshly.

        Returns:
            The value that the call returned.

        Raises:
            DecodeError: There is no value, or the program forged one that does not decode.
        """
        if not self.ok:
            raise DecodeError(f"the call ended with {self.status}")
        return decode(self.value)
