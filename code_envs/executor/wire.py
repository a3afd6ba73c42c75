"""The trusted side of the shared memory: jobs go in, executions come out.

What a child left in its result map is a claim. The kernel's word (signal, CPU time, wall time)
comes first, and whatever does not read as a frame is ``crashed``.
"""

from __future__ import annotations

import os
import signal
from functools import lru_cache
from hashlib import blake2b

import msgspec

from code_envs.codec import MAX_BYTES, DecodeError, decode, encode
from code_envs.errors import ConfigError, ExecutorError
from code_envs.executor.frame import (
    CLAIMS,
    LENGTH,
    MAX_CALLS,
    MAX_MESSAGE,
    MAX_NAME,
    MAX_OUTPUT,
    RECORD,
    REQUEST,
    RESULT,
)
from code_envs.executor.streams import Streams
from code_envs.executor.types import Execution, Isolation, Job, Limits, Status

__all__ = [
    "MAX_STDIN",
    "Ending",
    "check_job",
    "check_limits",
    "failed",
    "file_bytes",
    "fingerprint",
    "pack",
    "read",
    "stdin_of",
]

MAX_STDIN = 8 << 20

_CONTROL = dict.fromkeys((*range(32), *range(127, 160)), " ")
_CPU_SIGNALS = (signal.SIGPROF, signal.SIGXCPU)


class Ending(msgspec.Struct, frozen=True):
    """What the kernel says about one child: nothing here can be forged.

    Attributes:
        wait_status: How it ended, as ``wait`` gives it.
        late: Whether it was stopped at the wall limit.
        cpu_seconds: User and system time.
        wall_seconds: Real time.
        peak_kib: The most memory that it held.
        starved: Whether the kernel may have killed it for want of memory.
    """

    wait_status: int
    late: bool
    cpu_seconds: float
    wall_seconds: float
    peak_kib: int
    starved: bool = False


def check_limits(limits: Limits) -> Limits:
    """Return the limits if they can be kept.

    Raises:
        ConfigError: A limit is out of range.
    """
    ranges = {
        "cpu_seconds": (0.01, 3600.0),
        "wall_seconds": (0.01, 86_400.0),
        "memory_mib": (8, 1 << 20),
        "result_bytes": (1, MAX_OUTPUT),
        "recursion": (50, 1_000_000),
        "stdout_bytes": (0, MAX_OUTPUT),
    }
    for name, (low, high) in ranges.items():
        if not low <= getattr(limits, name) <= high:
            raise ConfigError(f"Limits.{name} is {getattr(limits, name)}; choose a value from {low} to {high}.")
    if limits.result_bytes + limits.stdout_bytes > MAX_OUTPUT:
        raise ConfigError(f"Limits.result_bytes and stdout_bytes together exceed {MAX_OUTPUT} bytes; lower one.")
    return limits


def check_job(job: Job) -> None:
    """Refuse a job that cannot be run as it is.

    Raises:
        ExecutorError: It has too many calls.
        ConfigError: Its limits or variant are out of range, or it is a script without a text to read.
    """
    if len(job.calls) > MAX_CALLS:
        raise ExecutorError(f"The job has {len(job.calls)} calls; split it into jobs of at most {MAX_CALLS}.")
    if not 0 <= job.variant < 16:
        raise ConfigError(f"Job.variant is {job.variant}; choose a value from 0 to 15.")
    if job.limits is not None:
        check_limits(job.limits)
    if job.is_script:
        for index in range(len(job.calls)):
            stdin_of(job, index)


def pack(job: Job, limits: Limits) -> bytes:
    """Lay a job out as the child reads it; longer than ``MAX_REQUEST`` means that it cannot be run."""
    program = job.program.encode("utf-8", "surrogatepass")
    entry = job.entry.encode("utf-8", "surrogatepass")
    calls = () if job.is_script else job.calls
    seed = (job.seed + (1 << 63)) % (1 << 64) - (1 << 63)
    head = REQUEST.pack(
        len(program),
        len(entry),
        len(calls),
        seed,
        limits.recursion,
        limits.stdout_bytes,
        limits.result_bytes,
        job.coerce,
        job.is_script,
    )
    parts = [head, program, entry]
    for call in calls:
        parts += (LENGTH.pack(len(call)), call)
    return b"".join(parts)


def stdin_of(job: Job, index: int = 0) -> bytes:
    """Return what a script finds at its standard input in one of its calls.

    Raises:
        ConfigError: The call's one argument is no ``str`` or ``bytes``, or it is too long.
    """
    try:
        arguments = decode(job.calls[index])
    except DecodeError as error:
        raise ConfigError(f"Call {index} of a script is no encoding, or longer than {MAX_STDIN} bytes.") from error
    match arguments:
        case (str(text),):
            return text.encode("utf-8", "surrogatepass")
        case (bytes(data),):
            return data
    raise ConfigError(f"Call {index} of a script must have one argument, its standard input as str or bytes.")


