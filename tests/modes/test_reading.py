"""Replies as models write them, and what a person would take for the answer."""

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from code_envs.modes import read, rules
from code_envs.problem import Case, Mode, Problem

PROGRAM = "def f(xs, k):\n    return sorted(xs)[:k]\n"
SIGNATURE = "f(xs: list[int], k: int) -> list[int]"
CASE = Case(arguments="([3, 1, 2], 2)", result="[1, 2]")
PROBLEMS = {
    mode: Problem(mode=mode, program=PROGRAM, signature=SIGNATURE, message="m", cases=(CASE,))
    for mode in ("induction", "abduction", "deduction")
}
PROBLEMS["script"] = Problem(mode="induction", program="pass\n", entry="", cases=(Case.of(("3\n",), "6\n"),))

DEDUCTION = {
    "plain block": ("```output\n[1, 2]\n```", "[1, 2]"),
    "gpt, steps and a summary": (
        """
        Let's trace the call step by step:

        1. `sorted([3, 1, 2])` gives `[1, 2, 3]`.
        2. Taking the first `k = 2` elements gives `[1, 2]`.

        ```output
        [1, 2]
        ```

        So the function returns the two smallest numbers.
        """,
        "[1, 2]",
    ),
    "llama, bold headings": (
        """
        ## Step 1: Understand the function
        The function sorts `xs` and takes the first `k`.

        ## Step 2: Evaluate
        sorted -> [1, 2, 3]

        The final answer is: $\\boxed{[1, 2]}$
        """,
        "[1, 2]",
    ),
    "qwen, thinking": (
        "<think>\nOkay, so f sorts... ```output\n[3, 1]\n``` no wait.\n</think>\n\n```output\n[1, 2]\n```",
        "[1, 2]",
    ),
    "thinking that the template opened": (
        "sorted is [1,2,3].\n```output\n[9]\n```\n</think>\n\n```output\n[1, 2]\n```",
        "[1, 2]",
    ),
    "thinking that never ends": ("<think>\nsorted gives\n```output\n[1, 2]\n```\nbut wait", None),
    "answer, then thinking that never ends": ("```output\n[1, 2]\n```\n<think>hmm", None),
    "two thoughts": ("<think>a</think>```output\n[5]\n```<think>b</think>\n```output\n[1, 2]\n```", "[1, 2]"),
    "empty thinking": ("<think>\n\n</think>\n\n```output\n[1, 2]\n```", "[1, 2]"),
    "thinking spelled out": ("<thinking>\n[7]\n</thinking>\nAnswer: [1, 2]", "[1, 2]"),
    "harmony channels": (
        "<|channel|>analysis<|message|>[3]<|end|><|start|>assistant"
        "<|channel|>final<|message|>```output\n[1, 2]\n```<|return|>",
        "[1, 2]",
    ),
    "stop token": ("[1, 2]<|eot_id|>", "[1, 2]"),
    "no tag": ("The result:\n```\n[1, 2]\n```", "[1, 2]"),
    "python tag": ("```python\n[1, 2]\n```", "[1, 2]"),
    "json tag": ("```json\n[1, 2]\n```\nDone.", "[1, 2]"),
    "capital tag": ("```Output\n[1, 2]\n```", "[1, 2]"),
    "plural tag": ("```outputs\n[1, 2]\n```", "[1, 2]"),
    "tag after a space": ("``` output\n[1, 2]\n```", "[1, 2]"),
    "tildes": ("~~~output\n[1, 2]\n~~~", "[1, 2]"),
    "four backticks": ("````output\n[1, 2]\n````", "[1, 2]"),
    "in a list": ("1. So:\n\n   ```output\n   [1, 2]\n   ```", "[1, 2]"),
    "one line": ("```output [1, 2]```", "[1, 2]"),
    "one line, no tag": ("The answer: \n```[1, 2]```", "[1, 2]"),
    "content beside the tag": ("```output [1, 2]\n```", "[1, 2]"),
    "never closed": ("Here you go:\n```output\n[1, 2]", "[1, 2]"),
    "cut short": ("```output\n[1, ", None),
    "stray fence at the end": ("```output\n[1, 2]\n```\n```", "[1, 2]"),
    "unclosed block before the next": ("```python\nsorted(xs)\n```output\n[1, 2]\n```", "[1, 2]"),
    "two blocks, the last counts": (
        "```output\n[2, 1]\n```\nWait, sorted ascending.\n```output\n[1, 2]\n```",
        "[1, 2]",
    ),
    "last block broken": ("```output\n[1, 2]\n```\nor rather\n```output\nthe two smallest\n```", None),
    "tagged beats untagged": ("```output\n[1, 2]\n```\nCheck:\n```\n[1, 2, 3]\n```", "[1, 2]"),
    "input block is no output": ("```input\n[3, 1, 2], 2\n```\n```output\n[1, 2]\n```", "[1, 2]"),
    "only an input block": ("```input\n[3, 1, 2]\n```", None),
    "code, then the value": ("```python\nprint(f([3, 1, 2], 2))\n```\nprints\n```\n[1, 2]\n```", "[1, 2]"),
    "block contradicts a later line": ("```\n[1, 2, 3]\n```\nAnswer: [1, 2]", None),
    "block agrees with a later line": ("```\n[1,2]\n```\nAnswer: [1, 2]", "[1, 2]"),
    "label in the block": ("```\nOutput: [1, 2]\n```", "[1, 2]"),
    "assertion in the block": ("```python\nassert f([3, 1, 2], 2) == [1, 2]\n```", "[1, 2]"),
    "doctest in the block": ("```\nf([3, 1, 2], k=2) -> [1, 2]\n```", "[1, 2]"),
    "assertion about another call": ("```python\nassert f([9, 8], 1) == [8]\n```", None),
    "many lines in the block": ("```output\n[\n  1,\n  2,  # the second\n]\n```", "[1, 2]"),
    "answer line": ("Answer: [1, 2]", "[1, 2]"),
    "bold answer line": ("Sorting gives 1, 2, 3.\n\n**Answer:** [1, 2]", "[1, 2]"),
    "bold answer with code": ("**Output:** `[1, 2]`", "[1, 2]"),
    "colon outside the bold": ("**Final Answer**: `[1, 2]`.", "[1, 2]"),
    "answer in a sentence": ("Therefore, the output is `[1, 2]`.", "[1, 2]"),
    "result of the call": ("The result of `f([3, 1, 2], 2)` is `[1, 2]`.", "[1, 2]"),
    "heading, then the value": ("### Answer\n\n[1, 2]", "[1, 2]"),
    "heading, then a negative number": ("## Final Answer\n\n-7", "-7"),
    "bullet, then a negative number": ("So:\n- **Result:** -7", "-7"),
    "inline code inside a text": ("Answer: 'use `3` here'", "'use `3` here'"),
    "two answer lines that agree": ("Output: [1,2]\n...\nFinal answer: [1, 2]", "[1, 2]"),
    "two answer lines that differ": ("Answer: [1, 2]\nHmm, or\nAnswer: [2, 1]", None),
    "boxed": ("$$\\boxed{[1, 2]}$$", "[1, 2]"),
    "boxed text": ("Hence \\boxed{\\text{[1, 2]}}", "[1, 2]"),
    "boxed with escapes": ("\\boxed{\\{1: 2\\}}", "{1: 2}"),
    "boxes that differ": ("\\boxed{3} and \\boxed{4}", None),
    "completed call": ("f([3, 1, 2], 2) == [1, 2]", "[1, 2]"),
    "completed assertion": ("assert f([3, 1, 2], 2) == [1, 2]", "[1, 2]"),
    "arrow": ("`f([3, 1, 2], 2)` → `[1, 2]`", "[1, 2]"),
    "bare value": ("[1, 2]", "[1, 2]"),
    "inline code in the last line": ("First it sorts.\nIt returns `[1, 2]`.", "[1, 2]"),
    "different inline code in the last line": ("It is `[1, 2]` or `[2, 1]`.", None),
    "windows line ends": ("```output\r\n[1, 2]\r\n```\r\n", "[1, 2]"),
    "invisible characters": ("\ufeff\u200b```output\u200b\n\u200b[1,\u00a02]\u200b\n```", "[1, 2]"),
    "invisible characters that belong to the value": ("```output\n'a\u200bb'\n```", "'a\\u200bb'"),
    "trailing full stop": ("Answer: 12.", "12"),
    "text": ('```output\n"it\'s"\n```', '"it\'s"'),
    "text without quotes": ("```output\nhello world\n```", None),
    "emphasised number": ("Answer: **-7**", "-7"),
    "bare tuple": ("```output\n1, 'a'\n```", "(1, 'a')"),
    "set in any order": ("```output\n{3, 1}\n```", "{1, 3}"),
    "nothing": ("", None),
    "prose": ("The function returns the two smallest numbers.", None),
    "refusal": ("I'm sorry, but I can't run code.", None),
    "code instead of a value": ("```output\nsorted([3, 1, 2])[:2]\n```", None),
    "calls are not evaluated": ("```output\n__import__('os').system('true')\n```", None),
}

