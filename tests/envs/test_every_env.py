"""One suite for every registered environment: what Gymnasium asks, what the design promises."""

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import check_env

import code_envs
from code_envs import Mode, Problem

IDS = code_envs.env_ids()
every_env = pytest.mark.parametrize("env_id", IDS)


@pytest.fixture
def make(executor, problems):
    """Make an environment over the hand-written problems."""

    def make(env_id, **settings):
        mode = gymnasium.spec(env_id).kwargs.get("mode")
        fitting = [problem for problem in problems if mode in (None, problem.mode)]
        return gymnasium.make(env_id, **{"problems": fitting, "executor": executor, **settings})

    return make


def test_there_is_one_for_each_mode_and_one_that_mixes_them():
    assert [f"code_envs/{name.capitalize()}-v0" for name in (*Mode, "mixed")] == IDS


@every_env
def test_gymnasium_finds_nothing_to_complain_about(env_id, executor):
    env = gymnasium.make(env_id, executor=executor)
    check_env(env.unwrapped)
    env.close()


@every_env
def test_gymnasium_finds_nothing_in_longer_episodes(env_id, make):
    env = make(env_id, max_turns=3, render_mode="ansi")
    check_env(env.unwrapped)


PROGRAM = """
import json, sys, gymnasium, code_envs
env_id, before, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
env = gymnasium.make("code_envs:" + env_id)
for _ in range(before):
    env.reset()
    env.step("no idea")
first = env.reset(seed=seed)
later = env.reset()
print(json.dumps([first, later]))
"""


@every_env
def test_a_seed_gives_the_same_problem_in_any_process(env_id, executor):
    def elsewhere(hash_seed, before):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", PROGRAM, env_id, before, "11"]
        return json.loads(subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout)

    env = gymnasium.make(env_id, executor=executor)
    prompt, info = env.reset(seed=11)
    fresh, used = elsewhere("1", "0"), elsewhere("2", "1")
    assert fresh[0] == used[0] == [prompt, info]
    assert fresh[1] == list(env.reset())


@every_env
def test_seeds_give_different_problems(env_id, executor):
    env = gymnasium.make(env_id, executor=executor)
    keys = [env.reset(seed=seed, options={"level": 1})[1]["key"] for seed in range(4)]
    assert len(set(keys)) == 4


@every_env
def test_the_seed_in_info_leads_back(env_id, executor):
    env = gymnasium.make(env_id, executor=executor)
    for _ in range(3):
        prompt, info = env.reset()
        again = {name: info[name] for name in ("level", "mode")}
        assert gymnasium.make(env_id, executor=executor).reset(seed=info["seed"], options=again) == (prompt, info)


@every_env
def test_only_the_right_answer_is_rewarded(env_id, make, problems, replies):
    env = make(env_id)
    for problem in problems:
        if problem.mode not in env.unwrapped.modes:
            continue
        for kind, outcome in (("gold", "passed"), ("wrong", "wrong"), ("malformed", "malformed")):
            _, before = env.reset(seed=0, options={"key": problem.key})
            observation, reward, terminated, truncated, info = env.step(replies[problem.key][kind])
            assert (info["outcome"], reward, info["scored"]) == (outcome, float(kind == "gold"), True), info["reason"]
            assert (observation, terminated, truncated) == ("", True, False)
            assert before.keys() == info.keys()
            assert (before["outcome"], before["attempt"], info["attempt"]) == ("", 0, 1)
            assert {type(value) for value in info.values()} <= {str, int, bool}


@every_env
@pytest.mark.parametrize("reply", ["", "\x00", "\ud800", "```output\n\U0010ffff\n```", "[" * 100_000, "é" * 300_000])
def test_no_reply_is_too_strange(env_id, make, reply):
    env = make(env_id, max_turns=2)
    env.reset(seed=1)
    for _ in range(2):
        observation, reward, *_, info = env.step(reply)
        assert observation in env.observation_space
        assert (reward, info["scored"]) == (0.0, True)


