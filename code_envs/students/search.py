"""A student that needs no model: it searches, with a budget that differs from attempt to attempt.

All attempts at one problem share the work; each sees as much of it as its own budget pays for.
So the pass rate over many attempts is graded, and falls with difficulty.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence

import numpy as np

from code_envs.executor import Execution, Executor, Job, shared_executor
from code_envs.problem import Mode, Problem
from code_envs.students.base import Prompt
from code_envs.students.baselines import trivial_programs, write_reply
from code_envs.students.enumeration import enumerate_programs
from code_envs.students.hunting import hunt, pick_prey
from code_envs.students.tracing import trace_budgets
from code_envs.values import parse_literal

__all__ = ["SearchStudent"]

_RANGES = {  # from the smallest to the largest budget of an attempt, drawn evenly over magnitudes
    Mode.INDUCTION: (16, 16_000),  # applications of building blocks
    Mode.ABDUCTION: (2, 700),  # candidates
    Mode.DEDUCTION: (3, 1_500),  # operations that are followed
    Mode.FUZZING: (2, 700),  # candidates
}
_FIRST = 0.8  # how often the first of several programs that fit the cases is taken

_GIVEN_UP = "The search writes functions, not whole programs, so it gives up here."

_Answer = Callable[[int, np.random.Generator], str]
_Search = Generator[list[Job], Sequence[Sequence[Execution]], _Answer]


class SearchStudent:
    """Solves induction by enumeration, deduction by tracing, abduction and fuzzing by guided search.

    Gives up where a whole program is asked for.

    Args:
        budget: Scales the largest budget of an attempt: 1 is enough for programs of a few steps.
        executor: Where programs run; the shared one if None.
    """

    def __init__(self, budget: float = 1.0, executor: Executor | None = None) -> None:
        self.name = "search" if budget == 1.0 else f"search-{budget:g}"
        self.budget = budget
        self._executor = executor

    def answer(self, prompts: Sequence[Prompt], *, seed: int = 0) -> list[str]:
        """Answer each prompt; see :class:`code_envs.students.base.Student`.

        Equal prompts cost little more than one; the programs of all prompts run in parallel.
        """
        attempts: dict[str, list[int]] = defaultdict(list)
        for index, prompt in enumerate(prompts):
            attempts[prompt.view.key].append(index)
        rngs = [np.random.default_rng([seed, index]) for index in range(len(prompts))]
        budgets = [self._draw(prompt.view.mode, rng) for prompt, rng in zip(prompts, rngs, strict=True)]
        searches = {
            key: _search(prompts[places[0]].view, [budgets[place] for place in places], seed)
            for key, places in attempts.items()
            if not prompts[places[0]].view.is_script
        }
        answers = _drive(searches, self._executor)
        return [
            _GIVEN_UP if prompt.view.is_script else write_reply(prompt.view, answers[prompt.view.key](budget, rng))
            for prompt, budget, rng in zip(prompts, budgets, rngs, strict=True)
        ]

    def _draw(self, mode: Mode, rng: np.random.Generator) -> int:
        low, high = _RANGES[mode]
        return int(math.exp(rng.uniform(math.log(low), math.log(max(low + 1.0, high * self.budget)))))


def _drive(searches: dict[str, _Search], executor: Executor | None) -> dict[str, _Answer]:
    """Advance all searches together, the jobs of each step in one batch."""
    answers: dict[str, _Answer] = {}
    news: dict[str, Sequence[Sequence[Execution]] | None] = dict.fromkeys(searches)
    while news:
        wanted: dict[str, list[Job]] = {}
        for key, executions in news.items():
            try:
                wanted[key] = searches[key].send(executions)  # type: ignore[arg-type]  # None starts a generator
            except StopIteration as end:
                answers[key] = end.value
        jobs = [job for each in wanted.values() for job in each]
        done = iter((executor or shared_executor()).run_jobs(jobs) if jobs else [])
        news = {key: [next(done) for _ in each] for key, each in wanted.items()}
    return answers


def _search(view: Problem, budgets: Sequence[int], seed: int) -> _Search:
    """One problem's search, shared by the attempts with these budgets."""
    match view.mode:
        case Mode.INDUCTION:
            return _induce(view, max(budgets))
        case Mode.DEDUCTION:
            return _deduce(view, budgets)
    return _hunted(view, np.random.default_rng([seed, int(view.key, 16)]))


def _induce(view: Problem, budget: int) -> _Search:
    yield from ()  # nothing runs but our own building blocks
    calls = [case.values() for case in view.cases]
    goals = [parse_literal(case.result) for case in view.cases]
    found = enumerate_programs(view.entry, view.parameters, calls, goals, budget)
    trivial = trivial_programs(view)[0][1]

    def answer(budget: int, rng: np.random.Generator) -> str:
        seen = [one for one in found if one.spent <= budget]
        fitting = [one.program for one in seen if one.share == 1.0]
        if len(fitting) > 1 and rng.random() > _FIRST:
            return fitting[int(rng.integers(1, len(fitting)))]
        return fitting[0] if fitting else seen[-1].program if seen else trivial

    return answer


def _deduce(view: Problem, budgets: Sequence[int]) -> _Search:
    told = yield from trace_budgets(view, budgets)
    return lambda budget, _: told[budget]


def _hunted(view: Problem, rng: np.random.Generator) -> _Search:
    rounds = yield from hunt(view, rng)
    blank = f"({'None, ' * len(view.parameters)})"
    return lambda budget, rng: pick_prey(rounds, budget, rng) or blank
