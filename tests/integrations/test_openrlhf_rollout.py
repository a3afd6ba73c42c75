"""An episode as a trainer sees it, and the reward file; no trainer is needed."""

import asyncio
import json

import pytest

from code_envs import Grade, Outcome, modes
from code_envs.curricula import Draw
from code_envs.envs.single import CodeEnv
from code_envs.errors import ConfigError, ExecutorError, ProposalFailed
from code_envs.integrations import node_grader, openrlhf_reward, openrlhf_rollout
from code_envs.integrations.node_grader import LocalGrader, grade_patiently
from code_envs.integrations.openrlhf_data import curriculum_rows, problem_rows
from code_envs.integrations.openrlhf_rollout import LOGS, Rollout
from code_envs.modes import rules
from code_envs.problem import Mode


class Plain:
    """A tokenizer without a template."""

    def apply_chat_template(self, conversation, **settings):
        raise ValueError("no template")


@pytest.fixture(scope="module")
def problem(executor):
    env = CodeEnv("deduction", level=0, executor=executor)
    env.reset(seed=5)
    return env.problem


@pytest.fixture
def grader(executor):
    return LocalGrader(executor)


@pytest.fixture
def no_wait(monkeypatch):
    monkeypatch.setattr(node_grader, "_PATIENCE", (0.0, 0.0))


def play(rollout: Rollout, prompt: str, *replies: str):
    async def episode():
        first = await rollout.begin(prompt)
        turns = [await rollout.answer(reply) for reply in replies]
        await rollout.finish()
        return first, turns

    return asyncio.run(episode())


def test_an_episode_is_the_environments_own(problem, grader, executor):
    (row,) = problem_rows([problem], max_turns=3)
    gold = rules(problem.mode).gold(problem)
    replies = ("```output\n'wrong'\n```", "no block", gold)
    rollout = Rollout(row["label"], grader, Plain())
    first, turns = play(rollout, row["prompt"], *replies)
    env = CodeEnv(problems=[problem], max_turns=3, executor=executor)
    assert first == env.reset()[0]
    for turn, reply in zip(turns, replies, strict=True):
        observation, reward, over, _, info = env.step(reply)
        assert (turn.reward, turn.done) == (reward, over)
        assert turn.feedback == (f"\n\n{observation}\n\n" if observation else "")
    logs = rollout.logs()
    assert tuple(logs) == LOGS
    assert logs["passed"] == logs["passed_deduction"] == logs["mode_deduction"] == logs["reward"] == 1
    assert (logs["turn"], logs["level"], logs["masked"]) == (3, 0, 0)
    assert sum(logs[outcome] for outcome in Outcome) == 1
    assert info["outcome"] == "passed"


def test_numbers_are_all_that_is_logged_and_the_keys_never_change(problem, grader):
    (row,) = problem_rows([problem])
    for replies in ((), ("nonsense",)):
        rollout = Rollout(row["label"], grader, Plain())
        play(rollout, row["prompt"], *replies)
        assert tuple(rollout.logs()) == LOGS
        assert all(isinstance(value, float) for value in rollout.logs().values())
        assert rollout.masked is not bool(replies)


class Broken:
    """Stands in for a sandbox that fails a number of times, which cannot be had on demand."""

    def __init__(self, faults: list[Grade | Exception], then: LocalGrader) -> None:
        self.faults, self.then = faults, then

    async def find(self, label):
        return await self.then.find(label)

    async def grade(self, problem, reply, *, hide=False):
        if not self.faults:
            return await self.then.grade(problem, reply, hide=hide)
        fault = self.faults.pop(0)
        if isinstance(fault, Exception):
            raise fault
        return fault


@pytest.mark.usefixtures("no_wait")
def test_a_fault_that_passes_leaves_no_trace(problem, grader):
    lost = Grade(outcome=Outcome.INFRA, reason="killed")
    broken = Broken([lost, ExecutorError("gone")], grader)
    assert asyncio.run(grade_patiently(broken, problem, rules(problem.mode).gold(problem))).passed


