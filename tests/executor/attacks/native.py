"""Native code: foreign system call tables, jumps into mapped code, small C tricks, broken bytecode."""

from attacks.tools import ROOMY, denied, ends, group, killed, returns

X86 = {"machine": "x86_64"}
GROUPS = (
    group(
        "system call tables",
        "import struct\nreturn struct.unpack('<IH', struct.pack('<IH', 0x80, 5))",
        (128, 5),
        killed("x32: getpid", "_library.syscall(0x40000000 | 39)", **X86),
        killed("x32: open", "_library.syscall(0x40000000 | 2, b'/', 0)", **X86),
        killed("x32: execve", "_library.syscall(0x40000000 | 520, b'/bin/true', 0, 0)", **X86),
        killed("x32: ptrace", "_library.syscall(0x40000000 | 521, 0, 0, 0, 0)", **X86),
        killed("number -1", "_library.syscall(0xFFFFFFFF)", **X86),
        killed("most negative number", "_library.syscall(0x80000000)", **X86),
        denied("number above the table", "syscall.__globals__['_numbers']['x'] = 600\nsyscall('x')"),
        denied("the largest number", "_numbers['x'] = 0x3FFFFFFF\nsyscall('x', 0)"),
        denied("a number with high bits", "_numbers['x'] = 1 << 32 | _numbers['openat']\nsyscall('x', -100, b'/', 0)"),
        denied("a removed call", "_numbers['x'] = 177\nsyscall('x', 0)", **X86),
        killed("int 0x80: exit", "call_at(find_code(b'\\xcd\\x80'), 1.0)", limits=ROOMY, **X86),
        killed("int 0x80: fork", "call_at(find_code(b'\\xcd\\x80'), 1.0, 2.0)", limits=ROOMY, **X86),
        killed("int 0x80: open", "call_at(find_code(b'\\xcd\\x80'), 1.0, 2.0, 3.0, 4.0, 5.0)", limits=ROOMY, **X86),
        ends(
            "sysenter",
            "call_at(find_code(b'\\x0f\\x34'))",
            "forbidden|crashed|raised",
            exception="ValueError",
            message="no such code",
            limits=ROOMY,
            **X86,
        ),
        ends(
            "far call into 32 bits",
            "call_at(find_code(b'\\xff\\x18'))",
            "crashed|forbidden|cpu|raised",
            exception="ValueError",
            message="no such code",
            limits=ROOMY,
            **X86,
        ),
        ends(
            "the syscall instruction: open",
            "result = call_at(find_code(b'\\x0f\\x05\\xc3'), "
            "ct['addressof'](ct['create_string_buffer'](b'/etc/hostname')), 0, 1.0, 2.0)\n"
            "if result < 0: raise OSError(-result, 'open')",
            "raised",
            exception="PermissionError",
            message="[Errno 1]",
            limits=ROOMY,
            **X86,
        ),
        ends(
            "the syscall instruction: write",
            "result = call_at(find_code(b'\\x0f\\x05\\xc3'), 3, "
            "ct['addressof'](ct['create_string_buffer'](b'x')), 1, 1.0)\n"
            "if result < 0: raise OSError(-result, 'write')",
            "raised",
            exception="PermissionError",
            message="[Errno 1]",
            limits=ROOMY,
            **X86,
        ),
        ends(
            "the vsyscall page: processor",
            "result = call_at(0xFFFFFFFFFF600800, 0, 0, 0)\nif result < 0: raise OSError(-result, 'getcpu')",
            "raised|crashed",
            exception="PermissionError",
            message="[Errno 1]",
            **X86,
        ),
        ends("the vsyscall page: a call of one's own", "call_at(0xFFFFFFFFFF600001)", "crashed|forbidden", **X86),
        ends(
            "the vDSO written to",
            "native('getauxval', 33, result='c_ulong')\n"
            "ct['memset'](native('getauxval', 33, result='c_ulong'), 0xcc, 8)",
            "crashed",
            **X86,
        ),
        denied(
            "the vDSO executable and writable",
            "native('mprotect', ct['c_void_p'](native('getauxval', 33, result='c_ulong')), ct['c_size_t'](8192), 7)",
            **X86,
        ),
    ),
    group(
        "jumps",
        "import functools, operator\nreturn functools.reduce(operator.mul, range(1, 8))",
        5040,
        ends("jump to address 0", "call_at(0)", "crashed|raised", exception="ValueError"),
        ends("jump into data", "call_at(ct['addressof'](ct['create_string_buffer'](b'\\xc3' * 64)))", "crashed"),
        ends(
            "jump into a page of one's own",
            "page = map_page()\nct['memset'](page, 0xc3, 4096)\ncall_at(page)",
            "crashed",
        ),
        ends("jump into the kernel", "call_at(-4096)", "crashed"),
        ends(
            "library code that calls back into the kernel",
            "paths = (ct['c_char'] * 32)(*b'/etc/hostname\\0')\n"
            "native('qsort', paths, ct['c_size_t'](2), ct['c_size_t'](16), ct['c_void_p'](address('open')))\n"
            "return ct['get_errno']()",
            "ok|raised",
            exception="OSError",
            value=1,
        ),
        ends(
            "library code that calls system",
            "data = (ct['c_char'] * 32)(*b'true')\n"
            "_library.bsearch(data, data, ct['c_size_t'](1), ct['c_size_t'](16), "
            "ct['c_void_p'](address('system')))\nreturn 1",
            "ok",
            value=1,
        ),
        ends(
            "library code that executes",
            "data = (ct['c_char'] * 32)(*b'/bin/true')\n"
            "_library.bsearch(data, ct['byref'](ct['c_long'](0)), ct['c_size_t'](1), ct['c_size_t'](8), "
            "ct['c_void_p'](address('execve')))",
            "forbidden",
        ),
        ends(
            "a context of one's own",
            "context = ct['create_string_buffer'](2048)\nnative('getcontext', context)\nnative('setcontext', context)",
            "raised|crashed|cpu",
            exception="PermissionError|OSError",
        ),
        ends("a long jump into nothing", "_library.longjmp(ct['create_string_buffer'](512), 1)", "crashed"),
    ),
    group(
        "small C tricks",
        "import array\nitems = array.array('i', [3, 1])\nitems.extend([2])\nreturn sorted(items)",
        [1, 2, 3],
        ends(
            "write over the interpreter",
            "ct['memset'](id(int), 0x41, 400)\nreturn int('7')",
            "crashed|raised|any".replace("|any", ""),
            exception="TypeError|SystemError",
        ),
        ends("write over None", "ct['memset'](id(None), 0, 16)\nreturn None", "crashed|ok|exited", value=None),
        ends("write over a code object", "ct['memset'](id(f.__code__), 0xff, 100)\nreturn f()", "crashed"),
        ends(
            "write over the thread state",
            "import sys\nct['memset'](id(sys._getframe()), 0xff, 64)\nraise ValueError",
            "crashed",
        ),
        ends(
            "write over the stack",
            "ct['memset'](ct['addressof'](ct['c_long']()), 0xff, 1)\n"
            "here = native('__errno_location', result='c_void_p')\nct['memset'](here - 4096, 0xff, 8192)\n"
            "return len(os.environ)",
            "crashed",
        ),
        ends("free what is not allocated", "_library.free(ct['c_void_p'](id(None)))", "crashed"),
        ends(
            "free twice",
            "place = native('malloc', ct['c_size_t'](64), result='c_void_p')\n"
            "_library.free(ct['c_void_p'](place))\n_library.free(ct['c_void_p'](place))",
            "crashed",
        ),
        ends(
            "write past a buffer",
            "place = native('malloc', ct['c_size_t'](64), result='c_void_p')\nct['memset'](place, 0x41, 1 << 24)",
            "crashed",
        ),
        ends(
            "strings without end",
            "page = map_page()\nct['memset'](page, 0x41, 4096)\nreturn ct['string_at'](page, 1 << 30)",
            "crashed|memory",
        ),
        ends(
            "printf that writes",
            "_library.sprintf(ct['create_string_buffer'](64), b'%n%n%n%n', ct['c_void_p'](8))",
            "crashed",
        ),
        returns("an integer that changes", "ct['memset'](id(123456789) + 24, 1, 1)\nreturn 1", 1),
        returns(
            "a tuple that changes",
            "items = (1, 2)\nct['c_void_p'].from_address(id(items) + 24).value = id(5)\nreturn items[0]",
            5,
        ),
        ends(
            "reference counts at zero",
            "items = [object() for _ in range(9)]\n"
            "for item in items: ct['c_long'].from_address(id(item)).value = 1\ndel item, items\n"
            "import gc; gc.collect()\nreturn 1",
            "ok|crashed",
            value=1,
        ),
        ends("the library's exit", "_library._exit(0)", "exited", script="ok"),
        ends("exit of the thread", "syscall('exit', 0)", "exited", script="ok"),
        ends("exit handlers of the library", "_library.exit(0)", "exited|crashed", script="ok|crashed"),
        ends("the end of the interpreter", "_library.Py_Exit(0)", "exited|crashed", script="ok|crashed"),
        ends("a fatal error", "_library.Py_FatalError(b'x')", "crashed"),
        ends(
            "a second interpreter",
            "_library.Py_NewInterpreter()\nreturn 1",
            "crashed|raised|ok|exited",
            exception="SystemError",
            value=1,
        ),
    ),
    group(
        "bytecode",
        "def g(): return 1\ng.__code__ = g.__code__.replace(co_name='other')\nreturn [g(), g.__code__.co_name]",
        [1, "other"],
        ends(
            "garbage bytecode",
            "f.__code__ = f.__code__.replace(co_code=b'\\xff\\x09' * 64)\nreturn f()",
            "crashed|raised",
            exception="*",
        ),
        ends(
            "stack of size 0",
            "def g(a): return [a, [a, [a, [a, (a, a, a, a, a)]]]]\n"
            "g.__code__ = g.__code__.replace(co_stacksize=0)\nfor _ in range(999): g(1)\nreturn 1",
            "ok|crashed",
            value=1,
        ),
        ends(
            "constants out of range",
            "def g(): return 1 + len('abc')\ng.__code__ = g.__code__.replace(co_consts=())\ntype(g())\nreturn 1",
            "crashed|raised|ok",
            exception="*",
            value=1,
        ),
        ends(
            "names out of range",
            "def g(): return undefined.attribute\ng.__code__ = g.__code__.replace(co_names=())\nreturn g()",
            "crashed|raised",
            exception="*",
        ),
        ends(
            "locals out of range",
            "def g(a): return a\n"
            "g.__code__ = g.__code__.replace(co_code=bytes(b if i % 2 == 0 or b else 200 for i, b in "
            "enumerate(g.__code__.co_code)))\ntype(g(1))\nreturn 1",
            "crashed|raised|ok|cpu",
            exception="*",
            value=1,
        ),
        ends(
            "bytecode that ends nowhere",
            "def g(): pass\ng.__code__ = g.__code__.replace(co_code=g.__code__.co_code[:2])\ntype(g())\nreturn 1",
            "crashed|raised|ok|cpu",
            exception="*",
            value=1,
        ),
        ends(
            "a jump out of the code",
            "import dis\ndef g(): return 1\n"
            "g.__code__ = g.__code__.replace(co_code=g.__code__.co_code[:2] + "
            "bytes([dis.opmap['JUMP_FORWARD'], 255]) * 3)\ntype(g())\nreturn 1",
            "crashed|raised|cpu|ok",
            exception="*",
            value=1,
        ),
        ends(
            "marshalled garbage",
            "import marshal\nreturn marshal.loads(b'\\xe3' + b'\\xff' * 200)",
            "raised|crashed|memory",
            exception="ValueError|TypeError|EOFError",
        ),
        ends(
            "marshalled code",
            "import marshal\nexec(marshal.loads(marshal.dumps(compile('open(\"/etc/passwd\")', 'x', 'exec'))))",
            "raised",
            exception="PermissionError",
            message="[Errno 1]",
        ),
        ends(
            "pickled call",
            "import pickle\npickle.loads(b'cposix\\nsystem\\n(S\"true\"\\ntR.')\nreturn 1",
            "ok",
            value=1,
        ),
        ends(
            "pickled open",
            "import pickle\npickle.loads(b'cio\\nopen\\n(S\"/etc/passwd\"\\ntR.')",
            "raised",
            exception="PermissionError",
            message="[Errno 1]",
        ),
    ),
)
