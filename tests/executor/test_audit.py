"""No byte of a former run is found again: not in the sandbox, not by a later program."""

import os
import signal
import string
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from code_envs.benchmarks.census import find_sandboxes, find_zygotes
from code_envs.executor import Executor, Isolation, Limits, Status
from code_envs.executor.probes import attacker

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can read another process's memory")
LIMITS = Limits(cpu_seconds=0.5, wall_seconds=10.0, memory_mib=64)
PAGE = 4096
ZEROS = bytes(PAGE)
DEADLOCK = "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()"
PROGRAM = """
# {comment}
{name} = "{constant}"
import builtins, re
def f(text, number, real):
    builtins.{attribute} = kept = [text + {name}, re.compile("{pattern}"), number * 3, real / 2]
    print(kept[0][::-1])
    result = (kept[0].upper(), kept[2], kept[3])
    {tail}
    return result
"""
SCRIPT = """
# {comment}
{name} = "{constant}"
import builtins, re, sys
text, number, real = sys.stdin.read().split()
number, real = int(number), float(real)
builtins.{attribute} = kept = [text + {name}, re.compile("{pattern}"), number * 3, real / 2]
print(kept[0][::-1])
print(kept[0].upper(), kept[2], kept[3], file=sys.stderr)
"""
TAILS = {
    "return": ("pass", Status.OK),
    "raise": ("raise ValueError(str(result))", Status.RAISED),
    "crash": ("import os; os.abort()", Status.CRASHED),
    "forbidden": ("import os; os.kill(1, 9)", Status.FORBIDDEN),
    "exit": ("import os; os._exit(3)", Status.EXITED),
    "cpu": ("while True: pass", Status.CPU),
    "memory": ("big = [text * 1000 for _ in range(1 << 20)]", Status.MEMORY),
    "wall": (DEADLOCK, Status.WALL),
}


class Secrets:
    """What one run must not leave: words, a number and a float that occur nowhere else."""

    def __init__(self, seed):
        rng = np.random.default_rng([31, seed])
        kinds = ("comment", "name", "constant", "attribute", "pattern", "argument")
        self.words = {kind: "q" + "".join(rng.choice(list(string.ascii_lowercase), 15)) for kind in kinds}
        self.number = int.from_bytes(rng.bytes(20), "little") | 1 << 159
        self.real = float(rng.random()) * 1e9

    def program(self, tail):
        return PROGRAM.format(tail=tail, **self.words)

    def script(self):
        return SCRIPT.format(**self.words)

    def stdin(self):
        return f"{self.words['argument']} {self.number} {self.real}"

    def arguments(self):
        return self.words["argument"], self.number, self.real

    def forms(self):
        """The bytes that each secret can be stored as, results and output included."""
        words = {**self.words, "result": (self.words["argument"] + self.words["constant"]).upper()}
        words["output"] = (self.words["argument"] + self.words["constant"])[::-1]
        found = {
            kind: [word.encode(code) for code in ("utf-8", "utf-16-le", "utf-32-le")] for kind, word in words.items()
        }
        for kind, word in words.items():
            found[kind] += [word.encode().hex().encode(), word[1:].encode()]  # printed, or a fragment
        for kind, number in (("number", self.number), ("product", self.number * 3)):
            digits = [number >> shift & (1 << 30) - 1 for shift in range(0, number.bit_length(), 30)]
            stored = struct.pack(f"<{len(digits)}I", *digits)
            found[kind] = [str(number).encode(), number.to_bytes(24, "little").rstrip(b"\0"), stored, stored[4:-4]]
        for kind, real in (("real", self.real), ("half", self.real / 2)):
            found[kind] = [struct.pack("<d", real), struct.pack(">d", real), repr(real).encode()]
        return found

    def found_in(self, memory):
        """Which secrets are there."""
        return {kind for kind, forms in self.forms().items() if any(form in memory for form in forms)}


