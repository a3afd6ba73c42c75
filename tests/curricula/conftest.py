"""Measured problems for the tests of curricula: content that nobody looks at, rates that matter."""

import pytest

from code_envs.problem import Case, Lineage, Mode, Problem, Report


@pytest.fixture(scope="session")
def make():
    """Makes a problem with a number, a measured rate and a place in a chain."""

    def of(number, passes=None, attempts=32, *, mode=Mode.DEDUCTION, level=0, chain="", parent="", student="s"):
        problem = Problem(
            mode=mode,
            program=f"def f(x):\n    return x + {number}\n",
            signature="f(x)",
            cases=(Case.of((1,), number + 1),),
            precondition="def pre_test_f(x):\n    return type(x) is int\n" if mode == Mode.FUZZING else "",
            property="def test_f(x):\n    assert f(x) != 7\n" if mode == Mode.FUZZING else "",
            lineage=Lineage(level=level, chain=chain, parent=parent),
        )
        if passes is None:
            return problem
        report = Report(problem=problem.key, student=student, attempts=attempts, passes=passes)
        return problem.but(measurements=(report,))

    return of


@pytest.fixture(scope="session")
def stepping_stones(make):
    """Forty chains over four modes, each with an easy, a medium and a hard problem."""
    problems = []
    for chain in range(40):
        for level, passes in enumerate((28, 16, 3)):
            mode = list(Mode)[chain % 4]
            problems.append(make(3 * chain + level, passes, mode=mode, level=3 * level, chain=f"c{chain}"))
    return problems


class StepTeacher:
    """A teacher without validation: it writes another addition, one level up or down, drawn from the stream.

    Real teachers cannot be made to hang, to raise or to answer at a given moment; this one does as told.
    """

    name, modes = "step", tuple(Mode)

    def __init__(self, before=lambda: None):
        self.before, self.asked = before, []

    def propose(self, rng, level=None, mode=None):
        raise NotImplementedError

    def choose_level(self, rng, mode):
        return 0

    def vary(self, rng, problem, direction, target=None):
        self.asked.append((problem, direction, target))
        self.before()
        number = int(rng.integers(1_000, 1_000_000))
        step = 1 if direction == "harder" else -1
        lineage = Lineage(level=max(problem.lineage.level + step, 0), teacher=self.name, change="step")
        program = f"def f(x):\n    return x + {number}\n"
        cases = () if problem.mode is Mode.FUZZING else (Case.of((1,), number + 1),)
        return problem.but(program=program, cases=cases, lineage=lineage)

    def observe(self, problem, grade):
        """It does not adapt."""

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        """It has none."""


@pytest.fixture
def step_teacher():
    return StepTeacher
