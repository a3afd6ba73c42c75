"""Hooks of the interpreter that run later than they seem to, and output without end."""

from attacks.tools import LIMITS, ROOMY, denied, ends, group, returns

GROUPS = (
    group(
        "hooks",
        "import sys\nlines = []\ndef trace(frame, event, argument):\n    lines.append(event)\n    return trace\n"
        "def g(): return 1\nsys.settrace(trace)\ng()\nsys.settrace(None)\nreturn lines[0]",
        "call",
        ends(
            "profile what follows",
            "import sys\nsys.setprofile(lambda *a: os._exit(0))\nreturn 1",
            "exited",
            script="ok",
        ),
        ends("trace what follows", "import sys\nsys.settrace(lambda *a: os._exit(0))\nreturn 1", "exited|ok", value=1),
        ends(
            "trace the harness",
            "import sys\nframe = sys._getframe().f_back\nframe.f_trace = lambda *a: os._exit(0)\n"
            "sys.settrace(lambda *a: None)\nreturn 1",
            "exited|ok",
            value=1,
            script="ok",
        ),
        ends("audit hook", "import sys\nsys.addaudithook(lambda *a: os._exit(0))\nopen('x')", "exited", script="ok"),
        ends(
            "audit hook that raises",
            "import sys\ndef hook(*a): raise SystemExit(0)\nsys.addaudithook(hook)\nopen('x')",
            "exited",
            script="ok|exited|raised",
        ),
        ends(
            "monitoring",
            "import sys\nm = getattr(sys, 'monitoring', None)\nif m is None: os._exit(0)\nm.use_tool_id(2, 'x')\n"
            "m.register_callback(2, m.events.PY_START, lambda *a: os._exit(0))\n"
            "m.set_events(2, m.events.PY_START)\nreturn 1",
            "exited",
            script="ok",
        ),
        ends(
            "hook of uncaught exceptions",
            "import sys\nsys.excepthook = lambda *a: os._exit(0)\nraise ValueError('x')",
            "raised",
            exception="ValueError",
        ),
        ends(
            "hook of what cannot be raised",
            "import sys\nsys.unraisablehook = lambda *a: os._exit(0)\nclass X:\n  def __del__(self): 1 / 0\n"
            "X()\nreturn 1",
            "exited",
            script="ok",
        ),
        ends(
            "hook of threads",
            "import threading\nthreading.excepthook = lambda *a: os._exit(0)\n"
            "threading.Thread(target=lambda: 1 / 0).start()\nreturn 1",
            "exited",
            script="ok",
        ),
        ends(
            "hook of breakpoints",
            "import sys\nsys.breakpointhook = lambda: os._exit(0)\nbreakpoint()",
            "exited",
            script="ok",
        ),
        returns("a debugger", "breakpoint()\nreturn 1", 1),
        ends(
            "hook of displayed values", "import sys\nsys.displayhook = lambda *a: os._exit(0)\nreturn 1", "ok", value=1
        ),
        denied("input", "input()", "RuntimeError|EOFError"),
        ends(
            "callback of the collector",
            "import gc\ngc.callbacks.append(lambda *a: os._exit(0))\ngc.collect()",
            "exited",
            script="ok",
        ),
        ends(
            "collector that resurrects",
            "import gc\nkept = []\nclass X:\n  def __del__(self): kept.append(self)\nX(); gc.collect()\n"
            "return len(kept)",
            "ok",
            value=1,
        ),
        returns(
            "callback of a weak reference",
            "import weakref\nclass X: pass\nx = X()\n"
            "globals()['kept'] = weakref.ref(x, lambda r: os._exit(0))\nglobals()['x'] = x\nreturn 1",
            1,
        ),
        returns(
            "finalizer at the end", "class X:\n  def __del__(self): os._exit(0)\nglobals()['kept'] = X()\nreturn 1", 1
        ),
        returns(
            "finalizer of weakref at exit",
            "import weakref\nclass X: pass\nglobals()['kept'] = x = X()\nweakref.finalize(x, int)\nreturn 1",
            1,
        ),
        returns("context variables", "import contextlib\nwith contextlib.suppress(Exception): 1 / 0\nreturn 1", 1),
        ends(
            "generator closed at the end",
            "def g():\n  try: yield\n  finally: os._exit(0)\nglobals()['kept'] = x = g()\nnext(x)\nreturn 1",
            "ok",
            value=1,
        ),
        ends("switch interval", "import sys\nsys.setswitchinterval(1e-6)\nreturn 1", "ok", value=1),
        ends(
            "collector without pause",
            "import gc\ngc.set_threshold(1)\nreturn len([[] for _ in range(999)])",
            "ok",
            value=999,
        ),
        ends(
            "collector off, garbage without end",
            "import gc\ngc.disable()\nwhile True:\n  x = [bytearray(100000)]; x.append(x)",
            "memory|cpu",
        ),
        ends(
            "recursion limit of one",
            "import sys\nsys.setrecursionlimit(1)",
            "raised|recursion",
            exception="RecursionError|ValueError",
        ),
        ends(
            "integer digits without limit",
            "import sys\nsys.set_int_max_str_digits(0)\nreturn len(str(10 ** 5000))",
            "ok",
            value=5001,
            limits=ROOMY,
        ),
        ends(
            "faulthandler",
            "import faulthandler\nfaulthandler.enable()",
            "raised",
            exception="ModuleNotFoundError|RuntimeError|ValueError|AttributeError|OSError|UnsupportedOperation",
        ),
        ends(
            "tracemalloc",
            "import _tracemalloc\n_tracemalloc.start(99)\nreturn 1",
            "ok|raised",
            exception="ModuleNotFoundError",
            value=1,
        ),
    ),
    group(
        "output",
        "print('one'); print('two', end='')\nreturn 'twins'",
        "twins",
        ends("output flood", "while True: print('x' * 10 ** 6)", "cpu|memory", script="too_large"),
        ends("flood of empty lines", "while True: print()", "cpu", script="too_large", limits=LIMITS),
        ends(
            "flood of errors",
            "import sys\nwhile True: sys.stderr.write('x' * 10 ** 5)",
            "cpu",
            script="raised|cpu|exited",
            exception="OSError",
        ),
        ends(
            "flood of warnings",
            "import warnings\nwarnings.simplefilter('always')\nwhile True: warnings.warn('x' * 10 ** 4)",
            "cpu",
            script="raised|cpu|exited|too_large",
            exception="OSError",
        ),
        ends(
            "flood of logs",
            "import logging\nlogging.basicConfig()\nwhile True: logging.error('x' * 10 ** 4)",
            "cpu",
            script="raised|cpu|exited|too_large",
            exception="OSError",
        ),
        ends(
            "flood in a finalizer",
            "class X:\n  def __del__(self):\n    while True: print('x' * 10 ** 5)\nX()",
            "cpu",
            script="too_large|cpu",
        ),
        ends("a huge repr", "print(repr(['x' * 1000] * 10 ** 6))", "memory|cpu", script="memory|cpu|too_large"),
        returns(
            "characters that are none",
            "print('\\ud800\\x00\\x1b[2J')\nreturn 1",
            1,
            script="raised|ok",
            exception="UnicodeEncodeError",
        ),
        returns("a bidirectional override", "print('\\u202e\\u2066')\nreturn 1", 1, script="ok"),
        returns("more than is kept", "print('x' * 10 ** 4)\nreturn 1", 1, script="ok"),
        returns(
            "bytes that are no text",
            "import sys\nsys.stdout.buffer.write(b'\\xff\\xfe\\x00')\nreturn 1",
            1,
            script="ok",
        ),
        denied(
            "close the output", "import sys\nsys.stdout.close()\nprint('x')", "ValueError", script="raised|exited|ok"
        ),
        denied(
            "detach the output", "import sys\nsys.stdout.detach()\nprint('x')", "ValueError", script="raised|exited|ok"
        ),
        returns("output of C", "_library.puts(b'x')\nreturn 1", 1, script="ok"),
    ),
)
