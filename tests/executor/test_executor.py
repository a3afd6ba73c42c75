"""What a caller of the executor relies on: statuses, limits, concurrency, fork, pickle, close."""

import asyncio
import copy
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from code_envs.codec import encode
from code_envs.errors import ConfigError, ExecutorClosed, ExecutorError, IsolationUnavailable, ValueRefused
from code_envs.executor import Executor, Isolation, Job, Limits, Status, pool, shared_executor

ADD = "def f(a, b):\n    return a + b"
DEADLOCK = "import _thread\ndef f():\n    lock = _thread.allocate_lock()\n    while True: lock.acquire()"
QUICK = Limits(cpu_seconds=0.1, wall_seconds=5.0, memory_mib=64)


def test_results_come_back_in_order_with_their_types(executor):
    calls = [(1, 2), ("a", "b"), ([1], [2.5]), ((), (True,)), (b"x", b"\0")]
    done = executor.run(ADD, "f", calls)
    assert [execution.result() for execution in done] == [3, "ab", [1, 2.5], (True,), b"x\0"]
    assert {execution.status for execution in done} == {Status.OK}
    assert done[0].isolation is executor.isolation
    assert done[0].cpu_seconds > 0
    assert done[0].value == encode(3)


@pytest.mark.parametrize(
    ("body", "status", "exception", "message"),
    [
        ("return 1 / 0", "raised", "ZeroDivisionError", "division by zero"),
        ("raise ValueError('a\\x00b\\nc' + 'd' * 999)", "raised", "ValueError", "a b c" + "d" * 295),
        ("raise KeyboardInterrupt", "raised", "KeyboardInterrupt", ""),
        ("return f()", "recursion", "RecursionError", "maximum recursion depth exceeded"),
        ("return bytearray(1 << 30)", "memory", "MemoryError", ""),
        ("return 'x' * (1 << 30)", "memory", "MemoryError", ""),
        ("return 'x' * (2 << 20)", "too_large", "", "the value is too large"),
        ("return object()", "too_large", "", "values of type object are not literals"),
        ("return (n for n in [1])", "too_large", "", "values of type generator are not literals"),
        ("return 10 ** 5000", "too_large", "", "the integer has more than 4000 digits"),
        ("import sys; sys.exit(3)", "exited", "SystemExit", "3"),
        ("import os; os._exit(0)", "exited", "", "the program left with exit status 0"),
        ("while True: pass", "cpu", "", "used 0.1 s of CPU time"),
        ("import os; os.abort()", "crashed", "", "killed by SIGSEGV"),
        ("import os; os.execv('/bin/true', ['true'])", "forbidden", "", "killed for a forbidden system call"),
        ("return input()", "raised", "RuntimeError", "input(): lost sys.stdin"),
        ("return open('/etc/passwd').read()", "raised", "PermissionError", "[Errno 1] Operation not permitted"),
        ("import numpy", "raised", "ModuleNotFoundError", "No module named 'numpy'"),
    ],
)
def test_each_ending_has_its_status(executor, body, status, exception, message):
    (done,) = executor.run(f"def f():\n    {body}", "f", [()], QUICK)
    assert (done.status, done.exception) == (status, exception)
    assert done.message.startswith(message)
    assert len(done.message) <= 300
    assert not done.ok
    assert done.value == b""


@pytest.mark.parametrize(
    ("program", "exception", "message"),
    [
        ("def g(): pass", "NameError", "the program defines no function 'f'"),
        ("x = 1\ndef f(:", "SyntaxError", "line 2: "),
        ("def f(): pass\nraise OSError('at import')", "OSError", "at import"),
        ("def f(): '\0'", None, None),  # the exception differs between versions of Python
        ("def f(): '\ud800'", "UnicodeEncodeError", "'utf-8' codec can't encode"),
    ],
)
def test_a_program_that_does_not_load_fails_every_call(executor, program, exception, message):
    done = executor.run(program, "f", [(), (), ()])
    assert [execution.status for execution in done] == ["raised"] * 3
    if exception:
        assert {execution.exception for execution in done} == {exception}
        assert all(execution.message.startswith(message) for execution in done)


def test_calls_before_a_fatal_one_keep_their_results(executor):
    done = executor.run("def f(n):\n    while n == 2: pass\n    return n", "f", [(n,) for n in range(5)], QUICK)
    assert [execution.status for execution in done] == ["ok", "ok", "cpu", "cpu", "cpu"]
    assert [execution.message for execution in done[3:]] == ["not reached", "not reached"]
    assert done[1].result() == 1


def test_an_exception_in_one_call_does_not_touch_the_others(executor):
    done = executor.run("def f(n):\n    return 6 // n", "f", [(3,), (0,), (2,)])
    assert [execution.status for execution in done] == ["ok", "raised", "ok"]
    assert done[2].result() == 3


