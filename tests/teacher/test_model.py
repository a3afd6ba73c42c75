"""The teacher that is a model: its drafts are checked, mended and kept, and nothing that it writes is believed."""

import numpy as np
import pytest

from code_envs.errors import ConfigError, ProposalFailed
from code_envs.models import Completion, Finish, ModelConfig
from code_envs.modes import validate
from code_envs.problem import Chain, Direction, Draft, Mode, Report, Seed
from code_envs.programs.source import normalise
from code_envs.students import make_student
from code_envs.teacher import ModelTeacher, TakesNotes, Teacher, make_chain
from code_envs.teacher.drafting import DRAWN, PLANTED

CONFIG = ModelConfig(model="scripted")


class OneSeed:
    """Always the same snippet."""

    def draw(self, rng):
        return Seed(text="def seed(a):\n    return a\n", origin="tree/a.py:1-2", licence="MIT")


@pytest.fixture
def make(executor, scripted_model):
    """Makes a teacher whose model answers from a script; gives the teacher and the model."""

    def make(*script, **settings):
        model = scripted_model(*script)
        return ModelTeacher(model, CONFIG, OneSeed(), executor, **settings), model

    return make


def propose(teacher, mode=Mode.DEDUCTION, seed=1):
    return teacher.propose(np.random.default_rng(seed), 4, mode)


@pytest.mark.parametrize("mode", Mode)
def test_a_good_draft_becomes_a_valid_problem(make, good, executor, mode):
    teacher, model = make(good[mode])
    assert isinstance(teacher, Teacher)
    assert isinstance(teacher, TakesNotes)
    problem = propose(teacher, mode)
    assert validate(problem, executor) == []
    assert (problem.mode, problem.lineage.turn, problem.lineage.level) == (mode, 0, 4)
    assert (problem.lineage.teacher, problem.lineage.origin, problem.lineage.licence) == (
        "scripted",
        "tree/a.py:1-2",
        "MIT",
    )
    assert "def seed(a)" in model.requests[0].messages[0]["content"]
    notes = teacher.take_notes()
    assert (notes.seed.origin, len(notes.drafts)) == ("tree/a.py:1-2", 1)
    (draft,) = notes.drafts
    assert (draft.key, draft.checks, draft.reply, draft.prompt_tokens) == (problem.key, (), good[mode], 10)
    assert teacher.take_notes().drafts == ()
    assert propose(make(good[mode])[0], mode) == problem


def test_results_are_the_executors(make, good):
    claimed = good["deduction"].replace("[5, 3, 8, 1, 9, 2], 4", "assert f([5, 3, 8, 1, 9, 2], 4) == [0, 0]")
    assert claimed != good["deduction"]
    problem = propose(make(claimed)[0])
    assert problem == propose(make(good["deduction"])[0])
    assert problem.cases[0].result != "[0, 0]"


def test_a_refused_draft_goes_back_with_the_complaint(make, good):
    random = good["deduction"].replace("    stack = []", "    import random\n    stack = [random.random()]")
    teacher, model = make(random, good["deduction"])
    problem = propose(teacher)
    first, second = teacher.take_notes().drafts
    assert (first.checks, first.repair, first.key) == (("deterministic",), 0, "")
    assert (second.checks, second.repair, second.key) == ((), 1, problem.key)
    roles = [message["role"] for message in model.requests[1].messages]
    assert roles == ["user", "assistant", "user"]
    assert model.requests[1].messages[1]["content"] == random.strip()
    assert "another process or order" in model.requests[1].messages[2]["content"]
    assert model.requests[0].seed != model.requests[1].seed


def test_only_the_last_draft_is_shown_again(make, good):
    teacher, model = make("first: no program", "```python\ndef f(x:\n```", good["deduction"])
    propose(teacher)
    last = [message["content"] for message in model.requests[2].messages]
    assert len(last) == 3
    assert last[1] == "```python\ndef f(x:\n```"


def test_a_draft_that_a_repair_made_no_better_is_asked_for_anew(make, good):
    teacher, model = make("no program", "none either", "none again", good["deduction"])
    propose(teacher)
    assert [len(request.messages) for request in model.requests] == [1, 3, 1, 3]
    assert len({request.seed for request in model.requests}) == 4


