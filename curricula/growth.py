"""How an online service's problem set follows the policy: what is believed, and the siblings made for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import chain
from typing import Any

from code_envs.curricula.beliefs import Beliefs, Replies
from code_envs.curricula.bins import report_of
from code_envs.curricula.desk import TeacherDesk
from code_envs.curricula.sampler import Sampler
from code_envs.curricula.siblings import Answer, OnlineSettings, Siblings
from code_envs.dedup import fingerprints
from code_envs.errors import UnknownName
from code_envs.modes.base import Grade
from code_envs.problem import Problem
from code_envs.teacher import TEACHERS, Teacher, make_teacher

__all__ = ["Growth"]


class Growth:
    """Takes in grades at any time, and changes the problem set where a step begins.

    Not safe to use from several threads at once: the service that owns it holds its lock.

    Args:
        sampler: Whose problems they are.
        teacher: Makes new siblings; None leaves the problem set alone.
        settings: When siblings are wanted.
        barred: Problems that are never handed out, nor what equals one of them in normal form.
        counts: The service's, counted on here: ``unscored``, ``harder``, ``easier``, ``failed``.
        log: Writes down what happened, so that it can be repeated.
        on_answer: Called with each answer of the teacher, from another thread.

    Raises:
        UnknownName: There is no such teacher.
    """

    def __init__(
        self,
        sampler: Sampler,
        teacher: str | Teacher | Callable[[], Teacher] | None,
        settings: OnlineSettings,
        *,
        barred: Iterable[Problem],
        counts: dict[str, int],
        log: Callable[[Mapping[str, Any]], None],
        on_answer: Callable[[Answer], None],
    ) -> None:
        self.sampler, self.settings = sampler, settings
        self._barred, self._counts, self._log = frozenset(chain.from_iterable(map(fingerprints, barred))), counts, log
        self.beliefs, self.replies = Beliefs(settings.half_life), Replies()
        self.siblings = Siblings(settings, sampler.problems)
        for problem in sampler.problems:
            report = report_of(problem, sampler.pool.bins.student, sampler.pool.bins.attempts)
            if report is not None:
                self.beliefs.expect(problem, report)
        self.touched: set[str] = set()  # problems whose groups have ended since the step began
        self.early: list[Answer] = []  # answers that are there before the desk has any
        self.last_error = ""
        self.replaying = False  # then answers come from the log, and the teacher is asked nothing
        self.desk = self._make_desk(teacher, on_answer)

    def _make_desk(
        self, teacher: str | Teacher | Callable[[], Teacher] | None, on_answer: Callable[[Answer], None]
    ) -> TeacherDesk | None:
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
            on_answer=on_answer,
        )

    def problem(self, key: str) -> Problem:
        """The problem with this key."""
        return self.sampler.problems[self.sampler.pool.places[key]]

    def learn(self, problem: Problem, grade: Grade, step: int, reply: str) -> None:
        """Take note of a grade, and of a reply where there is a teacher to see it."""
        if not grade.scored:
            self._counts["unscored"] += 1
            return
        self.beliefs.observe(problem, grade.passed, step)
        if reply and self.desk is not None:
            self.replies.add(problem.key, reply, grade)

    def begin_step(self, step: int) -> None:
        """Everything that changes where a step begins, in an order that can be repeated."""
        added = self._take_answers(step)
        touched = sorted(self.touched, key=self.sampler.pool.places.__getitem__)
        touched += [problem.lineage.parent for problem in added if problem.lineage.parent not in self.touched]
        self.touched.clear()
        moved, retired = self._judge(touched, step)
        if added or moved or retired:
            bin_ = self.sampler.pool.bins.nearest(sum(self.settings.target) / 2)
            self.sampler.change([(problem, bin_) for problem in added], moved, retired)
        if self.desk is not None:
            for key in touched:
                self._wish(key, step)

    def _take_answers(self, step: int) -> list[Problem]:
        """The new siblings that are there by now."""
        answers = self.early + (self.desk.collect() if self.desk is not None and not self.replaying else [])
        self.early = []
        if answers:
            told = [[answer.number, answer.problem.key if answer.problem else "", answer.error] for answer in answers]
            self._log({"answers": told})
        added: list[Problem] = []
        there = set(self.sampler.pool.places) if answers else set()
        for answer in answers:
            wish = self.siblings.pending[answer.number]
            problem = self.siblings.settle(answer, step, lambda made: made.key in there or self._is_barred(made))
            self._counts[wish.direction.value if problem else "failed"] += 1
            if problem is None:
                self.last_error = answer.error or "the teacher made a problem that is there already, or held out"
            else:
                self.siblings.add(problem)
                added.append(problem)
                there.add(problem.key)
        return added

    def _is_barred(self, problem: Problem) -> bool:
        return bool(self._barred) and not self._barred.isdisjoint(fingerprints(problem))

    def _judge(self, touched: list[str], step: int) -> tuple[dict[int, str], list[int]]:
        """New bins by place, and the places to retire."""
        moved: dict[int, str] = {}
        retired: list[int] = []
        for key in touched:
            place, belief = self.sampler.pool.places[key], self.beliefs.of(key, step)
            if self.siblings.outgrown(self.sampler.problems[place], belief):
                retired.append(place)
            elif self.settings.rebin and belief is not None and belief.tried >= self.settings.evidence:
                name = self.sampler.pool.bins.nearest(belief.rate)
                if name != self.sampler.pool.placed.names[place]:
                    moved[place] = name
        return moved, retired

    def _wish(self, key: str, step: int) -> None:
        wish = self.siblings.wish(
            self.problem(key),
            self.beliefs,
            self.replies,
            step,
            lambda problem: self.sampler.pool.places[problem.key] in self.sampler.retired,
        )
        if wish is not None and not self.replaying:
            self._submit(wish.number)

    def _submit(self, number: int) -> None:
        assert self.desk is not None
        wish = self.siblings.pending[number]
        problem = self.problem(wish.key)
        self.desk.submit(wish, problem.but(measurements=(*problem.measurements, wish.report)), self.settings.target)

    def submit_all(self) -> None:
        """Ask the teacher again for every sibling that is on its way."""
        if self.desk is not None:
            there = {answer.number for answer in self.early}
            for number in self.siblings.pending.keys() - there:
                self._submit(number)

    def find_early(self, siblings: Collection[Problem]) -> None:
        """Take up siblings that were made, but had not come in when the process ended."""
        there = {answer.number for answer in self.early}
        for number, wish in self.siblings.pending.items():
            made = (
                problem
                for problem in siblings
                if (problem.lineage.parent, problem.lineage.direction) == (wish.key, wish.direction)
                and problem.key not in self.sampler.pool.places
                and not self._is_barred(problem)  # it was refused, for an earlier wish
            )
            problem = next(made, None)
            if problem is not None and number not in there:
                self.early.append(Answer(number=number, problem=problem))

    def state_dict(self) -> dict[str, Any]:
        """Everything but the problems, JSON-serialisable."""
        early = [[one.number, one.problem.to_json() if one.problem else "", one.error] for one in self.early]
        return {
            "beliefs": self.beliefs.state_dict(),
            "replies": self.replies.state_dict(),
            "siblings": self.siblings.state_dict(),
            "early": early,
            "touched": sorted(self.touched),
            "last_error": self.last_error,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned; the sampler's own state is restored before."""
        if self.desk is not None:
            self.desk.forget()
        self.beliefs.load_state_dict(state["beliefs"])
        self.replies.load_state_dict(state["replies"])
        self.siblings = Siblings(self.settings, self.sampler.problems)
        self.siblings.load_state_dict(state["siblings"])
        self.early = [
            Answer(number=number, problem=Problem.from_json(text) if text else None, error=error)
            for number, text, error in state["early"]
        ]
        self.touched = set(state["touched"])
        self.last_error = state["last_error"]
