"""Programs whose end is known: honest ones with their results, hostile ones with the ways they may end."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from code_envs.codec import encode
from code_envs.executor import Execution, Job, Limits, Status
from code_envs.executor.probes import attacker

__all__ = ["HONEST", "HOSTILE", "Trial", "draw_trial"]

_HONEST_LIMITS = Limits(cpu_seconds=2.0, wall_seconds=20.0)
_SMALL = Limits(cpu_seconds=0.05, wall_seconds=10.0, memory_mib=32, stdout_bytes=2000, result_bytes=10_000)

_SHORT = msgspec.structs.replace(_SMALL, wall_seconds=0.3)

# All of them are functions of a number, some items and a text; the trusted side runs them too.
HONEST = {
    "arithmetic": "def f(n, items, text):\n    return n * 7 + sum(items) // (n % 5 + 1)",
    "text": "def f(n, items, text):\n    return [text.upper()[:n], text[::-1], f'{n:>8}|{len(text)}']",
    "containers": "def f(n, items, text):\n    return {'set': set(items), 'zip': [*zip(items, text)], 'n': (n, n / 3)}",
    "library": (
        "import collections, heapq, itertools, math, re\n"
        "def f(n, items, text):\n"
        "    counts = collections.Counter(re.findall('[aeiou]', text))\n"
        "    return [sorted(counts.items()), heapq.nlargest(3, items), math.floor(math.pi * n),\n"
        "            list(itertools.accumulate(sorted(items)))]"
    ),
    "recursion": "def f(n, items, text):\n    return n if n < 2 else f(n // 2, items, text) + f(n // 3, items, text)",
    "class": (
        "class Stack:\n"
        "    def __init__(self): self.items = []\n"
        "    def push(self, item): self.items.append(item); return self\n"
        "def f(n, items, text):\n"
        "    stack = Stack()\n"
        "    for item in items: stack.push(item + n)\n"
        "    return stack.items"
    ),
    "mutation": "def f(n, items, text):\n    items.append(n)\n    return len(items)",
    "output": "def f(n, items, text):\n    print(text, n)\n    return None",
    "refusal": "def f(n, items, text):\n    if n % 2: raise ValueError(f'{n} is odd')\n    return n // 2",
    "slow": ("def f(n, items, text):\n    for i in range(30_000): n = (n * 31 + i) % 1_000_003\n    return n"),
}

_FRAMES = (
    "import sys\n"
    "frame = sys._getframe()\n"
    "while 'session' not in frame.f_locals: frame = frame.f_back\n"
    "result_map = frame.f_locals['session'].recorder.memory\n"
)
# name -> what f() does, how it may end
HOSTILE: dict[str, tuple[str, tuple[Status, ...]]] = {
    "fork bomb": ("while True: os.fork()", (Status.RAISED,)),
    "thread flood": ("import threading\nwhile True: threading.Thread(target=print).start()", (Status.RAISED,)),
    "memory, in pieces": ("held = []\nwhile True: held.append(bytearray(1 << 20))", (Status.MEMORY,)),
    "memory, at once": ("return len(bytearray(1 << 40))", (Status.MEMORY,)),
    "endless recursion": ("def g(): return g()\ng()", (Status.RECURSION,)),
    "recursion past its limit": (
        "import sys\nsys.setrecursionlimit(10 ** 8)\ndef g(n): return [g(n + 1), n]\ng(0)",
        (Status.CRASHED, Status.MEMORY, Status.RECURSION, Status.CPU),
    ),
    "endless loop": ("while True: pass", (Status.CPU,)),
    "endless loop that catches all": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        (Status.CPU,),
    ),
    "big number": ("return len(str(7 ** 10 ** 7))", (Status.CPU, Status.RAISED)),
    "regular expression": ("import re\nreturn re.match('(a+)+$', 'a' * 64 + 'b')", (Status.CPU,)),
    "output flood": ("while True: print('x' * 10_000)", (Status.CPU,)),
    "large result": ("return 'x' * (1 << 20)", (Status.TOO_LARGE,)),
    "result that is no value": ("return object()", (Status.TOO_LARGE,)),
    "exit": ("raise SystemExit(0)", (Status.EXITED,)),
    "hard exit": ("os._exit(0)", (Status.EXITED,)),
    "abort": ("os.abort()", (Status.CRASHED, Status.FORBIDDEN)),
    "unmap everything": ("syscall('munmap', 0, 0x7FFFFFFFF000)", (Status.CRASHED,)),
    "kill the parent": ("os.kill(1, 9)", (Status.FORBIDDEN,)),
    "execute": ("os.execv('/bin/sh', ['sh'])", (Status.FORBIDDEN,)),
    "io_uring": ("syscall('io_uring_setup', 1, 0)", (Status.FORBIDDEN,)),
    "trace": ("syscall('ptrace', 16, 1, 0, 0)", (Status.FORBIDDEN,)),
    "file": ("open('/etc/passwd').read()", (Status.RAISED,)),
    "shared memory file": ("open('/dev/shm/left-behind', 'w').write('x')", (Status.RAISED,)),
    "socket": ("syscall('socket', 2, 1, 0)", (Status.RAISED,)),
    "garbage frame": (
        _FRAMES + "result_map[:] = bytes([255]) * len(result_map)\nos._exit(0)",
        (Status.CRASHED, Status.CPU),
    ),
    "frame with huge lengths": (
        _FRAMES + "result_map[:10] = bytes([1, 0]) + bytes([255]) * 8\nos._exit(0)",
        (Status.CRASHED, Status.OK),
    ),
    "deadlock": ("import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()", (Status.WALL,)),
    "poisoned modules": (
        "import builtins, math, heapq, random\nmath.pi = 3\nheapq.nlargest = builtins.sorted = builtins.sum = None\n"
        "random.seed(1)\nreturn True",
        (Status.OK, Status.RAISED, Status.CRASHED),
    ),
    "deep source": ("return " + "(" * 5000 + ")" * 5000, (Status.RAISED, Status.MEMORY)),
}


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One program and what may come of it.

    Attributes:
        name: A key of ``HONEST`` or ``HOSTILE``.
        job: The program and its calls.
        ends: How each call may end.
        expected: What each call of an honest program must give: status, value, exception, mutated.
        stdout: What an honest program must have printed.
    """

    name: str
    job: Job
    ends: tuple[Status, ...] = ()
    expected: Sequence[tuple[Status, bytes, str, bool]] = ()
    stdout: str = ""

    def find_fault(self, done: Sequence[Execution]) -> str:
        """Say in words what is wrong with the outcome; empty if nothing is, or if the sandbox failed."""
        if any(one.status is Status.INFRA for one in done):
            return ""
        if not self.expected:
            odd = [one for one in done if one.status not in self.ends]
            return f"{self.name}: {odd[0].status}: {odd[0].exception} {odd[0].message}" if odd else ""
        for one, wanted in zip(done, self.expected, strict=True):
            got = (one.status, one.value, one.exception, one.mutated)
            if got != wanted:
                return f"{self.name}: {got} instead of {wanted} ({one.message})"
        if done[0].stdout != self.stdout:
            return f"{self.name}: printed {done[0].stdout!r} instead of {self.stdout!r}"
        return ""


