"""Problems out to datasets and back."""

import itertools
import json
import sys
from pathlib import Path

import pytest

from code_envs.errors import ConfigError, MissingExtra, ProblemError, RunError, UnknownName
from code_envs.integrations.huggingface_adapter import (
    COLUMNS,
    dataset_card,
    from_dataset,
    split_problems,
    to_dataset,
    to_rows,
    write,
)
from code_envs.modes import prompt
from code_envs.problem import Case, Chain, Direction, Lineage, Mode, Problem, Report, load_problems

FOLDER = Path(__file__).parents[1] / "problems"
WRITTEN = [problem for name in (*Mode, "induction-script") for problem in load_problems(FOLDER / f"{name}.jsonl")]


def a_chain(name: str, *, share: Problem | None = None) -> Chain:
    """Four variants of the first hand-written problem, one of them measured; perhaps beginning with a given one."""
    problems: list[Problem] = []
    for turn in range(4):
        lineage = Lineage(
            chain=name,
            turn=turn,
            parent=problems[-1].key if problems else "",
            direction=Direction.EASIER if turn else Direction.START,
            level=turn,
            teacher="by hand",
            origin="python/heapq.py:1-9" if turn else "",
            licence="PSF-2.0" if turn else "",
        )
        made = share if share and not turn else WRITTEN[0].but(message=f'Variant {turn} of {name}. ünï \u2028 \\ "')
        problems.append(made.but(lineage=lineage))
    report = Report(problem=problems[1].key, student="search", attempts=32, passes=8)
    return Chain(id=name, problems=(problems[0], problems[1].but(measurements=(report,)), *problems[2:]))


CHAINS = [a_chain(f"chain {index}") for index in range(10)]
PROBLEMS = [problem for chain in CHAINS for problem in chain.problems]


def test_a_row_is_flat_and_complete():
    rows = to_rows(CHAINS[0].problems)
    assert all(list(row) == list(COLUMNS) for row in rows)
    assert [row["pass_rate"] for row in rows] == [None, 0.25, None, None]
    row = rows[1]
    assert (row["level"], row["direction"], row["chain"], row["licence"]) == (1, "easier", "chain 0", "PSF-2.0")
    assert row["message"] in row["prompt"]
    assert "def f(" in row["answer"]
    assert from_dataset(rows) == list(CHAINS[0].problems)


def test_siblings_stay_together():
    for seed in range(20):
        train, held_out = split_problems(PROBLEMS, 0.25, seed)
        assert {p.lineage.chain for p in train}.isdisjoint(p.lineage.chain for p in held_out)
        assert sorted(p.key for p in train + held_out) == sorted(p.key for p in PROBLEMS)
        assert len(held_out) == 8  # of 40, in families of 4: as near to 10 as can be
    assert split_problems(PROBLEMS, 0.25, 1) == split_problems(PROBLEMS, 0.25, 1)
    assert len({tuple(p.key for p in split_problems(PROBLEMS, 0.25, seed)[1]) for seed in range(20)}) > 5


def test_chains_that_share_a_problem_are_one_family():
    other = a_chain("copy", share=CHAINS[0].problems[2])
    left_out = [problem for problem in (*CHAINS[0].problems, *other.problems) if problem.lineage.turn != 0]
    for seed in range(10):
        train, held_out = split_problems(left_out, 0.5, seed, relatives=[CHAINS[0], other])
        assert {len(train), len(held_out)} == {len({p.key for p in left_out}), 0}


def test_problems_that_show_the_same_are_on_one_side():
    program = "def f(xs: list[int]) -> int:\n    return sum(xs) * 3\n"
    problems = [
        Problem(
            mode=Mode.ABDUCTION,
            program=program,
            signature="f(xs: list[int]) -> int",
            cases=(Case.of(([number, 9 * (number % 2) - number],), 27 * (number % 2)),),
            lineage=Lineage(chain=f"chain {number}"),
        )
        for number in range(10)
    ]
    for seed in range(10):
        sides = split_problems(problems, 0.5, seed)
        assert [len({prompt(one).text for one in side}) for side in sides] == [1, 1]


def test_jsonl_needs_no_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    paths = write(PROBLEMS, tmp_path / "out", "jsonl", eval_share=0.2, seed=1)
    assert [path.name for path in paths] == ["train.jsonl", "eval.jsonl", "README.md"]
    rows = [[json.loads(line) for line in path.read_bytes().splitlines()] for path in paths[:2]]
    assert tuple(map(from_dataset, rows)) == split_problems(PROBLEMS, 0.2, 1)
    with pytest.raises(MissingExtra, match=r"datasets is not installed. Run: pip install 'code-envs\[hf\]'"):
        write(PROBLEMS, tmp_path / "out", "parquet")


def test_the_card_counts_what_is_in_it():
    card = dataset_card({"train": PROBLEMS[:30], "eval": PROBLEMS[30:]})
    for row in (
        "| train | 30 |",
        "| eval | 10 |",
        "| induction | 40 |",
        "| PSF-2.0 | 30 |",
        "| python/heapq.py | 30 |",
    ):
        assert row in card
    assert "{split: eval, path: eval.jsonl}" in card


def test_names_do_not_break_the_card():
    lineage = Lineage(teacher="a|b\n<script>", origin="x|y:1", licence="<b>|c")
    card = dataset_card({"train": [PROBLEMS[0].but(lineage=lineage)]})
    for row in ("| a\\|b &lt;script&gt; | 1 |", "| x\\|y | 1 |", "| &lt;b&gt;\\|c | 1 |"):
        assert row in card
    assert "<" not in card


