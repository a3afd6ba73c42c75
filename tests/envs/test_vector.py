import threading

import gymnasium
import numpy as np
import pytest
from gymnasium.error import InvalidAction
from gymnasium.vector import AutoresetMode

from code_envs import CodeVectorEnv, ConfigError, Executor, Grade, Mode
from code_envs.curricula import TargetRate

IDEA = "no idea"


@pytest.fixture
def make(problems, executor):
    return lambda **settings: CodeVectorEnv(**{"num_envs": 3, "problems": problems, "executor": executor, **settings})


def test_it_is_what_gymnasium_makes_by_default(problems, executor):
    env = gymnasium.make_vec("code_envs/Deduction-v0", num_envs=2, problems=problems, executor=executor)
    assert isinstance(env, CodeVectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert (env.num_envs, env.single_observation_space) == (2, env.envs[0].observation_space)


def test_the_whole_batch_is_graded_in_one_go(make, executor, replies, monkeypatch):
    env, batches = make(num_envs=12), []
    keys = env.reset(seed=3)[1]["key"]
    run_jobs = executor.run_jobs
    monkeypatch.setattr(executor, "run_jobs", lambda jobs: batches.append(len(jobs)) or run_jobs(jobs))
    rewards = env.step([replies[key]["gold"] for key in keys])[1]
    assert rewards.tolist() == [1.0] * 12
    assert len(batches) == 1
    assert batches[0] > 1


def test_it_begins_anew_in_each_of_gymnasiums_ways(make, replies):
    def steps(mode):
        env = make(autoreset_mode=mode, max_turns=2)
        keys = [env.reset(seed=[1, 2, 3])[1]["key"]]
        for kind in ("gold", "wrong"):
            answers = [replies[keys[-1][0]][kind], IDEA, IDEA]
            *_, ended, _, info = env.step(answers)
            keys.append(info["key"])
        return keys, ended.tolist(), info

    keys, ended, info = steps("NextStep")  # the first began anew instead of answering, the others ended
    assert ended == [False, True, True]
    assert (keys[0] == keys[1]).all()
    assert info["attempt"].tolist() == [0, 2, 2]
    keys, ended, info = steps("SameStep")
    assert ended == [False, True, True]
    assert info["attempt"].tolist() == [1, 0, 0]
    assert info["final_info"]["outcome"][1] == "malformed"
    env = make(autoreset_mode="Disabled")
    env.reset(seed=[1, 2, 3])
    env.step([IDEA] * 3)
    observations, info = env.reset(seed=[4, 5, 6], options={"reset_mask": np.array([True, False, True])})
    assert info["_key"].tolist() == [True, False, True]
    assert observations[0] != ""


def test_the_teacher_proposes_for_all_at_once(teacher):
    together = threading.Barrier(2)
    propose = teacher.propose

    def meet(rng, level=None, mode=None):
        together.wait(60)  # breaks if proposals come one by one
        return propose(rng, level, mode)

    teacher.propose = meet
    with Executor(workers=2) as executor:
        env = CodeVectorEnv(num_envs=2, mode="deduction", teacher=teacher, executor=executor)
        env.reset(seed=1)
        env.step([IDEA] * 2)
        env.step([IDEA] * 2)
    assert len(teacher.proposed) == 4


def test_all_share_one_teacher_and_one_curriculum(teacher, executor):
    curriculum = TargetRate(modes=["abduction"])
    env = CodeVectorEnv(num_envs=3, teacher=teacher, curriculum=curriculum, executor=executor)
    env.reset()
    env.step([IDEA] * 3)
    assert len(teacher.observed) == 3
    twin = TargetRate(modes=["abduction"])
    for member in env.envs:
        twin.observe(member.problem, member.answers[0][1])
    assert twin.rates()[Mode.ABDUCTION] == pytest.approx(curriculum.rates()[Mode.ABDUCTION])
    assert isinstance(env.envs[0].answers[0][1], Grade)


def test_mistakes_are_named_and_leave_nothing_behind(make, replies):
    env = make()
    with pytest.raises(ConfigError, match="3 environments take as many seeds, not 2"):
        env.reset(seed=[1, 2])
    with pytest.raises(ConfigError, match="Did you mean 'level'"):
        env.reset(options={"levels": 1})
    keys = env.reset(seed=[1, 2, 3])[1]["key"]
    with pytest.raises(InvalidAction, match="3 environments take as many replies, not 2"):
        env.step([IDEA] * 2)
    with pytest.raises(InvalidAction, match="NoneType"):
        env.step([None, replies[keys[1]]["gold"], IDEA])
    assert env.step([replies[key]["gold"] for key in keys])[1].tolist() == [1.0] * 3
    with pytest.raises(ConfigError, match="at least 1"):
        make(num_envs=0)


def test_rendering_gives_one_text_each(make):
    env = make(render_mode="ansi")
    env.reset(seed=1)
    env.step([IDEA] * 3)
    assert all("malformed" in text for text in env.render())
