import threading

import pytest

from code_envs.curricula.desk import TeacherDesk
from code_envs.curricula.siblings import Wish
from code_envs.errors import ProposalFailed
from code_envs.problem import Direction, Report


@pytest.fixture
def submit(make):
    """Hands a number of wishes to a desk."""

    def to(desk, numbers):
        for number in numbers:
            problem = make(number)
            report = Report(problem=problem.key, student="policy", attempts=8, passes=8)
            wish = Wish(number=number, chain="c", key=problem.key, direction=Direction.HARDER, report=report)
            desk.submit(wish, problem, (0.35, 0.65))

    return to


def answers_of(desk):
    assert desk.wait(30)
    return desk.collect()


@pytest.mark.parametrize("workers", [1, 3])
def test_answers_depend_on_the_seed_and_the_number_alone(step_teacher, submit, workers):
    heard = []
    desk = TeacherDesk(step_teacher, workers=workers, timeout=60, seed=5, on_answer=heard.append)
    submit(desk, [4, 0, 2, 1])
    answers = answers_of(desk)
    alone = TeacherDesk(step_teacher(), workers=1, timeout=60, seed=5)
    submit(alone, [2])
    assert [answer.number for answer in answers] == [0, 1, 2, 4]
    assert answers[2].problem == answers_of(alone)[0].problem
    assert {answer.problem.key for answer in heard} == {answer.problem.key for answer in answers}
    assert desk.collect() == []
    desk.close()
    alone.close()


@pytest.mark.parametrize("fault", [ProposalFailed("found none"), RuntimeError("broken"), SystemExit(3)])
def test_whatever_a_teacher_raises_is_an_answer(step_teacher, submit, fault):
    def fail():
        raise fault

    desk = TeacherDesk(lambda: step_teacher(fail), workers=1, timeout=60, seed=0)
    submit(desk, [0, 1])
    answers = answers_of(desk)
    assert [answer.problem for answer in answers] == [None, None]
    assert str(fault) in answers[0].error
    desk.close()


def test_a_teacher_that_cannot_be_made_is_an_answer(submit):
    def make_none():
        raise OSError("no server")

    desk = TeacherDesk(make_none, workers=2, timeout=60, seed=0)
    submit(desk, [0, 1])
    assert [answer.error for answer in answers_of(desk)] == ["OSError: no server"] * 2
    desk.close()


def test_a_teacher_that_hangs_is_given_up_and_another_takes_over(step_teacher, submit):
    gate, calls = threading.Event(), []

    def hang():
        calls.append(1)
        if len(calls) == 1:
            gate.wait(60)

    desk = TeacherDesk(lambda: step_teacher(hang), workers=1, timeout=2, seed=0)
    submit(desk, [0, 1])
    first, second = answers_of(desk)
    assert first.problem is None
    assert "longer than 2 s" in first.error
    assert second.problem is not None
    gate.set()
    desk.close()


def test_teachers_that_all_hang_are_not_replaced_for_ever(step_teacher, submit):
    gate = threading.Event()
    desk = TeacherDesk(lambda: step_teacher(lambda: gate.wait(60)), workers=1, timeout=0.05, seed=0)
    submit(desk, range(9))
    answers = answers_of(desk)
    assert len(answers) == 9
    assert {answer.problem for answer in answers} == {None}
    assert {answer.error for answer in answers} == {"the teacher took longer than 0.05 s", "the teacher hangs"}
    gate.set()
    desk.close()


def test_what_was_asked_before_is_forgotten(step_teacher, submit):
    gate, began = threading.Event(), threading.Event()

    def wait():
        began.set()
        gate.wait(60)

    desk = TeacherDesk(step_teacher(wait), workers=1, timeout=60, seed=0)
    submit(desk, [0, 1])
    assert began.wait(60)
    desk.forget()
    gate.set()
    submit(desk, [7])
    assert [answer.number for answer in answers_of(desk)] == [7]
    desk.close()
