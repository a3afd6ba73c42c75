"""The online way out: whoever rolls out asks for a problem and reports what came of it.

With a teacher, the set of problems follows the policy: a chain that has become too easy or too hard
gets a new sibling, made in the background while rollouts go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from code_envs.curricula.beliefs import Beliefs, Replies, shorten
from code_envs.curricula.bins import report_of
from code_envs.curricula.desk import TeacherDesk
from code_envs.curricula.ledger import Ledger
from code_envs.curricula.policies import Growing
from code_envs.curricula.sampler import Draw, Sampler
from code_envs.curricula.siblings import Answer, OnlineSettings, Siblings
from code_envs.curricula.tickets import Group, Tickets
from code_envs.errors import ConfigError, RunError, UnknownName
from code_envs.modes.base import Grade, Outcome
from code_envs.problem import Problem
from code_envs.teacher import TEACHERS, Teacher, make_teacher

__all__ = ["CurriculumService"]

_COUNTED = (
    "asked", "reports", "unscored", "late", "stray", "repeated", "expired", "harder", "easier", "failed"
)  # fmt: skip
_CHOICE = "choose() "  # how the tickets of an environment's groups begin
_FREE = ("workers", "timeout", "save_every")  # settings that the sequence does not depend on
_LOST = Grade(outcome=Outcome.INFRA, reason="never reported")


class CurriculumService:
    """Hands out a sampler's sequence to rollouts that ask, in any order and from any thread.

    All members of a group ask with the same ticket and get the same problem: the first one draws it.
    A group is complete with ``group_size`` grades; who asks with its ticket then gets a new draw, and
    so does who asks after ``group_size`` members have. A group that is never completed is given up
    after some steps; what is reported later still counts towards what is believed.

    The problem set changes where a step begins, that is, with the first draw of it: answers of the
    teacher come in, and chains whose groups were completed since are judged. Everything else depends
    on the seed and on what was asked and reported; so a run can be repeated whose teacher has
    answered, see :meth:`wait`, before each step. Nothing ever waits for the teacher.

    It is a curriculum for ``gym.make(..., curriculum=service)``, too.

    Args:
        sampler: The sequence.
        teacher: Makes new siblings: a name, a teacher, or a function that makes one in each of the
            threads; None leaves the problem set alone.
        settings: When siblings are wanted, and how long things are remembered.
        folder: Where the state is kept; None keeps it in memory alone. A service that finds a state
            there goes on from it, even if the last one was killed.
        barred: The keys of problems that are never handed out; the sampler has none of them.

    Raises:
        UnknownName: There is no such teacher.
        ConfigError: The sampler's policy cannot take in new problems, or the folder holds the state of
            a service with other settings.
        RunError: The folder holds something else, or another process is at work in it.
    """

    def __init__(
        self,
        sampler: Sampler,
        teacher: str | Teacher | Callable[[], Teacher] | None = None,
        *,
        settings: OnlineSettings | None = None,
        folder: str | Path | None = None,
        barred: Iterable[str] = (),
    ) -> None:
        self.settings = settings or OnlineSettings()
        self._barred = frozenset(barred)
        if (teacher or self.settings.rebin) and not isinstance(sampler.policy, Growing):
            raise ConfigError(f"the policy {type(sampler.policy).__name__} has no method grow: its problems are fixed")
        self.sampler = sampler
        self._lock = threading.RLock()
        self._tickets = Tickets(sampler.group_size)
        self._counts = dict.fromkeys(_COUNTED, 0)
        self._touched: set[str] = set()  # problems whose groups have ended since the step began
        self._choices = self._unsaved = 0
        self._last_error = ""
        self._beliefs, self._replies = Beliefs(self.settings.half_life), Replies()
        self._siblings = Siblings(self.settings, sampler.problems)
        for problem in sampler.problems:
            report = report_of(problem, sampler.pool.bins.student, sampler.pool.bins.attempts)
            if report is not None:
                self._beliefs.expect(problem, report)
        self._early: list[Answer] = []  # answers that are there before the desk has any
        self._replaying = self._closed = False
        self._desk = self._make_desk(teacher)
        self._ledger = Ledger(folder) if folder is not None else None
        if self._ledger is not None:
            try:
                self._recover(self._ledger)
            except BaseException:
                self._ledger.close()
                raise

    def _make_desk(self, teacher: str | Teacher | Callable[[], Teacher] | None) -> TeacherDesk | None:
        if teacher is None:
            return None
        if isinstance(teacher, str):
            name = teacher
            if name not in TEACHERS:  # refused here, not in a thread
                raise UnknownName("teacher", name, TEACHERS)
            make: Callable[[], Teacher] | Teacher = lambda: make_teacher(name)  # noqa: E731
        else:
            make = teacher
        return TeacherDesk(
            make,
            workers=self.settings.workers,
            timeout=self.settings.timeout,
            seed=self.sampler.seed,
            on_answer=self._keep_sibling,
        )

    @property
    def problems(self) -> list[Problem]:
        """All problems, retired ones included; new ones come at the end."""
        return self.sampler.problems

    # --- asking and reporting -------------------------------------------------------------------

    def ask(self, ticket: str | int, *, call: str = "") -> Draw:
        """Get the problem of a group; answers at once.

        Args:
            ticket: What the group is called: a prompt id, a row number.
            call: A name of this very question, so that it may be asked again after a fault; without
                one every question is another member's.

        Returns:
            The same draw for every member of the group.

        Raises:
            ConfigError: Every problem was retired.
        """
        with self._lock:
            self._refuse_closed()
            return self._ask(str(ticket), call)

    def _ask(self, ticket: str, call: str) -> Draw:
        group = self._tickets.find(ticket, call)
        if group is None:
            if self.sampler.index % self.sampler.batch_size == 0:
                self._begin_step()
            drawn = self.sampler.draw(fallback=True)
            group = Group(
                ticket=ticket,
                index=drawn.index,
                step=drawn.step,
                key=drawn.problem.key,
                bin=drawn.bin,
                due=self.sampler.group_size,
            )
            self._counts["repeated"] += self._tickets.is_open(ticket)  # asked more often than a group has members
            self._tickets.add(group)
        self._counts["asked"] += self._tickets.join(group, call)
        self._log({"ask": ticket, "call": call, "index": group.index, "key": group.key})
        return Draw(index=group.index, step=group.step, bin=group.bin, problem=self._problem(group.key))

    def report(
        self, ticket: str | int, grade: Grade, *, index: int | None = None, reply: str = "", call: str = ""
    ) -> None:
        """Say what one attempt was worth; the last of a group closes its ticket.

        A report that comes after its group was given up counts as late, one whose group is not known
        (any more) as stray; neither is an error.

        Args:
            ticket: What was asked with.
            grade: The verdict. One that is not scored counts as a member that is done, and no more.
            index: The draw's ``index``: tells apart the groups of one ticket; the oldest open one if None.
            reply: What the policy wrote, for the teacher to see; its last 4,000 characters count.
            call: A name of this very report, so that it may be made again after a fault.
        """
        with self._lock:
            self._refuse_closed()
            self._report(str(ticket), grade, index, shorten(reply), call)
            self._unsaved += 1
            if self._ledger is not None and self._unsaved >= self.settings.save_every:
                self._save(self._ledger, wait=False)

    def _report(self, ticket: str, grade: Grade, index: int | None, reply: str, call: str) -> None:
        group = self._tickets.reported(ticket, index)
        if group is not None and call and call in group.calls:
            return
        self._log(
            {"report": ticket, "outcome": grade.outcome, "reward": grade.reward, "reason": shorten(grade.reason)}
            | {"index": index, "reply": reply if self._desk else "", "call": call}
        )
        self._counts["reports"] += 1
        if group is None:
            self._counts["stray"] += 1
            return
        group.calls += [call] if call else []
        problem = self._problem(group.key)
        self._learn(problem, grade, group.step, reply)
        if group.index not in self._tickets.open:
            self._counts["late"] += 1
            return
        self.sampler.observe(problem, grade)
        group.due -= 1
        if group.due <= 0:
            self._end(group)

    def _learn(self, problem: Problem, grade: Grade, step: int, reply: str) -> None:
        if not grade.scored:
            self._counts["unscored"] += 1
            return
        self._beliefs.observe(problem, grade.passed, step)
        if reply and self._desk is not None:
            self._replies.add(problem.key, reply, grade)

    def _end(self, group: Group) -> None:
        self._tickets.close(group)
        self._touched.add(group.key)

    def _problem(self, key: str) -> Problem:
        return self.problems[self.sampler.pool.places[key]]

    # --- a curriculum for environments ----------------------------------------------------------

    def choose(self, rng: np.random.Generator) -> Problem:  # noqa: ARG002
        """Hand out the next attempt's problem; see :class:`code_envs.envs.Curriculum`."""
        with self._lock:
            self._refuse_closed()
            ticket = f"{_CHOICE}{self._choices // self.sampler.group_size}"
            self._choices += 1
            return self._ask(ticket, "").problem

    def observe(self, problem: Problem, grade: Grade) -> None:
        """Take note of one graded attempt at a problem that :meth:`choose` handed out; others say nothing."""
        with self._lock:
            groups = self._tickets.open.values()
            at = (group for group in groups if group.key == problem.key and group.ticket.startswith(_CHOICE))
            group = next(at, None)
            if group is not None:
                self.report(group.ticket, grade, index=group.index)

    # --- the teacher ----------------------------------------------------------------------------

    def _begin_step(self) -> None:
        """Everything that changes where a step begins, in an order that can be repeated."""
        step = self.sampler.step
        for group in self._tickets.expired(step - self.settings.patience):
            for _ in range(group.due):
                self.sampler.observe(self._problem(group.key), _LOST)
            self._counts["expired"] += 1
            self._end(group)
        added = self._take_answers(step)
        touched = sorted(self._touched, key=self.sampler.pool.places.__getitem__)
        touched += [problem.lineage.parent for problem in added if problem.lineage.parent not in self._touched]
        self._touched.clear()
        moved, retired = self._judge(touched, step)
        if added or moved or retired:
            bin_ = self.sampler.pool.bins.nearest(sum(self.settings.target) / 2)
            self.sampler.change([(problem, bin_) for problem in added], moved, retired)
        if self._desk is not None:
            for key in touched:
                self._wish(key, step)

    def _take_answers(self, step: int) -> list[Problem]:
        """The new siblings that are there by now."""
        answers = self._early + (self._desk.collect() if self._desk is not None and not self._replaying else [])
        self._early = []
        if answers:
            told = [[answer.number, answer.problem.key if answer.problem else "", answer.error] for answer in answers]
            self._log({"answers": told})
        added: list[Problem] = []
        for answer in answers:
            wish = self._siblings.pending[answer.number]
            there = self.sampler.pool.places.keys() | {problem.key for problem in added} | self._barred
            problem = self._siblings.settle(answer, step, there.__contains__)
            self._counts[wish.direction.value if problem else "failed"] += 1
            if problem is None:
                self._last_error = answer.error or "the teacher made a problem that is there already, or held out"
            else:
                self._siblings.add(problem)
                added.append(problem)
        return added

    def _judge(self, touched: list[str], step: int) -> tuple[dict[int, str], list[int]]:
        """New bins by place, and the places to retire."""
        moved: dict[int, str] = {}
        retired: list[int] = []
        for key in touched:
            place, belief = self.sampler.pool.places[key], self._beliefs.of(key, step)
            if self._siblings.outgrown(self.problems[place], belief):
                retired.append(place)
            elif self.settings.rebin and belief is not None and belief.tried >= self.settings.evidence:
                name = self.sampler.pool.bins.nearest(belief.rate)
                if name != self.sampler.pool.placed.names[place]:
                    moved[place] = name
        return moved, retired

    def _wish(self, key: str, step: int) -> None:
        wish = self._siblings.wish(
            self._problem(key),
            self._beliefs,
            self._replies,
            step,
            lambda problem: self.sampler.pool.places[problem.key] in self.sampler.retired,
        )
        if wish is not None and not self._replaying:
            self._submit(wish.number)

    def _submit(self, number: int) -> None:
        assert self._desk is not None
        wish = self._siblings.pending[number]
        problem = self._problem(wish.key)
        self._desk.submit(wish, problem.but(measurements=(*problem.measurements, wish.report)), self.settings.target)

    def _keep_sibling(self, answer: Answer) -> None:
        if self._ledger is not None and answer.problem is not None:
            self._ledger.add_sibling(answer.problem)

    def wait(self, timeout: float = 600.0) -> bool:
        """Wait until the teacher has answered everything that it was asked; its answers come in with the next step.

        Returns:
            Whether it has, within so many seconds.
        """
        return self._desk is None or self._desk.wait(timeout)

    # --- what it knows --------------------------------------------------------------------------

    def stats(self) -> dict[str, Any]:
        """Counts since the beginning and what is believed now, for logs.

        Returns:
            ``step``, ``problems``, ``retired``, ``open`` (groups), ``pending`` (siblings), ``rates`` by
            mode, ``last_error`` of the teacher, ``broken`` (why nothing is saved), and counts:
            ``asked``, ``reports``, ``unscored``, ``late``, ``stray``, ``repeated`` (tickets that were
            asked with for another group while one was open: is the trainer's group size this one's?),
            ``expired``, ``harder``, ``easier``, ``failed`` (siblings), ``fallbacks`` (draws for which
            the policy had no problem).
        """
        with self._lock:
            modes = {mode.value: self._beliefs.of(mode, self.sampler.step) for mode in self.sampler.pool.modes}
            return {
                "step": self.sampler.step,
                "problems": len(self.problems),
                "retired": len(self.sampler.retired),
                "open": len(self._tickets.open),
                "pending": len(self._siblings.pending),
                "rates": {mode: belief.rate for mode, belief in modes.items() if belief is not None},
                "last_error": self._last_error,
                "broken": self._ledger.broken if self._ledger is not None else "",
                "fallbacks": self.sampler.fallbacks,
                **self._counts,
            }

    def rate(self, key: str) -> float | None:
        """The believed pass rate of a problem, by its key, or of a mode; None if nothing was seen of it."""
        with self._lock:
            belief = self._beliefs.of(key, self.sampler.step)
            return None if belief is None else belief.rate

    def state_dict(self) -> dict[str, Any]:
        """Everything, new siblings included, JSON-serialisable."""
        with self._lock:
            early = [[one.number, one.problem.to_json() if one.problem else "", one.error] for one in self._early]
            return {
                "settings": self._plain_settings(),
                "sampler": self.sampler.state_dict(),
                "tickets": self._tickets.state_dict(),
                "beliefs": self._beliefs.state_dict(),
                "replies": self._replies.state_dict(),
                "siblings": self._siblings.state_dict(),
                "early": early,
                "touched": sorted(self._touched),
                "choices": self._choices,
                "counts": dict(self._counts),
                "last_error": self._last_error,
            }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned; siblings that were on their way are asked for again.

        Raises:
            ConfigError: It is the state of another sampler, or of a service with other settings.
        """
        with self._lock:
            self._load(state)
            self._submit_all()
            if self._ledger is not None:
                self._save(self._ledger, wait=True)

    def _load(self, state: Mapping[str, Any]) -> None:
        for name, value in self._plain_settings().items():
            found = state["settings"].get(name)
            if found != value and name not in _FREE:
                raise ConfigError(
                    f"the state is that of a service with {name} = {found!r}, not {value!r}: "
                    "give it the same, or begin in another folder"
                )
        self.sampler.load_state_dict(state["sampler"])
        if self._desk is not None:
            self._desk.forget()
        self._tickets.load_state_dict(state["tickets"])
        self._beliefs.load_state_dict(state["beliefs"])
        self._replies.load_state_dict(state["replies"])
        self._siblings = Siblings(self.settings, self.problems)
        self._siblings.load_state_dict(state["siblings"])
        self._early = [
            Answer(number=number, problem=Problem.from_json(text) if text else None, error=error)
            for number, text, error in state["early"]
        ]
        self._touched, self._choices = set(state["touched"]), int(state["choices"])
        self._counts = {**dict.fromkeys(_COUNTED, 0), **state["counts"]}
        self._last_error = state["last_error"]

    def _submit_all(self) -> None:
        if self._desk is not None:
            there = {answer.number for answer in self._early}
            for number in self._siblings.pending.keys() - there:
                self._submit(number)

    def _plain_settings(self) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self.settings))
        return plain

    # --- the folder -----------------------------------------------------------------------------

    def _recover(self, ledger: Ledger) -> None:
        """Go on from the folder: load its state, and do again what happened since."""
        if ledger.state is not None:
            self._load(ledger.state)
            self._replaying = True
            for event in ledger.events():
                self._replay(event, ledger)
            self._replaying = False
            self._find_early(ledger)
            self._submit_all()
        self._save(ledger, wait=True)

    def _replay(self, event: Mapping[str, Any], ledger: Ledger) -> None:
        if "answers" in event:
            self._early = [
                Answer(number=number, problem=ledger.siblings[key] if key else None, error=error)
                for number, key, error in event["answers"]
            ]
        elif "ask" in event:
            drawn = self._ask(event["ask"], event["call"])
            self._choices += event["ask"].startswith(_CHOICE)
            if (drawn.index, drawn.problem.key) != (event["index"], event["key"]):
                raise RunError(
                    f"{ledger.folder} cannot be gone on from: draw {event['index']} was {event['key']} and is now "
                    f"{drawn.problem.key}. Use the problems, the settings and the version that it was begun with."
                )
        else:
            grade = Grade(outcome=Outcome(event["outcome"]), reward=event["reward"], reason=event["reason"])
            self._report(event["report"], grade, event["index"], event["reply"], event["call"])

    def _find_early(self, ledger: Ledger) -> None:
        """Siblings that were made, but had not come in when the process ended."""
        there = {answer.number for answer in self._early}
        for number, wish in self._siblings.pending.items():
            made = (
                problem
                for problem in ledger.siblings.values()
                if (problem.lineage.parent, problem.lineage.direction) == (wish.key, wish.direction)
                and problem.key not in self.sampler.pool.places
            )
            problem = next(made, None)
            if problem is not None and number not in there:
                self._early.append(Answer(number=number, problem=problem))

    def _log(self, event: Mapping[str, Any]) -> None:
        if self._ledger is not None and not self._replaying:
            self._ledger.log(event)

    def _save(self, ledger: Ledger, *, wait: bool) -> None:
        number, state = ledger.begin_state(), self.state_dict()
        self._unsaved = 0
        writer = threading.Thread(target=ledger.save, args=(number, state), name="code-envs-service-state")
        writer.start()
        if wait:
            writer.join()

    def close(self) -> None:
        """Save everything and let go of the folder; a teacher at work is left to itself."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._desk is not None:
                self._desk.close()
            if self._ledger is not None:
                self._save(self._ledger, wait=True)
                self._ledger.close()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise RunError("the curriculum service is closed: make another one, over the same folder")

    def __enter__(self) -> CurriculumService:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
