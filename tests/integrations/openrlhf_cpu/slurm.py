"""Submits a written recipe to a real SLURM of one node, on a CPU; cancels it, and submits it again.

    apt-get install slurm-wlm munge && make openrlhf-cpu-slurm      # as root

The node is this machine, with 16 cores and two GPUs that are made up; ``slurm.sh`` is the recipe's own, and only gets
the flags by which :mod:`launch` brings a training to the size of a toy. The first job is cancelled after its first
checkpoint; the second must go on from there to the end.
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cluster import end, free_ports, trainers
from launch import ON_CPU, check, first_checkpoint, prepare, tell, with_commands, write

CONFIGURATION = """
ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
SlurmdParameters=config_overrides
KillWait=10
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=4000 Gres=gpu:2
PartitionName=all Nodes=ALL Default=YES State=UP
"""


@contextmanager
def slurm(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Start a SLURM of this node alone, and end it; yields the environment by which its commands find it."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)  # munge wants to be reachable
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    for name in ("gpu0", "gpu1"):
        (folder / name).touch()
    (folder / "slurm.conf").write_text(CONFIGURATION.format(host=host, folder=folder, ports=free_ports(2)))
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File={folder}/gpu[0-1]\n")
    subprocess.run(["mungekey", "--create", f"--keyfile={folder}/munge.key"], check=True)
    munge = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid", "seed-file": "munge.seed"}
    environment = {**environment, "SLURM_CONF": str(folder / "slurm.conf"), "RAY_TMPDIR": str(folder)}
    with ExitStack() as running:
        running.callback(shutil.rmtree, folder, ignore_errors=True)
        for command in (
            ["munged", "--foreground", *(f"--{option}={folder / name}" for option, name in munge.items())],
            ["slurmctld", "-D"],
            ["slurmd", "-D", "-N", host],
        ):
            log = running.enter_context((folder / f"{command[0]}.log").open("w"))
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
            running.callback(end, process)
            time.sleep(3)
        yield environment


def ask(environment: dict[str, str], *command: str, cwd: Path | None = None) -> str:
    """What a command of SLURM's says."""
    return subprocess.run(command, check=True, env=environment, cwd=cwd, capture_output=True, text=True).stdout


def submit(folder: Path, environment: dict[str, str]) -> str:
    """Submit the folder's script; the number of its job."""
    return ask(environment, "sbatch", "--parsable", "slurm.sh", *ON_CPU, cwd=folder).strip()


def state(job: str, environment: dict[str, str]) -> str:
    """What has become of a job."""
    found = re.search(r"JobState=(\w+)", ask(environment, "scontrol", "show", "job", job))
    return found[1] if found else "unknown"


def wait(job: str, environment: dict[str, str], limit: float) -> str:
    """Wait for the end of a job; what has become of it."""
    until = time.monotonic() + limit
    while (now := state(job, environment)) in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING"):
        if time.monotonic() > until:
            return f"{now} after {limit:g} seconds"
        time.sleep(1)
    return now


def main() -> int:
    """Prepare, submit, cancel, submit again, check; 0 only if everything held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="learnability")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=1200, help="seconds of one job")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/openrlhf-cpu-slurm"))
    options = parser.parse_args()
    work = prepare(options.output, options.seed)
    folder = write(work, options.variant, with_commands())
    with slurm(with_commands()) as environment:
        first = submit(folder, environment)
        saved = first_checkpoint(folder, lambda: state(first, environment) not in ("PENDING", "RUNNING"), options.limit)
        ask(environment, "scancel", first)
        cancelled = wait(first, environment, 120)
        until = time.monotonic() + 60  # without cgroups SLURM loses what Ray has begun, which ends when its cluster has
        while (left := trainers(folder)) and time.monotonic() < until:
            time.sleep(1)
        done = wait(submit(folder, environment), environment, options.limit)
    ends = {
        f"the first job is cancelled (not {cancelled})": cancelled == "CANCELLED",
        f"no process of it is left (not {left})": not left,
        f"the second job is completed (not {done})": done == "COMPLETED",
    }
    return tell(work, {options.variant: check(work, folder, saved, ends)})


if __name__ == "__main__":
    sys.exit(main())
