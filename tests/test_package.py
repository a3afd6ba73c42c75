"""What ``import code_envs`` offers."""

import ast
from pathlib import Path

import pytest

import code_envs

TREE = ast.parse(Path(code_envs.__file__).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", code_envs.__all__)
def test_every_name_is_there(name):
    assert getattr(code_envs, name) is not None
    assert name in dir(code_envs)


def test_type_checkers_see_every_name():
    seen = {alias.name for node in ast.walk(TREE) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(code_envs.__all__) - {"__version__"} <= seen


def test_no_other_name_is_there():
    with pytest.raises(AttributeError, match="no attribute 'Deduction'"):
        _ = code_envs.Deduction
