"""``code-envs curriculum``, as a person or a script uses it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from code_envs.cli import app
from code_envs.curricula import SCHEDULES, Sampler, load_schedule, preset_names
from code_envs.errors import ConfigError, UnknownName
from code_envs.problem import Case, Mode, Problem, Report, load_problems, save_records


@pytest.fixture
def measured(tmp_path) -> Path:
    """Thirty deduction problems in three bins."""
    problems = []
    for number in range(30):
        case = Case.of((1,), number)
        program = f"def f(x):\n    return x + {number - 1}\n"
        problem = Problem(mode=Mode.DEDUCTION, program=program, signature="f(x)", cases=(case,))
        report = Report(problem=problem.key, student="s", attempts=32, passes=(28, 16, 3)[number % 3])
        problems.append(problem.but(measurements=(report,)))
    save_records(tmp_path / "problems.jsonl", problems)
    return tmp_path / "problems.jsonl"


def call(*words):
    """The result of a call that may exit but not fail in another way."""
    result = CliRunner().invoke(app, ["curriculum", *map(str, words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize("name", [*SCHEDULES, *preset_names("modes")])
def test_every_preset_is_shown(name):
    document = json.loads(call("show", name, "--steps", 400, "--json").stdout)
    assert document["stages"][0]["from"] == 0
    assert document["stages"][-1]["until"] == 400
    assert all(sum(stage["weights"].values()) == pytest.approx(1) for stage in document["stages"])
    shown = call("show", name).stdout
    assert name in shown
    assert "40,000" in shown


def test_the_stages_of_a_schedule_are_those_of_the_table():
    stages = json.loads(call("show", "soft", "--json").stdout)["stages"]
    assert [stage["until"] for stage in stages] == [7500, 17500, 30000, 40000]
    assert stages[2]["weights"] == load_schedule("soft").weights(20_000, 40_000)


@pytest.mark.parametrize(("name", "begins"), [("soft.svg", "<svg"), ("soft.html", "<!doctype html>")])
def test_it_is_drawn_into_a_file(tmp_path, name, begins):
    call("show", "soft", "--svg", tmp_path / name)
    text = (tmp_path / name).read_text()
    assert text.startswith(begins)
    assert "training step" in text


def test_a_file_of_one_s_own_is_shown(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("total = 1\n[[stages]]\nfrom = 0\nuntil = 1\nweights = {fuzzing = 1}\n")
    assert json.loads(call("show", path, "--json").stdout)["bins"] is None
    path.write_text('bins = "chain"\ntotal = 1\n[[stages]]\nfrom = 0\nuntil = 1\nweights = {hard = 1}\n')
    assert list(json.loads(call("show", path, "--json").stdout)["bins"]) == ["easy", "medium", "hard"]


def test_what_has_no_weights_is_said():
    with pytest.raises(ConfigError, match="use curriculum simulate"):
        call("show", "bandit")
    with pytest.raises(UnknownName, match="Did you mean 'reverse'"):
        call("show", "reverse-")


def test_a_simulation_shows_the_sampler_s_own_sequence(measured):
    words = ("simulate", "soft", measured, "--steps", 50, "--batch-size", 4, "--seed", 3, "--json")
    facts = json.loads(call(*words).stdout)
    sampler = Sampler(measured, "soft", steps=50, batch_size=4, seed=3)
    expected = [sampler.draw() for _ in range(20)]
    assert facts["first"] == [[d.step, d.problem.mode, d.bin, d.problem.key] for d in expected]
    assert facts["draws"] == sum(row["shown"] for row in facts["cells"]) == 200
    assert facts["starved"] == []
    assert {name: facts["placed"][name] for name in ("easy", "medium", "hard")} == {
        "easy": 10,
        "medium": 10,
        "hard": 10,
    }
    assert "Every bin that the curriculum asks for has problems." in call(*words[:-1]).stdout


def test_starved_bins_are_reported_with_an_exit_code(measured):
    words = ("simulate", "soft", measured, "--modes", "equal", "--steps", 20)
    result = call(*words)
    assert result.exit_code == 1
    assert "STARVED: no fuzzing problem in hard, which gets up to 20 % of a step" in result.stdout
    facts = json.loads(call(*words, "--json").stdout)
    assert len(facts["starved"]) == 9


def test_a_curriculum_that_gets_stuck_says_where(measured):
    result = call("simulate", "medium-start-reverse", measured, "--steps", 20)
    assert result.exit_code == 1
    assert "STUCK: step" in result.stdout


@pytest.mark.parametrize("policy", ["learnability", "failure-first", "target-rate", "bandit"])
def test_adaptive_curricula_are_simulated_and_drawn(measured, tmp_path, policy):
    words = ("simulate", policy, measured, "--steps", 30, "--rest", 4, "--svg", tmp_path / "did.svg")
    first = call(*words)
    assert first.exit_code == 0
    assert first.stdout == call(*words).stdout
    assert "pass rate" in (tmp_path / "did.svg").read_text()


def test_an_export_is_read_in_order(measured, tmp_path):
    words = ("export", "classic", measured, "--steps", 8, "--batch-size", 2, "--repeat", 4, "--json")
    document = json.loads(call(*words, "-o", tmp_path / "train.jsonl").stdout)
    assert (document["rows"], document["rows_per_step"]) == (64, 8)
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [step for step in range(8) for _ in range(8)]
    with pytest.raises(ConfigError, match="no problem for deduction easy-medium"):
        call("export", "medium-start-reverse", measured, "--steps", 8, "--batch-size", 2, "-o", tmp_path / "x.jsonl")


def test_a_mix_is_written_the_same_each_time(measured, tmp_path):
    path = tmp_path / "mix.toml"
    path.write_text('[[parts]]\nfrom = "mine"\nmodes = ["deduction"]\ncount = 12\n')
    words = ("mix", path, "--source", f"mine={measured}", "--json", "-o")
    first, second = (json.loads(call(*words, tmp_path / name).stdout) for name in ("a.jsonl", "b.jsonl"))
    assert first["counts"] == [12]
    assert first["fingerprint"] == second["fingerprint"]
    assert (tmp_path / "a.jsonl").read_text() == (tmp_path / "b.jsonl").read_text()
    with pytest.raises(ConfigError, match="NAME=PROBLEMS"):
        call("mix", path, "--source", str(measured), "-o", tmp_path / "c.jsonl")


def row(number, entry, question, body):
    """A row with the columns of APPS."""
    tests = {"fn_name": entry, "inputs": [[4], [10]], "outputs": [eval(body, {"n": n}) for n in (4, 10)]}
    solution = f"def {entry}(n):\n    return {body}\n"
    return {
        "problem_id": number,
        "question": question,
        "solutions": json.dumps([solution]),
        "difficulty": "interview",
        "input_output": json.dumps(tests),
        "url": "",
        "starter_code": "",
    }


def test_contests_are_checked_deduplicated_and_decontaminated(tmp_path):
    benchmark = (
        "Given a whole number as its only argument, the function gives back that number halved and rounded down."
    )
    rows = [
        row(1, "double", "Double a number.", "n * 2"),
        row(2, "twice", "Double  a number!", "n * 2"),  # the same but for names and layout
        row(3, "half", benchmark, "n // 2"),
        row(4, "square", "Square a number.", "n * n"),
        {**row(5, "cube", "Cube a number.", "n ** 3"), "solutions": json.dumps(["def cube(n):\n    return 0\n"])},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (tmp_path / "suite.jsonl").write_text(json.dumps({"task_id": "bench/0", "prompt": benchmark}) + "\n")
    words = ("contests", tmp_path / "rows.jsonl", "--against", tmp_path / "suite.jsonl", "-o", tmp_path / "real.jsonl")
    facts = json.loads(call(*words, "--json").stdout)
    assert [problem.entry for problem in load_problems(tmp_path / "real.jsonl")] == ["double", "square"]
    assert (facts["problems"], facts["gold"]) == (2, 2)
    assert facts["left_out"] == {"no stored solution passes its tests": 1, "ngram": 1, "duplicate": 1}
    assert facts["removed"][0]["match"] == "bench/0"
    assert "2 problems, 2 with a solution that passes, 0 over standard input" in call(*words).stdout


def test_contests_over_standard_input_and_without_solutions_are_told(tmp_path):
    tests = {"inputs": [f"{n}\n" for n in range(9)], "outputs": [f"{n / 2}\n" for n in range(9)]}
    scripts = [
        {"problem_id": 1, "question": "Halve.", "input_output": json.dumps(tests), "time_limit": "1 second"},
        {"problem_id": 2, "question": "Half it.", "input_output": json.dumps(tests), "time_limit": "1 second"},
    ]
    scripts[0]["solutions"] = json.dumps(["print(int(input()) / 2)"])
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in scripts))
    words = ("contests", tmp_path / "rows.jsonl", "--most-cases", 8, "--time-factor", 2, "-o", tmp_path / "real.jsonl")
    shown = call(*words).stdout
    assert "2 problems, 1 with a solution that passes, 2 over standard input" in shown
    assert "1 have no known solution: they can be graded, but not validated." in shown
    assert "after the first 8" in shown
    problems = list(load_problems(tmp_path / "real.jsonl"))
    assert {(str(problem.output_rule), problem.limits.cpu_seconds) for problem in problems} == {("floats", 2.0)}
    assert json.loads(call(*words, "--output-rule", "tokens", "--json").stdout)["tests_left_out"] == {
        "after the first 8": 2
    }
    assert {str(problem.output_rule) for problem in load_problems(tmp_path / "real.jsonl")} == {"tokens"}
