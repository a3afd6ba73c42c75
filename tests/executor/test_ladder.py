"""The level in force is the strongest that holds; what does not hold is refused with its reason."""

import os
import shutil
import subprocess
import sys

import pytest

from code_envs.errors import ExecutorError, IsolationUnavailable
from code_envs.executor import Executor, Isolation, get_isolation, ladder
from code_envs.executor.probes import Probe

CLIENT = """
from code_envs.errors import IsolationUnavailable
from code_envs.executor import Executor, Isolation
with Executor(workers=1) as executor:
    print(executor.run("def f(): return 1", "f", [()])[0].isolation.value)
try:
    with Executor(workers=1, min_isolation=Isolation.FULL) as executor:
        executor.isolation
except IsolationUnavailable as error:
    print(error)
"""


def test_without_user_namespaces_the_next_level_is_used():
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("needs the command 'unshare' (util-linux)")
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -c "$1"'
    command = [unshare, "-Ur", "sh", "-c", script, sys.executable, CLIENT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip(f"needs user namespaces: {done.stderr.strip()}")
    level, refusal = done.stdout.splitlines()
    assert level in ("no_userns", "seccomp")
    assert "full: [Errno" in refusal
    assert "unshare" in refusal
    assert "code-envs doctor" in refusal


def test_a_level_whose_attack_gets_through_is_refused(monkeypatch):
    monkeypatch.setattr(ladder, "ESSENTIAL", (Probe("compute", "return 1"),))
    with pytest.raises(IsolationUnavailable, match="'compute' was not stopped"):
        ladder.start(Isolation.FULL)


def test_an_attack_that_fails_by_its_own_mistake_proves_nothing(monkeypatch):
    monkeypatch.setattr(ladder, "ESSENTIAL", (Probe("mistake", "return missing"),))
    with pytest.raises(IsolationUnavailable, match="'mistake' was not stopped"):
        ladder.start(Isolation.FULL)


def test_a_passing_shortage_lowers_no_level(monkeypatch):
    def fail(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(ladder, "_known", {})
    with monkeypatch.context() as patch, Executor(workers=1) as executor:
        patch.setattr(os, "memfd_create", fail)
        with pytest.raises(ExecutorError, match="Too many open files"):
            executor.run("def f(): return 1", "f", [()])
    assert ladder._known == {}


def test_the_environment_weakens_nothing(monkeypatch):
    strongest = get_isolation()
    for name in ("CODE_ENVS_ISOLATION", "CODE_ENVS_UNSAFE", "PYTHONSTARTUP", "PYTHONINSPECT", "LD_PRELOAD"):
        monkeypatch.setenv(name, "1")
    with Executor(workers=1) as executor:
        (done,) = executor.run("import os\ndef f(): return sorted(os.environ)", "f", [()])
    assert done.isolation is strongest
    assert done.result() == ["LC_ALL", "PYTHONHASHSEED"]