@every_env
def test_faults_of_the_sandbox_are_not_answers(env_id, make, broken, problems, replies):
    env = make(env_id, executor=broken, max_turns=3)
    for problem in problems:
        if problem.mode not in env.unwrapped.modes:
            continue
        env.reset(options={"key": problem.key})
        _, reward, terminated, truncated, info = env.step(replies[problem.key]["gold"])
        if problem.mode is Mode.DEDUCTION:  # nothing is run to grade it
            assert info["outcome"] == "passed"
        else:
            assert (info["outcome"], info["scored"], reward) == ("infra", False, 0.0)
            assert (terminated, truncated) == (True, False)


def secrets(problem: Problem) -> list[str]:
    """Texts that a student must not be told."""
    hidden = [text for case in problem.hidden for text in (case.shown(), case.result)]
    match problem.mode:
        case Mode.ABDUCTION:
            hidden.append(problem.cases[0].shown())
        case Mode.DEDUCTION:
            hidden.append(problem.cases[0].result)
        case Mode.FUZZING:
            hidden += [problem.witness, *problem.reference.splitlines()]
    return [text for text in hidden if len(text) > 2]


def spy(problem: Problem) -> str:
    """A program that passes the visible cases, and tells with what else it is called."""
    seen = [(case.values(), case.result) for case in problem.cases]
    known = ", ".join(f"({arguments!r}, {result})" for arguments, result in seen)
    return f"""```python
def {problem.entry}(*called):
    for arguments, result in [{known}]:
        if called == arguments:
            return result
    print(called)
    raise ValueError(repr(called))
```"""


@every_env
def test_feedback_helps_and_leaks_nothing_hidden(env_id, make, problems, replies):
    env, checked = make(env_id, max_turns=4, render_mode="ansi"), 0
    for problem in problems:
        if problem.mode not in env.unwrapped.modes:
            continue
        prompt, _ = env.reset(options={"key": problem.key})
        told = set()
        last = spy(problem) if problem.mode is Mode.INDUCTION else replies[problem.key]["wrong"]
        for left, reply in ((3, replies[problem.key]["wrong"]), (2, replies[problem.key]["malformed"]), (1, last)):
            feedback, reward, terminated, truncated, info = env.step(reply)
            assert (reward, terminated, truncated) == (0.0, False, False)
            assert len(feedback) > 80
            assert ("one more" if left == 1 else str(left)) in feedback
            told.add(feedback)
            for secret in secrets(problem):
                if secret not in prompt + reply:
                    assert secret not in feedback + info["reason"] + str(env.render())
                    checked += 1
        assert len(told) == 3
        assert env.step(replies[problem.key]["gold"])[1:4] == (1.0, True, False)
    assert checked


@every_env
def test_an_episode_has_an_order(env_id, make, replies):
    for env in (make(env_id), make(env_id).unwrapped):
        with pytest.raises(ResetNeeded, match="reset"):
            env.step("")
        _, info = env.reset(seed=1)
        with pytest.raises(InvalidAction, match="bytes"):
            env.step(b"")
        env.step(replies[info["key"]]["gold"])
        with pytest.raises(ResetNeeded, match="over"):
            env.step("")


@every_env
def test_rendering_shows_problem_answers_and_verdicts(env_id, make, replies):
    env = make(env_id, render_mode="ansi", max_turns=2)
    prompt, info = env.reset(seed=2)
    assert prompt.rstrip() in env.render()
    env.step("\x1b[2Jnothing")
    env.step(replies[info["key"]]["gold"])
    text = env.render()
    shown = [info["key"], prompt.rstrip(), "answer 1 of 2", "nothing", "malformed · reward 0", "passed · reward 1"]
    positions = [text.index(part) for part in shown]
    assert positions == sorted(positions)
    assert "\x1b" not in text


@every_env
def test_specs_travel(env_id):
    spec = gymnasium.make(env_id).spec
    again = type(spec).from_json(spec.to_json())
    for twin in (copy.deepcopy(spec), pickle.loads(pickle.dumps(spec)), again):
        assert gymnasium.make(twin).spec.id == env_id