ABDUCTION = {
    "plain block": ("```input\n[2, 1], 2\n```", "([2, 1], 2)"),
    "qwen, thinking": (
        "<think>\nNeed 1 and 2.\n</think>\n\nAny order works.\n\n```input\n[2, 1], 2\n```",
        "([2, 1], 2)",
    ),
    "keywords": ("```input\nxs=[2, 1], k=2\n```", "([2, 1], 2)"),
    "one to a line": ("```input\nxs = [2, 1]\nk = 2\n```", "([2, 1], 2)"),
    "tuple": ("```input\n([2, 1], 2)\n```", "([2, 1], 2)"),
    "dict": ('```json\n{"xs": [2, 1], "k": 2}\n```', "([2, 1], 2)"),
    "call": ("```input\nf([2, 1], 2)\n```", "([2, 1], 2)"),
    "call without a block": ("You can use `f([2, 1], 2)`.", "([2, 1], 2)"),
    "call with its result": ("```python\nassert f([2, 1], k=2) == [1, 2]\n```", "([2, 1], 2)"),
    "input and output blocks": ("```input\n[2, 1], 2\n```\ngives\n```output\n[1, 2]\n```", "([2, 1], 2)"),
    "only an output block": ("```output\n[2, 1], 2\n```", None),
    "input line": ("**Input:** `[2, 1], 2`", "([2, 1], 2)"),
    "answer line": ("Sorting 2, 1 works.\nAnswer: [2, 1], 2", "([2, 1], 2)"),
    "different proposals": ("f([2, 1], 2) == [1, 2]\nf([1, 2], 2) == [1, 2]", None),
    "an argument is missing": ("```input\n[2, 1]\n```", None),
    "one too many": ("```input\n[2, 1], 2, 3\n```", None),
    "unknown name": ("```input\nys=[2, 1], k=2\n```", None),
    "expression": ("```input\nlist(range(3)), 1 + 1\n```", None),
}

