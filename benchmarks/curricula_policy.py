"""The student of the curriculum laboratory: a small transformer over characters, trained with GRPO.

Everything is done with PyTorch's own layers. The method is that of arXiv 2603.24202: advantages are
rewards minus their group's mean, neither divided by a standard deviation nor held by a KL term. It
is on-policy: one update for each batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from code_envs.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Policy", "Shape", "load_torch"]

_CHARS = "\n 0123456789abcdefghijkl:"
_END = 0  # the newline


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How large a policy is.

    Attributes:
        width: Features of a character.
        layers: Transformer layers.
        heads: Attention heads.
        prompt: Characters of a prompt; shorter ones are filled up on the left.
        answer: Characters of an answer, at most, its end included.
    """

    width: int = 48
    layers: int = 2
    heads: int = 4
    prompt: int = 5
    answer: int = 3


class Policy:
    """A causal transformer from characters to characters.

    Args:
        shape: Its size.
        seed: Of its weights and its samples.
        device: Where it runs: ``cpu``, ``cuda``; the best one there is if empty.

    Raises:
        MissingExtra: torch is not installed.
    """

    def __init__(self, shape: Shape, seed: int, device: str = "") -> None:
        self.torch = load_torch()
        torch = self.torch
        self.shape = shape
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(seed)
        layer = torch.nn.TransformerEncoderLayer(
            shape.width, shape.heads, 4 * shape.width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.net = torch.nn.ModuleDict(
            {
                "chars": torch.nn.Embedding(len(_CHARS), shape.width),
                "places": torch.nn.Embedding(shape.prompt + shape.answer, shape.width),
                "body": torch.nn.TransformerEncoder(layer, shape.layers, enable_nested_tensor=False),
                "norm": torch.nn.LayerNorm(shape.width),
                "head": torch.nn.Linear(shape.width, len(_CHARS)),
            }
        ).to(self.device)
        self.sampling = torch.Generator(self.device).manual_seed(seed)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), lr=1e-3, weight_decay=0.0)

    def begin(self, weights: dict[str, Any], seed: int, rate: float) -> None:
        """Take weights, and begin training from them anew."""
        self.net.load_state_dict(weights)
        self.sampling.manual_seed(seed)
        self.optimiser = self.torch.optim.AdamW(self.net.parameters(), lr=rate, weight_decay=0.0)

    def weights(self) -> dict[str, Any]:
        """A copy of the weights."""
        return {name: value.detach().clone() for name, value in self.net.state_dict().items()}

    def _scores(self, ids: Tensor) -> Tensor:
        """Logits of the next character, shape (rows, length, characters)."""
        torch, length = self.torch, ids.shape[1]
        places = torch.arange(length, device=self.device)
        mask = torch.triu(torch.full((length, length), float("-inf"), device=self.device), diagonal=1)
        features = self.net["chars"](ids) + self.net["places"](places)
        scores: Tensor = self.net["head"](self.net["norm"](self.net["body"](features, mask=mask, is_causal=True)))
        return scores

    def _encode(self, prompts: Sequence[str]) -> Tensor:
        rows = [[_CHARS.index(char) for char in prompt.rjust(self.shape.prompt)] for prompt in prompts]
        if any(len(row) > self.shape.prompt for row in rows):
            raise ConfigError(f"a prompt has more than {self.shape.prompt} characters")
        encoded: Tensor = self.torch.tensor(rows, device=self.device)
        return encoded

    def sample(self, prompts: Sequence[str]) -> tuple[list[str], Tensor]:
        """Sample one answer to each prompt, at temperature 1.

        Returns:
            The answers, and the characters of prompts and answers, shape (prompts, prompt + answer).
        """
        ids = self._encode(prompts)
        with self.torch.no_grad():
            for _ in range(self.shape.answer):
                shares = self._scores(ids)[:, -1].softmax(-1)
                ids = self.torch.cat([ids, self.torch.multinomial(shares, 1, generator=self.sampling)], dim=1)
        answers = ("".join(_CHARS[char] for char in row) for row in ids[:, self.shape.prompt :].tolist())
        return [answer.partition(_CHARS[_END])[0] for answer in answers], ids

    def imitate(self, prompts: Sequence[str], answers: Sequence[str]) -> None:
        """One step of supervised training."""
        own = [answer + _CHARS[_END] for answer in answers]
        padded = [[_CHARS.index(char) for char in answer.ljust(self.shape.answer, _CHARS[_END])] for answer in own]
        ids = self.torch.cat([self._encode(prompts), self.torch.tensor(padded, device=self.device)], dim=1)
        self._update(ids, self.torch.ones(len(prompts), device=self.device) / len(prompts))

    def reinforce(self, ids: Tensor, rewards: Sequence[float], group: int) -> None:
        """One step of GRPO.

        Args:
            ids: What :meth:`sample` returned, the members of a group one after the other.
            rewards: One for each row.
            group: How many rows are a group.
        """
        given = self.torch.tensor(rewards, device=self.device, dtype=self.torch.float32).view(-1, group)
        self._update(ids, (given - given.mean(dim=1, keepdim=True)).flatten() / len(rewards))

    def _update(self, ids: Tensor, weights: Tensor) -> None:
        """Raise the log-probability of each row's answer by its weight."""
        start = self.shape.prompt
        logs = self._scores(ids[:, :-1])[:, start - 1 :].log_softmax(-1)
        answer = ids[:, start:]
        chosen = logs.gather(-1, answer.unsqueeze(-1)).squeeze(-1)
        ended = (answer == _END).cumsum(dim=1)
        counted = (ended - (answer == _END).int() == 0).float()  # up to the end, and the end itself
        loss = -(chosen * counted).sum(dim=1) @ weights
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()


def load_torch() -> Any:
    """Import torch.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("torch", "lab") from error
    return torch
