"""Identical jobs are run once where that was asked for; others, and what depends on load, are run each time."""

import threading

import pytest

from code_envs.errors import ConfigError, ExecutorClosed
from code_envs.executor import Execution, Executor, Job, Limits, Status, shared_executor
from code_envs.executor.client import Zygote
from code_envs.executor.recent import Recent

LIMITS = Limits()


class Work:
    """Counts what is really run."""

    def __init__(self, status=Status.OK, fail=False):
        self.status, self.fail, self.ran = status, fail, []

    def __call__(self, jobs):
        self.ran += [job.program for job in jobs]
        if self.fail:
            raise ExecutorClosed("closed")
        return [[Execution(status=self.status, value=job.program.encode())] for job in jobs]


def job(program="a", **changes):
    return Job(program=program, entry="f", calls=[b"(]"], **changes)


def test_equal_jobs_are_run_once_and_results_keep_their_places():
    recent, work = Recent(10), Work()
    done = recent.run([job("a"), job("b"), job("a")], LIMITS, work)
    assert work.ran == ["a", "b"]
    assert [run.value for (run,) in done] == [b"a", b"b", b"a"]
    recent.run([job("b"), job("c")], LIMITS, work)
    assert work.ran == ["a", "b", "c"]


@pytest.mark.parametrize(
    "other",
    [
        job("b"),
        job(seed=1),
        job(variant=1),
        job(coerce=True),
        job(limits=Limits(cpu_seconds=1.0)),
        job(limits=Limits(wall_seconds=1.0)),
        job(limits=Limits(memory_mib=64)),
        job(limits=Limits(recursion=100)),
        Job(program="a", entry="g", calls=[b"(]"]),
        Job(program="a", entry="f", calls=[b"(N]"]),
        Job(program="a", entry="f", calls=[b"(]", b"(]"]),
        Job(program="a", entry="", calls=[b"(s0:]"]),
        Job(program="a", entry="", calls=[b"(s1:x]"]),
    ],
)
def test_whatever_differs_is_run_again(other):
    recent, work = Recent(10), Work()
    for each in (job(), Job(program="a", entry="", calls=[b"(s1:y]"]), other):
        recent.run([each], LIMITS, work)
    assert len(work.ran) == 3


@pytest.mark.parametrize("status", [Status.CPU, Status.WALL, Status.MEMORY, Status.INFRA])
def test_what_depends_on_load_is_not_remembered(status):
    recent, work = Recent(10), Work(status)
    recent.run([job()], LIMITS, work)
    recent.run([job()], LIMITS, work)
    assert len(work.ran) == 2


def test_the_oldest_are_forgotten_and_large_results_are_not_kept():
    recent, work = Recent(2), Work()
    for name in ("a", "b", "a", "c", "a", "b"):
        recent.run([job(name)], LIMITS, work)
    assert work.ran == ["a", "b", "c", "b"]
    big = "x" * 70_000
    recent.run([job(big)], LIMITS, work)
    recent.run([job(big)], LIMITS, work)
    assert work.ran.count(big) == 2


def test_a_job_in_flight_is_waited_for_and_taken_over_if_its_owner_fails():
    recent, entered, leave = Recent(10), threading.Event(), threading.Event()

    def slow(jobs):
        entered.set()
        assert leave.wait(20)
        raise ExecutorClosed("the first owner fails")

    failures, work, done = [], Work(), []

    def first():
        try:
            recent.run([job()], LIMITS, slow)
        except ExecutorClosed as error:
            failures.append(error)

    threads = [threading.Thread(target=first)]
    threads[0].start()
    assert entered.wait(20)
    threads += [threading.Thread(target=lambda: done.append(recent.run([job()], LIMITS, work))) for _ in range(3)]
    for thread in threads[1:]:
        thread.start()
    assert work.ran == []
    leave.set()
    for thread in threads:
        thread.join(20)
    assert len(failures) == 1
    assert work.ran == ["a"]
    assert [runs[0][0].value for runs in done] == [b"a"] * 3
    assert recent._flying == {}


def test_two_threads_that_wait_for_each_other_both_end():
    recent, results = Recent(100), []
    barrier = threading.Barrier(2)

    def run(names):
        barrier.wait(20)
        results.append(recent.run([job(name) for name in names], LIMITS, Work()))

    for _ in range(50):
        recent._known.clear()
        threads = [threading.Thread(target=run, args=(names,)) for names in ("abcdef", "fedcba")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
    assert len(results) == 100


def test_an_executor_remembers_only_if_asked(monkeypatch):
    program, ran, submit = "def f(): return 1", [], Zygote.submit
    monkeypatch.setattr(
        Zygote, "submit", lambda zygote, job, *more: ran.append(job.program) or submit(zygote, job, *more)
    )
    for settings, runs in (({}, 3), ({"remember": 8}, 1)):
        ran.clear()
        with Executor(workers=1, **settings) as executor:
            done = [executor.run(program, "f", [()])[0] for _ in range(3)]
        assert ran.count(program) == runs
        assert len({one.cpu_seconds for one in done}) <= runs
        assert [one.result() for one in done] == [1, 1, 1]
    with pytest.raises(ExecutorClosed):
        executor.run(program, "f", [()])
    with pytest.raises(ConfigError, match="remember is -1"):
        Executor(remember=-1)
    assert shared_executor()._recent.size > 0


def test_calls_can_be_isolated_from_each_other(executor):
    program = "seen = []\ndef f(n):\n    seen.append(n)\n    return seen"
    together = executor.run(program, "f", [(1,), (2,), (3,)])
    apart = executor.run(program, "f", [(1,), (2,), (3,)], isolate_calls=True)
    assert [run.result() for run in together] == [[1], [1, 2], [1, 2, 3]]
    assert [run.result() for run in apart] == [[1], [2], [3]]


def test_isolated_calls_have_limits_and_endings_of_their_own(executor):
    program = "import os\ndef f(n):\n    while n == 1: pass\n    if n == 2: os._exit(3)\n    return n"
    limits = Limits(cpu_seconds=0.1)
    done = executor.run(program, "f", [(n,) for n in range(4)], limits, isolate_calls=True)
    assert [run.status for run in done] == ["ok", "cpu", "exited", "ok"]


def test_an_isolated_call_cannot_look_at_the_others(executor):
    look = (
        "import sys\ndef f(n):\n    frame = sys._getframe()\n"
        "    while 'session' not in frame.f_locals: frame = frame.f_back\n"
        "    marks = [b'ma' + b'rk-%d' % number for number in (1, 2)]\n"
        "    return [mark for mark in marks if mark in frame.f_locals['session'].request_map[:5000]]"
    )
    calls = [("mark-1",), ("mark-2",)]
    assert [run.result() for run in executor.run(look, "f", calls)] == [[b"mark-1", b"mark-2"]] * 2
    assert [run.result() for run in executor.run(look, "f", calls, isolate_calls=True)] == [[b"mark-1"], [b"mark-2"]]