def test_wall_limit(executor):
    (done,) = executor.run(DEADLOCK, "f", [()], Limits(wall_seconds=0.2))
    assert done.status is Status.WALL
    assert done.wall_seconds >= 0.2


def test_cpu_limit_is_fine_grained(executor):
    (done,) = executor.run("def f():\n    while True: pass", "f", [()], Limits(cpu_seconds=0.05))
    assert done.status is Status.CPU
    assert done.cpu_seconds >= 0.05  # whatever the load: run time is counted, not ticks of the clock


def test_memory_is_free_again_after_a_call_that_hit_the_limit(executor):
    done = executor.run("def f(n):\n    return len(bytearray(n))", "f", [(1 << 30,), (1 << 20,)], QUICK)
    assert [execution.status for execution in done] == ["memory", "ok"]


def test_result_bytes_count_all_results_together(executor):
    done = executor.run("def f(n):\n    return 'x' * n", "f", [(600,), (600,), (10,)], Limits(result_bytes=1000))
    assert [execution.status for execution in done] == ["ok", "too_large", "ok"]


def test_recursion_limit_is_the_callers(executor):
    program = "def f(n):\n    return n and f(n - 1)"
    assert executor.run(program, "f", [(900,)], Limits(recursion=1000))[0].ok
    assert executor.run(program, "f", [(1100,)], Limits(recursion=1000))[0].status is Status.RECURSION


def test_output_is_captured_bounded_and_survives_a_kill(executor):
    program = (
        "import sys\n"
        "def f(n):\n"
        "    print('n is', n); print('to stderr', file=sys.stderr); sys.stdout.buffer.write(b'raw')\n"
        "    while n: print('x' * 1000)\n"
    )
    (done,) = executor.run(program, "f", [(0,)])
    assert done.stdout == "n is 0\nto stderr\nraw"
    (done,) = executor.run(program, "f", [(1,)], Limits(cpu_seconds=0.1, stdout_bytes=3000))
    assert done.status is Status.CPU
    assert done.stdout.startswith("n is 1\n")
    assert len(done.stdout) == 3000
    (done,) = executor.run(program, "f", [(0,)], Limits(stdout_bytes=0))
    assert (done.status, done.stdout) == ("ok", "")


def test_mutated_arguments_are_noticed_and_fresh_for_every_call(executor):
    program = "def f(items, grow):\n    items.sort()\n    if grow: items.append(items)\n    return len(items)"
    done = executor.run(program, "f", [([1, 2], 0), ([2, 1], 0), ([1], 1), ([], 0)])
    assert [execution.mutated for execution in done] == [False, True, True, False]
    assert done[3].result() == 0
    (done,) = executor.run("def f(items):\n    items.pop()\n    raise KeyError", "f", [([1],)])
    assert (done.status, done.mutated) == ("raised", True)


def test_dict_arguments_keep_their_order(executor):
    table = {"b": 1, "a": 2, 3: None}
    assert executor.run("def f(table):\n    return list(table)", "f", [(table,)])[0].result() == ["b", "a", 3]


def test_coerce_takes_subclasses_as_their_base(executor):
    program = "import collections\ndef f():\n    return collections.Counter('aab')"
    assert executor.run(program, "f", [()])[0].status is Status.TOO_LARGE
    assert executor.run(program, "f", [()], coerce=True)[0].result() == {"a": 2, "b": 1}


def test_seed_and_variant(executor):
    program = "import random\ndef f():\n    return random.random()"
    first, again, other = (executor.run(program, "f", [()], seed=seed)[0].result() for seed in (7, 7, 8))
    assert first == again != other
    hashing = "def f():\n    return hash('text')"
    assert executor.run(hashing, "f", [()])[0].value == executor.run(hashing, "f", [()])[0].value
    assert executor.run(hashing, "f", [()])[0].value != executor.run(hashing, "f", [()], variant=1)[0].value


def test_ordinary_modules_of_a_program_work(executor):
    program = (
        "from __future__ import annotations\n"
        "import dataclasses, pickle, typing, enum, functools, sys\n"
        "@dataclasses.dataclass(order=True)\nclass Point:\n    x: int\n    y: typing.Optional[int] = None\n"
        "class Color(enum.Enum):\n    RED = 1\n"
        "@functools.lru_cache\ndef fib(n: int) -> int:\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n"
        "def f(n: int) -> list:\n"
        "    same = pickle.loads(pickle.dumps([Point(n), Color.RED])) == [Point(n), Color.RED]\n"
        "    hinted = typing.get_type_hints(Point)['x'] is int\n"
        "    return [same, hinted, fib(n), __name__, sys.modules[__name__].Point is Point]"
    )
    assert executor.run(program, "f", [(60,)])[0].result() == [True, True, 1548008755920, "program", True]


