"""What the tests of the environments share: hand-written problems, replies to them, odd sandboxes."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from code_envs import modes
from code_envs.executor import Execution, Executor, Job, Limits, Status
from code_envs.problem import Mode, Problem, load_problems

FOLDER = Path(__file__).parents[1] / "problems"


class BrokenExecutor(Executor):
    """A sandbox that fails on every run."""

    def __init__(self) -> None:
        self.limits, self.jobs = Limits(), 0

    def run_jobs(self, jobs: Sequence[Job]) -> list[list[Execution]]:
        self.jobs += len(jobs)
        return [[Execution(status=Status.INFRA, message="out of order")] * len(job.calls) for job in jobs]


class ListTeacher:
    """A teacher that proposes hand-written problems and counts."""

    name = "list"
    modes = tuple(Mode)

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems, self.proposed, self.observed = problems, [], []

    def propose(self, rng, level=None, mode=None):
        self.proposed.append((level, mode))
        among = [problem for problem in self.problems if problem.mode == mode]
        problem = among[int(rng.integers(len(among)))]
        return problem.but(lineage=problem.lineage.but(level=level))

    def choose_level(self, rng, mode):
        return len(self.observed)

    def vary(self, rng, problem, direction):
        return problem

    def observe(self, problem, grade):
        self.observed.append((problem.key, grade.passed))

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


@pytest.fixture(scope="session")
def problems() -> list[Problem]:
    """Hand-written problems of every mode."""
    return [problem for mode in Mode for problem in load_problems(FOLDER / f"{mode}.jsonl")]


@pytest.fixture
def broken() -> BrokenExecutor:
    return BrokenExecutor()


@pytest.fixture
def teacher(problems) -> ListTeacher:
    return ListTeacher(problems)


@pytest.fixture(scope="session")
def replies(problems):
    """From a problem's key to its gold reply, a readable wrong one, and one that says nothing."""

    def of(problem: Problem) -> dict[str, str]:
        nothing = ", ".join(["None"] * len(problem.parameters))
        wrong = {
            Mode.INDUCTION: f"```python\ndef {problem.signature}:\n    return None\n```",
            Mode.DEDUCTION: "```output\nNone\n```",
        }.get(problem.mode, f"```input\n{nothing}\n```")
        return {"gold": modes.rules(problem.mode).gold(problem), "wrong": wrong, "malformed": "I do not know."}

    return {problem.key: of(problem) for problem in problems}
