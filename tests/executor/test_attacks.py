"""Real attacks on the sandbox, at every level: each is stopped, and the next honest program runs as ever."""

import platform
from dataclasses import dataclass

import pytest

from code_envs.executor import Executor, Isolation, Limits
from code_envs.executor.probes import PROBES, attacker

LIMITS = Limits(cpu_seconds=0.15, wall_seconds=1.0, memory_mib=48, stdout_bytes=2000)
HEALTHY = "import math\ndef f(n):\n    print('honest')\n    return [math.factorial(n), sorted({'b': 1, 'a': 2})]"
FRAMES = (
    "import sys\n"
    "frame = sys._getframe()\n"
    "while 'session' not in frame.f_locals: frame = frame.f_back\n"
    "session = frame.f_locals['session']\n"
    "request_map, result_map = session.request_map, session.recorder.memory\n"
    "harness = type(session).run.__globals__\n"
)


@dataclass
class Attack:
    """An attack: ``body`` is what ``f()`` does, ``ends`` how that may end (``ok`` with ``value``)."""

    name: str
    body: str
    ends: str
    value: object = None
    exception: str = ""


def denied(name, call, exception="OSError"):
    return Attack(name, call, "raised", exception=exception)


def killed(name, call):
    return Attack(name, call, "forbidden")


def returns(name, body, value):
    return Attack(name, body, "ok", value)


