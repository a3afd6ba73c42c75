"""Memory: too much of it, of the wrong kind, and the two maps that a child shares with the client."""

from attacks.tools import FRAMES, ROOMY, SHORT_WALL, denied, ends, group, killed, returns
from code_envs.executor import Limits

GROUPS = (
    group(
        "much memory",
        "data = bytearray(20 << 20)\ndata[-1] = 7\nreturn sum(data[-10:])",
        7,
        ends("a huge block", "bytearray(1 << 30)", "memory"),
        ends("a huge block of nothing", "bytes(1 << 40)", "memory"),
        ends("many small objects", "items = []\nwhile True: items.append('x' * 1000 + str(len(items)))", "memory"),
        ends("a list that doubles", "items = [0]\nwhile True: items += items", "memory"),
        ends("a string that doubles", "text = 'x'\nwhile True: text += text", "memory"),
        ends("a huge integer", "return len(str(1 << (1 << 33)))", "memory"),
        ends("a huge range made a list", "return list(range(10 ** 10))", "memory"),
        ends(
            "compressed bomb",
            "import zlib\nreturn len(zlib.decompress(zlib.compress(bytes(40 << 20)) , 15, 1 << 30))",
            "memory|cpu",
        ),
        ends("format width", "return '%2000000000d' % 1", "memory"),
        ends("pattern of repeats", "import itertools\nreturn len(list(itertools.repeat('x', 1 << 30)))", "memory"),
        ends(
            "swallow the shortage",
            "items = []\nwhile True:\n try:\n  while True: items.append(bytearray(1 << 20))\n except MemoryError: pass",
            "cpu",
        ),
        denied("map more than the limit", "map_page(1 << 40)", "OSError", "[Errno 12]"),
        denied("grow the heap", "native('sbrk', ct['c_long'](1 << 40))", "OSError", "[Errno 12]"),
        denied(
            "huge pages",
            "native('mmap', 0, ct['c_size_t'](1 << 21), 3, 0x40022, -1, ct['c_long'](0))",
            "OSError",
            "[Errno 12]",
        ),
        denied("lock memory", "native('mlock', ct['c_void_p'](map_page()), ct['c_size_t'](4096))"),
        denied("lock all memory", "native('mlockall', 3)"),
        denied("map locked", "native('mmap', 0, ct['c_size_t'](1 << 20), 3, 0x2022, -1, ct['c_long'](0))"),
        ends(
            "a stack without end",
            "import sys\nsys.setrecursionlimit(10 ** 9)\ndef g(x): return max([x], key=g)\ng(1)",
            "crashed|cpu|memory|recursion|raised",
            exception="SystemError",
        ),
        ends(
            "a request for a core dump",
            "native('memset', ct['c_void_p'](map_page(1 << 20) - (1 << 40)), 0, 1)",
            "crashed",
        ),
        ends(
            "many tiny maps",
            "while True: map_page()",
            "raised",
            exception="OSError",
            message="[Errno 12]",
            limits=ROOMY,
        ),
    ),
    group(
        "kinds of memory",
        "view = memoryview(bytearray(b'abc')).cast('B')\nview[0] = 65\nreturn bytes(view)",
        b"Abc",
        denied("map executable memory", "native('mmap', 0, ct['c_size_t'](4096), 7, 0x22, -1, ct['c_long'](0))"),
        denied("map code only", "native('mmap', 0, ct['c_size_t'](4096), 4, 0x22, -1, ct['c_long'](0))"),
        denied("make memory executable", "native('mprotect', ct['c_void_p'](map_page()), ct['c_size_t'](4096), 5)"),
        denied(
            "make the stack executable",
            "native('mprotect', ct['c_void_p'](ct['addressof'](ct['c_long']()) & -4096), "
            "ct['c_size_t'](4096), 0x1000007)",
        ),
        denied(
            "make code writable",
            "native('mprotect', ct['c_void_p'](address('getpid') & -4096), ct['c_size_t'](4096), 7)",
        ),
        denied("executable by a key", "syscall('pkey_mprotect', map_page(), 4096, 5, -1)"),
        denied("executable with high bits", "syscall('mprotect', map_page(), 4096, 1 << 32 | 7)"),
        denied("a key of memory", "native('pkey_alloc', 0, 0)"),
        ends(
            "a callback, which needs code",
            "return ct['CFUNCTYPE'](ct['c_long'])(lambda: 1)()",
            "memory|raised|ok|crashed",
            exception="PermissionError|MemoryError",
            value=1,
        ),
        denied("nonlinear map", "syscall('remap_file_pages', map_page(), 4096, 0, 0, 0)"),
        denied("seal memory", "syscall('mseal', map_page(), 4096, 0)"),
        killed("shadow stack", "syscall('map_shadow_stack', 0, 4096, 0)"),
        denied("memory policy", "native('syscall', 238, 0, 0, 0)", machine="x86_64"),
        denied("bind memory", "native('syscall', 237, 0, 0, 0, 0, 0, 0)", machine="x86_64"),
        denied(
            "which pages are there",
            "native('mincore', ct['c_void_p'](address('getpid') & -4096), ct['c_size_t'](4096), "
            "ct['create_string_buffer'](1))",
        ),
        denied("poison a page", "syscall('madvise', map_page(), 4096, 100)"),
        denied("merge pages with others", "syscall('madvise', map_page(), 4096, 12)"),
        denied("hide from core dumps", "syscall('madvise', map_page(), 4096, 16)"),
        denied("page out", "syscall('madvise', map_page(), 4096, 21)"),
        denied("address zero", "native('mmap', None, ct['c_size_t'](4096), 3, 0x32, -1, ct['c_long'](0))"),
        ends(
            "code that is gone",
            "native('munmap', ct['c_void_p'](address('getpid') & -4096), ct['c_size_t'](1 << 20))",
            "crashed",
        ),
        ends("code moved away", "syscall('mremap', address('syscall') & -4096, 4096, 4096, 3, map_page())", "crashed"),
    ),
    group(
        "the shared maps",
        "table = {}\nfor i in range(50): table.setdefault(i % 7, []).append(i)\nreturn table[3][:3]",
        [3, 10, 17],
        denied("write the request", FRAMES + "request_map[0] = 1", "TypeError"),
        ends("write the request in C", FRAMES + "ct['memset'](place_of(request_map), 0, 8)", "crashed"),
        denied(
            "make the request writable",
            FRAMES + "native('mprotect', ct['c_void_p'](place_of(request_map)), ct['c_size_t'](4096), 3)",
            message="[Errno 13]",
        ),
        denied(
            "map the request anew, writable",
            FRAMES + "syscall('mremap', place_of(request_map), 0, 4096, 1, 0)\n"
            "native('mprotect', ct['c_void_p'](place_of(request_map)), ct['c_size_t'](4096), 3)",
            message="[Errno 13]",
        ),
        ends(
            "resize the result map",
            FRAMES + "result_map.resize(4096)",
            "raised",
            exception="SystemError|ValueError|OSError|PermissionError|TypeError",
        ),
        ends(
            "grow the result map",
            FRAMES + "new = syscall('mremap', place_of(result_map), 16 << 20, 32 << 20, 1, 0)\n"
            "ct['memset'](new + (17 << 20), 1, 1)",
            "crashed",
        ),
        ends(
            "no result map",
            FRAMES + "native('munmap', ct['c_void_p'](place_of(result_map)), ct['c_size_t'](16 << 20))\nreturn 1",
            "crashed",
            script="ok",
        ),
        ends(
            "another map in its place",
            FRAMES + "native('mmap', ct['c_void_p'](place_of(result_map)), ct['c_size_t'](16 << 20), 3, 0x32, -1, "
            "ct['c_long'](0))\nreturn 1",
            "exited",
            script="ok",
        ),
        ends(
            "a result map that cannot be written",
            FRAMES + "native('mprotect', ct['c_void_p'](place_of(result_map)), ct['c_size_t'](16 << 20), 1)\nreturn 1",
            "crashed",
            script="ok",
        ),
        denied("punch a hole into the result", FRAMES + "syscall('madvise', place_of(result_map), 1 << 20, 9)"),
        denied("not for children", FRAMES + "syscall('madvise', place_of(result_map), 1 << 20, 10)"),
        denied("empty for children", FRAMES + "syscall('madvise', place_of(result_map), 1 << 20, 18)"),
        denied(
            "free the result lazily",
            FRAMES + "syscall('madvise', place_of(result_map), 1 << 20, 8)",
            "OSError",
            "[Errno 22]",
        ),
        returns("drop the result's pages", FRAMES + "return syscall('madvise', place_of(result_map), 16 << 20, 4)", 0),
        ends(
            "fill the result map",
            FRAMES + "result_map[:] = b'\\xff' * len(result_map)\nos._exit(0)",
            "crashed",
            script="ok",
            limits=ROOMY,
        ),
        ends(
            "fill it for ever",
            FRAMES + "data = b'\\1' * (1 << 20)\nwhile True:\n"
            "  for at in range(0, 16 << 20, 1 << 20): result_map[at:at + (1 << 20)] = data",
            "cpu|crashed",
        ),
        ends(
            "wait on shared memory",
            FRAMES + "syscall('futex', place_of(result_map) + 4096, 0, int.from_bytes(result_map[4096:4100], "
            "'little'), 0, 0, 0)",
            "wall",
            limits=SHORT_WALL,
        ),
        returns("wake the client", FRAMES + "return syscall('futex', place_of(result_map), 1, 1 << 30, 0, 0, 0)", 0),
        denied(
            "a lock for the zygote",
            FRAMES + "syscall('futex', place_of(result_map) + 8192, 7, 0, 0, 0, 0)",
            "OSError|PermissionError",
            "",
        ),
        returns(
            "a lock left behind in shared memory",
            FRAMES + "return syscall('futex', place_of(result_map) + 8192, 6, 0, 0, 0, 0)",
            0,
        ),
        returns(
            "a list of locks that ends in shared memory",
            FRAMES + "here, thread = place_of(result_map) + 4096, native('pthread_self', result='c_void_p')\n"
            "for at in range(thread + 512, thread + 1024, 8):\n"
            "  word = ct['c_long'].from_address(at)\n"
            "  if word.value == at: word.value = here\n"
            "result_map[4096:4104] = here.to_bytes(8, 'little')\n"
            "return 1",
            1,
        ),
        ends(
            "fill the result map and wait",
            FRAMES + "result_map[:] = b'\\1' * len(result_map)\n"
            "import _thread\nlock = _thread.allocate_lock()\nwhile True: lock.acquire()",
            "crashed",
            script="wall",
            limits=Limits(cpu_seconds=0.5, wall_seconds=2.0, memory_mib=48),  # a stalled machine must not be the first
        ),
        ends("no block of the thread", "ct['memset'](native('pthread_self', result='c_void_p'), 0, 2048)", "crashed"),
        ends("no state of the interpreter", "ct['memset'](address('_PyRuntime'), 0, 65536)", "crashed"),
        killed("userfaults on the map", "syscall('userfaultfd', 1)"),
    ),
)
