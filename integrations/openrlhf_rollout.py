"""One episode of a trainer: from a row's prompt and label to a reward and what is logged about it."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import lru_cache
from typing import Any, NamedTuple

from code_envs import modes
from code_envs.envs.single import feedback_for
from code_envs.errors import ConfigError, ExecutorError, ProposalFailed
from code_envs.integrations.node_grader import Grader, grade_patiently
from code_envs.integrations.openrlhf_labels import Label, placeholder, read_label
from code_envs.integrations.turns import Tokenizer, find_turns
from code_envs.modes import Grade, Outcome
from code_envs.problem import Mode, Problem

__all__ = ["LOGS", "Rollout", "Turn", "logs"]

LOGS = (
    *("reward", "format", *(str(outcome) for outcome in Outcome), "masked", "out_of_tokens"),
    *(f"mode_{mode}" for mode in Mode),
    *(f"passed_{mode}" for mode in Mode),
    *("level", "turn", "cpu_seconds", "grading_seconds"),
)
"""What is logged about every sample: the same keys for every mode, or the trainer could not batch them."""
_log = logging.getLogger(__name__)


class Turn(NamedTuple):
    """What came of one answer.

    Attributes:
        reward: 1 if it passed, else 0.
        feedback: What is appended to the tokens before the next answer; empty at the end.
        done: Whether the episode is over.
    """

    reward: float
    feedback: str
    done: bool


class Rollout:
    """One member of a group.

    Args:
        label: The row's label.
        grader: Grades off the event loop.
        tokenizer: The model's.
    """

    def __init__(self, label: str, grader: Grader, tokenizer: Tokenizer) -> None:
        self.label: Label = read_label(label)
        self.grades: list[Grade] = []
        self.problem: Problem | None = None
        self.done = False
        self._grader, self._tokenizer = grader, tokenizer
        self._prompt = self._reply = self._lost = ""
        self._drawn: int | None = None  # the draw's number, where a curriculum chose
        self._seconds = 0.0

    @property
    def masked(self) -> bool:
        """Whether this says nothing about the model: no answer was graded, or the last could not be."""
        return not self.grades or not self.grades[-1].scored

    async def begin(self, observation: str) -> str:
        """Find the problem; the prompt to start with.

        Args:
            observation: The row's prompt, as the trainer rendered it. A placeholder in it is replaced, so
                that everything around it stays: template, system prompt, opening of the answer.

        Raises:
            ConfigError: The label names no problem, or its row lost its placeholder.
        """
        hole = placeholder(self.label.ticket or str(self.label.seed))
        if self.label.curriculum:
            service = await _service(self.label.curriculum)
            drawn = await service.ask(self.label.ticket)
            self.problem, self._drawn = drawn.problem, drawn.index
        else:
            try:
                self.problem = await self._grader.find(self.label)
            except (ExecutorError, ProposalFailed) as error:  # a seed without a problem must not end the training
                self._lost = f"no problem for the label: {error}"
                return observation
        if hole in observation:
            observation = observation.replace(hole, modes.prompt(self.problem).text.strip())
        elif self.label.curriculum:
            raise ConfigError(
                f"the prompt of ticket {self.label.ticket!r} lacks its placeholder {hole!r}: export again"
            )
        self._prompt = observation
        return observation

    async def answer(self, reply: str, end: str = "") -> Turn:
        """Grade an answer.

        Args:
            reply: What the model wrote, without the marker that ends its turn.
            end: That marker, if the answer's tokens hold it.
        """
        start = time.perf_counter()
        if self.problem is None:
            grade = Grade(outcome=Outcome.INFRA, reason=self._lost)
        else:
            grade = await grade_patiently(self._grader, self.problem, reply, hide=self.label.max_turns > 1)
        self._seconds += time.perf_counter() - start
        self.grades.append(grade)
        self._reply = reply
        if not grade.scored:
            _log.warning("a rollout is masked: %s", grade.reason)
        left = self.label.max_turns - len(self.grades)
        self.done = grade.passed or not grade.scored or left == 0
        if self.done:
            return Turn(grade.reward, "", True)
        text = feedback_for(grade, left)
        return Turn(grade.reward, find_turns(self._tokenizer, self._prompt).between(text, end), False)

    async def finish(self) -> None:
        """Tell the curriculum, however the episode ended; a member that answered nothing counts, too."""
        if self._drawn is None:
            return
        grade = self.grades[-1] if self.grades else Grade(outcome=Outcome.INFRA, reason="no answer")
        service = await _service(self.label.curriculum)
        await service.report(self.label.ticket, grade, index=self._drawn, reply=self._reply)

    def logs(self) -> dict[str, float]:
        """What is logged; see :data:`LOGS`."""
        out_of_tokens = bool(self.grades) and not self.done
        return logs(self.problem, self.grades, out_of_tokens=out_of_tokens, seconds=self._seconds)


def logs(
    problem: Problem | None, grades: list[Grade], *, out_of_tokens: bool = False, seconds: float = 0.0
) -> dict[str, float]:
    """What is logged about an episode; see :data:`LOGS`.

    Args:
        problem: What was asked, if that is known.
        grades: Of all answers, in order.
        out_of_tokens: Whether it ended before its last answer because no tokens were left.
        seconds: Time that passed while it was graded.
    """
    last = grades[-1] if grades else Grade(outcome=Outcome.INFRA)
    found = dict.fromkeys(LOGS, 0.0) | {
        "reward": sum((grade.reward for grade in grades), 0.0),
        "format": float(last.scored and last.outcome is not Outcome.MALFORMED),
        str(last.outcome): 1.0,
        "masked": float(not last.scored),
        "out_of_tokens": float(out_of_tokens),
        "turn": float(len(grades)),
        "cpu_seconds": sum((grade.cpu_seconds for grade in grades), 0.0),
        "grading_seconds": seconds,
    }
    if problem is not None:
        found |= {
            f"mode_{problem.mode}": 1.0,
            f"passed_{problem.mode}": float(last.passed),
            "level": float(problem.lineage.level),
        }
    return found


async def _service(name: str) -> Any:
    """The client of a curriculum service. Connecting blocks: it is done in a thread, and once."""
    return await asyncio.to_thread(_connected, name)


@lru_cache(maxsize=16)
def _connected(name: str) -> Any:
    from code_envs.integrations.ray_service import connect

    return connect(name)
