"""Runs the whole trainer by our launcher, on a CPU, over rows that a curriculum ordered; fails if their order is lost.

    make openrlhf-cpu-order

Each step's rows differ in their mean level, which the trainer logs. So what was trained on in each step can be
compared with the file, to the digit. Nothing is learnt in so few steps.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from prove import BATCH, FORM, GROUP, curves, flags, train
from student import make_student

from code_envs import modes
from code_envs.problem import Problem, Report, load_problems, save_records

PASSES = (28, 16, 3)  # of 32, by level: an easy, a medium and a hard problem
EACH = 12  # problems of a level


def measured_problems(seed: int) -> list[Problem]:
    """Deduction problems of three levels, as if a student had been measured that finds each level harder."""
    found = []
    for level, passes in enumerate(PASSES):
        env: Any = gym.make("code_envs/Deduction-v0", level=level, disable_env_checker=True).unwrapped
        for number in range(EACH):
            env.reset(seed=int(np.random.default_rng([seed, level, number]).integers(1 << 53)))
            report = Report(problem=env.problem.key, student="made up", attempts=32, passes=passes)
            found.append(env.problem.but(measurements=(report,)))
    return found


def prepare(work: Path, steps: int, seed: int) -> None:
    """Make the problems, the dataset in the order of a curriculum, and a student."""
    save_records(work / "problems.jsonl", measured_problems(seed))
    command = ["export", str(work / "problems.jsonl"), "--for", "openrlhf", "-o", str(work / "data")]
    command += ["--curriculum", "soft", "--steps", str(steps), "--batch-size", str(BATCH)]
    subprocess.run([sys.executable, "-m", "code_envs.cli", *command], check=True)
    prompts = [modes.prompt(problem).text for problem in load_problems(work / "problems.jsonl")]
    make_student(work / "student", prompts, [FORM.format(digit) for digit in range(10)], steps=20, seed=seed)


def levels_by_step(rows: Path) -> list[float]:
    """The mean level of each step's rows, in the order of the file."""
    levels = [json.loads(line)["level"] for line in rows.read_text().splitlines()]
    return [float(mean) for mean in np.reshape(levels, (-1, BATCH)).mean(axis=1)]


def main() -> int:
    """Prepare, train, compare; 0 only if every step trained on its own rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--asynchronous", action="store_true", help="rollouts while training")
    parser.add_argument("--module", default="code_envs.integrations.openrlhf_launch", help="what starts the trainer")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=1800, help="seconds")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/openrlhf-cpu-order"))
    options = parser.parse_args()
    work = options.output.resolve()
    subprocess.run(["rm", "-rf", str(work)], check=True)
    work.mkdir(parents=True)
    prepare(work, options.steps, options.seed)
    given = flags(work, options.steps, online=False, asynchronous=options.asynchronous)
    given += ["--train.num_episodes", "1", "--data.max_len", "1024"]
    train(work, options.module, given, online=False, limit=options.limit)
    file, trained = levels_by_step(work / "data" / "train.jsonl"), curves(work)["train/level"]
    same = sum(abs(own - other) < 1e-3 for own, other in zip(file, trained, strict=False))
    facts = {"steps": len(trained), "group": GROUP, "file": file, "trained": trained, "steps_in_their_place": same}
    (work / "result.json").write_text(json.dumps(facts, indent=1))
    print(json.dumps(facts, indent=1))
    return 0 if same == len(trained) == options.steps and len(set(file)) > 1 else 1


if __name__ == "__main__":
    sys.exit(main())