def file_bytes(limits: Limits) -> int:
    """How long each stream of a script may become: one byte more than is kept, so that it shows."""
    return max(limits.result_bytes, limits.stdout_bytes) + 1


def fingerprint(job: Job, limits: Limits) -> bytes:
    """Return a digest of everything that a job's executions depend on."""
    bounds = (limits.wall_seconds, limits.cpu_seconds, limits.memory_mib, job.variant, len(job.calls))
    digest = blake2b(repr(bounds).encode(), digest_size=16)
    digest.update(pack(job, limits))
    if job.is_script:
        for call in job.calls:
            digest.update(call)
    return digest.digest()


def failed(job: Job, status: Status, message: str, isolation: Isolation) -> list[Execution]:
    """Say of every call of a job that it did not run, and why."""
    return [Execution(status=status, message=message, isolation=isolation)] * len(job.calls)


def read(
    result: memoryview | bytes,
    job: Job,
    limits: Limits,
    ending: Ending,
    isolation: Isolation,
    *,
    streams: Streams | None = None,
) -> list[Execution] | None:
    """Turn a child's claims and the kernel's word about it into executions.

    Args:
        result: The result map.
        job: What was run.
        limits: What it was run under.
        ending: What the kernel says.
        isolation: What protected the run.
        streams: What a script wrote to; its output is its result, and its exit status says whether it is one.

    Returns:
        One execution per call, or None if the sandbox and not the program failed.
    """
    verdict = _verdict(ending, limits)
    if verdict is None:
        return None
    frame = _Frame(result, job, limits, ending, isolation)
    if _is_over(ending, limits):
        frame.void()
    return frame.executions(*verdict) if streams is None else [_read_script(frame, streams, *verdict)]


def _read_script(frame: _Frame, streams: Streams, status: Status, message: str) -> Execution:
    limits, name, value = frame.limits, "", b""
    stdout, more, stderr = streams.read(limits.result_bytes, limits.stdout_bytes)
    text = stdout.decode("utf-8", "replace")
    encoded = b"" if more else encode(text, max_bytes=4 * MAX_OUTPUT)
    if more or len(encoded) > 2 * MAX_BYTES:  # what is no text grows when it is made one
        status, message = Status.TOO_LARGE, f"wrote more than {limits.result_bytes} bytes to standard output"
    elif status is Status.EXITED and frame.ending.wait_status == 0:
        status, message, value = Status.OK, "", encoded
    elif status is Status.EXITED:
        status, name, message = frame.exception() or (status, name, message)
    return Execution(
        status=status,
        value=value,
        exception=name,
        message=message,
        stdout=text,
        stderr=stderr.decode("utf-8", "replace"),
        cpu_seconds=frame.ending.cpu_seconds,
        wall_seconds=frame.ending.wall_seconds,
        isolation=frame.isolation,
    )


def _verdict(ending: Ending, limits: Limits) -> tuple[Status, str] | None:
    """Say what ended the child, for the calls that it did not finish; None blames the sandbox."""
    if ending.late:
        return Status.WALL, f"stopped after {limits.wall_seconds:g} s"
    if _is_over(ending, limits):
        return Status.CPU, f"used {ending.cpu_seconds:.2g} s of CPU time; {limits.cpu_seconds:g} s are allowed"
    if os.WIFEXITED(ending.wait_status):
        return Status.EXITED, f"the program left with exit status {os.WEXITSTATUS(ending.wait_status)}"
    number = os.WTERMSIG(ending.wait_status)
    if number in _CPU_SIGNALS:
        return Status.CPU, f"used {limits.cpu_seconds:g} s of CPU time"
    if number == signal.SIGSYS:
        return Status.FORBIDDEN, "killed for a forbidden system call"
    if number == signal.SIGUSR1:
        return None  # the child could not be set up
    if number == signal.SIGKILL:
        return _killed(ending, limits)
    return Status.CRASHED, f"killed by {signal.Signals(number).name if number in _KNOWN else number}"


def _is_over(ending: Ending, limits: Limits) -> bool:
    """Tell whether a child used more CPU time than its timer can have let it.

    The kernel looks at CPU timers when its clock ticks: a program that sleeps through each tick is never
    stopped, but its time is counted. The slack is for starting, one tick, and giving memory back.
    """
    slack = 0.05 + 0.1 * limits.cpu_seconds + 2.5e-7 * ending.peak_kib
    return ending.cpu_seconds > limits.cpu_seconds + slack


