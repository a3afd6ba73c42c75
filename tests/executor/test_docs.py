"""The page about the executor says what the code says."""

import re
from pathlib import Path

import pytest

from code_envs.executor import Isolation, Limits, Status
from code_envs.executor.preload import ALLOWED

PAGE = Path(__file__).parents[2] / "docs" / "executor.md"


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text()


def test_modules(page):
    listed = re.search(r"<!-- modules -->\n(.*?)<!-- /modules -->", page, re.DOTALL).group(1).split()
    assert listed == list(ALLOWED)


def test_every_status_level_and_limit_is_described(page):
    for name in [*Status, *Isolation, *Limits.__struct_fields__]:
        assert re.search(rf"^\|[^|]*`{name}`", page, re.MULTILINE), name


def test_the_examples_print_what_they_say(page, capsys):
    space: dict = {}
    for example in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        if "executor.run_script" in example:  # stands inside the executor of the first example
            with space["Executor"](workers=1) as space["executor"]:
                exec(example, space)
        else:
            exec(example, space)
        said = [line[2:] for line in example.splitlines() if line.startswith("# ")]
        assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == said
        assert said
