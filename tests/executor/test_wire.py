"""Forged result maps: whatever a child leaves there, the client reads executions and never fails."""

import os
import random
import signal

import pytest

from code_envs.codec import DecodeError, decode, encode
from code_envs.executor import Isolation, Job, Limits, Status, wire
from code_envs.executor.frame import MAP_BYTES, RECORD, RESULT
from code_envs.executor.streams import Streams

LIMITS = Limits(stdout_bytes=64, result_bytes=1000, memory_mib=100)
JOB = Job(program="", entry="f", calls=[b"()"] * 3)
CLEAN_EXIT = wire.Ending(0, False, 0.1, 0.2, 20_000)


def frame(records, finished=1, shared=0, count=None, captured=0):
    body = b"".join(RECORD.pack(code, 0, 0, 0, len(value)) + value for code, value in records)
    count = len(records) if count is None else count
    return (RESULT.pack(finished, shared, count, captured) + bytes(64) + body).ljust(4096, b"\0")


def read(result, ending=CLEAN_EXIT):
    return wire.read(result, JOB, LIMITS, ending, Isolation.FULL)


def statuses(done):
    return [execution.status.value for execution in done]


def test_a_whole_frame_is_read():
    done = read(frame([(0, encode(1)), (1, b""), (0, encode("x"))]))
    assert statuses(done) == ["ok", "raised", "ok"]
    assert done[2].result() == "x"


@pytest.mark.parametrize(
    "result",
    [
        frame([(0, encode(1))] * 2),  # finished, but a record short
        frame([(99, b"")] * 3),  # an unknown claim
        frame([(0, b"i" * 900)] * 3),  # more than the limits allow
        frame([], count=0xFFFFFFFF),
        frame([(0, b"")] * 3)[: RESULT.size + 64 + 5],  # records behind the end
        b"\xff" * 4096,
    ],
)
def test_a_broken_frame_is_crashed(result):
    assert set(statuses(read(result))) == {"crashed"}


def test_values_that_do_not_decode_are_crashed_alone():
    assert statuses(read(frame([(0, b"junk"), (0, encode(1)), (0, b"")]))) == ["crashed", "ok", "crashed"]


@pytest.mark.parametrize(("cpu", "void"), [(2.2, False), (2.3, True), (20.0, True)])
def test_no_claim_counts_of_a_program_that_dodged_its_timer(cpu, void):
    done = read(frame([(0, encode(1))] * 3), wire.Ending(0, False, cpu, 20.0, 20_000))
    assert statuses(done) == (["cpu"] * 3 if void else ["ok"] * 3)
    shared = frame([(0, encode(1))], shared=1)
    assert statuses(read(shared, wire.Ending(0, False, cpu, 20.0, 20_000))) == statuses(done)


def test_no_output_counts_of_a_script_that_dodged_its_timer():
    script, statuses = Job(program="", entry="", calls=[encode(("",))]), []
    for cpu in (0.1, 20.0):
        streams = Streams(b"")
        os.write(streams.stdout, b"right")
        ending = wire.Ending(0, False, cpu, 20.0, 20_000)
        (done,) = wire.read(frame([]), script, LIMITS, ending, Isolation.FULL, streams=streams)
        streams.close()
        statuses.append((done.status.value, done.value))
    assert statuses == [("ok", encode("right")), ("cpu", b"")]


def test_text_is_bounded_and_cleaned():
    name, message = b"N" * 500, b"\x1b[31m\x00" + b"\xff" * 5000
    record = RECORD.pack(1, 7, len(name), len(message), 0) + name + message
    (done, *_) = read((RESULT.pack(1, 1, 1, 999) + b"\xff" * 64 + record).ljust(9000, b"\0"))
    assert len(done.exception) == 80
    assert len(done.message) == 300
    assert done.message.startswith(" [31m ")
    assert len(done.stdout) == 64


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        (wire.Ending(9, True, 0.0, 2.0, 0), "wall"),
        (wire.Ending(signal.SIGPROF, False, 2.0, 2.0, 0), "cpu"),
        (wire.Ending(signal.SIGXCPU, False, 2.0, 2.0, 0), "cpu"),
        (wire.Ending(signal.SIGKILL, False, 2.1, 3.0, 0), "cpu"),
        (wire.Ending(signal.SIGKILL, False, 0.1, 0.2, 90_000, starved=True), "memory"),
        (wire.Ending(signal.SIGSYS, False, 0.0, 0.0, 0), "forbidden"),
        (wire.Ending(signal.SIGSEGV, False, 0.0, 0.0, 0), "crashed"),
        (wire.Ending(40, False, 0.0, 0.0, 0), "crashed"),
        (wire.Ending(7 << 8, False, 0.0, 0.0, 0), "exited"),
        (wire.Ending(0, False, 0.0, 0.0, 0), "exited"),
    ],
)
def test_the_kernels_word_decides_unfinished_calls(ending, status):
    done = read(frame([(0, encode(1))], finished=0), ending)
    assert statuses(done) == ["ok", status, status]
    assert done[2].message == "not reached"
    assert done[0].cpu_seconds == ending.cpu_seconds


@pytest.mark.parametrize(
    "ending",
    [
        wire.Ending(9, False, 0.1, 0.2, 9000, starved=True),
        wire.Ending(9, False, 0.1, 0.2, 90_000),  # somebody else's kill, while a program held much
        wire.Ending(10, False, 0.0, 0.0, 0),
    ],
)
def test_a_stray_kill_blames_the_sandbox(ending):
    assert read(frame([(0, encode(1))] * 3), ending) is None


def test_random_maps_never_raise():
    rng = random.Random(5)
    whole = frame([(0, encode([1, {"a": (2.5,)}]))] * 3, captured=30)
    for _ in range(3000):
        result = bytearray(whole)
        for _ in range(rng.randint(1, 12)):
            result[rng.randrange(200)] = rng.choice((0, 1, 255, rng.randrange(256)))
        done = read(bytes(result))
        assert len(done) == 3
        for execution in done:
            if execution.ok:
                execution.result()


def test_forged_tables_of_colliding_keys_are_refused():
    keys = b"".join(encode(number * ((1 << 61) - 1)) for number in range(1, 40_000))
    for table in (b"<" + keys + b"]", b"|" + keys + b"]", b"{" + keys + b"N]"):
        with pytest.raises(DecodeError):
            decode(table)


def test_the_largest_allowed_job_fits_its_maps():
    worst = RESULT.size + LIMITS.stdout_bytes + 4096 * (RECORD.size + 4 * 380) + (8 << 20)
    assert worst <= MAP_BYTES


def test_status_words_are_the_claims_and_the_kernels():
    assert {status.value for status in Status} == {
        *("ok", "raised", "memory", "recursion", "too_large", "exited"),
        *("cpu", "wall", "forbidden", "crashed", "infra"),
    }
