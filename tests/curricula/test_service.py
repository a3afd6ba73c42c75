import json
import shutil
import subprocess
import sys
import textwrap
import threading
from collections import Counter, defaultdict
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from code_envs.curricula import CurriculumService, OnlineSettings, Sampler
from code_envs.curricula.ledger import SIBLINGS, STATE
from code_envs.dedup import fingerprints
from code_envs.errors import ConfigError, RunError, UnknownName
from code_envs.modes import rules
from code_envs.modes.base import Grade, Outcome
from code_envs.problem import Mode, load_problems
from code_envs.teacher import ProceduralTeacher

PASSED, WRONG = Grade(outcome=Outcome.PASSED, reward=1.0), Grade(outcome=Outcome.WRONG)
LOST = Grade(outcome=Outcome.INFRA)
SETTINGS = OnlineSettings(half_life=10, evidence=4, patience=3)


@pytest.fixture
def service(stepping_stones, step_teacher):
    """Makes services alike."""
    made = []

    def make(  # noqa: PLR0917
        folder=None, teacher=step_teacher, settings=SETTINGS, policy="learnability", problems=30, barred=(), **more
    ):
        sampler = Sampler(stepping_stones[:problems], policy, **{"batch_size": 4, "group_size": 4, "seed": 2} | more)
        made.append(CurriculumService(sampler, teacher, settings=settings, folder=folder, barred=barred))
        return made[-1]

    yield make
    for each in made:
        each.close()


def rollouts(service, steps, start=0, rate=lambda problem: 0.9):
    """A policy that passes at a rate; it reports a group when all members have asked. Returns the keys."""
    size, keys = service.sampler.group_size, []
    for step in range(start, start + steps):
        for place in range(service.sampler.batch_size):
            ticket = f"{step}-{place}"
            draws = [service.ask(ticket) for _ in range(size)]
            assert len({drawn.problem.key for drawn in draws}) == 1
            keys.append(draws[0].problem.key)
            rng = np.random.default_rng([step, place])
            for passed in rng.random(size) < rate(draws[0].problem):
                service.report(ticket, PASSED if passed else WRONG, reply=f"at step {step}")
        assert service.wait(60)
    return keys


def comparable(service):
    return json.loads(json.dumps(service.state_dict()))


# --- groups and tickets -------------------------------------------------------------------------


def test_who_asks_after_a_whole_group_gets_a_new_draw_before_and_after_its_reports(service):
    each = service()
    first = [each.ask("a").index for _ in range(4)]
    assert first == [0] * 4
    assert [each.ask("a").index for _ in range(4)] == [1] * 4  # a trainer that is an epoch ahead
    assert each.stats()["repeated"] == 1
    for _ in range(4):
        each.report("a", PASSED)  # of the oldest group, as none is named
    for _ in range(4):
        each.report("a", WRONG, index=1)
    assert each.ask("a").index == 2
    counts = each.stats()
    assert (counts["asked"], counts["reports"], counts["late"], counts["stray"]) == (9, 8, 0, 0)


@settings(max_examples=25)
@given(data=st.data())
def test_every_report_reaches_the_problem_of_its_own_group(stepping_stones, data):
    each = CurriculumService(Sampler(stepping_stones, "learnability", batch_size=2, group_size=3))
    waiting, expected = [], defaultdict(Counter)
    for _ in range(data.draw(st.integers(1, 60))):
        if waiting and data.draw(st.booleans()):
            ticket, drawn = waiting.pop(data.draw(st.integers(0, len(waiting) - 1)))
            passed = data.draw(st.booleans())
            each.report(ticket, PASSED if passed else WRONG, index=drawn.index)
            expected[drawn.problem.key][passed] += 1
        else:
            ticket = data.draw(st.sampled_from("abcde"))
            waiting.append((ticket, each.ask(ticket)))
    for key, counts in expected.items():
        row = each._growth.beliefs._rows[key]
        measured = next(problem for problem in stepping_stones if problem.key == key).measurements[0].attempts
        assert row[3] == measured + counts.total()
    assert each.stats()["stray"] == 0