@pytest.mark.parametrize(
    ("reply", "check"),
    [
        ("I cannot help with that.", "missing"),
        ("", "empty"),
        ("\n\n", "empty"),
        ("<think>Let me see", "unreadable"),
        ("\x00\ud800 ``` ~~~ ```json\n{{{", "missing"),
        ('{"program": 7, "inputs": {"a": [[[[]]]]}}', "missing"),
        ("[" * 50_000, "missing"),
        ("```python\ndef f(x:\n```", "syntax"),
        ("```python\ndef f(x):\n    return " + "(" * 5000 + "\n```", "syntax"),
        ("```python\nx = 1\n```", "missing"),
        ("```python\nasync def f(x):\n    return 1\n```\n```inputs\n1\n```", "missing"),
        ("```python\ndef f(*xs):\n    return xs\n```\n```inputs\n1\n```", "signature"),
        ("```python\ndef f(x):\n    return 1 / 0\n```\n```inputs\n1\n```", "runs"),
        ("```python\ndef f(x):\n    while True: pass\n```\n```inputs\n1\n```", "runs"),
        ("```python\ndef f(x):\n    return open('/etc/passwd').read()\n```\n```inputs\n1\n```", "runs"),
        ("```python\nwhile True: pass\ndef f(x):\n    return x\n```\n```inputs\n1\n```", "echo"),
        (Completion(text="", finish=Finish.REFUSED, note="no"), "refused"),
        (Completion(text="", finish=Finish.TIMEOUT, note="no reply"), "timeout"),
        (Completion(text="", finish=Finish.REJECTED, note="too long"), "rejected"),
        (Completion(text="```python\ndef f(x):\n    return (1,", finish=Finish.LENGTH), "truncated"),
        (Completion(text="I think that", finish=Finish.LENGTH), "truncated"),
    ],
)
def test_whatever_a_model_writes_is_data(make, reply, check):
    teacher, _ = make(reply, repairs=1)
    with pytest.raises(ProposalFailed, match=f"no valid deduction problem in 2 drafts.*{check}"):
        propose(teacher)
    drafts = teacher.take_notes().drafts
    assert [draft.checks for draft in drafts] == [(check,)] * 2
    assert all(draft.complaints for draft in drafts)
    chain = Chain(id="x", problems=(), drafts=drafts)
    assert Chain.from_json(chain.to_json()) == chain


def test_a_reply_without_a_draft_is_asked_for_anew(make, good):
    teacher, model = make(Completion(text="half", finish=Finish.LENGTH), "", good["deduction"])
    propose(teacher)
    assert [len(request.messages) for request in model.requests] == [1, 1, 1]


def test_a_cut_reply_that_is_whole_enough_counts(make, good):
    teacher, _ = make(Completion(text=good["deduction"], finish=Finish.LENGTH))
    assert propose(teacher).cases


def test_missing_inputs_are_drawn_and_the_problem_says_so(make, good):
    without = good["induction"].partition("```inputs")[0]
    problem = propose(make(without)[0], Mode.INDUCTION)
    assert problem.tags == (DRAWN,)
    assert len(problem.cases) >= 5
    assert propose(make(good["induction"])[0], Mode.INDUCTION).tags == ()


def test_the_first_input_that_is_valid_is_taken(make, good):
    several = good["deduction"].replace("[5, 3, 8, 1, 9, 2], 4", "'wrong', 'types'\n[], 0\n[5, 3, 8, 1, 9, 2], 4")
    problem = propose(make(several)[0])
    assert problem.cases[0].arguments in ("([], 0)", "([5, 3, 8, 1, 9, 2], 4)")
    assert problem.lineage.teacher == "scripted"


def test_a_missing_precondition_is_asked_for_by_name(make, good):
    bare = good["fuzzing"].replace("pre_test_f", "other")
    teacher, model = make(bare, good["fuzzing"])
    propose(teacher, Mode.FUZZING)
    assert "pre_test_f" in model.requests[1].messages[2]["content"]
    assert teacher.take_notes().drafts[0].checks == ("missing",)


