"""The command, as a person or a script uses it."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from code_envs import modes
from code_envs.cli import main
from code_envs.generation import RunConfig, begun, generate, load_config
from code_envs.problem import Case, Mode, Problem, load_chains, load_problems, save_records

PROBLEMS = Path(__file__).parent / "problems"
COMMAND = [sys.executable, "-m", "code_envs.cli"]


class Done:
    """What one call of the command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def document(self):
        """The one JSON document on stdout."""
        assert self.code in (0, 1), self.err
        return json.loads(self.out)


@pytest.fixture
def command(monkeypatch, capsys):
    """Calls the command in this process."""

    def call(*words: object, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["code-envs", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        try:
            main()
            code = 0
        except SystemExit as leaving:
            code = leaving.code or 0
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Done(code, captured.out, captured.err)

    return call


@pytest.fixture
def written(tmp_path) -> Path:
    """A file with the hand-written problems."""
    path = tmp_path / "problems.jsonl"
    files = [PROBLEMS / f"{name}.jsonl" for name in (*Mode, "induction-script")]
    save_records(path, [problem for file in files for problem in load_problems(file)])
    return path


# --- looking at what there is -------------------------------------------------------------------


def test_list_names_everything(command):
    names = command("list", "--json").document()
    assert "code_envs/Deduction-v0" in names["environments"]
    assert names["modes"] == [mode.value for mode in Mode]
    assert "procedural" in names["teachers"]
    assert "search" in names["students"]
    table = command("list").out
    assert all(name in table for them in names.values() for name in them)


@pytest.mark.parametrize("name", ["deduction", "Deduction-v0", "code_envs/Deduction-v0"])
def test_show_gives_the_problem_of_the_seed(command, name):
    shown = command("show", name, "--seed", 5, "--level", 1, "--gold", "--json").document()
    assert (shown["env"], shown["info"]["seed"], shown["info"]["level"]) == ("code_envs/Deduction-v0", 5, 1)
    assert shown["observation"] in command("show", name, "--seed", 5, "--level", 1).out
    assert shown["gold"].startswith("```output")


def test_version_and_help(command):
    assert command("--version").out.strip().count(".") == 2
    for name in (
        "list",
        "show",
        "play",
        "check",
        "generate",
        "measure",
        "export",
        "validate",
        "rollout",
        "doctor",
        "demo",
    ):
        done = command(name, "--help")
        assert done.code == 0
        assert "--json" in done.out


def test_doctor_attacks_the_sandbox(command):
    found = command("doctor", "--json").document()
    assert found["sound"] is True
    assert {check["ok"] for check in found["checks"] if check["name"].startswith("attack")} == {True}
    assert set(found["extras"]) == {"bench", "dedup", "hf", "lab", "openai", "report", "vllm"}


# --- playing and checking -----------------------------------------------------------------------


def test_play_grades_what_is_typed(command):
    gold = command("show", "deduction", "--seed", 2, "--gold", "--json").document()["gold"]
    bare = gold.removeprefix("```output\n").removesuffix("\n```")
    assert command("play", "deduction", "--seed", 2, "--json", stdin=bare).document()["outcome"] == "passed"
    done = command("play", "deduction", "--seed", 2, stdin=f"'no'\n.\n{gold}\n.\n")
    assert done.out.index("WRONG") < done.out.index("PASSED")
    assert "You left" not in done.out


def test_play_ends_with_the_input_or_the_turns(command):
    assert "No answer was given." in command("play", "deduction").out
    assert "You left before the end." in command("play", "deduction", stdin="'no'\n.\n").out
    done = command("play", "deduction", "--turns", 2, stdin="'no'\n.\n'no'\n.\n'no'\n.\n")
    assert done.out.count("WRONG") == 2


def test_play_takes_a_program_of_many_lines(command):
    gold = command("show", "induction", "--seed", 1, "--level", 0, "--gold", "--json").document()["gold"]
    program = gold.removeprefix("```python\n").removesuffix("\n```")
    done = command("play", "induction", "--seed", 1, "--level", 0, "--json", stdin=f"{program}\n.\n")
    assert done.document()["outcome"] == "passed"


@pytest.mark.slow
@pytest.mark.parametrize("name", [mode.value for mode in Mode])
def test_check_finds_the_environments_sound(command, name):
    found = command("check", name, "--count", 2, "--json").document()
    assert (found["checked"], found["failed"]) == (2, 0)
    assert [row["mode"] for row in found["problems"]] == [name] * 2
    assert all(row["answers"] >= 4 for row in found["problems"])


def test_check_fails_where_a_gold_answer_is_wrong(command, monkeypatch):
    lying = Mock(wraps=modes.rules("deduction"))
    lying.gold.return_value = "```output\n'no such thing'\n```"
    monkeypatch.setattr(modes, "rules", lambda mode: lying)  # what makes and validates problems has the true ones
    done = command("check", "deduction", "--count", 1)
    assert done.code == 1
    assert "the gold answer was graded wrong" in " ".join(done.out.split())


# --- runs ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A small real run, made by the real command."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    words = ["generate", "--mode", "deduction", "--mode", "fuzzing", "--chains", "4", "--turns", "2", "--attempts", "4"]
    done = subprocess.run(
        [*COMMAND, *words, "--level", "1", "--keep", "0", "1", "-o", folder],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split(" ")[0] for line in done.stderr.splitlines()] == ["1/4", "2/4", "3/4", "4/4"]
    assert "Report:" in done.stdout
    return folder


@pytest.mark.slow
def test_generate_writes_a_run_folder(run):
    config = load_config(run)
    assert (config.modes, config.chains, config.keep) == ((Mode.DEDUCTION, Mode.FUZZING), 4, (0, 1))
    chains = list(load_chains(run / "chains.jsonl"))
    assert [chain.id for chain in chains] == [config.id_of(index) for index in range(4)]
    problems = list(load_problems(run / "problems.jsonl"))
    assert {problem.key for problem in problems} == {problem.key for chain in chains for problem in chain.problems}
    assert all(problem.measurements[-1].attempts == 4 for problem in problems)
    assert (run / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_generate_resumes_and_says_what_differs(command, run, tmp_path):
    words = ["generate", "--mode", "deduction", "--mode", "fuzzing", "--chains", 4, "--turns", 2, "--attempts", 4]
    words += ["--level", 1, "--keep", 0, 1]
    again = tmp_path / "again"
    generate_some(run, again)
    done = command(*words, "-o", again, "--resume", "--workers", 1, "--json")
    assert done.document()["chains"] == 4
    for name in ("chains.jsonl", "problems.jsonl", "config.toml"):
        assert (again / name).read_bytes() == (run / name).read_bytes()
    done = command(*words, "-o", again)
    assert (done.code, done.out) == (2, "")
    assert "already holds a run. Add --resume" in done.err
    done = command(*words, "-o", again, "--resume", "--seed", 9)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "seed = 0, not 9" in done.err


def generate_some(run: Path, folder: Path) -> None:
    """What a killed run leaves: some whole chains and the beginning of another."""
    folder.mkdir()
    lines = (run / "chains.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "chains.jsonl").write_bytes(lines[0] + lines[1][:100])
    (folder / "config.toml").write_bytes((run / "config.toml").read_bytes())


@pytest.mark.slow
def test_export_writes_a_dataset_folder(command, run, tmp_path):
    done = command("export", run, "-o", tmp_path / "out", "--eval-share", 0.5, "--json").document()
    rows = [json.loads(line) for file in done["files"][:2] for line in Path(file).read_bytes().splitlines()]
    began = begun(run)
    assert {row["when"] for row in rows} == {began}
    assert f"begun at {began}" in Path(done["files"][-1]).read_text()
    records = [Problem.from_json(row["record"]) for row in rows]
    assert {report.when for record in records for report in record.measurements} == {began}
    undated = [record.but(measurements=[one.but(when="") for one in record.measurements]) for record in records]
    assert sorted(record.to_json() for record in undated) == sorted((run / "problems.jsonl").read_text().splitlines())
    assert command("export", run, "-o", tmp_path, "--format", "csv").code == 2
    assert command("export", tmp_path / "none", "-o", tmp_path).code == 2


def test_an_export_for_a_trainer(command, tmp_path):
    problems = tmp_path / "problems.jsonl"
    save_records(problems, load_problems(PROBLEMS / "deduction.jsonl"))
    count = len(problems.read_text().splitlines())
    done = command("export", problems, "--for", "openrlhf", "-o", tmp_path / "out", "--json").document()
    assert done == {"problems": count, "files": [str(tmp_path / "out" / "train.jsonl")], "pushed": None}
    made = command("export", "deduction", "--for", "openrlhf", "--count", 2, "--lazy", "-o", tmp_path / "made")
    assert made.code == 0
    rows = [json.loads(line) for line in (tmp_path / "made" / "train.jsonl").read_text().splitlines()]
    assert [set(row) for row in rows] == [{"prompt", "label", "datasource"}] * 2
    asked = command("export", problems, "--for", "openrlhf", "--service", "c", "--count", 3, "-o", tmp_path / "asked")
    assert asked.out.startswith("3 rows: ")
    words = ("--service", "c", "--count", 3, "--eval-share", 0.5, "--eval-bins", "broad")
    asked = command("export", problems, "--for", "openrlhf", *words, "-o", tmp_path / "apart", "--json").document()
    assert asked["files"] == [str(tmp_path / "apart" / f"{name}.jsonl") for name in ("train", "eval")]
    parts = [len(list(load_problems(tmp_path / "apart" / f"{name}.jsonl"))) for name in ("served", "held_out")]
    assert sum(parts) == count
    assert min(parts) > 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--for", "openrlfh"), "Did you mean 'openrlhf'"),
        (("--for", "openrlhf", "--curriculum", "soft"), "--steps"),
        (
            ("--for", "openrlhf", "--service", "c", "--eval-share", "0.5", "--eval-bins", "broda"),
            "Did you mean 'broad'",
        ),
        (("--for", "openrlhf", "--service", "c", "--eval-share", "1"), "eval_share is 1.0"),
        (("--for", "openrlhf", "--eval-bins", "broad"), "--eval-bins needs --eval-share"),
    ],
)
def test_an_export_that_cannot_be_made_says_why(command, tmp_path, words, why):
    done = command("export", PROBLEMS / "deduction.jsonl", *words, "-o", tmp_path / "out")
    assert done.code == 2
    assert why in done.err
    assert not (tmp_path / "out").exists()


def test_the_paths_that_other_libraries_load(command):
    for name in ("openrlhf", "openrlhf-reward"):
        assert Path(command("path", name).out.strip()).is_file()
    done = command("path", "openrlhf-rewards")
    assert (done.code, done.out) == (2, "")
    assert "Did you mean 'openrlhf-reward'?" in done.err


def test_a_run_in_use_is_refused(command, tmp_path):
    import fcntl

    generate(tmp_path, RunConfig(chains=1), make=lambda config, index: _no_chain(config.id_of(index)))
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = command("generate", "--chains", 1, "-o", tmp_path, "--resume")
    assert done.code == 2
    assert "another process is at work" in done.err


def _no_chain(name: str):
    from code_envs.problem import Chain

    return Chain(id=name, problems=())


# --- files of problems --------------------------------------------------------------------------


def test_validate_finds_hand_written_problems_valid(command, written):
    found = command("validate", written, "--json").document()
    assert (found["problems"], found["valid"], found["complaints"]) == (15, 15, [])


def test_validate_counts_what_is_refused(command, tmp_path):
    (problem, *_) = load_problems(PROBLEMS / "deduction.jsonl")
    (case,) = problem.cases
    save_records(
        tmp_path / "bad.jsonl", [problem, problem.but(cases=(Case(arguments=case.arguments, result="'bad'"),))]
    )
    done = command("validate", tmp_path / "bad.jsonl", "--json")
    assert done.code == 1
    found = done.document()
    assert (found["problems"], found["valid"]) == (2, 1)
    assert {complaint["number"] for complaint in found["complaints"]} == {2}
    assert set(found["by_check"]) == {complaint["check"] for complaint in found["complaints"]}
    assert "1 of 2 problems are valid." in command("validate", tmp_path / "bad.jsonl").out


def test_a_file_without_problems_is_not_valid(command, tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    done = command("validate", tmp_path / "empty.jsonl")
    assert (done.code, done.out) == (1, "There is no problem in it.\n")
    words = ("measure", tmp_path / "empty.jsonl", "-o", tmp_path / "new" / "m.jsonl")
    done = command(*words)
    assert (done.code, done.out) == (1, "There is no problem in it.\n")
    assert command(*words, "--json").document() == {"problems": 0, "attempts": 0, "file": None, "by_mode": []}
    assert [path.name for path in tmp_path.iterdir()] == ["empty.jsonl"]


@pytest.mark.parametrize("student", [(), ("--student", "m", "--base-url", "http://127.0.0.1:9/v1")])
def test_measure_leaves_a_file_of_something_else_alone(command, tmp_path, student):
    (tmp_path / "weights.json").write_text('{"my":"weights"}')
    done = command("measure", PROBLEMS / "deduction.jsonl", "-o", tmp_path / "weights.json", "--resume", *student)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "weights.json holds no measurements. Give another file." in done.err
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"weights.json": '{"my":"weights"}'}


def test_measure_makes_the_folder_of_its_file(command, tmp_path):
    out = tmp_path / "new" / "folder" / "m.jsonl"
    words = ("--student", "constant", "--attempts", 1, "-o", out, "--json")
    assert command("measure", PROBLEMS / "deduction.jsonl", *words).document()["file"] == str(out)
    assert [problem.measurements[-1].attempts for problem in load_problems(out)] == [1] * len(list(load_problems(out)))


def test_validate_names_the_line_that_is_no_problem(command, tmp_path):
    (tmp_path / "broken.jsonl").write_text("\n{}\n")
    done = command("validate", tmp_path / "broken.jsonl")
    assert (done.code, done.out) == (2, "")
    assert "broken.jsonl:2: not a valid Problem" in done.err
    assert command("validate", tmp_path / "none.jsonl").code == 2


# --- rollouts and the demo ----------------------------------------------------------------------


@pytest.mark.slow
def test_rollout_counts_by_mode_and_level(command):
    words = ["rollout", "--env", "deduction", "--student", "constant", "--episodes", 5, "--level", 0]
    found = command(*words, "--json").document()
    whole, level = found["rows"]
    assert (whole["student"], whole["mode"], whole["episodes"], whole["level"]) == ("constant", "deduction", 5, None)
    assert (level["level"], level["passes"]) == (0, whole["passes"])
    assert whole["interval"][0] <= whole["rate"] <= whole["interval"][1]
    assert command(*words, "--json").document() == found
    assert "pass rate (95 % interval)" in command(*words).out


@pytest.mark.slow
def test_the_demo_leaves_a_run_and_can_be_repeated(command, tmp_path, monkeypatch):
    from code_envs.commands import demo

    monkeypatch.setattr(demo, "_TEACHERS", ("procedural",))
    monkeypatch.setattr(demo, "_CHAINS", 4)
    monkeypatch.setattr(demo, "_EPISODES", 4)
    found = command("demo", "-o", tmp_path / "demo", "--json").document()
    names = {"config.toml", "chains.jsonl", "problems.jsonl", "report.html", ".lock"}
    before = {path.name: path.read_bytes() for path in (tmp_path / "demo").iterdir()}
    assert before.keys() == names
    assert found["episode"]["terminated"] is True
    assert {row["student"] for row in found["rollouts"]} == {"constant", "majority", "probe", "search"}
    done = command("demo", "-o", tmp_path / "demo")
    assert {path.name: path.read_bytes() for path in (tmp_path / "demo").iterdir()} == before
    assert "Answers that need no thought passed" in done.out
    done = command("demo", "-o", tmp_path / "demo", "--seed", 1)
    assert (done.code, "already holds a run" in done.err) == (2, True)


# --- where it prints ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--json",)])
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_what_the_caller_has_closed_is_not_printed_to(tmp_path, more, closed):
    out = tmp_path / "m.jsonl"
    words = ["measure", PROBLEMS / "deduction.jsonl", "--student", "constant", "--attempts", "1", "-o", out, *more]
    done = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *COMMAND, *words], capture_output=True, check=False)
    assert (done.returncode, done.stdout, b"Traceback" in done.stderr) == (0, b"", False)
    assert len(list(load_problems(out))) == len(list(load_problems(PROBLEMS / "deduction.jsonl")))
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *COMMAND, "list", *more], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.slow
def test_names_that_are_no_utf_8_are_escaped(tmp_path):
    run, out = (os.fsencode(tmp_path / name) + b"\xe9" for name in ("run", "m"))
    words = ["--mode", "deduction", "--chains", "1", "--turns", "1", "--attempts", "1", "--keep", "0", "1", "-o", run]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([*COMMAND, "generate", *words], capture_output=True, check=False, env=environment)
    assert (done.returncode, b"run\\udce9" in done.stdout) == (0, True), done.stderr
    measure = [*COMMAND, "measure", run, "--student", "constant", "--attempts", "1", "-o", out, "--json"]
    done = subprocess.run(measure, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert os.fsencode(json.loads(done.stdout)["file"]) == out
    assert len(list(load_problems(os.fsdecode(out)))) == 1


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "deducton"], "Unknown environment 'deducton'. Did you mean"),
        (["generate", "--mode", "fuzing", "-o", "x"], "Unknown mode 'fuzing'. Did you mean 'fuzzing'?"),
        (["generate", "--chains", "0", "-o", "x"], "chains is 0"),
        (["generate", "--teacher", "procedual", "-o", "x"], "Did you mean 'procedural'?"),
        (["generate", "--student", "serch", "-o", "x"], "Did you mean 'search'?"),
        (["generate", "--resume", "-o", "x"], "x is not a run folder"),
        (["generate", "--vary-with", "master", "-o", "x"], "varied_by is 'master'; name a model"),
        (
            ["generate", "--teacher", "m", "--base-url", "http://u", "--extra-body", "[]", "-o", "x"],
            "must be a JSON object",
        ),
        (["generate", "--decontaminate", "none.jsonl", "-o", "x"], "none.jsonl cannot be read as a benchmark"),
        (["generate", "--against", "none", "-o", "x"], "No such file or directory: 'none'"),
        (["generate", "--teacher", "m", "--backend", "opnai", "-o", "x"], "Did you mean 'openai'?"),
        (["generate", "--student", "qwen", "-o", "x"], "A model needs its server: --base-url."),
        (["generate", "--teacher", "qwen", "-o", "x"], "A model needs its server: --base-url."),
        (
            ["generate", "--teacher", "m", "--base-url", "http://u", "--templates", "none", "-o", "x"],
            "no folder 'none'",
        ),
        (
            ["generate", "--teacher", "m", "--base-url", "http://u", "--seeds", "none", "-o", "x"],
            "'none' is no source of seeds",
        ),
        (["measure", "none.jsonl", "-o", "x"], "No such file or directory: 'none.jsonl'"),
        (["rollout", "--student", "serch"], "Did you mean 'search'?"),
        (["rollout", "--episodes", "0"], "episodes is 0"),
    ],
)
def test_mistakes_are_one_sentence(command, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    done = command(*words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        "generate --chains 1",
        "demo",
        f"measure {PROBLEMS / 'deduction.jsonl'} --student constant",
        "export deduction --for openrlhf --count 1",
        "recipe write qwen3-4b",
        f"curriculum export easy {PROBLEMS / 'deduction.jsonl'} --steps 1 --batch-size 1",
        "curriculum mix real-25k --source real=x",
        "curriculum contests x",
        "curriculum serve x",
    ],
)
def test_an_empty_path_is_not_the_working_folder(command, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    for empty in (["-o", ""], ["--output="]):
        done = command(*words.split(), *empty)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert "--output is empty. Give the path to write to." in done.err
    assert list(tmp_path.iterdir()) == []


# What the tests below leave to be refused last: whatever is refused before is named in its stead.
MODEL = ("--teacher", "m", "--student", "s", "--base-url", "http://u", "--seeds", "none")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--templates a --constrain grammar", "--templates, --constrain need a model as --teacher or --vary-with\n"),
        (
            "--repairs 9 --in-flight 7",
            "--repairs needs a model as --teacher or --vary-with; --in-flight needs --engine ray",
        ),
        ("--teacher-extra-body {}", "--teacher-extra-body needs a model as --teacher"),
        ("--teacher procedural --vary-with m --base-url http://u --seeds a", "--seeds needs a model as --teacher\n"),
        ("--teacher m --base-url http://u --student-url http://v", "--student-url needs a model as --student"),
        ("--extra-body {} --timeout 5 --base-url http://u", "--base-url, --extra-body, --timeout need a model\n"),
        ("--teacher m --base-url http://u --plant-faults --mode induction", "--plant-faults needs --mode fuzzing"),
        ("--teacher m --base-url http://u --engine-args {}", "--engine-args needs --engine ray and --backend vllm"),
    ],
)
def test_generate_refuses_options_that_would_have_no_effect(command, tmp_path, words, said):
    done = command("generate", "--chains", 1, "-o", tmp_path / "run", *words.split())
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        "--repairs 1 --constrain grammar --plant-faults --licence MIT --teacher-effort low --teacher-tokens 9",
        "--student-url http://v --student-temperature 0 --extra-body {} --student-extra-body {} --timeout 5",
        "--concurrency 2",
        "--vary-with n --mode fuzzing --plant-faults",
    ],
)
def test_generate_takes_the_options_of_models_where_models_take_part(command, tmp_path, words):
    done = command("generate", *MODEL, "-o", tmp_path / "run", *words.split())
    assert "'none' is no source of seeds" in done.err


