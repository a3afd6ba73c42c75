"""A Ray cluster as ``ray start`` makes one, with made-up GPUs, on ports of its own: others may run beside it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
from ray.job_submission import JobSubmissionClient
from ray.util import get_node_ip_address

PORTS = ("port", "dashboard-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port")
PORTS += ("ray-client-server-port", "runtime-env-agent-port", "metrics-export-port")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; all are held until all are found."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def started(environment: dict[str, str], log: Path, patience: float = 180) -> Iterator[dict[str, str]]:
    """Start a cluster with the GPUs of one training, and end every process of it.

    Args:
        environment: What its processes have.
        log: Where what ``ray start`` says goes.
        patience: Seconds until it must take jobs.

    Yields:
        The environment with the variables by which Ray's commands and ``launch.sh`` find it.
    """
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    folder = tempfile.mkdtemp(prefix="ray-")  # short: sockets lie in it
    command = ["ray", "start", "--head", "--block", "--num-gpus", "2", "--num-cpus", "8", "--temp-dir", folder]
    command += ["--include-dashboard", "true", "--object-store-memory", str(300 * 2**20), "--disable-usage-stats"]
    command += ["--min-worker-port", "0", "--max-worker-port", "0"]
    command += [word for name, port in ports.items() for word in (f"--{name}", str(port))]
    with log.open("w") as told:
        head = subprocess.Popen(command, env=environment, stdout=told, stderr=told, start_new_session=True)
    dashboard = f"http://127.0.0.1:{ports['dashboard-port']}"
    try:
        _wait(head, dashboard, patience)
        address = f"{get_node_ip_address()}:{ports['port']}"
        yield {**environment, "RAY_ADDRESS": address, "RAY_DASHBOARD": dashboard}
    finally:
        end(head)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(head: subprocess.Popen[bytes], dashboard: str, patience: float) -> None:
    """Wait until the cluster takes jobs."""
    until = time.monotonic() + patience
    while True:
        try:
            JobSubmissionClient(dashboard).list_jobs()
            return
        except Exception:
            if head.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(2)


def end(head: subprocess.Popen[bytes]) -> None:
    """End a process and all that descend from it, those too that have lost their parents by then."""
    if head.poll() is not None:
        return
    family = psutil.Process(head.pid).children(recursive=True)
    head.terminate()
    try:
        head.wait(60)
    except subprocess.TimeoutExpired:
        head.kill()
    for left in family:
        if left.is_running():
            left.kill()


def jobs(environment: dict[str, str]) -> list[str]:
    """How each job of the cluster ended, in the order of their starts."""
    found = JobSubmissionClient(environment["RAY_DASHBOARD"]).list_jobs()
    submitted = [job for job in found if job.submission_id]
    return [str(job.status.value) for job in sorted(submitted, key=lambda job: job.start_time or 0)]


def trainers(folder: Path) -> list[int]:
    """The processes that train into a folder."""
    found = [process.info for process in psutil.process_iter(["pid", "cmdline"])]
    running = [each for each in found if "openrlhf.cli.train_ppo_ray" in (each["cmdline"] or ())]
    return [each["pid"] for each in running if f"{folder}/checkpoints" in each["cmdline"]]
