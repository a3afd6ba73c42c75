"""Every building block does what it says, alone and composed."""

import ast
import builtins

import numpy as np
import pytest

from code_envs.programs.source import holds_code, parse_program
from code_envs.teacher.blocks import BLOCKS, KINDS
from code_envs.teacher.compose import compose
from code_envs.teacher.mutations import draw_use, pick_theme
from code_envs.teacher.recipe import Recipe, Step
from code_envs.teacher.themes import THEMES, probes

EXAMPLES = [  # worked out by hand
    ("run_lengths", ([3, 3, 1, 3],), [(3, 2), (1, 1), (3, 1)]),
    ("window_sums", ([1, 2, 3, 4], 3), [6, 9]),
    ("rotate_left", ([1, 2, 3], 5), [3, 1, 2]),
    ("next_greater", ([2, 1, 3, 3], -1), [3, 3, -1, -1]),
    ("run_stack", ([9, 8, 1, -1, 7], 4), [7]),
    ("walk_between_walls", ([5, 9, -20], 10), [5, 10, 0]),
    ("riffle", ([1, 2, 3, 4, 5],), [1, 4, 2, 5, 3]),
    ("best_stretch", ([2, -3, 4, -1, 3],), 6),
    ("pairs_adding_to", ([1, 4, 4, 1], 5), 4),
    ("rank_of", ([5, 1, 5, 9], 6), 2),
    ("common_divisor", ([12, -18, 0],), 6),
    ("reverse_digits", (-1200,), -21),
    ("digits_in_base", (0, 7), [0]),
    ("halving_steps", (6, 30), 8),
    ("split_factors", (90, 5), [2, 3, 3, 5, 1]),
    ("spell_in_base", (27, 26), "bb"),
    ("flip_low_bits", (10, 4), 5),
    ("shift_letters", ("xyZ!", 3), "abC!"),
    ("pack_runs", ("aab",), "a2b1"),
    ("drop_brackets", ("a(b(c)d)e)f(g",), "aef"),
    ("bracket_depth", ("([x]{})",), 2),
    ("bracket_depth", ("([)]",), -1),
    ("longest_mirror", ("abcbax",), 5),
    ("find_numbers", ("a-12b3--4",), [-12, 3, -4]),
    ("alphabet_places", ("aZ 9",), [1, 26]),
    ("sort_words", (["bb", "a", "ab"],), ["a", "ab", "bb"]),
    ("drop_same_words", (["A", "b", "a"],), ["A", "b"]),
    ("weave_words", (["ab", "cd", "ef"], 2), "ab dc ef"),
    ("rotate_grid", ([[1, 2], [3, 4]],), [[3, 1], [4, 2]]),
    ("read_spiral", ([[1, 2, 3], [8, 9, 4], [7, 6, 5]],), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ("count_summits", ([[1, 2], [2, 1]],), 2),
    ("merge_intervals", ([(5, 3), (1, 2), (2, 3)],), [(1, 5)]),
    ("expand_pairs", ([(7, 2), (8, -1), (9, 9)], 3), [7, 7, 9, 9, 9]),
    ("rank_entries", ({1: 5, 2: 9, 0: 5},), [(2, 9), (0, 5), (1, 5)]),
    ("invert_table", ({4: 1, 2: 1, 3: 7},), {1: 2, 7: 3}),
    ("leader_of", ({"b": 2, "a": 2},), "a"),
]


@pytest.mark.parametrize(("name", "arguments", "result"), EXAMPLES)
def test_does_what_it_says(name, arguments, result):
    assert BLOCKS[name].function(*arguments) == result


def _alone(name, seed=0):
    rng, block = np.random.default_rng([1, seed]), BLOCKS[name]
    step = Step("do", (draw_use(rng, block),))
    return rng, Recipe(theme=pick_theme(rng, step, block.takes), steps=(step,), size=4)


@pytest.mark.parametrize("name", BLOCKS)
def test_composes_alone_and_runs(name, executor):
    rng, recipe = _alone(name)
    grown, block = compose(recipe), BLOCKS[name]
    assert not holds_code(grown.message)
    inputs = [THEMES[recipe.theme].draw(rng, 4) for _ in range(4)]
    inputs += [special for value in inputs for special in probes(value, rng)]
    runs = executor.run(grown.program, "f", [(value,) for value in inputs])
    assert {(run.status, run.exception) for run in runs} == {("ok", "")}
    assert not any(run.mutated for run in runs)
    promise = block.promise[0].format(**dict(zip(block.draws, recipe.steps[0].uses[0].constants, strict=True)))
    for value, run in zip(inputs, runs, strict=True):
        result = run.result()
        if promise:
            assert eval(promise, {"result": result}), (value, result)
        assert not block.keeps_length or len(result) == len(value)
        if block.ignores_order and isinstance(value, (list, str)):
            assert executor.run(grown.program, "f", [(value[::-1],)])[0].result() == result


@pytest.mark.parametrize("name", BLOCKS)
def test_is_self_contained_and_its_slips_apply_once(name):
    block = BLOCKS[name]
    (function,) = parse_program(block.source).body
    assert isinstance(function, ast.FunctionDef)
    assert ast.get_docstring(function)
    bound = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    assert used - bound <= set(dir(builtins))
    assert ast.unparse(function.args.args[0].annotation) == KINDS[block.takes].annotation
    assert ast.unparse(function.returns) == KINDS[block.gives].annotation
    assert [argument.arg for argument in function.args.args[1:]] == list(block.draws)
    for old, new in block.slips:
        assert block.source.count(old) == 1, old
        parse_program(block.source.replace(old, new))


def test_there_are_many_blocks_and_no_name_is_taken_twice():
    assert len(BLOCKS) >= 60
    parameters = {theme.parameter for theme in THEMES.values()} | {kind.noun for kind in KINDS.values()}
    nouns = {block.noun for block in BLOCKS.values()}
    constants = {name for block in BLOCKS.values() for name in block.draws}
    taken = {*BLOCKS, "combined", "f", *dir(builtins)}
    assert not parameters & nouns
    assert not (parameters | nouns) & (constants | taken)
