"""TEST ONLY: lets OpenRLHF 0.11.2 run on a machine without GPUs.

Python imports a module of this name at its start, in every process of the cluster. It rewrites, as they are
imported, the lines of openrlhf that name CUDA, NCCL or flash-attn, and one of vLLM's CPU build that drops
the weights which the trainer is about to write into; products of bf16 are taken in fp32 where that is faster.
Nothing of what is proven is touched: Ray, vLLM, DeepSpeed, the rollouts, the losses and the synchronisation of
weights are upstream's.
"""

import importlib.abc
import importlib.machinery
import os
import re
import sys
from functools import cache
from types import ModuleType
from typing import Any

VLLM_LAYERS = "vllm.model_executor.layers.utils"
REWRITTEN = (
    (r"    # skip for missing layers\n    if layer\.weight\.is_meta:", "    if True:"),
    (
        r"from vllm\.distributed\.device_communicators\.pynccl import PyNcclCommunicator",
        "from sitecustomize import Broadcast",
    ),
    (r"PyNcclCommunicator\(pg, device=device\)", "Broadcast(pg)"),
    (r'f"cuda:\{torch\.cuda\.current_device\(\)\}"', '"cpu"'),
    (r"torch\.cuda\.current_device\(\)", 'torch.device("cpu")'),
    (r"torch\.cuda\.(synchronize|empty_cache|current_stream)\(\)", "None"),
    (r"torch\.cuda\.set_device\(local_rank\)", "None"),
    (r'device="cuda"', 'device="cpu"'),
    (r'"cuda", \(dp_size', '"cpu", (dp_size'),
    (r'pin_memory": True', 'pin_memory": False'),
    (r"dataloader_pin_memory: bool = True", "dataloader_pin_memory: bool = False"),
    (
        r"from flash_attn\.bert_padding import .*",
        "from einops import rearrange\n"
        "from transformers.modeling_flash_attention_utils import _pad_input as pad_input, _unpad_input as unpad_input\n"
        "index_first_axis = lambda rows, indices: rows[indices]",
    ),
    (r'if "flash_attention" not in args\.ds\.attn_implementation:', "if False:"),
    (r"from flash_attn\.utils\.distributed import .*", "all_gather = None"),
    (r"@torch\.compile\n", "\n"),
    (r"\nimport torch\n", "\nimport torch\nfrom sitecustomize import multiply_in_fp32\nmultiply_in_fp32()\n"),
)


class Broadcast:
    """NCCL's broadcast, by vLLM's own stateless process group, which works on CPUs."""

    def __init__(self, group: Any) -> None:
        self.group = group

    def broadcast(self, tensor: Any, src: int, stream: Any = None) -> None:
        """Send or receive a tensor, as PyNcclCommunicator does."""
        if self.group.rank == src:
            self.group.broadcast_obj(tensor.detach().clone(), src)
        else:
            tensor.copy_(self.group.broadcast_obj(None, src))


@cache
def multiply_in_fp32() -> None:
    """Without AVX-512 for it, a CPU multiplies bf16 ten times as slowly as fp32: widen, multiply, narrow again."""
    import torch

    if torch.cpu._is_avx512_bf16_supported():
        return
    torch.nn.functional.linear = _widened(torch.nn.functional.linear)
    torch.matmul = _widened(torch.matmul)


def _widened(multiply: Any) -> Any:
    def widened(left: Any, right: Any, bias: Any = None, **more: Any) -> Any:
        factors = (left, right) if bias is None else (left, right, bias)
        if left.dtype != right.dtype or str(left.dtype) != "torch.bfloat16":
            return multiply(*factors, **more)
        return multiply(*(factor.float() for factor in factors), **more).to(left.dtype)

    return widened


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> Any:
        text = self.get_data(self.path).decode()
        for pattern, replacement in REWRITTEN:
            text = re.sub(pattern, replacement, text)
        return compile(text, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> Any:
        if not (fullname.startswith("openrlhf.") or fullname == VLLM_LAYERS):
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            found = finder.find_spec(fullname, path, target)
            if found is not None:
                if isinstance(found.loader, importlib.machinery.SourceFileLoader):
                    found.loader = _Loader(fullname, str(found.origin))
                return found
        return None


if os.environ.get("OPENRLHF_ON_CPU"):
    sys.meta_path.insert(0, _Finder())
