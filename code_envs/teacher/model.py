"""The teacher that is a language model: it writes problems, sees what the student did, and mends what is refused.

Nothing that it writes is believed: its code runs in the executor alone, its values are read by the
bounded parser, results are what the executor found, and every problem passes its mode's validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from code_envs.errors import ConfigError, LiteralError, ProposalFailed
from code_envs.executor import Executor, shared_executor
from code_envs.models import Completion, Finish, Message, Model, ModelConfig, Request
from code_envs.modes import Complaint, Grade, validate
from code_envs.modes.blocks import visible_text
from code_envs.problem import Direction, Draft, Lineage, Mode, Problem, Seed
from code_envs.teacher.adaptive import RateTracker
from code_envs.teacher.base import LEVELS, Notes, Target
from code_envs.teacher.blocks import pick
from code_envs.teacher.constraints import FORMS, constraint, form_of, reminder
from code_envs.teacher.drafting import candidates
from code_envs.teacher.instructions import Instructions
from code_envs.teacher.reading import DraftRefused, read_parts
from code_envs.teacher.seeds import SeedSource, TreeSource
from code_envs.teacher.series import Series

__all__ = ["DRAFT_CHECKS", "ModelTeacher"]

DRAFT_CHECKS = {
    "refused": "The teacher does not refuse.",
    "rejected": "The server takes the request.",
    "timeout": "The reply comes in time.",
    "empty": "The reply is not empty.",
    "truncated": "The reply is not cut off.",
    "unreadable": "The reply can be read.",
    "missing": "No part of the problem is missing.",
    "planted": "A fault can be planted that few inputs show.",
    "same": "It is not the last problem again, nor an earlier one of its chain.",
}
"""What can be wrong with a draft before its mode's own checks (see ``CHECKS``), as true of a good one."""
_ENDS = {Finish.REFUSED: "refused", Finish.REJECTED: "rejected", Finish.TIMEOUT: "timeout"}
_STEP = {Direction.HARDER: 1, Direction.EASIER: -1}
_MAX_SHOWN = 8_000  # characters of its own draft that the teacher is shown again
_MAX_KEPT = 40_000  # characters of a reply that the journal keeps


class _Turn(NamedTuple):
    """What one problem is wanted for."""

    mode: Mode
    form: str
    prompt: str
    lineage: Lineage
    previous: Problem | None = None


