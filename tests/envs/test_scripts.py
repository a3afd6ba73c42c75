"""Environments over problems whose program reads standard input."""

from pathlib import Path

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

import code_envs  # noqa: F401  # registers the environments
from code_envs.modes import rules
from code_envs.problem import load_problems

FILE = Path(__file__).parents[1] / "problems" / "induction-script.jsonl"
SCRIPTS = list(load_problems(FILE))
GOLD = {problem.key: rules("induction").gold(problem) for problem in SCRIPTS}
WRONG = "```python\nprint(1)\n```"


@pytest.mark.parametrize("env_id", ["code_envs/Induction-v0", "code_envs/Mixed-v0"])
@pytest.mark.parametrize(
    "problems", [SCRIPTS, FILE, [problem.to_json() for problem in SCRIPTS]], ids=["list", "file", "json"]
)
def test_an_episode_gives_feedback_and_then_a_reward(env_id, problems, executor):
    env = gymnasium.make(env_id, problems=problems, executor=executor, max_turns=2)
    observation, info = env.reset(seed=1)
    assert "standard input" in observation
    feedback, reward, terminated, _, info = env.step(WRONG)
    assert (info["outcome"], reward, terminated) == ("wrong", 0.0, False)
    assert "on the input" in feedback
    _, reward, terminated, _, info = env.step(GOLD[info["key"]])
    assert (info["outcome"], reward, terminated) == ("passed", 1.0, True)


def test_gymnasium_finds_nothing_to_complain_about(executor):
    check_env(gymnasium.make("code_envs/Induction-v0", problems=SCRIPTS, executor=executor).unwrapped)


def test_a_vector_of_them_is_graded_together(executor):
    envs = gymnasium.make_vec("code_envs/Induction-v0", num_envs=4, problems=SCRIPTS, executor=executor)
    _, info = envs.reset(seed=5)
    replies = [GOLD[key] for key in info["key"]]
    replies[1:3] = [WRONG, "I do not know."]
    _, rewards, *_, info = envs.step(replies)
    assert rewards.tolist() == [1.0, 0.0, 0.0, 1.0]
    assert info["outcome"].tolist() == ["passed", "wrong", "malformed", "passed"]