@every_env
def test_a_copied_environment_goes_its_own_way(env_id, make, replies):
    env = make(env_id, max_turns=2).unwrapped
    _, info = env.reset(seed=3)
    env.step("no idea")
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert twin.step(replies[info["key"]]["gold"])[1] == 1.0
        assert twin.reset()[0] == copy.deepcopy(env).reset()[0]
        twin.executor.close()
    assert env.step("still no idea")[4]["attempt"] == 2


@every_env
def test_closing_leaves_the_sandbox_to_others(env_id, make, executor):
    env = make(env_id)
    env.reset(seed=0)
    env.close()
    env.close()
    assert executor.run("def f(x):\n    return x\n", "f", [(1,)])[0].result() == 1


SEEDS = [3, 3, 8]


def play(env, replies):
    """Three steps, among them one that ends and one that begins episodes anew."""
    observations, infos = env.reset(seed=list(SEEDS))
    trace = [(tuple(observations), infos)]
    for kinds in (("gold", "wrong", "malformed"), ("wrong",) * 3, ("gold",) * 3):
        actions = tuple(replies[key][kind] for key, kind in zip(trace[-1][-1]["key"], kinds, strict=True))
        observations, *numbers, infos = env.step(actions)
        assert observations in env.observation_space
        trace.append((tuple(observations), *[list(array) for array in numbers], infos))
    env.close()
    return [(*step[:-1], {name: list(values) for name, values in step[-1].items()}) for step in trace]


@every_env
def test_every_way_to_vectorise_gives_the_same(env_id, make, executor, replies):
    source = make(env_id).unwrapped.source.problems
    settings = {"num_envs": 3, "problems": source, "executor": executor}
    batched = play(gymnasium.make_vec(env_id, vectorization_mode="vector_entry_point", **settings), replies)
    assert batched == play(gymnasium.make_vec(env_id, vectorization_mode="sync", **settings), replies)
    spawned = gymnasium.make_vec(env_id, vectorization_mode="async", vector_kwargs={"context": "spawn"}, **settings)
    assert batched == play(spawned, replies)
    prompts = [make(env_id).reset(seed=seed)[0] for seed in SEEDS]
    assert list(batched[0][0]) == prompts
    assert batched[1][1] == [1.0, 0.0, 0.0]


FORKING = """
import sys, gymnasium, code_envs
from code_envs import shared_executor
assert shared_executor().run("def f(x):\\n    return x\\n", "f", [(1,)])[0].ok  # before the fork, on purpose
env = gymnasium.make_vec(sys.argv[1], num_envs=2, vectorization_mode="async", problems=sys.argv[2])
observations, infos = env.reset(seed=[1, 2])
assert all("def " in text or "```" in text for text in observations), observations
observations, rewards, terminated, truncated, infos = env.step(("no idea",) * 2)
assert terminated.all() and infos["scored"].all()
assert env.step(("",) * 2)[0] in env.observation_space
env.close()
"""


@pytest.mark.parametrize("mode", list(Mode))
def test_forked_environments_have_sandboxes_of_their_own(mode):
    env_id, path = f"code_envs/{mode.capitalize()}-v0", Path(__file__).parents[1] / "problems" / f"{mode}.jsonl"
    quiet = ["-W", "ignore::DeprecationWarning"]  # newer Pythons warn of any fork
    command = [sys.executable, *quiet, "-c", FORKING, env_id, path]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@every_env
def test_one_seed_for_many_gives_each_its_own(env_id, make, executor):
    source = make(env_id).unwrapped.source.problems
    seeds = []
    for seed in (7, 8):
        env = gymnasium.make_vec(env_id, num_envs=16, problems=source, executor=executor)
        seeds += list(env.reset(seed=seed)[1]["seed"])
        assert seeds[-16:] == list(env.reset(seed=seed)[1]["seed"])
    assert len(set(seeds)) == 32
    assert all(isinstance(seed, np.int64 | int) for seed in seeds)
