"""Recipes: the data, what may be set, the memory that is counted, and the scripts, run by a real shell."""

import itertools
import json
import os
import signal
import subprocess
import time
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from code_envs.cli import app
from code_envs.curricula import load_mix, load_online, open_service
from code_envs.errors import ConfigError, UnknownName
from code_envs.integrations.recipes import (
    MODELS,
    VARIANTS,
    Hardware,
    Training,
    load_recipe,
    parameters,
    plan_memory,
    write_recipe,
)
from code_envs.problem import Mode, Report, load_problems, save_records

from .openrlhf_tools import launch

PROBLEMS = Path(__file__).parents[1] / "problems"
EVERY = [(model, variant) for model in MODELS for variant in VARIANTS]


@pytest.mark.parametrize("model", MODELS)
def test_every_setting_says_where_it_comes_from(model):
    recipe = load_recipe(model)
    assert set(recipe.why) == {*Training.__struct_fields__, "hardware"}
    assert {why.split(":")[0].split(",")[0] for why in recipe.why.values()} == {"paper", "ours", "the trainer's own"}


# Of the published models: bytes of their weights in bf16 (``total_size`` of model.safetensors.index.json; of the
# smallest, which has no index, twice its number of parameters), and bytes that a token takes in the key-value cache.
PUBLISHED = {
    "llama-3.1-8b": (16_060_522_496, 131_072),
    "qwen3-8b": (16_381_470_720, 147_456),
    "qwen2.5-32b": (65_527_752_704, 262_144),
    "qwen2.5-0.5b": (988_065_536, 12_288),
}


@pytest.mark.parametrize("model", MODELS)
def test_the_shapes_have_the_published_number_of_parameters(model):
    assert 2 * parameters(load_recipe(model).shape) == PUBLISHED[model][0]


@pytest.mark.parametrize("model", MODELS)
def test_memory_is_that_of_the_published_weights(model):
    recipe, (size, token) = load_recipe(model), PUBLISHED[model]
    plan, gpus = plan_memory(recipe), recipe.hardware.engine_gpus
    states = (plan.weights + plan.gradients + plan.optimizer) * recipe.hardware.actor_gpus
    assert states * 2**30 == pytest.approx(8 * size)  # 16 bytes where the file has 2
    assert plan.engine_weights * 2**30 * gpus == pytest.approx(size)
    held = plan.sequences * recipe.training.max_len * token
    assert held == pytest.approx(plan.engine_cache * 2**30 * gpus)
    taken = plan.engine_weights + plan.engine_cache
    assert taken < recipe.hardware.gpu_gib * recipe.hardware.engine_memory < recipe.hardware.gpu_gib


def test_memory_of_one_recipe_counted_by_hand():
    """Qwen3-8B: 36 layers of 4,096, 151,936 tokens of vocabulary, 12,288 tokens on each of four GPUs."""
    plan = plan_memory(load_recipe("qwen3-8b"))
    assert plan.weights == plan.gradients == pytest.approx(16_381_470_720 / 4 / 2**30)  # 3.81 GiB
    assert plan.optimizer == pytest.approx(22.89, abs=0.01)  # six times that
    assert plan.logits == pytest.approx(12_288 * 151_936 * 12 / 2**30)  # 20.87 GiB
    kept, again = 36 * 4_096, 6 * 4_096 + 2 * 40 * 128 + 4 * 12_288
    assert plan.activations == pytest.approx(12_288 * 2 * (kept + again) / 2**30)  # 5.30 GiB
    assert plan.training == pytest.approx(64.6, abs=0.1)
    assert plan.engine_cache == pytest.approx(0.9 * 79 - 15.26 - 4, abs=0.01)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_fits_its_gpus(model):
    plan = plan_memory(load_recipe(model))
    assert plan.fits
    assert plan.training < 0.9 * plan.gpu
    assert plan.sequences > 16