def draw_trial(rng: np.random.Generator, hostile: float) -> Trial:
    """Draw a program.

    Args:
        rng: Decides on everything.
        hostile: The share of hostile programs, in [0, 1].
    """
    mark = f"# {rng.integers(1 << 62)}\n"  # no two programs are the same text
    if rng.random() < hostile:
        name = list(HOSTILE)[rng.integers(len(HOSTILE))]
        body, ends = HOSTILE[name]
        limits = _SHORT if Status.WALL in ends else _SMALL
        job = Job(program=mark + attacker(body), entry="f", calls=[encode((), ordered=True)], limits=limits)
        return Trial(name=name, job=job, ends=ends)
    name = list(HONEST)[rng.integers(len(HONEST))]
    calls = [_draw_arguments(rng) for _ in range(rng.integers(1, 6))]
    encoded = [encode(arguments, ordered=True) for arguments in calls]
    job = Job(
        program=mark + HONEST[name], entry="f", calls=encoded, limits=_HONEST_LIMITS, variant=int(rng.random() < 0.1)
    )
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        expected = [_expect(_compiled(name), arguments) for arguments in calls]
    return Trial(name=name, job=job, expected=expected, stdout=printed.getvalue())


def _draw_arguments(rng: np.random.Generator) -> tuple[int, list[int], str]:
    letters = rng.integers(97, 123, size=rng.integers(1, 40))
    items = rng.integers(-1000, 1000, size=rng.integers(0, 12))
    return int(rng.integers(500)), [int(item) for item in items], "".join(map(chr, letters))


def _compiled(name: str) -> Callable[..., object]:
    space: dict[str, Any] = {}
    exec(HONEST[name], space)  # our own source
    found: Callable[..., object] = space["f"]
    return found


def _expect(function: Callable[..., object], arguments: tuple[object, ...]) -> tuple[Status, bytes, str, bool]:
    before = encode(arguments, ordered=True)
    try:
        value = encode(function(*arguments))
    except ValueError as error:
        return Status.RAISED, b"", type(error).__name__, False
    return Status.OK, value, "", encode(arguments, ordered=True) != before
