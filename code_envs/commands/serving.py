"""``curriculum serve``: an online curriculum as an actor of a Ray cluster, alone or for the time of a command."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from code_envs.commands.output import AsJson, output_option, stderr

if TYPE_CHECKING:
    from code_envs.integrations.ray_service import ServiceClient

__all__ = ["serve"]


def serve(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file: problems, policy, teacher, …")],
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", help="What to run meanwhile; the service stops when it has ended."),
    ] = None,
    *,
    output: Annotated[Path, output_option("The folder that its state is kept in.")],
    name: Annotated[str, typer.Option("--name", help="What agents find it by.")] = "code-envs-curriculum",
    namespace: Annotated[str, typer.Option("--namespace", help="Ray's namespace.")] = "code-envs",
    address: Annotated[
        str, typer.Option("--address", help="The Ray cluster; 'local' starts one of this process alone.")
    ] = "auto",
    anywhere: Annotated[
        bool, typer.Option("--anywhere", help="Let it run on any machine: all of them share the folder.")
    ] = False,
    num_cpus: Annotated[
        float, typer.Option("--num-cpus", min=0, help="Cores that it takes of the cluster; 0 where others take all.")
    ] = 1.0,
    every: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two lines about it.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Run an online curriculum as an actor of a Ray cluster, until interrupted; resumes what the folder holds.

    Where a service with the same configuration runs already, this goes on with that one. A command begins
    once the service answers, and its exit status becomes that of this one.
    """
    from code_envs.curricula import load_online
    from code_envs.integrations.ray_service import join_cluster
    from code_envs.integrations.ray_service import serve as start

    settings = load_online(config)
    join_cluster(address, namespace)
    client = start(settings, output, name=name, namespace=namespace, anywhere=anywhere, num_cpus=num_cpus)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # only now: Ray has handlers of its own
        signal.signal(number, lambda *_: stop.set())
    stderr().print(f"{name} runs; its state is in {output}. Interrupt to stop it.", markup=False, soft_wrap=True)
    try:
        beside = _start(command, stop) if command else None
        while not stop.wait(every):
            _tell(client, as_json)
        status = _end(beside) if beside is not None else 0
        _tell(client, as_json)  # what it came to
    finally:
        client.stop_sync()
    stderr().print(f"{name} is stopped; the same command goes on with it.", markup=False, soft_wrap=True)
    if status:
        raise typer.Exit(status)


def _start(command: list[str], ended: threading.Event) -> subprocess.Popen[bytes]:
    """Start a command; the event is set when it ends."""
    from code_envs.errors import ConfigError

    try:
        process = subprocess.Popen(command)
    except OSError as error:
        raise ConfigError(f"{command[0]!r} cannot be run: {error.strerror}") from error

    def wait() -> None:
        process.wait()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return process


def _end(process: subprocess.Popen[bytes]) -> int:
    """End a command that has not ended by itself; its exit status, as a shell gives it."""
    if process.poll() is None:
        process.terminate()
    status = process.wait()
    return status if status >= 0 else 128 - status


def _tell(client: ServiceClient, as_json: bool) -> None:
    """One line about a service; that it does not answer is no reason to leave."""
    from code_envs.errors import ServiceUnavailable

    try:
        stats = client.stats_sync()
    except ServiceUnavailable as error:
        stderr().print(str(error), markup=False, soft_wrap=True)
        return
    if as_json:
        print(json.dumps(stats), flush=True)
        return
    rates = ", ".join(f"{mode} {rate:.2f}" for mode, rate in stats["rates"].items())
    line = (
        f"step {stats['step']}: {stats['reports']} reports ({stats['late']} late), rates: {rates or 'none yet'}; "
        f"{stats['problems']} problems, {stats['retired']} retired; siblings: {stats['harder']} harder, "
        f"{stats['easier']} easier, {stats['failed']} failed, {stats['pending']} on their way"
    )
    print(line, flush=True)
    for trouble in ("last_error", "broken"):
        if stats[trouble]:
            stderr().print(f"{trouble}: {stats[trouble]}", markup=False, soft_wrap=True)
