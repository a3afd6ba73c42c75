"""What the tests of the OpenRLHF adapter share: tiny real tokenizers and models, and an engine over them."""

import importlib
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

TEMPLATES = Path(__file__).parent / "chat_templates"
MARKERS = {
    "qwen2_5": ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    "qwen3": ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    "llama3_1": ("<|end_of_text|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
}


def make_tokenizer(family: str):
    """A byte-level tokenizer, trained on a line, with a family's markers and its published template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    markers = MARKERS[family]
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=list(markers)
    )
    tokenizer.train_from_iterator(["def f(x):\n    return x + 1\n```output\n3\n```"] * 4, trainer)
    bos = "<|begin_of_text|>" if family == "llama3_1" else None
    # Only named tokens are in all_special_ids, as with the published Llama: <|eot_id|> is not among them.
    found = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=markers[-1] if family != "llama3_1" else markers[0],
        pad_token=markers[0],
        bos_token=bos,
    )
    found.chat_template = (TEMPLATES / f"{family}.jinja").read_text()
    return found


def make_model(tokenizer):
    """A random Qwen3 of 0.1 M parameters."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=8192,
    )
    return Qwen3ForCausalLM(config).eval()


class HuggingFaceEngine:
    """The surface of upstream's ``RolloutRayActor.generate`` over ``transformers``.

    Args:
        tokenizer: The model's.
        model: Samples; with a script it is led to say the script's words, as a real model might.
        script: What it says, answer by answer, of each rollout; free sampling if None.
        end: The marker that the model writes at the end of an answer.
        stops: Whether the engine knows that marker; as with vLLM, else only those asked for end an answer.
    """

    def __init__(self, tokenizer, model, script=None, end: str = "<|im_end|>", stops: bool = True) -> None:
        self.tokenizer, self.model, self.end = tokenizer, model, tokenizer.convert_tokens_to_ids(end)
        self.stops = [self.end] if stops else []
        self.script = list(script) if script is not None else None
        self.asked: list[list[int]] = []
        self.most: list[int] = []

    async def generate(self, tokens, params, multi_modal_data=None):
        import torch

        self.asked.append(list(tokens))
        self.most.append(params.max_tokens)
        led = None
        if self.script is not None:
            said = self.tokenizer(self.script.pop(0), add_special_tokens=False)["input_ids"]
            led = [*said, self.end]
        ends = {*self.stops, *(params.stop_token_ids or ())}
        count = min(params.max_tokens, len(led) if led else 12)
        allowed = (lambda _, done: [led[len(done) - len(tokens)]]) if led else None
        with torch.no_grad():
            output = self.model.generate(
                input_ids=torch.tensor([tokens]),
                attention_mask=torch.ones(1, len(tokens), dtype=torch.long),
                max_new_tokens=count,
                do_sample=True,
                temperature=params.temperature,
                output_logits=True,
                return_dict_in_generate=True,
                eos_token_id=sorted(ends) or None,
                pad_token_id=self.tokenizer.pad_token_id,
                prefix_allowed_tokens_fn=allowed,
            )
        new = output.sequences[0, len(tokens) :].tolist()
        logprobs = [
            {token: SimpleNamespace(logprob=torch.log_softmax(step[0].float(), -1)[token].item())}
            for step, token in zip(output.logits, new, strict=True)
        ]
        stopped = new[-1] in ends
        text = self.tokenizer.decode(new[:-1] if stopped else new)  # vLLM leaves the marker out of the text
        answer = SimpleNamespace(
            token_ids=new, text=text, finish_reason="stop" if stopped else "length", logprobs=logprobs
        )
        return SimpleNamespace(outputs=[answer])


def sampling(most: int | None = None):
    """The part of vLLM's SamplingParams that upstream's executor touches."""
    return SimpleNamespace(temperature=1.0, max_tokens=most, logprobs=1, stop_token_ids=None)


def rollout_actor(monkeypatch, executor, generate):
    """Upstream's actor of an inference engine, as it starts a group; without vLLM, Ray's process and a GPU."""
    for name in ("vllm", "vllm.inputs", "vllm.utils"):
        monkeypatch.setitem(sys.modules, name, MagicMock(__spec__=ModuleSpec(name, None)))
    package = ModuleType("openrlhf.trainer.ray")  # its __init__ imports the trainer
    import openrlhf

    package.__path__ = [str(Path(openrlhf.__path__[0], "trainer", "ray"))]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.delitem(sys.modules, "openrlhf.trainer.ray.vllm_engine", raising=False)
    kind = importlib.import_module("openrlhf.trainer.ray.vllm_engine").RolloutRayActor.__ray_metadata__.modified_class
    actor = kind.__new__(kind)
    actor.executor, actor.generate = executor, generate
    return actor


def upstream(monkeypatch, *names: str):
    """Modules of upstream by name, without the GPU libraries that its packages import beside it.

    vLLM, DeepSpeed and flash-attention are stood in for: nothing of what is tested calls them.
    """
    import openrlhf

    root = Path(openrlhf.__path__[0])
    for name in ("vllm", "vllm.inputs", "vllm.utils", "deepspeed", "openrlhf.trainer.ray.vllm_engine"):
        monkeypatch.setitem(sys.modules, name, MagicMock(__spec__=ModuleSpec(name, None)))
    monkeypatch.setitem(sys.modules, "openrlhf.trainer.ray.launcher", MagicMock())
    for name in ("openrlhf.models", "openrlhf.trainer.ray"):  # their __init__ imports models and engines
        package = ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        monkeypatch.setitem(sys.modules, name, package)
    for name in list(sys.modules):
        if name.startswith(("openrlhf.trainer.ppo_", "openrlhf.models.utils", "openrlhf.utils.deepspeed")):
            monkeypatch.delitem(sys.modules, name)
    for name in ("openrlhf.models.ring_attn_utils", "openrlhf.utils.deepspeed.deepspeed_utils"):
        monkeypatch.setitem(sys.modules, name, MagicMock())
    sys.modules["openrlhf.models"].Actor = MagicMock  # a class, for annotations
    return [importlib.import_module(f"openrlhf.{name}") for name in names]


def launch(folder: Path, *flags: str) -> list[str]:
    """What the launch script of a folder asks Ray for."""
    subprocess.run(["bash", folder / "launch.sh", *flags], check=True, capture_output=True, timeout=120)
    return (folder.parent / "ray.txt").read_text().splitlines()
