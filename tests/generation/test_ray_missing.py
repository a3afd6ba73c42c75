"""Without Ray, or with wrong options, ``--engine ray`` is refused in one sentence before anything is made."""

import subprocess
import sys

import pytest

from code_envs.errors import MissingExtra
from code_envs.generation import RayEngine


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"code-envs\[ray\]"):
        RayEngine()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--engine", "rey"], "Did you mean 'ray'?"),
        (["--engine", "ray", "--engine-args", "[1]"], "--engine-args must be a JSON object"),
        (["--engine", "ray", "--engine-args", "{"], "--engine-args is not JSON"),
    ],
)
def test_wrong_options_are_named(tmp_path, options, said):
    command = [sys.executable, "-m", "code_envs.cli", "generate", "-o", tmp_path / "run", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "run").exists()


def test_ray_is_imported_only_when_it_is_asked_for():
    program = "import sys, code_envs.generation, code_envs.cli; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
