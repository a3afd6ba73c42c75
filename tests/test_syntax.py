"""The parser may be used from several threads, in forks, and says nothing."""

import gc
import os
import sys
import threading
import time
import warnings

from code_envs.syntax import parse

SOURCE = "def f(x):\n" + "    x = [x, (x, {x: [x + 1, -x]}), x if x else x]\n" * 40 + "    return x\n"


class Yields:
    """Lets another thread in when it is collected."""

    def __init__(self):
        self.itself = self

    def __del__(self):
        time.sleep(0)


def test_many_threads_may_parse():
    """Without care CPython 3.11.7 fails here with a SystemError."""
    faults, before, switch = [], gc.get_threshold(), sys.getswitchinterval()

    def work():
        try:
            for _ in range(20):
                Yields()
                parse(SOURCE)
        except SystemError as error:
            faults.append(error)

    gc.set_threshold(10)
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*before)
        sys.setswitchinterval(switch)
    assert faults == []


def test_warnings_of_the_parser_are_not_heard():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse(r"'\d'", "eval").body.value == "\\d"


def test_a_fork_while_another_thread_parses_can_parse():
    stop = threading.Event()

    def work():
        while not stop.is_set():
            parse(SOURCE)

    thread = threading.Thread(target=work)
    thread.start()
    codes = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks of processes with threads
        for _ in range(10):
            child = os.fork()
            if child == 0:
                parse("1")
                os._exit(7)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    stop.set()
    thread.join()
    assert codes == [7] * 10
