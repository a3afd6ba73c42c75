"""Drafts are understood in whatever shape a model puts them."""

import pytest

from code_envs.teacher.reading import DraftRefused, read_inputs, read_parts

PROGRAM = "def f(xs, k=1):\n    return [x * k for x in xs]\n"
PARTS = {
    "message": "Multiply each number by the factor.",
    "program": PROGRAM,
    "inputs": "[1, 2], 3",
}


def blocks(head: str) -> str:
    return head.format(**PARTS)


@pytest.mark.parametrize(
    "reply",
    [
        "```message\n{message}\n```\n```python\n{program}```\n```inputs\n{inputs}\n```",
        "## Message\n{message}\n\n## Program\n```python\n{program}```\n\n## Inputs\n```\n{inputs}\n```",
        "**Message:** {message}\n\n**Program:**\n\n```\n{program}```\n\n**Inputs:**\n- `{inputs}`\n",
        "Description: {message}\n```py\n{program}\nassert f([1, 2], 3) == [3, 6]\n```",
        "1. Message: {message}\n2. Code:\n```python3\n{program}\nif __name__ == '__main__':\n"
        "    print(f([1, 2], k=3))\n```",
        "<think>```python\ndef f(): pass\n```</think>Task: {message}\n~~~python\n{program}~~~\n"
        "~~~input\nxs = [1, 2], k = 3\n~~~",
        "Message:\n{message}\n\n```python\n{program}\n```\nTest inputs:\n1. f({inputs})\n",
        "```message\n{message}\n```\n```python\n{program}\n# inputs\n{inputs}\n```",
        "```message\n{message}\n```\n```python\n{program}\ninputs = {inputs}\n```",
    ],
    ids=["tags", "headings", "bold", "assert", "main", "tildes", "numbered", "bare", "assigned"],
)
def test_parts_are_found(reply):
    parts = read_parts(reply.format(**PARTS))
    assert (parts.program, parts.entry, parts.message) == (PROGRAM, "f", PARTS["message"])
    assert read_inputs(parts.inputs, ("xs", "k"), "f") == [([1, 2], 3)]


def test_a_heading_within_the_program_block_is_one():
    parts = read_parts("```python\ndef f(text):\n    return text.split()\n\ninputs\n'a b'\n'c'\n```\n```\n")
    assert parts.program == "def f(text):\n    return text.split()\n"
    assert read_inputs(parts.inputs, ("text",), "f") == [("a b",), ("c",)]
    bare = read_parts("```python\ndef f(text):\n    return text.split()\n\n'only a remark'\n```")
    assert bare.inputs == ()


def test_json_replies_are_read_as_data():
    import json

    record = {"message": PARTS["message"], "program": PROGRAM, "inputs": [[[1, 2], 3], "[4], 5"]}
    for reply in (json.dumps(record), f"Sure:\n```json\n{json.dumps(record, indent=1)}\n```"):
        parts = read_parts(reply)
        assert (parts.program, parts.message) == (PROGRAM, PARTS["message"])
        assert read_inputs(parts.inputs, ("xs", "k"), "f") == [([1, 2], 3), ([4], 5)]


def test_functions_are_sorted_by_name():
    parts = read_parts(
        "```python\nimport math\nimport re\n\nLIMIT = 3\n\ndef helper(x):\n    return math.floor(x)\n\n"
        "def f(x):\n    return helper(x) + LIMIT\n\ndef pre_test_f(x):\n    return bool(re.match('a', x))\n\n"
        "def test_f(x):\n    assert f(x)\n```"
    )
    assert parts.program.startswith("import math\n\nLIMIT = 3\n\ndef helper(x):")
    assert "pre_test_f" not in parts.program
    assert parts.precondition == "import re\n\ndef pre_test_f(x):\n    return bool(re.match('a', x))\n"
    assert parts.property == "def test_f(x):\n    assert f(x)\n"


def test_checks_of_another_name_are_renamed_where_their_block_says_so():
    parts = read_parts(
        "```python\ndef f(x):\n    return x\n```\n```precondition\ndef is_valid(x):\n    return True\n```"
    )
    assert parts.precondition == "def pre_test_f(x):\n    return True\n"
    assert (
        "def is_valid"
        in read_parts("```python\ndef f(x):\n    return x\n\ndef is_valid(x):\n    return 1\n```").program
    )


def test_a_reference_stands_apart():
    parts = read_parts(
        "Reference:\n```python\ndef f(x):\n    return x + 1\n```\nProgram:\n```python\ndef f(x):\n    return x\n```"
    )
    assert (parts.program, parts.reference) == ("def f(x):\n    return x\n", "def f(x):\n    return x + 1\n")


def test_the_function_is_the_one_that_no_other_calls():
    source = "```python\ndef solve(x):\n    return helper(x)\n\ndef helper(x):\n    return 2 * x\n```"
    assert read_parts(source).entry == "solve"


@pytest.mark.parametrize(
    ("text", "parameters", "expected"),
    [
        ("[(1, 2), (3, 4)]", ("a", "b"), [(1, 2), (3, 4)]),
        ("(1, 2)\n(3, 4)", ("a", "b"), [(1, 2), (3, 4)]),
        ("([1],)\n([2],)", ("a",), [([1],), ([2],)]),
        ("[1, 2]\n[3]", ("a",), [([1, 2],), ([3],)]),
        ("{\n  'a': 1,\n  'b': 2,\n}", ("a", "b"), [(1, 2)]),
        ("f(1, 2) == 3\nf(b=4, a=3) -> 7", ("a", "b"), [(1, 2), (3, 4)]),
        ("1, 2\nthe empty case\n__import__('os'), 2\n3, 4", ("a", "b"), [(1, 2), (3, 4)]),
        ("", ("a",), []),
    ],
)
def test_inputs_in_many_shapes(text, parameters, expected):
    assert read_inputs([text], parameters, "f") == expected


def test_inputs_are_bounded_and_distinct():
    assert len(read_inputs(["\n".join(f"{i % 100}" for i in range(1000))], ("a",), "f")) == 40


def test_what_is_no_draft_is_refused_in_words():
    with pytest.raises(DraftRefused, match="there is no program"):
        read_parts("no")