def test_the_main_guard_of_a_program_does_not_run(executor):
    program = "def f():\n    return 1\nif __name__ == '__main__':\n    raise SystemExit"
    assert executor.run(program, "f", [()])[0].ok


def test_large_requests_pass_and_oversized_ones_are_too_large(executor):
    program = "def f(text):\n    return len(text)"
    assert executor.run(program, "f", [("x" * (3 << 20),), ("y" * (3 << 20),)])[0].result() == 3 << 20
    (done,) = executor.run(program + "#" * (9 << 20), "f", [("",)])
    assert done.status is Status.TOO_LARGE
    assert "8388608" in done.message
    assert executor.run(program, "f", [("x",)])[0].result() == 1


def test_large_results_pass(executor):
    limits = Limits(result_bytes=6 << 20)
    done = executor.run("def f(n):\n    return 'x' * n", "f", [(3 << 20,), (2 << 20,)], limits)
    assert [len(execution.result()) for execution in done] == [3 << 20, 2 << 20]


def test_refused_settings_name_what_to_do(executor):
    with pytest.raises(ConfigError, match=r"Limits\.cpu_seconds is 0"):
        Executor(limits=Limits(cpu_seconds=0))
    with pytest.raises(ConfigError, match="memory_mib"):
        executor.run(ADD, "f", [(1, 2)], Limits(memory_mib=1))
    with pytest.raises(ConfigError, match="workers"):
        Executor(workers=0)
    with pytest.raises(ConfigError, match="allow_unsafe"):
        Executor(min_isolation=Isolation.UNSAFE)
    with pytest.raises(ConfigError, match="variant"):
        executor.run(ADD, "f", [(1, 2)], variant=99)
    with pytest.raises(ValueRefused, match="call 1 are not literal"):
        executor.run(ADD, "f", [(1, 2), (1, object())])
    with pytest.raises(ExecutorError, match="split it"):
        executor.run(ADD, "f", [(1, 2)] * 5000)
    assert executor.run(ADD, "f", []) == []


def test_jobs_run_in_order_with_their_own_limits(executor):
    def job(number, **settings):
        program = f"def f():\n    while {number} == 3: pass\n    return {number}"
        return Job(program=program, entry="f", calls=[encode((), ordered=True)], **settings)

    jobs = [job(number, limits=QUICK, variant=number % 2) for number in range(8)]
    done = executor.run_jobs(jobs)
    assert [one.status for (one,) in done] == ["ok"] * 3 + ["cpu"] + ["ok"] * 4
    assert [one.result() for (one,) in done if one.ok] == [0, 1, 2, 4, 5, 6, 7]
    assert executor.run_jobs([]) == []


def test_many_threads_share_two_workers():
    results = {}

    def work(number):
        for turn in range(3):
            results[number, turn] = executor.run(ADD, "f", [(number, turn)])[0].result()

    with Executor(workers=2) as executor:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == {(number, turn): number + turn for number in range(16) for turn in range(3)}
        assert len(executor._pool._free) == 2


def test_async_runs_do_not_block_the_loop(executor):
    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticker = asyncio.create_task(tick())
        busy = "def f(n):\n    for _ in range(2_000_000): pass\n    return n"
        done = await asyncio.gather(*(executor.arun(busy, "f", [(n,)]) for n in range(4)))
        batch = await executor.arun_jobs([Job(program=ADD, entry="f", calls=[encode((1, 2), ordered=True)])] * 3)
        ticker.cancel()
        return ticks, [one.result() for (one,) in done], [one.result() for (one,) in batch]

    ticks, results, batch = asyncio.run(main())
    assert ticks > 3
    assert results == [0, 1, 2, 3]
    assert batch == [3, 3, 3]
    assert asyncio.run(main())[1] == results  # a second event loop


def test_a_cancelled_wait_leaves_the_executor_usable(executor):
    async def main():
        busy = "def f():\n    for _ in range(30_000_000): pass\n    return 1"
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(executor.arun(busy, "f", [()]), 0.05)
        return (await executor.arun(ADD, "f", [(1, 2)]))[0].result()

    assert asyncio.run(main()) == 3


def test_pickle_and_deepcopy_give_an_equal_unstarted_executor(executor):
    limits = Limits(cpu_seconds=1.0)
    with Executor(workers=3, limits=limits) as original:
        for twin in (pickle.loads(pickle.dumps(original)), copy.deepcopy(original)):
            with twin:
                assert (twin.workers, twin.limits, twin.min_isolation) == (3, limits, original.min_isolation)
                assert "not started" in repr(twin)
                assert twin.run(ADD, "f", [(1, 2)])[0].result() == 3


