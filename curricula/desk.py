"""The desk of a teacher: wishes for siblings go in, answers come out, and nobody waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np

from code_envs.curricula.siblings import Answer, Wish
from code_envs.errors import CodeEnvsError
from code_envs.problem import Problem
from code_envs.teacher import Teacher, take_notes

__all__ = ["TeacherDesk"]

_TEACH = 4  # streams of one seed, see sampler.py
_MOST_STUCK = 4  # threads that may hang before no more are begun
_log = logging.getLogger(__name__)


class _Job(NamedTuple):
    wish: Wish
    problem: Problem
    target: tuple[float, float]
    epoch: int


class TeacherDesk:
    """Has a teacher vary problems in background threads.

    Whatever a teacher raises is an answer without a problem. One that does not come back within the
    timeout is given up: its thread is left to itself and another one takes its place, up to four times.
    Wish ``n`` draws from ``np.random.default_rng([seed, 4, n])``, whichever thread works on it.

    Args:
        make: Makes a teacher, once in each thread; or the teacher itself, which one thread uses.
        workers: Threads, with a teacher each.
        timeout: Seconds that one sibling may take.
        seed: The only source of randomness.
        on_answer: Called with each answer, from a thread of the desk, before :meth:`collect` gives it out.
    """

    def __init__(
        self,
        make: Callable[[], Teacher] | Teacher,
        *,
        workers: int,
        timeout: float,
        seed: int,
        on_answer: Callable[[Answer], None] = lambda _: None,
    ) -> None:
        shared = isinstance(make, Teacher) and not isinstance(make, type)  # a class makes one in each thread, too
        self._make: Callable[[], Teacher] = (lambda: cast("Teacher", make)) if shared else cast("Any", make)
        self.workers, self.timeout, self.seed = 1 if shared else workers, timeout, seed
        self._most_stuck = 0 if shared else _MOST_STUCK  # a shared teacher must not be used twice at once
        self._on_answer = on_answer
        self._changed = threading.Condition()
        self._queue: deque[_Job] = deque()
        self._busy: dict[int, tuple[_Job, float]] = {}  # by thread, with the time that it began
        self._answers: list[Answer] = []
        self._threads = self._stuck = self._numbers = self._epoch = 0
        self._closed = False

    def submit(self, wish: Wish, problem: Problem, target: tuple[float, float]) -> None:
        """Ask for a sibling of a problem."""
        with self._changed:
            self._queue.append(_Job(wish, problem, target, self._epoch))
            self._staff()
            self._changed.notify()

    def collect(self) -> list[Answer]:
        """Take the answers since the last call, by the number of their wishes; never waits."""
        with self._changed:
            self._give_up_late_ones()
            answers, self._answers = self._answers, []
        return sorted(answers, key=lambda answer: answer.number)

    def wait(self, timeout: float) -> bool:
        """Wait until every wish has its answer.

        Returns:
            Whether it has.
        """
        end = time.monotonic() + timeout
        with self._changed:
            while self._queue or self._busy:
                self._give_up_late_ones()
                left = end - time.monotonic()
                if left <= 0 or (self._queue and not self._threads):
                    return not self._queue and not self._busy
                self._changed.wait(min(left, 0.2))
        return True

    def forget(self) -> None:
        """Drop all wishes; answers to them that are still being made count no more."""
        with self._changed:
            self._epoch += 1
            self._queue.clear()
            self._answers.clear()

    def close(self) -> None:
        """Begin nothing more; threads at work end with what they do."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()

    def _staff(self) -> None:
        while self._threads < min(self.workers, len(self._queue) + len(self._busy)) and not self._closed:
            self._threads += 1
            self._numbers += 1
            name = f"code-envs-teacher-{self._numbers}"
            # daemons: a teacher that hangs must not keep the process from ending
            threading.Thread(target=self._work, args=(self._numbers,), name=name, daemon=True).start()

    def _give_up_late_ones(self) -> None:
        now = time.monotonic()
        for number, (job, began) in list(self._busy.items()):
            if now - began > self.timeout:
                del self._busy[number]
                self._stuck += 1
                self._answer(job, None, f"the teacher took longer than {self.timeout:g} s")
                if self._stuck <= self._most_stuck:
                    self._threads -= 1
        self._staff()
        if self._stuck > self._most_stuck and not self._busy:
            while self._queue:
                self._answer(self._queue.popleft(), None, "the teacher hangs")

    def _answer(self, job: _Job, problem: Problem | None, error: str = "") -> None:
        if job.epoch == self._epoch:
            self._answers.append(Answer(number=job.wish.number, problem=problem, error=error))

    def _work(self, number: int) -> None:
        teacher: Teacher | None = None
        while (job := self._next(number)) is not None:
            problem, error = None, ""
            try:
                teacher = teacher or self._make()
                rng = np.random.default_rng([self.seed, _TEACH, job.wish.number])
                problem = job.wish.fit(teacher.vary(rng, job.problem, job.wish.direction, job.target), job.problem)
                take_notes(teacher)  # nobody reads them: let them go
            except BaseException as fault:  # whatever it is, no rollout may feel it
                error = f"{type(fault).__name__}: {fault}"
                level = logging.INFO if isinstance(fault, CodeEnvsError) else logging.WARNING
                _log.log(level, "no sibling of %s: %s", job.problem.key, error)
            self._finish(number, job, problem, error)

    def _next(self, number: int) -> _Job | None:
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            job = self._queue.popleft()
            self._busy[number] = job, time.monotonic()
            return job

    def _finish(self, number: int, job: _Job, problem: Problem | None, error: str) -> None:
        if problem is not None and job.epoch == self._epoch:
            self._on_answer(Answer(number=job.wish.number, problem=problem))
        with self._changed:
            if self._busy.pop(number, None) is not None:
                self._answer(job, problem, error)
            else:  # it was given up, and has come back after all
                self._stuck -= 1
            self._changed.notify_all()