def test_late_and_stray_reports_are_counted_and_late_ones_believed(service):
    each = service(teacher=None)
    drawn = each.ask("slow")
    for step in range(6):
        for place in range(4):
            each.ask(f"{step}-{place}")
    before = each.rate(drawn.problem.key)
    assert each.stats()["expired"] > 0
    for _ in range(4):
        each.report("slow", PASSED, index=drawn.index)
    each.report("nobody", PASSED)
    each.report("slow", PASSED, index=999)
    counts = each.stats()
    assert (counts["late"], counts["stray"]) == (4, 2)
    assert each.rate(drawn.problem.key) > before
    assert each.ask("slow").index != drawn.index


def test_open_groups_and_what_is_remembered_stay_bounded(service):
    each = service(teacher=None)
    for number in range(3_000):
        each.ask(number)  # nobody ever reports
    assert each.stats()["open"] <= 4 * (SETTINGS.patience + 1)
    assert len(each.state_dict()["tickets"]["closed"]) <= 4096


def test_unscored_members_complete_a_group_and_say_nothing(service):
    each = service()
    drawn, before = each.ask("a"), each.rate(each.ask("a").problem.key)
    for _ in range(4):
        each.report("a", LOST)
    assert each.stats()["open"] == 0
    assert each.stats()["unscored"] == 4
    assert each.rate(drawn.problem.key) == before


def test_what_is_asked_or_reported_again_counts_once(service):
    each = service()
    draws = [each.ask("a", call=name).index for name in ("1", "2", "1", "2", "3", "4")]
    assert draws == [0] * 6
    for name in ("x", "y", "x", "z", "z", "w", "w"):
        each.report("a", PASSED, index=0, call=name)
    counts = each.stats()
    assert (counts["asked"], counts["reports"], counts["late"], counts["open"]) == (4, 4, 0, 0)
    assert each.ask("a", call="5").index == 1


def test_threads_get_whole_groups_and_nothing_is_lost(service):
    each, found, lock = service(settings=OnlineSettings(evidence=4)), defaultdict(list), threading.Lock()

    def work(number):
        for group in range(50):
            drawn = each.ask(group)
            with lock:
                found[group].append((drawn.index, drawn.problem.key))
            each.report(group, PASSED if number % 2 else WRONG, index=drawn.index)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = each.stats()
    assert counts["asked"] == counts["reports"] == 200
    assert counts["stray"] == 0
    seen = Counter(pair for pairs in found.values() for pair in pairs)
    assert sum(seen.values()) == 200
    assert max(seen.values()) <= 4


# --- the teacher --------------------------------------------------------------------------------


def test_a_chain_that_is_too_easy_gets_harder_siblings_and_drops_what_is_mastered(service):
    each = service()
    rollouts(each, 40, rate=lambda problem: 1.0 if problem.lineage.level < 8 else 0.5)
    counts = each.stats()
    assert counts["harder"] > 5
    assert counts["easier"] == 0
    assert counts["retired"] > 0
    parents = {problem.key: problem for problem in each.problems}
    for problem in each.problems[30:]:
        lineage = problem.lineage
        parent = parents[lineage.parent]
        assert (lineage.direction, lineage.turn, lineage.chain) == (
            "harder",
            parent.lineage.turn + 1,
            parent.lineage.chain,
        )
    retired = {each.problems[place].key for place in each.sampler.retired}
    assert not retired & set(rollouts(each, 10, start=40, rate=lambda _: 0.5))


def test_a_chain_that_is_too_hard_gets_easier_siblings(service):
    each = service(problems=6, settings=OnlineSettings(half_life=3, evidence=4))
    rollouts(each, 60, rate=lambda _: 0.0)
    counts = each.stats()
    assert counts["easier"] > 3
    assert counts["harder"] == 0
    assert {problem.lineage.direction for problem in each.problems[6:]} == {"easier"}


