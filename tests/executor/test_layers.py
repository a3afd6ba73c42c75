"""The layers behind the filters: with seccomp left out, the others still hold what the docs say they hold."""

import os
from pathlib import Path

import pytest
from attacks.tools import Attack

from code_envs.codec import encode
from code_envs.executor import Isolation, Job, Limits, probes, wire
from code_envs.executor.client import Zygote

LIMITS = Limits(cpu_seconds=0.2, wall_seconds=5.0, memory_mib=64)
NAMESPACES = ("user", "net", "pid", "mnt", "ipc", "uts", "cgroup")


def start(level):
    zygote = Zygote(level, seccomp=False)
    try:
        probes.wait(zygote)
        zygote.finish_start()
    except Exception as error:
        zygote.close()
        pytest.skip(f"this machine does not give the level {level.value}: {error}")
    return zygote


@pytest.fixture(scope="module")
def unfiltered():
    with start(Isolation.FULL) as zygote:
        yield zygote


@pytest.fixture(scope="module")
def unfiltered_no_userns():
    with start(Isolation.NO_USERNS) as zygote:
        yield zygote


@pytest.fixture(params=["unfiltered", "unfiltered_no_userns"])
def either(request):
    return request.getfixturevalue(request.param)


def attack(zygote, body, limits=LIMITS):
    job = Job(program=Attack("", body, "").program("call"), entry="f", calls=[encode((), ordered=True)])
    zygote.submit(job, wire.pack(job, limits), limits)
    probes.wait(zygote)
    (done,) = zygote.collect()
    return done


def check(zygote, body, status, exception):
    done = attack(zygote, body)
    assert (done.status.value, done.exception) == (status, exception), done
    assert attack(zygote, "return os.getpid() > 1").result() is True


@pytest.mark.parametrize(
    ("body", "status", "exception"),
    [
        ("os.stat('/etc')", "raised", "FileNotFoundError"),  # empty root
        ("os.stat('/proc')", "raised", "FileNotFoundError"),
        ("os.stat('/dev/null')", "raised", "FileNotFoundError"),
        ("os.mkdir('/x')", "raised", "OSError"),  # read-only root
        ("os.execv('/bin/true', ['true'])", "raised", "FileNotFoundError"),
        # process namespace; 1 is immune, and 2 the first program's own
        ("os.kill(2 + (os.getpid() == 2), 9)", "raised", "ProcessLookupError"),
        ("os.kill(-1, 9)", "raised", "ProcessLookupError"),
        ("syscall('mount', b'x', b'/', b'tmpfs', 0, 0)", "raised", "PermissionError"),  # no capabilities
    ],
)
def test_the_namespaces_hold(unfiltered, body, status, exception):
    check(unfiltered, body, status, exception)


@pytest.mark.parametrize(
    ("body", "exception"),
    [
        ("os.mkdir('/tmp/code-envs-attack')", "PermissionError"),
        ("os.symlink('/etc', '/tmp/code-envs-attack')", "PermissionError"),
        ("os.mkfifo('/tmp/code-envs-attack')", "PermissionError"),
        ("os.execv('/bin/true', ['true'])", "PermissionError"),
    ],
)
def test_landlock_holds_without_namespaces(unfiltered_no_userns, body, exception):
    check(unfiltered_no_userns, body, "raised", exception)
    assert attack(unfiltered_no_userns, "return os.path.isdir('/tmp')").result() is True  # the root is the machine's


def test_landlock_shields_the_monitor_from_signals(unfiltered_no_userns):
    """It is of the same user, outside the namespace that is not there."""
    if unfiltered_no_userns.landlock < 6:
        pytest.skip("needs Landlock version 6 (Linux 6.12)")
    check(unfiltered_no_userns, f"os.kill({unfiltered_no_userns.pid}, 0)", "raised", "PermissionError")


@pytest.mark.parametrize(
    ("body", "status", "exception"),
    [
        ("open('/etc/hostname')", "raised", "OSError"),  # RLIMIT_NOFILE
        ("os.memfd_create('x')", "raised", "OSError"),
        ("syscall('socket', 2, 1, 0)", "raised", "OSError"),
        ("syscall('socket', 1, 1, 0)", "raised", "OSError"),
        ("syscall('socket', 16, 3, 0)", "raised", "OSError"),
        ("syscall('socket', 40, 1, 0)", "raised", "OSError"),
        ("syscall('userfaultfd', 1)", "raised", "OSError"),
        ("syscall('io_uring_setup', 1, ct['create_string_buffer'](120))", "raised", "OSError"),
        ("os.fork()", "raised", "BlockingIOError"),  # RLIMIT_NPROC
        ("import _thread\n_thread.start_new_thread(print, ())", "raised", "RuntimeError"),
        (
            "syscall('clone3', ct['create_string_buffer'](bytes(32) + b'\\x11' + bytes(55)), 88)",
            "raised",
            "BlockingIOError",
        ),
        ("syscall('unshare', 0x20000)", "raised", "PermissionError"),  # no capabilities
        ("os.setuid(0)", "raised", "PermissionError|OSError"),
        ("os.nice(-1)", "raised", "PermissionError"),
        ("syscall('ptrace', 16, os.getppid(), 0, 0)", "raised", "PermissionError"),  # not dumpable
        ("native('setrlimit', 9, ct['create_string_buffer'](b'\\xff' * 16))", "raised", "PermissionError"),
        (
            "native('setrlimit', 7, ct['create_string_buffer'](b'\\x09' + bytes(7) + b'\\x09' + bytes(7)))",
            "raised",
            "PermissionError",
        ),
        ("return bytearray(1 << 30)", "memory", "MemoryError"),
        ("while True: pass", "cpu", ""),
        ("import _thread\nlock = _thread.allocate_lock()\nwhile True: lock.acquire()", "wall", ""),
    ],
)
def test_limits_and_privileges_hold_at_either_level(either, body, status, exception):
    limits = Limits(cpu_seconds=0.2, wall_seconds=0.5, memory_mib=64) if status == "wall" else LIMITS
    done = attack(either, body, limits)
    assert done.status.value == status, done
    assert done.exception in exception.split("|"), done
    assert attack(either, "return os.getpid() > 1").result() is True