_KNOWN = {int(number) for number in signal.Signals}


def _killed(ending: Ending, limits: Limits) -> tuple[Status, str] | None:
    """Tell the hard CPU limit, the machine out of memory because of the program, and a stray kill apart."""
    if ending.cpu_seconds >= limits.cpu_seconds:
        return Status.CPU, f"used {limits.cpu_seconds:g} s of CPU time"
    if ending.starved and ending.peak_kib >= limits.memory_mib * 512:
        return Status.MEMORY, "the machine ran out of memory"
    return None


class _Frame:
    """Reads one result map with bounds on everything."""

    def __init__(
        self, result: memoryview | bytes, job: Job, limits: Limits, ending: Ending, isolation: Isolation
    ) -> None:
        self.result, self.calls, self.limits = result, len(job.calls), limits
        finished, shared, self.records, captured = RESULT.unpack_from(result)
        self.complete, self.shared = finished == 1, shared == 1
        self.at = RESULT.size + limits.stdout_bytes
        end = RESULT.size + min(captured, limits.stdout_bytes)
        self.stdout = bytes(result[RESULT.size : end]).decode("utf-8", "replace")
        self.ending, self.isolation = ending, isolation

    def executions(self, status: Status, message: str) -> list[Execution]:
        """Read the finished calls; the first unfinished one gets ``status``, and so do those after it."""
        wanted = 1 if self.shared else self.calls
        done = self._read_records(min(self.records, wanted))
        if done is None:
            return self._all(Status.CRASHED, "the result is not a frame")
        if self.shared and done:
            return done * self.calls
        if len(done) < self.calls:
            if self.complete and status is Status.EXITED:
                return self._all(Status.CRASHED, "the result is not a frame")
            done.append(self._execution(status, message=message))
            later = self._execution(status, message="not reached")
            done += [later] * (self.calls - len(done))
        return done

    def void(self) -> None:
        """Take no claim for a result."""
        self.records = self.shared = self.complete = False

    def exception(self) -> tuple[Status, str, str] | None:
        """Read how a script says that it failed: status, type and message; None if it does not."""
        done = self._read_records(min(self.records, 1))
        if not done or done[0].status is Status.OK:
            return None
        return done[0].status, done[0].exception, done[0].message

    def _all(self, status: Status, message: str) -> list[Execution]:
        return [self._execution(status, message=message)] * self.calls

    def _read_records(self, count: int) -> list[Execution] | None:
        done: list[Execution] = []
        left = self.limits.result_bytes
        for _ in range(count):
            if self.at + RECORD.size > len(self.result):
                return None
            code, mutated, name_size, message_size, value_size = RECORD.unpack_from(self.result, self.at)
            self.at += RECORD.size
            left -= value_size
            if code >= len(CLAIMS) or left < 0 or self.at + name_size + message_size + value_size > len(self.result):
                return None
            name, message = self._text(name_size, MAX_NAME), self._text(message_size, MAX_MESSAGE)
            done.append(self._claim(_CLAIMED[code], mutated == 1, name, message, self._take(value_size)))
        return done

    def _claim(self, status: Status, mutated: bool, name: str, message: str, value: bytes) -> Execution:
        if status is not Status.OK:
            return self._execution(status, b"", name, message, mutated)
        if _decodes(value):
            return self._execution(status, value, mutated=mutated)
        return self._execution(Status.CRASHED, message="the result is not an encoding")

    def _execution(
        self, status: Status, value: bytes = b"", exception: str = "", message: str = "", mutated: bool = False
    ) -> Execution:
        return Execution(
            status=status,
            value=value,
            exception=exception,
            message=message,
            mutated=mutated,
            stdout=self.stdout,
            cpu_seconds=self.ending.cpu_seconds,
            wall_seconds=self.ending.wall_seconds,
            isolation=self.isolation,
        )

    def _take(self, size: int) -> bytes:
        self.at += size
        return bytes(self.result[self.at - size : self.at])

    def _text(self, size: int, bound: int) -> str:
        if size == 0:
            return ""
        text = self._take(size)[: 4 * bound].decode("utf-8", "replace")
        return text[:bound].translate(_CONTROL)


def _decodes(value: bytes) -> bool:
    return _decodes_short(value) if len(value) <= _SHORT else _try_decode(value)


def _try_decode(value: bytes) -> bool:
    try:
        decode(value)
    except DecodeError:
        return False
    return True


_CLAIMED = tuple(map(Status, CLAIMS))
_SHORT = 64
_decodes_short = lru_cache(maxsize=4096)(_try_decode)  # most results are short, and groups repeat them