@pytest.mark.usefixtures("no_wait")
def test_a_fault_that_stays_ends_the_episode_unscored(problem, grader):
    (row,) = problem_rows([problem], max_turns=3)
    rollout = Rollout(row["label"], Broken([ExecutorError("gone")] * 3, grader), Plain())
    _, (turn,) = play(rollout, row["prompt"], "anything")
    assert (turn.done, turn.feedback, rollout.masked) == (True, "", True)
    assert rollout.logs()["infra"] == rollout.logs()["masked"] == 1
    assert rollout.grades[-1].reason == "ExecutorError: gone"


def test_a_seed_without_a_problem_is_masked(grader, monkeypatch, caplog):
    async def fail(label):
        raise ProposalFailed("no valid problem")

    monkeypatch.setattr(grader, "find", fail)
    rollout = Rollout('{"env": "code_envs/Deduction-v0", "seed": 1}', grader, Plain())
    first, (turn,) = play(rollout, "the placeholder", "anything")
    assert (first, turn.done, rollout.masked) == ("the placeholder", True, True)
    assert rollout.logs()["infra"] == 1
    assert "no valid problem" in caplog.text


class Service:
    """Stands in for the curriculum actor, which the tests of Ray start for real."""

    def __init__(self, problem) -> None:
        self.problem, self.reports = problem, []

    async def ask(self, ticket):
        return Draw(index=7, step=0, bin="easy", problem=self.problem)

    async def report(self, ticket, grade, *, index, reply):
        self.reports.append((ticket, grade.outcome, index, reply))


def test_a_curriculum_chooses_and_is_told_once(problem, grader, monkeypatch):
    service = Service(problem)
    monkeypatch.setattr(openrlhf_rollout, "_connected", lambda name: service if name == "mine" else None)
    (row,) = curriculum_rows("mine", 1, max_turns=2)
    wrapped = f"<user>{row['prompt']}<assistant>"
    first, _ = play(Rollout(row["label"], grader, Plain()), wrapped, "no block", "still none")
    assert first == f"<user>{modes.prompt(problem).text.strip()}<assistant>"
    play(Rollout(row["label"], grader, Plain()), wrapped)
    assert service.reports == [("0", Outcome.MALFORMED, 7, "still none"), ("0", Outcome.INFRA, 7, "")]
    with pytest.raises(ConfigError, match="lacks its placeholder"):
        play(Rollout(row["label"], grader, Plain()), "another prompt")


# --- the reward file ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("end", ["", "<|im_end|>", "<|eot_id|>", "</s>", "<|im_end|>\n<|endoftext|>"])
def test_the_reward_file_grades_the_models_part(mode, end, executor):
    env = CodeEnv(mode, level=0, executor=executor)
    prompt = f"<|im_start|>user\n{env.reset(seed=5)[0]}<|im_end|>\n<|im_start|>assistant\n"
    (row,) = problem_rows([env.problem])
    gold = rules(mode).gold(env.problem)
    found = openrlhf_reward.reward_func([prompt + gold + end], [prompt], [row["label"]])
    assert (found["rewards"], found["scores"], found["extra_logs"]["passed"]) == (1.0, 1.0, 1.0)
    assert set(found["extra_logs"]) == set(LOGS)
    wrong = openrlhf_reward.reward_func([prompt + "no block" + end], [prompt], [row["label"]])
    assert (wrong["rewards"], wrong["extra_logs"]["malformed"]) == (0.0, 1.0)


def test_a_prompt_that_was_cut_is_found_by_its_end(problem):
    prompt = modes.prompt(problem).text
    gold = rules(problem.mode).gold(problem)
    assert openrlhf_reward.answer_of(prompt[200:] + gold, prompt) == gold
    assert openrlhf_reward.answer_of("<s> " + prompt + gold + "</s>", prompt) == gold


@pytest.mark.parametrize(
    "label", ["", "{}", "42", json.dumps({"problems": "/none", "key": "x"}), '{"curriculum": "c", "ticket": "1"}']
)
def test_the_reward_file_never_raises(label, caplog):
    found = openrlhf_reward.reward_func(["text"], ["te"], [label])
    assert (found["rewards"], found["extra_logs"]["infra"], found["extra_logs"]["masked"]) == (0.0, 1.0, 1.0)
    assert set(found["extra_logs"]) == set(LOGS)
    assert "could not be graded" in caplog.text
