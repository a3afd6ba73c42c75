"""Attacks beside honest work: in one batch, in one job, and several at once on one machine."""

import random

import pytest
from attacks import ATTACKS
from attacks.tools import FRAMES, LIMITS, ROOMY, Attack

from code_envs.codec import encode
from code_envs.executor import Executor, Job, Status

NOTHING = encode((), ordered=True)
SOME = [attack for attack in ATTACKS if attack.ends != "wall"][::9]


@pytest.fixture(scope="module")
def busy():
    with Executor(workers=2, limits=LIMITS) as executor:
        yield executor


def jobs_of(attack, **options):
    return Job(program=attack.program("call"), entry="f", limits=attack.limits, **options)


def test_honest_programs_pass_beside_attacks(busy):
    """Attacks run on every worker before, after and during each honest program."""
    attacks = [jobs_of(attack, calls=[NOTHING]) for attack in SOME]
    honest = [
        Job(program=f"def f(n): return [n * {index}, 'x' * n]", entry="f", calls=[encode((3,), ordered=True)])
        for index in range(len(SOME))
    ]
    mixed = list(enumerate([job for pair in zip(attacks, honest, strict=True) for job in pair]))
    random.Random(5).shuffle(mixed)
    done = dict(zip((index for index, _ in mixed), busy.run_jobs([job for _, job in mixed]), strict=True))
    for index, attack in enumerate(SOME):
        attack.check(done[2 * index][0], "call")
        assert done[2 * index + 1][0].result() == [3 * index, "xxx"]


def test_no_attack_makes_the_sandbox_look_broken(busy):
    """An answer that could choose ``infra`` would choose not to be scored."""
    done = busy.run_jobs([jobs_of(attack, calls=[NOTHING] * 2) for attack in SOME])
    assert Status.INFRA not in {execution.status for executions in done for execution in executions}


@pytest.mark.parametrize("attack", SOME[::4], ids=lambda attack: attack.name)
def test_isolated_calls_are_attacked_one_by_one(busy, attack):
    done = busy.run_jobs([jobs_of(attack, calls=[NOTHING] * 2, isolate_calls=True)])[0]
    for execution in done:
        attack.check(execution, "call")


LOOK_AHEAD = Attack("look ahead", FRAMES + "return request_map.find(b'la' + b'ter') >= 0", "").program("call")
LOOK_AHEAD = LOOK_AHEAD.replace("def f():", "def f(text):")


def test_an_isolated_call_cannot_look_ahead(busy):
    calls = [("first",), ("later",)]
    together = busy.run(LOOK_AHEAD, "f", calls, ROOMY)
    assert [done.result() for done in together] == [True, True]  # as the table of threats says
    apart = busy.run(LOOK_AHEAD, "f", calls, ROOMY, isolate_calls=True)
    assert [done.result() for done in apart] == [False, True]


def test_an_isolated_call_finds_nothing_of_another(busy):
    program = "import builtins\ndef f():\n  found, builtins.left = hasattr(builtins, 'left'), 1\n  return found"
    assert [done.result() for done in busy.run(program, "f", [()] * 3)] == [False, True, True]
    assert [done.result() for done in busy.run(program, "f", [()] * 3, isolate_calls=True)] == [False] * 3


def test_a_call_that_is_killed_leaves_the_others_their_results(busy):
    program = "import os\ndef f(n):\n    if n == 2: os.kill(0, 9)\n    return n"
    calls = [(1,), (2,), (3,)]
    assert [done.status.value for done in busy.run(program, "f", calls)] == ["ok", "forbidden", "forbidden"]
    apart = busy.run(program, "f", calls, isolate_calls=True)
    assert [done.status.value for done in apart] == ["ok", "forbidden", "ok"]