@pytest.mark.slow
def test_what_is_the_default_or_stands_in_the_environment_is_not_refused(command, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    words = ("--mode", "deduction", "--chains", 1, "--turns", 1, "--attempts", 1, "--repairs", 3, "--timeout", 600)
    assert command("generate", *words, "-o", tmp_path / "run").code == 0
    assert command("generate", *words, "-o", tmp_path / "run", "--resume").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "measure {} --base-url http://u --student-effort low",
            "--base-url, --student-effort need a model as --student",
        ),
        ("measure {} --student qwen", "A model needs its server: --base-url."),
        ("export {} --curriculum soft --max-turns 3", "--curriculum, --max-turns need --for openrlhf"),
        ("export {} --private", "--private needs --push"),
        ("export {} --for openrlhf --format parquet", "--format needs --for huggingface"),
        ("export {} --for openrlhf --service c --labels key", "--labels needs no --service"),
        (
            "export {} --for openrlhf --steps 3 --count 5",
            "--steps needs --curriculum; --count needs --service or an ENV",
        ),
        ("export {} --for openrlhf --lazy", "--lazy needs an ENV"),
        ("export deduction --for openrlhf --eval-share 0.1", "--eval-share needs a run or a file of problems"),
    ],
)
def test_measure_and_export_refuse_options_that_would_have_no_effect(command, tmp_path, words, said):
    done = command(*words.format(PROBLEMS / "deduction.jsonl").split(), "-o", tmp_path / "out")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_model_whose_name_is_almost_a_teachers_gets_a_note(command, tmp_path):
    done = command("generate", *MODEL, "--teacher", "procedral", "-o", tmp_path / "run")
    assert "'procedral' is taken for the name of a model. Did you mean 'procedural'" in done.err
    assert "Note" not in command("generate", *MODEL, "-o", tmp_path / "run").err


def test_bad_usage_exits_with_2(command):
    assert command("show").code == 2
    assert command("fly").code == 2
    assert command("show", "deduction", "--seed", "-1").code == 2


@pytest.mark.slow
@pytest.mark.usefixtures("heard_signals")
def test_an_interrupt_exits_with_130_and_says_how_to_go_on(tmp_path):
    words = ["generate", "--chains", "1000", "--attempts", "2", "-o", tmp_path / "run"]
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr.readline().startswith("1/1000")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert out == ""
    assert err.endswith("code-envs: interrupted; a run goes on with the same command and --resume\n")
    assert "Traceback" not in err
