"""A recipe as the flags of ``openrlhf.cli.train_ppo_ray``, release 0.11.2."""

from __future__ import annotations

from collections.abc import Mapping

from code_envs.integrations.recipes.recipe import Recipe

__all__ = ["trainer_flags"]

Flags = Mapping[str, tuple[object, ...]]


def trainer_flags(recipe: Recipe, episodes: str = "1") -> dict[str, tuple[str, ...]]:
    """Every flag that does not depend on where files are, and its values.

    Args:
        recipe: The recipe.
        episodes: How often the rows are read.
    """
    flags = {**_model(recipe), **_rollouts(recipe), **_algorithm(recipe), **_updates(recipe)}
    flags["train.num_episodes"] = (episodes,)
    return {f"--{name}": tuple(map(str, values)) for name, values in flags.items()}


def _model(recipe: Recipe) -> Flags:
    hardware = recipe.hardware
    return {
        "actor.model_name_or_path": (recipe.model,),
        "actor.num_nodes": (hardware.actor_nodes,),
        "actor.num_gpus_per_node": (hardware.actor_gpus_per_node,),
        "actor.gradient_checkpointing_enable": (),
        "ds.zero_stage": (3,),
        "ds.param_dtype": ("bf16",),
        "ds.packing_samples": (),
    }


def _rollouts(recipe: Recipe) -> Flags:
    hardware, training = recipe.hardware, recipe.training
    flags: dict[str, tuple[object, ...]] = {
        "vllm.num_engines": (hardware.engines,),
        "vllm.tensor_parallel_size": (hardware.engine_gpus,),
        "vllm.gpu_memory_utilization": (recipe.engine_share,),
        "vllm.enable_prefix_caching": (),  # the members of a group share their prompt
        "vllm.sync_backend": ("nccl",),
        "rollout.batch_size": (training.batch_size,),
        "rollout.n_samples_per_prompt": (training.group_size,),
        "rollout.temperature": (training.temperature,),
        "data.max_len": (training.max_len,),
        "data.input_key": ("prompt",),
        "data.label_key": ("label",),
        "data.apply_chat_template": (),
    }
    if training.async_enable:
        flags |= {"train.async_enable": (), "train.async_queue_size": (training.queue_size,)}
        return flags | ({"train.partial_rollout_enable": ()} if training.partial_rollout else {})
    return flags | {"train.colocate_all": (), "vllm.enable_sleep": (), "ds.enable_sleep": ()}


def _algorithm(recipe: Recipe) -> Flags:
    training = recipe.training
    flags: dict[str, tuple[object, ...]] = {
        "algo.advantage.estimator": (training.estimator,),
        "algo.kl.init_coef": (training.kl,),
        "algo.advantage.is_correction_level": (training.correction,),
        "actor.eps_clip_low_high": (training.clip_low, training.clip_high),
        "actor.loss_agg_mode": (training.loss_mean,),
    }
    if training.correction == "token":
        flags["algo.advantage.is_correction_mode"] = ("clip",)
    if training.kl:
        gpus = recipe.hardware
        flags |= {"ref.num_nodes": (gpus.actor_nodes,), "ref.num_gpus_per_node": (gpus.actor_gpus_per_node,)}
        flags |= {"train.colocate_actor_ref": (), "algo.kl.use_loss": (), "algo.kl.estimator": ("k3",)}
    if training.dynamic_filtering:
        flags |= {"algo.dynamic_filtering_enable": (), "algo.dynamic_filtering_range": (0, 1)}
    return flags


def _updates(recipe: Recipe) -> Flags:
    training = recipe.training
    return {
        "train.batch_size": (training.batch_size * training.group_size,),  # one update for each step
        "train.max_epochs": (1,),
        "train.micro_batch_size": (1,),
        "rollout.micro_batch_size": (1,),
        "train.dynamic_batch_enable": (),
        "train.max_tokens_per_gpu": (training.tokens_per_gpu,),
        "actor.adam.lr": (training.learning_rate,),
        "actor.lr_scheduler": (training.scheduler,),
        "actor.lr_warmup_ratio": (training.warmup,),
        "train.seed": (training.seed,),
        "eval.n_samples_per_prompt": (training.eval_attempts,),
        "eval.temperature": (training.eval_temperature,),
        "ckpt.best_metric_key": ("none",),  # else the best checkpoint is by the first metric of the alphabet
        "ckpt.save_steps": (training.save_every,),
        **({"ckpt.save_hf": ()} if training.save_models else {}),
        "logger.logging_steps": (1,),
    }