def test_a_chain_in_range_is_left_alone(service):
    each = service()
    rollouts(each, 20, rate=lambda _: 0.5)
    changed = each.stats()["harder"] + each.stats()["easier"]
    assert changed <= 3  # four attempts are noisy
    assert len(each.problems) == 30 + changed


def test_the_teacher_sees_what_the_policy_did(service, step_teacher):
    teacher = step_teacher()
    rollouts(service(teacher=teacher, settings=OnlineSettings(evidence=4, target=(0.4, 0.6))), 20, rate=lambda _: 1.0)
    problem, direction, target = teacher.asked[0]
    report = problem.measurements[-1]
    assert (direction, target, report.student) == ("harder", (0.4, 0.6), "policy")
    assert report.rate > 0.65
    assert report.solved[0].reply.startswith("at step")


def test_a_run_repeats_where_the_teacher_answers_before_each_step(service):
    one, other = service(), service(settings=OnlineSettings(**{**_changed(), "workers": 3}))
    assert rollouts(one, 30) == rollouts(other, 30)
    assert [p.key for p in one.problems] == [p.key for p in other.problems]
    assert len(one.problems) > 35


def _changed():
    return {name: getattr(SETTINGS, name) for name in SETTINGS.__struct_fields__}


@pytest.mark.parametrize("policy", ["learnability", "failure-first", "target-rate", "bandit", "soft"])
def test_every_policy_takes_siblings_in_and_resumes_as_if_never_interrupted(service, policy):
    more = {"policy": policy, "steps": 60, "starved": "skip", "rest": 3}
    whole, first, second = service(**more), service(**more), service(**more)
    expected = rollouts(whole, 40)
    early = rollouts(first, 23)
    second.load_state_dict(comparable(first))
    assert second.wait(60)
    assert early + rollouts(second, 17, start=23) == expected
    assert comparable(second) == comparable(whole)
    assert len(whole.problems) > 32
    fresh = {problem.key for problem in whole.problems[30:]}
    assert fresh & set(expected)  # they are shown


def test_bins_follow_the_policy_where_that_is_wanted(service):
    more = {"policy": "easy-only", "steps": 60, "starved": "skip", "teacher": None}
    fixed = service(**more)
    rebinned = service(**more, settings=OnlineSettings(evidence=4, half_life=5, rebin=True))
    for each in (fixed, rebinned):
        rollouts(each, 40, rate=lambda problem: 1.0 if problem.lineage.level else 0.0)
    assert Counter(p.lineage.level for p in map(fixed._growth.problem, rollouts(fixed, 5, 40))) == {0: 20}
    bins = zip(rebinned.problems, rebinned.sampler.pool.placed.names, strict=True)
    assert {name for problem, name in bins if problem.lineage.level == 0} <= {"hard", "medium"}  # easy once
    twin = service(**more, settings=rebinned.settings)
    twin.load_state_dict(comparable(rebinned))
    assert rollouts(twin, 5, 40) == rollouts(rebinned, 5, 40)


@pytest.mark.parametrize("policy", ["easy-only", "learnability"])
def test_a_question_is_answered_even_where_the_policy_has_nothing(stepping_stones, policy):
    sampler = Sampler(stepping_stones, policy, steps=10, chain_order="easy-first", seed=1)
    sampler.change(moved=dict.fromkeys(range(len(sampler.pool)), "hard"))
    sampler.change(retired=range(1, len(sampler.pool)))
    each = CurriculumService(sampler)
    assert {each.ask(number).problem.key for number in range(5)} == {stepping_stones[0].key}


