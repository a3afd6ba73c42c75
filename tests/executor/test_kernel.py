"""The running kernel decides as the simulator of the stacked filters predicts, for every number, at every level."""

import ast

import pytest

from code_envs.executor import Executor, Isolation, Limits, Status, bpf, policy
from code_envs.executor.probes import attacker
from code_envs.executor.syscalls import AUDIT_ARCH, MACHINES, machine, table

THIS = machine()
pytestmark = pytest.mark.skipif(THIS not in MACHINES, reason="there are no filters for this machine")

LIMITS = Limits(cpu_seconds=1.0, wall_seconds=20.0, memory_mib=64)
ENDING = {"exit", "exit_group"}  # allowed, and nothing could report what they did
# The kernel lets these past every filter: they serve its own probes, and end a program that calls them.
UNFILTERED = {"uprobe", "uretprobe"}
NUMBERS = table(THIS)
NAMES = {number: name for name, number in NUMBERS.items()}

# Results and error numbers of raw calls; errno is read where the C library keeps it.
CALL_ALL = """
plain = type(_library)(None)
call, long = plain.syscall, kinds["c_long"]
call.restype = long
place = plain.__errno_location
place.restype = kinds["c_void_p"]
error = kinds["c_int"].from_address(place())
found = []
for number, *arguments in todo:
    error.value = 0
    result = call(long(number), *[kinds["c_ulong"](argument) for argument in arguments])
    found.append((number, result, error.value if result == -1 else 0))
return found
"""


@pytest.fixture(scope="module", params=["full", "no_userns", "seccomp"])
def sandbox(request):
    with Executor(workers=1, _level=Isolation(request.param)) as executor:
        try:
            _ = executor.isolation
        except Exception as error:
            pytest.skip(f"this machine does not give the level {request.param}: {error}")
        yield executor


@pytest.fixture(scope="module", params=["function", "script"])
def kind(request):
    """Scripts are under a filter of their own."""
    return request.param


@pytest.fixture(scope="module")
def predict(simulate, strictest, sandbox, kind):
    own = policy.script_filter if kind == "script" else policy.child_filter
    frozen = all(zygote.clock_frozen for slot in sandbox._pool._slots for zygote in slot.zygotes.values())
    filters = policy.zygote_filter(THIS), own(THIS, frozen)

    def decide(number, arguments=(0,) * 6):
        return strictest([simulate(program, number, AUDIT_ARCH[THIS], arguments)[0] for program in filters])

    return decide


def run(executor, kind, program):
    """Run the program's ``f()``, as a function or in a script that prints what it gives."""
    if kind == "function":
        return executor.run(program, "f", [()], LIMITS)[0]
    return executor.run_script(program + "\nprint(f())", [""], LIMITS)[0]


def call_all(executor, kind, todo):
    done = run(executor, kind, f"todo = {todo!r}\n" + attacker(CALL_ALL))
    assert done.ok, done
    return ast.literal_eval(done.stdout) if kind == "script" else done.result()


def test_what_the_simulator_denies_or_allows_the_kernel_does(sandbox, kind, predict):
    verdicts = {number: predict(number) for number in range(601)}
    todo = [
        [number, 0, 0, 0, 0, 0, 0]
        for number, verdict in verdicts.items()
        if verdict != bpf.KILL and NAMES.get(number) not in ENDING | UNFILTERED
    ]
    results = call_all(sandbox, kind, todo)
    assert len(results) > 400
    allowed = set()
    for number, result, error in results:
        verdict = verdicts[number]
        if verdict == bpf.ALLOW:
            allowed.add(NAMES[number])
            assert (result, error) != (-1, 1), NAMES[number]  # none of them gives EPERM by itself
        else:
            code = verdict - bpf.ERRNO
            assert (result, error) == ((-1, code) if code else (0, 0)), NAMES.get(number, number)
    assert {"getuid", "brk", "munmap", "futex"} <= allowed
    assert len(allowed) < 35


@pytest.mark.parametrize(
    ("call", "values"),
    [
        (("mmap", 2), (0, 3, 4, 5, 7, 1 << 32, (1 << 32) + 4, 0xFFFFFFFF)),
        (("mprotect", 2), (0, 1, 3, 4, 7, (1 << 32) + 4, 1 << 40)),
        (("madvise", 2), (*range(26), 100, 101, 1 << 32, (1 << 32) + 4)),
        (("clone", 0), (0, 17, 0x11, 0x01200011, 0x10000000, (1 << 32) + 0x11)),
        (("prctl", 0), (1, 4, 22, 38, 59)),
        (("read", 0), (*range(5), 0xFFFFFFFF, 1 << 32, (1 << 32) + 3)),
        (("write", 0), (*range(5), 0xFFFFFFFF, (1 << 32) + 1, (1 << 32) + 3)),
        (("lseek", 0), (*range(5), (1 << 32) + 2)),
        (("fstat", 0), (*range(5), (1 << 32) + 2)),
        (("close", 0), (0, 3, 4, (1 << 32) + 3)),
    ],
)
def test_what_depends_on_arguments_the_kernel_decides_alike(sandbox, kind, predict, call, values):
    name, place = call
    todo = []
    for value in values:
        arguments = [0, 0, 0, 0, 0, 0]
        arguments[place] = value
        todo.append([NUMBERS[name], *arguments])
    for (number, *arguments), (_, result, error) in zip(todo, call_all(sandbox, kind, todo), strict=True):
        denied = (result, error) == (-1, 1)
        assert denied == (predict(number, arguments) != bpf.ALLOW), (name, arguments)


def test_what_the_simulator_kills_the_kernel_kills(sandbox, kind, predict):
    doomed = [number for number in range(601) if predict(number) == bpf.KILL]
    assert len(doomed) > 60
    if THIS == "x86_64":
        doomed += [0x40000000 | number for number in (0, 1, 39, 59, 520)]
    for number in doomed:
        body = f"return _library.syscall(_long({number}), *[_long(0)] * 6)"
        done = run(sandbox, kind, attacker(body))
        assert done.status is Status.FORBIDDEN, (NAMES.get(number, number), done)


@pytest.mark.parametrize("name", sorted(ENDING))
def test_what_ends_a_program_is_no_verdict(sandbox, name):
    """Of a function; a script passes by its output, and may end itself."""
    (done,) = sandbox.run(attacker(f"syscall({name!r}, 0)"), "f", [()], LIMITS)
    assert done.status is Status.EXITED


@pytest.mark.parametrize("name", sorted(UNFILTERED & set(NUMBERS)))
def test_what_no_filter_sees_does_nothing(sandbox, name):
    (done,) = sandbox.run(attacker(f"syscall({name!r}, 0, 0, 0, 0, 0, 0)"), "f", [()], LIMITS)
    assert (done.status, done.exception) in ((Status.RAISED, "OSError"), (Status.CRASHED, "")), done
