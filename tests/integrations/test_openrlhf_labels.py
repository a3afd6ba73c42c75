"""A label names its problem, the same in every process."""

import json

import pytest

from code_envs import Problem, save_records
from code_envs.envs.single import CodeEnv
from code_envs.errors import ConfigError, ProblemError
from code_envs.integrations.openrlhf_labels import Label, ProblemFile, find_problem, read_label
from code_envs.problem import Mode


@pytest.fixture(scope="module")
def problems(executor) -> list[Problem]:
    found = []
    for mode in Mode:
        env = CodeEnv(mode, level=0, executor=executor)
        env.reset(seed=5)
        found.append(env.problem)
    return found


def test_a_record_in_a_label_comes_back_exactly(problems, executor):
    for problem in problems:
        text = json.dumps({"problem": json.loads(problem.to_json()), "max_turns": 3})
        label = read_label(text)
        assert label.max_turns == 3
        assert find_problem(label, executor) == problem
        assert find_problem(read_label(label.to_json()), executor) == problem


def test_a_key_finds_its_record_in_the_file(problems, executor, tmp_path):
    path = tmp_path / "problems.jsonl"
    save_records(path, problems)
    for problem in problems:
        label = Label(problems=str(path), key=problem.key)
        assert find_problem(read_label(label.to_json()), executor) == problem
    with pytest.raises(ConfigError, match="no problem with the key 'abc'"):
        ProblemFile(path).find("abc")


def test_a_problem_file_keeps_places_and_no_records(problems, tmp_path):
    path = tmp_path / "problems.jsonl"
    path.write_text("\n" + "".join(problem.to_json() + "\n\n" for problem in problems))
    file = ProblemFile(path)
    assert [file.find(problem.key) for problem in problems] == problems
    kept = vars(file)["_places"]
    assert set(kept) == {problem.key for problem in problems}
    assert all(isinstance(place, int) for place in kept.values())


def test_a_seed_gives_the_environments_own_problem(executor):
    env = CodeEnv(executor=executor)
    env.reset(seed=11)
    label = Label(env="code_envs/Mixed-v0", seed=11)
    assert find_problem(label, executor) == env.problem == find_problem(label, executor)
    assert find_problem(Label(env="code_envs/Deduction-v0", seed=11, level=2), executor).lineage.level == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not one of code-envs"),
        ("42", "not one of code-envs"),
        ('{"sead": 3}', "sead"),
        ("{}", "in one way"),
        ('{"env": "code_envs/Deduction-v0"}', "in one way"),
        ('{"env": "code_envs/Deduction-v0", "seed": 1, "curriculum": "c", "ticket": "1"}', "in one way"),
        ('{"env": "code_envs/Deduction-v0", "seed": 1, "max_turns": 0}', "max_turns"),
    ],
)
def test_a_label_that_names_no_problem_is_refused(text, why):
    with pytest.raises(ConfigError, match=why):
        read_label(text)


def test_what_cannot_be_found_says_so(executor, tmp_path):
    with pytest.raises(ConfigError, match="on every machine"):
        find_problem(Label(problems=str(tmp_path / "none.jsonl"), key="x"), executor)
    with pytest.raises(ConfigError, match="chooses the problem"):
        find_problem(Label(curriculum="c", ticket="1"), executor)
    with pytest.raises(ProblemError, match="not a valid Problem"):
        find_problem(read_label('{"problem": {"mode": "deduction"}}'), executor)