def test_a_fault_can_be_planted_into_what_the_teacher_wrote(make, good, executor):
    teacher, model = make(good["fuzzing-planted"], plant_faults=True)
    problem = propose(teacher, Mode.FUZZING)
    assert validate(problem, executor) == []
    assert problem.tags == (PLANTED,)
    assert problem.reference in good["fuzzing-planted"]
    assert normalise(problem.program) != normalise(problem.reference)
    assert problem.message.startswith("Turn the numbers")
    asked = model.requests[0].messages[0]["content"]
    assert "pre_test_f" not in asked
    assert "the right function" in asked
    assert propose(make(good["fuzzing-planted"], plant_faults=True)[0], Mode.FUZZING) == problem


def test_a_planted_fault_needs_a_description_and_rare_cases(make, good):
    wordless = good["fuzzing-planted"].partition("```python")
    plain = (
        good["fuzzing-planted"].replace("len(xs) > 3 and xs[0] == xs[-1]", "xs").replace("    k = k % len(xs)\n", "")
    )
    teacher, model = make("".join(wordless[1:]), plain, good["fuzzing-planted"], plant_faults=True)
    propose(teacher, Mode.FUZZING)
    assert [draft.checks for draft in teacher.take_notes().drafts] == [("missing",), ("planted",), ()]
    assert "description" in model.requests[1].messages[2]["content"]
    assert "few inputs" in model.requests[2].messages[2]["content"]


def test_another_fault_in_the_same_program_is_no_new_problem(make, good):
    other = (
        good["fuzzing-planted"].replace("xs = xs[:-1]", "xs = xs[1:]").replace("the last is left", "the first is left")
    )
    again = good["fuzzing-planted"].replace("xs", "numbers")
    teacher, model = make(good["fuzzing-planted"], again, other, again, plant_faults=True)
    first = propose(teacher, Mode.FUZZING)
    second = teacher.vary(np.random.default_rng(5), first, Direction.HARDER)
    with pytest.raises(ProposalFailed, match="same"):
        teacher.vary(np.random.default_rng(6), second, Direction.HARDER)
    assert [draft.checks for draft in teacher.take_notes().drafts] == [(), ("same",), (), *[("same",)] * 4]
    asked = model.requests[1].messages[0]["content"]
    assert first.reference.strip() in asked
    assert first.message in asked
    assert first.program.strip() not in asked
    assert second.reference != first.reference


def test_a_fault_of_another_teacher_is_not_shown_as_right(make, good):
    written = propose(make(good["fuzzing"])[0], Mode.FUZZING)
    assert not written.differential
    other = good["fuzzing"].replace("xs[0] == xs[-1]", "xs[1] == xs[-1]").replace("[4, 1, 1, 4]", "[1, 4, 1, 4]")
    teacher, model = make(other, plant_faults=True)
    varied = teacher.vary(np.random.default_rng(5), written, Direction.SIDEWAYS)
    asked = model.requests[0].messages[0]["content"]
    assert "the right function" not in asked
    assert "pre_test_f" in asked
    assert not varied.differential


def test_other_modes_know_nothing_of_planted_faults(make, good):
    for mode in (Mode.INDUCTION, Mode.ABDUCTION, Mode.DEDUCTION):
        planting, plain = make(good[mode], plant_faults=True), make(good[mode])
        assert propose(planting[0], mode) == propose(plain[0], mode)
        assert planting[1].requests == plain[1].requests


def test_from_the_second_turn_on_the_teacher_sees_what_happened(make, good):
    harder = good["deduction"].replace("k += stack.pop()", "k += 2 * stack.pop() - 1")
    teacher, model = make(good["deduction"], good["deduction"], harder)
    first = propose(teacher)
    attempts = ({"reply": "It is [1].", "outcome": "wrong", "reason": "it is not [1]"},)
    report = Report(problem=first.key, student="s", attempts=32, passes=28, failed=attempts)
    second = teacher.vary(np.random.default_rng(2), first.but(measurements=(report,)), Direction.HARDER, (0.41, 0.59))
    asked = model.requests[1].messages[0]["content"]
    for part in (
        first.program.strip(),
        first.cases[0].result,
        "28 of 32",
        "88 %",
        "72 and 95 %",
        "It is [1].",
        "41 to 59 %",
    ):
        assert part in asked
    same, taken = teacher.take_notes().drafts[1:]
    assert (same.checks, same.turn, same.direction) == (("same",), 1, "harder")
    lineage = second.lineage
    assert (lineage.parent, lineage.turn, lineage.direction, lineage.level) == (first.key, 1, "harder", 5)
    assert (lineage.chain, lineage.origin) == (first.lineage.chain, first.lineage.origin)
    assert taken.key == second.key