def test_a_teacher_that_fails_or_hangs_costs_no_rollout(service, step_teacher):
    def fail():
        raise RuntimeError("no server")

    each = service(teacher=lambda: step_teacher(fail))
    rollouts(each, 30)
    counts = each.stats()
    assert counts["failed"] > 3
    assert counts["last_error"] == "RuntimeError: no server"
    assert len(each.problems) == 30
    gate = threading.Event()
    hanging = service(teacher=step_teacher(lambda: gate.wait(60)))
    for number in range(200):
        drawn = hanging.ask(number // 4)
        hanging.report(number // 4, PASSED, index=drawn.index)
    assert 0 < hanging.stats()["pending"] <= 8
    assert hanging.stats()["reports"] == 200
    gate.set()


def test_a_sibling_that_is_held_out_is_refused(service):
    free = service()
    rollouts(free, 8)
    made = {problem.key for problem in free.problems[30:]}
    bound = service(barred=free.problems[30:])
    rollouts(bound, 8)
    assert made
    assert not made & {problem.key for problem in bound.problems}
    assert bound.stats()["failed"] > 0 == free.stats()["failed"]
    assert "held out" in bound.stats()["last_error"]


HELD_OUT = "def f(x):\n    y = x * x\n    return y + x\n"


def test_a_sibling_that_equals_what_is_held_out_is_refused_before_and_after_a_resume(
    service, make, step_teacher, tmp_path
):
    class Copier(step_teacher):
        """Every other sibling is a held-out problem with other names and another layout."""

        def vary(self, rng, problem, direction, target=None):
            made = super().vary(rng, problem, direction, target)
            copied = HELD_OUT.replace("x", "other") + f"\n# copy {rng.integers(1000)}\n"
            return made if rng.random() < 0.5 else made.but(program=copied)

    barred = [make(0, mode=mode).but(program=HELD_OUT) for mode in Mode]
    whole = service(tmp_path / "whole", teacher=Copier, barred=barred)
    expected = rollouts(whole, 24)
    counts = whole.stats()
    assert counts["failed"] > 2
    assert counts["harder"] > 2
    assert not any(set(fingerprints(one)) & set(fingerprints(two)) for one in barred for two in whole.problems[30:])
    first, begun = service(tmp_path / "parts", teacher=Copier, barred=barred), []
    for step in range(14, 20):
        begun += rollouts(first, step - len(begun) // 4, start=len(begun) // 4)
        # as a kill leaves it; at some steps a wish is on its way whose like was refused before
        shutil.copytree(tmp_path / "parts", tmp_path / f"{step}")
        second = service(tmp_path / f"{step}", teacher=Copier, barred=barred)
        assert second.wait(60)
        assert begun + rollouts(second, 24 - step, start=step) == expected
        assert comparable(second) == comparable(whole)


def test_a_real_teacher_makes_siblings_that_pass_validation(executor):
    from code_envs.modes import validate

    teacher = ProceduralTeacher(executor)
    problems = [teacher.propose(np.random.default_rng([3, at]), 1, Mode.DEDUCTION) for at in range(4)]
    each = CurriculumService(Sampler(problems, "learnability", batch_size=4, group_size=4), "procedural")
    rollouts(each, 6, rate=lambda _: 1.0)
    new = each.problems[4:]
    assert new
    assert not [complaint for problem in new for complaint in validate(problem, executor)]
    assert min(problem.lineage.level for problem in new) == 2
    each.close()


# --- environments -------------------------------------------------------------------------------


def test_an_environment_follows_the_service(stepping_stones, executor):
    def sampler():
        return Sampler(stepping_stones, "soft", steps=12, batch_size=2, group_size=3, seed=11, modes="deduction-only")

    each = CurriculumService(sampler())
    env = gymnasium.make("code_envs/Mixed-v0", curriculum=each, executor=executor)
    expected = [drawn.problem.key for drawn in sampler()]
    for key in expected[:4]:
        for _ in range(3):
            assert env.reset()[1]["key"] == key
            problem = env.unwrapped.problem
            assert env.step(rules(problem.mode).gold(problem))[1] == 1
    assert each.stats()["reports"] == 12
    assert each.stats()["open"] == 0
    twin = CurriculumService(sampler())
    twin.load_state_dict(comparable(each))
    assert twin.choose(np.random.default_rng(0)).key == expected[4]


# --- the folder ---------------------------------------------------------------------------------


def test_a_service_that_was_closed_goes_on(service, tmp_path):
    whole = service()
    expected = rollouts(whole, 30)
    first = service(tmp_path / "state")
    early = rollouts(first, 13)
    first.close()
    with pytest.raises(RunError, match="service is closed"):
        first.ask("a")
    assert not list((tmp_path / "state").glob("events-*"))
    second = service(tmp_path / "state")
    assert second.wait(60)
    assert early + rollouts(second, 17, start=13) == expected
    made = list(load_problems(tmp_path / "state" / SIBLINGS))
    assert {problem.key for problem in second.problems[30:]} <= {problem.key for problem in made}


@pytest.mark.parametrize("save_every", [1, 7, 10_000])
def test_a_service_that_was_killed_stands_where_it_stood(service, tmp_path, save_every):
    more = {"settings": OnlineSettings(**{**_changed(), "save_every": save_every})}
    first = service(tmp_path, **more)
    rollouts(first, 11)
    first.ask("half a group")
    first.report("half a group", PASSED, reply="\ud800 cannot be written" * 1_000, call="once")
    for thread in threading.enumerate():
        if thread.name == "code-envs-service-state":
            thread.join()
    first._ledger.close()  # as the kernel does with the lock of a process that is killed
    second = service(tmp_path, **more)
    before, after = comparable(first), comparable(second)
    del before["early"], after["early"]  # what the teacher has answered meanwhile
    assert before == after
    second.report("half a group", PASSED, call="once")
    assert second.stats()["reports"] == first.stats()["reports"]
    assert second.ask("half a group").index == 44
    first._ledger = None


def test_torn_files_are_mended_and_damaged_ones_named(service, tmp_path):
    first = service(tmp_path, settings=OnlineSettings(**{**_changed(), "save_every": 10_000}))
    rollouts(first, 9)
    state = comparable(first)
    first._ledger.close()
    first._ledger = None
    (events,) = tmp_path.glob("events-*")
    whole = events.read_bytes()
    events.write_bytes(whole + b'{"ask": "torn')
    with (tmp_path / SIBLINGS).open("ab") as file:
        file.write(b'{"mode": "ded')
    (tmp_path / f"{STATE}.part").write_text("torn")
    second = service(tmp_path, settings=first.settings)
    assert comparable(second)["sampler"] == state["sampler"]
    second.close()
    (tmp_path / STATE).write_text("{")
    with pytest.raises(RunError, match=r"state\.json was changed and cannot be read"):
        service(tmp_path)


def test_events_that_do_not_fit_are_refused(service, tmp_path):
    first = service(tmp_path)
    rollouts(first, 2)
    first._ledger.close()
    first._ledger = None
    (events,) = tmp_path.glob("events-*")
    events.write_text(events.read_text().replace('"index":1', '"index":2'))
    with pytest.raises(RunError, match="cannot be gone on from: draw 2 was"):
        service(tmp_path)
    events.write_text("nonsense\n")
    with pytest.raises(RunError, match="jsonl:1 was changed"):
        service(tmp_path)


def test_a_folder_in_use_and_one_of_another_service_are_refused(service, tmp_path):
    first = service(tmp_path / "state")
    with pytest.raises(RunError, match="another process is at work"):
        service(tmp_path / "state")
    rollouts(first, 1)
    first.close()
    with pytest.raises(ConfigError, match=r"half_life = 10, not 20\.0"):
        service(tmp_path / "state", settings=OnlineSettings(**{**_changed(), "half_life": 20.0}))
    with pytest.raises(ConfigError, match="other seed"):
        service(tmp_path / "state", seed=3)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("x")
    with pytest.raises(RunError, match=f"no {STATE}"):
        service(tmp_path / "notes")
    for other in ('{"my": "state"}', '{"number": 1}', '{"number": "one", "tickets": {}}'):
        (tmp_path / "notes" / STATE).write_text(other)
        (tmp_path / "notes" / "siblings.jsonl").write_text("my list")
        with pytest.raises(RunError, match="is no state of a curriculum's service"):
            service(tmp_path / "notes")
        assert (tmp_path / "notes" / "siblings.jsonl").read_text() == "my list"
    service(tmp_path / "state", settings=OnlineSettings(**{**_changed(), "workers": 2, "timeout": 9.0}))


def test_a_disk_that_fails_is_told_and_costs_no_rollout(service, tmp_path, monkeypatch):
    each = service(tmp_path)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("code_envs.curricula.ledger.replace_file", full)
    monkeypatch.setattr("pathlib.Path.open", full)
    each._ledger._events = None
    rollouts(each, 3)
    assert "No space left" in each.stats()["broken"]
    assert each.stats()["reports"] == 48
    monkeypatch.undo()


KILLED = """
    import sys
    from tests.curricula.conftest import StepTeacher
    from code_envs.curricula import CurriculumService, OnlineSettings, Sampler
    from code_envs.modes.base import Grade, Outcome

    sampler = Sampler(sys.argv[1], "learnability", batch_size=4, group_size=4, seed=2)
    settings = OnlineSettings(half_life=10, evidence=4, patience=3, save_every=50)
    service = CurriculumService(sampler, StepTeacher, settings=settings, folder=sys.argv[2])
    for number in range(int(sys.argv[3]), 1_000_000):
        drawn = service.ask(number)
        print("asked", number, drawn.index, drawn.problem.key, flush=True)
        for at in range(4):
            service.report(number, Grade(outcome=Outcome.PASSED, reward=1.0), index=drawn.index)
            print("reported", number, flush=True)
"""


@pytest.mark.slow
def test_nothing_that_was_answered_is_lost_to_a_kill(stepping_stones, service, tmp_path):
    problems, folder = tmp_path / "problems.jsonl", tmp_path / "state"
    problems.write_text("".join(problem.to_json() + "\n" for problem in stepping_stones[:30]))
    asked, reported, start = {}, Counter(), 0
    for lines in (60, 200, 411, 700):
        command = [sys.executable, "-c", textwrap.dedent(KILLED), str(problems), str(folder), str(start)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
        for place, line in enumerate(process.stdout):  # to the end: what was told before the kill took effect counts
            if place == lines:
                process.kill()
            if not line.endswith("\n"):
                break  # torn by the kill
            word, number, *rest = line.split()
            if word == "asked":
                asked[int(number)] = (int(rest[0]), rest[1])
            else:
                reported[int(number)] += 1
        process.stdout.close()
        process.wait()
        start = max(asked) + 1
    each = service(folder, settings=OnlineSettings(half_life=10, evidence=4, patience=3, save_every=50))
    counts = each.stats()
    told = sum(reported.values())
    assert told <= counts["reports"] <= told + 4  # one at each kill that was not told any more
    known = {group["ticket"]: (group["index"], group["key"]) for group in _groups(each)}
    for number, drawn in asked.items():
        assert known[str(number)] == drawn
    assert len(each.problems) > 30
    assert len({problem.key for problem in each.problems}) == len(each.problems)


def _groups(service):
    state = service.state_dict()["tickets"]
    return state["open"] + state["closed"]


# --- what cannot be used ------------------------------------------------------------------------


def test_what_cannot_be_used_is_named(stepping_stones):
    class Fixed:
        picks_modes = False

        def begin(self, pool, seed):
            pass

        def pick(self, rng, step, mode, allowed):
            return 0

        def observe(self, place, grade):
            pass

        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            pass

    with pytest.raises(UnknownName, match="Did you mean 'procedural'"):
        CurriculumService(Sampler(stepping_stones, "learnability"), "procedurl")
    with pytest.raises(ConfigError, match="Fixed has no method grow"):
        CurriculumService(Sampler(stepping_stones, Fixed()), "procedural")
    assert CurriculumService(Sampler(stepping_stones, Fixed())).ask("a").problem == stepping_stones[0]
    with pytest.raises(ConfigError, match="it is there already"):
        Sampler(stepping_stones, "learnability").change([(stepping_stones[0], "easy")])
