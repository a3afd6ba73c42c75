"""Positive controls: the attackers' tools work, and what is denied elsewhere succeeds without isolation."""

import pytest
from attacks import ATTACKS
from attacks.tools import FRAMES, ROOMY, Attack

from code_envs.executor import Executor, Isolation


@pytest.fixture(scope="module", params=["full", "no_userns", "seccomp"])
def isolated(request):
    with Executor(workers=1, limits=ROOMY, _level=Isolation(request.param)) as executor:
        yield executor


@pytest.fixture(scope="module")
def unsafe():
    with Executor(workers=1, limits=ROOMY, allow_unsafe=True, _level=Isolation.UNSAFE) as executor:
        assert executor.isolation is Isolation.UNSAFE
        yield executor


def run(executor, body):
    return executor.run(Attack("", body, "").program("call"), "f", [()])[0]


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return syscall('getuid') >= 0", True),
        ("return map_page() > 0", True),
        ("return syscall('madvise', 0, 0, 4)", 0),
        ("return native('abs', -7)", 7),
        ("return call_at(address('abs'), -7)", 7),
        ("return find_code(b'\\xc3') > 0", True),
        ("native('mprotect', ct['c_void_p'](map_page()), ct['c_size_t'](4096), 1)\nreturn 1", 1),
        ("page = map_page()\nct['memset'](page, 65, 3)\nreturn ct['string_at'](page)", b"AAA"),
        (FRAMES + "return [len(request_map) > 0, len(result_map) > 0]", [True, True]),
        (FRAMES + "return ct['string_at'](place_of(request_map), 8) == request_map[:8]", True),
        ("import gc, sys\nreturn [gc.isenabled(), sys._getframe().f_code.co_name]", [True, "f"]),
        ("import time\ntime.sleep(0.01)\nreturn time.time() > 0", True),
        ("return len(bytearray(20 << 20))", 20 << 20),
    ],
)
def test_the_attackers_tools_work(isolated, body, value):
    """Else the attacks would prove nothing."""
    done = run(isolated, body)
    assert done.ok, done
    assert done.result() == value


# Attacks that harm nobody, by name, with how they end where no filter stops them: by success, or at the next layer.
UNFILTERED = {
    "stat": "ok",
    "current directory": "ok",
    "size of the file system": "ok",
    "open a file": "[Errno 24]",  # RLIMIT_NOFILE is 0 at every level
    "the syscall instruction: open": "[Errno 24]",
    "pickled open": "[Errno 24]",
    "socket: IPv4": "[Errno 24]",
    "socket by the C library": "[Errno 24]",
    "duplicate a descriptor": "[Errno 9]",
    "map executable memory": "ok",
    "make memory executable": "ok",
    "the vDSO executable and writable": "ok",
    "choose a processor": "ok",
    "new session": "ok",
    "be dumpable": "ok",
    "name the process": "ok",
    "outlive the parent": "ok",
    "handle by the C library": "ok",
    "alarm": "ok",
    "sleep by poll": "ok",
    "urandom": "ok",
    "getrandom by os": "ok",
    "random identifier": "ok",
    "x32: getpid": "ok",
    "int 0x80: exit": "exited",
}


@pytest.mark.parametrize(("name", "expected"), UNFILTERED.items(), ids=UNFILTERED)
def test_what_is_denied_elsewhere_gets_further_without_isolation(unsafe, name, expected):
    """The same body, unchanged: so it is the isolation that stops it."""
    attack = next((attack for attack in ATTACKS if attack.name == name), None)
    if attack is None:
        pytest.skip("an attack on another processor")
    done = run(unsafe, attack.body)
    if name == "int 0x80: exit" and done.status == "crashed":
        pytest.skip("this kernel runs no 32-bit programs")
    assert done.status == (expected if "[" not in expected else "raised"), done
    assert "[" not in expected or done.message.startswith(expected), done
    with pytest.raises(AssertionError):
        attack.check(done, "call")


def test_a_program_that_computes_passes_at_every_level(isolated, unsafe):
    program = "def f(n): return sum(range(n))"
    for executor in (isolated, unsafe):
        assert executor.run(program, "f", [(10,)])[0].result() == 45
