"""Clients of every kind: with threads, event loops, forks, copies beside them, odd descriptors and signals."""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from code_envs.benchmarks.census import find_left, find_sandboxes, find_zygotes, take_residue
from code_envs.errors import ExecutorClosed
from code_envs.executor import Executor, Limits, Status

ADD = "def f(a, b):\n    return a + b"
BUSY = "def f(n):\n    for _ in range(300_000): pass\n    return n"


@contextmanager
def nothing_left():
    """Check that a block leaves nothing; gives what counts the zygotes that are started in it."""
    with tempfile.TemporaryDirectory() as own, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", own)  # where no other process makes files
        before, others = take_residue(), set(find_zygotes(os.getpid()))
        yield lambda: len(set(find_zygotes(os.getpid())) - others)
        assert find_left(before) == []


def add(executor, number):
    (done,) = executor.run(ADD, "f", [(number, 1000)])
    assert done.result() == number + 1000, done
    return number


def test_many_threads_share_two_zygotes():
    with nothing_left() as count_zygotes, Executor(workers=2) as executor, ThreadPoolExecutor(32) as threads:
        numbers = list(threads.map(lambda number: add(executor, number), range(320)))
        assert numbers == list(range(320))
        assert count_zygotes() == 2


def test_many_tasks_share_two_zygotes():
    async def ask(executor, number):
        (done,) = await executor.arun(ADD, "f", [(number, 1)])
        return done.result()

    async def ask_all(executor):
        return await asyncio.gather(*(ask(executor, number) for number in range(200)))

    with nothing_left() as count_zygotes, Executor(workers=2) as executor:
        assert asyncio.run(ask_all(executor)) == list(range(1, 201))
        assert asyncio.run(ask_all(executor)) == list(range(1, 201))  # another loop, the same executor
        assert count_zygotes() == 2


def test_a_loop_goes_on_while_programs_run():
    async def watch(executor):
        run = asyncio.ensure_future(executor.arun(BUSY, "f", [(3,)]))
        turns = 0
        while not run.done():
            await asyncio.sleep(0)
            turns += 1
        return turns, run.result()[0].result()

    with Executor(workers=1) as executor:
        turns, result = asyncio.run(watch(executor))
    assert result == 3
    assert turns > 10


def test_close_in_the_middle_of_threads_and_tasks():
    """Each run is right or says that the executor is closed; nothing hangs and nothing is left."""
    results = []

    def keep_asking(executor):
        for number in range(10_000):
            try:
                results.append(add(executor, number))
            except ExecutorClosed:
                return
        raise AssertionError("it was never closed")

    async def keep_awaiting(executor):
        async def one():
            while True:
                await executor.arun(ADD, "f", [(1, 2)])

        done = await asyncio.gather(*(one() for _ in range(20)), return_exceptions=True)
        assert {type(error) for error in done} <= {ExecutorClosed, asyncio.CancelledError}

    with nothing_left():
        executor = Executor(workers=2)
        with ThreadPoolExecutor(9) as threads:
            asking = [threads.submit(keep_asking, executor) for _ in range(8)]
            awaiting = threads.submit(asyncio.run, keep_awaiting(executor))
            while len(results) < 20:
                time.sleep(0.01)
            executor.close()
            for future in (*asking, awaiting):
                future.result(timeout=60)


def test_several_executors_side_by_side():
    with nothing_left() as count_zygotes, ThreadPoolExecutor(3) as threads:
        executors = [Executor(workers=1) for _ in range(3)]
        for _ in range(5):
            assert list(threads.map(add, executors, range(3))) == [0, 1, 2]
        assert count_zygotes() == 3
        executors.pop().close()
        assert list(threads.map(add, executors, range(2))) == [0, 1]
        for executor in executors:
            executor.close()