F = "def f(xs, k):\n    return sorted(xs)[:k]\n"
INDUCTION = {
    "plain block": (f"```python\n{F}```", F),
    "gpt, explained": (f"Here's a solution:\n\n```python\n{F}```\n\n**Explanation:** it sorts, then slices.", F),
    "usage after the program": (f"```python\n{F}```\nUsage:\n```python\nprint(f([1], 1))\n```\n```\n[1]\n```", F),
    "qwen, a draft while thinking": (
        f"<think>\n```python\ndef f(xs, k):\n    return xs\n```\n</think>\n```python\n{F}```",
        F,
    ),
    "second thoughts": (f"```python\ndef f(xs, k):\n    return xs\n```\nThat fails.\n```python\n{F}```", F),
    "no tag": (f"```\n{F}```", F),
    "short tag": (f"```py\n{F}```", F),
    "other tag": (f"```python3\n{F}```", F),
    "tildes": (f"~~~python\n{F}~~~", F),
    "no block": (F, F),
    "never closed": (f"```python\n{F}", F),
    "cut short": ("```python\ndef f(xs, k):\n    return sorted(xs", None),
    "cut short after a draft": (f"```python\n{F}```\nBetter:\n```python\ndef f(xs, k):\n    return sorted(", None),
    "indented block": ("1. Code:\n\n" + textwrap.indent(f"```python\n{F}```", "   "), F),
    "indented program": ("```python\n" + textwrap.indent(F, "    ") + "```", F),
    "windows line ends": (f"```python\n{F}```".replace("\n", "\r\n"), F),
    "hard spaces": ("```python\n" + F.replace("    ", "\u00a0\u00a0\u00a0\u00a0") + "```", F),
    "imports and helpers": (
        f"```python\nimport math\n\ndef g():\n    pass\n\n{F}```",
        f"import math\n\ndef g():\n    pass\n\n{F}",
    ),
    "lambda": ("```python\nf = lambda xs, k: sorted(xs)[:k]\n```", "f = lambda xs, k: sorted(xs)[:k]\n"),
    "longer fence": (f'````python\n"""```"""\n{F}````', f'"""```"""\n{F}'),
    "another name": ("```python\ndef solve(xs, k):\n    return sorted(xs)[:k]\n```", None),
    "a method": ("```python\nclass Solution:\n    def f(self, xs, k):\n        return sorted(xs)[:k]\n```", None),
    "not python": ("```javascript\nfunction f(xs, k) { return xs; }\n```", None),
    "only a call": ("```python\nprint(f([1], 1))\n```", None),
    "prose": ("You should sort the list.", None),
    "nul byte": ("```python\ndef f(xs, k):\n    return '\0'\n```", None),
    "lone surrogate": ("```python\ndef f(xs, k):\n    return '\ud800'\n```", None),
}
TABLE = [
    pytest.param(mode, reply, expected, id=f"{mode}: {name}")
    for mode, rows in (("deduction", DEDUCTION), ("abduction", ABDUCTION), ("induction", INDUCTION))
    for name, (reply, expected) in rows.items()
]


