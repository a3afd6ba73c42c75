"""A model as a student: every attempt is its own draw, and what never came is unscored."""

import pytest

from code_envs.measure import measure
from code_envs.models import Completion, Finish, ModelConfig, Sampling
from code_envs.modes import prompt
from code_envs.problem import Mode, load_problems
from code_envs.students import ModelStudent, OpenAIStudent, Student


class Scripted:
    """A fake model: only the student's side is tested."""

    name = "scripted"

    def __init__(self, *completions):
        self.completions, self.requests = completions, []

    def complete(self, requests, on_done=None):
        self.requests += requests
        return [self.completions[at % len(self.completions)] for at in range(len(requests))]


@pytest.fixture
def problem(pytestconfig):
    return next(iter(load_problems(pytestconfig.rootpath / "tests" / "problems" / f"{Mode.DEDUCTION}.jsonl")))


def test_attempts_are_separate_draws_that_can_be_repeated(problem):
    model = Scripted(Completion(text="x"))
    config = ModelConfig(model="tiny", sampling=Sampling(temperature=0.7, reasoning_effort="low", max_tokens=99))
    student = ModelStudent(model, config)
    assert isinstance(student, Student)
    assert student.name == "tiny (T=0.7, effort=low, max_tokens=99)"
    shown = prompt(problem)
    assert student.answer([shown] * 3, seed=5) == ["x"] * 3
    seeds = [request.seed for request in model.requests]
    assert len(set(seeds)) == 3
    assert all(request.messages == ({"role": "user", "content": shown.text},) for request in model.requests)
    assert {request.sampling for request in model.requests} == {config.sampling}
    student.answer([shown] * 3, seed=5)
    assert [request.seed for request in model.requests[3:]] == seeds


def test_what_the_server_did_not_answer_is_unscored_and_refusals_are_answers(problem, executor):
    gold = f"```output\n{problem.cases[0].result}\n```"
    replies = [
        Completion(text=gold),
        Completion(text="", finish=Finish.TIMEOUT),
        Completion(text="", finish=Finish.REJECTED),
        Completion(text="", finish=Finish.REFUSED),
        Completion(text="```output\n", finish=Finish.LENGTH),
    ]
    report = measure(problem, ModelStudent(Scripted(*replies), ModelConfig(model="tiny")), executor, attempts=10)
    assert (report.attempts, report.passes) == (6, 2)
    assert {attempt.outcome for attempt in report.failed} == {"malformed"}


@pytest.mark.extra
def test_a_served_model_is_one_line(problem, executor, model_server):
    pytest.importorskip("openai", reason="pip install -e '.[openai]'")
    model_server.script = lambda body, number: f"```output\n{problem.cases[0].result if number % 2 else None}\n```"
    student = OpenAIStudent("tiny", model_server.url, temperature=0.8, max_tokens=64)
    report = measure(problem, student, executor, attempts=6)
    student.close()
    assert (report.attempts, report.passes, report.student) == (6, 3, "tiny (T=0.8, max_tokens=64)")
    assert {(body["temperature"], body["max_tokens"]) for body in model_server.bodies} == {(0.8, 64)}