def in_a_fork(work):
    """Run a function in a forked copy of this process; returns the copy's exit status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks of processes with threads
        pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def use_and_close(executor):
    add(executor, 5)
    own = find_zygotes(os.getpid())
    assert own
    executor.close()
    assert not find_sandboxes(os.getpid())


def test_forks_of_a_client_whose_threads_are_running():
    with nothing_left(), Executor(workers=2) as executor:
        add(executor, 1)
        before = find_zygotes(os.getpid())
        stop = threading.Event()

        def work():
            while not stop.is_set():
                add(executor, 7)

        with ThreadPoolExecutor(4) as threads:
            running = [threads.submit(work) for _ in range(4)]
            codes = [in_a_fork(lambda: use_and_close(executor)) for _ in range(5)]
            stop.set()
            for future in running:
                future.result(timeout=60)
        assert codes == [0] * 5
        assert set(before) <= set(find_zygotes(os.getpid()))  # the copies took none of ours with them
        add(executor, 2)


def test_a_fork_from_inside_a_running_loop():
    async def fork_and_go_on(executor):
        running = asyncio.gather(*(executor.arun(ADD, "f", [(n, n)]) for n in range(20)))
        await asyncio.sleep(0)
        code = in_a_fork(lambda: use_and_close(executor))
        return code, [done[0].result() for done in await running]

    with nothing_left(), Executor(workers=2) as executor:
        code, results = asyncio.run(fork_and_go_on(executor))
    assert code == 0
    assert results == [2 * n for n in range(20)]


SCRIPT = """
import multiprocessing, sys
from code_envs.executor import Executor

def ask(pair):
    executor, number = pair
    return executor.run("def f(n): return n * 2", "f", [(number,)])[0].result()

if __name__ == "__main__":
    with Executor(workers=1) as executor:
        executor.run("def f(): return 1", "f", [()])
        with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
            print(sum(pool.map(ask, [(executor, number) for number in range(8)])))
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_pools_of_processes_take_an_executor(method, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = run_client([str(script), method])
    assert done.stdout == "56\n", done.stderr


def run_client(arguments, **settings):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=120, **settings
    )


def test_several_clients_in_processes_of_their_own():
    code = "from code_envs.executor import Executor\nwith Executor(workers=1) as e:\n"
    code += "    print(sum(e.run('def f(n): return n', 'f', [(n,)])[0].result() for n in range(20)))"
    with ThreadPoolExecutor(3) as threads:
        results = list(threads.map(run_client, [["-c", code]] * 3))
    assert [done.stdout for done in results] == ["190\n"] * 3, results[0].stderr


def test_other_processes_of_the_client_inherit_nothing():
    """Even if they ask for all descriptors, and while zygotes are being started."""
    look = ["-c", "import os; print(sorted(os.listdir('/proc/self/fd')))"]
    expected = run_client(look, close_fds=False).stdout
    with ThreadPoolExecutor(2) as threads:

        def start_and_close():
            for number in range(4):
                with Executor(workers=1) as executor:
                    add(executor, number)

        starting = [threads.submit(start_and_close) for _ in range(2)]
        looks = [run_client(look, close_fds=False).stdout for _ in range(12)]
        for future in starting:
            future.result()
    assert set(looks) == {expected}


DESCRIPTORS = """
import os, resource, sys
from code_envs.errors import ExecutorError
from code_envs.executor import Executor, Limits
add = "def f(a, b): return a + b"
"""


def test_descriptors_with_high_numbers():
    code = DESCRIPTORS + (
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "held = [os.open('/dev/null', os.O_RDONLY) for _ in range(1500)]\n"
        "with Executor(workers=1) as executor:\n"
        "    print(executor.run(add, 'f', [(1, 2)])[0].result())\n"
        "    print(executor.run(add, 'f', [(1, 2)], variant=1)[0].result())\n"
        "    print(min(z.fileno() for z in executor._pool._slots[0].zygotes.values()) > 1024)\n"
    )
    done = run_client(["-c", code])
    assert done.stdout.split() == ["3", "3", "True"], done.stderr


