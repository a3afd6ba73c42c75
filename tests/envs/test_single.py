import gymnasium
import pytest

from code_envs import CodeEnv, ConfigError, Limits, Mode, ProblemError, UnknownName
from code_envs.curricula import TargetRate
from code_envs.envs.single import MAX_OBSERVATION


@pytest.fixture
def env(problems, executor):
    return CodeEnv(problems=problems, executor=executor)


def test_a_problem_can_be_given(env, problems):
    for given in (problems[4], problems[4].to_json()):
        assert env.reset(options={"problem": given})[1]["key"] == problems[4].key
    assert env.reset(options={"key": problems[2].key})[1]["key"] == problems[2].key


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 3}, "Did you mean 'level'"),
        ({"level": 10}, "0 to 9"),
        ({"level": True}, "whole number"),
        ({"mode": "deducton"}, "Did you mean 'deduction'"),
        ({"key": "0123"}, "no problem with the key '0123'"),
        ({"problem": "{}"}, "not a valid Problem"),
        ({"key": "0123", "level": 3}, "settles everything"),
    ],
)
def test_options_that_cannot_be_used_are_named(env, options, message):
    with pytest.raises((ConfigError, ProblemError), match=message):
        env.reset(options=options)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "deducton"}, "Did you mean 'deduction'"),
        ({"max_turns": 0}, "positive whole number"),
        ({"level": -1}, "0 to 9"),
        ({"level": 1, "curriculum": TargetRate()}, "both given"),
        ({"limits": Limits(), "executor": 1}, "both given"),
        ({"templates": {"reduction": ""}}, "Did you mean 'deduction'"),
        ({"render_mode": "human"}, "ansi"),
    ],
)
def test_keywords_that_cannot_be_used_are_named(problems, settings, message):
    with pytest.raises(ConfigError, match=message):
        CodeEnv(**{"problems": problems, **settings})


def test_one_mode_refuses_problems_of_another(problems, executor):
    env = CodeEnv("abduction", problems=problems, executor=executor)
    other = next(problem for problem in problems if problem.mode is Mode.FUZZING)
    for options in ({"problem": other}, {"key": other.key}, {"mode": "fuzzing"}):
        with pytest.raises(ConfigError, match="fuzzing"):
            env.reset(options=options)
    with pytest.raises(ConfigError, match="no abduction problems"):
        CodeEnv("abduction", problems=[other], executor=executor)


def test_a_template_replaces_the_prompt(problems, executor):
    env = CodeEnv("deduction", problems=problems, executor=executor, templates={"deduction": "What is it?"})
    assert env.reset()[0] == "What is it?"
    env = CodeEnv(
        "deduction", problems=problems, executor=executor, templates={"deduction": "x" * (MAX_OBSERVATION + 1)}
    )
    with pytest.raises(ProblemError, match="the prompt of problem"):
        env.reset()


def test_limits_hold_while_grading(problems):
    problem = next(problem for problem in problems if problem.mode is Mode.INDUCTION)
    slow = f"```python\ndef {problem.signature}:\n    while True:\n        pass\n```"
    env = CodeEnv(problems=[problem], limits=Limits(cpu_seconds=0.1))
    env.reset()
    info = env.step(slow)[4]
    assert (info["outcome"], info["scored"]) == ("timeout", True)
    assert env.answers[0][1].cpu_seconds < 1
    assert env.executor is CodeEnv(problems=[problem], limits=Limits(cpu_seconds=0.1)).executor


@pytest.mark.extra
def test_a_hugging_face_dataset_is_a_list_of_problems(problems, executor):
    datasets = pytest.importorskip("datasets", reason="needs: pip install 'code-envs[hf]'")
    rows = datasets.Dataset.from_list([{"problem": problem.to_json()} for problem in problems])
    assert CodeEnv(problems=rows, executor=executor).source.problems == problems


class Fixed:
    """A curriculum that always wants the same."""

    def __init__(self, mode=Mode.DEDUCTION, level=2):
        self.wish, self.seen = (mode, level), []

    def choose(self, rng):
        return self.wish

    def observe(self, problem, grade):
        self.seen.append((problem.key, grade.passed))