def pages_of(pid):
    """Every page of a process that was ever written, private and shared, but those of zeros."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            words = line.split()
            start, end = (int(word, 16) for word in words[0].split("-"))
            if not words[1].startswith("r") or "[v" in line or (words[1][1] != "w" and "/" in line.rpartition(" ")[2]):
                continue
            try:
                memory.seek(start)
                pages = memory.read(end - start)
            except OSError:
                continue
            yield from (page for at in range(0, len(pages), PAGE) if (page := pages[at : at + PAGE]) != ZEROS)


def memory_of(pid, known=frozenset()):
    """What a process holds, without the pages that were there before there was anything to find."""
    pages = list(pages_of(pid))
    assert len(pages) > 500, "the process could not be read"
    return b"".join(page for page in pages if page not in known)


@pytest.fixture(params=["full", "no_userns", "seccomp"])
def sandbox(request):
    others = set(find_sandboxes(os.getpid()))
    with Executor(workers=1, _level=Isolation(request.param)) as executor:
        try:
            _ = executor.isolation
        except Exception as error:
            pytest.skip(f"this machine does not give the level {request.param}: {error}")
        yield executor, others


def parts(others):
    """The monitors and the zygotes."""
    found = {pid: parent for pid, parent in find_sandboxes(os.getpid()).items() if pid not in others}
    zygotes = sorted(found.keys() & set(find_zygotes(os.getpid())))
    return [pid for pid, parent in found.items() if parent == os.getpid()], zygotes


def look_into_child(executor, others, secrets, known=frozenset()):
    """Run a program that comes to a halt, and read its whole memory meanwhile."""
    limits = Limits(wall_seconds=60.0, memory_mib=64)
    job = (secrets.program(DEADLOCK), "f", [secrets.arguments()], limits)
    results = []
    thread = threading.Thread(target=lambda: results.extend(executor.run(*job)))
    thread.start()
    end, seen = time.monotonic() + 30, b""
    while secrets.found_in(seen) != set(secrets.forms()):
        assert time.monotonic() < end, secrets.forms().keys() - secrets.found_in(seen)
        lists = [Path(f"/proc/{zygote}/task/{zygote}/children") for zygote in parts(others)[1]]
        for child in [pid for path in lists for pid in path.read_text().split()]:
            if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "S":  # it waits for itself
                seen = memory_of(child, known)
    os.kill(int(child), signal.SIGUSR2)  # a program that dies by a signal of its own: no verdict is waited for
    thread.join()
    assert results[0].status is Status.CRASHED
    return seen


@needs_root
def test_no_trace_of_a_former_run(sandbox):
    """Whatever its end, in the zygote, the monitor or the whole memory of a later program."""
    executor, others = sandbox
    executor.run("import re\ndef f(): return 1", "f", [()])
    executor.run("def f(): return 1", "f", [()])
    known = frozenset(page for pids in parts(others) for pid in pids for page in pages_of(pid))
    former = []
    for index, (tail, ending) in enumerate(TAILS.values()):
        former.append(Secrets(index))
        limits = Limits(cpu_seconds=0.5, wall_seconds=1.0, memory_mib=64) if ending is Status.WALL else LIMITS
        (done,) = executor.run(former[-1].program(tail), "f", [former[-1].arguments()], limits)
        assert done.status is ending, done
    former.append(Secrets(98))
    (done,) = executor.run_script(former[-1].script(), [former[-1].stdin()], LIMITS)
    assert done.ok, done
    control = Secrets(99)
    child = look_into_child(executor, others, control, known)  # finds all of its own secrets: the search works
    monitors, zygotes = parts(others)
    found = [("child", child), *(("sandbox", memory_of(pid, known)) for pid in (*monitors, *zygotes))]
    assert len(found) >= 3
    for where, memory in found:
        left = {
            name: found for name, one in zip((*TAILS, "script"), former, strict=True) if (found := one.found_in(memory))
        }
        assert left == {}, where
        assert where == "child" or control.found_in(memory) == set()


@needs_root
def test_no_trace_of_a_run_whose_sandbox_was_killed(sandbox):
    """The maps belong to a zygote and die with it; the retry starts with fresh ones."""
    executor, others = sandbox
    earlier = Secrets(6)
    executor.run(earlier.program("pass"), "f", [earlier.arguments()], LIMITS)
    secrets = Secrets(7)
    first = parts(others)
    timers = [threading.Timer(0.2, os.kill, (pid, signal.SIGKILL)) for pid in first[1]]
    for timer in timers:
        timer.start()
    limits = Limits(wall_seconds=2.0, memory_mib=64)
    (done,) = executor.run(secrets.program(DEADLOCK), "f", [secrets.arguments()], limits)
    for timer in timers:
        timer.join()
    assert done.status is Status.WALL
    second = parts(others)
    assert not set(first[1]) & set(second[1])
    child = look_into_child(executor, others, Secrets(8))
    for memory in (child, *(memory_of(pid) for pids in second for pid in pids)):
        assert secrets.found_in(memory) == set()
        assert earlier.found_in(memory) == set()


# A program that walks its own memory: a futex call tells a readable address from one that is not, without
# a fault. It starts from every address it can know and goes on in both directions as far as it gets.
WALK = """
import sys
char, pointer = kinds["c_char"], kinds["c_void_p"]
page, futex = 4096, _numbers["futex"]
_library.syscall.restype = _long
_library.__errno_location.restype = pointer
plain = type(_library)(None)
plain.syscall.restype = _long
plain.__errno_location.restype = pointer
error = kinds["c_int"].from_address(plain.__errno_location())
def readable(address):
    error.value = 0
    arguments = (futex, address, 4 | 128, 0, 0, address, 1 << 30)
    result = plain.syscall(*[_long(argument) for argument in arguments])
    return result >= 0 or error.value == 11
