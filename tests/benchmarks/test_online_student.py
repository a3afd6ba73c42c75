from code_envs.benchmarks.online_student import draw_trace, make_problems, train


def test_a_teacher_in_the_loop_follows_the_student_and_a_fixed_set_does_not():
    problems = make_problems(4, seed=0)
    more = {"steps": 25, "learning_rate": 0.2, "seed": 0}
    taught = train("taught", problems, taught=True, keep=0.8, **more)
    fixed = train("fixed", problems, taught=False, **more)
    assert taught.stats["harder"] > 0
    assert fixed.stats["problems"] == len(problems)
    assert max(max(step) for step in fixed.levels) == 2 < max(max(step) for step in taught.levels)
    assert sum(taught.rates[-10:]) < sum(fixed.rates[-10:])
    assert train("taught", problems, taught=True, keep=0.8, **more) == taught
    drawing = draw_trace([taught, fixed])
    assert drawing.startswith("<svg")
    assert "fixed" in drawing
