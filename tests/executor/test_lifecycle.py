"""Nothing is left behind, and a sandbox that dies costs a retry, never a verdict."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from code_envs.benchmarks.census import find_left, find_sandboxes, take_residue
from code_envs.executor import Executor, Isolation, Limits, Status, client

ADD = "def f(a, b):\n    return a + b"
SLOW = "def f(n):\n    for _ in range(8_000_000): pass\n    return n"
DEADLOCK = "import _thread\ndef f():\n    lock = _thread.allocate_lock()\n    while True: lock.acquire()"


def zygotes(executor):
    """The inner processes: those whose parent is a monitor."""
    monitors = {zygote.pid for slot in executor._pool._slots for zygote in slot.zygotes.values()}
    return [pid for pid, parent in find_sandboxes(os.getpid()).items() if parent in monitors]


def wait_until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@contextmanager
def nothing_left():
    """Check that a block leaves no process, descriptor, thread, file or memory map."""
    gc.collect()
    with tempfile.TemporaryDirectory() as own, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", own)  # where no other process makes files
        before = take_residue()
        yield
        assert find_left(before) == []


def test_close_leaves_nothing():
    with nothing_left(), Executor(workers=2) as executor:
        assert executor.run(ADD, "f", [(1, 2)])[0].ok
        assert executor.run(ADD, "f", [(1, 2)], variant=1)[0].ok
        assert len(zygotes(executor)) == 2


def test_a_forgotten_executor_leaves_nothing():
    with nothing_left():
        executor = Executor(workers=1)
        executor.run(ADD, "f", [(1, 2)])
        del executor


def test_a_refused_level_leaves_nothing(monkeypatch):
    monkeypatch.setattr(client, "_SCRIPT", "/nowhere/zygote.py")
    from code_envs.errors import IsolationUnavailable
    from code_envs.executor import ladder

    monkeypatch.setattr(ladder, "_known", {})
    with nothing_left(), Executor() as executor, pytest.raises(IsolationUnavailable, match=r"can't open file"):
        executor.run(ADD, "f", [(1, 2)])


@pytest.mark.parametrize("victim", ["monitor", "zygote"])
def test_a_sandbox_killed_between_runs_is_replaced(victim):
    with nothing_left(), Executor(workers=1) as executor:
        executor.run(ADD, "f", [(1, 2)])
        (inner,) = zygotes(executor)
        (outer,) = [zygote.pid for slot in executor._pool._slots for zygote in slot.zygotes.values()]
        os.kill(outer if victim == "monitor" else inner, signal.SIGKILL)
        wait_until(lambda: inner not in find_sandboxes(os.getpid()))
        assert executor.run(ADD, "f", [(2, 2)])[0].result() == 4


def test_a_sandbox_killed_during_a_run_costs_a_retry():
    with nothing_left(), Executor(workers=1) as executor:
        executor.run(ADD, "f", [(1, 2)])
        (inner,) = zygotes(executor)
        timer = threading.Timer(0.15, os.kill, (inner, signal.SIGKILL))
        timer.start()
        assert executor.run(SLOW, "f", [(5,)])[0].result() == 5
        timer.join()


def test_a_killed_child_that_held_much_memory_costs_a_retry():
    """It looks like a victim of the kernel, which kills what holds most; but the kernel counts its victims."""
    large = (
        "def f(n):\n    held = bytearray(80 << 20)\n    for _ in range(40_000_000): pass\n    return n + len(held) % 2"
    )
    with nothing_left(), Executor(workers=1, limits=Limits(cpu_seconds=20, memory_mib=100)) as executor:
        executor.run(ADD, "f", [(1, 2)])
        (inner,) = zygotes(executor)
        killed = []

        def kill():
            children = Path(f"/proc/{inner}/task/{inner}/children")

            def found():
                killed.extend(int(pid) for pid in children.read_text().split() if _resident_mib(pid) > 80)
                return killed

            wait_until(found)
            os.kill(killed[0], signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        (done,) = executor.run(large, "f", [(4,)])
        thread.join()
        assert killed
        assert done.ok, done
        assert done.result() == 4


def _resident_mib(pid):
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) >> 8
    except OSError:
        return 0


def test_a_sandbox_killed_twice_is_infra():
    stop = threading.Event()

    def killer(executor):
        while not stop.wait(0.02):
            for pid in find_sandboxes(os.getpid()):
                if pid not in known:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass

    with nothing_left(), Executor(workers=1) as executor:
        known = set()
        executor.run(ADD, "f", [(1, 2)])
        known = set(find_sandboxes(os.getpid())) - set(zygotes(executor))
        known -= {zygote.pid for slot in executor._pool._slots for zygote in slot.zygotes.values()}
        thread = threading.Thread(target=killer, args=(executor,))
        thread.start()
        (done,) = executor.run("def f():\n    while True: pass", "f", [()])  # it cannot end before it is killed
        stop.set()
        thread.join()
        assert done.status is Status.INFRA
        assert "sandbox" in done.message
        assert executor.run(ADD, "f", [(1, 2)])[0].result() == 3


def test_a_frozen_sandbox_is_given_up(monkeypatch):
    monkeypatch.setattr(client, "GRACE_SECONDS", 0.2)
    with nothing_left(), Executor(workers=1) as executor:
        executor.run(ADD, "f", [(1, 2)])
        os.kill(zygotes(executor)[0], signal.SIGSTOP)
        assert executor.run(ADD, "f", [(2, 2)], Limits(wall_seconds=2.0))[0].result() == 4


def test_sandboxes_outlive_the_thread_that_started_them():
    with nothing_left(), Executor(workers=1) as executor:
        thread = threading.Thread(target=executor.run, args=(ADD, "f", [(1, 2)]))
        thread.start()
        thread.join()
        before = zygotes(executor)
        time.sleep(0.1)
        assert executor.run(ADD, "f", [(2, 2)])[0].result() == 4
        assert zygotes(executor) == before


CLIENT = f"""
import sys, threading
from code_envs.executor import Executor
executor = Executor(workers=2)
executor.run({ADD!r}, "f", [(1, 2)])
if sys.argv[1] == "busy":
    threading.Thread(target=executor.run, args=("def f():\\n    while True: pass", "f", [()])).start()
    threading.Thread(target=executor.run, args=({DEADLOCK!r}, "f", [()])).start()
