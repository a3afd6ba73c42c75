"""The blind fork server: started by path in a clean interpreter, never imported by the client.

Its heap is inherited by every child, so it must never hold a program, an input or a result: the
control socket carries limits one way, exit status and resource use the other way. Requests and
results pass through shared memory that only the client and the children look into.

The process that the client starts becomes the monitor: it forks the zygote (process 1 of its own
process namespace), waits for it, and ends it when the client ends.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import resource
import select
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import NoReturn


def _stub_packages() -> None:
    """Make the few files of this package importable without running any ``__init__``."""
    here = Path(__file__).resolve().parent
    for name, place in (("code_envs", here.parent), ("code_envs.executor", here)):
        package = ModuleType(name)
        package.__path__ = [str(place)]
        sys.modules[name] = package


if __name__ == "__main__":
    _stub_packages()
    os.register_at_fork = lambda **_: None  # hooks of ``random`` and others double the page faults of a fork

from mmap import MAP_SHARED, PROT_READ, PROT_WRITE, mmap  # noqa: E402

from code_envs.executor import bpf, child, clock, confine, policy, script  # noqa: E402
from code_envs.executor.frame import COMMAND, MAP_BYTES, REPLY  # noqa: E402
from code_envs.executor.lowering import Lowering, Plan, walk  # noqa: E402
from code_envs.executor.preload import preload  # noqa: E402
from code_envs.executor.syscalls import machine, table  # noqa: E402

_SLICE = 0.25  # seconds between two looks at whether the client still lives
_SLACK = 2 << 20


class Zygote:
    """Serves one request after the other, each in a fresh child."""

    def __init__(self, config: dict[str, int | str]) -> None:
        self.level, self.seccomp = str(config["level"]), bool(config["seccomp"])
        self.control, self.client, self.variant = int(config["control"]), int(config["client"]), int(config["variant"])
        self.maps = int(config["request"]), int(config["result"])
        self.arch = machine()
        self.numbers = table(self.arch)
        self.libc = confine.Libc(self.numbers)

    def start(self) -> NoReturn:
        """Confine this process, split into monitor and zygote, and serve."""
        _reset_signals()
        _write_score()
        space, self.resident = _memory()
        self.base = space + 2 * MAP_BYTES + _SLACK
        confine.drop_user(self.libc)
        if self.level == "full":
            confine.enter_namespaces(self.libc)
        self.landlock = self._enter_landlock()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGTERM])
        lifeline, held = os.pipe()  # open at the other end as long as the monitor lives
        pid = os.fork()
        if pid:
            self._watch(pid)
        os.close(held)
        self._serve(lifeline)

    def _enter_landlock(self) -> int:
        if self.level not in ("full", "no_userns"):
            return 0
        confine.forbid_privileges(self.libc)  # Landlock asks for it
        version = confine.enter_landlock(self.libc)
        if version == 0 and self.level == "no_userns":
            raise OSError("this kernel has no Landlock")
        return version

    def _seal(self, instructions: list[bpf.Instruction]) -> None:
        """Take the last steps before the filter, then the filter."""
        confine.drop_capabilities(self.libc)
        confine.forbid_privileges(self.libc)
        confine.lower_limits()
        if self.seccomp:
            bpf.install(self.libc.cdll, self.numbers["seccomp"], bpf.prepare(instructions))

    def _watch(self, zygote: int) -> NoReturn:
        """Be the monitor: hold nothing, reap the zygote, end it when the client ends or says so."""
        for descriptor in (*self.maps, self.control, 0, 1):
            os.close(descriptor)
        self._seal(policy.monitor_filter(self.arch, zygote))
        os.close(2)  # last, so that a failure of the steps above can be named
        events = [signal.SIGCHLD, signal.SIGTERM]
        while os.waitpid(zygote, os.WNOHANG)[0] == 0:
            event = signal.sigtimedwait(events, 1.0)
            if (event and event.si_signo == signal.SIGTERM) or os.getppid() != self.client:
                os.kill(zygote, signal.SIGKILL)
        os._exit(0)

    def _serve(self, lifeline: int) -> NoReturn:
        request = mmap(self.maps[0], MAP_BYTES, MAP_SHARED, PROT_READ)
        result = mmap(self.maps[1], MAP_BYTES, MAP_SHARED, PROT_READ | PROT_WRITE)
        if self.landlock:
            confine.enter_landlock(self.libc)  # a second one, so that the monitor is outside
        confine.die_with_parent(self.libc, os.getppid())
        if _is_hung_up(lifeline):  # the monitor ended before the line above
            os._exit(0)
        os.close(lifeline)
        frozen = clock.freeze(self.libc, self.arch, clock.epoch(self.variant))
        rules = (policy.child_filter, policy.script_filter) if self.seccomp else ()
        filters = [bpf.prepare(rule(self.arch, frozen)) for rule in rules]
        self.lowering = Lowering(self.numbers, self.base, filters)
        receiver = script.Receiver(self.control)
        _hide_machinery()
        self._seal(policy.zygote_filter(self.arch))
        version = ".".join(map(str, sys.version_info[:3]))
        os.write(self.control, f"R{self.landlock} {frozen:d} {version}".encode())
        for descriptor in self.maps:
            os.close(descriptor)
        os.closerange(0, self.control)
        os.closerange(self.control + 1, self.control + 64)  # each map holds a copy of its descriptor
        session = child.Session(request, result)
        session.redirect()
        self._answer(session, receiver)

    def _answer(self, session: child.Session, receiver: script.Receiver) -> NoReturn:
        read, fork, leave, control, pid = os.read, os.fork, os._exit, self.control, os.getpid()
        gc.collect()
        gc.freeze()
        gc.disable()
        while message := read(control, COMMAND.size):
            wall, cpu, memory, file_bytes = COMMAND.unpack(message)
            if file_bytes:
                receiver.receive()
            plan = self.lowering.plan(cpu, memory, file_bytes)
            start = clock.now(self.libc)
            child_pid = fork()
            if child_pid == 0:
                try:
                    self._become_child(pid, plan)
                    leave(session.run())
                finally:
                    leave(1)  # whatever the program broke, nothing of the zygote runs in its process
            if file_bytes:
                receiver.close()
            self._reap(child_pid, start, wall)
        os._exit(0)

    def _become_child(self, parent: int, plan: Plan) -> None:
        """Lower what one program may use; a failure here must not look like the program's own end."""
        try:
            os.close(self.control)
            walk(self.lowering.bond)
            if os.getppid() != parent:  # it ended before it was to take us with it
                os._exit(1)
            walk(plan)
        except BaseException:
            os.kill(os.getpid(), signal.SIGUSR1)  # once under the filter, no program can send this signal
            os._exit(1)

    def _reap(self, pid: int, start: float, wall: float) -> None:
        late = 0
        while True:
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                break
            left = start + wall - clock.now(self.libc)
            if left <= 0:
                os.kill(pid, signal.SIGKILL)
                _, status, usage = os.wait4(pid, 0)
                late = 1
                break
            if signal.sigtimedwait([signal.SIGCHLD], min(left, _SLICE)) is None:
                self._leave_if_alone()
        cpu = usage.ru_utime + usage.ru_stime
        peak = max(0, usage.ru_maxrss - (self.resident >> 10))
        reply = REPLY.pack(status, late, cpu, clock.now(self.libc) - start, peak)
        try:
            os.write(self.control, reply)
        except OSError:
            os._exit(0)  # the client has gone

    def _leave_if_alone(self) -> None:
        if _is_hung_up(self.control):
            os._exit(0)  # the client has gone; the kernel ends the child with us


