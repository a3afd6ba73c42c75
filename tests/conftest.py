"""Fixtures for all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from code_envs.executor import Executor


@pytest.fixture(scope="session")
def executor() -> Iterator[Executor]:
    """One sandbox with one worker; closed when the test process ends."""
    with Executor(workers=1) as executor:
        yield executor


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of public benchmark files, or a skip."""
    named = os.environ.get("CODE_ENVS_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "cruxeval.jsonl").exists():
        pytest.skip("needs the public benchmark files: set CODE_ENVS_DATA to their folder")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator, the same in each test."""
    return np.random.default_rng([2603, 24202])