def test_a_forked_client_gets_processes_of_its_own(executor):
    executor.run(ADD, "f", [(1, 2)])
    before = {zygote.pid for slot in executor._pool._slots for zygote in slot.zygotes.values()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fork with threads
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            clean = not any(slot.zygotes for slot in executor._pool._slots)
            three = executor.run(ADD, "f", [(1, 2)])[0].result() == 3
            own = {zygote.pid for slot in executor._pool._slots for zygote in slot.zygotes.values()}
            executor.close()
            status = 0 if clean and three and own and not own & before else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert executor.run(ADD, "f", [(2, 2)])[0].result() == 4
    assert before <= {zygote.pid for slot in executor._pool._slots for zygote in slot.zygotes.values()}


def test_closed_executors_refuse():
    with Executor(workers=1) as executor:
        assert executor.run(ADD, "f", [(1, 2)])[0].ok
    executor.close()
    with pytest.raises(ExecutorClosed):
        executor.run(ADD, "f", [(1, 2)])
    with pytest.raises(ExecutorClosed):
        asyncio.run(executor.arun(ADD, "f", [(1, 2)]))
    assert "closed" in repr(executor)


def test_close_ends_runs_in_flight_and_waiting():
    executor = Executor(workers=1)
    assert executor.isolation
    endings = []

    def work():
        try:
            endings.append(executor.run(DEADLOCK, "f", [()]))
        except ExecutorClosed as error:
            endings.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(executor._pool._waiting) < 2:
        time.sleep(0.01)
    executor.close()
    for thread in threads:
        thread.join(20)
    assert [type(ending) for ending in endings] == [ExecutorClosed] * 3


def test_close_ends_a_run_whose_sandbox_has_just_been_started(monkeypatch):
    class Closing(pool.Zygote):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            threading.Thread(target=executor.close).start()
            while not executor._pool.closed:
                time.sleep(0.01)

    executor = Executor(workers=1)
    assert executor.isolation
    monkeypatch.setattr(pool, "Zygote", Closing)
    with pytest.raises(ExecutorClosed, match="while a run began"):
        executor.run(DEADLOCK, "f", [()])


def test_the_shared_executor_is_one_and_comes_back_after_close():
    first = shared_executor()
    assert shared_executor() is first
    assert first.run(ADD, "f", [(1, 2)])[0].ok
    first.close()
    second = shared_executor()
    assert second is not first
    assert second.run(ADD, "f", [(1, 2)])[0].ok
    second.close()


def test_demanding_more_than_the_machine_gives_is_refused(monkeypatch):
    from code_envs.executor import ladder

    monkeypatch.setattr(ladder, "_known", {(level, ""): "no such thing here" for level in ladder.LEVELS})
    with Executor() as executor, pytest.raises(IsolationUnavailable, match=r"no such thing here.*doctor"):
        executor.run(ADD, "f", [(1, 2)])
    with Executor(workers=1, allow_unsafe=True) as executor:
        (done,) = executor.run(ADD, "f", [(1, 2)])
        assert (done.result(), done.isolation) == (3, Isolation.UNSAFE)
    monkeypatch.setattr("sys.platform", "darwin")
    with Executor(allow_unsafe=True) as executor, pytest.raises(IsolationUnavailable, match="Linux container"):
        executor.run(ADD, "f", [(1, 2)])


@pytest.mark.parametrize("level", [Isolation.NO_USERNS, Isolation.SECCOMP])
def test_lower_levels_are_stamped(level):
    with Executor(workers=1, _level=level) as executor:
        assert executor.run(ADD, "f", [(1, 2)])[0].isolation is level


INTERPRETERS = [
    str(path)
    for minor in (11, 12, 13)
    for path in (
        shutil.which(f"python3.{minor}"),
        *(Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python3"),
    )
    if path
]


@pytest.mark.parametrize("python", [*INTERPRETERS, sys.executable])
def test_programs_run_under_the_interpreter_that_was_asked_for(python):
    ask = [python, "-c", "import platform; print(platform.python_version())"]
    known = subprocess.run(ask, capture_output=True, text=True, check=False)
    if known.returncode != 0:
        pytest.skip(f"{python} does not start")
    program = "import sys\ndef f(x): return ['.'.join(map(str, sys.version_info[:3])), {x: {1.5, 'a'}}]"
    with Executor(workers=1, python=python) as executor:
        (done,) = executor.run(program, "f", [("k",)])
        assert done.result() == [known.stdout.strip(), {"k": {1.5, "a"}}]
        assert executor.python_version == known.stdout.strip()
        assert pickle.loads(pickle.dumps(executor)).python == executor.python


@pytest.mark.parametrize(
    ("python", "message"),
    [("python9.9", "not a program here"), ("/bin/true", "not Python 3.11"), ("/bin/false", "not Python 3.11")],
)
def test_an_interpreter_that_will_not_do_is_refused(python, message):
    with pytest.raises(ConfigError, match=message):
        Executor(python=python)
