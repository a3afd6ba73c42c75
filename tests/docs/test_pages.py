"""What the pages show runs, and what they link to exists."""

import re
from pathlib import Path

import pytest

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
