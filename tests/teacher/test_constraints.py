"""What holds drafts to their form: drafts that pass have it, and other replies cannot be written."""

import json
import re

import numpy as np
import pytest

from code_envs.errors import ProposalFailed, UnknownName
from code_envs.generation import RunConfig
from code_envs.models import Constraint, ModelConfig
from code_envs.modes.blocks import blocks_of
from code_envs.problem import Mode, Seed
from code_envs.teacher import ModelTeacher
from code_envs.teacher.constraints import CONSTRAINTS, FORMS, constraint, form_of, reminder


class OneSeed:
    """Always the same snippet."""

    def draw(self, rng):
        return Seed(text="def seed(a):\n    return a\n", origin="tree/a.py:1-2", licence="MIT")


def as_json(draft):
    """A draft in blocks as the one object that the schema asks for."""
    parts = {block.tag: block.text for block in blocks_of(draft.split("\n"))}
    inputs = [line for line in parts["inputs"].split("\n") if line]
    return {"precondition": "", **parts, "program": parts["python"], "inputs": inputs}


def bare(draft):
    """The blocks alone."""
    return draft[draft.index("```") :].rstrip()


def propose(model, executor, form, constrain):
    settings = {"repairs": 1, "constrain": constrain, "plant_faults": form not in list(Mode)}
    teacher = ModelTeacher(model, ModelConfig(model="scripted"), OneSeed(), executor, **settings)
    return teacher.propose(np.random.default_rng(1), 4, Mode(form.partition("-")[0]))


def test_every_mode_has_a_form_and_fuzzing_has_two():
    assert [form_of(mode) for mode in Mode] == list(Mode)
    planted = [form_of(mode, plant_faults=True) for mode in Mode]
    assert planted == ["induction", "abduction", "deduction", "fuzzing-planted"]
    assert set(FORMS) == {*Mode, *planted}


@pytest.mark.parametrize("form", FORMS)
def test_one_json_object_makes_the_same_problem_as_the_blocks(form, good, scripted_model, executor):
    members = json.loads(constraint(form, "schema").schema)["required"]
    draft = {name: value for name, value in as_json(good[form]).items() if name in members}
    assert sorted(draft) == sorted(members)
    model = scripted_model(json.dumps(draft))
    assert propose(model, executor, form, "schema") == propose(scripted_model(good[form]), executor, form, "")
    (request,) = model.requests
    assert request.constraint == constraint(form, "schema")
    assert all(f'"{name}"' in request.messages[0]["content"].rpartition("JSON object")[2] for name in members)


def test_a_repair_is_held_to_the_form_too(good, scripted_model, executor):
    for kind in CONSTRAINTS:
        model = scripted_model("no program", good["deduction"])
        propose(model, executor, Mode.DEDUCTION, kind)
        assert [request.constraint for request in model.requests] == [constraint(Mode.DEDUCTION, kind)] * 2
        assert model.requests[1].messages[-1]["content"].endswith(reminder(Mode.DEDUCTION, kind))


def test_what_has_the_form_is_still_not_believed(good, scripted_model, executor):
    hollow = as_json(good["deduction"].replace("return stack + [k * 3]", "return xs"))
    with pytest.raises(ProposalFailed, match="echo"):
        propose(scripted_model(json.dumps(hollow)), executor, Mode.DEDUCTION, "schema")


def test_without_a_constraint_nothing_is_sent(good, scripted_model, executor):
    model = scripted_model(good["deduction"])
    propose(model, executor, Mode.DEDUCTION, "")
    assert not model.requests[0].constraint
    assert "JSON" not in model.requests[0].messages[0]["content"]


def test_unknown_names_are_answered_with_the_nearest(scripted_model, executor):
    with pytest.raises(UnknownName, match="grammar"):
        propose(scripted_model("x"), executor, Mode.DEDUCTION, "gramar")
    with pytest.raises(UnknownName, match="schema"):
        RunConfig(constrain="shema")


@pytest.mark.parametrize("form", FORMS)
def test_every_rule_of_a_grammar_is_defined_once_and_used(form):
    rules = constraint(form, "grammar").grammar.strip().split("\n")
    names = [rule.split(" ::= ")[0] for rule in rules]
    assert len(set(names)) == len(names)
    bodies = " ".join(re.sub(r'"(\\.|[^"\\])*"|\[(\\.|[^\]\\])*\]', " ", rule.split(" ::= ")[1]) for rule in rules)
    assert set(re.findall(r"[a-z]+", bodies)) == set(names) - {"root"}


@pytest.mark.extra
@pytest.mark.parametrize("form", FORMS)
def test_a_reader_of_grammars_takes_good_drafts_and_no_others(form, good):
    """By xgrammar, which vLLM and SGLang ask; it comes with vLLM."""
    pytest.importorskip("xgrammar", reason="pip install vllm")
    from xgrammar.testing import _is_grammar_accept_string as accepts

    grammar, draft = constraint(form, "grammar").grammar, bare(good[form])
    assert accepts(grammar, draft)
    untyped = re.sub(r"def f\((.*)\) -> .*:", "def f(xs, k):", draft)
    one_step = re.sub(r"(?s)(def f\(.*?:\n).*?```", r"\1    return xs\n```", draft, count=1)
    for other in ("Here it is.\n" + draft, untyped, one_step, draft.partition("```inputs")[0], draft + "\nDone."):
        assert other != draft
        assert not accepts(grammar, other)


def test_a_constraint_is_one_thing():
    for given in ({}, {"schema": "{}", "grammar": 'root ::= "x"'}):
        with pytest.raises(ValueError, match="one of the two"):
            Constraint(**given)
