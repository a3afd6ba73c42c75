"""How much memory a recipe takes, GPU by GPU: counted, not measured.

Assumptions, per GPU:

- weights and gradients in bf16, AdamW in fp32 (master copy and two moments): 16 bytes per parameter, all
  shared out by ZeRO-3;
- gradient checkpointing keeps one hidden state per layer and token in bf16; one layer at a time is computed
  again, with flash attention (nothing quadratic in the length);
- logits of the whole vocabulary at each token: bf16, an fp32 copy, and the gradients of both, 12 bytes;
- with a KL term the weights of the reference model lie beside them, shared out too;
- ZeRO-3 gathers two layers and the output matrix at once;
- 6 GiB for CUDA, NCCL and fragmentation;
- a vLLM engine takes its share of the GPU; what weights and 4 GiB of buffers leave of it is the key-value
  cache, in bf16.
"""

from __future__ import annotations

import msgspec

from code_envs.integrations.recipes.recipe import Recipe, Shape

__all__ = ["MemoryPlan", "parameters", "plan_memory"]

_GIB = 2**30
_OVERHEAD, _ENGINE_BUFFERS = 6.0, 4.0  # GiB


class MemoryPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of one training GPU and one generating GPU, GiB.

    Attributes:
        parameters: Of the model.
        weights: Its share of the weights.
        gradients: Its share of the gradients.
        optimizer: Its share of the optimizer.
        reference: Its share of the reference model, which only a KL term needs.
        activations: What the backward pass keeps and computes again.
        logits: Scores of the vocabulary, with their gradients.
        gathered: Parameters that ZeRO-3 brings together at a time.
        overhead: CUDA, NCCL, fragmentation.
        training: All of these.
        engine_weights: Weights of an engine's GPU.
        engine_cache: Its key-value cache.
        sequences: How many sequences of full length an engine holds at once.
        gpu: Memory of a GPU.
    """

    parameters: int
    weights: float
    gradients: float
    optimizer: float
    reference: float
    activations: float
    logits: float
    gathered: float
    overhead: float
    training: float
    engine_weights: float
    engine_cache: float
    sequences: float
    gpu: float

    @property
    def fits(self) -> bool:
        """Whether training fits a GPU, and an engine holds a sequence."""
        return self.training <= self.gpu and self.sequences >= 1


def parameters(shape: Shape) -> int:
    """Count the parameters of a decoder of the Llama or Qwen family."""
    embeddings = shape.vocabulary * shape.hidden * (1 if shape.tied else 2)
    return embeddings + shape.layers * _layer(shape) + shape.hidden


def _layer(shape: Shape) -> int:
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    attention = shape.hidden * (2 * queries + 2 * keys) + (queries + 2 * keys if shape.attention_bias else 0)
    attention += 2 * shape.head_dim if shape.qk_norm else 0
    return attention + 3 * shape.hidden * shape.intermediate + 2 * shape.hidden


def plan_memory(recipe: Recipe) -> MemoryPlan:
    """Count what a recipe's GPUs hold; the module says under which assumptions."""
    shape, hardware, training = recipe.shape, recipe.hardware, recipe.training
    count, share = parameters(shape), 1 / hardware.actor_gpus / _GIB
    weights, gradients, optimizer = 2 * count * share, 2 * count * share, 12 * count * share
    reference = weights if training.kl else 0.0
    activations = 2 * training.tokens_per_gpu * (shape.layers * shape.hidden + _recomputed(shape)) / _GIB
    logits = 12 * training.tokens_per_gpu * shape.vocabulary / _GIB
    gathered = 2 * (2 * _layer(shape) + shape.vocabulary * shape.hidden) / _GIB
    engine_weights = 2 * count / hardware.engine_gpus / _GIB
    cache = max(0.0, hardware.gpu_gib * recipe.engine_share - engine_weights - _ENGINE_BUFFERS)
    token = 2 * 2 * shape.layers * shape.kv_heads * shape.head_dim / hardware.engine_gpus / _GIB
    return MemoryPlan(
        parameters=count,
        weights=weights,
        gradients=gradients,
        optimizer=optimizer,
        reference=reference,
        activations=activations,
        logits=logits,
        gathered=gathered,
        overhead=_OVERHEAD,
        training=weights + gradients + optimizer + reference + activations + logits + gathered + _OVERHEAD,
        engine_weights=engine_weights,
        engine_cache=cache,
        sequences=cache / (token * training.max_len),
        gpu=hardware.gpu_gib,
    )


def _recomputed(shape: Shape) -> int:
    """Numbers per token that one layer keeps for its backward pass: norms, projections, the gated MLP."""
    attention = 2 * (shape.heads + shape.kv_heads) * shape.head_dim
    return 6 * shape.hidden + attention + 4 * shape.intermediate
