"""Programs that read standard input: every usual way of reading and writing works, on real descriptors."""

import asyncio
import gc
import os
import threading
from pathlib import Path

import pytest

from code_envs.codec import encode
from code_envs.errors import ConfigError, ExecutorError, ValueRefused
from code_envs.executor import Executor, Job, Limits, Status
from code_envs.executor.client import Zygote

QUICK = Limits(cpu_seconds=0.3, wall_seconds=5.0, memory_mib=128, result_bytes=100_000, stdout_bytes=1000)
STDIN = "3\n1 2 3\nlast line é"


@pytest.mark.parametrize(
    ("program", "stdout"),
    [
        ("print(input(), input().split()); print(input('> '))", "3 ['1', '2', '3']\n> last line é\n"),
        ("import sys\nprint(len(sys.stdin.read()))", "19\n"),
        ("import sys\nprint(sys.stdin.readline(), sys.stdin.readlines())", "3\n ['1 2 3\\n', 'last line é']\n"),
        ("import sys\nfor line in sys.stdin: print(line.strip(), end='|')", "3|1 2 3|last line é|"),
        ("import sys\nprint(sys.stdin.buffer.read())", "b'3\\n1 2 3\\nlast line \\xc3\\xa9'\n"),
        ("import sys\nprint(sum(map(int, sys.stdin.buffer.readline().split())))", "3\n"),
        ("print(sum(1 for _ in open(0)))", "3\n"),
        ("print(open(0, 'rb').read(3))", "b'3\\n1'\n"),
        ("import os\nprint(os.read(0, 4))", "b'3\\n1 '\n"),
        ("import os\nprint(len(os.read(0, os.fstat(0).st_size)))", "20\n"),
        ("import fileinput\nprint([line.strip() for line in fileinput.input()])", "['3', '1 2 3', 'last line é']\n"),
        ("import sys\nsys.stdin.readline(); sys.stdin.seek(0); print(input())", "3\n"),
        ("import sys\ninput = sys.stdin.readline\nprint(int(input()))", "3\n"),
        ("import sys\ninput = iter(sys.stdin.read().splitlines()).__next__\nprint(input())", "3\n"),
        ("from os import write\nwrite(1, b'raw\\n')", "raw\n"),
        ("import sys\nsys.stdout.buffer.write(b'bytes\\n')", "bytes\n"),
        ("import sys\nsys.stdout.write('a'); print('b', flush=True); open(1, 'w').write('c')", "ab\nc"),
        ("import io, os, sys\nsys.stdout = io.TextIOWrapper(os.fdopen(1, 'wb'))\nprint('own stream')", "own stream\n"),
        (
            "import atexit, io, sys\nkept, sys.stdout = sys.stdout, io.StringIO()\n"
            "atexit.register(lambda: kept.write(sys.stdout.getvalue()))\nprint('at exit')",
            "at exit\n",
        ),
        ("if __name__ == '__main__': print('main', __name__)", "main __main__\n"),
        ("import sys\nprint('out'); print('err', file=sys.stderr)", "out\n"),
        ("print('before'); exit()", "before\n"),
        ("import sys\nprint('before'); sys.exit(0)", "before\n"),
        ("import os\nos.write(1, b'unbuffered'); print('lost'); os._exit(0)", "unbuffered"),
        (
            "import sys, threading\nsys.setrecursionlimit(10 ** 6); threading.stack_size(1 << 26)\n"
            "def main(): print(sum(range(int(input()))))\n"
            "thread = threading.Thread(target=main)\nthread.start(); thread.join()",
            "3\n",
        ),
        ("import sys\nprint(sys.stdin.isatty(), sys.stdout.isatty(), sys.argv)", "False False ['program']\n"),
        ("pass", ""),
    ],
)
def test_the_usual_ways_of_reading_and_writing(executor, program, stdout):
    (done,) = executor.run_script(program, [STDIN], QUICK)
    assert (done.status, done.stdout) == (Status.OK, stdout), done
    assert done.result() == stdout
    assert done.isolation is executor.isolation


@pytest.mark.parametrize(
    ("program", "status", "exception", "message"),
    [
        ("import sys\nsys.exit(3)", "exited", "", "the program left with exit status 3"),
        ("import sys\nsys.exit('no')", "exited", "", "the program left with exit status 1"),
        ("1 / 0", "raised", "ZeroDivisionError", "division by zero"),
        ("def f(:", "raised", "SyntaxError", "line 1: "),
        ("input(); input(); input(); input()", "raised", "EOFError", ""),
        ("def f(): f()\nf()", "recursion", "RecursionError", ""),
        ("bytearray(1 << 30)", "memory", "MemoryError", ""),
        ("while True: pass", "cpu", "", ""),
        ("while True: print('x' * 1000)", "too_large", "", "wrote more than 100000 bytes to standard output"),
        ("import os\nos.lseek(1, 1 << 40, 0); os.write(1, b'x')", "raised", "OSError", ""),
        ("import os\nos.execv('/bin/true', ['true'])", "forbidden", "", ""),
        ("import os\nos.abort()", "crashed", "", ""),
        ("open('/etc/passwd')", "raised", "PermissionError", ""),
    ],
)
def test_each_ending_has_its_status(executor, program, status, exception, message):
    (done,) = executor.run_script(program, [STDIN], QUICK)
    assert (done.status, done.exception) == (status, exception), done
    assert done.message.startswith(message)
    assert done.value == b""


def test_what_was_printed_before_a_failure_is_there(executor):
    (done,) = executor.run_script("print('seen')\nimport sys\nprint('x' * 2000, file=sys.stderr)\n1 / 0", [""], QUICK)
    assert done.stdout == "seen\n"
    assert done.stderr == "x" * 1000