@pytest.mark.parametrize(("mode", "reply", "expected"), TABLE)
def test_a_reply_is_read_as_a_person_would(mode: str, reply: str, expected: str | None) -> None:
    answer = read(PROBLEMS[mode], textwrap.dedent(reply) if reply.startswith("\n") else reply)
    assert answer.text == (expected or "")
    assert bool(answer.complaint) == (expected is None)


def test_a_function_without_parameters_takes_an_empty_block() -> None:
    problem = Problem(
        mode=Mode.ABDUCTION,
        program="def f():\n    return 1\n",
        signature="f()",
        cases=(Case(arguments="()", result="1"),),
    )
    assert read(problem, rules("abduction").gold(problem)).text == "()"


def test_a_program_in_the_block_is_no_answer() -> None:
    program = "```output\ndef f(xs):\n    result = []\n    return result\n```"
    assert read(PROBLEMS["deduction"], program).complaint
    assert read(PROBLEMS["deduction"], "```output\nThe list is sorted, so\nresult = []\n```").text == "[]"


def test_another_name_is_named_in_the_complaint() -> None:
    answer = read(PROBLEMS["induction"], "```python\ndef solve(xs, k):\n    return xs\n```")
    assert "solve" in answer.complaint


HOSTILE = [
    "`" * 250_000,
    "`x" * 125_000,
    "```\n" * 60_000,
    "```a\n" * 50_000,
    "<think>" * 150_000,
    "<think></think>" * 70_000,
    "[" * 250_000,
    "```output\n" + "[" * 60_000,
    "```input\n" + "f(" * 30_000 + ") ==" * 1_000,
    "\\boxed{" * 35_000,
    "Answer:" * 35_000,
    "Answer: " + "*" * 250_000,
    "Answer:\n" * 30_000,
    "f(1) == " * 30_000,
    "```output\nf(" + "=" * 60_000,
    "f(1)" + ")=" * 30_000,
    "import " * 35_000,
    "def f" * 50_000,
    "def f(x):\n" * 25_000,
    " " * 250_000 + "x",
    "is " * 80_000 + "answer is",
    "9" * 250_000,
    "Answer: " + "9" * 60_000,
    "'" + "\\" * 60_000,
    "\0" * 1_000 + "\ud800" * 1_000,
    "x" * 3_000_000,
]


@pytest.mark.parametrize("mode", PROBLEMS)
@pytest.mark.parametrize("reply", HOSTILE, ids=lambda reply: ascii(reply[:16]))
def test_hostile_replies_are_malformed(mode: str, reply: str) -> None:
    assert read(PROBLEMS[mode], reply).complaint


_PIECES = [
    "```",
    "~~~",
    "output",
    "python",
    "\n",
    " ",
    "[1, 2]",
    "def f(a, b): return 1",
    "<think>",
    "</think>",
    "Answer:",
]
_PIECES += ["\\boxed{", "}", "`", "f(", ") == ", "**", "'", "\ufeff", "\x00", "-1", "xs=", ",", "is "]


@given(st.lists(st.sampled_from(_PIECES) | st.text(max_size=4), max_size=30).map("".join))
@settings(max_examples=300, deadline=None)
def test_reading_never_raises_and_is_idempotent(reply: str) -> None:
    for problem in PROBLEMS.values():
        answer = read(problem, reply)
        assert bool(answer.text) != bool(answer.complaint)
        if answer.text and problem.mode is not Mode.INDUCTION:
            again = answer.text if problem.mode is Mode.DEDUCTION else Case(arguments=answer.text).shown()
            assert (
                read(problem, f"```{'output' if problem.mode is Mode.DEDUCTION else 'input'}\n{again}\n```") == answer
            )
