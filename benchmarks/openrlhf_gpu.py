"""Trains a small model by its recipe on GPUs, asynchronously and synchronously, and says what a step takes.

    python -m code_envs.benchmarks.openrlhf_gpu -o runs/openrlhf-gpu     # or: make openrlhf-gpu

Needs OpenRLHF 0.11.2 with vLLM, and GPUs for the recipe; starts a Ray cluster of this machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from code_envs.errors import CodeEnvsError, MissingExtra
from code_envs.integrations.recipes import MODELS, load_recipe, write_recipe

__all__ = ["main", "measure", "write_run"]

_SKIPPED = 3  # first steps: compilation, and an asynchronous queue that is still empty


def write_run(recipe_name: str, folder: Path, *, asynchronous: bool, steps: int) -> None:
    """Write the scripts of a recipe, and mixed problems of level 1 for as many steps.

    Args:
        recipe_name: The model's recipe.
        folder: Where to.
        asynchronous: Whether rollouts go on while training does.
        steps: Training steps.
    """
    settings = {"steps": str(steps), "async_enable": str(asynchronous).lower(), "save_every": str(steps)}
    recipe = load_recipe(recipe_name, "four-5k", settings)
    write_recipe(recipe, folder)
    count = str(steps * recipe.training.batch_size)
    export = ["export", "mixed", "--for", "openrlhf", "--count", count, "--level", "1", "-o", str(folder / "data")]
    subprocess.run([sys.executable, "-m", "code_envs.cli", *export], check=True)


def measure(folder: Path) -> dict[str, Any]:
    """Launch what was written, and read what was logged.

    Args:
        folder: Of the run; its logs are in it.

    Returns:
        The median seconds of each part of a step, the first and last rewards, and the seconds in all.
    """
    start = time.monotonic()
    subprocess.run(["bash", str(folder / "launch.sh")], check=True)
    return {"seconds": time.monotonic() - start, **_summary(folder / "tensorboard")}


def _summary(logs: Path) -> dict[str, Any]:
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError as error:
        raise MissingExtra("tensorboard", "openrlhf") from error
    events = EventAccumulator(str(max(logs.iterdir(), key=lambda path: path.stat().st_mtime)))
    events.Reload()
    logged = {name: [event.value for event in events.Scalars(name)] for name in events.Tags()["scalars"]}
    reward = logged["train/reward"]
    tenth = max(1, len(reward) // 5)
    return {
        "steps": len(reward),
        "reward_first": statistics.mean(reward[:tenth]),
        "reward_last": statistics.mean(reward[-tenth:]),
        **{
            name: statistics.median(values[_SKIPPED:] or values)
            for name, values in logged.items()
            if "/timing/" in name
        },
    }


def main() -> None:
    """Measure both ways and print them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", choices=MODELS, default="qwen2.5-0.5b")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/openrlhf-gpu"))
    options = parser.parse_args()
    subprocess.run(["ray", "start", "--head"], check=True)
    try:
        found = {}
        for name in ("asynchronous", "synchronous"):
            folder = options.output / name
            write_run(options.recipe, folder, asynchronous=name == "asynchronous", steps=options.steps)
            found[name] = measure(folder)
    except CodeEnvsError as error:
        sys.exit(str(error))
    finally:
        subprocess.run(["ray", "stop"], check=False)
    (options.output / "times.json").write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
