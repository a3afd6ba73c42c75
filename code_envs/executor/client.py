"""The client's end of one zygote: its process, its control socket and its two shared maps."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from mmap import mmap
from pathlib import Path
from types import TracebackType

from code_envs.errors import ExecutorError, IsolationUnavailable
from code_envs.executor import wire
from code_envs.executor.frame import COMMAND, MAP_BYTES, REPLY
from code_envs.executor.kernel import oom_kills
from code_envs.executor.streams import Streams
from code_envs.executor.types import Execution, Isolation, Job, Limits

__all__ = ["Zygote", "ZygoteDied"]

_SCRIPT = str(Path(__file__).resolve().with_name("zygote.py"))
_F_ADD_SEALS, _SEAL_SEAL, _SEAL_SHRINK, _SEAL_GROW = 1033, 1, 2, 4
_PUNCH_HOLE = 3  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
_ZEROS = bytes(32 << 10)  # over the beginning of a map; what lies behind is given back to the kernel
_KEPT_ENVIRONMENT = ("LD_LIBRARY_PATH", "PYTHONHOME")  # some interpreters do not start without; programs see neither
START_SECONDS = 60.0
GRACE_SECONDS = 10.0  # on top of the wall limit, until the zygote itself counts as hung


class ZygoteDied(Exception):
    """The zygote does not answer any more; its last job did not get a verdict."""


class _Shared:
    """A sealed memory map that another process shares; its size can never change."""

    def __init__(self, name: str, writable: bool) -> None:
        self.descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with ExitStack() as undo:
            undo.callback(os.close, self.descriptor)
            os.ftruncate(self.descriptor, MAP_BYTES)
            self.memory = undo.enter_context(mmap(self.descriptor, MAP_BYTES))
            fcntl.fcntl(self.descriptor, _F_ADD_SEALS, _SEAL_SEAL | _SEAL_SHRINK | _SEAL_GROW)
            # opened anew, so that a read-only descriptor can never be mapped writable
            mode = os.O_RDWR if writable else os.O_RDONLY
            self.theirs = os.open(f"/proc/self/fd/{self.descriptor}", mode | os.O_CLOEXEC)
            undo.pop_all()

    def wipe(self) -> None:
        """Leave nothing of this run to the next one."""
        wiped = len(_ZEROS)
        self.memory[:wiped] = _ZEROS
        try:
            os.lseek(self.descriptor, wiped, os.SEEK_DATA)
        except OSError:
            return  # nothing was written behind
        size = ctypes.c_long(MAP_BYTES - wiped)
        if _libc.fallocate(self.descriptor, _PUNCH_HOLE, ctypes.c_long(wiped), size) != 0:
            self.memory[wiped:] = bytes(MAP_BYTES - wiped)

    def hand_over(self) -> None:
        """Close the descriptor that the other process has inherited."""
        os.close(self.theirs)
        self.theirs = -1

    def close(self) -> None:
        """Free the map; what the other process holds stays."""
        self.memory.close()
        os.close(self.descriptor)
        if self.theirs >= 0:
            os.close(self.theirs)


_libc = ctypes.CDLL(None, use_errno=True)


class Zygote:
    """One fork server. Not safe to share between threads; the pool lends it to one at a time.

    The constructor returns before the server is ready: wait until :meth:`fileno` is readable, then
    call :meth:`finish_start`.

    Args:
        isolation: The level to set up.
        variant: Chooses the hash seed; every server has an address layout of its own anyway.
        lean: Load only what most programs need; see :func:`.preload.is_lean`.
        python: The interpreter that runs the programs; the client's own if empty.
        seccomp: Install the filters. Only tests of the layers behind them go without.
    """

    def __init__(
        self, isolation: Isolation, variant: int = 0, *, lean: bool = False, python: str = "", seccomp: bool = True
    ) -> None:
        self.isolation, self.ready, self.landlock, self.version = isolation, False, 0, ""
        self.clock_frozen, self._oom_kills = False, oom_kills()
        self.deadline = time.monotonic() + START_SECONDS
        self._job: tuple[Job, Limits] | None = None
        self._streams: Streams | None = None  # of a script in flight
        config = {
            "level": isolation.value,
            "seccomp": seccomp and isolation is not Isolation.UNSAFE,
            "variant": variant,
            "lean": lean,
        }
        with ExitStack() as ours:
            self._request = ours.enter_context(closing(_Shared("request", writable=False)))
            self._result = ours.enter_context(closing(_Shared("result", writable=True)))
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.enter_context(self._socket)
            with theirs:
                passed = (theirs.fileno(), self._request.theirs, self._result.theirs)
                self._process = _start_process(python or sys.executable, config, variant, passed)
            self._request.hand_over()
            self._result.hand_over()
            self._resources = ours.pop_all()

    def fileno(self) -> int:
        """Return the control socket, readable when there is something to collect."""
        return self._socket.fileno()

    @property
    def pid(self) -> int:
        """The monitor's process id."""
        return self._process.pid

    def finish_start(self) -> None:
        """Take the server's word that it is ready.

        Raises:
            IsolationUnavailable: It could not set up the level; the message says what failed.
        """
        message = self._receive()
        assert self._process.stderr is not None
        if not message.startswith(b"R"):
            self._process.wait()
            reason = self._process.stderr.read().decode("utf-8", "replace").strip()[-300:]
            raise IsolationUnavailable(reason or f"the interpreter ended with {self._process.returncode}")
        self._process.stderr.close()
        landlock, frozen, self.version = message[1:].decode().split()
        self.ready, self.landlock, self.clock_frozen = True, int(landlock), frozen == "1"

    def submit(self, job: Job, request: bytes, limits: Limits) -> None:
        """Hand a packed job over.

        Raises:
            ZygoteDied: The server has gone.
            ExecutorError: The client is short of descriptors.
        """
        self._job = job, limits
        self.deadline = time.monotonic() + limits.wall_seconds + GRACE_SECONDS
        self._request.memory[: len(request)] = request
        file_bytes = wire.file_bytes(limits) if job.is_script else 0
        command = COMMAND.pack(limits.wall_seconds, limits.cpu_seconds, limits.memory_mib << 20, file_bytes)
        if job.is_script:
            try:
                self._streams = Streams(wire.stdin_of(job))
            except OSError as error:
                raise ExecutorError(f"The streams of a script cannot be opened: {error}.") from error
        try:
            self._socket.send(command)
            if self._streams is not None:
                self._streams.send(self._socket)
        except OSError as error:
            raise ZygoteDied from error

    def collect(self) -> list[Execution] | None:
        """Read what became of the job, then wipe both maps.

        Returns:
            One execution per call; None if the sandbox failed.

        Raises:
            ZygoteDied: The server has gone.
        """
        message = self._receive()
        if len(message) != REPLY.size or self._job is None:
            raise ZygoteDied
        status, late, cpu, wall, peak = REPLY.unpack(message)
        job, limits = self._job
        self._job = None
        ending = wire.Ending(status, late == 1, cpu, wall, peak, starved=self._may_be_starved(status))
        with memoryview(self._result.memory) as view:
            done = wire.read(view, job, limits, ending, self.isolation, streams=self._streams)
        self._close_streams()
        self._request.wipe()
        self._result.wipe()
        return done

    def _may_be_starved(self, wait_status: int) -> bool:
        """Tell a kill by the kernel, for want of memory, from one by somebody: its counter stands still then."""
        if not os.WIFSIGNALED(wait_status) or os.WTERMSIG(wait_status) != signal.SIGKILL:
            return False
        before, self._oom_kills = self._oom_kills, oom_kills()
        return before is None or before != self._oom_kills

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(64)
        except OSError:
            return b""

    def kill(self) -> None:
        """Ask the monitor to end everything at once; safe from any thread."""
        self._process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """End the processes and free every resource; waits for the end."""
        self.kill()
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._release()

    def __enter__(self) -> Zygote:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def abandon(self) -> None:
        """Let go, in a forked copy of the client, of what belongs to the original."""
        self._process.returncode = 0  # not our child: nothing to wait for
        self._release()

    def _close_streams(self) -> None:
        if self._streams is not None:
            self._streams.close()
            self._streams = None

    def _release(self) -> None:
        self._close_streams()
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._resources.close()


def _start_process(
    python: str, config: dict[str, str | bool | int], variant: int, passed: tuple[int, int, int]
) -> subprocess.Popen[bytes]:
    control, request, result = passed
    everything = {**config, "control": control, "request": request, "result": result, "client": os.getpid()}
    # -I without its -E: the only PYTHON variable is the hash seed below, which -E would ignore
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return subprocess.Popen(
        [python, "-s", "-P", "-S", "-B", "-W", "ignore", _SCRIPT, json.dumps(everything)],
        pass_fds=passed,
        env={**kept, "PYTHONHASHSEED": str(variant), "LC_ALL": "C.UTF-8"},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
