"""The store of replies: nothing is asked twice, a kill loses nothing, processes do not disturb each other."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from pathlib import Path
from threading import Barrier

import pytest

from code_envs.errors import ConfigError, RunError
from code_envs.models import (
    RESPONSES,
    CachedModel,
    Completion,
    FileStore,
    Finish,
    Request,
    Sampling,
    replies_of,
    usage_of,
)
from code_envs.models.cache import Row

# Stores numbered replies until it is killed; says which are stored.
SCRIPT = """
import sys
from code_envs.models import CachedModel, Completion, Request

class Echo:
    name = "echo"
    def complete(self, requests, on_done=None):
        found = []
        for place, request in enumerate(requests):
            found.append(Completion(text=request.messages[0]["content"] * 50, completion_tokens=1))
            on_done(place, found[-1])
            print(request.messages[0]["content"], flush=True)
        return found

cached = CachedModel(Echo(), sys.argv[1], "teacher")
numbers = range(int(sys.argv[2]), int(sys.argv[3]))
cached.complete([Request(messages=({"role": "user", "content": f"<{i}>"},)) for i in numbers])
"""


class Scripted:
    """Answers with the last message; a fake, since the store alone is tested."""

    name = "scripted"

    def __init__(self, finish=Finish.STOP, fail_at=None):
        self.asked, self.finish, self.fail_at = [], finish, fail_at

    def complete(self, requests, on_done=None):
        found = []
        for place, request in enumerate(requests):
            if place == self.fail_at:
                raise RuntimeError("the machine went away")
            self.asked.append(request)
            found.append(
                Completion(text=request.messages[-1]["content"].upper(), finish=self.finish, completion_tokens=3)
            )
            on_done(place, found[-1])
        return found


def request(text, **settings):
    return Request(messages=({"role": "user", "content": text},), **settings)


def test_known_replies_are_not_asked_again(tmp_path):
    model = Scripted()
    cached = CachedModel(model, tmp_path / "r.sqlite", "teacher")
    told = []
    first = cached.complete([request("a"), request("b"), request("a")], lambda *pair: told.append(pair))
    assert [completion.text for completion in first] == ["A", "B", "A"]
    assert told == list(enumerate(first))
    assert len(model.asked) == 2  # equal requests once
    cached.close()
    again = CachedModel(model, tmp_path / "r.sqlite", "student")
    assert again.complete([request("b"), request("c"), request("a")])[1].text == "C"
    assert (len(model.asked), again.hits) == (3, 2)
    again.close()
    rows = {row.role: (row.calls, row.completion_tokens) for row in usage_of(tmp_path / "r.sqlite")}
    assert rows == {"teacher": (2, 6), "student": (1, 3)}


@pytest.mark.parametrize("other", [{"seed": 1}, {"sampling": Sampling(temperature=0.5)}])
def test_everything_that_a_reply_depends_on_counts(tmp_path, other):
    model = Scripted()
    cached = CachedModel(model, tmp_path / "r.sqlite")
    cached.complete([request("a"), request("a", **other)])
    assert len(model.asked) == 2
    cached.close()


def test_what_was_there_before_a_fault_is_kept(tmp_path):
    cached = CachedModel(Scripted(fail_at=2), tmp_path / "r.sqlite")
    with pytest.raises(RuntimeError):
        cached.complete([request(text) for text in "abcd"])
    cached.close()
    model = Scripted()
    cached = CachedModel(model, tmp_path / "r.sqlite")
    assert [completion.text for completion in cached.complete([request(text) for text in "abcd"])] == list("ABCD")
    assert len(model.asked) == 2
    cached.close()


def test_earlier_replies_are_taken_over_with_what_they_cost(tmp_path):
    paths = [tmp_path / "a ü?#%20" / "one.sqlite", tmp_path / "two.sqlite"]
    for path, texts in zip(paths, ("ab", "bc"), strict=True):
        cached = CachedModel(Scripted(), path, "teacher")
        cached.complete([request(text) for text in texts])
        cached.close()
    before = [path.read_bytes() for path in paths]
    model, new = Scripted(), tmp_path / "new.sqlite"
    cached = CachedModel(model, FileStore(new, [*paths, paths[0], new]), "student")
    assert [completion.text for completion in cached.complete([request(text) for text in "abcda"])] == [*"ABCDA"]
    assert ([one.messages[0]["content"] for one in model.asked], cached.hits, cached.tokens) == (["d"], 4, 3)
    cached.close()
    assert [path.read_bytes() for path in paths] == before
    counted = {row.role: (row.calls, row.completion_tokens) for row in usage_of(new)}
    assert counted == {"teacher": (3, 9), "student": (1, 3)}
    for path in paths:
        path.unlink()
    alone = CachedModel(model, new)  # the new store needs the earlier ones no more
    alone.complete([request(text) for text in "abcd"])
    assert len(model.asked) == 1
    alone.close()


def test_an_earlier_store_that_is_none_is_named(tmp_path):
    (tmp_path / "text").write_text("a thesis, " * 100)
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as other:
        other.execute("CREATE TABLE responses (key TEXT)")
    for name in ("text", "other.sqlite"):
        with pytest.raises(
            RunError, match=rf"{name} is no store of replies.*: [^.]*\. Name a run in which models took part"
        ):
            FileStore(tmp_path / "new.sqlite", [tmp_path / name])
    with pytest.raises(RunError, match=r"none\.sqlite cannot be used as a store"):
        FileStore(tmp_path / "new.sqlite", [tmp_path / "none.sqlite"])
    assert not (tmp_path / "none.sqlite").exists()
    with pytest.raises(ConfigError, match="11 earlier stores of replies; give at most 10"):
        FileStore(tmp_path / "new.sqlite", [tmp_path / f"{number}" for number in range(11)])


def test_where_replies_are_is_found_from_what_they_were_for(tmp_path):
    for name in (RESPONSES, f"measured.jsonl.{RESPONSES}"):
        FileStore(tmp_path / name).close()
    (tmp_path / "measured.jsonl").write_text("")
    (tmp_path / "empty").mkdir()
    assert replies_of(tmp_path) == replies_of(tmp_path / RESPONSES) == tmp_path / RESPONSES
    assert replies_of(tmp_path / "measured.jsonl") == tmp_path / f"measured.jsonl.{RESPONSES}"
    for name in ("empty", "none"):
        with pytest.raises(RunError, match=f"{name} holds no replies. Name a run in which models took part"):
            replies_of(tmp_path / name)


@pytest.fixture
def unprivileged():
    """A folder outside the tests' own, which are closed to others, and a function that gives up root's rights."""
    is_root = os.getuid() == 0

    def drop():
        if is_root:
            try:
                os.setresuid(65533, 65533, 0)
            except OSError:
                pytest.skip("this root cannot become another user")

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        try:
            yield Path(folder), drop
        finally:
            if is_root:
                os.setresuid(0, 0, 0)
            (Path(folder) / "archive").chmod(0o777)


def test_replies_are_read_where_nothing_can_be_written(unprivileged):
    folder, give_up_rights = unprivileged
    path, open_path = folder / "archive" / RESPONSES, folder / "open" / RESPONSES
    cached = CachedModel(Scripted(), path, "teacher")
    cached.complete([request("a")])
    cached.close()
    cut = FileStore(open_path)  # what a kill leaves: the last replies are beside the store
    cut.keep("key", "", "m", Completion(text="late"))
    for name in (RESPONSES, f"{RESPONSES}-wal"):
        (path.parent / f"cut-{name}").write_bytes((open_path.parent / name).read_bytes())
    cut.close()
    assert [row.calls for row in usage_of(replies_of(path.parent))] == [1]
    assert not path.with_name(f"{RESPONSES}-wal").exists()  # which would look as if a run had been killed
    path.parent.chmod(0o555)
    give_up_rights()
    for use in (lambda: FileStore(path), lambda: replies_of(path.with_name(f"cut-{RESPONSES}"))):
        with pytest.raises(RunError, match=r"cannot be used as a store of replies: .* can be written to"):
            use()
    assert [row.calls for row in usage_of(path)] == [1]
    model = Scripted()
    cached = CachedModel(model, FileStore(folder / "new.sqlite", [replies_of(path.parent)]))
    assert [completion.text for completion in cached.complete([request("a")])] == ["A"]
    assert model.asked == []
    cached.close()
    assert {each.name for each in path.parent.iterdir()} == {RESPONSES, f"cut-{RESPONSES}", f"cut-{RESPONSES}-wal"}


class Slow:
    """A store that writes later, or fails to."""

    def __init__(self, fault=None):
        self.written, self.fault, self.threads = [], fault, ThreadPoolExecutor(1)

    def find(self, keys):
        return {}

    def keep(self, key, role, model, completion):
        return self.threads.submit(self.write, completion)

    def write(self, completion):
        time.sleep(0.05)
        if self.fault:
            raise self.fault
        self.written.append(completion.text)

    def close(self):
        self.threads.shutdown()


@pytest.mark.parametrize("fail_at", [None, 3])
def test_nothing_goes_on_before_its_replies_are_written(fail_at):
    store = Slow()
    cached = CachedModel(Scripted(fail_at=fail_at), store)
    with nullcontext() if fail_at is None else pytest.raises(RuntimeError, match="went away"):
        cached.complete([request(text) for text in "abcd"])
    assert store.written == list("ABCD")[:fail_at]
    cached.close()


def test_a_reply_that_cannot_be_written_stops_the_one_who_asked():
    cached = CachedModel(Scripted(), Slow(OSError("the disk is full")))
    with pytest.raises(OSError, match="disk is full"):
        cached.complete([request("a")])
    cached.close()


def test_what_the_server_did_not_answer_is_asked_again_and_refusals_are_not(tmp_path):
    for finish, calls in ((Finish.TIMEOUT, 2), (Finish.REJECTED, 2), (Finish.REFUSED, 1)):
        model = Scripted(finish)
        cached = CachedModel(model, tmp_path / f"{finish}.sqlite")
        cached.complete([request("a")])
        cached.complete([request("a")])
        assert len(model.asked) == calls
        cached.close()


def test_two_processes_share_a_store_and_a_kill_loses_nothing(tmp_path):
    path, script = tmp_path / "r.sqlite", tmp_path / "store.py"
    script.write_text(SCRIPT)
    killed = subprocess.Popen([sys.executable, script, path, "0", "100000"], stdout=subprocess.PIPE, text=True)
    lines = [killed.stdout.readline() for _ in range(30)]
    other = subprocess.Popen([sys.executable, script, path, "-40", "60"], stdout=subprocess.PIPE, text=True)
    other.stdout.readline()
    killed.kill()
    lines += killed.stdout.readlines()
    killed.stdout.close()
    assert killed.wait() == -signal.SIGKILL
    other.communicate()
    assert other.returncode == 0
    model = Scripted()
    cached = CachedModel(model, path)
    cached.name = "echo"
    stored = [line.strip() for line in lines if line.endswith("\n")]
    wanted = dict.fromkeys([*stored, *(f"<{i}>" for i in range(-40, 60))])
    assert [completion.text for completion in cached.complete([request(text) for text in wanted])] == [
        text * 50 for text in wanted
    ]
    assert model.asked == []
    cached.close()


def test_many_may_open_a_new_store_at_once(tmp_path):
    together = 8
    gate = Barrier(together)

    def keep(path, key):
        gate.wait()
        store = FileStore(path)
        store.keep(key, "student", "m", Completion(text=key))
        store.close()

    with ThreadPoolExecutor(together) as threads:
        for turn in range(100):  # without care one of some ten turns fails
            path, keys = tmp_path / f"{turn}.sqlite", [f"{number}" for number in range(together)]
            list(threads.map(keep, [path] * together, keys))
            store = FileStore(path)
            assert store.find(keys).keys() == set(keys)
            store.close()


def test_a_file_that_is_something_else_is_refused(tmp_path):
    (tmp_path / "r.sqlite").write_text("a thesis, " * 100)
    with pytest.raises(RunError, match="no store of replies"):
        CachedModel(Scripted(), tmp_path / "r.sqlite")
    assert usage_of(tmp_path / "none.sqlite") == []


def test_the_folder_of_a_store_is_made(tmp_path):
    FileStore(tmp_path / "a" / "b" / "r.sqlite").close()
    assert usage_of(tmp_path / "a" / "b" / "r.sqlite") == []


def test_a_place_where_no_store_can_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "r.sqlite", tmp_path):
        with pytest.raises(RunError, match=r"cannot be used as a store of replies: .* can be written to"):
            FileStore(path)


def test_a_store_that_stays_locked_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("code_envs.models.cache._PATIENCE", 0.1)
    with closing(sqlite3.connect(tmp_path / "r.sqlite")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RunError, match=r"database is locked.* no other process holds the file"):
            FileStore(tmp_path / "r.sqlite")
    FileStore(tmp_path / "r.sqlite").close()


@pytest.fixture
def filled(tmp_path):
    """A store of many pages, and what it was asked."""
    asked = [request(f"{number} " * 100) for number in range(300)]
    cached = CachedModel(Scripted(), tmp_path / "r.sqlite")
    cached.complete(asked)
    cached.close()
    return tmp_path / "r.sqlite", asked


REMOVE = r"r\.sqlite is no store of replies, or a damaged one: .* Remove it"


def test_a_damaged_page_is_told_whoever_meets_it(filled):
    path, asked = filled
    data = bytearray(path.read_bytes())
    for page in range(8192, len(data), 4096):
        data[page : page + 808] = b"\x99" * 808
    path.write_bytes(data)
    store = FileStore(path)
    rows = [Row.of(f"{number:064x}", "", "m", Completion(text="?")) for number in range(0, 16**64, 16**62)]
    for use in (
        lambda: CachedModel(Scripted(), store).complete(asked),
        lambda: store.write(rows),
        lambda: usage_of(path),
    ):
        with pytest.raises(RunError, match=REMOVE):
            use()
    store.close()
    path.unlink()  # what the sentence says
    cached = CachedModel(Scripted(), path)
    assert len(cached.complete(asked)) == 300
    cached.close()


@pytest.mark.parametrize("put", [b"{{{", b"\xff\xfe\xfd"])
def test_a_damaged_reply_is_told(filled, put):
    path, asked = filled
    whole = b'{"text":"7 7 7'
    path.write_bytes(path.read_bytes().replace(whole, put + whole[len(put) :]))
    cached = CachedModel(Scripted(), path)
    with pytest.raises(RunError, match=REMOVE):
        cached.complete(asked)
    cached.close()
