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

from code_envs.curricula.beliefs import shorten
from code_envs.curricula.growth import Growth
from code_envs.curricula.ledger import Ledger
from code_envs.curricula.policies import Growing
from code_envs.curricula.sampler import Draw, Sampler
from code_envs.curricula.siblings import Answer, OnlineSettings
from code_envs.curricula.tickets import Group, Tickets
from code_envs.errors import ConfigError, RunError
from code_envs.modes.base import Grade, Outcome
from code_envs.problem import Problem
from code_envs.teacher import Teacher

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
        barred: Problems that are never handed out; the sampler has none of them, and a sibling that equals
            one in normal form (see :func:`code_envs.dedup.fingerprints`) is refused.

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
        barred: Iterable[Problem] = (),
    ) -> None:
        self.settings = settings or OnlineSettings()
        if (teacher or self.settings.rebin) and not isinstance(sampler.policy, Growing):
            raise ConfigError(f"the policy {type(sampler.policy).__name__} has no method grow: its problems are fixed")
        self.sampler = sampler
        self._lock = threading.RLock()
        self._tickets = Tickets(sampler.group_size)
        self._counts = dict.fromkeys(_COUNTED, 0)
        self._choices = self._unsaved = 0
        self._closed = False
        self._growth = Growth(
            sampler,
            teacher,
            self.settings,
            barred=barred,
            counts=self._counts,
            log=self._log,
            on_answer=self._keep_sibling,
        )
        self._ledger = Ledger(folder) if folder is not None else None
        if self._ledger is not None:
            try:
                self._recover(self._ledger)
            except BaseException:
                self._ledger.close()
                raise

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
        return Draw(index=group.index, step=group.step, bin=group.bin, problem=self._growth.problem(group.key))

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
            | {"index": index, "reply": reply if self._growth.desk else "", "call": call}
        )
        self._counts["reports"] += 1
        if group is None:
            self._counts["stray"] += 1
            return
        group.calls += [call] if call else []
        problem = self._growth.problem(group.key)
        self._growth.learn(problem, grade, group.step, reply)
        if group.index not in self._tickets.open:
            self._counts["late"] += 1
            return
        self.sampler.observe(problem, grade)
        group.due -= 1
        if group.due <= 0:
            self._end(group)

    def _end(self, group: Group) -> None:
        self._tickets.close(group)
        self._growth.touched.add(group.key)

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

    # --- steps and the teacher ------------------------------------------------------------------

    def _begin_step(self) -> None:
        """Give up the groups that are overdue, then let the problem set follow the policy."""
        step = self.sampler.step
        for group in self._tickets.expired(step - self.settings.patience):
            for _ in range(group.due):
                self.sampler.observe(self._growth.problem(group.key), _LOST)
            self._counts["expired"] += 1
            self._end(group)
        self._growth.begin_step(step)

    def _keep_sibling(self, answer: Answer) -> None:
        if self._ledger is not None and answer.problem is not None:
            self._ledger.add_sibling(answer.problem)

    def wait(self, timeout: float = 600.0) -> bool:
        """Wait until the teacher has answered everything that it was asked; its answers come in with the next step.

        Returns:
            Whether it has, within so many seconds.
        """
        return self._growth.desk is None or self._growth.desk.wait(timeout)

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
            modes = {mode.value: self._growth.beliefs.of(mode, self.sampler.step) for mode in self.sampler.pool.modes}
            return {
                "step": self.sampler.step,
                "problems": len(self.problems),
                "retired": len(self.sampler.retired),
                "open": len(self._tickets.open),
                "pending": len(self._growth.siblings.pending),
                "rates": {mode: belief.rate for mode, belief in modes.items() if belief is not None},
                "last_error": self._growth.last_error,
                "broken": self._ledger.broken if self._ledger is not None else "",
                "fallbacks": self.sampler.fallbacks,
                **self._counts,
            }

    def rate(self, key: str) -> float | None:
        """The believed pass rate of a problem, by its key, or of a mode; None if nothing was seen of it."""
        with self._lock:
            belief = self._growth.beliefs.of(key, self.sampler.step)
            return None if belief is None else belief.rate

    def state_dict(self) -> dict[str, Any]:
        """Everything, new siblings included, JSON-serialisable."""
        with self._lock:
            return {
                "settings": self._plain_settings(),
                "sampler": self.sampler.state_dict(),
                "tickets": self._tickets.state_dict(),
                **self._growth.state_dict(),
                "choices": self._choices,
                "counts": dict(self._counts),
            }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned; siblings that were on their way are asked for again.

        Raises:
            ConfigError: It is the state of another sampler, or of a service with other settings.
        """
        with self._lock:
            self._load(state)
            self._growth.submit_all()
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
        self._tickets.load_state_dict(state["tickets"])
        self._growth.load_state_dict(state)
        self._choices = int(state["choices"])
        self._counts.update({**dict.fromkeys(_COUNTED, 0), **state["counts"]})  # in place: the growth counts, too

    def _plain_settings(self) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self.settings))
        return plain

    # --- the folder -----------------------------------------------------------------------------

    def _recover(self, ledger: Ledger) -> None:
        """Go on from the folder: load its state, and do again what happened since."""
        if ledger.state is not None:
            self._load(ledger.state)
            self._growth.replaying = True
            for event in ledger.events():
                self._replay(event, ledger)
            self._growth.replaying = False
            self._growth.find_early(ledger.siblings.values())
            self._growth.submit_all()
        self._save(ledger, wait=True)

    def _replay(self, event: Mapping[str, Any], ledger: Ledger) -> None:
        if "answers" in event:
            self._growth.early = [
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

    def _log(self, event: Mapping[str, Any]) -> None:
        if self._ledger is not None and not self._growth.replaying:
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
            if self._growth.desk is not None:
                self._growth.desk.close()
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