def test_memory_follows_the_gpus_the_length_and_the_reference_model():
    plan = plan_memory(load_recipe("qwen3-8b"))
    assert plan.weights + plan.gradients + plan.optimizer == pytest.approx(16 * 8.19e9 / 4 / 2**30, rel=1e-3)
    assert plan_memory(load_recipe("qwen3-8b", settings={"actor_gpus_per_node": "8"})).optimizer == plan.optimizer / 2
    assert plan_memory(load_recipe("qwen3-8b", settings={"kl": "0.01"})).reference == plan.weights
    assert plan_memory(load_recipe("qwen3-8b", settings={"tokens_per_gpu": "24576"})).logits == 2 * plan.logits
    assert not plan_memory(load_recipe("qwen3-8b", settings={"gpu_gib": "40"})).fits
    assert not plan_memory(load_recipe("qwen2.5-32b", settings={"engine_gpus": "1", "gpu_gib": "70"})).fits


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lerning_rate": "1e-6"}, "Did you mean 'learning_rate'"),
        ({"steps": "many"}, "steps"),
        ({"steps": "0"}, "steps must be positive"),
        ({"estimator": "gae"}, "estimator"),
        ({"group_size": "1"}, "group of one has no advantage"),
        ({"tokens_per_gpu": "100"}, "whole sequence must fit"),
        ({"batch_size": "3", "group_size": "3"}, "cannot share alike"),
        ({"async_enable": "false", "engines": "2"}, "train and generate in turn"),
        ({"engine_memory": "1.5"}, "engine_memory is a share"),
        ({"warmup": "-1"}, "warmup is a share"),
        ({"learning_rate": "-1"}, "must be positive"),
        ({"learning_rate": "nan"}, "learning_rate"),
        ({"kl": "-1"}, "must not be negative"),
        ({"eval_attempts": "0"}, "eval_attempts must be positive"),
        ({"eval_temperature": "-0.1"}, "eval_temperature must not be negative"),
    ],
)
def test_settings_that_cannot_be_used_say_why(settings, words):
    with pytest.raises(ConfigError, match=words):
        load_recipe("qwen3-8b", settings=settings)


def test_unknown_names_give_the_nearest():
    with pytest.raises(UnknownName, match="'qwen3-8b'"):
        load_recipe("qwen3-8")
    with pytest.raises(UnknownName, match="'medium-start-reverse'"):
        load_recipe("qwen3-8b", "medium-reverse")


def test_mixes_name_their_sources():
    for variant in VARIANTS:
        made = load_recipe("qwen3-8b", variant).variant
        assert bool(made.mix) != bool(made.policy)
        if made.mix:
            assert set(made.sources) == {part.source for part in load_mix(made.mix).parts}


def test_the_launch_reads_the_rows_as_often_as_the_steps_take(commands):
    recipe = load_recipe("qwen2.5-0.5b", "four-5k")
    write_recipe(recipe, commands / "run")
    (commands / "run" / "data").mkdir()
    (commands / "run" / "data" / "train.jsonl").write_text("{}\n" * 300)
    asked = launch(commands / "run", "--train.seed", "7")
    assert asked[:3] == ["job", "submit", "--address=http://127.0.0.1:8265"]
    assert asked[3].startswith("--submission-id=qwen2.5-0.5b-four-5k-")
    assert asked[4] == "--"
    assert asked[asked.index("--train.num_episodes") + 1] == "3"  # 50 steps of 16, from 300 rows
    assert asked[asked.index("--train.agent_func_path") + 1].endswith("openrlhf_adapter.py")
    assert asked[-2:] == ["--train.seed", "7"]
    assert "--eval.dataset" not in asked
    assert "--ckpt.load_enable" not in asked
    (commands / "run" / "data" / "eval.jsonl").write_text("{}\n")
    checkpoints = commands / "run" / "checkpoints" / "_actor"
    checkpoints.mkdir(parents=True)
    assert "--ckpt.load_enable" not in launch(commands / "run")  # interrupted while it wrote its first one
    (checkpoints / "latest").write_text("global_step50")
    asked = launch(commands / "run")
    assert {"--eval.dataset", "--ckpt.load_enable"} <= set(asked)


@pytest.mark.parametrize(("rows", "told"), [(300, "300 rows, 3 times: 54 steps"), (63, "63 rows, 17 times: 51 steps")])
def test_the_launch_counts_only_steps_that_the_rows_fill(rows, told, commands):
    write_recipe(load_recipe("qwen2.5-0.5b", "four-5k"), commands / "run")  # 50 steps of 16
    (commands / "run" / "data").mkdir()
    (commands / "run" / "data" / "train.jsonl").write_text("{}\n" * rows)
    done = subprocess.run(["bash", commands / "run" / "launch.sh"], check=True, capture_output=True, text=True)
    assert told in done.stdout