FILES = [
    denied("stat", "os.stat('/etc/passwd')", "PermissionError"),
    denied("readlink", "os.readlink('/proc/self/exe')", "PermissionError"),
    denied("change directory", "os.chdir('..')", "PermissionError"),
    denied("raw openat", "syscall('openat', -100, b'/etc/passwd', 0)"),
    denied("openat2", "syscall('openat2', -100, b'/', 0, 24)"),
    denied("memory file", "os.memfd_create('x')", "PermissionError"),
    denied("read any descriptor", "for number in range(64): os.read(number, 1)", "PermissionError"),
    denied("write to the zygote's socket", "os.write(3, b'x')", "PermissionError"),
    denied("duplicate a descriptor", "os.dup(0)", "PermissionError"),
    denied("pipe", "os.pipe()", "PermissionError"),
    killed("open by handle", "syscall('open_by_handle_at', -100, 0, 0)"),
    denied("zoneinfo reads a file", "import zoneinfo\nzoneinfo.ZoneInfo('Europe/Berlin')", ""),
    denied("import from disk", "import tkinter", "ModuleNotFoundError"),
    denied("import ctypes by name", "import ctypes", "ModuleNotFoundError"),
]
SOCKETS = [
    denied(f"socket of family {family}", f"syscall('socket', {family}, {kind}, 0)")
    for family, kind in ((2, 2), (10, 1), (16, 3), (17, 3), (31, 1), (38, 5), (40, 1), (40, 2), (44, 3))
] + [
    denied("socket pair", "syscall('socketpair', 1, 1, 0, 0)"),
    denied("connect any descriptor", "syscall('connect', 3, b'', 0)"),
    denied("send on any descriptor", "syscall('sendto', 3, b'x', 1, 0, 0, 0)"),
]
PROCESSES = [
    denied("raw clone that shares memory", "syscall('clone', 0x100 | 17, 0, 0, 0, 0)"),
    denied("clone into a namespace", "syscall('clone', 0x10000000 | 17, 0, 0, 0, 0)"),
    denied("clone3", "syscall('clone3', 0, 64)"),
    denied("subprocess", "os.posix_spawn('/bin/true', ['true'], {})", "PermissionError"),
    returns("os.system", "return os.system('true') != 0", True),
    denied("fork bomb", "while True: os.fork()", "PermissionError"),
    Attack("thread flood", "import threading\nwhile True: threading.Thread(target=print).start()", "cpu"),
    killed("execveat", "syscall('execveat', -100, b'/bin/true', 0, 0, 0)"),
    killed("kill everything", "os.kill(-1, 9)"),
    killed("kill oneself", "os.kill(os.getpid(), 10)"),
    killed("kill a thread", "syscall('tkill', 1, 9)"),
    denied("kill a thread of a group", "syscall('tgkill', 1, 1, 9)"),
    killed("queue a signal", "syscall('rt_sigqueueinfo', 1, 9, 0)"),
    killed("pidfd", "syscall('pidfd_open', 1, 0)"),
    killed("steal a descriptor", "syscall('pidfd_getfd', 3, 3, 0)"),
    killed("attach to the parent", "syscall('ptrace', 0x4206, 1, 0, 0)"),
    killed("be traced", "syscall('ptrace', 0, 0, 0, 0)"),
    killed("read another's memory", "syscall('process_vm_readv', 1, 0, 0, 0, 0, 0)"),
    killed("write another's memory", "syscall('process_vm_writev', 1, 0, 0, 0, 0, 0)"),
    denied("wait for anyone", "os.waitpid(-1, 1)", "PermissionError"),
    denied("outlive the parent", "syscall('prctl', 1, 0, 0, 0, 0)"),
    denied("new session", "os.setsid()", "PermissionError"),
    denied("raise the priority", "os.nice(-5)", "PermissionError"),
    denied("raise a limit", "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))", "ValueError"),
    denied("read a limit", "import resource\nresource.getrlimit(resource.RLIMIT_AS)", "PermissionError"),
    killed("become root", "os.setuid(0)"),
    returns("identity is nobody's and fixed", "return [os.getpid(), os.getppid()]", [0, 0]),
]
KILLED_CALLS = """
io_uring_setup userfaultfd bpf keyctl add_key request_key perf_event_open mount umount2 setns unshare pivot_root
chroot fsopen open_tree move_mount init_module finit_module kexec_load reboot personality process_madvise kcmp
memfd_secret seccomp landlock_restrict_self capset acct swapon quotactl syslog
"""
DENIED_CALLS = """
shmget semget msgget mq_open eventfd2 epoll_create1 timerfd_create signalfd4 inotify_init1 timer_create memfd_create
remap_file_pages pkey_mprotect move_pages vmsplice splice tee ioctl fcntl getrandom set_tid_address
"""
KERNEL = [killed(name, f"syscall({name!r}, 0, 0, 0, 0, 0)") for name in KILLED_CALLS.split()]
KERNEL += [denied(name, f"syscall({name!r}, 0, 0, 0, 0, 0)") for name in DENIED_CALLS.split()]
SIGNALS = [
    Attack(
        "ignore the CPU timer",
        "import signal\ntry: signal.signal(27, signal.SIG_IGN)\nexcept OSError: pass\nwhile True: pass",
        "cpu",
    ),
    denied("handle the CPU timer", "import signal\nsignal.signal(signal.SIGPROF, print)", "PermissionError"),
    denied("block the CPU timer", "import signal\nsignal.pthread_sigmask(0, [27])", "PermissionError"),
    denied("stop the CPU timer", "import signal\nsignal.setitimer(signal.ITIMER_PROF, 0)", "itimer_error"),
    killed("forge a signal frame", "syscall('rt_sigreturn')"),
    Attack(
        "swallow everything and go on", "while True:\n try:\n  while True: pass\n except BaseException: pass", "cpu"
    ),
    Attack("sleep for ever", "import time\nwhile True: time.sleep(9)", "cpu"),
    returns("sleep is over at once", "import time\ntime.sleep(9)\nreturn 1", 1),
    Attack(
        "wait for a lock for ever",
        "import _thread\nlock = _thread.allocate_lock()\nwhile True: lock.acquire()",
        "wall",
    ),
]
MEMORY = [
    denied(
        "make memory executable", "page = syscall('mmap', 0, 4096, 3, 0x22, -1, 0)\nsyscall('mprotect', 4096, 4096, 5)"
    ),
    denied("unusual advice", "syscall('madvise', 4096, 4096, 100)"),
    Attack("many small objects", "items = []\nwhile True: items.append('x' * 1000 + str(len(items)))", "memory"),
    Attack("huge integer", "return len(str(1 << (1 << 33)))", "memory"),
    Attack("slow integer", "return 7 ** 7 ** 9", "cpu"),
    Attack("slow pattern", "import re\nre.match('(a+)+$', 'a' * 64 + 'b')", "cpu"),
    Attack(
        "read address 0",
        "_library.memset(0, 0, 8)",
        "crashed",
    ),
    Attack("garbage bytecode", "f.__code__ = f.__code__.replace(co_code=b'\\xff\\x09' * 64)\nreturn f()", "crashed"),
    Attack("endless C recursion", "x = []\nfor _ in range(10 ** 4): x = [x]\nreturn repr(x)", "recursion"),
    Attack(
        "endless recursion without a limit",
        "import sys\nsys.setrecursionlimit(10 ** 9)\ndef g(x): return max([x], key=g)\ng(1)",
        "crashed|cpu|memory|raised",
    ),
]
CHEATS = [
    Attack("always-equal object", "class Equal:\n  __eq__ = lambda *a: True\nreturn Equal()", "too_large"),
    Attack("always-equal integer", "class Equal(int):\n  __eq__ = lambda *a: True\nreturn Equal(3)", "too_large"),
    Attack("exit before returning", "raise SystemExit(0)", "exited"),
    Attack("exit without handlers", "os._exit(0)", "exited"),
    Attack("exit in a finalizer", "class Exit:\n  def __del__(self): os._exit(0)\nExit()", "exited"),
    returns("exit handlers never run", "import threading\nthreading._register_atexit(os._exit, 7)\nreturn 1", 1),
    Attack(
        "name that is no name",
        "class Meta(type):\n  __name__ = property(lambda c: 1 / 0)\nraise Meta('E', (Exception,), {})",
        "raised",
    ),
    Attack("message that loops", "class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E", "cpu"),
    Attack("message that exits", "class E(Exception):\n  def __str__(self): raise SystemExit\nraise E", "raised"),
    Attack("output flood", "while True: print('x' * 10 ** 6)", "cpu"),
    Attack("no more output", "import sys\nsys.stdout = sys.stderr = None\nreturn object", "too_large"),
    Attack(
        "garbage encoding",
        FRAMES + "harness['encode'] = lambda *a, **k: b'garbage'\nreturn 1",
        "crashed",
    ),
    returns(
        "forged encoding is just a wrong value",
        FRAMES + "harness['encode'] = lambda *a, **k: b'i2a;'\nreturn 1",
        42,
    ),
    Attack("result map full of ones", FRAMES + "result_map[:] = b'\\xff' * len(result_map)\nos._exit(0)", "crashed"),
    Attack(
        "frame that claims more than it holds",
        FRAMES + "result_map[:10] = b'\\1\\0\\1\\0\\0\\0\\0\\0\\0\\0'\n"
        "result_map[2010:2020] = b'\\0\\0\\0\\0\\0\\0\\xff\\xff\\xff\\xff'\nos._exit(0)",
        "crashed",
    ),
    Attack(
        "frame with an unknown claim",
        FRAMES + "result_map[:10] = b'\\1\\0\\1\\0\\0\\0\\0\\0\\0\\0'\nresult_map[2010] = 77\nos._exit(0)",
        "crashed",
    ),
    Attack(
        "frame with no records", FRAMES + "result_map[:10] = b'\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0'\nos._exit(0)", "crashed"
    ),
    denied("resize the result map", FRAMES + "result_map.resize(4096)", ""),
    denied("write the request", FRAMES + "request_map[0] = 1", "TypeError"),
    denied(
        "make the request writable",
        FRAMES + "address = kinds['c_void_p'].from_address(id(request_map) + 16).value\n"
        "assert kinds['c_char'].from_address(address).value == request_map[:1]\n"
        "syscall('mprotect', address, 4096, 3)",
    ),
    Attack(
        "break builtins",
        "import builtins\nfor name in ('len', 'bytes', 'min', 'type', 'isinstance'):\n"
        "  setattr(builtins, name, None)\nreturn 1",
        "exited",
    ),
    Attack(
        "empty every module",
        "import sys\nfor module in list(sys.modules.values()):\n"
        "  if module is not None and module.__name__ != 'program': module.__dict__.clear()\nreturn 1",
        "any",
    ),
    Attack("trace what follows", "import sys\nsys.setprofile(lambda *a: os._exit(0))\nreturn 1", "exited"),
]
FOREIGN = (
    []
    if platform.machine() != "x86_64"
    else [
        killed("x32 system call", "_library.syscall(0x40000000 | 39)"),
        killed("x32 open", "_library.syscall(0x40000000 | 2, b'/', 0)"),
        killed("system call number -1 is no ordinary one", "_library.syscall(0xFFFFFFFF)"),
    ]
)
ATTACKS = FILES + SOCKETS + PROCESSES + KERNEL + SIGNALS + MEMORY + CHEATS + FOREIGN