def test_too_few_descriptors_are_a_clear_error():
    code = DESCRIPTORS + (
        "with Executor(workers=1) as executor: executor.isolation\n"
        "before = len(os.listdir('/proc/self/fd'))\n"
        "for limit in range(before, 40):\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, 4096))\n"
        "    try:\n"
        "        with Executor(workers=1) as executor: print(executor.run(add, 'f', [(1, 2)])[0].result())\n"
        "    except ExecutorError as error: print(error)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))\n"
        "print('left', len(os.listdir('/proc/self/fd')) - before)\n"
    )
    done = run_client(["-c", code])
    assert done.returncode == 0, done.stderr
    *lines, left = done.stdout.splitlines()
    assert left == "left 0"
    refused = "No sandbox process can be started: [Errno 24] Too many open files"
    assert lines[0].startswith(refused)
    assert lines[-1] == "3"
    assert all(line == "3" or line.startswith(refused) for line in lines), lines


SIGNALS = """
import os, signal, sys
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    if sys.argv[1] == "ignored": signal.signal(number, signal.SIG_IGN)
if sys.argv[1] == "blocked": signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
from code_envs.executor import Executor, Limits
with Executor(workers=1) as executor:
    for body in ("return 1", "while True: pass", "os.abort()", "os.kill(1, 9)"):
        limits = Limits(cpu_seconds=0.1)
        (done,) = executor.run(f"import os\\ndef f():\\n    {body}", "f", [()], limits)
        print(done.status.value, done.cpu_seconds < 0.6)
"""


@pytest.mark.parametrize("how", ["default", "ignored", "blocked"])
def test_what_the_client_does_with_signals_changes_nothing(how):
    done = run_client(["-c", SIGNALS, how])
    assert done.stdout.split() == ["ok", "True", "cpu", "True", "crashed", "True", "forbidden", "True"], done.stderr


def test_a_killed_client_leaves_no_file(tmp_path, monkeypatch):
    """The maps have no names, and the sandbox writes nothing: its user owns no file, the client made none."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = take_residue().files
    code = DESCRIPTORS + (
        "executor = Executor(workers=2)\n"
        "print(executor.run(add, 'f', [(1, 2)])[0].result(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as client:
        assert client.stdout.readline() == "3\n"
        assert find_sandboxes(client.pid)
        client.kill()
    end = time.monotonic() + 20
    while find_sandboxes(client.pid):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert list(tmp_path.iterdir()) == []
    assert take_residue().files <= before or os.getuid() != 0


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.1, 0.2, 0.4, 0.8])
def test_nothing_survives_a_client_that_is_killed_while_it_starts(moment):
    """Killed at any moment: while its zygotes load, confine themselves, or run functions and scripts."""
    code = DESCRIPTORS + (
        "print('begins', flush=True)\n"
        "from code_envs.executor import Job\n"
        "from code_envs.codec import encode\n"
        "busy = 'def f(text):\\n while True: pass'\n"
        "call = [encode(('text',), ordered=True)]\n"
        "jobs = [Job(program=busy, entry='f', calls=call, variant=n) for n in range(4)]\n"
        "jobs += [Job(program='while True: pass', entry='', calls=call, variant=n) for n in range(4)]\n"
        "Executor(workers=4).run_jobs(jobs)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout.readline() == "begins\n"
        time.sleep(moment)
        client.kill()
    end = time.monotonic() + 20
    while find_sandboxes(client.pid):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_deadlock_in_one_thread_holds_up_no_other():
    lock = "import threading\nlock = threading.Lock()\ndef f():\n    lock.acquire()\n    lock.acquire()"
    with Executor(workers=2) as executor, ThreadPoolExecutor(1) as threads:
        stuck = threads.submit(executor.run, lock, "f", [()], Limits(wall_seconds=2))
        for number in range(5):
            add(executor, number)
        (done,) = stuck.result()
    assert done.status is Status.WALL
