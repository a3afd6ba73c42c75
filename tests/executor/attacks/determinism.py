"""What differs from run to run: what a program can observe of it, and what it cannot."""

from attacks.tools import denied, ends, group, returns

GROUPS = (
    group(
        "randomness",
        "import random\nrandom.seed(5)\nreturn [random.Random(3).randrange(100), 0 <= random.random() < 1]",
        [30, True],
        denied("urandom", "os.urandom(8)", "PermissionError|NotImplementedError", ""),
        denied("getrandom by os", "os.getrandom(8)"),
        denied("secrets", "import secrets\nsecrets.token_hex(4)", "PermissionError|NotImplementedError", ""),
        denied(
            "system randomness",
            "import random\nrandom.SystemRandom().random()",
            "PermissionError|NotImplementedError",
            "",
        ),
        denied("random identifier", "import uuid\nuuid.uuid4()", "PermissionError|NotImplementedError", ""),
        denied(
            "randomness by the C library",
            "native('getentropy', ct['create_string_buffer'](8), ct['c_size_t'](8))",
            "OSError|PermissionError",
            "",
        ),
        denied("the random device", "open('/dev/urandom', 'rb')"),
        returns(
            "randomness before a program",
            "import random\nreturn [random.Random(7).random() == random.Random(7).random()]",
            [True],
        ),
    ),
    group(
        "clocks and identity",
        "import datetime\nreturn (datetime.date(2024, 2, 28) + datetime.timedelta(days=2)).isoformat()",
        "2024-03-01",
        returns(
            "the clock stands still",
            "import time\nfirst = time.time()\nsum(range(9999))\n"
            "return [time.time() - first, time.perf_counter() - time.perf_counter()]",
            [0.0, 0.0],
            machine="x86_64",
        ),
        returns(
            "used time stands still",
            "import time\nreturn time.process_time() - time.process_time()",
            0.0,
            machine="x86_64",
        ),
        denied("the kernel's clock", "syscall('clock_gettime', 1, ct['create_string_buffer'](16))", machine="x86_64"),
        denied(
            "the kernel's time of day", "syscall('gettimeofday', ct['create_string_buffer'](16), 0)", machine="x86_64"
        ),
        denied(
            "the CPU clock of another process", "syscall('clock_gettime', ~1 << 3 | 2, ct['create_string_buffer'](16))"
        ),
        denied(
            "the CPU clock of the first process", "syscall('clock_getres', ~1 << 3 | 2, ct['create_string_buffer'](16))"
        ),
        denied(
            "the timer's own time",
            "_numbers['x'] = 224 if _numbers['openat'] == 257 else 108\n"
            "syscall('x', 0, ct['create_string_buffer'](32))",
        ),
        denied("set the clock", "import time\ntime.clock_settime(0, 0.0)"),
        denied(
            "resources used", "import resource\nreturn resource.getrusage(0)", "ModuleNotFoundError|PermissionError", ""
        ),
        returns("process ids", "return [os.getpid(), os.getppid()]", [0, 0]),
        returns(
            "time of a thread", "import time\nreturn time.thread_time() == time.thread_time()", True, machine="x86_64"
        ),
        denied("load of the machine", "os.getloadavg()", "OSError", ""),
        denied("processors of the machine", "return len(os.sched_getaffinity(0))"),
        returns("no environment", "return sorted(set(os.environ) - {'LC_ALL', 'LC_CTYPE', 'PYTHONHASHSEED'})", []),
        returns(
            "no terminal",
            "import sys\nreturn [sys.stdin is None or not sys.stdin.isatty(), sys.stdout.isatty()]",
            [True, False],
        ),
        ends("the user's name", "return os.getlogin()", "raised", exception="OSError|PermissionError"),
    ),
)