@pytest.fixture(scope="module", params=["full", "no_userns", "seccomp"])
def level(request):
    with Executor(workers=1, limits=LIMITS, _level=Isolation(request.param)) as executor:
        assert executor.isolation.value == request.param
        yield executor


def pids(executor):
    return [zygote.pid for slot in executor._pool._slots for zygote in slot.zygotes.values()]


def check_health(executor, before):
    """An honest program runs as ever, on the very zygote that was attacked."""
    (done,) = executor.run(HEALTHY, "f", [(5,)])
    assert done.result() == [120, ["a", "b"]]
    assert done.stdout == "honest\n"
    assert pids(executor) == before


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack_is_stopped(level, attack):
    before = pids(level)
    (done,) = level.run(attacker(attack.body), "f", [()])
    if attack.ends != "any":
        assert done.status.value in attack.ends.split("|"), done
    if attack.exception:
        assert done.exception == attack.exception
    if done.ok and attack.ends == "ok":
        assert done.result() == attack.value
    check_health(level, before)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_probe_is_held(level, probe):
    before = pids(level)
    (done,) = level.run(attacker(probe.body + "\nreturn 'got through'"), "f", [()])
    assert probe.is_held(done), done
    check_health(level, before)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return syscall('getuid') >= 0", True),
        ("return syscall('mmap', 0, 4096, 3, 0x22, -1, 0) != 0", True),
        ("return syscall('madvise', 0, 0, 4)", 0),
        (FRAMES + "return [len(request_map) > 0, len(result_map) > 0]", [True, True]),
        ("import time\ntime.sleep(0.01)\nreturn time.time() > 0", True),
        ("import gc, sys\nreturn [gc.isenabled(), sys._getframe().f_code.co_name]", [True, "f"]),
        ("return len(bytearray(20 << 20))", 20 << 20),
    ],
)
def test_control_the_attackers_tools_work(level, body, value):
    """Else the attacks above would prove nothing."""
    (done,) = level.run(attacker(body), "f", [()])
    assert done.ok, done
    assert done.result() == value


