"""Trains a tiny model with the whole of OpenRLHF, on a CPU, on one of our environments; fails if it does not learn.

    make openrlhf-cpu            # the problems as a dataset
    make openrlhf-cpu-online     # the problems from the online curriculum service

What it shows: problems leave by ``code-envs export``, rollouts go through ``code-envs path openrlhf``, grades
come back as rewards, and upstream's GRPO moves the weights by them until the reward rises. What it does not
show: that a model learns to run programs. The model is too small; it comes to know the answers of a few
problems. Its start is supervised on the form of an answer, with answers drawn at random.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from safetensors.torch import load_file
from student import make_student
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForCausalLM, AutoTokenizer

import code_envs  # noqa: F401  (registers the environments)
from code_envs import modes
from code_envs.problem import Problem, Report, load_problems, save_records

HERE = Path(__file__).parent
FORM = "```output\n{}\n```"
PROBLEMS, GROUP, BATCH = 8, 16, 8
MARGIN = 0.10  # by which the mean reward must have risen; its standard error over 10 steps is below 0.02


def find_problems(count: int, seed: int) -> list[Problem]:
    """Deduction problems of level 0 whose results are single digits: the form leaves ten answers."""
    env: Any = gym.make("code_envs/Deduction-v0", level=0, disable_env_checker=True).unwrapped
    found: dict[str, Problem] = {}
    number = 0
    while len(found) < count:
        env.reset(seed=int(np.random.default_rng([seed, number]).integers(1 << 53)))
        number += 1
        if len(env.problem.cases[0].result) == 1 and env.problem.cases[0].result.isdigit():
            found[env.problem.key] = env.problem
    return list(found.values())


def prepare(work: Path, steps: int, online: bool, seed: int) -> None:
    """Make problems, student and dataset; what is there from an earlier start is used again."""
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "problems.jsonl").exists():
        problems = find_problems(4 * PROBLEMS, seed)
        save_records(work / "others.jsonl", problems[PROBLEMS:])
        measured = [
            problem.but(measurements=(Report(problem=problem.key, student="random digit", attempts=32, passes=3),))
            for problem in problems[:PROBLEMS]
        ]
        save_records(work / "problems.jsonl", measured)
    if not (work / "student" / "model.safetensors").exists():
        others = [modes.prompt(problem).text for problem in load_problems(work / "others.jsonl")]
        make_student(work / "student", others, [FORM.format(digit) for digit in range(10)], steps=150, seed=seed)
    command = ["export", str(work / "problems.jsonl"), "--for", "openrlhf", "-o", str(work / "data")]
    if online:
        command += ["--service", "code-envs-curriculum", "--count", str(steps * BATCH)]
        settings = {"problems": "problems.jsonl", "policy": "learnability", "steps": steps, "group_size": GROUP}
        lines = [f"{name} = {json.dumps(value)}" for name, value in {**settings, "batch_size": BATCH}.items()]
        (work / "curriculum.toml").write_text("\n".join(lines) + "\n")
    subprocess.run([sys.executable, "-m", "code_envs.cli", *command], check=True)


def flags(work: Path, steps: int, online: bool, asynchronous: bool) -> list[str]:
    """The trainer's flags: those of our recipes, at the size of a toy, less what needs a GPU."""
    agent = subprocess.run(
        [sys.executable, "-m", "code_envs.cli", "path", "openrlhf"], check=True, capture_output=True, text=True
    ).stdout.strip()
    rollouts = str(BATCH * GROUP)
    given = {
        "train.agent_func_path": agent,
        "actor.model_name_or_path": work / "student",
        "data.prompt_dataset": work / "data" / "train.jsonl",
        "data.input_key": "prompt",
        "data.label_key": "label",
        "data.max_len": 512,
        "rollout.max_new_tokens": 16,
        "algo.advantage.estimator": "dr_grpo",
        "algo.kl.init_coef": 0,
        "algo.advantage.is_correction_level": "token",
        "algo.advantage.is_correction_mode": "clip",
        "rollout.batch_size": BATCH,
        "rollout.n_samples_per_prompt": GROUP,
        "rollout.micro_batch_size": 16,
        "train.batch_size": rollouts,
        "train.micro_batch_size": 16,
        "train.num_episodes": 1 if online else steps * BATCH // PROBLEMS,
        "actor.num_nodes": 1,
        "actor.num_gpus_per_node": 1,
        "vllm.num_engines": 1,
        "vllm.sync_backend": "gloo",
        "ds.zero_stage": 0,
        "ds.attn_implementation": "eager",
        "actor.adam.lr": 7e-4,
        "actor.lr_scheduler": "constant_with_warmup",
        "actor.lr_warmup_ratio": 0.1,
        "ckpt.output_dir": work / "trained",
        "ckpt.path": work / "checkpoints",
        "logger.tensorboard_dir": work / "tensorboard",
    }
    switches = ["--data.apply_chat_template", "--vllm.enforce_eager"]
    if asynchronous:
        switches += ["--train.async_enable", "--train.async_queue_size", "1", "--train.partial_rollout_enable"]
    return [word for name, value in given.items() for word in (f"--{name}", str(value))] + switches


def train(work: Path, module: str, given: list[str], online: bool, limit: float) -> None:
    """Run a module in a cluster of its own; the output goes to ``trainer.log``."""
    environment = on_cpu()
    if online:
        environment |= {"CURRICULUM": str(work / "curriculum.toml"), "STATE": str(work / "curriculum")}
    with (work / "trainer.log").open("w") as log:
        command = [sys.executable, "-u", str(HERE / "driver.py"), module, *given]
        subprocess.run(command, check=True, env=environment, stdout=log, stderr=subprocess.STDOUT, timeout=limit)