def test_no_problem_of_the_chain_is_written_again(make, good, executor):
    other = good["deduction"].replace("k % 5", "k % 7")
    again, third = good["deduction"].replace("stack", "pile"), good["deduction"].replace("k % 5", "k % 9")
    teacher, model = make(good["deduction"], other, again, other, third)
    student = make_student("constant", executor)
    chain = make_chain(teacher, student, executor, np.random.default_rng(3), mode=Mode.DEDUCTION, level=3, turns=3)
    assert [draft.checks for draft in chain.drafts] == [(), (), ("same",), ("same",), ()]
    earlier, last = (draft.complaints[0] for draft in chain.drafts[2:4])
    assert "an earlier problem of this series" in earlier
    assert "the last problem" in last
    assert earlier[1:] in model.requests[3].messages[2]["content"]
    assert [draft.key for draft in chain.drafts if draft.key] == [problem.key for problem in chain.problems]


def test_another_chain_may_hold_the_same_problem(make, good):
    other = good["deduction"].replace("k % 5", "k % 7")
    teacher, _ = make(good["deduction"], other, good["deduction"], other, good["deduction"])
    for seed in (1, 2):
        first = propose(teacher, seed=seed)
        second = teacher.vary(np.random.default_rng(3), first, Direction.HARDER)
    lineage = second.lineage.but(chain="that of another teacher")
    third = teacher.vary(np.random.default_rng(3), second.but(lineage=lineage), Direction.EASIER)
    assert third.program == first.program
    assert [draft.checks for draft in teacher.take_notes().drafts] == [()] * 5


def test_what_was_given_before_is_known_until_the_notes_are_taken(make, good):
    harder = good["deduction"].replace("k % 5", "k % 7")
    first = propose(make(good["deduction"])[0])
    second = make(harder)[0].vary(np.random.default_rng(3), first, Direction.HARDER)
    teacher, _ = make(harder, good["deduction"], repairs=0)
    assert teacher.vary(np.random.default_rng(3), first, Direction.HARDER) == second
    with pytest.raises(ProposalFailed, match="same"):
        teacher.vary(np.random.default_rng(4), second, Direction.EASIER)
    teacher.take_notes()
    assert teacher.vary(np.random.default_rng(4), second, Direction.EASIER).program == first.program


def test_another_call_makes_a_problem_new(make, good):
    negative = good["deduction"].replace("[5, 3, 8, 1, 9, 2], 4", "[5, 3, 8, 1, 9, 2], -4")
    teacher, _ = make(good["deduction"], negative)
    first = propose(teacher)
    second = teacher.vary(np.random.default_rng(3), first, Direction.HARDER)
    assert second.program == first.program
    assert [draft.checks for draft in teacher.take_notes().drafts] == [(), ()]


def test_a_chain_keeps_seed_and_drafts(make, good, executor):
    variants = (good["deduction"].replace("k % 5", f"k % {number}") for number in range(6, 99))
    teacher, _ = make("nothing", good["deduction"], lambda _: next(variants))
    chain = make_chain(
        teacher,
        make_student("constant", executor),
        executor,
        np.random.default_rng(3),
        mode=Mode.DEDUCTION,
        level=3,
        turns=3,
        attempts=4,
        chain_id="mine",
    )
    assert [problem.lineage.turn for problem in chain.problems] == [0, 1, 2]
    assert chain.seed == OneSeed().draw(None)
    assert [draft.turn for draft in chain.drafts] == [0, 0, 1, 2]
    assert [draft.key for draft in chain.drafts if draft.key] == [problem.key for problem in chain.problems]
    assert isinstance(chain.drafts[0], Draft)
    assert Chain.from_json(chain.to_json()) == chain


def test_impossible_settings_are_refused(make, tmp_path):
    with pytest.raises(ConfigError, match="repairs"):
        make("x", repairs=-1)
    with pytest.raises(ConfigError, match="level 10"):
        make("x")[0].propose(np.random.default_rng(0), 10)
    with pytest.raises(ConfigError, match="no folder"):
        make("x", templates=tmp_path / "none")
