"""Every recipe goes through the parser and the validation of the installed OpenRLHF wheel."""

import importlib.util
import runpy
import sys
import types
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from code_envs.benchmarks.openrlhf_gpu import write_run
from code_envs.integrations.recipes import MODELS, VARIANTS, load_recipe, trainer_flags

from .openrlhf_tools import launch

FOUND = importlib.util.find_spec("openrlhf")
pytestmark = [
    pytest.mark.extra,
    pytest.mark.skipif(FOUND is None, reason="needs OpenRLHF 0.11.2: make openrlhf-test"),
]
FILES = ("--train.agent_func_path", "agent.py", "--data.prompt_dataset", "train.jsonl", "--eval.dataset", "eval.jsonl")


class Parsed(Exception):
    """The trainer is past its validation and about to start."""


@pytest.fixture
def parse(monkeypatch):
    """Runs upstream's own script up to where it would start Ray.

    What it imports but does not use before that is made up, so that neither Ray, vLLM, DeepSpeed nor a GPU
    is needed; the parser and the validation are the wheel's.
    """
    assert FOUND is not None
    (root,) = map(Path, FOUND.submodule_search_locations)

    def stop(args):
        raise Parsed(args)

    for name in ("ray", "ray.util", "ray.util.placement_group", *(f"openrlhf.trainer{x}" for x in ("", ".ray"))):
        monkeypatch.setitem(sys.modules, name, MagicMock())
    for name in ("launcher", "ppo_actor", "ppo_critic"):
        monkeypatch.setitem(sys.modules, f"openrlhf.trainer.ray.{name}", MagicMock())
    utils = types.ModuleType("openrlhf.utils")
    utils.__path__ = [str(root / "utils")]  # its __init__ would import DeepSpeed
    utils.get_strategy = stop
    monkeypatch.setitem(sys.modules, "openrlhf.utils", utils)

    def run(*flags: str) -> types.SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["train_ppo_ray", *flags])
        with pytest.raises(Parsed) as caught:
            runpy.run_path(str(root / "cli" / "train_ppo_ray.py"), run_name="__main__")
        return caught.value.args[0]

    return run


def flags_of(recipe) -> list[str]:
    return [word for name, values in trainer_flags(recipe).items() for word in (name, *values)]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_wheel_takes_every_recipe(model, variant, parse):
    recipe = load_recipe(model, variant)
    args = parse(*flags_of(recipe), *FILES)
    assert (args.algo.advantage.estimator, args.algo.kl.init_coef) == ("dr_grpo", 0)
    assert args.reward.remote_url == ["agent"]
    assert args.critic.model_name_or_path is None
    assert args.train.async_enable
    assert args.train.batch_size == recipe.training.batch_size * recipe.training.group_size
    assert args.rollout.n_samples_per_prompt == recipe.training.group_size
    assert (args.actor.num_nodes, args.actor.num_gpus_per_node) == (
        recipe.hardware.actor_nodes,
        recipe.hardware.actor_gpus_per_node,
    )


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "settings",
    [
        {"kl": "0.001"},
        {"estimator": "group_norm", "dynamic_filtering": "true"},
        {"correction": "seq"},
        {"correction": "off", "partial_rollout": "false"},
    ],
    ids=str,
)
def test_the_wheel_takes_what_may_be_set(model, settings, parse):
    args = parse(*flags_of(load_recipe(model, settings=settings)), *FILES)
    assert args.algo.kl.init_coef == float(settings.get("kl", 0))
    assert args.algo.dynamic_filtering_enable == ("dynamic_filtering" in settings)


@pytest.mark.parametrize("model", MODELS)
def test_the_wheel_takes_synchronous_training(model, parse):
    args = parse(*flags_of(load_recipe(model, settings={"async_enable": "false"})), *FILES)
    assert args.train.colocate_all
    assert args.vllm.enable_sleep
    assert not args.train.async_enable


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_the_wheel_takes_what_the_measurement_on_gpus_launches(model, asynchronous, commands, parse):
    folder = commands / "run"
    write_run(model, folder, asynchronous=asynchronous, steps=2)
    (folder / "data" / "eval.jsonl").write_text("{}\n")
    (folder / "checkpoints" / "_actor").mkdir(parents=True)
    (folder / "checkpoints" / "_actor" / "latest").write_text("global_step2")  # a later launch goes on
    asked = launch(folder)
    args = parse(*asked[asked.index("openrlhf.cli.train_ppo_ray") + 1 :])
    assert args.train.async_enable is asynchronous
    assert (args.data.prompt_dataset, args.eval.dataset) == tuple(
        str(folder / "data" / f"{name}.jsonl") for name in ("train", "eval")
    )
    assert args.ckpt.load_enable
    assert (args.train.num_episodes, args.ckpt.save_steps) == (1, 2)


def test_the_wheel_would_refuse_a_flag_it_does_not_know(parse, capsys):
    with pytest.raises(SystemExit):
        parse(*flags_of(load_recipe("qwen3-8b")), *FILES, "--train.no_such_flag")
    assert "unrecognized arguments" in capsys.readouterr().err