def on_cpu() -> dict[str, str]:
    """The environment that lets OpenRLHF and Ray run on a machine without GPUs, and a busy one."""
    return {
        **os.environ,
        "PYTHONPATH": str(HERE / "hook"),
        "OPENRLHF_ON_CPU": "1",
        "DS_ACCELERATOR": "cpu",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_DEDUP_LOGS": "0",
        "RAY_raylet_start_wait_time_s": "300",
        "RAY_worker_niceness": "0",  # Ray's own 15 starves workers on a busy machine
    }


def curves(work: Path) -> dict[str, list[float]]:
    """What the trainer logged, by step."""
    (folder,) = (work / "tensorboard").iterdir()
    return {name: [value for _, value in points] for name, points in scalars(folder).items()}


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The steps and values of each curve in a folder of TensorBoard's."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def changed(before: Path, after: Path) -> tuple[int, int]:
    """How many tensors of a saved model differ from another's by more than rounding, and how many there are."""
    old, new = load_file(before / "model.safetensors"), load_file(after / "model.safetensors")
    return sum(not bool((old[name].to(new[name].dtype) == new[name]).all()) for name in old), len(old)


def check(work: Path, logged: dict[str, list[float]], steps: int, online: bool) -> dict[str, Any]:
    """What must hold; each failure is a sentence."""
    reward = logged["train/reward"]
    tenth = min(10, len(reward) // 3)
    first, last = float(np.mean(reward[:tenth])), float(np.mean(reward[-tenth:]))
    moved, tensors = changed(work / "student", work / "trained")
    model = AutoModelForCausalLM.from_pretrained(work / "trained")
    tokenizer = AutoTokenizer.from_pretrained(work / "trained")
    problems = list(load_problems(work / "problems.jsonl"))
    greedy = sum(_passes(model, tokenizer, problem) for problem in problems)
    failures = []
    if len(reward) < steps:
        failures.append(f"only {len(reward)} of {steps} steps were trained")
    if last < first + MARGIN:
        failures.append(f"the reward did not rise: {first:.3f} in the first {tenth} steps, {last:.3f} in the last")
    if moved < tensors:
        failures.append(f"only {moved} of {tensors} tensors changed")
    if greedy <= len(problems) * first:
        failures.append(f"the saved model passes {greedy} of {len(problems)}, no more than at the start")
    facts: dict[str, Any] = {
        "steps": len(reward),
        "first": first,
        "last": last,
        "tensors_changed": f"{moved} of {tensors}",
        "greedy_passes_of_the_saved_model": f"{greedy} of {len(problems)}",
        "vllm_kl": float(np.mean(logged["train/vllm_kl"])),
        "seconds_per_step": float(np.median(logged["train/timing/step_total"]))
        if "train/timing/step_total" in logged
        else None,
    }
    if online:
        stats = json.loads((work / "curriculum" / "stats.json").read_text())
        facts["service"] = {name: stats[name] for name in ("step", "reports", "late", "rates")}
        if stats["reports"] < steps * BATCH * GROUP:
            failures.append(f"the service got {stats['reports']} of {steps * BATCH * GROUP} reports")
    return {**facts, "failures": failures}


def _passes(model: Any, tokenizer: Any, problem: Problem) -> bool:
    chat = [{"role": "user", "content": modes.prompt(problem).text}]
    tokens = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    output = model.generate(**tokens, max_new_tokens=16, do_sample=False)
    reply = tokenizer.decode(output[0, tokens["input_ids"].shape[1] :], skip_special_tokens=True)
    from code_envs.executor import shared_executor

    return modes.grade(problem, reply, shared_executor()).passed


def draw(logged: dict[str, list[float]], path: Path, title: str) -> None:
    """The reward by step, as SVG."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "code-envs"
    import matplotlib.pyplot as plt

    reward = np.array(logged["train/reward"])
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    axes.plot(np.arange(1, len(reward) + 1), reward, linewidth=1.2, label="mean reward of a step")
    axes.axhline(0.1, color="grey", linewidth=0.8, linestyle="--", label="a digit at random")
    axes.set(xlabel="step", ylabel="reward", title=title, ylim=(0, max(0.5, float(reward.max()) * 1.1)))
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main() -> int:
    """Prepare, train, check, draw; 0 only if everything held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--online", action="store_true", help="problems from the curriculum service")
    parser.add_argument("--asynchronous", action="store_true", help="rollouts while training")
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=3600, help="seconds")
    parser.add_argument("--plot", type=Path, help="where to draw the curve")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/openrlhf-cpu"))
    options = parser.parse_args()
    work, start = options.output.resolve(), time.monotonic()
    prepare(work, options.steps, options.online, options.seed)
    for stale in ("tensorboard", "trained", "checkpoints", "curriculum"):
        subprocess.run(["rm", "-rf", str(work / stale)], check=True)
    given = flags(work, options.steps, options.online, options.asynchronous)
    train(work, "openrlhf.cli.train_ppo_ray", given, options.online, options.limit)
    logged = curves(work)
    facts = check(work, logged, options.steps, options.online)
    facts["minutes"] = (time.monotonic() - start) / 60
    (work / "result.json").write_text(json.dumps({**facts, "reward": logged["train/reward"]}, indent=1))
    print(json.dumps(facts, indent=1))
    if options.plot:
        how = "online curriculum" if options.online else "dataset"
        how += ", asynchronous" if options.asynchronous else ""
        draw(logged, options.plot, f"OpenRLHF 0.11.2 on a CPU, Deduction-v0, {how}")
    return 1 if facts["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
