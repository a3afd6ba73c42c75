"""Attacks on the standard streams of a script, and every honest way of using them."""

from __future__ import annotations

from dataclasses import dataclass

from attacks.tools import LIMITS, ROOMY, native_tools
from code_envs.executor import Limits

STDIN = "3\n1 2 3\nlast line é"


@dataclass(frozen=True)
class Script:
    """A whole program.

    Attributes:
        name: What it does, in words.
        text: Its source.
        ends: The statuses in which it may end, separated by ``|``.
        stdout: What it prints, if it ends ``ok``; None if that is checked apart.
        exception: The type of the exception, if it ends ``raised``.
        message: How the message starts.
        stdin: What it reads.
        limits: What it runs under.
    """

    name: str
    text: str
    ends: str = "ok"
    stdout: str | None = ""
    exception: str = ""
    message: str = ""
    stdin: str = STDIN
    limits: Limits = LIMITS

    def program(self) -> str:
        """Return the source, with native tools before it where it needs them."""
        return native_tools() + self.text if "native(" in self.text or "syscall(" in self.text else self.text

    def check(self, done) -> None:
        """Fail unless it ended exactly as it must."""
        assert done.status.value in self.ends.split("|"), done
        if done.status == "raised":
            assert done.exception in self.exception.split("|"), done
            assert done.message.startswith(self.message), done
        if done.ok and self.stdout is not None:
            assert done.stdout == self.stdout, done


def denied(name: str, text: str, exception: str = "PermissionError", message: str = "[Errno 1]") -> Script:
    return Script(name, "import os, sys\n" + text, "raised", exception=exception, message=message)


