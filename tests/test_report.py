"""The report of a run, of chains that are made by hand from the hand-written problems."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from code_envs.errors import MissingExtra, RunError
from code_envs.generation import RunConfig, generate
from code_envs.models import ModelConfig
from code_envs.problem import Attempt, Chain, Direction, Draft, Lineage, Mode, Problem, Report, load_problems
from code_envs.report import Summary, summarise, write_report
from code_envs.report.card import describe_run
from code_envs.report.numbers import mean_rate, measured
from code_envs.rollout import Tally

PROBLEMS = Path(__file__).parent / "problems"
HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(1)> & \x1b[31m \ud800"
VOID = {"meta", "img", "br", "path", "use", "rect", "g"}


def hand_made(config: RunConfig, index: int) -> Chain:
    """A chain of the three hand-written problems of a mode, each a bit harder than the last; some empty."""
    name, rng, problems = config.id_of(index), np.random.default_rng([index]), []
    if index % 7 == 6:
        return Chain(id=name, problems=())
    for turn, written in enumerate(load_problems(PROBLEMS / f"{config.mode_of(index)}.jsonl")):
        problem = written.but(
            message=f"{written.message} Number {index}.",
            lineage=Lineage(
                chain=name,
                turn=turn,
                parent=problems[-1].key if problems else "",
                direction=Direction.HARDER if turn else Direction.START,
                change="another block" if turn else "",
                level=min(9, config.level_of(index) + turn),
                teacher=config.teacher_of(index),
                origin="python/heapq.py:12-40",
                licence="PSF-2.0",
            ),
        )
        chance = np.clip(0.95 - 0.1 * problem.lineage.level + rng.normal(0, 0.1), 0, 1)
        report = Report(
            problem=problem.key,
            student=config.student,
            attempts=config.attempts,
            passes=int(rng.binomial(config.attempts, chance)),
            solved=(Attempt(reply="```output\n3\n```", outcome="passed"),),
            failed=(Attempt(reply=HOSTILE, outcome="wrong", reason=HOSTILE),),
        )
        problems.append(problem.but(measurements=(report,)))
    return Chain(id=name, problems=tuple(problems))


def a_tally(student: str, mode: Mode, passes: int) -> Tally:
    return Tally(
        student=student,
        mode=mode,
        level=None,
        episodes=20,
        passes=passes,
        unscored=0,
        rate=passes / 20,
        interval=(0, 1),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "by <hand>"
    generate(folder, RunConfig(chains=32, turns=3), make=hand_made)
    write_report(folder, [a_tally("constant", Mode.FUZZING, 0), a_tally("search", Mode.FUZZING, 11)])
    return folder


class Page(HTMLParser):
    """Collects the text, checks that what is opened is closed, and notes every address."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.words, self.addresses, self.scripts = [], [], [], 0
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script" or any(name.startswith("on") for name, _ in attrs)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action")]
        if tag not in VOID - {"g"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_stands_alone_and_holds_the_facts(folder):
    text = (folder / "report.html").read_text("utf-8")
    page = Page(text)
    assert page.addresses == []
    assert page.scripts == 0
    assert "url(" not in re.sub(r"url\(#\w+\)", "", text)
    words = " ".join(" ".join(page.words).split())
    assert "by <hand>" in words  # escaped in the source, or it would have been a tag
    assert "A step to harder lowered the pass rate by" in words
    assert words.count("An attempt that") == 24  # one solved and one failed, for 3 turns in each of 4 modes
    assert "<script>alert(1)</script>" in words
    for problem in load_problems(PROBLEMS / "deduction.jsonl"):
        assert " ".join(problem.program.split()) in words
    assert text.count("<svg") == 3


ASKED = ModelConfig(model="alpha")


@pytest.mark.parametrize(
    ("settings", "told", "untold"),
    [
        (
            {"teachers": ("alpha", "beta"), "student": "pupil", "student_model": ASKED},
            (
                "Teacher: alpha (T=1, max_tokens=4096) and beta (T=1, max_tokens=4096).",
                "Student: pupil (T=1, max_tokens=4096).",
                "alpha and beta began with pieces of stdlib.",
                "A draft could be mended 3 times.",
            ),
            "Problems after the first",
        ),
        (
            {"teachers": ("procedural",), "varied_by": "alpha"},
            (
                "Problems after the first of each chain: alpha (T=1, max_tokens=4096).",
                "A draft could be mended 3 times.",
            ),
            "stdlib",
        ),
        (
            {"teachers": ("a|b\n<c>",), "student": "pu|pil", "student_model": ASKED},
            ("Teacher: a\\|b &lt;c&gt; (T=1", "by a\\|b &lt;c&gt;, strategy", "Student: pu\\|pil (T=1"),
            "<c>",
        ),
        (
            {"teachers": ("procedural", "alpha")},
            ("by procedural and alpha,", "Teacher: alpha (T=1", "alpha began with pieces of stdlib."),
            "procedural began",
        ),
    ],
)
def test_the_card_names_every_model_and_what_it_did(tmp_path, settings, told, untold):
    generate(tmp_path / "run", RunConfig(chains=8, turns=3, teacher_model=ASKED, **settings), make=hand_made)
    card = describe_run(tmp_path / "run")
    assert [part for part in told if part not in card] == []
    assert untold not in card


def test_the_same_run_gives_the_same_bytes(folder):
    rollouts = [a_tally("constant", Mode.FUZZING, 0), a_tally("search", Mode.FUZZING, 11)]
    before = (folder / "report.html").read_bytes()
    write_report(folder, rollouts)
    assert (folder / "report.html").read_bytes() == before


def test_numbers_are_those_of_the_chains():
    config = RunConfig(chains=8, turns=3)
    chains = [hand_made(config, index) for index in range(8)]
    summary = Summary(config, chains)
    rows = dict(summary.yields())
    assert rows["all"]["chains"] == 8
    assert rows["deduction"] | {"kept": 0} == {
        "chains": 2,
        "came to nothing": 1,
        "problems": 3,
        "distinct": 3,
        "kept": 0,
        "never solved": 0,
        "always solved": rows["deduction"]["always solved"],
    }
    problems = [problem for chain in chains for problem in chain.problems]
    mean = mean_rate("2", summary.turns[Mode.FUZZING][2])
    by_hand = [report.rate for p, report in measured(problems) if p.mode == Mode.FUZZING and p.lineage.turn == 2]
    assert mean.problems == len(by_hand) == 2
    assert mean.rate == pytest.approx(sum(by_hand) / 2)
    low, high = mean.interval
    assert low < mean.rate < high
    (step,) = summary.steps()
    changes = [b - a for c in chains for a, b in zip(rates_of(c), rates_of(c)[1:], strict=False)]
    assert (step.direction, step.steps, step.change) == ("harder", 14, pytest.approx(np.mean(changes)))


def rates_of(chain: Chain) -> list[float]:
    return [report.rate for _, report in measured(chain.problems)]


def test_refused_drafts_are_counted_with_an_example_of_each(tmp_path):
    def make(config: RunConfig, index: int) -> Chain:
        text = f"there is no program in reply {index} & <b>none</b>"
        first = Draft(turn=0, direction=Direction.START, checks=("missing",), complaints=(text,))
        second = first.but(repair=1, checks=("witness", "valid"), complaints=("no input shows a fault", "few"))
        return Chain(id=config.id_of(index), problems=(), drafts=(first, second))

    generate(tmp_path, RunConfig(chains=2, turns=3), make=make)
    rows = [(check, count, example) for check, count, _, example in summarise(tmp_path).refusals()]
    assert rows == [
        ("missing", 2, "there is no program in reply 0 & <b>none</b>"),
        ("witness", 2, "no input shows a fault"),
    ]
    words = " ".join(Page(write_report(tmp_path).read_text("utf-8")).words)
    for text in ("No part of the problem is missing.", "reply 0 & <b>none</b>", "There is a witness"):
        assert text in words


@pytest.mark.parametrize(
    ("passes", "told"),
    [((3, 3), "did not change the pass rate on average"), ((2, 4), "raised the pass rate by 50 points on average")],
)
def test_the_headline_says_which_way_steps_went(tmp_path, passes, told):
    def make(config: RunConfig, index: int) -> Chain:
        chain = hand_made(config, index)
        return chain.but(
            problems=tuple(
                problem.but(measurements=(Report(problem=problem.key, student="s", attempts=4, passes=right),))
                for problem, right in zip(chain.problems, passes, strict=False)
            )
        )

    generate(tmp_path, RunConfig(chains=4, turns=2), make=make)
    assert f"A step to harder {told}" in " ".join(Page(write_report(tmp_path).read_text("utf-8")).words)


def unmeasured(config: RunConfig, index: int) -> Chain:
    chain = hand_made(config, index)
    bare: tuple[Problem, ...] = tuple(problem.but(measurements=()) for problem in chain.problems)
    return Chain(id=chain.id, problems=bare)


def empty(config: RunConfig, index: int) -> Chain:
    return Chain(id=config.id_of(index), problems=())


@pytest.mark.parametrize("make", [unmeasured, empty])
def test_a_run_with_nothing_measured_has_a_report_too(tmp_path, make):
    generate(tmp_path, RunConfig(chains=4, turns=3), make=make)
    page = Page(write_report(tmp_path).read_text("utf-8"))
    assert "No problem of this run has been measured." in " ".join(page.words)


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    with pytest.raises(RunError, match="is not a run folder"):
        write_report(tmp_path)
    generate(tmp_path, RunConfig(chains=1, turns=3), make=hand_made)
    for package in ("jinja2", "matplotlib"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            with pytest.raises(
                MissingExtra, match=rf"{package} is not installed. Run: pip install 'code-envs\[report\]'"
            ):
                write_report(tmp_path)
