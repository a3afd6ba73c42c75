"""Real attacks on the standard streams of scripts; each is stopped, and the next script reads and prints as ever."""

import pytest
from attacks.settings import open_target, settings
from attacks.streams import ATTACKS, HONEST, STDIN

from code_envs.executor import Limits
from code_envs.executor.preload import is_lean

ECHO = "import os, sys\nprint(sys.stdin.read(), os.lseek(1, 0, 2), os.lseek(2, 0, 2))"


@pytest.fixture(scope="module", params=settings(("script",)), ids=str)
def target(request):
    with open_target(request.param) as target:
        target.zygotes = {}
        yield target


def run(target, script):
    """Run it, and then an honest one on the very same zygote, which finds nothing of it."""
    answer = target.run(script.program(), script.limits, "script", script.stdin.encode("utf-8", "surrogatepass"))
    large = "" if is_lean(script.program()) else "import fractions\n"
    after = target.run(large + ECHO, Limits(), "script", b"fresh")
    assert after.done.stdout == "fresh 0 0\n", after.done
    assert after.zygotes == answer.zygotes
    assert answer.zygotes | target.zygotes == answer.zygotes
    target.zygotes = answer.zygotes
    return answer.done


@pytest.mark.parametrize("script", ATTACKS, ids=lambda script: script.name)
def test_attack_on_a_stream_is_stopped(target, script):
    script.check(run(target, script))


@pytest.mark.parametrize("script", HONEST, ids=lambda script: script.name)
def test_honest_use_of_a_stream_passes(target, script):
    script.check(run(target, script))


def test_output_is_never_longer_than_its_bound(target):
    for script in ATTACKS:
        if "flood" in script.name:
            done = run(target, script)
            assert len(done.stdout) <= script.limits.result_bytes
            assert len(done.stderr) <= script.limits.stdout_bytes


def test_the_suite_is_what_it_says():
    names = [script.name for script in (*ATTACKS, *HONEST)]
    assert len(set(names)) == len(names) >= 90
    assert STDIN.endswith("é")  # neither ASCII nor a last line break
