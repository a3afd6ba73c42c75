"""The reward file of OpenRLHF: ``--reward.remote_url "$(code-envs path openrlhf-reward)"``.

For episodes of one answer without an agent: the label of each row names the problem, see
:mod:`code_envs.integrations.openrlhf_labels`. Labels of a curriculum need the agent file.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

from code_envs.integrations.node_grader import Grader, grade_patiently, make_grader
from code_envs.integrations.openrlhf_labels import read_label
from code_envs.integrations.openrlhf_rollout import logs
from code_envs.modes import Grade, Outcome
from code_envs.problem import Problem

__all__ = ["reward_func"]

_MARKERS = re.compile(r"(?:<\|[^<>|\s]{1,40}\|>|</s>|\s)+\Z")  # how a template ends an answer, and padding
_log = logging.getLogger(__name__)


def reward_func(queries: Sequence[str], prompts: Sequence[str], labels: Sequence[str], **_: Any) -> dict[str, Any]:
    """Grade answers. Never raises: upstream would drop the reward of what raised, and fail later.

    Args:
        queries: Prompt and answer as one text, special tokens included, of each sample.
        prompts: The prompts, as the model got them.
        labels: The labels of their rows.

    Returns:
        ``rewards`` and ``scores``, and in ``extra_logs`` each of the keys of
        :data:`~code_envs.integrations.openrlhf_rollout.LOGS`: values for one sample, else tensors of
        shape (samples,). Upstream asks for one sample at a time. What could not be graded has reward
        0 and ``infra`` 1: only the agent file can mask it.
    """
    work = [_graded(*one) for one in zip(queries, prompts, labels, strict=True)]
    rows = asyncio.run_coroutine_threadsafe(_all(work), _loop()).result()
    columns = {name: _values([row[name] for row in rows]) for name in rows[0]}
    return {"rewards": columns["reward"], "scores": columns["reward"], "extra_logs": columns}


async def _all(work: Any) -> list[dict[str, float]]:
    return list(await asyncio.gather(*work))


def _values(values: list[float]) -> Any:
    if len(values) == 1:
        return values[0]
    import torch

    return torch.tensor(values)


async def _graded(query: str, prompt: str, label: str) -> dict[str, float]:
    problem: Problem | None = None
    try:
        grader = _grader()
        problem = await grader.find(read_label(label))
        grade = await grade_patiently(grader, problem, answer_of(query, prompt))
    except Exception as error:
        _log.warning("a sample could not be graded: %s: %s", type(error).__name__, error)
        grade = Grade(outcome=Outcome.INFRA, reason=str(error))
    return logs(problem, [grade])


def answer_of(query: str, prompt: str) -> str:
    """The model's part of a text, without the markers at its end.

    A prompt that was cut, or that the tokenizer did not give back exactly, is found by its end.
    """
    tail = prompt[-80:]
    start = len(prompt) if query.startswith(prompt) else query.find(tail) + len(tail) if tail in query else 0
    return _MARKERS.sub("", query[start:])


@cache
def _grader() -> Grader:
    return make_grader()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """A loop in a thread of its own: upstream calls from many threads, each without one."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="code-envs-reward", daemon=True).start()
    return loop
