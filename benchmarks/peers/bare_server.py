"""Runs programs without any protection: started by path in a clean interpreter by ``bare.py``.

    bare_server.py FOLDER_OF_CODE_ENVS FOLDER_OF_BENCHMARKS exec|fork|fork-all

It has the modules of the sandbox's lean zygote loaded (with fork-all, those of the full one) and so its
resident size, and does for a program what the sandbox does, with the same codec: decode the arguments,
compile, call, look for changed arguments, encode the results. It holds the programs already, and knows
no limits.
"""

from __future__ import annotations

import ast
import gc
import json
import os
import struct
import sys
import time
from types import ModuleType

__all__ = ["main"]

_RECORD = struct.Struct("<BI")  # whether the arguments changed, the length of the result


def _stub_packages(core: str, benchmarks: str) -> None:
    """Make the few files that are needed importable without any ``__init__``."""
    places = {"code_envs": core, "code_envs.executor": f"{core}/executor", "code_envs.benchmarks": benchmarks}
    for name, place in places.items():
        package = ModuleType(name)
        package.__path__ = [place]
        sys.modules[name] = package


def _ignore(**hooks: object) -> None:
    """Stand in for ``os.register_at_fork``: the hooks of ``random`` and ``threading`` would double a fork's cost."""


if __name__ == "__main__":
    os.register_at_fork = _ignore
    _stub_packages(*sys.argv[1:3])

from code_envs.codec import decode, encode  # noqa: E402
from code_envs.executor import child, preload  # noqa: E402


class _Task:
    def __init__(self, program: str, calls: list[str], expected: list[str]) -> None:
        self.program = program
        self.calls = [encode(ast.literal_eval(text), ordered=True) for text in calls]
        self.expected = [encode(ast.literal_eval(text)) for text in expected]


def _run(task: _Task) -> list[tuple[bool, bytes]]:
    module = ModuleType("program")
    exec(compile(task.program, "<program>", "exec", dont_inherit=True), module.__dict__)
    entry = module.__dict__["f"]
    done = []
    for call in task.calls:
        arguments: tuple[object, ...] = decode(call)  # type: ignore[assignment]
        result = encode(entry(*arguments))
        done.append((encode(arguments, ordered=True) != call, result))
    return done


def _run_in_fork(task: _Task) -> list[tuple[bool, bytes]]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            gc.enable()
            data = b"".join(_RECORD.pack(changed, len(value)) + value for changed, value in _run(task))
            while data:
                data = data[os.write(writer, data) :]
        finally:
            os._exit(0)
    os.close(writer)
    parts = []
    while part := os.read(reader, 1 << 16):
        parts.append(part)
    os.close(reader)
    os.waitpid(pid, 0)
    return _read(b"".join(parts))


def _read(data: bytes) -> list[tuple[bool, bytes]]:
    done, at = [], 0
    while at < len(data):
        changed, size = _RECORD.unpack_from(data, at)
        at += _RECORD.size + size
        done.append((changed == 1, data[at - size : at]))
    return done


def main() -> None:
    """Read the workload, then one line of indices for each pass."""
    kind = sys.argv[3]
    preload.preload(lean=kind != "fork-all")
    child.warm_up()
    tasks = [_Task(*item) for item in json.loads(sys.stdin.readline())]
    run = _run if kind == "exec" else _run_in_fork
    if run is _run_in_fork:
        gc.collect()
        gc.freeze()
        gc.disable()
    print("[[], []]", flush=True)
    for line in sys.stdin:
        passed, latencies = [], []
        for index in json.loads(line):
            start = time.perf_counter()
            passed.append([value for _, value in run(tasks[index])] == tasks[index].expected)
            latencies.append(time.perf_counter() - start)
        print(json.dumps([passed, latencies]), flush=True)


if __name__ == "__main__":
    main()