def test_a_curriculum_decides_without_a_seed_and_hears_how_it_went(teacher, executor, replies):
    curriculum = Fixed()
    env = CodeEnv(teacher=teacher, curriculum=curriculum, executor=executor, max_turns=2)
    _, info = env.reset()
    assert (info["mode"], info["level"]) == curriculum.wish
    env.step(replies[info["key"]]["malformed"])
    assert not curriculum.seen  # the episode goes on
    env.step(replies[info["key"]]["gold"])
    assert curriculum.seen == teacher.observed == [(info["key"], True)]
    modes = {env.reset(seed=seed)[1]["mode"] for seed in range(30)}
    assert modes == set(Mode)


def test_a_curriculum_may_be_made_by_a_function(teacher, executor):
    assert isinstance(CodeEnv(teacher=teacher, curriculum=TargetRate, executor=executor).curriculum, TargetRate)


class InTurn:
    """A curriculum that hands out its own problems in turn."""

    def __init__(self, problems):
        self.problems, self.handed, self.seen = problems, 0, []

    def choose(self, rng):
        self.handed += 1
        return self.problems[(self.handed - 1) % len(self.problems)]

    def observe(self, problem, grade):
        self.seen.append((problem.key, grade.passed))


def test_a_curriculum_may_hand_out_problems_of_its_own(problems, executor, replies):
    curriculum = InTurn(problems)
    env = CodeEnv(curriculum=curriculum, executor=executor)
    for problem in problems[:3]:
        _, info = env.reset()
        assert (info["key"], info["level"]) == (problem.key, problem.lineage.level)
        env.step(replies[problem.key]["gold"])
    assert curriculum.seen == [(problem.key, True) for problem in problems[:3]]
    seeded = [env.reset(seed=5)[1]["key"] for _ in range(2)]
    assert seeded[0] == seeded[1]
    assert seeded[0] in {problem.key for problem in problems}
    assert curriculum.handed == 3
    with pytest.raises(ConfigError, match="chooses the problem: reset without the option 'mode'"):
        env.reset(options={"mode": "deduction"})


def test_a_problem_that_does_not_fit_the_environment_is_refused(problems, executor):
    env = CodeEnv("fuzzing", curriculum=InTurn(problems), executor=executor)
    with pytest.raises(ConfigError, match="is for induction; here are fuzzing"):
        env.reset()


def test_a_curriculum_for_other_modes_is_refused(teacher, executor):
    env = CodeEnv("fuzzing", teacher=teacher, curriculum=Fixed(), executor=executor)
    with pytest.raises(ConfigError, match="deduction was asked for"):
        env.reset()


def test_faults_and_given_problems_teach_nothing(teacher, executor, broken, replies, problems):
    curriculum = Fixed(Mode.ABDUCTION)
    env = CodeEnv(teacher=teacher, curriculum=curriculum, executor=broken)
    _, info = env.reset()
    assert env.step(replies[info["key"]]["gold"])[4]["outcome"] == "infra"
    env = CodeEnv(teacher=teacher, curriculum=curriculum, executor=executor)
    env.reset(options={"problem": problems[0]})
    env.step(replies[problems[0].key]["gold"])
    assert curriculum.seen == teacher.observed == []


def test_without_a_seed_the_teacher_chooses_the_level(teacher, executor):
    env, levels = CodeEnv(teacher=teacher, executor=executor), []
    for _ in range(3):
        levels.append(env.reset()[1]["level"])
        env.step("no idea")
    assert levels == [0, 1, 2]  # this teacher goes by the number of observations
    assert env.reset(options={"level": 7})[1]["level"] == 7
    assert len({env.reset(seed=seed)[1]["level"] for seed in range(30)}) > 5


def test_rendering_without_a_mode_says_how(env):
    with pytest.warns(UserWarning, match="render_mode='ansi'"):
        assert env.render() is None


def test_it_can_be_made_by_name_of_module_and_environment(problems, executor):
    env = gymnasium.make("code_envs:code_envs/Mixed-v0", problems=problems, executor=executor)
    assert isinstance(env.unwrapped, CodeEnv)


def test_unknown_names_carry_what_is_known():
    with pytest.raises(UnknownName) as caught:
        CodeEnv(render_mode="human")
    assert caught.value.known == ["ansi"]


@pytest.mark.parametrize("curriculum", ["target-rate", 5])
def test_a_curriculum_that_cannot_choose_is_refused_at_once(curriculum):
    with pytest.raises(ConfigError, match="make_curriculum"):
        gymnasium.make("code_envs/Deduction-v0", curriculum=curriculum)


def test_a_folder_without_problems_is_named(tmp_path):
    with pytest.raises(ProblemError, match="no run folder, or its run is not finished"):
        gymnasium.make("code_envs/Deduction-v0", problems=tmp_path)
