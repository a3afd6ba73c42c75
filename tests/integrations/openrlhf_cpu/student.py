"""A tiny Qwen3 made from nothing, and taught the form of an answer: never which answer is right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

__all__ = ["make_student"]

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{m.role}}\n{{m.content}}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def make_student(
    folder: Path, prompts: Sequence[str], answers: Sequence[str], *, steps: int, seed: int, texts: Sequence[str] = ()
) -> None:
    """Make the model and save it.

    Args:
        folder: Where to.
        prompts: What the tokenizer is made for, and the form is taught on.
        answers: All replies in the right form; each is as likely as the others after any prompt.
        steps: Of supervised training.
        seed: Of weights and of the pairs.
        texts: What else the tokenizer is made for.
    """
    torch.manual_seed(seed)
    tokenizer = _tokenizer([*prompts, *answers, *texts])
    tokens = [
        tokenizer.apply_chat_template([{"role": "user", "content": p}], tokenize=False, add_generation_prompt=True)
        for p in prompts
    ]
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=32,
            max_position_embeddings=1024,
            tie_word_embeddings=False,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
        )
    )
    _teach_form(model, tokenizer, tokens, answers, steps=steps, rng=np.random.default_rng([seed, 0]))
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


def _tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1024, initial_alphabet=alphabet, special_tokens=_SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    made.chat_template = TEMPLATE
    return made


def _teach_form(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    answers: Sequence[str],
    *,
    steps: int,
    rng: np.random.Generator,
) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        pairs = [(prompts[rng.integers(len(prompts))], answers[rng.integers(len(answers))]) for _ in range(16)]
        full = tokenizer(
            [p + a + "<|im_end|>" for p, a in pairs], return_tensors="pt", padding=True, padding_side="right"
        )
        labels = full["input_ids"].masked_fill(full["attention_mask"] == 0, -100)
        for row, (prompt, _) in enumerate(pairs):
            labels[row, : len(tokenizer(prompt)["input_ids"])] = -100
        loss = model(input_ids=full["input_ids"], attention_mask=full["attention_mask"], labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
