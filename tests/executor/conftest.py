"""What the tests of the sandbox share: the attacks as a package, and a simulator of the BPF machine."""

import importlib.util
import operator
import struct
import sys
from pathlib import Path

import pytest

from code_envs.executor import bpf
from code_envs.executor.syscalls import MACHINES

_FOLDER = Path(__file__).parent / "attacks"


def _load() -> None:
    """Make the attacks importable: pytest imports tests by path, so what they share is found by path too."""
    spec = importlib.util.spec_from_file_location(
        "attacks", _FOLDER / "__init__.py", submodule_search_locations=[str(_FOLDER)]
    )
    module = sys.modules["attacks"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


if "attacks" not in sys.modules:
    _load()

JUMPS = {0x15: operator.eq, 0x25: operator.gt, 0x35: operator.ge, 0x45: operator.and_}
LOAD, AND, JUMP, RETURN = 0x20, 0x54, 0x05, 0x06


def run_filter(program, number, arch, arguments=(0,) * 6):
    """Run a filter as the kernel does; returns its verdict and how many instructions it took."""
    data = struct.pack("<IIQ6Q", number, arch, 0, *arguments)
    at = value = steps = 0
    while True:
        code, if_true, if_false, constant = program[at]
        at, steps = at + 1, steps + 1
        if code == RETURN:
            return constant, steps
        if code == LOAD:
            (value,) = struct.unpack_from("<I", data, constant)
        elif code == AND:
            value &= constant
        elif code == JUMP:
            at += constant
        else:
            at += if_true if JUMPS[code](value, constant) else if_false


@pytest.fixture(scope="session")
def simulate():
    """The simulator: ``simulate(program, number, arch, arguments)``."""
    return run_filter


@pytest.fixture(scope="session")
def strictest():
    """How the kernel combines the verdicts of stacked filters."""
    order = {bpf.KILL: 0, bpf.ALLOW: 2}
    return lambda verdicts: min(verdicts, key=lambda verdict: order.get(verdict, 1))


@pytest.fixture(params=MACHINES)
def machine(request):
    """Each kind of machine in turn, this one or not."""
    return request.param