def test_nothing_of_a_program_stays_for_the_next(level):
    secret = "residue-" + "of-a-program"
    leave = FRAMES + (
        f"import builtins, random, re\nsecret = {secret!r} * 5000\n"
        "builtins.secret = random.secret = re.secret = secret\n"
        "sys.modules['secret'] = sys\nos.environ['SECRET'] = secret\n"
        "for start in range(40_000, len(result_map) - 10 ** 6, 10 ** 6):\n"
        "  result_map[start:start + len(secret)] = secret.encode()\n"
        "print(secret)\nreturn secret"
    )
    assert level.run(attacker(leave), "f", [()])[0].ok
    look = FRAMES + (
        "import builtins, random, re\nparts = 'residue-', 'of-a-program'\nsecret = ''.join(parts).encode()\n"
        "found = [name for name in ('secret',) for place in (builtins, random, re) if hasattr(place, name)]\n"
        "found += [key for key in ('secret',) if key in sys.modules] + [key for key in os.environ if key == 'SECRET']\n"
        "return found + [place.find(secret) for place in (request_map, result_map) if place.find(secret) >= 0]"
    )
    assert level.run(attacker(look), "f", [()])[0].result() == []


def test_environment_and_arguments_tell_nothing(level):
    body = "import sys\nreturn [sorted(os.environ), sys.argv, sys.path, sys.executable, os.getuid() in (0, 65534)]"
    found = level.run(attacker(body), "f", [()])[0].result()
    assert found[0] in (["LC_ALL", "PYTHONHASHSEED"], ["LC_ALL", "LC_CTYPE", "PYTHONHASHSEED"])
    assert found[1:4] == [["program"], [], ""]
