"""The process that runs one peer: started by path, told by lines, answers with JSON lines.

    host.py FOLDER_OF_CODE_ENVS FOLDER_OF_BENCHMARKS MODULE:FUNCTION WORKLOAD WORKERS

Once ready it says so; then each line on standard input is one pass over the workload.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from types import ModuleType

__all__ = ["main"]


def _stub_packages(core: str, benchmarks: str) -> None:
    """Make modules importable without any ``__init__``: the process stays as small as its peer needs it."""
    for name, place in (("code_envs", core), ("code_envs.benchmarks", benchmarks)):
        package = ModuleType(name)
        package.__path__ = [place]
        sys.modules[name] = package


def _say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


def main() -> None:
    """Open the peer, warm it up, then measure on demand."""
    core, benchmarks, place, workload, workers = sys.argv[1:]
    _stub_packages(core, benchmarks)
    shape = importlib.import_module("code_envs.benchmarks.peers.shape")
    usage = importlib.import_module("code_envs.benchmarks.peers.usage")
    module, _, function = place.partition(":")
    opener = getattr(importlib.import_module(f"code_envs.benchmarks.peers.{module}"), function)
    usage.adopt_orphans()
    tasks = shape.load_tasks(Path(workload))
    with opener(tasks, int(workers)) as peer:
        peer.run(range(min(len(tasks), 10)))
        _say(note=peer.note)
        for _ in sys.stdin:
            meter, start = usage.Meter(), time.perf_counter()
            done = peer.run(range(len(tasks)))
            seconds = time.perf_counter() - start
            _say(seconds=seconds, cpu=meter.read(), passed=done.passed, latencies=done.latencies)


if __name__ == "__main__":
    main()
