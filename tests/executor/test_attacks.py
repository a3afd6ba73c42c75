"""Real attacks on the sandbox, at every level and for every user: each is stopped, and harms nobody after it."""

import pytest
from attacks import ATTACKS, GROUPS
from attacks.settings import open_target, settings
from attacks.tools import FRAMES, ROOMY, Attack

from code_envs.executor import Limits
from code_envs.executor.preload import is_lean
from code_envs.executor.probes import PROBES

HONEST = "import math\ndef f(n=5):\n    print('honest')\n    return [math.factorial(n), sorted({'b': 1, 'a': 2})]\n"
LARGE = "import fractions\n" + HONEST
HEALTH = Limits()


@pytest.fixture(scope="module", params=settings(), ids=str)
def target(request):
    with open_target(request.param) as target:
        target.zygotes = {}
        for program in (HONEST, LARGE):  # one zygote for programs that import little, one for others
            check_health(target, program)
        assert len(target.zygotes) == 2
        yield target


def check_zygotes(target, answer):
    """None that was there has gone: an attack that ends one would be run again on another."""
    assert answer.zygotes | target.zygotes == answer.zygotes
    target.zygotes = answer.zygotes


def check_health(target, program):
    """An honest program runs as ever, on the very zygote that another program has attacked."""
    honest = HONEST if is_lean(program) else LARGE
    after = target.run(honest + ("" if target.mode == "call" else "print(f())\n"), HEALTH, target.mode)
    assert after.done.ok, after.done
    if target.mode == "call":
        assert (after.done.result(), after.done.stdout) == ([120, ["a", "b"]], "honest\n")
    else:
        assert after.done.stdout == "honest\n[120, ['a', 'b']]\n"
    check_zygotes(target, after)


def run(target, program, limits):
    answer = target.run(program, limits, target.mode)
    check_zygotes(target, answer)
    check_health(target, program)
    return answer.done


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack_is_stopped(target, attack):
    attack.check(run(target, attack.program(target.mode), attack.limits), target.mode)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_honest_twin_passes(target, group):
    group.check(run(target, group.program(target.mode), ROOMY), target.mode)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_probe_is_held(target, probe):
    job = probe.job()
    if target.mode == "script":
        pytest.skip("probes are functions")
    assert probe.is_held(run(target, job.program, job.limits))


def test_the_suite_is_what_it_says():
    """Every name tells one attack from all others, and every facility has attacks and a twin."""
    names = [attack.name for attack in ATTACKS]
    assert len(set(names)) == len(names) >= 500
    assert all(group.attacks and group.twin for group in GROUPS)
    assert not [attack.name for attack in ATTACKS if attack.ends == "any"]


def test_nothing_of_a_program_stays_for_the_next(target):
    secret = "residue-" + "of-a-program"
    leave = Attack(
        "leave",
        FRAMES + f"import builtins, random, re\nsecret = {secret!r} * 5000\n"
        "builtins.secret = random.secret = re.secret = secret\n"
        "sys.modules['secret'] = sys\nos.environ['SECRET'] = secret\n"
        "for start in range(40_000, len(result_map) - 10 ** 6, 10 ** 6):\n"
        "  result_map[start:start + len(secret)] = secret.encode()\n"
        "return len(secret)",
        "ok",
        value=100_000,
    )
    leave.check(run(target, leave.program(target.mode), ROOMY), target.mode)
    look = Attack(
        "look",
        FRAMES + "import builtins, random, re\nparts = 'residue-', 'of-a-program'\nsecret = ''.join(parts).encode()\n"
        "found = [1 for place in (builtins, random, re) if hasattr(place, 'secret')]\n"
        "found += [key for key in sys.modules if key == 'secret'] + [key for key in os.environ if key == 'SECRET']\n"
        "return found + [place.find(secret) for place in (request_map, result_map) if place.find(secret) >= 0]",
        "ok",
        value=[],
    )
    look.check(run(target, look.program(target.mode), ROOMY), target.mode)