def test_a_traceback_shows_the_program_alone(executor):
    (done,) = executor.run_script("def f(): 1 / 0\nf()", [""], QUICK)
    assert done.stderr.startswith('Traceback (most recent call last):\n  File "<program>", line 2, in <module>\n')
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert ".py" not in done.stderr


def test_output_up_to_the_bound_is_kept_and_one_byte_more_is_not(executor):
    program = "import os\nos.write(1, b'x' * int(input()))"
    exact, over = executor.run_script(program, ["100000", "100001"], QUICK)
    assert exact.ok
    assert len(exact.stdout) == 100_000
    assert over.status is Status.TOO_LARGE


def test_every_text_is_read_in_a_process_of_its_own(executor):
    program = "import os, builtins\nn = getattr(builtins, 'n', 0); builtins.n = n + 1\nprint(n, input())"
    done = executor.run_script(program, [str(index) for index in range(5)], QUICK)
    assert [run.stdout for run in done] == [f"0 {index}\n" for index in range(5)]


def test_nothing_of_a_run_is_left_to_the_next(executor):
    leave = "import os\nos.write(1, b'secret' * 1000); os.write(2, b'secret' * 1000); os.lseek(1, 5, 0)"
    assert executor.run_script(leave, ["secret" * 1000], QUICK)[0].ok
    (done,) = executor.run_script("import os\nprint(os.lseek(0, 0, 2), os.lseek(1, 0, 2), os.lseek(2, 0, 2))", [""])
    assert done.stdout == "0 0 0\n"


def test_large_and_odd_inputs(executor):
    big = "7 " * 3_500_000
    (done,) = executor.run_script("import sys\nprint(len(sys.stdin.buffer.read().split()))", [big])
    assert done.stdout == "3500000\n"
    (done,) = executor.run_script("import sys\nprint(sys.stdin.buffer.read())", [b"\xff\x00\r\n"], QUICK)
    assert done.stdout == "b'\\xff\\x00\\r\\n'\n"
    (done,) = executor.run_script("import os\nos.write(1, b'\\xff\\xfe')", [""], QUICK)
    assert done.stdout == "\ufffd\ufffd"


def test_refused_inputs_say_what_to_give(executor):
    with pytest.raises(ValueRefused, match="give a list of them"):
        executor.run_script("pass", "text")
    with pytest.raises(ValueRefused, match="Standard input 1 is of type int"):
        executor.run_script("pass", ["", 3])
    with pytest.raises(ValueRefused, match="Standard input 0 is too long"):
        executor.run_script("pass", ["x" * (9 << 20)])
    with pytest.raises(ConfigError, match="one argument, its standard input"):
        executor.run_jobs([Job(program="pass", entry="", calls=[encode((1,), ordered=True)])])
    with pytest.raises(ConfigError, match="use run_script"):
        executor.run("pass", "", [()])


def test_scripts_and_functions_run_side_by_side(executor):
    text = [encode((str(index),), ordered=True) for index in range(3)]
    number = [encode((index,), ordered=True) for index in range(3)]
    jobs = [
        Job(program="print(int(input()) * 2)", entry="", calls=text),
        Job(program="def f(n): return n * 3", entry="f", calls=number),
        Job(program="print(input() * 2)", entry="", calls=text[1:]),
    ]
    done = executor.run_jobs(jobs)
    assert [[run.result() for run in runs] for runs in done] == [["0\n", "2\n", "4\n"], [0, 3, 6], ["11\n", "22\n"]]
    assert asyncio.run(executor.arun_script("print(input())", ["a", "b"]))[1].stdout == "b\n"


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_descriptors_are_given_back_whatever_happens(monkeypatch):
    with Executor(workers=1) as executor:
        executor.run_script("pass", [""])
        gc.collect()
        before = descriptors()
        for program in ("print(1)", "while True: pass", "import os\nos.abort()", "import os\nos.close(1)"):
            executor.run_script(program, ["x"], QUICK)
        assert descriptors() == before


def test_a_sandbox_killed_during_a_script_costs_a_retry():
    with Executor(workers=1) as executor:
        executor.run_script("pass", [""])
        gc.collect()
        before = descriptors()
        (zygote,) = [zygote for slot in executor._pool._slots for zygote in slot.zygotes.values()]
        timer = threading.Timer(0.1, os.kill, (zygote.pid, 9))
        timer.start()
        (done,) = executor.run_script("for _ in range(8_000_000): pass\nprint(input())", ["kept"])
        timer.join()
        assert done.stdout == "kept\n"
        gc.collect()
        assert descriptors() == before


def test_a_client_short_of_descriptors_says_so(monkeypatch):
    def fail(*_):
        raise OSError(24, "Too many open files")

    with Executor(workers=1) as executor:
        executor.run_script("pass", [""])
        with monkeypatch.context() as patch:
            patch.setattr(os, "memfd_create", fail)
            with pytest.raises(ExecutorError, match="Too many open files"):
                executor.run_script("pass", [""])
        assert executor.run_script("print(1)", [""])[0].stdout == "1\n"


def test_the_standard_input_is_sealed(executor, monkeypatch):
    """The program holds a descriptor that it could write to, were the file not sealed."""
    seen = {}
    submit = Zygote.submit

    def spy(zygote, job, request, limits):
        submit(zygote, job, request, limits)
        try:
            os.pwrite(zygote._streams.stdin, b"forged", 0)
        except PermissionError as error:
            seen["write"] = error
        try:
            os.ftruncate(zygote._streams.stdin, 0)
        except PermissionError as error:
            seen["truncate"] = error

    monkeypatch.setattr(Zygote, "submit", spy)
    assert executor.run_script("print(input())", ["honest"])[0].stdout == "honest\n"
    assert set(seen) == {"write", "truncate"}
