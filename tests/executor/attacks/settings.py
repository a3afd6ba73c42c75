"""Where the attacks run: each level of isolation, as root and as nobody, under each interpreter."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
import pytest

from attacks.tools import LIMITS
from code_envs.executor import Execution, Executor, Isolation, Limits, client

NOBODY = 65534
LEVELS = ("full", "no_userns", "seccomp")


@dataclass(frozen=True)
class Setting:
    """One machine to attack.

    Attributes:
        level: The level of isolation.
        user: ``root``, ``nobody``, or ``self`` where the tests do not run as root.
        minor: The minor version of the interpreter; 0 for the one that fits the user.
        mode: ``call`` for functions, ``script`` for programs that read standard input.
    """

    level: str
    user: str
    minor: int = 0
    mode: str = "call"

    def __str__(self) -> str:
        words = [self.level, self.user, f"python3.{self.minor}" if self.minor else "", self.mode]
        return "-".join(word for word in words if word)


class Answer(msgspec.Struct):
    """What became of one attack, and the process ids of the zygotes after it, by kind."""

    done: Execution
    zygotes: dict[str, int]


class Target:
    """An executor in this process.

    Args:
        setting: Which one.
        python: Its interpreter; the client's own if None.
    """

    def __init__(self, setting: Setting, python: str | None = None) -> None:
        self.mode = setting.mode
        self.executor = Executor(workers=1, limits=LIMITS, python=python, _level=Isolation(setting.level))

    def run(self, program: str, limits: Limits, mode: str, stdin: bytes = b"") -> Answer:
        """Run one program, the way that the setting says."""
        if mode == "call":
            (done,) = self.executor.run(program, "f", [()], limits)
        else:
            (done,) = self.executor.run_script(program, [stdin], limits)
        (slot,) = self.executor._pool._slots
        return Answer(done, {f"lean: {kind[1]}": zygote.pid for kind, zygote in slot.zygotes.items()})

    def close(self) -> None:
        """End it."""
        self.executor.close()


class Order(msgspec.Struct):
    """What a client in another process is to run."""

    program: str
    limits: Limits
    mode: str
    stdin: bytes = b""


class RemoteTarget:
    """An executor in a client process of its own, which runs as nobody.

    Args:
        setting: Which one.
        python: Its interpreter.
        folder: Where nobody can read a copy of what the zygote loads.
    """

    def __init__(self, setting: Setting, python: str, folder: Path) -> None:
        self.mode = setting.mode
        script = _copy_sandbox(folder)
        command = [sys.executable, str(Path(__file__).with_name("client.py")), setting.level, python, str(script)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, program: str, limits: Limits, mode: str, stdin: bytes = b"") -> Answer:
        """Let it run one program."""
        assert self._process.stdin
        assert self._process.stdout
        send(self._process.stdin, msgspec.msgpack.encode(Order(program, limits, mode, stdin)))
        return msgspec.msgpack.decode(receive(self._process.stdout), type=Answer)

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()
        assert self._process.returncode == 0


def send(stream, message: bytes) -> None:
    """Write one message with its length before it."""
    stream.write(struct.pack("<I", len(message)) + message)
    stream.flush()


def receive(stream) -> bytes:
    """Read one message; empty at the end."""
    head = stream.read(4)
    return stream.read(struct.unpack("<I", head)[0]) if head else b""


def _copy_sandbox(folder: Path) -> Path:
    source = Path(client.__file__).parent
    target = folder / "code_envs" / "executor"
    target.mkdir(parents=True)
    shutil.copy(source.parent / "codec.py", target.parent)
    for file in source.glob("*.py"):
        shutil.copy(file, target)
    for path in (folder, target.parent, target, *target.parent.rglob("*.py")):
        path.chmod(0o755)
    return target / "zygote.py"


@cache
def interpreters() -> dict[int, str]:
    """One interpreter for each supported minor version that is installed and starts."""
    found = {}
    for minor in (11, 12, 13):
        homes = Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3")
        working = [path for path in (shutil.which(f"python3.{minor}"), *map(str, homes)) if path and starts(path)]
        if working:
            found[minor] = working[0]
    return found


def starts(python: str, **user) -> bool:
    """Tell whether an interpreter starts, for some user."""
    ask = [python, "-I", "-S", "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    try:
        return subprocess.run(ask, capture_output=True, cwd="/", check=False, **user).returncode == 0
    except OSError:
        return False


@cache
def interpreter_for_nobody() -> str:
    """An interpreter that nobody can read; empty if there is none."""
    named = [sys.executable, *(f"/usr/bin/python3.{minor}" for minor in (11, 12, 13)), "/usr/local/bin/python3"]
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    return next((path for path in named if starts(path, **user)), "")


def settings(modes: tuple[str, ...] = ("call", "script")) -> list[Setting]:
    """All settings; those that cannot be had here skip when they are opened."""
    places = [(level, user, 0) for level in LEVELS for user in ("root", "nobody")]
    places += [("full", "root", minor) for minor in (11, 12, 13) if minor != sys.version_info.minor]
    return [Setting(*place, mode=mode) for mode in modes for place in places]


@contextmanager
def open_target(setting: Setting) -> Iterator[Target | RemoteTarget]:
    """Open what a setting names, or skip with the reason."""
    is_root = os.getuid() == 0
    with ExitStack() as stack:
        if setting.minor:
            if setting.minor not in interpreters():
                pytest.skip(f"needs python3.{setting.minor}")
            target: Target | RemoteTarget = Target(setting, interpreters()[setting.minor])
        elif setting.user == "root" and not is_root:
            pytest.skip("needs root; the row of nobody runs as this user")
        elif setting.user == "root" or not is_root:
            target = Target(setting)
        else:
            if not interpreter_for_nobody():
                pytest.skip("needs an interpreter that uid 65534 can read")
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            target = RemoteTarget(setting, interpreter_for_nobody(), Path(folder))
        stack.callback(target.close)
        yield target