def test_what_a_child_has_given_up(either):
    """Read by the child itself: limits, privileges, capabilities, and what ends it with its parent."""
    body = (
        "def limit(kind):\n    pair = (ct['c_ulong'] * 2)()\n    native('getrlimit', kind, pair)\n"
        "    return list(pair)\n"
        "death, sets = ct['c_int'](), (ct['c_uint'] * 6)()\n"
        "syscall('prctl', 2, ct['addressof'](death), 0, 0, 0)\n"
        "syscall('capget', (ct['c_uint'] * 2)(0x20080522, 0), sets)\n"
        "return {'files': limit(7), 'size': limit(1), 'core': limit(4), 'processes': limit(6), 'locked': limit(8),\n"
        "        'dumpable': syscall('prctl', 3, 0, 0, 0, 0), 'no new privileges': syscall('prctl', 39, 0, "
        "0, 0, 0), 'dies by': death.value,\n"
        "        'capabilities': sum(sets)}"
    )
    none = [0, 0]
    done = attack(either, body)
    assert done.ok, done
    assert done.result() == {
        "files": none,
        "size": none,
        "core": none,
        "processes": none,
        "locked": none,
        "dumpable": 0,
        "no new privileges": 1,
        "dies by": 9,
        "capabilities": 0,
    }


def test_the_root_is_empty_and_good_for_nothing(unfiltered):
    body = "found = os.statvfs('/')\nreturn [found.f_flag & 15, found.f_files <= 16]"
    assert attack(unfiltered, body).result() == [15, True]  # read-only, nosuid, nodev, noexec


def inner(zygote):
    """The process id of the zygote, as this machine sees it."""
    return int(Path(f"/proc/{zygote.pid}/task/{zygote.pid}/children").read_text().split()[0])


@pytest.mark.skipif(os.getuid() != 0, reason="only root can look into a process that is not dumpable")
def test_the_zygote_is_in_namespaces_of_its_own(unfiltered, unfiltered_no_userns):
    def of(pid):
        return {name: str(Path(f"/proc/{pid}/ns/{name}").readlink()) for name in NAMESPACES}

    ours, full, none = of("self"), of(inner(unfiltered)), of(inner(unfiltered_no_userns))
    assert [name for name in NAMESPACES if full[name] == ours[name]] == []
    assert none == ours


def test_the_kernel_sacrifices_a_sandbox_first(either):
    assert Path(f"/proc/{inner(either)}/oom_score_adj").read_text().strip() == "1000"


def test_a_cpu_limit_of_whole_seconds_stands_behind_the_timer(unfiltered):
    body = "native('syscall', 226, 0)\nwhile True: pass"  # timer_delete
    if os.uname().machine != "x86_64":
        body = body.replace("226", "111")
    done = attack(unfiltered, body, Limits(cpu_seconds=0.1, wall_seconds=60.0))
    assert done.status == "cpu"
    assert done.cpu_seconds > 1.0  # the kernel counts whole ticks, and so may end it early; the timer would at 0.1


def test_the_maps_can_never_change_their_size(either):
    for shared in (either._request, either._result):
        for size in (0, 1 << 30):
            with pytest.raises(PermissionError):
                os.ftruncate(shared.descriptor, size)


def test_the_request_map_is_read_only(either):
    body = (
        "frame = sys._getframe()\nwhile 'session' not in frame.f_locals: frame = frame.f_back\n"
        "place = ct['c_void_p'].from_address(id(frame.f_locals['session'].request_map) + 16).value\n"
        "native('mprotect', ct['c_void_p'](place), ct['c_size_t'](4096), 3)"
    )
    check(either, body, "raised", "PermissionError")


def test_the_zygote_cannot_be_signalled_from_inside(unfiltered):
    attack(unfiltered, "os.kill(1, 9)\nos.kill(1, 15)")
    assert attack(unfiltered, "return os.getppid()").result() == 1


def test_control_the_filter_is_really_left_out(either):
    """Executable memory and foreign tables have no second layer: here they can be had."""
    assert attack(either, "return syscall('mmap', 0, 4096, 7, 0x22, -1, 0) > 0").result() is True
    assert attack(either, "return syscall('getppid') > 0").result() is True
