"""Small real attacks: each must fail in its own way before a level counts as in force."""

from __future__ import annotations

import select
import time

import msgspec

from code_envs.codec import encode
from code_envs.errors import ExecutorError
from code_envs.executor import wire
from code_envs.executor.client import Zygote, ZygoteDied
from code_envs.executor.syscalls import machine, table
from code_envs.executor.types import Execution, Job, Limits, Status

__all__ = ["ESSENTIAL", "PROBES", "Probe", "attack", "attacker", "wait"]

# Programs reach native code in many ways; this one finds what the sandbox itself has loaded.
_NATIVE = """
import os
_library = [kind for kind in object.__subclasses__() if kind.__name__ == "CDLL"][0](None, use_errno=True)
_data = [kind for kind in _library._FuncPtr.__mro__ if kind.__name__ == "_CData"][0]
kinds = {kind.__name__: kind for base in _data.__subclasses__() for kind in base.__subclasses__()}
_long = _library.syscall.restype = kinds["c_long"]
_errno = type(_library).__init__.__globals__["get_errno"]
_numbers = {numbers}
def syscall(name, *arguments):
    wide = [_long(argument) if type(argument) is int else argument for argument in arguments]
    result = _library.syscall(_long(_numbers[name]), *wide)
    if result < 0:
        raise OSError(_errno(), name)
    return result
"""
_REFUSALS = ("PermissionError", "OSError", "BlockingIOError", "RuntimeError")


def attacker(body: str) -> str:
    """Write a program that can make system calls by name and whose ``f()`` consists of these lines."""
    lines = "\n".join("    " + line for line in body.splitlines())
    return _NATIVE.replace("{numbers}", repr(table(machine()))) + f"def f():\n{lines}\n"


class Probe(msgspec.Struct, frozen=True):
    """One attack.

    Attributes:
        name: What is attacked, in words.
        body: The lines of ``f()``; returning means that the attack worked.
        held: The statuses that mean it was stopped.
        layers: What stops it.
    """

    name: str
    body: str
    held: tuple[Status, ...] = (Status.RAISED,)
    layers: str = "seccomp"

    def job(self) -> Job:
        """Build the job that attacks."""
        wall = 1.0 if Status.WALL in self.held else 20.0  # on a busy machine, CPU time takes its time
        limits = Limits(cpu_seconds=0.2, wall_seconds=wall, memory_mib=64)
        program = attacker(self.body + "\nreturn 'got through'")
        return Job(program=program, entry="f", calls=[encode((), ordered=True)], limits=limits)

    def is_held(self, done: Execution) -> bool:
        """Tell whether the attack was stopped, and by a refusal rather than by a mistake of its own."""
        if done.status is Status.RAISED and done.exception not in _REFUSALS:
            return False
        return done.status in self.held


_KILLED = (Status.FORBIDDEN,)
PROBES = (
    Probe("open a file", "open('/etc/hostname').read()", layers="empty root, Landlock, seccomp"),
    Probe("list a directory", "os.listdir('/')", layers="empty root, Landlock, seccomp"),
    Probe("read /proc", "open('/proc/self/maps').read()", layers="empty root, Landlock, seccomp"),
    Probe("write a file", "open('/tmp/x', 'w').write('x')", layers="read-only root, Landlock, seccomp"),
    Probe("internet socket", "syscall('socket', 2, 1, 0)", layers="seccomp, network namespace"),
    Probe("unix socket", "syscall('socket', 1, 1, 0)", layers="seccomp, Landlock"),
    Probe("vsock socket", "syscall('socket', 40, 1, 0)"),
    Probe("fork", "os.fork()", layers="seccomp, RLIMIT_NPROC"),
    Probe("start a thread", "import _thread\n_thread.start_new_thread(print, ())"),
    Probe("execute a program", "os.execv('/bin/true', ['true'])", _KILLED),
    Probe("signal a process", "os.kill(1, 9)", _KILLED, "seccomp, process namespace, Landlock"),
    Probe("trace a process", "syscall('ptrace', 16, 1, 0, 0)", _KILLED),
    Probe("executable memory", "syscall('mmap', 0, 4096, 7, 0x22, -1, 0)"),
    Probe("mount", "syscall('mount', 0, 0, 0, 0, 0)", _KILLED),
    Probe("io_uring", "syscall('io_uring_setup', 1, 0)", _KILLED),
    Probe("bpf", "syscall('bpf', 0, 0, 0)", _KILLED),
    Probe("memory limit", "bytearray(1 << 30)", (Status.MEMORY,), "RLIMIT_AS"),
    Probe("CPU limit", "while True: pass", (Status.CPU,), "CPU timer, RLIMIT_CPU"),
    Probe(
        "wall limit",
        "import _thread\nlock = _thread.allocate_lock()\nwhile True: lock.acquire()",
        (Status.WALL,),
        "zygote",
    ),
)
# What a level must stop before it is used; the slow ones are left to the doctor.
ESSENTIAL = tuple(
    probe for probe in PROBES if probe.name in ("open a file", "internet socket", "fork", "execute a program")
)


def attack(zygote: Zygote, probe: Probe) -> Execution:
    """Run one probe on a zygote of its own.

    Raises:
        ExecutorError: The zygote does not answer.
    """
    job = probe.job()
    assert job.limits is not None
    try:
        zygote.submit(job, wire.pack(job, job.limits), job.limits)
        wait(zygote)
        done = zygote.collect()
    except ZygoteDied:
        done = None
    if not done:
        raise ExecutorError(f"The sandbox ended while probing {probe.name!r}")
    return done[0]


def wait(zygote: Zygote) -> None:
    """Wait until a zygote has something to say, at most until its deadline.

    Raises:
        ExecutorError: It did not answer in time.
    """
    poll = select.poll()
    poll.register(zygote.fileno(), select.POLLIN)
    if not poll.poll(max(0.0, zygote.deadline - time.monotonic()) * 1000):
        raise ExecutorError("The sandbox does not answer; is this machine overloaded?")
