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
