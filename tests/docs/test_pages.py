"""What the pages show runs, and what they link to exists."""

import re
from pathlib import Path

import pytest

from code_envs.curricula import load_bins, load_schedule, preset_names
from code_envs.problem import Report, load_problems, save_records

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if not link.startswith("http"):
            name, _, anchor = link.partition("#")
            target = (page.parent / name) if name else page
            assert target.exists(), link
            heads = [
                re.sub(r"[^\w -]", "", line.lstrip("# ")).lower()
                for line in target.read_text().splitlines()
                if line.startswith("#")
            ]
            assert not anchor or anchor in [head.replace(" ", "-") for head in heads], link


def examples(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_first_example_of_the_readme_runs(capsys):
    exec(examples("README.md")[0], {})
    reward, outcome, *reason = capsys.readouterr().out.split()
    assert (reward, outcome) == ("0.0", "wrong")
    assert reason


def test_the_example_of_a_problem_runs(capsys):
    space: dict = {}
    exec(examples("docs/problems.md")[0], space)
    assert "deduction" in space["problem"].to_json()


def test_the_example_of_a_script_runs(capsys):
    exec(examples("docs/problems.md")[1], {})
    complaints, feedback = capsys.readouterr().out.splitlines()
    assert complaints == "[]"
    assert "prints '2\\n', but the output must be '1.5\\n'" in feedback


def test_the_example_of_a_curriculum_runs():
    import gymnasium as gym

    space = {"gym": gym}
    exec(examples("docs/environments.md")[0], space)
    assert space["state"]


@pytest.fixture
def run_folder(tmp_path, monkeypatch):
    """A run folder ``runs/first`` with measured problems, in the current folder."""
    problems = []
    for number, problem in enumerate(load_problems(ROOT / "tests" / "problems" / "deduction.jsonl")):
        report = Report(problem=problem.key, student="s", attempts=32, passes=(28, 16, 3)[number % 3])
        problems.append(problem.but(measurements=(report,)))
    (tmp_path / "runs" / "first").mkdir(parents=True)
    save_records(tmp_path / "runs" / "first" / "problems.jsonl", problems)
    monkeypatch.chdir(tmp_path)


def test_the_examples_of_samplers_run(run_folder):
    import gymnasium as gym

    space = {"gym": gym}
    exec(examples("docs/curricula.md")[0], space)
    assert space["state"]["index"] == 1
    assert space["info"]["key"] == space["sampler"].problems[space["state"]["current"]].key
    (example,) = (text for text in examples("README.md") if "Sampler" in text)
    exec(example, space)
    assert space["env"].reset()[1]["mode"] == "deduction"


def test_the_example_of_a_schedule_is_valid(tmp_path):
    page = (ROOT / "docs" / "curricula.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "gentle.toml").write_text(text)
    assert load_schedule(tmp_path / "gentle.toml").weights(3, 4)["hard"] == pytest.approx(1 / 3)


def test_the_table_of_bins_is_that_of_the_presets():
    page = (ROOT / "docs" / "curricula.md").read_text(encoding="utf-8")
    for name in preset_names("bins"):
        (row,) = re.findall(rf"^\| `{name}` \|(.*)\|$", page, re.MULTILINE)
        spans = [tuple(map(float, span.split("–"))) for span in row.replace(" ", "").split("|") if span]
        assert spans == list(load_bins(name).edges.values())
