"""Starts a Ray cluster with made-up GPUs, and runs a module in it, as ``ray job submit`` would: MODULE FLAGS.

The trainer asks Ray for GPUs as slots; that there are none is settled by ``hook/sitecustomize.py``. With
``CURRICULUM`` and ``STATE`` in the environment, the curriculum service is started first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import ray


def start_ray(tries: int = 5) -> None:
    """Ray gives up when its processes do not answer within 30 seconds: on a loaded machine, try again."""
    for left in reversed(range(tries)):
        try:
            ray.init(address="local", num_cpus=8, num_gpus=4, include_dashboard=False, object_store_memory=300 * 2**20)
            return
        except Exception:
            ray.shutdown()
            if not left:
                raise
            time.sleep(10)


if __name__ == "__main__":
    start_ray()
    client = None
    if os.environ.get("CURRICULUM"):
        from code_envs.curricula import load_online
        from code_envs.integrations.ray_service import serve

        client = serve(load_online(os.environ["CURRICULUM"]), os.environ["STATE"], num_cpus=0)
    address = ray.get_runtime_context().gcs_address
    subprocess.run([sys.executable, "-u", "-m", *sys.argv[1:]], check=True, env={**os.environ, "RAY_ADDRESS": address})
    if client is not None:
        Path(os.environ["STATE"], "stats.json").write_text(json.dumps(client.stats_sync()))
        client.stop_sync()
