"""A client that becomes nobody, then runs programs on order: attacks on an executor of another user.

Started with the level, the interpreter of the programs, and the path of a zygote that nobody can read.
"""

import ctypes
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import conftest  # noqa: F401  # makes the attacks importable
import msgspec

from attacks.settings import NOBODY, Order, Setting, Target, receive, send
from code_envs.executor import client


def main() -> None:
    """Serve orders until the input ends."""
    level, python, client._SCRIPT = sys.argv[1:]
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as after the start of a program; else /proc/self is root's
    target = Target(Setting(level, "self"), python)
    while message := receive(sys.stdin.buffer):
        order = msgspec.msgpack.decode(message, type=Order)
        answer = target.run(order.program, order.limits, order.mode, order.stdin)
        send(sys.stdout.buffer, msgspec.msgpack.encode(answer))
    target.close()


main()
