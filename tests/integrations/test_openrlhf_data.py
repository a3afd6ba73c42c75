"""Datasets for OpenRLHF hold what their labels promise."""

import json
from collections import Counter

import pytest
from msgspec.structs import replace

from code_envs import Problem, modes
from code_envs.curricula import Sampler
from code_envs.envs.single import CodeEnv
from code_envs.errors import ConfigError, RunError, UnknownName
from code_envs.integrations import openrlhf_data as data
from code_envs.integrations.openrlhf_labels import find_problem, placeholder, read_label
from code_envs.problem import Report, load_problems, save_records, stored_problems


def read(path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def problems(executor) -> list[Problem]:
    """Twelve problems in six chains of two, an easy and a hard one."""
    env, found = CodeEnv("deduction", executor=executor), []
    for number in range(12):
        env.reset(seed=number, options={"level": number % 3})
        lineage = replace(env.problem.lineage, chain=f"chain-{number // 2}")
        passes = 27 if number % 2 else 3
        report = Report(problem=env.problem.key, student="s", attempts=32, passes=passes)
        found.append(replace(env.problem, lineage=lineage, measurements=(report,)))
    return found


def test_a_row_is_the_prompt_the_problem_and_the_mode(problems, executor):
    for row, problem in zip(data.problem_rows(problems, max_turns=2), problems, strict=True):
        assert row["prompt"] == modes.prompt(problem).text
        assert row["datasource"] == "deduction"
        label = read_label(row["label"])
        assert (find_problem(label, executor), label.max_turns) == (problem, 2)


@pytest.mark.parametrize("labels", data.LABELS)
def test_siblings_stay_on_one_side(problems, executor, tmp_path, labels):
    written = data.write_dataset(problems, tmp_path, eval_share=0.34, labels=labels)
    train, held_out = read(tmp_path / "train.jsonl"), read(tmp_path / "eval.jsonl")
    assert (
        (len(train), len(held_out))
        == (8, 4)
        == (
            written[str(tmp_path / "train.jsonl")],
            written[str(tmp_path / "eval.jsonl")],
        )
    )
    chains = [
        {find_problem(read_label(row["label"]), executor).lineage.chain for row in rows} for rows in (train, held_out)
    ]
    assert not chains[0] & chains[1]
    assert (tmp_path / "problems.jsonl").exists() is (labels == "key")
    assert all(("problem" in json.loads(row["label"])) is (labels == "record") for row in train)


def test_a_run_may_be_exported_into_its_own_folder(problems, executor, tmp_path):
    save_records(tmp_path / "problems.jsonl", problems)
    before = (tmp_path / "problems.jsonl").read_bytes()
    for _ in range(2):
        data.write_dataset(stored_problems(tmp_path), tmp_path, eval_share=0.34, labels="key")
        assert (tmp_path / "problems.jsonl").read_bytes() == before
    rows = [*read(tmp_path / "train.jsonl"), *read(tmp_path / "eval.jsonl")]
    found = {find_problem(read_label(row["label"]), executor).key for row in rows}
    assert found == {problem.key for problem in problems}
    with pytest.raises(RunError, match=r"holds problems\.jsonl, which no export has written"):
        data.write_dataset(problems, tmp_path, labels="key")
    assert (tmp_path / "problems.jsonl").read_bytes() == before


def test_an_export_without_evaluation_leaves_no_older_one(problems, tmp_path):
    data.write_dataset(problems, tmp_path, eval_share=0.34)
    data.write_dataset(problems, tmp_path)
    assert not (tmp_path / "eval.jsonl").exists()
    assert len(read(tmp_path / "train.jsonl")) == 12


def test_rows_follow_a_curriculum(problems, tmp_path):
    settings = {"policy": "hard", "steps": 40, "batch_size": 3, "starved": "skip"}
    data.write_dataset(problems, tmp_path, sampler=settings, seed=4)
    rows = read(tmp_path / "train.jsonl")
    assert [row["place"] for row in rows] == list(range(120))
    assert Counter(row["step"] for row in rows) == dict.fromkeys(range(40), 3)
    expected = [drawn.problem.key for drawn in Sampler(problems, seed=4, **settings)]
    assert [row["key"] for row in rows] == expected
    with pytest.raises(ConfigError, match="how many steps"):
        list(data.ordered_rows(Sampler(problems, "learnability")))


def test_rows_of_an_environment_are_its_problems(executor):
    rows = list(data.seed_rows("code_envs/Mixed-v0", 4, seed=9, level=1))
    lazy = list(data.seed_rows("code_envs/Mixed-v0", 4, seed=9, level=1, lazy=True))
    made = [find_problem(read_label(row["label"]), executor) for row in lazy]
    assert [find_problem(read_label(row["label"]), executor) for row in rows] == made
    assert [row["prompt"] for row in rows] == [modes.prompt(problem).text for problem in made]
    assert all(row["prompt"] == placeholder(str(read_label(row["label"]).seed)) for row in lazy)
    assert {problem.lineage.level for problem in made} == {1}
    more = list(data.seed_rows("code_envs/Mixed-v0", 6, seed=9, level=1, lazy=True))
    assert more[:4] == lazy


def test_rows_of_a_service_have_tickets():
    rows = list(data.curriculum_rows("teacher", 3, max_turns=2))
    labels = [read_label(row["label"]) for row in rows]
    assert [(label.curriculum, label.ticket, label.max_turns) for label in labels] == [
        ("teacher", str(number), 2) for number in range(3)
    ]
    assert [row["prompt"] for row in rows] == [placeholder(str(number)) for number in range(3)]


def test_evaluation_may_tell_bins_apart(problems, tmp_path):
    data.write_dataset(problems, tmp_path, eval_share=0.34, eval_bins="chain")
    rows = read(tmp_path / "eval.jsonl")
    assert {row["datasource"] for row in rows} == {"deduction_easy", "deduction_hard"}
    assert {row["datasource"] for row in read(tmp_path / "train.jsonl")} == {"deduction"}
    unmeasured = [replace(problem, measurements=()) for problem in problems]
    data.write_dataset(unmeasured, tmp_path, eval_share=0.34, eval_bins="chain")
    assert {row["datasource"] for row in read(tmp_path / "eval.jsonl")} == {"deduction_unmeasured"}


def test_what_a_service_may_choose_is_told_apart_from_what_is_held_out(problems, executor, tmp_path):
    written = data.write_served(problems, tmp_path, "teacher", 5, eval_share=0.34, eval_bins="chain")
    assert list(written.values()) == [5, 4]
    assert [json.loads(row["label"])["curriculum"] for row in read(tmp_path / "train.jsonl")] == ["teacher"] * 5
    served, held_out = (list(load_problems(tmp_path / f"{name}.jsonl")) for name in ("served", "held_out"))
    assert sorted(problem.key for problem in served + held_out) == sorted(problem.key for problem in problems)
    assert not {p.lineage.chain for p in served} & {p.lineage.chain for p in held_out}
    rows = read(tmp_path / "eval.jsonl")
    assert [find_problem(read_label(row["label"]), executor) for row in rows] == held_out
    data.write_served(problems, tmp_path, "teacher", 5)
    assert not (tmp_path / "eval.jsonl").exists()
    assert list(load_problems(tmp_path / "served.jsonl")) == problems


def test_bad_settings_are_named(problems, tmp_path):
    with pytest.raises(UnknownName, match="Did you mean 'record'"):
        data.write_dataset(problems, tmp_path, labels="records")
    with pytest.raises(UnknownName, match="code_envs/Deduction-v0"):
        list(data.seed_rows("code_envs/Deductoin-v0", 1))
    with pytest.raises(UnknownName, match="Did you mean 'chain'"):
        data.write_served(problems, tmp_path, "teacher", 5, eval_bins="chains")
    with pytest.raises(ConfigError, match=r"eval_share of 0\.05 of 12 problems holds none out"):
        data.write_served(problems, tmp_path, "teacher", 5, eval_share=0.05)
    with pytest.raises(ConfigError, match="no problem was left for the service"):
        data.write_served([], tmp_path, "teacher", 5)
    with pytest.raises(ConfigError, match="nothing to write"):
        data.write_rows([], tmp_path / "none.jsonl")
    assert not (tmp_path / "none.jsonl").exists()
