"""What attacks are made of: their record, how they must end, and native code for their programs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from code_envs.executor import Execution, Limits
from code_envs.executor.probes import attacker

LIMITS = Limits(cpu_seconds=0.1, memory_mib=48, stdout_bytes=2000, result_bytes=100_000)
SHORT = Limits(cpu_seconds=0.03, memory_mib=48, stdout_bytes=2000, result_bytes=100_000)  # for endless loops
SHORT_WALL = Limits(cpu_seconds=0.5, wall_seconds=0.3, memory_mib=48)
FILLING = Limits(cpu_seconds=2.0, memory_mib=48, stdout_bytes=2000, result_bytes=100_000)  # for much memory
ROOMY = Limits(cpu_seconds=1.0, memory_mib=96, stdout_bytes=2000, result_bytes=100_000)

# All of ctypes, whose modules the sandbox hides but whose functions it cannot unload.
_NATIVE = r"""
import struct, sys
ct = type(_library).__init__.__globals__
def native(name, *arguments, result="c_int"):
    function = _library[name]
    function.restype = ct["c_long" if name in ("mmap", "sbrk", "syscall") else result]
    value = function(*arguments)
    if value in (-1, None):
        raise OSError(ct["get_errno"](), name)
    return value
def address(name):
    return ct["cast"](_library[name], ct["c_void_p"]).value
def call_at(place, *arguments):
    kinds = [ct["c_double"] if type(argument) is float else ct["c_long"] for argument in arguments]
    return ct["CFUNCTYPE"](ct["c_long"], *kinds)(place)(*arguments)
def find_code(pattern):
    for name in ("getpid", "Py_GetVersion", "XML_ParserCreate", "deflate"):
        try: return find_code_near(name, pattern)
        except (ValueError, AttributeError): pass
    raise ValueError("no such code")
def find_code_near(name, pattern):
    start = address(name) & -4096
    while ct["string_at"](start, 4) != b"\x7fELF": start -= 4096
    head = ct["string_at"](start, 4096)
    count = int.from_bytes(head[56:58], "little")
    for at in range(64, 64 + 56 * count, 56):
        kind, flags, _, place, _, size = struct.unpack_from("<IIQQQQ", head, at)
        if kind == 1 and flags & 1:
            return start + place + ct["string_at"](start + place, size).index(pattern)
def map_page(size=4096):
    return native("mmap", 0, ct["c_size_t"](size), 3, 0x22, -1, ct["c_long"](0))
"""
# The frame of the harness itself: what a program finds when it walks up.
FRAMES = (
    "import sys\n"
    "frame = sys._getframe()\n"
    "while 'session' not in frame.f_locals: frame = frame.f_back\n"
    "session = frame.f_locals['session']\n"
    "request_map, result_map = session.request_map, session.recorder.memory\n"
    "harness = type(session).run.__globals__\n"
    "def place_of(memory): return ct['c_void_p'].from_address(id(memory) + 16).value\n"
)
_USES_NATIVE = re.compile(r"\b(syscall|native|ct|kinds|_library|_numbers|_long|address|call_at|find_code|map_page)\b")
_PRINT = "import os as _os\n_write, _repr = _os.write, repr\n"


@dataclass(frozen=True)
class Attack:
    """An attack.

    Attributes:
        name: What is tried, in words.
        body: The lines of ``f()``.
        ends: The statuses in which it may end, separated by ``|``.
        exception: The type of the exception, if it ends ``raised``; types are separated by ``|``, and ``*``
            is for programs without a meaning.
        message: How the message starts; ``[Errno 1]`` names an error number.
        value: The harmless value that it gets, if it ends ``ok``.
        limits: What it runs under.
        script: How it ends as a script where that differs; empty where it makes no sense as one.
        machine: The only processor that it is for, if not for all.
    """

    name: str
    body: str
    ends: str
    exception: str = ""
    message: str = ""
    value: object = None
    limits: Limits = LIMITS
    script: str | None = None
    machine: str = ""

    def program(self, mode: str) -> str:
        """Write the program that attacks."""
        if not _USES_NATIVE.search(self.body):
            program = "import os, sys\ndef f():\n" + "".join(f"    {line}\n" for line in self.body.splitlines())
        else:
            program = attacker(self.body).replace("def f():", _NATIVE + "def f():", 1)
        return program if mode != "script" else _PRINT + program + "_write(1, _repr(f()).encode())\n"

    def check(self, done: Execution, mode: str) -> None:
        """Fail unless it ended exactly as it must."""
        ends = self.script if mode == "script" and self.script is not None else self.ends
        assert done.status.value in ends.split("|"), done
        if done.status == "raised":
            assert self.exception == "*" or done.exception in self.exception.split("|"), done
            assert done.message.startswith(self.message), done
        if done.ok and (mode != "script" or self.script is None):
            assert (repr(self.value) == done.stdout) if mode == "script" else (self.value == done.result()), done


def native_tools() -> str:
    """Return what a whole script puts before itself to make system calls."""
    return attacker("pass").replace("def f():", _NATIVE + "def f():", 1)


@dataclass(frozen=True)
class Group:
    """Attacks on one facility, and the program that uses it in its legitimate way.

    Attributes:
        name: The facility.
        twin: The lines of ``f()`` of the honest program.
        value: What it returns.
        attacks: The attacks.
    """

    name: str
    twin: str
    value: object
    attacks: tuple[Attack, ...]

    def program(self, mode: str) -> str:
        """Write the honest program."""
        program = "def f():\n" + "\n".join("    " + line for line in self.twin.splitlines()) + "\n"
        return program if mode != "script" else program + "print(repr(f()), end='')\n"

    def check(self, done: Execution, mode: str) -> None:
        """Fail unless the honest program got its value."""
        assert done.ok, done
        assert done.stdout.endswith(repr(self.value)) if mode == "script" else done.result() == self.value, done


def group(name: str, twin: str, value: object, *attacks: Attack) -> Group:
    """Put attacks beside their honest twin."""
    return Group(name, twin, value, attacks)


def denied(name: str, body: str, exception: str = "PermissionError", message: str | None = None, **more) -> Attack:
    """Expect an exception; the operating system's refusal is ``EPERM`` unless said otherwise."""
    if message is None:
        message = "[Errno 1]" if exception == "PermissionError" else ""
    return Attack(name, body, "raised", exception, message, **more)


def killed(name: str, body: str, **more) -> Attack:
    """Expect death by the filter."""
    return Attack(name, body, "forbidden", **more)


def returns(name: str, body: str, value: object, **more) -> Attack:
    """Expect a harmless value."""
    return Attack(name, body, "ok", value=value, **more)


def ends(name: str, body: str, status: str, **more) -> Attack:
    """Expect a status."""
    usual = {"cpu": SHORT, "memory": FILLING}.get(status, LIMITS)
    return Attack(name, body, status, **{"limits": usual} | more)