print("ready", executor.isolation.value, flush=True)
if sys.argv[1] != "exit":
    sys.stdin.read()
"""


def start_client(how, **settings):
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **settings
    )


@pytest.mark.parametrize("how", ["idle", "busy"])
def test_nothing_survives_a_client_that_is_killed(how):
    with start_client(how) as process:
        assert process.stdout.readline().startswith("ready")
        wait_until(lambda: len(find_sandboxes(process.pid)) >= (2 if how == "idle" else 6))
        process.kill()
    wait_until(lambda: not find_sandboxes(process.pid))


def test_nothing_survives_a_client_that_just_exits():
    with start_client("exit") as process:
        assert process.stdout.readline().startswith("ready")
    assert process.returncode == 0
    wait_until(lambda: not find_sandboxes(process.pid))


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@needs_root
def test_an_unprivileged_client_works(open_folder):
    script = "import sys; sys.path[:0] = sys.argv[1:]; from code_envs.executor import Executor\n"
    script += f"with Executor(workers=1) as e: print(e.run({ADD!r}, 'f', [(1, 2)])[0])"
    home = install_copy(open_folder, 0o755)
    paths = [str(home), *(path for path in sys.path if path.endswith("site-packages"))]
    command = [str(home / "python"), "-c", script, *paths]
    done = subprocess.run(
        command, user=65534, group=65534, extra_groups=[], cwd="/", capture_output=True, text=True, check=False
    )
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip("nobody cannot read this environment's packages")
    assert "value=b'i3;'" in done.stdout, done.stderr


@needs_root
def test_an_interpreter_in_a_private_home_works(open_folder):
    home = install_copy(open_folder, 0o700)
    script = "import sys; sys.path[:0] = sys.argv[1:]; from code_envs.executor import Executor\n"
    script += f"with Executor(workers=1) as e: print(e.run({ADD!r}, 'f', [(1, 2)])[0])"
    paths = [str(home), *(path for path in sys.path if path.endswith("site-packages"))]
    command = [str(home / "python"), "-c", script, *paths]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert "value=b'i3;'" in done.stdout, done.stderr


@pytest.fixture
def open_folder():
    """A folder that every user can reach; those of pytest are private, and shared between its workers."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def install_copy(folder, mode):
    """Copy the interpreter and the executor into a folder of their own, as a private home would hold them."""
    home = folder / "home"
    home.mkdir(mode=mode)
    shutil.copy(Path(sys.executable).resolve(), home / "python")
    source = Path(client.__file__).parent
    (home / "code_envs" / "executor").mkdir(parents=True)
    (home / "code_envs" / "__init__.py").touch()
    for name in ("codec.py", "errors.py"):
        shutil.copy(source.parent / name, home / "code_envs" / name)
    for file in source.glob("*.py"):
        shutil.copy(file, home / "code_envs" / "executor" / file.name)
    return home


@pytest.mark.parametrize("delay", [0.0, 0.0001, 0.0003, 0.0006, 0.001, 0.002])
def test_a_zygote_whose_monitor_is_killed_at_its_birth_does_not_live_on(delay):
    """Nothing could end it then but the end of the control socket, which a stopped zygote does not see."""
    with client.Zygote(Isolation.SECCOMP) as zygote:
        children = Path(f"/proc/{zygote.pid}/task/{zygote.pid}/children")
        while not (born := children.read_text().split()):
            pass
        end = time.perf_counter() + delay
        while time.perf_counter() < end:
            pass
        os.kill(zygote.pid, signal.SIGKILL)
        wait_until(lambda: int(born[0]) not in find_sandboxes(os.getpid()))
