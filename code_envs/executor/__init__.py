"""The sandbox: runs untrusted programs, never sees what is expected of them."""

from __future__ import annotations

from code_envs.executor.doctor import Check, get_isolation, probe
from code_envs.executor.executor import Executor, shared_executor
from code_envs.executor.types import Execution, Isolation, Job, Limits, Status

__all__ = [
    "Check",
    "Execution",
    "Executor",
    "Isolation",
    "Job",
    "Limits",
    "Status",
    "get_isolation",
    "probe",
    "shared_executor",
]
