"""Where rows come from. The hub cannot be reached from a test: a fake of ``datasets`` stands in for it."""

import gzip
import json
import sys
import types

import pytest

from code_envs.curricula.contest_files import read_contest_rows
from code_envs.errors import ConfigError, MissingExtra, ProblemError

ROWS = [{"a": 1}, {"a": 2}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def test_local_files_are_read_line_by_line(tmp_path):
    (tmp_path / "rows.jsonl").write_text(LINES + "\n")
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(LINES.encode()))
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    for name in ("rows.jsonl", "rows.jsonl.gz", "rows.json"):
        assert list(read_contest_rows(tmp_path / name)) == ROWS
    assert list(read_contest_rows(iter(ROWS))) == ROWS
    (tmp_path / "cut.jsonl").write_text(LINES + "{")
    rows = read_contest_rows(tmp_path / "cut.jsonl")
    assert [next(rows), next(rows)] == ROWS
    with pytest.raises(ProblemError, match=r"cut\.jsonl:3 is not a row of JSON"):
        next(rows)
    with pytest.raises(ConfigError, match=r"there is no file gone\.jsonl; files on the hub are named hf://datasets"):
        list(read_contest_rows("gone.jsonl"))


@pytest.fixture
def hub(monkeypatch):
    """A fake of ``datasets`` that notes how it was asked, and raises what it was told to."""
    fake = types.SimpleNamespace(asked=[], error=None)

    def load_dataset(*names, **options):
        fake.asked.append((names, options))
        if fake.error:
            raise fake.error
        return ROWS

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    return fake


def test_names_and_patterns_go_to_the_right_builder(hub):
    assert list(read_contest_rows("owner/name", split="test", config="main", revision="refs/convert/parquet")) == ROWS
    assert list(read_contest_rows("hf://datasets/owner/name/test*.jsonl")) == ROWS
    assert list(read_contest_rows("hf://datasets/owner/name/data/*.parquet")) == ROWS
    files = {"split": "train", "streaming": True}
    assert hub.asked == [
        (("owner/name", "main"), {"split": "test", "revision": "refs/convert/parquet", "streaming": True}),
        (("json",), {"data_files": "hf://datasets/owner/name/test*.jsonl", **files}),
        (("parquet",), {"data_files": "hf://datasets/owner/name/data/*.parquet", **files}),
    ]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            RuntimeError("Dataset scripts are no longer supported, but found code_generation_lite.py"),
            r"a/b is loaded by a script.*'hf://datasets/a/b/test\*\.jsonl'.*'refs/convert/parquet'",
        ),
        (ValueError("BuilderConfig 'x' not found. Available: ['y']"), r"a/b cannot be read.*Available: \['y'\]"),
        (ConnectionError("Couldn't reach 'a/b' on the Hub"), "a/b cannot be read.*Couldn't reach"),
    ],
)
def test_what_the_hub_refuses_is_told_with_what_to_do(hub, error, told):
    hub.error = error
    with pytest.raises(ConfigError, match=told):
        list(read_contest_rows("a/b"))


def test_the_hub_and_parquet_need_an_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "datasets", None)
    (tmp_path / "rows.parquet").touch()
    for source in ("a/b", "hf://datasets/a/b/x.jsonl", tmp_path / "rows.parquet"):
        with pytest.raises(MissingExtra, match=r"code-envs\[hf\]"):
            list(read_contest_rows(source))


@pytest.mark.extra
def test_files_go_through_the_real_builders_and_a_missing_name_is_told(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets", reason="needs: pip install 'code-envs[hf]'")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets.Dataset.from_list(ROWS).to_parquet(tmp_path / "rows.parquet")
    assert list(read_contest_rows(tmp_path / "rows.parquet")) == ROWS
    with pytest.raises(ConfigError, match="no-such-owner/no-such-name cannot be read with datasets"):
        list(read_contest_rows("no-such-owner/no-such-name"))