def _is_hung_up(descriptor: int) -> bool:
    """Whether the other end of a pipe or socket is closed."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return bool(poll.poll(0))


def _reset_signals() -> None:
    """Stop ignoring what the client ignores, which an exec keeps: limits and reaping rest on signals."""
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:  # these Python itself ignores
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def _write_score() -> None:
    """Be the first that the kernel sacrifices when memory runs out."""
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
    except OSError:
        pass  # no /proc, or a stricter container


def _memory() -> tuple[int, int]:
    """Bytes of address space, and how many of them are in memory."""
    space, resident = Path("/proc/self/statm").read_text().split()[:2]
    return int(space) * resource.getpagesize(), int(resident) * resource.getpagesize()


def _hide_machinery() -> None:
    """Leave nothing importable but what programs may use; no security rests on it."""
    for name in list(sys.modules):
        if name.split(".")[0] in ("code_envs", "ctypes", "_ctypes", "mmap", "select", "_socket"):
            del sys.modules[name]
    for name in set(os.environ) - {"LC_ALL", "PYTHONHASHSEED"}:
        del os.environ[name]
    sys.argv, sys.orig_argv, sys.executable = ["program"], [], ""
    sys.path, sys.path_hooks = [], []
    sys.path_importer_cache.clear()
    atexit._clear()


def main() -> None:
    """Read the configuration, start, and name on standard error what prevented it."""
    try:
        config = json.loads(sys.argv[1])
        preload(lean=config["lean"])
        child.warm_up()
        Zygote(config).start()
    except Exception as error:
        os.write(2, f"{error}\n".encode("utf-8", "replace"))
        os._exit(3)


if __name__ == "__main__":
    main()
