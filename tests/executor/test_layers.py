"""The layers behind the filters: with seccomp left out, the others still hold what the docs say they hold."""

import pytest

from code_envs.codec import encode
from code_envs.executor import Isolation, Job, Limits, probes, wire
from code_envs.executor.client import Zygote

LIMITS = Limits(cpu_seconds=0.2, wall_seconds=2.0, memory_mib=64)


@pytest.fixture(scope="module")
def unfiltered():
    with Zygote(Isolation.FULL, seccomp=False) as zygote:
        probes.wait(zygote)
        try:
            zygote.finish_start()
        except Exception as error:
            pytest.skip(f"needs user namespaces: {error}")
        yield zygote


def attack(zygote, body):
    job = Job(program=probes.attacker(body), entry="f", calls=[encode((), ordered=True)])
    zygote.submit(job, wire.pack(job, LIMITS), LIMITS)
    probes.wait(zygote)
    (done,) = zygote.collect()
    return done


@pytest.mark.parametrize(
    ("body", "status", "exception"),
    [
        ("open('/etc/hostname')", "raised", "OSError"),  # RLIMIT_NOFILE
        ("os.stat('/etc')", "raised", "FileNotFoundError"),  # empty root
        ("os.mkdir('/x')", "raised", "OSError"),  # read-only root
        ("os.execv('/bin/true', ['true'])", "raised", "FileNotFoundError"),
        ("syscall('socket', 2, 1, 0)", "raised", "OSError"),
        ("os.memfd_create('x')", "raised", "OSError"),
        ("os.fork()", "raised", "BlockingIOError"),  # RLIMIT_NPROC
        ("import _thread\n_thread.start_new_thread(print, ())", "raised", "RuntimeError"),
        ("syscall('mount', b'x', b'/', b'tmpfs', 0, 0)", "raised", "OSError"),  # no capabilities
        ("syscall('unshare', 0x20000)", "raised", "OSError"),
        ("os.setuid(0)", "raised", "OSError"),
        ("import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))", "raised", "ValueError"),
        ("import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))", "raised", "ValueError"),
        ("return bytearray(1 << 30)", "memory", "MemoryError"),
        ("while True: pass", "cpu", ""),
        ("os.kill(2, 9)", "raised", "ProcessLookupError"),  # process namespace; 1 is immune
    ],
)
def test_held_without_seccomp(unfiltered, body, status, exception):
    done = attack(unfiltered, body)
    assert (done.status.value, done.exception) == (status, exception), done
    assert attack(unfiltered, "return os.getpid() > 1").result() is True


def test_the_zygote_cannot_be_signalled_from_inside(unfiltered):
    attack(unfiltered, "os.kill(1, 9)\nos.kill(1, 15)")
    assert attack(unfiltered, "return os.getppid()").result() == 1


def test_control_the_filter_is_really_left_out(unfiltered):
    """Executable memory has no second layer: here it can be had."""
    assert attack(unfiltered, "return syscall('mmap', 0, 4096, 7, 0x22, -1, 0) > 0").result() is True