def test_fewer_rows_than_a_step_takes_are_refused(commands):
    write_recipe(load_recipe("qwen2.5-0.5b", "four-5k"), commands / "run")
    (commands / "run" / "data").mkdir()
    (commands / "run" / "data" / "train.jsonl").write_text("{}\n" * 15)
    done = subprocess.run(["bash", commands / "run" / "launch.sh"], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "has 15 rows, and a step takes 16" in done.stderr


@pytest.mark.usefixtures("heard_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("variant", ["four-5k", "soft"])
def test_an_interrupted_launch_stops_its_job(variant, number, commands):
    calls, folder = commands / "calls.txt", commands / "run"
    write_recipe(load_recipe("qwen2.5-0.5b", variant), folder)
    (folder / "data").mkdir()
    (folder / "data" / "train.jsonl").write_text("{}\n" * 16)
    follow = f'#!/bin/bash\necho "$@" >> {calls}\n[ "$2" = stop ] || exec sleep 600\n'
    (commands / "bin" / "ray").write_text(follow)
    process = subprocess.Popen(["bash", folder / "launch.sh"], start_new_session=True)
    while not calls.exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, number)  # to the script alone: what it runs does not hear it
    assert process.wait(120) == 130
    submitted, stopped = (line.split() for line in calls.read_text().splitlines())
    assert stopped == ["job", "stop", submitted[2], submitted[3].removeprefix("--submission-id=")]
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nothing of it is left


def test_a_launch_without_data_says_what_to_do(commands):
    write_recipe(load_recipe("qwen2.5-0.5b", "soft"), commands / "run")
    done = subprocess.run(["bash", commands / "run" / "launch.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "bash data.sh" in done.stderr


def test_what_checkpoints_take_is_said(tmp_path):
    write_recipe(load_recipe("qwen3-8b", settings={"steps": "200"}), tmp_path)
    assert "3 checkpoints, of 115 GB each, and 4 models of 16 GB" in (tmp_path / "README.md").read_text()
    assert "--ckpt.save_hf" in (tmp_path / "launch.sh").read_text()
    write_recipe(load_recipe("qwen3-8b", settings={"save_models": "false"}), tmp_path)
    assert "of 115 GB each." in (tmp_path / "README.md").read_text()
    assert "--ckpt.save_hf" not in (tmp_path / "launch.sh").read_text()


@pytest.mark.parametrize(("model", "variant"), EVERY)
def test_every_script_is_a_script(model, variant, tmp_path):
    for path in write_recipe(load_recipe(model, variant), tmp_path):
        assert "@" not in path.read_text().replace("$@", "").replace("[@]", ""), path
        if path.suffix == ".sh":
            subprocess.run(["bash", "-n", path], check=True)


def test_the_nodes_of_slurm_are_those_of_the_plan(tmp_path):
    for model, nodes in [("qwen2.5-32b", 4), ("qwen3-8b", 1), ("qwen2.5-0.5b", 1)]:
        write_recipe(load_recipe(model), tmp_path)
        assert f"#SBATCH --nodes={nodes}\n" in (tmp_path / "slurm.sh").read_text()
    assert "--gpus-per-node=2\n" in (tmp_path / "slurm.sh").read_text()


def test_slurm_makes_one_cluster_of_its_nodes_and_launches_in_it(commands, monkeypatch):
    """With stand-ins for SLURM and Ray: each node that was asked to join counts as there."""
    calls, folder = commands / "calls.txt", commands / "run"
    write_recipe(load_recipe("qwen2.5-32b"), folder)
    (folder / "data").mkdir()
    (folder / "data" / "train.jsonl").write_text("{}\n" * 64)
    calls.touch()
    scripts = {
        "scontrol": "printf 'n%s\\n' 1 2 3 4",
        "srun": 'while [[ "$1" == --* ]]; do node=$1; shift; done\nexec env NODE="$node" "$@"',
        "ray": f'echo "${{NODE-}} $* at ${{RAY_ADDRESS-}}" >> {calls}',
        "python3": f'case "$2" in *get_node_ip*) echo 10.0.0.1;; *) grep -c " start " {calls};; esac',
        "sleep": "exec /bin/sleep 0.5",
    }
    for name, text in scripts.items():
        (commands / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
        (commands / "bin" / name).chmod(0o755)
    for name, value in {"SUBMIT_DIR": str(folder), "JOB_ID": "5007", "JOB_NODELIST": "n[1-4]"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    subprocess.run(["bash", folder / "slurm.sh", "--train.seed", "7"], check=True, capture_output=True, cwd=commands)
    *started, submitted = calls.read_text().splitlines()
    assert sorted(line.split(" --num-cpus")[0] for line in started) == [
        "--nodelist=n1 start --head --port=21007 --dashboard-port=25007 --dashboard-agent-listen-port=29007",
        *(f"--nodelist=n{node} start --address=10.0.0.1:21007" for node in (2, 3, 4)),
    ]
    assert submitted.startswith(" job submit --address=http://127.0.0.1:25007 ")
    assert submitted.endswith(" --train.seed 7 at 10.0.0.1:21007")


@pytest.mark.parametrize("variant", [name for name in VARIANTS if load_recipe("qwen3-8b", name).variant.mix])
def test_the_data_of_mixes_is_made(variant, commands):
    sources = {}
    for name in ("real", "synthetic"):  # two halves, so that no problem is in both
        problems = [p for path in sorted(PROBLEMS.glob("*.jsonl")) for p in load_problems(path)]
        sources[name.upper()] = commands / f"{name}.jsonl"
        save_records(sources[name.upper()], problems[name == "real" :: 2])
    write_recipe(load_recipe("qwen2.5-0.5b", variant), commands / "run")
    environment = {
        **os.environ,
        "MIX_SCALE": "0.00002",
        "EVAL_SHARE": "0",
        **{key: path.name for key, path in sources.items()},
    }
    subprocess.run(
        ["bash", commands / "run" / "data.sh"], check=True, env=environment, capture_output=True, cwd=commands
    )
    rows = [json.loads(line) for line in (commands / "run" / "data" / "train.jsonl").read_text().splitlines()]
    assert rows
    modes = {row["datasource"] for row in rows}
    assert modes <= ({"induction"} if variant != "four-5k" else {"induction", "abduction", "deduction", "fuzzing"})


def test_data_without_its_sources_says_what_is_missing(tmp_path):
    write_recipe(load_recipe("qwen3-8b", "real-81k"), tmp_path)
    done = subprocess.run(["bash", tmp_path / "data.sh"], capture_output=True, text=True, check=False)
    assert done.returncode
    assert "REAL: set it to the real problems" in done.stderr


@pytest.fixture
def measured(commands) -> Path:
    """A run of measured problems: for each mode a chain of an easy, a medium and a hard one."""
    run, found = commands / "measured", []
    for mode in Mode:
        for turn, problem in enumerate(load_problems(PROBLEMS / f"{mode}.jsonl")):
            report = Report(problem=problem.key, student="s", attempts=32, passes=(28, 16, 4)[turn])
            found.append(problem.but(measurements=(report,), lineage=problem.lineage.but(chain=f"{mode}-1", turn=turn)))
    run.mkdir()
    save_records(run / "problems.jsonl", found)
    return run


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_data(run: Path, measured: Path, variant: str, *, steps: str, share: str) -> None:
    """Write a recipe, and the data that it makes of measured problems."""
    write_recipe(load_recipe("qwen2.5-0.5b", variant, {"steps": steps, "batch_size": "4"}), run)
    environment = {**os.environ, "MEASURED": str(measured), "EVAL_SHARE": share}
    subprocess.run(["bash", run / "data.sh"], check=True, env=environment, capture_output=True)


def test_a_curriculum_is_served_and_its_rows_are_tickets(commands, measured):
    write_data(commands / "run", measured, "soft", steps="5", share="0.3")
    rows = read(commands / "run" / "data" / "train.jsonl")
    labels = [json.loads(row["label"]) for row in rows]
    assert len(labels) == 20
    assert len({label["ticket"] for label in labels}) == 20
    asked = launch(commands / "run")
    assert asked[asked.index("--train.num_episodes") + 1] == "1"
    served = (commands / "served.txt").read_text().split()
    assert served[served.index("--name") + 1] == labels[0]["curriculum"]
    assert served[2] == "curriculum.toml"


def test_a_curriculum_is_evaluated_on_problems_that_its_service_never_hands_out(commands, measured):
    write_data(commands / "run", measured, "uniform", steps="40", share="0.5")
    rows = read(commands / "run" / "data" / "eval.jsonl")
    problems = [json.loads(row["label"])["problem"] for row in rows]
    held_out = {problem["lineage"]["chain"] for problem in problems}
    assert (len(problems), len(held_out)) == (6, 2)  # whole chains
    bins = ("easy", "medium", "hard")
    assert {row["datasource"] for row in rows} == {f"{chain[:-2]}_{name}" for chain in held_out for name in bins}

    with open_service(load_online(commands / "run" / "curriculum.toml")) as service:
        handed_out = [service.ask(ticket).problem for ticket in range(160)]
    assert not held_out & {problem.lineage.chain for problem in handed_out}
    assert len({problem.key for problem in handed_out}) + len(problems) == len(list(load_problems(measured)))

    asked = launch(commands / "run")
    flags = dict(itertools.pairwise(asked))
    assert flags["--eval.dataset"] == str(commands / "run" / "data" / "eval.jsonl")
    assert (flags["--eval.steps"], flags["--eval.n_samples_per_prompt"]) == ("50", "4")


def test_a_curriculum_may_train_on_everything(commands, measured):
    write_recipe(load_recipe("qwen2.5-0.5b", "learnability", {"steps": "2", "batch_size": "2"}), commands / "run")
    environment = {**os.environ, "MEASURED": str(measured / "problems.jsonl"), "EVAL_SHARE": "0"}
    subprocess.run(["bash", commands / "run" / "data.sh"], check=True, env=environment, capture_output=True)
    assert "--eval.dataset" not in launch(commands / "run")
    with open_service(load_online(commands / "run" / "curriculum.toml")) as service:
        assert len(service.problems) == len(list(load_problems(measured)))


@pytest.mark.parametrize("variant", [name for name in VARIANTS if load_recipe("qwen3-8b", name).variant.policy])
def test_the_file_of_a_curriculum_is_one(variant, tmp_path):
    recipe = load_recipe("llama-3.1-8b", variant)
    write_recipe(recipe, tmp_path)
    config = load_online(tmp_path / "curriculum.toml")
    assert (config.policy, config.steps, config.batch_size, config.group_size) == (recipe.variant.policy, 1000, 64, 16)
    assert config.problems == str(tmp_path / "data" / "served.jsonl")
    assert config.held_out == str(tmp_path / "data" / "held_out.jsonl")


def test_the_command_lists_shows_and_writes(tmp_path):
    run = CliRunner().invoke
    listed = json.loads(run(app, ["recipe", "list", "--json"]).stdout)
    assert (set(listed["models"]), tuple(listed["variants"])) == (set(MODELS), VARIANTS)
    assert set(MODELS) <= set(run(app, ["recipe", "list"]).stdout.split())
    shown = json.loads(run(app, ["recipe", "show", "qwen3-8b", "--set", "steps=7", "--json"]).stdout)
    assert shown["fits"]
    assert (shown["recipe"]["training"]["steps"], shown["recipe"]["why"]["steps"]) == (7, "set by hand")
    assert "together" in run(app, ["recipe", "show", "qwen3-8b"]).stdout
    written = run(app, ["recipe", "write", "qwen3-8b", "--variant", "soft", "-o", str(tmp_path), "--set", "gpu_gib=24"])
    assert written.exit_code == 0
    assert "does not fit" in written.stderr
    assert tomllib.loads((tmp_path / "curriculum.toml").read_text())["policy"] == "soft"
    kept = msgspec.json.decode((tmp_path / "recipe.json").read_bytes(), type=dict)
    assert kept["hardware"]["gpu_gib"] == 24
    assert set(kept["hardware"]) == set(Hardware.__struct_fields__)


def test_the_command_refuses_a_setting_without_value():
    result = CliRunner().invoke(app, ["recipe", "show", "qwen3-8b", "--set", "steps"])
    assert isinstance(result.exception, ConfigError)
