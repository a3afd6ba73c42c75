"""OpenRLHF's multi-turn executor with our environments in it; tested with OpenRLHF 0.11.2.

Upstream drives the episode: it tokenises, generates, appends. What is added here is what an instance
built without arguments cannot know: the tokenizer, the last answer's tokens, and the rest of the group.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass
from typing import Any

from code_envs.errors import ConfigError, MissingExtra
from code_envs.integrations.node_grader import make_grader
from code_envs.integrations.openrlhf_rollout import Rollout
from code_envs.integrations.turns import find_turns

__all__ = ["Group", "make_agent_executor"]

_ALONE = (
    "a rollout that could not be graded has no group, and counts with reward 0. In training that means that the "
    "installed OpenRLHF does not start groups as 0.11.2 does: install openrlhf==0.11.2"
)
_log = logging.getLogger(__name__)


class Group:
    """The attempts at one prompt, which find out what the others were worth.

    An attempt that could not be graded gets the mean reward of the others: with it, neither its own
    advantage nor the baseline of the others is moved by it.
    """

    def __init__(self) -> None:
        self.size = 0
        self.rewards: list[float] = []
        self._settled = 0
        self._all = asyncio.Event()

    @property
    def settled(self) -> bool:
        """Whether all attempts are over."""
        return self._all.is_set()

    def settle(self, reward: float | None = None) -> None:
        """Say that an attempt is over, and what it was worth if that is known."""
        self._settled += 1
        if reward is not None:
            self.rewards.append(reward)
        if self._settled == self.size:
            self._all.set()

    async def mean(self) -> float:
        """Wait for all attempts; their mean reward, 0 if none was graded."""
        await self._all.wait()
        return sum(self.rewards) / len(self.rewards) if self.rewards else 0.0


@dataclass
class _Engine:
    """Upstream's engine; ends each answer after ``max_new_tokens`` or with its turn, and remembers how it ended."""

    engine: Any
    tokenizer: Any
    most: int | None
    stop: int | None
    end: str = ""

    async def generate(self, tokens: Any, sampling_params: Any, **more: Any) -> Any:
        if self.most is not None:  # upstream gives a turn all that is left
            sampling_params.max_tokens = min(sampling_params.max_tokens, self.most)
        if self.stop is not None:  # a base model's own end of text is not the marker of its chat template
            sampling_params.stop_token_ids = [*(sampling_params.stop_token_ids or ()), self.stop]
        output = await self.engine.generate(tokens, sampling_params, **more)
        answer = output.outputs[0]
        self.end = _marker(self.tokenizer, answer.token_ids[-1]) if answer.finish_reason == "stop" else ""
        return output


def _end_of_turn(tokenizer: Any, prompt: str) -> int | None:
    """The marker with which the chat template ends an answer; None if it uses none, or the prompt no template."""
    try:
        turns = find_turns(tokenizer, prompt)
    except ConfigError:  # it matters to episodes of several answers alone, which say so
        return None
    tokens = tokenizer(turns.before, add_special_tokens=False)["input_ids"]
    return tokens[0] if tokens and _marker(tokenizer, tokens[0]) else None


def _marker(tokenizer: Any, token: int) -> str:
    """The text of a token that is a marker, such as the end of a turn; empty for any other."""
    return "" if tokenizer.decode([token], skip_special_tokens=True) else str(tokenizer.decode([token]))


@dataclass
class _Seat:
    """What an instance finds when it is built."""

    rollout: Rollout
    engine: _Engine


_seat: ContextVar[_Seat] = ContextVar("seat")


def make_agent_executor() -> type:
    """Make the class that ``--train.agent_func_path`` asks for.

    Raises:
        MissingExtra: openrlhf is not installed.
    """
    try:
        import torch
        from openrlhf.utils.agent import AgentInstanceBase, MultiTurnAgentExecutor
    except ImportError as error:
        raise MissingExtra("openrlhf", "openrlhf") from error

    class AgentInstance(AgentInstanceBase):  # type: ignore[misc]
        """One episode; all it does is in :class:`Rollout`."""

        def __init__(self) -> None:
            self._seat = _seat.get()

        async def reset(self, states: dict[str, Any], **_: Any) -> dict[str, Any]:
            return {"observation": await self._seat.rollout.begin(states["observation"])}

        async def step(self, states: dict[str, Any], **_: Any) -> dict[str, Any]:
            rollout, end = self._seat.rollout, self._seat.engine.end
            reply = states["action_text"]
            turn = await rollout.answer(reply.removesuffix(end) if end else reply, end)
            return {
                "rewards": torch.tensor(turn.reward),
                "scores": turn.reward,
                "environment_feedback": turn.feedback,
                "done": turn.done,
                "extra_logs": rollout.logs(),
            }

    class AgentExecutor(MultiTurnAgentExecutor):  # type: ignore[misc]
        """Upstream's executor: prompts and labels in, tokens, ranges and rewards out."""

        def __init__(self) -> None:
            super().__init__(AgentInstance)
            self._grader: Any = None
            self._groups: dict[Any, Group] = {}

        async def execute(  # noqa: PLR0917  # upstream's signature
            self,
            prompt: Any,
            label: str,
            sampling_params: Any,
            max_length: int,
            hf_tokenizer: Any,
            llm_engine: Any,
            images: Any = None,
        ) -> dict[str, Any]:
            """One attempt; see upstream.

            Upstream starts a group with one call of its engine, which hands the same object ``sampling_params``
            to all members and holds it until they are done: by it they find each other.
            """
            self._grader = self._grader or make_grader()
            rollout = Rollout(label, self._grader, hf_tokenizer)
            engine = _Engine(
                llm_engine, hf_tokenizer, sampling_params.max_tokens, _end_of_turn(hf_tokenizer, str(prompt))
            )
            _seat.set(_Seat(rollout, engine))
            name = (id(sampling_params), label)
            group = self._groups.setdefault(name, Group())
            group.size += 1
            reward: float | None = None
            try:
                response: dict[str, Any] = await super().execute(
                    prompt, label, copy(sampling_params), max_length, hf_tokenizer, engine, images
                )
                await rollout.finish()
                reward = None if rollout.masked else response["reward"]
            finally:
                group.settle(reward)
                if group.settled:
                    self._groups.pop(name, None)
            response["extra_logs"] = rollout.logs()
            if rollout.masked:
                mean = await group.mean()
                if group.size == 1:
                    _log.error(_ALONE)
                _mask(response, mean)
            return response

    return AgentExecutor


def _mask(response: dict[str, Any], reward: float) -> None:
    """Take an attempt out of the update, as far as upstream allows.

    Its reward is the mean of the group's others, so that its advantage is 0. One token stays in the
    action mask: upstream divides by the number of an attempt's tokens. Penalties for length pass it by.
    """
    response["truncated"] = False
    response["reward"] = response["scores"] = reward
    end = response["action_ranges"][-1][1] if response["action_ranges"] else len(response["observation_tokens"])
    response["action_ranges"] = [(end - 1, end)]
    response["extra_logs"]["reward"] = reward
