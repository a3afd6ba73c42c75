"""Programs that want a result which they did not compute: what they claim is a wrong value, or nothing."""

from attacks.tools import FILLING, FRAMES, ROOMY, denied, ends, group, returns

# The head of a result map (finished, shared, records, captured), and where the records start.
_HEAD = "import struct\nhead = struct.Struct('<BBII').pack\nstart = 10 + session.recorder.stdout_bytes\n"
GROUPS = (
    group(
        "values",
        "import dataclasses\n@dataclasses.dataclass\nclass Point:\n    x: int\n"
        "    def __eq__(self, other): return self.x == other.x\n"
        "return [Point(1) == Point(1), Point(2).x]",
        [True, 2],
        ends(
            "always-equal object", "class Equal:\n  __eq__ = lambda *a: True\nreturn Equal()", "too_large", script="ok"
        ),
        ends(
            "always-equal integer",
            "class Equal(int):\n  __eq__ = lambda *a: True\nreturn Equal(3)",
            "too_large",
            script="ok",
        ),
        ends(
            "always-equal text",
            "class Equal(str):\n  __eq__ = lambda *a: True\n  __hash__ = str.__hash__\nreturn Equal('x')",
            "too_large",
            script="ok",
        ),
        ends(
            "always-equal member of a list",
            "class Equal(float):\n  __eq__ = lambda *a: True\nreturn [1, [Equal(3)]]",
            "too_large",
            script="ok",
        ),
        ends(
            "an integer that changes class",
            "class Late(int): __slots__ = ()\nclass Int(int): __slots__ = ()\nInt.__name__ = 'int'\n"
            "value = Late(3)\nvalue.__class__ = Int\nreturn value",
            "too_large",
            script="ok",
        ),
        ends(
            "a class that calls itself int",
            "class Fake:\n  __class__ = int\n  def __index__(self): return 3\nreturn Fake()",
            "too_large",
            script="ok",
        ),
        ends(
            "a mock of everything",
            "class Any:\n  __getattr__ = __call__ = __getitem__ = __eq__ = __add__ = lambda self, *a: self\n"
            "return Any()",
            "too_large",
            script="ok",
        ),
        ends(
            "a hostile metaclass",
            "class Meta(type):\n  __name__ = property(lambda c: 1 / 0)\n  __eq__ = lambda *a: True\n"
            "  __hash__ = type.__hash__\nreturn Meta('E', (), {})()",
            "raised|too_large",
            exception="ZeroDivisionError",
            script="ok",
        ),
        ends(
            "an object whose repr loops",
            "class Slow:\n  def __repr__(self):\n    while True: pass\nreturn Slow()",
            "too_large",
            script="cpu",
        ),
        ends("a value too deep", "x = []\nfor _ in range(10 ** 4): x = [x]\nreturn x", "too_large", script="recursion"),
        ends("a value that holds itself", "x = []; x.append(x)\nreturn x", "too_large", script="ok"),
        ends("a value too long", "return 'x' * 200_000", "too_large"),
        ends("an integer with many digits", "return 1 << 40_000", "too_large", script="raised", exception="ValueError"),
        ends("many items", "return [0] * 10 ** 6", "too_large|memory", limits=FILLING),
        returns("keys that all collide", "return {(2 ** 61 - 1) * k for k in range(1, 900)} == 1", False, limits=ROOMY),
        returns("not a number", "return [float('nan') == float('nan'), float('inf')]", [False, float("inf")]),
        returns("True for 1", "return [True, 1][0]", True),
    ),
    group(
        "exits",
        "try:\n    raise SystemExit(3)\nexcept SystemExit as error:\n    return error.code",
        3,
        ends("exit before returning", "raise SystemExit(0)", "exited", script="ok"),
        ends("exit with a text", "raise SystemExit('passed')", "exited"),
        ends("exit with status 1", "raise SystemExit(1)", "exited"),
        ends("sys.exit", "import sys\nsys.exit()", "exited", script="ok"),
        ends("quit", "quit()", "exited", script="ok"),
        ends("exit without handlers", "os._exit(0)", "exited", script="ok"),
        ends("exit by another module", "import posix\nposix._exit(0)", "exited", script="ok"),
        ends("exit in a finalizer", "class Exit:\n  def __del__(self): os._exit(0)\nExit()", "exited", script="ok"),
        ends("exit in a subclass of an exit", "class Quit(SystemExit): pass\nraise Quit(0)", "exited", script="ok"),
        ends("interrupt", "raise KeyboardInterrupt", "raised", exception="KeyboardInterrupt"),
        ends("end of a generator", "raise GeneratorExit", "raised", exception="GeneratorExit"),
        ends(
            "a group of exits",
            "raise BaseExceptionGroup('x', [SystemExit(0)])",
            "raised",
            exception="BaseExceptionGroup",
        ),
        returns("exit handlers of threads", "import threading\nthreading._register_atexit(int)\nreturn 1", 1),
        returns("exit handlers", "import atexit\natexit.register(int)\nreturn 1", 1),
        returns(
            "marker of a verdict",
            "print('PASSED'); print('{\"passed\": true, \"reward\": 1.0}')\nreturn 0",
            0,
            script="ok",
        ),
    ),
    group(
        "exceptions",
        "class Wrong(ValueError): pass\ntry: raise Wrong('no')\n"
        "except ValueError as error: return [type(error).__name__, str(error)]",
        ["Wrong", "no"],
        ends(
            "a type whose name raises",
            "class Meta(type):\n  __name__ = property(lambda c: 1 / 0)\nraise Meta('E', (Exception,), {})",
            "raised",
            exception="Exception|E",
        ),
        ends(
            "a name that is an integer",
            "class Meta(type):\n  __name__ = 7\nraise Meta('E', (Exception,), {})",
            "raised",
            exception="7|E",
        ),
        ends("a message that loops", "class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E", "cpu"),
        ends(
            "a message that exits",
            "class E(Exception):\n  def __str__(self): raise SystemExit\nraise E",
            "raised",
            exception="Exception|E",
        ),
        ends(
            "a message that leaves",
            "class E(Exception):\n  def __str__(self): os._exit(0)\nraise E",
            "exited",
            script="ok",
        ),
        ends("a message that is huge", "raise ValueError('x' * 10 ** 6)", "raised", exception="ValueError"),
        ends(
            "a message of control characters",
            "raise ValueError('\\x1b[2J\\x1b[31mPASSED')",
            "raised",
            exception="ValueError",
            message=" [2J [31mPASSED",
        ),
        ends(
            "a message that turns the direction of writing",
            "raise ValueError('\\u202edessap\\u2066 \\u200f')",
            "raised",
            exception="ValueError",
            message=" dessap   ",
        ),
        ends("a name that is huge", "raise type('E' * 10 ** 4, (Exception,), {})", "raised", exception="E" * 80),
        ends("a name of another status", "raise type('ok', (Exception,), {})('passed')", "raised", exception="ok"),
        ends(
            "an exception that pickles code",
            "class E(Exception):\n  def __reduce__(self): return os.system, ('true',)\nraise E",
            "raised",
            exception="E",
        ),
        ends(
            "arguments that raise",
            "class E(Exception):\n  args = property(lambda s: 1 / 0)\nraise E('x')",
            "raised",
            exception="Exception|E",
        ),
        ends(
            "a traceback that loops",
            "try: 1 / 0\nexcept Exception as e:\n  e.__context__ = e\n  raise",
            "raised",
            exception="ZeroDivisionError",
        ),
        ends(
            "a chain without end",
            "error = None\nfor _ in range(2000):\n  new = ValueError(); new.__cause__ = error; error = new\n"
            "raise error",
            "raised|recursion|cpu",
            exception="ValueError|RecursionError",
            limits=ROOMY,
        ),
        ends("memory error of one's own", "raise MemoryError", "memory"),
        ends("recursion error of one's own", "raise RecursionError", "recursion"),
    ),
    group(
        "the harness",
        "import sys\ndef name(): return sys._getframe(1).f_code.co_name\nreturn name()",
        "f",
        returns(
            "search for what is expected",
            "import gc\nword = 'ex' + 'pected'\nframe, names = sys._getframe(), set()\n"
            "while frame: names |= set(frame.f_locals) | set(frame.f_globals); frame = frame.f_back\n"
            "return sorted(name for name in names if word in name and name != 'word')",
            [],
            limits=ROOMY,
        ),
        returns(
            "search the heap for an answer",
            "import gc\nreturn [type(x).__name__ for x in gc.get_objects() if type(x).__name__ in "
            "('Problem', 'Case', 'Grade', 'Execution')]",
            [],
            limits=ROOMY,
        ),
        returns(
            "what is imported of the client",
            "import sys\nreturn [name for name in sys.modules if 'code_envs' in name or 'msgspec' in name]",
            [],
        ),
        ends(
            "garbage encoding",
            FRAMES + "harness['encode'] = lambda *a, **k: b'garbage'\nreturn 1",
            "crashed",
            script="ok",
        ),
        ends(
            "huge encoding",
            FRAMES + "harness['encode'] = lambda *a, **k: b's8388600:' + b'x' * 8388600\nreturn 1",
            "crashed|cpu|exited|memory",
            script="ok",
        ),
        ends(
            "a number that is no text",
            FRAMES + "harness['encode'] = lambda *a, **k: b'i' + b'f' * 5000 + b';'\nreturn 1",
            "crashed",
            script="ok",
        ),
        ends(
            "nested without end",
            FRAMES + "harness['encode'] = lambda *a, **k: b'[' * 50000\nreturn 1",
            "crashed",
            script="ok",
        ),
        ends(
            "forged encoding is just a wrong value",
            FRAMES + "harness['encode'] = lambda *a, **k: b'i2a;'\nreturn 1",
            "ok",
            value=42,
            script="ok",
        ),
        ends(
            "result map full of ones",
            FRAMES + "result_map[:] = b'\\xff' * len(result_map)\nos._exit(0)",
            "crashed",
            script="ok",
        ),
        ends(
            "more than it holds",
            FRAMES + _HEAD + "result_map[:10] = head(1, 0, 1, 0)\n"
            "result_map[start:start + 10] = b'\\0' * 6 + b'\\xff' * 4\nos._exit(0)",
            "crashed",
            script="ok",
        ),
        ends(
            "names longer than the map",
            FRAMES + _HEAD + "result_map[:10] = head(1, 0, 1, 0)\n"
            "result_map[start:start + 10] = struct.pack('<BBHHI', 1, 0, 65535, 65535, 0)\nos._exit(0)",
            "raised|crashed",
            exception="\0" * 80 + "|" + " " * 80,
            script="ok",
        ),
        ends(
            "an unknown claim",
            FRAMES + _HEAD + "result_map[:10] = head(1, 0, 1, 0)\nresult_map[start] = 77\nos._exit(0)",
            "crashed",
            script="ok",
        ),
        ends("no records", FRAMES + _HEAD + "result_map[:10] = head(1, 0, 0, 0)\nos._exit(0)", "crashed", script="ok"),
        ends(
            "a million records",
            FRAMES + _HEAD + "result_map[:10] = head(1, 0, 10 ** 6, 10 ** 9)\nos._exit(0)",
            "crashed",
            script="ok",
        ),
        ends(
            "a claim of every call",
            FRAMES + _HEAD + "value = b'T'\nresult_map[:10] = head(1, 1, 1, 0)\n"
            "result_map[start:start + 11] = struct.pack('<BBHHI', 0, 0, 0, 0, 1) + value\nos._exit(0)",
            "ok",
            value=True,
            script="ok",
        ),
        ends(
            "a claim of the kernel's word",
            FRAMES + _HEAD + "result_map[:10] = head(1, 1, 1, 0)\n"
            "result_map[start:start + 10] = struct.pack('<BBHHI', 6, 0, 0, 0, 0)\nos._exit(0)",
            "crashed",
            script="ok",
        ),
        denied("change the seed's copy", FRAMES + "request_map[16:24] = bytes(8)", "TypeError"),
        ends(
            "give the recorder another map",
            FRAMES + "session.recorder.memory = bytearray(1 << 20)\nreturn 1",
            "exited|crashed",
            script="ok",
        ),
        ends("negative position", FRAMES + "session.recorder.at = -100\nreturn 1", "exited|crashed", script="ok"),
        ends(
            "a recorder without bounds",
            FRAMES + "session.recorder.left = 1 << 40\nreturn 'x' * 300_000",
            "crashed",
            script="too_large",
        ),
        ends(
            "output without bounds",
            FRAMES + "session.recorder.stdout_bytes = 1 << 20\nprint('x' * 500_000)\nreturn 1",
            "ok|crashed|exited",
            value=1,
            script="too_large",
        ),
    ),
    group(
        "built-in names",
        "import builtins\nreal, builtins.len = builtins.len, lambda x: 7\ntry: return [len([]), real([])]\n"
        "finally: builtins.len = real",
        [7, 0],
        ends(
            "break the built-in names",
            "import builtins\n"
            "for name in ('len', 'bytes', 'min', 'type', 'isinstance'): setattr(builtins, name, None)\nreturn 1",
            "exited",
            script="ok|raised",
            exception="TypeError",
        ),
        ends(
            "clear the built-in names",
            "import builtins\nbuiltins.__dict__.clear()\nreturn 1",
            "exited|raised|crashed",
            exception="NameError|ImportError|KeyError",
            script="ok|exited|raised|crashed",
        ),
        ends(
            "empty every module",
            "import sys\nfor module in list(sys.modules.values()):\n"
            "  if module is not None and module.__name__ not in ('program', '__main__'): "
            "module.__dict__.clear()\nreturn 1",
            "ok|exited|raised|crashed",
            exception="NameError|KeyError|TypeError",
            value=1,
            script="ok|exited|raised|crashed",
        ),
        ends(
            "another struct",
            FRAMES + "import struct\nclass S:\n  size = 10\n  pack = pack_into = lambda *a: b'\\1'\n"
            "harness['RECORD'] = harness['RESULT'] = S()\nreturn 1",
            "exited|crashed",
            script="ok",
        ),
        ends(
            "another type()",
            "import builtins\nbuiltins.type = lambda x: int\nreturn 'abc'",
            "exited|raised|too_large|crashed",
            exception="TypeError|AttributeError",
            script="ok|raised",
        ),
        ends(
            "codecs that lie",
            "import codecs\ncodecs.register(lambda name: None)\ncodecs.lookup = None\nreturn 'abc'",
            "ok",
            value="abc",
        ),
        returns(
            "an error handler of codecs",
            "import codecs\ncodecs.register_error('x', lambda e: ('passed', e.end))\n"
            "return '\\ud800'.encode('ascii', 'x')",
            b"passed",
        ),
        ends(
            "sys.modules emptied",
            "import sys\nsys.modules.clear()\nreturn 1",
            "ok|exited|raised|crashed",
            exception="KeyError|RuntimeError",
            value=1,
        ),
        ends(
            "an import hook",
            "import sys\nclass Hook:\n  def find_spec(self, *a): os._exit(0)\n"
            "sys.meta_path.insert(0, Hook())\nimport missing",
            "exited",
            script="ok",
        ),
        ends(
            "another __import__",
            "import builtins\nbuiltins.__import__ = lambda *a: os._exit(0)\nimport json",
            "exited",
            script="ok",
        ),
        ends("no more output", "import sys\nsys.stdout = sys.stderr = None\nreturn 1", "ok", value=1),
        ends(
            "output that raises",
            "import sys\nclass Out:\n  def write(self, text): raise SystemExit(0)\n  flush = write\n"
            "sys.stdout = Out()\nprint('x')",
            "exited",
            script="ok|exited|raised",
        ),
    ),
)
