"""Starts written recipes by their own scripts, on a CPU, as a user would; interrupts them, and starts them again.

    make openrlhf-cpu-launch

``ray start``, ``code-envs recipe write``, ``data.sh`` and ``launch.sh`` run as they are: for a mix of problems, and
for an online curriculum. Flags given to ``launch.sh`` bring the training to the size of a toy. The first start is
interrupted after its first checkpoint, one by a signal to the script alone, one as a terminal does it, by a signal to
all; the second must go on from the checkpoint to the end. Nothing is learnt in so few steps.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cluster import jobs, started, trainers
from prove import FORM, changed, find_problems, on_cpu, scalars
from student import make_student

from code_envs import modes
from code_envs.problem import Mode, Problem, Report, save_records
from code_envs.teacher import ProceduralTeacher

BATCH, GROUP, STEPS = 4, 16, 6
SETTINGS = {"steps": STEPS, "batch_size": BATCH, "group_size": GROUP, "max_len": 1024, "tokens_per_gpu": 2048}
SETTINGS |= {"save_every": 2, "eval_every": 2, "eval_attempts": 2, "learning_rate": 7e-4}
ON_CPU = ["--ds.zero_stage", "0", "--ds.attn_implementation", "eager", "--vllm.sync_backend", "gloo"]
ON_CPU += ["--vllm.enforce_eager", "--rollout.max_new_tokens", "16"]
VARIANTS = {"four-5k": False, "learnability": True}  # a dataset and a service; which is interrupted as a terminal does
LAG = 0.1  # mean divergence of vLLM's and the trainer's policy, above which something other than lag is behind it


def make_problems(seed: int) -> list[Problem]:
    """Problems of all modes; those whose answers are digits are the only ones that the student ever solves."""
    teacher = ProceduralTeacher()
    others = [mode for mode in Mode if mode is not Mode.DEDUCTION for _ in range(3)]
    found = find_problems(8, seed)
    found += [teacher.propose(np.random.default_rng([seed, at]), 1, mode) for at, mode in enumerate(others)]
    return [
        problem.but(measurements=(Report(problem=problem.key, student="random digit", attempts=32, passes=8),))
        for problem in found
    ]


def prepare(output: Path, seed: int) -> Path:
    """Make the problems and a student in a folder, or use those of an earlier start; the folder."""
    work = output.resolve()
    if (work / "student" / "model.safetensors").exists():
        return work
    work.mkdir(parents=True, exist_ok=True)
    problems = make_problems(seed)
    deduction = [problem for problem in problems if problem.mode is Mode.DEDUCTION]
    save_records(work / "problems.jsonl", problems)
    save_records(work / "deduction.jsonl", deduction)
    short, texts = ([modes.prompt(problem).text for problem in some] for some in (deduction, problems))
    answers = [FORM.format(digit) for digit in range(10)]
    make_student(work / "student", short, answers, steps=100, seed=seed, texts=texts)
    return work


def write(work: Path, variant: str, environment: dict[str, str]) -> Path:
    """Write a recipe and run its data script; the folder, whose name a shell could break."""
    folder = work / f"a {variant} run"
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    settings = {**SETTINGS, "model": work / "student"}
    command = ["code-envs", "recipe", "write", "qwen2.5-0.5b", "--variant", variant, "-o", str(folder)]
    command += [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    subprocess.run(command, check=True, env=environment)
    sources = {"SYNTHETIC": str(work / "problems.jsonl"), "MIX_SCALE": "0.0006"}  # 3 problems of each mode
    sources |= {"MEASURED": str(work / "deduction.jsonl"), "EVAL_SHARE": "0.34" if variant == "four-5k" else "0.25"}
    subprocess.run(["bash", folder / "data.sh"], check=True, env={**environment, **sources})
    return folder


def start(folder: Path, environment: dict[str, str], log: str) -> subprocess.Popen[bytes]:
    """Start the launch script in a session of its own, as in a terminal."""
    with (folder / log).open("w") as told:
        command = ["bash", str(folder / "launch.sh"), *ON_CPU]
        return subprocess.Popen(command, env=environment, stdout=told, stderr=told, start_new_session=True)


def first_checkpoint(folder: Path, ended: Callable[[], bool], limit: float) -> int:
    """Wait for the first checkpoint of a run; its step."""
    until = time.monotonic() + limit
    while not (latest := folder / "checkpoints" / "_actor" / "latest").exists():
        if ended() or time.monotonic() > until:
            raise SystemExit(f"{folder} has no checkpoint: see its logs")
        time.sleep(0.5)
    return int(latest.read_text().removeprefix("global_step"))


def check(work: Path, folder: Path, saved: int, ends: dict[str, bool]) -> dict[str, Any]:
    """What must hold of two starts, with what must hold of their ends; each failure is a sentence."""
    runs = [scalars(each) for each in sorted((folder / "tensorboard").iterdir())]
    steps = [[step for step, _ in run.get("train/reward", ())] for run in runs]  # one killed may not write all
    last = int((folder / "checkpoints" / "_actor" / "latest").read_text().removeprefix("global_step"))
    lag = float(np.mean([value for run in runs for _, value in run.get("train/vllm_kl", ())]))
    evaluated = sorted({name for run in runs for name in run if name.startswith("eval/")})
    moved, tensors = changed(work / "student", folder / "model")
    facts = {"saved_at": saved, "steps_of_each_start": steps, "last_checkpoint": last, "vllm_kl": lag}
    facts |= {"tensors_changed": f"{moved} of {tensors}", "evaluated": evaluated}
    held = {
        **ends,
        "the first start is interrupted on its way": len(steps) == 2 and all(step < STEPS for step in steps[0]),
        "the second goes on from the checkpoint to the end": steps[-1] == list(range(saved + 1, STEPS + 1)),
        "the last step is saved": last == STEPS,
        "most tensors change": moved > tensors // 2,
        "engine and trainer have one policy": lag < LAG,
        "the problems that were held out are evaluated on": evaluated != [],
    }
    return {**facts, "failures": [f"it does not hold that {what}" for what, holds in held.items() if not holds]}


def with_commands() -> dict[str, str]:
    """The environment of a user who has activated that of this Python."""
    return on_cpu() | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def prove(work: Path, variant: str, limit: float) -> dict[str, Any]:
    """Write a recipe, start it, interrupt it, start it again; what came of it."""
    environment = with_commands()
    folder = write(work, variant, environment)
    with started(environment, folder / "ray.log") as environment:
        first = start(folder, environment, "first.log")
        saved = first_checkpoint(folder, lambda: first.poll() is not None, limit)
        (os.killpg if VARIANTS[variant] else os.kill)(first.pid, signal.SIGINT)
        first.wait(180)
        left = trainers(folder)
        second = start(folder, environment, "second.log").wait(limit)
        states = jobs(environment)
    ends = {
        f"the interrupted script ends with 130 (not {first.returncode})": first.returncode == 130,
        f"the second script ends with 0 (not {second})": second == 0,
        f"one job is stopped, the second succeeds (not {states})": states == ["STOPPED", "SUCCEEDED"],
        f"no process of the interrupted training is left (not {left})": not left,
    }
    return check(work, folder, saved, ends)


def main() -> int:
    """Prepare, then prove each kind of recipe; 0 only if everything held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="only this one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=1200, help="seconds of one start")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/openrlhf-cpu-launch"))
    options = parser.parse_args()
    work = prepare(options.output, options.seed)
    facts = {variant: prove(work, variant, options.limit) for variant in options.variant or VARIANTS}
    return tell(work, facts)


def tell(work: Path, facts: dict[str, dict[str, Any]]) -> int:
    """Keep and print what came of it; the exit status."""
    (work / "result.json").write_text(json.dumps(facts, indent=1))
    print(json.dumps(facts, indent=1))
    return 1 if any(each["failures"] for each in facts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