def test_what_cannot_be_exported_is_refused(tmp_path):
    with pytest.raises(UnknownName, match="Did you mean 'parquet'"):
        write(PROBLEMS, tmp_path, "parquets")
    with pytest.raises(ConfigError, match="no problem to export"):
        write([], tmp_path)
    with pytest.raises(ConfigError, match=r"eval_share is 1\.0"):
        write(PROBLEMS, tmp_path, eval_share=1.0)
    with pytest.raises(ProblemError, match="row 1 has no column 'record'"):
        from_dataset([*to_rows(PROBLEMS[:1]), {"prompt": "x"}])
    with pytest.raises(ProblemError, match="row 0: not a valid Problem"):
        from_dataset([{"record": "{}"}])
    assert list(tmp_path.iterdir()) == []


def test_a_second_export_leaves_no_split_of_the_first(tmp_path):
    write(PROBLEMS, tmp_path, "jsonl", eval_share=0.2, seed=1)
    assert (tmp_path / "eval.jsonl").exists()
    write(PROBLEMS, tmp_path, "jsonl")
    assert names(tmp_path) == ["README.md", "train.jsonl"]


@pytest.mark.parametrize("name", ["train.jsonl", "eval.jsonl", "README.md"])
def test_what_no_export_has_written_stays(tmp_path, name):
    (tmp_path / "proj" / "train").mkdir(parents=True)
    for mine in (name, "train/run.py", "eval.parquet"):
        (tmp_path / "proj" / mine).write_text("mine")
    with pytest.raises(RunError, match=f"proj holds {name}, which no export has written. Give an empty"):
        write(PROBLEMS, tmp_path / "proj", eval_share=0.2)
    assert {path.name for path in (tmp_path / "proj").iterdir()} == {name, "train", "eval.parquet"}
    (tmp_path / "proj" / name).unlink()
    for share in (0.2, 0.0):
        write(PROBLEMS, tmp_path / "proj", eval_share=share)
    assert names(tmp_path / "proj") == ["README.md", "eval.parquet", "train", "train.jsonl"]
    assert (tmp_path / "proj" / "train" / "run.py").read_text() == "mine"


def test_a_failed_export_leaves_the_one_before(tmp_path):
    def failing():
        yield PROBLEMS[0]
        raise OSError(28, "No space left on device")

    class Records:
        def __iter__(self):
            return failing() if next(turns) else iter(PROBLEMS[:2])

    turns = itertools.count()
    write(PROBLEMS, tmp_path, eval_share=0.2)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RunError, match=f"cannot be written to {tmp_path}: .*No space left on device"):
        write(Records(), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_two_exports_do_not_meet(tmp_path):
    class Records:
        def __iter__(self):
            if next(turns) == 1:
                with pytest.raises(RunError, match="another process is at work"):
                    write(PROBLEMS, tmp_path)
            return iter(PROBLEMS)

    turns = itertools.count()
    write(Records(), tmp_path)
    assert next(turns) == 2  # to see that there is a problem, and to write them
    assert names(tmp_path) == ["README.md", "train.jsonl"]


@pytest.mark.parametrize(("share", "said"), [(0.01, "holds none out"), (0.99, "leaves none to train on")])
def test_a_share_that_leaves_a_split_empty_is_refused(tmp_path, share, said):
    with pytest.raises(ConfigError, match=f"{share} of .* {said}"):
        write(PROBLEMS, tmp_path / "new", eval_share=share)
    assert not (tmp_path / "new").exists()


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.mark.extra
@pytest.mark.filterwarnings("default")  # of the library and what it imports
class TestWithTheLibrary:
    @pytest.fixture(autouse=True)
    def datasets(self, monkeypatch, tmp_path):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
        return pytest.importorskip("datasets", reason="needs datasets: pip install -e '.[hf]'")

    def test_a_dataset_gives_the_problems_back_exactly(self):
        dataset = to_dataset([*CHAINS, *WRITTEN])
        assert dataset.column_names == list(COLUMNS)
        assert {name: feature.dtype for name, feature in dataset.features.items()} == COLUMNS
        assert from_dataset(dataset) == [*PROBLEMS, *WRITTEN]
        assert from_dataset(dataset.shuffle(seed=1).sort("key")) == sorted([*PROBLEMS, *WRITTEN], key=lambda p: p.key)

    def test_written_folders_load_with_the_library(self, tmp_path, datasets):
        wanted = split_problems(PROBLEMS, 0.2, 3)
        for kind in ("jsonl", "parquet"):
            write(PROBLEMS, tmp_path / kind, kind, eval_share=0.2, seed=3)
            loaded = datasets.load_dataset(str(tmp_path / kind), cache_dir=str(tmp_path / "cache"))
            assert set(loaded) == {"train", "eval"}
            assert (from_dataset(loaded["train"]), from_dataset(loaded["eval"])) == wanted
        write(PROBLEMS, tmp_path / "hf", "hf")
        assert from_dataset(datasets.load_from_disk(str(tmp_path / "hf" / "train"))) == PROBLEMS

    def test_an_environment_takes_a_dataset(self, executor):
        import gymnasium

        import code_envs  # noqa: F401

        env = gymnasium.make("code_envs/Mixed-v0", problems=to_dataset(WRITTEN), executor=executor)
        env.reset(seed=5)
        assert env.unwrapped.problem in WRITTEN
