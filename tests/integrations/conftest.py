"""What the tests of several adapters share."""

import os
import sys

import pytest


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Stands in for the cluster, which a machine without GPUs cannot be: says what Ray was asked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        "ray": f'printf "%s\\n" "$@" > {tmp_path}/ray.txt',
        "code-envs": f'if [ "$1 $2" != "curriculum serve" ]; then exec {sys.executable} -m code_envs.cli "$@"; fi\n'
        f'echo "$@" > {tmp_path}/served.txt\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"',
    }
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return tmp_path