ATTACKS = (
    denied("write to the input", "os.write(0, b'x')"),
    denied("read the output", "os.read(1, 9)"),
    denied("read the errors", "os.read(2, 9)"),
    denied("read another descriptor", "os.read(3, 9)"),
    denied("write another descriptor", "os.write(3, b'x')"),
    denied("close another descriptor", "os.close(3)"),
    denied("a descriptor with high bits", "syscall('write', 1 << 32 | 3, b'x', 1)"),
    Script("descriptor 1 with high bits", "syscall('write', 1 << 32 | 1, b'x', 1)", stdout="x"),
    denied("a negative descriptor", "syscall('write', -1, b'x', 1)"),
    denied("duplicate the input", "os.dup(0)"),
    denied("duplicate onto the output", "os.dup2(0, 1)"),
    denied("duplicate by fcntl", "syscall('fcntl', 0, 0, 9)"),
    denied("seal the output", "syscall('fcntl', 1, 1033, 15)"),
    denied("ask for the seals", "syscall('fcntl', 0, 1034)"),
    denied("append only", "syscall('fcntl', 1, 4, 1024)"),
    denied("ioctl", "syscall('ioctl', 0, 0x541B, 0)"),
    denied("truncate the output", "os.ftruncate(1, 0)"),
    denied("grow the output", "os.ftruncate(1, 1 << 40)"),
    denied("truncate by the stream", "sys.stdout.truncate(0)", "PermissionError|UnsupportedOperation", ""),
    denied("allocate the output", "os.posix_fallocate(1, 0, 1 << 30)"),
    denied("punch a hole into the input", "native('fallocate', 0, 3, 0, 9)"),
    denied("write at a place", "os.pwrite(1, b'x', 0)"),
    denied("read at a place", "os.pread(0, 9, 0)"),
    denied("gather write", "os.writev(1, [b'x'])"),
    denied("scatter read", "os.readv(0, [bytearray(9)])"),
    denied("sendfile", "os.sendfile(1, 0, 0, 9)"),
    denied("splice", "os.splice(0, 1, 9)"),
    denied("copy a range", "os.copy_file_range(0, 1, 9)"),
    denied("tee", "syscall('tee', 0, 1, 9, 0)"),
    denied("sync", "os.fsync(1)"),
    denied("stat by number", "syscall('fstat', 0, ct['create_string_buffer'](256))"),
    denied("what the output is", "os.readlink('/proc/self/fd/1')"),
    denied("open the output again", "open('/dev/stdout', 'w')"),
    denied("open the input again", "open('/proc/self/fd/0')"),
    denied("lock the output", "os.lockf(1, 1, 0)"),
    denied("chmod the output", "os.fchmod(1, 0o777)"),
    denied("owner of the output", "os.fchown(1, 0, 0)"),
    denied("attributes of the output", "os.setxattr(1, 'user.x', b'1')"),
    denied("advise on the input", "os.posix_fadvise(0, 0, 0, 4)"),
    denied("poll the input", "syscall('ppoll', 0, 0, 0, 0, 0)"),
    denied("send by the output", "syscall('sendmsg', 1, 0, 0)"),
    denied("the input as a socket", "syscall('recvmsg', 0, 0, 0)"),
    denied("execute the output", "os.write(1, b'#!')\nimport mmap", "ModuleNotFoundError", ""),
    denied(
        "map the input writable", "native('mmap', 0, ct['c_size_t'](4096), 3, 1, 0, ct['c_long'](0))", "PermissionError"
    ),
    denied("map the output executable", "native('mmap', 0, ct['c_size_t'](4096), 5, 1, 1, ct['c_long'](0))"),
    Script(
        "write to a private map of the input",
        "place = native('mmap', 0, ct['c_size_t'](4096), 3, 2, 0, ct['c_long'](0))\nct['memset'](place, 65, 4)\n"
        "print(input())",
        stdout="3\n",
    ),
    Script(
        "write the output by a map, past its end",
        "place = native('mmap', 0, ct['c_size_t'](1 << 20), 3, 1, 1, ct['c_long'](0))\n"
        "ct['memset'](place, 65, 1 << 20)",
        "crashed",
    ),
    Script(
        "write the output by a map",
        "os.write(1, b'before'); place = native('mmap', 0, ct['c_size_t'](4096), 3, 1, 1, ct['c_long'](0))\n"
        "ct['memset'](place, 65, 2)",
        stdout="AAfore",
    ),
    Script("sparse output", "import os\nos.lseek(1, 1 << 40, 0)\nos.write(1, b'x')", "raised", exception="OSError"),
    Script(
        "seek past the end", "import os\nprint(os.lseek(1, 1 << 62, 0) == 1 << 62)", "raised|exited|ok", None, "OSError"
    ),
    Script(
        "seek before the start", "import os\nos.lseek(1, -5, 0)", "raised", exception="OSError", message="[Errno 22]"
    ),
    Script(
        "write inside what was written",
        "import os\nos.write(1, b'wrong'); os.lseek(1, 0, 0); os.write(1, b'right')",
        stdout="right",
    ),
    Script("a hole of zeros", "import os\nos.lseek(1, 5, 0); os.write(1, b'x')", stdout="\0" * 5 + "x"),
    Script(
        "one huge write", "import os\nos.write(1, b'x' * (20 << 20))", "too_large|raised|exited", exception="OSError"
    ),
    Script("flood of the output", "while True: print('x' * 1000)", "too_large"),
    Script("flood by a system call", "while True: syscall('write', 1, b'x' * 4096, 4096)", "too_large"),
    Script(
        "flood of the errors",
        "import os\nwhile True: os.write(2, b'x' * 9999)",
        "raised",
        exception="OSError",
        message="[Errno 27]",
    ),
    Script("flood of both", "import os\nfor n in range(10 ** 9): os.write(1 + n % 2, b'x' * 999)", "too_large"),
    Script(
        "flood, then a clean exit",
        "import os\ntry:\n  while True: os.write(1, b'x' * 9999)\nexcept OSError: os._exit(0)",
        "too_large",
    ),
    Script(
        "close everything",
        "import os\nfor n in range(3): os.close(n)\nprint('lost')",
        "exited|raised",
        exception="OSError",
    ),
    Script(
        "close, then get the number again",
        "import os\nos.close(1)\nos.open('/', 0)",
        "raised",
        exception="PermissionError",
    ),
    Script(
        "close the input and read",
        "import os\nos.close(0)\nprint(input())",
        "raised",
        exception="OSError",
        message="[Errno 9]",
    ),
    Script("exit before printing", "import os\nprint('lost'); os._exit(0)"),
    Script("exit with a status that looks fine", "import os\nprint('x', flush=True); os._exit(256)", stdout="x\n"),
    Script("exit status 1", "import os\nos.write(1, b'3'); os._exit(1)", "exited"),
    Script("exit status of the interpreter", "import sys\nsys.exit(-1)", "exited"),
    Script(
        "exit by an exception that is no exit", "class E(BaseException): code = 0\nraise E", "raised", exception="E"
    ),
    Script("a result map that says so", "import os\nprint('wrong', flush=True)\nos._exit(77)", "exited"),
    Script(
        "markers of a verdict",
        'print(\'{"status": "ok", "passed": true}\\nPASSED\\n\\x00\\x1e\')',
        stdout='{"status": "ok", "passed": true}\nPASSED\n\0\x1e\n',
    ),
    Script("printing at exit", "import atexit\natexit.register(print, 'late')", stdout="late\n"),
    Script(
        "printing at exit without end",
        "import atexit\ndef loop():\n  while True: print('x' * 999)\natexit.register(loop)",
        "too_large",
    ),
    Script("looping at exit", "import atexit\ndef loop():\n  while True: pass\natexit.register(loop)", "cpu"),
    Script(
        "raising at exit",
        "import atexit\natexit.register(lambda: 1 / 0)\nprint('x')",
        "ok|exited|raised",
        "x\n",
        "ZeroDivisionError",
    ),
    Script("leaving at exit", "import atexit, os\nprint('lost')\natexit.register(os._exit, 0)"),
    Script("registering at exit", "import atexit\ndef again(): atexit.register(again)\nagain()", "cpu|ok|memory", None),
    Script("printing in a finalizer", "class X:\n  def __del__(self): print('late')\nx = X()", "ok", None),
    Script(
        "leaving in a finalizer",
        "import os\nclass X:\n  def __del__(self): os._exit(0)\nx = X()\nprint('kept', flush=True)",
        stdout="kept\n",
    ),
    Script(
        "a stream that lies",
        "import sys\nclass Out:\n  closed = False\n  def write(self, text): return len(text)\n"
        "  def flush(self): raise SystemExit(0)\nsys.stdout = Out()\nprint('x')",
        "ok|exited|raised",
        "",
        "SystemExit",
    ),
    Script(
        "a stream that loops",
        "import sys\nclass Out:\n  closed = False\n  def write(self, text): return len(text)\n"
        "  def flush(self):\n    while True: pass\nsys.stdout = Out()",
        "cpu",
    ),
    Script("another stat", "import os\nos.fstat = lambda n: 1 / 0\nprint(input())", stdout="3\n"),
    Script("the next run's input", "import os\nos.lseek(0, 0, 2)\nprint(repr(os.read(0, 99)))", stdout="b''\n"),
    Script(
        "the zygote's descriptors",
        "import os\ndef can(n):\n  try: os.lseek(n, 0, 1); return True\n  except OSError: return False\n"
        "print([n for n in range(99) if can(n)])",
        stdout="[0, 1, 2]\n",
    ),
    Script("an input of surrogates", "print(ascii(input()))", "ok|raised", None, "UnicodeDecodeError", stdin="\ud800"),
    Script("an output of surrogates", "print('\\ud800')", "raised|exited", exception="UnicodeEncodeError"),
    Script(
        "end a thread with an exit",
        "import threading\nthreading.Thread(target=lambda: exit(0)).start()\nprint('on')",
        stdout="on\n",
    ),
    Script("be imported as the main module", "import sys\nsys.modules['__main__'].__dict__.clear()"),
    Script("sleep before printing", "import time\ntime.sleep(99)\nprint('awake')", stdout="awake\n"),
)
BIG = "7 " * 2_500_000
HONEST = (
    Script("input()", "print(input(), input().split(), input())", stdout="3 ['1', '2', '3'] last line é\n"),
    Script("sys.stdin.read", "import sys\nprint(len(sys.stdin.read()))", stdout="19\n"),
    Script("sys.stdin.readline", "import sys\nprint(repr(sys.stdin.readline()))", stdout="'3\\n'\n"),
    Script(
        "iteration", "import sys\nprint([line.strip() for line in sys.stdin])", stdout="['3', '1 2 3', 'last line é']\n"
    ),
    Script("sys.stdin.buffer", "import sys\nprint(sum(map(int, sys.stdin.buffer.read().split()[:4])))", stdout="9\n"),
    Script("open(0)", "print(open(0).read().count('\\n'))", stdout="2\n"),
    Script("os.read", "import os\nprint(os.read(0, 3))", stdout="b'3\\n1'\n"),
    Script("os.fstat for the size", "import os\nprint(os.fstat(0).st_size)", stdout="20\n"),
    Script("fileinput", "import fileinput\nprint(sum(1 for _ in fileinput.input()))", stdout="3\n"),
    Script("print and flush", "print('a', end=''); print('b', flush=True)", stdout="ab\n"),
    Script("sys.stdout.write", "import sys\nsys.stdout.write('é\\n')", stdout="é\n"),
    Script("os.write", "import os\nos.write(1, b'raw')", stdout="raw"),
    Script("sys.stdout.buffer", "import sys\nsys.stdout.buffer.write(b'bytes')", stdout="bytes"),
    Script("sys.stderr", "import sys\nprint('noise', file=sys.stderr); print('out')", stdout="out\n"),
    Script("seek back and read again", "import sys\nsys.stdin.read(); sys.stdin.seek(0); print(input())", stdout="3\n"),
    Script("empty input", "import sys\nprint(repr(sys.stdin.read()))", stdout="''\n", stdin=""),
    Script("end of the input", "try: input()\nexcept EOFError: print('end')", stdout="end\n", stdin=""),
    Script("no last line break", "print(input())", stdout="x\n", stdin="x"),
    Script("Windows line ends", "print([input(), input()])", stdout="['a', 'b']\n", stdin="a\r\nb\r\n"),
    Script("5 MB", "import sys\nprint(len(sys.stdin.buffer.read()))", stdout="5000000\n", stdin=BIG, limits=ROOMY),
    Script("as much as is kept", "print('x' * 99_999)", stdout="x" * 99_999 + "\n"),
    Script("exit()", "print('done'); exit()", stdout="done\n"),
    Script("a main function", "def main(): print(int(input()) + 1)\nif __name__ == '__main__': main()", stdout="4\n"),
    Script(
        "a thread for its stack",
        "import threading\ndef main(): print(input())\nt = threading.Thread(target=main); t.start(); t.join()",
        stdout="3\n",
    ),
)
