"""CPU time is counted wherever in the tree of processes it is spent."""

import subprocess
import sys

import pytest

BURN = "import time\nwhile time.process_time() < 0.2: pass\n"
START = """
import os, subprocess, sys, time
from code_envs.benchmarks.peers.usage import Meter, adopt_orphans

def start(code):
    return subprocess.Popen([sys.executable, "-c", code, burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

burn = sys.argv[1]
adopt_orphans()
meter = Meter()
"""
STAY = "print(1, flush=True); input()"
RUN = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]]); "

# Each spends 0.2 s in another place, and leaves `process` behind if it lives.
PLACES = {
    "itself": "exec(burn.replace('< 0.2', f'< {time.process_time() + 0.2}'))",
    "a child that was waited for": "subprocess.run([sys.executable, '-c', burn])",
    "a child that lives": f"process = start(burn + {STAY!r}); process.stdout.readline()",
    "a child of a child that lives": f"process = start({RUN + STAY!r}); process.stdout.readline()",
    "an orphan that has ended": (
        f"start({RUN.replace('run(', 'Popen(')!r}).communicate()\nos.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)"
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_missed(place):
    end = "print(meter.read())\nif 'process' in globals(): process.communicate(b'')\n"
    script = f"{START}\n{PLACES[place]}\n{end}"
    command = [sys.executable, "-c", script, BURN]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert float(done.stdout) >= 0.18