known = [id(object()), id(sys), id([0] * 100_000), id(_library), id("x" * 1_000_000), id(range)]
known.append(syscall("brk", 0) - page)
known += [kinds["c_long"].from_address(id(kind) + 8 * 6).value for kind in (len, print)]
frame = sys._getframe()
while frame is not None:
    for name, value in list(frame.f_locals.items()):
        known.append(id(value))
        for inner in (getattr(value, "memory", None), value):
            if type(inner).__name__ == "mmap":
                known.append(kinds["c_long"].from_address(id(inner) + 16).value)
        if name == "session":
            for inner in (value.request_map, value.recorder.memory):
                known.append(kinds["c_long"].from_address(id(inner) + 16).value)
    frame = frame.f_back
regions = []
for address in known:
    start = address & -page
    if not readable(start) or any(low <= start < high for low, high in regions):
        continue
    end = start
    while readable(end): end += page
    while readable(start - page): start -= page
    regions.append((start, end))
found = {}
for head, tail in wanted:
    found[head] = 0
    for start, end in regions:
        for place in range(start, end, 1 << 22):
            size = min(1 << 22, end - place)
            memory = (char * size).from_address(place).raw
            at = memory.find(head.encode())
            while at >= 0:
                rest = memory[at + len(head) : at + len(head) + len(tail)]
                if len(rest) == len(tail) and all(rest[i] == ord(tail[-1 - i]) for i in range(len(tail))):
                    found[head] += 1
                at = memory.find(head.encode(), at + 1)
            del memory
return [found, sum(end - start for start, end in regions)]
"""


def test_a_program_that_walks_its_memory_finds_nothing_of_a_former_one(sandbox):
    executor, _ = sandbox
    former = [Secrets(index) for index in range(40, 43)]
    for secrets, tail in zip(former, ("return", "raise", "crash"), strict=True):
        executor.run(secrets.program(TAILS[tail][0]), "f", [secrets.arguments()], LIMITS)
    own = Secrets(43).words["argument"]
    words = [own, *(word for secrets in former for word in secrets.words.values())]
    # in halves, the second backwards, so that the question itself is no finding
    wanted = [(word[:8], word[:7:-1]) for word in words]
    program = f"wanted = {wanted!r}\n" + attacker(WALK) + "\ng = f\ndef f(given): return g()"
    (done,) = executor.run(program, "f", [(own,)], Limits(cpu_seconds=20, wall_seconds=60, memory_mib=512))
    assert done.ok, done
    found, size = done.result()
    assert size > 8 << 20
    assert found.pop(own[:8]) >= 2, "it finds its own argument, in the request and as an object: the walk works"
    assert set(found.values()) == {0}
