"""Peers that protect nothing: programs run in one interpreter, or each in a fork of it. Standard library only."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from code_envs.benchmarks.peers.shape import Pass, Peer, Task

__all__ = ["forked", "forked_with_all", "in_process"]

_SERVER = Path(__file__).with_name("bare_server.py")


@contextmanager
def _servers(kind: str, tasks: Sequence[Task], workers: int) -> Iterator[Peer]:
    """Start one server for each worker; each runs its share of the programs."""
    with ExitStack() as stack:
        servers = [stack.enter_context(_start(kind)) for _ in range(workers)]
        for server in servers:
            _tell(server, [(task.program, task.call_texts, task.expected_texts) for task in tasks])
            _hear(server)
        yield Peer(partial(_run, servers), "none")
        for server in servers:
            server.communicate()


def _start(kind: str) -> subprocess.Popen[str]:
    core, benchmarks = (sys.modules[name].__path__[0] for name in ("code_envs", "code_envs.benchmarks"))
    command = [sys.executable, "-s", "-P", "-S", "-B", str(_SERVER), core, benchmarks, kind]
    environment = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def _run(servers: Sequence[subprocess.Popen[str]], chosen: Sequence[int]) -> Pass:
    shares = [list(chosen[place :: len(servers)]) for place in range(len(servers))]
    for server, share in zip(servers, shares, strict=True):
        _tell(server, share)
    passed, latencies = [False] * len(chosen), [0.0] * len(chosen)
    for place, server in enumerate(servers):
        passed[place :: len(servers)], latencies[place :: len(servers)] = _hear(server)
    return Pass(passed, latencies)


def _tell(server: subprocess.Popen[str], message: object) -> None:
    assert server.stdin is not None
    server.stdin.write(json.dumps(message) + "\n")
    server.stdin.flush()


def _hear(server: subprocess.Popen[str]) -> tuple[list[bool], list[float]]:
    assert server.stdout is not None
    passed, latencies = json.loads(server.stdout.readline())
    return passed, latencies


@contextmanager
def in_process(tasks: Sequence[Task], workers: int) -> Iterator[Peer]:
    """``exec`` in the process that asks."""
    with _servers("exec", tasks, workers) as peer:
        yield peer


@contextmanager
def forked(tasks: Sequence[Task], workers: int) -> Iterator[Peer]:
    """A fork of the size of the lean zygote for each program, results through a pipe."""
    with _servers("fork", tasks, workers) as peer:
        yield peer


@contextmanager
def forked_with_all(tasks: Sequence[Task], workers: int) -> Iterator[Peer]:
    """The same with every module loaded that a program may import."""
    with _servers("fork-all", tasks, workers) as peer:
        yield peer
