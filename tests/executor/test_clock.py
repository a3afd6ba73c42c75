"""The clock stands still, sleeping takes no time, randomness is seeded: the same in every run of a variant."""

import ctypes
import platform
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from code_envs.executor import Executor, clock
from code_envs.executor.probes import attacker

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the clock is real on other machines")

CLOCKS = """
import datetime, os, random, time, uuid
def f():
    return [
        time.time(), time.time_ns(), time.monotonic(), time.perf_counter_ns(), time.process_time(), time.thread_time(),
        time.ctime(), time.strftime("%H:%M"), time.clock_gettime(0), time.clock_gettime(11), list(time.localtime()),
        str(datetime.datetime.now()), str(datetime.datetime.now(datetime.timezone.utc)), str(datetime.date.today()),
        random.random(), random.Random().random(), str(uuid.uuid1(node=1, clock_seq=1)), list(os.times()),
    ]
"""


def test_every_clock_and_generator_is_the_same_in_every_run(executor):
    first = executor.run(CLOCKS, "f", [(), ()])
    again = executor.run(CLOCKS, "f", [()], seed=0)
    with Executor(workers=1) as other:
        elsewhere = other.run(CLOCKS, "f", [()])
    assert first[0].ok, first[0]
    assert first[0].value == again[0].value == elsewhere[0].value
    values = first[0].result()
    assert values[0] == clock.epoch(0) + 0.5
    assert values[2] == 1.5
    assert values[6] == "Tue Nov 14 22:13:20 2023"


def test_each_variant_has_another_time(executor):
    program = "import time\ndef f(): return time.time()"
    times = [executor.run(program, "f", [()], variant=variant)[0].result() for variant in range(3)]
    assert times == [clock.epoch(variant) + 0.5 for variant in range(3)]
    dates = [datetime.fromtimestamp(seconds, UTC) for seconds in times]
    for part in ("year", "month", "day", "hour", "minute"):
        assert len({getattr(date, part) for date in dates}) == 3, part


def test_sleeping_takes_no_time(executor):
    program = "import threading, time\ndef f():\n    time.sleep(1000)\n    return threading.Event().wait(0.01)"
    (done,) = executor.run(program, "f", [()])
    assert done.result() is False
    assert done.wall_seconds < 20


def test_scripts_see_the_same_clock(executor):
    (done,) = executor.run_script("import time\nprint(time.time())", [""])
    assert done.stdout == f"{clock.epoch(0) + 0.5}\n"


@pytest.mark.parametrize(
    ("body", "exception"),
    [
        ("return os.urandom(4)", "PermissionError"),
        ("import secrets\nreturn secrets.randbits(9)", "PermissionError"),
        ("import uuid\nreturn str(uuid.uuid4())", "PermissionError"),
        ("import random\nreturn random.SystemRandom().random()", "PermissionError"),
        ("import resource\nreturn resource.getrusage(0).ru_utime", "PermissionError"),
        ("return os.getloadavg()", ""),
    ],
)
def test_what_cannot_be_the_same_fails_with_an_exception(executor, body, exception):
    (done,) = executor.run(attacker(body), "f", [()])
    assert done.status == "raised", done
    assert done.exception == exception or not exception


def test_the_kernels_randomness_is_out_of_reach_of_native_code_too(executor):
    """A C library may take it from the same page of code as the time, without any system call."""
    body = "buffer = (kinds['c_char'] * 16)()\nreturn [_library.getrandom(buffer, 16, 0), bytes(buffer)]"
    (done,) = executor.run(attacker(body), "f", [()])
    assert done.result() == [-1, bytes(16)]


FROZEN = """
import ctypes, time
from code_envs.executor import clock, confine, syscalls
libc = confine.Libc(syscalls.table("x86_64"))
real = clock.now(libc)
assert abs(real - time.monotonic()) < 5
assert clock.freeze(libc, "x86_64", 1234567890)
class Time(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("rest", ctypes.c_long)]
value = Time()
assert libc.cdll.gettimeofday(ctypes.byref(value), None) == 0
print(value.seconds, value.rest)
for number in (0, 5, 11):
    value = Time()
    assert libc.cdll.clock_gettime(number, ctypes.byref(value)) == 0
    print(number, value.seconds, value.rest)
libc.cdll.gettimeofday(None, None)
seconds = ctypes.c_long()
libc.cdll.time.restype = ctypes.c_long
print(libc.cdll.time(None), libc.cdll.time(ctypes.byref(seconds)), seconds.value, time.time(), time.monotonic())
assert clock.now(libc) >= real
assert clock.freeze(libc, "aarch64", 0) is False
"""


def test_the_c_library_stands_still_and_the_kernels_time_goes_on():
    done = subprocess.run([sys.executable, "-c", FROZEN], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "1234567890 500000",
        *[f"{number} 1234567890 500000000" for number in (0, 5, 11)],
        "1234567890 1234567890 1234567890 1234567890.5 1.5",
    ], done.stderr


def test_a_page_that_cannot_be_changed_leaves_the_clock_real(monkeypatch):
    class Sealed:
        cdll = ctypes.CDLL(None)

        def call(self, *_):
            raise PermissionError("sealed")

    assert clock.freeze(Sealed(), "x86_64", 0) is False
