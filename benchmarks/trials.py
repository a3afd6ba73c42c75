"""Programs whose end is known: honest ones with their results, hostile ones with the ways they may end."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from code_envs.codec import encode
from code_envs.executor import Execution, Job, Limits, Status
from code_envs.executor.probes import attacker

__all__ = ["HONEST", "HOSTILE", "HOSTILE_SCRIPTS", "SCRIPTS", "Trial", "Wanted", "draw_trial"]

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
    "thread flood": ("import _thread\nwhile True: _thread.start_new_thread(print, ())", (Status.RAISED,)),
    "memory, in pieces": ("held = []\nwhile True: held.append(bytearray(1 << 20))", (Status.MEMORY, Status.CPU)),
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


# Whole programs that read standard input; the trusted side runs them too.
SCRIPTS = {
    "script with input()": "n = int(input())\nprint(n * 7, len(input()), sep='|')",
    "script with a loop": "import sys\nnext(sys.stdin)\nfor line in sys.stdin:\n    print(line.rstrip()[::-1])",
    "script that raises": "n = int(input())\nprint(n)\nif n % 2: raise ValueError(f'{n} is odd')",
}
# name -> what a hostile script does, how it may end
HOSTILE_SCRIPTS = {
    "script: endless output": ("while True: print('x' * 1000)", (Status.TOO_LARGE, Status.CPU, Status.RAISED)),
    "script: endless input": ("while True: open(0).read()", (Status.RAISED, Status.CPU)),
    "script: garbage": ("import os\nos.write(1, bytes(range(256)) * 9)\nos._exit(7)", (Status.EXITED,)),
    "script: closed streams": ("import os\nfor n in range(3): os.close(n)\nos._exit(0)", (Status.OK,)),
    "script: deadlock": ("import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()", (Status.WALL,)),
    "script: fork bomb": ("import os\nwhile True: os.fork()", (Status.RAISED,)),
    "script: memory": ("held = []\nwhile True: held.append(bytearray(1 << 20))", (Status.MEMORY, Status.CPU)),
    "script: kill": ("import os\nos.kill(1, 9)", (Status.FORBIDDEN,)),
}


class Wanted(msgspec.Struct, frozen=True):
    """What one call of an honest program must give."""

    status: Status
    value: bytes = b""
    exception: str = ""
    mutated: bool = False
    stdout: str = ""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One program and what may come of it.

    Attributes:
        name: What it is.
        job: The program and its calls.
        ends: How each call of a hostile program may end.
        expected: What each call of an honest program must give; empty for a hostile one.
    """

    name: str
    job: Job
    ends: tuple[Status, ...] = ()
    expected: Sequence[Wanted] = ()

    def find_fault(self, done: Sequence[Execution]) -> str:
        """Say in words what is wrong with the outcome; empty if nothing is, or if the sandbox failed."""
        if any(one.status is Status.INFRA for one in done):
            return ""
        if not self.expected:
            odd = [one for one in done if one.status not in self.ends]
            return f"{self.name}: {odd[0].status}: {odd[0].exception} {odd[0].message}" if odd else ""
        for one, wanted in zip(done, self.expected, strict=True):
            got = Wanted(one.status, one.value, one.exception, one.mutated, one.stdout)
            if got != wanted:
                return f"{self.name}: {got} instead of {wanted} ({one.message})"
        return ""


def draw_trial(rng: np.random.Generator, hostile: float) -> Trial:
    """Draw a program.

    Args:
        rng: Decides on everything.
        hostile: The share of hostile programs, in [0, 1].
    """
    mark = f"# {rng.integers(1 << 62)}\n"  # no two programs are the same text
    if rng.random() < hostile:
        return _draw_hostile(rng, mark)
    variant = int(rng.random() < 0.1)
    if rng.random() < 0.15:
        name = list(SCRIPTS)[rng.integers(len(SCRIPTS))]
        texts = [f"{number}\n{text}\n{text[::2]}\n" for number, _, text in _draw_calls(rng)]
        calls = [encode((text,), ordered=True) for text in texts]
        job = Job(program=mark + SCRIPTS[name], entry="", calls=calls, limits=_HONEST_LIMITS, variant=variant)
        return Trial(name=name, job=job, expected=[_expect_script(SCRIPTS[name], text) for text in texts])
    name = list(HONEST)[rng.integers(len(HONEST))]
    arguments, isolated = _draw_calls(rng), bool(rng.random() < 0.1)
    job = Job(
        program=mark + HONEST[name],
        entry="f",
        calls=[encode(one, ordered=True) for one in arguments],
        limits=_HONEST_LIMITS,
        variant=variant,
        isolate_calls=isolated,
    )
    return Trial(name=name, job=job, expected=_expect(HONEST[name], arguments, isolated))


def _draw_hostile(rng: np.random.Generator, mark: str) -> Trial:
    if rng.random() < 0.2:
        name = list(HOSTILE_SCRIPTS)[rng.integers(len(HOSTILE_SCRIPTS))]
        program, ends = HOSTILE_SCRIPTS[name]
        entry, calls = "", [encode(("1\n",), ordered=True)]
    else:
        name = list(HOSTILE)[rng.integers(len(HOSTILE))]
        body, ends = HOSTILE[name]
        program, entry, calls = attacker(body), "f", [encode((), ordered=True)]
    limits = _SHORT if Status.WALL in ends else _SMALL
    return Trial(name=name, job=Job(program=mark + program, entry=entry, calls=calls, limits=limits), ends=ends)


def _draw_calls(rng: np.random.Generator) -> list[tuple[int, list[int], str]]:
    return [_draw_arguments(rng) for _ in range(rng.integers(1, 6))]


def _draw_arguments(rng: np.random.Generator) -> tuple[int, list[int], str]:
    letters = rng.integers(97, 123, size=rng.integers(1, 40))
    items = rng.integers(-1000, 1000, size=rng.integers(0, 12))
    return int(rng.integers(500)), [int(item) for item in items], "".join(map(chr, letters))


def _expect(source: str, calls: Sequence[tuple[object, ...]], isolated: bool) -> list[Wanted]:
    space: dict[str, Any] = {}
    exec(source, space)  # our own source
    found = []
    for arguments in calls:
        before = encode(arguments, ordered=True)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            try:
                value = encode(space["f"](*arguments))
            except ValueError:
                found.append(Wanted(Status.RAISED, exception="ValueError"))
                continue
        mutated = encode(arguments, ordered=True) != before
        found.append(Wanted(Status.OK, value, "", mutated, printed.getvalue()))
    if isolated:
        return found
    together = "".join(one.stdout for one in found)
    return [msgspec.structs.replace(one, stdout=together) for one in found]


def _expect_script(source: str, text: str) -> Wanted:
    before, sys.stdin = sys.stdin, io.StringIO(text)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(source, {})  # our own source
    except ValueError:
        return Wanted(Status.RAISED, exception="ValueError", stdout=printed.getvalue())
    finally:
        sys.stdin = before
    return Wanted(Status.OK, encode(printed.getvalue()), stdout=printed.getvalue())