class ModelTeacher:
    """Writes problems with a language model, from real code and from what a student did.

    A draft that fails a check goes back with the complaints, in words, up to ``repairs`` times. Every
    draft is kept, with what was wrong: see :meth:`take_notes`. Use one for each chain under way.

    Args:
        model: Who writes.
        config: How its replies are drawn; also names the teacher.
        source: Where the real code comes from; the standard library if None.
        executor: Runs the programs; the shared one if None.
        repairs: How often a draft may be mended.
        templates: A folder of prompts, see :class:`.instructions.Instructions`.
        constrain: What holds drafts to their form, a name of :data:`.constraints.CONSTRAINTS`; empty for nothing.
        plant_faults: In fuzzing, have it write what is right, and let a mutation plant the fault, the rarer the
            higher the level. A small model hardly ever writes a fault that shows.
        target: The pass rate to aim at where no level is asked for, in (0, 1).

    Raises:
        ConfigError: A number or the folder cannot be used.
        UnknownName: There is no such constraint.
    """

    modes = tuple(Mode)

    def __init__(
        self,
        model: Model,
        config: ModelConfig,
        source: SeedSource | None = None,
        executor: Executor | None = None,
        *,
        repairs: int = 3,
        templates: str | Path | None = None,
        constrain: str = "",
        plant_faults: bool = False,
        target: float = 0.5,
    ) -> None:
        if repairs < 0 or not 0 < target < 1:
            raise ConfigError(f"give repairs >= 0 and a target between 0 and 1, not {repairs} and {target}")
        self.model, self.config, self.name, self.repairs = model, config, config.model, repairs
        self.source = TreeSource() if source is None else source
        self.instructions = Instructions(templates)
        self.plant_faults, self.target, self.rates = plant_faults, target, RateTracker()
        self._constraints = {form: constraint(form, constrain) or msgspec.UNSET for form in FORMS}
        self._reminders = {form: reminder(form, constrain) for form in FORMS}
        self._executor = executor
        self._seed: Seed | None = None
        self._drafts: list[Draft] = []
        self._series = Series(plant_faults=plant_faults)

    @property
    def executor(self) -> Executor:
        """What runs the programs."""
        return self._executor or shared_executor()

    def propose(self, rng: np.random.Generator, level: int | None = None, mode: Mode | None = None) -> Problem:
        """Have a problem written from a piece of real code; see :meth:`.base.Teacher.propose`.

        Raises:
            ProposalFailed: No draft passed; the drafts are in the notes.
            ModelError: The model cannot be used.
        """
        mode = pick(rng, self.modes) if mode is None else Mode(mode)
        level = self.choose_level(rng, mode) if level is None else level
        if not 0 <= level < LEVELS:
            raise ConfigError(f"there is no level {level}: levels run from 0 to {LEVELS - 1}")
        self._seed = seed = self.source.draw(rng)
        chain = f"{self.name}-{mode}-{int(rng.integers(1 << 48)):012x}"
        lineage = Lineage(chain=chain, change="written", level=level, origin=seed.origin, licence=seed.licence)
        form = form_of(mode, plant_faults=self.plant_faults)
        return self._converse(rng, _Turn(mode, form, self.instructions.first(form, seed, level), lineage))

    def choose_level(self, rng: np.random.Generator, mode: Mode) -> int:
        """Choose the level whose pass rate lies nearest to the target; see :class:`.adaptive.RateTracker`."""
        return self.rates.choose_level(rng, mode, self.target)

    def vary(
        self, rng: np.random.Generator, problem: Problem, direction: Direction, target: Target | None = None
    ) -> Problem:
        """Have the next problem written, from what a student did on the last; see :meth:`.base.Teacher.vary`.

        Works on problems of any teacher. What repeats a problem of the chain that this teacher was given or
        made since it last began one, or its notes were taken, is refused.

        Raises:
            ProposalFailed: No draft passed; the drafts are in the notes.
            ModelError: The model cannot be used.
        """
        direction = Direction(direction)
        if direction is Direction.START:
            raise ConfigError("a problem is varied to be harder, easier or sideways; 'start' is what propose makes")
        lineage = problem.lineage.but(
            parent=problem.key,
            turn=problem.lineage.turn + 1,
            direction=direction,
            change="rewritten",
            level=min(LEVELS - 1, max(0, problem.lineage.level + _STEP.get(direction, 0))),
        )
        # without a reference it is not known what would be right: another teacher wrote the fault
        form = form_of(problem.mode, plant_faults=self.plant_faults and problem.differential)
        prompt = self.instructions.next(problem, direction, target or (0.35, 0.65), form)
        return self._converse(rng, _Turn(problem.mode, form, prompt, lineage, problem))

    def observe(self, problem: Problem, grade: Grade) -> None:
        """Take note of one graded attempt; unscored ones say nothing."""
        self.rates.take(problem, grade)

    def state_dict(self) -> dict[str, Any]:
        """What was observed, JSON-serialisable."""
        return self.rates.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.rates.load_state_dict(state)

    def take_notes(self) -> Notes:
        """Hand out the seed and every draft since the last call, and forget them and the problems of the chain."""
        notes = Notes(self._seed, tuple(self._drafts))
        self._seed, self._drafts = None, []
        self._series.forget()
        return notes

    def _converse(self, rng: np.random.Generator, turn: _Turn) -> Problem:
        """Ask for a draft, and have it mended until it passes; one that is no better for it is asked for anew."""
        opening: Message = {"role": "user", "content": turn.prompt + self._reminders[turn.form]}
        chat: tuple[Message, ...] = (opening,)
        earlier: list[Complaint] = []
        self._series.enter(turn.lineage.chain, turn.previous)
        for repair in range(self.repairs + 1):
            seed, form = int(rng.integers(1 << 31)), self._constraints[turn.form]
            request = Request(messages=chat, sampling=self.config.sampling, seed=seed, constraint=form)
            (completion,) = self.model.complete([request])
            problem, complaints = self._judge(completion, turn, rng)
            self._note(turn, repair, completion, complaints, problem)
            if problem is not None:
                self._series.add(problem)
                return problem
            stuck = complaints == earlier  # a model that reads its draft once more would write it once more
            earlier = [] if stuck else complaints
            chat = (opening,) if stuck else (opening, *self._answer(completion, turn.form, complaints))
        checks = ", ".join(dict.fromkeys(complaint.check for complaint in complaints))
        raise ProposalFailed(
            f"{self.name} wrote no valid {turn.mode} problem in {self.repairs + 1} drafts; "
            f"the last one was refused by: {checks}."
        )

    def _answer(self, completion: Completion, form: str, complaints: list[Complaint]) -> tuple[Message, ...]:
        """The draft and what is wrong with it; nothing where there is no draft to mend: it is asked for anew."""
        try:
            draft = visible_text(completion.text).strip()
        except LiteralError:
            return ()
        if not draft or completion.finish is not Finish.STOP:
            return ()
        return (
            {"role": "assistant", "content": draft[:_MAX_SHOWN]},
            {"role": "user", "content": self.instructions.repair(form, complaints) + self._reminders[form]},
        )

    def _judge(
        self, completion: Completion, turn: _Turn, rng: np.random.Generator
    ) -> tuple[Problem | None, list[Complaint]]:
        """Make a valid problem of a reply, or say why there is none."""
        complaints: list[Complaint] = []
        try:
            parts = read_parts(_text_of(completion))
            fault_level = turn.lineage.level if turn.form != turn.mode else None
            for candidate in candidates(turn.mode, parts, rng, self.executor, fault_level):
                found = self._complaints(candidate)
                if not found:
                    return candidate.but(lineage=turn.lineage.but(teacher=self.name)), []
                complaints = complaints or found
        except DraftRefused as refusal:
            cut = completion.finish is Finish.LENGTH
            text = "the reply was cut off before its end; write less" if cut else refusal.text
            complaints = complaints or [Complaint("truncated" if cut else refusal.check, text)]
        return None, complaints

    def _complaints(self, problem: Problem) -> list[Complaint]:
        repeated = self._series.repeated(problem)
        if repeated:
            return [Complaint("same", f"it is {repeated} again, apart from names; change what it asks")]
        return validate(problem, self.executor)

    def _note(
        self, turn: _Turn, repair: int, completion: Completion, complaints: list[Complaint], problem: Problem | None
    ) -> None:
        self._drafts.append(
            Draft(
                turn=turn.lineage.turn,
                direction=turn.lineage.direction,
                repair=repair,
                reply=_writable(completion.text[:_MAX_KEPT]),
                checks=tuple(dict.fromkeys(complaint.check for complaint in complaints)),
                complaints=tuple(_writable(complaint.text) for complaint in complaints),
                key=problem.key if problem else "",
                prompt_tokens=completion.prompt_tokens,
                completion_tokens=completion.completion_tokens,
            )
        )


def _text_of(completion: Completion) -> str:
    """The text of a reply; one that cannot hold a draft is refused."""
    if completion.finish in _ENDS:
        raise DraftRefused(_ENDS[completion.finish], completion.note or f"the reply ended as {completion.finish}")
    if not completion.text.strip():
        raise DraftRefused("empty", "the reply is empty")
    return completion.text


def _writable(text: str) -> str:
    """A model's lone surrogates cannot be written to a file."""
    return text.encode("utf-8", "replace").decode()
