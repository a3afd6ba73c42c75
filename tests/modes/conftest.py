"""Problems that were written by hand, three for each mode."""

from collections.abc import Callable
from pathlib import Path

import pytest

from code_envs.problem import Problem, load_problems

_FOLDER = Path(__file__).parents[1] / "problems"


@pytest.fixture(scope="session")
def written() -> Callable[[str, int], Problem]:
    """Find a problem by mode and number."""
    problems = {path.stem: list(load_problems(path)) for path in sorted(_FOLDER.glob("*.jsonl"))}
    return lambda mode, index=0: problems[mode][index]
