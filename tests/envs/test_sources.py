import threading

import pytest

from code_envs.envs.sources import ProblemList, TeacherSource, read_problem, read_problems
from code_envs.errors import ConfigError, ProblemError, ProposalFailed, UnknownName
from code_envs.problem import Lineage, Mode, save_records


def at_level(problem, level):
    return problem.but(lineage=Lineage(level=level))


def test_problems_are_read_from_wherever_they_are(problems, tmp_path):
    save_records(tmp_path / "problems.jsonl", problems)
    texts = [problem.to_json() for problem in problems]
    fields = [{name: getattr(problem, name) for name in problem.__struct_fields__} for problem in problems]
    wide = [{**row, "lineage": None, "difficulty": "hard"} for row in fields]  # as a table with more columns has it
    columns = [{"problem": text, "extra": 1} for text in texts]
    for given in (tmp_path, str(tmp_path / "problems.jsonl"), problems, iter(texts), fields, wide, columns):
        assert [problem.key for problem in read_problems(given)] == [problem.key for problem in problems]


def test_what_is_not_a_problem_is_named(problems):
    with pytest.raises(ProblemError, match="problem 1 of the list: neither"):
        read_problems([problems[0], 7])
    with pytest.raises(ProblemError, match="missing required field"):
        read_problem({"mode": "deduction"})
    with pytest.raises(ConfigError, match="no problem in the list"):
        ProblemList([])


def test_a_list_draws_from_all_of_its_problems(problems):
    source = ProblemList(problems)
    picked = {source.pick(seed, source.modes, None, False).key for seed in range(200)}
    assert picked == {problem.key for problem in problems}
    deduction = {source.pick(seed, (Mode.DEDUCTION,), None, True).mode for seed in range(20)}
    assert deduction == {Mode.DEDUCTION}


def test_a_list_takes_the_nearest_level(problems):
    source = ProblemList([at_level(problem, level) for problem, level in zip(problems, (1, 1, 6), strict=False)])
    found = [source.pick(0, source.modes, level, False).lineage.level for level in (0, 3, 4, 9)]
    assert found == [1, 1, 6, 6]


def test_a_group_costs_one_proposal(teacher, executor):
    source, picked = TeacherSource(teacher, executor), []
    members = [
        threading.Thread(target=lambda: picked.append(source.pick(5, (Mode.FUZZING,), 3, False))) for _ in range(16)
    ]
    for member in members:
        member.start()
    for member in members:
        member.join()
    assert len({problem.key for problem in picked}) == 1
    assert teacher.proposed == [(3, Mode.FUZZING)]
    assert TeacherSource(teacher, executor).find(picked[0].key).key == picked[0].key


def test_what_was_drawn_can_be_asked_for(teacher, executor):
    source = TeacherSource(teacher, executor)
    for seed in range(10):
        drawn = source.pick(seed, source.modes, None, False)
        assert source.pick(seed, (drawn.mode,), drawn.lineage.level, True) == drawn


def test_a_failed_proposal_is_tried_on_other_streams(teacher, executor):
    propose, failures = teacher.propose, iter([True, True, False, *[True] * 9])

    def sometimes(rng, level=None, mode=None):
        if next(failures):
            raise ProposalFailed("no luck")
        return propose(rng, level, mode)

    teacher.propose = sometimes
    source = TeacherSource(teacher, executor)
    assert source.pick(1, source.modes, None, False).key
    with pytest.raises(ProposalFailed, match="no luck"):
        source.pick(2, source.modes, None, False)


def test_an_unknown_teacher_is_named(executor):
    with pytest.raises(UnknownName, match="procedural"):
        TeacherSource("procedual", executor)
