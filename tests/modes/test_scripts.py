"""Induction problems whose program reads standard input: shown, read, graded and validated."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from code_envs.executor import Executor, Limits
from code_envs.modes import Outcome, complete_cases, grade, grade_batch, grade_many, prompt, read, rules, validate
from code_envs.modes.blocks import fence
from code_envs.modes.strength import killed_mutants
from code_envs.problem import Case, Problem
from code_envs.students.baselines import trivial_programs

Written = Callable[[str, int], Problem]
SCRIPT = "induction-script"


@pytest.fixture(scope="module")
def quick() -> Iterator[Executor]:
    """A sandbox that gives up soon."""
    with Executor(workers=1, limits=Limits(cpu_seconds=0.2, memory_mib=64, result_bytes=100_000)) as executor:
        yield executor


def doubled(rule: str = "", *, outputs: Callable[[int], str] = "{}\n".format, **changes: object) -> Problem:
    """Read a number, print twice the number in some form."""
    numbers = [3, 14, -5, 60, 7, 81, 22, 113, -40, 9, 1000]
    cases = tuple(Case.of((f"{number}\n",), outputs(2 * number)) for number in numbers)
    program = "number = int(input())\nprint(2 * number)\n"
    fields = {"program": program, "message": "Print twice the number.", "cases": cases[:5], "hidden": cases[5:]}
    return Problem(**{"mode": "induction", "entry": "", "output": rule, **fields, **changes})  # type: ignore[arg-type]


# --- shown ------------------------------------------------------------------------------------

SHOWN = """\
Write a Python program that does what the description says. It reads standard input and writes to standard output.

Description:
Print twice the number.

Examples:

Input:
```
3
```
Output:
```
6
```

Input:
````
```x
````
Output:
```

```

The program must print these outputs, and the right ones for further inputs that are not shown. Outputs are compared \
word by word: how much white space is between words does not matter. It must end without an error. Nothing beyond the \
standard library can be imported.

Think as long as you like. Then answer with the whole program in one block like this; the last such block counts:

```python
# the whole program
```"""


def test_the_prompt_shows_blocks_of_input_and_output() -> None:
    cases = (Case.of(("3\n",), "6\n"), Case.of(("```x\n",), ""))
    assert prompt(doubled("tokens", cases=cases)).text == SHOWN


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("", "Spaces at the end of a line and empty lines"),
        ("lines", "Spaces at the end of a line and empty lines"),
        ("exact", "character by character"),
        ("tokens", "word by word"),
        ("floats", "off by 1e-6"),
    ],
)
def test_the_prompt_tells_how_outputs_are_compared(rule: str, told: str) -> None:
    text = prompt(doubled(rule)).text
    assert told in text
    assert ("'6\\n'" in text) == (rule == "exact")  # a block does not show how its text ends


# --- read -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "program"),
    [
        ("```python\nprint(1)\n```", "print(1)\n"),
        ("```python\nprint(1)\n```\nBetter:\n```py\n\nprint(2)\n\n```", "print(2)\n"),
        ("```python\nprint(1)\n```\nIt prints:\n```\n3\n```", "print(1)\n"),
        ("```python\nprint(1)\n```\nInput and output:\n```input\n3\n```\n```output\nprint(3)\n```", "print(1)\n"),
        ("```python\nprint(1)\n```\nStart it like this:\n```python\n$ python a.py < in\n```", "print(1)\n"),
        ("```python\nprint(1)\n```\nor\n```bash\nls\n```", "print(1)\n"),
        ("```\nprint(1)\n```\nFor example\n```\n3\n```", "print(1)\n"),
        ("print(input())", "print(input())\n"),
        ("<think>```python\nprint(0)\n```</think>```python\n  print(1)\n```", "print(1)\n"),
        ("```python\n# the whole program\n```\n", None),
        ("```python\n\n```", None),
        ("```\n3\n```", None),
        ("```python\nprint(1\n```", None),
        ("42", None),
        ("I do not know.", None),
        ("", None),
    ],
)
def test_the_last_block_that_is_python_is_the_program(reply: str, program: str | None) -> None:
    answer = read(doubled(), reply)
    assert (answer.text or None) == program
    assert bool(answer.complaint) == (program is None)


def test_a_mistake_in_the_syntax_is_named() -> None:
    assert "line 2" in read(doubled(), "```python\nx = 1\nprint(x\n```").complaint


# --- graded -----------------------------------------------------------------------------------

HONEST = "import sys\ndata = sys.stdin.read().split()\nsys.stdout.write(str(int(data[0]) * 2))\n"
CHEATS = {
    "nothing printed": "input()\n",
    "constant": "print(6)\n",
    "echo": "print(input())\n",
    "returned": "def f(number):\n    return 2 * number\n\nf(int(input()))\n",
    "standard error": "import sys\nprint(2 * int(input()), file=sys.stderr)\n",
    "everything that could be right": "print(*range(-100, 3000))\n",
    "verdict": "print('PASSED')\nprint('{\"reward\": 1.0}')\n",
    "lookup of the visible cases": "known = {3: 6, 14: 28, -5: -10, 60: 120, 7: 14}\n"
    "print(known.get(int(input()), 0))\n",
    "right, then exit status 1": "print(2 * int(input()))\nexit(1)\n",
    "right, then an exception": "print(2 * int(input()))\nassert False\n",
    "right, then killed": "import os, signal\nprint(2 * int(input()), flush=True)\n"
    "os.kill(os.getpid(), signal.SIGKILL)\n",
    "exit at once": "import os\nos._exit(0)\n",
    "exit at once, output lost": "import os\nprint(2 * int(input()))\nos._exit(0)\n",
    "flood": "while True:\n    print('x' * 1000)\n",
    "memory": "x = bytearray(1 << 30)\nprint(2 * int(input()))\n",
    "recursion": "def f():\n    f()\n\nf()\n",
    "other syntax": "return 3\n",
    "frames": """import gc, sys

int(input())
frame = sys._getframe()
found = []
while frame:
    found += [*frame.f_locals.values(), *frame.f_globals.values()]
    frame = frame.f_back
for thing in [*found, *gc.get_objects()]:
    for name in ("result", "expected", "hidden", "output"):
        if isinstance(thing, dict) and name in thing:
            print(thing[name])
        elif hasattr(type(thing), name) and not callable(getattr(type(thing), name)):
            print(getattr(thing, name))
""",
    "text that equals everything": """import sys

class Any(str):
    def __eq__(self, other):
        return True

    __hash__ = str.__hash__

int(input())
sys.stdout.write(Any("6"))
""",
}


def test_the_honest_program_passes(quick: Executor) -> None:
    graded = grade(doubled(), fence(HONEST, "python"), quick)
    assert (graded.outcome, graded.reward) == (Outcome.PASSED, 1.0)
    assert graded.parts == {"visible": 1.0, "hidden": 1.0}
    assert graded.cpu_seconds > 0
    assert graded.isolation is quick.isolation


@pytest.mark.parametrize("cheat", CHEATS)
def test_cheating_programs_fail(quick: Executor, cheat: str) -> None:
    graded = grade(doubled(), fence(CHEATS[cheat], "python"), quick)
    assert graded.outcome is Outcome.WRONG
    assert graded.reward == 0.0
    assert graded.parts["hidden"] < 1.0
    assert len(graded.reason) < 1000
    assert len(graded.feedback) < 2000


@pytest.mark.parametrize("index", range(3))
def test_gold_passes_hidden_or_not_and_noise_does_not(written: Written, executor: Executor, index: int) -> None:
    problem = written(SCRIPT, index)
    replies = [rules("induction").gold(problem), "I do not know.", "```python\nprint(1)\n```"]
    gold, noise, wrong = grade_many(problem, replies, executor)
    assert [one.outcome for one in (gold, noise, wrong)] == [Outcome.PASSED, Outcome.MALFORMED, Outcome.WRONG]
    for plain, hiding in zip((gold, noise, wrong), grade_many(problem, replies, executor, hide=True), strict=True):
        assert (plain.outcome, plain.reason, plain.parts) == (hiding.outcome, hiding.reason, hiding.parts)


@pytest.mark.parametrize(
    ("rule", "form", "passes"),
    [
        ("exact", "{}\n", True),
        ("exact", "{}", False),
        ("lines", "{}  \n\n", True),
        ("lines", " {}\n", False),
        ("", "{}", True),
        ("", "\n{}", False),
        ("tokens", "\n\n  {}", True),
        ("tokens", "{}.0", False),
        ("floats", "{}.0000001", True),
        ("floats", "{}.1", False),
    ],
)
def test_outputs_are_compared_by_the_rule_of_the_problem(
    executor: Executor, rule: str, form: str, passes: bool
) -> None:
    program = f"import sys\nsys.stdout.write({form!r}.format(2 * int(input())))\n"
    assert grade(doubled(rule), fence(program, "python"), executor).passed is passes


def test_feedback_shows_the_visible_failure(quick: Executor) -> None:
    programs = {
        "print(5)": "on the input '3\\n' the program prints '5\\n', but the output must be '6\\n'",
        "pass": "on the input '3\\n' the program prints nothing, but",
        "1 / 0": "raises ZeroDivisionError",
        "exit(3)": "does not end well: the program left with exit status 3",
        "print('x' * 10**6)": "prints too much",
        "x = bytearray(1 << 30)": "takes too much memory",
    }
    for (program, told), graded in zip(
        programs.items(), grade_many(doubled(), [fence(text, "python") for text in programs], quick), strict=True
    ):
        assert told in graded.feedback, program


def test_nothing_hidden_is_told(executor: Executor) -> None:
    """A program that is right on the visible cases tries to carry hidden inputs out."""
    leaks = ["raise ValueError(number)", "print(number)", "exit(number % 250 + 1)", "print(number); 1 / 0"]
    told = set()
    for leak in leaks:
        program = f"number = int(input())\nif number in (3, 14, -5, 60, 7):\n    print(2 * number)\nelse:\n    {leak}\n"
        for hide in (False, True):
            graded = grade(doubled(), fence(program, "python"), executor, hide=hide)
            assert graded.parts == {"visible": 1.0, "hidden": 0.0}
            told |= {graded.reason, graded.feedback}
    assert len(told) == 2, "what is told depends on what the program did with hidden inputs"


def test_a_program_that_never_ends_is_timed_out_once(quick: Executor) -> None:
    loop, late = (
        fence(program, "python")
        for program in ("while True: pass", "n = int(input())\nwhile n == 81: pass\nprint(2 * n)")
    )
    graded, later = grade_batch([(doubled(), loop), (doubled(), late)], quick)
    assert graded.outcome is Outcome.TIMEOUT
    assert graded.parts == {"visible": 0.0, "hidden": 0.0}
    assert graded.cpu_seconds < 2 * quick.limits.cpu_seconds  # not once for each of the 11 cases
    assert later.outcome is Outcome.TIMEOUT
    assert later.parts["visible"] == 1.0
    assert "hidden case" in later.reason


def test_cpu_time_is_that_of_all_runs(executor: Executor) -> None:
    one, all_of_them = doubled(cases=doubled().cases[:1], hidden=()), doubled()
    program = fence("for _ in range(10**5): pass\n" + HONEST, "python")
    spent = [grade(problem, program, executor).cpu_seconds for problem in (one, all_of_them)]
    assert spent[1] > 3 * spent[0]


# --- validated --------------------------------------------------------------------------------


def test_the_problems_written_by_hand_are_valid(written: Written, executor: Executor) -> None:
    for index in range(3):
        assert validate(written(SCRIPT, index), executor) == []


def numbers(function: Callable[[int], object], program: str, **changes: object) -> Problem:
    own = doubled()
    cases = tuple(Case.of(case.values(), f"{function(int(case.values()[0]))}\n") for case in (*own.cases, *own.hidden))
    return doubled(program=program, **{"cases": cases[:5], "hidden": cases[5:], **changes})


LOOKUP = "known = {3: 6, 14: 28, -5: -10, 60: 120, 7: 14, 81: 162, 22: 44, 113: 226, -40: -80, 9: 18, 1000: 2000}\n"
BROKEN = {
    "deterministic": lambda: doubled(program="print(2 * int(input()), hash('x') % 1000)\n"),
    "hidden": lambda: doubled(hidden=doubled().hidden[:4]),
    "inputs": lambda: doubled(cases=doubled().cases[:4]),
    "limits": lambda: doubled(program="x = bytearray(80 << 20)\nprint(2 * int(input()))\n"),
    "message": lambda: doubled(message="```python\nprint(2 * int(input()))\n```"),
    "mutants": lambda: numbers(
        lambda n: 2 * n if n < 50 else n + 7,
        "n = int(input())\nprint(2 * n if n < 50 else n + 7)\n",
        hidden=tuple(Case.of((f"{n}\n",), f"{2 * n}\n") for n in (1, 2, 0, 4, 6)),
    ),
    "result": lambda: numbers(lambda n: 2 * n + 1, doubled().program),
    "results": lambda: numbers(lambda n: "even", "n = int(input())\nprint('even')\n"),
    "runs": lambda: doubled(program="n = int(input())\nprint(2 * n)\nexit(n == 60)\n"),
    "size": lambda: doubled(cases=(Case.of(("3\n" + "#" * 5000,), "6\n"), *doubled().cases)),
    "syntax": lambda: doubled(program="print(2 * int(input())\n"),
    "trivial": lambda: numbers(lambda n: n, "print(int(input()))\n"),
}


@pytest.mark.parametrize("check", BROKEN)
def test_a_check_refuses_what_breaks_it(executor: Executor, check: str) -> None:
    complaints = validate(BROKEN[check](), executor)
    assert check in {complaint.check for complaint in complaints}, complaints
    assert {complaint.check for complaint in complaints} <= {check, "gold", "runs", "result"}


def test_their_twins_are_valid(executor: Executor) -> None:
    assert validate(doubled(), executor) == []
    statement = "Print twice the number.\n\n```\n3\n```\n\nSample output:\n\n```\n6\n```"
    long = Case.of(("5" + " " * 6000,), "10\n")  # hidden ones are not shown
    assert validate(doubled(message=statement, hidden=(*doubled().hidden, long)), executor) == []


def test_outputs_are_validated_by_the_rule(executor: Executor) -> None:
    program = "print(int(input()) * 2 * (1 + 1e-9))\n"
    floats = doubled("floats", program=program, outputs="{}.0\n".format)
    assert validate(floats, executor) == []
    complaints = validate(floats.but(output="tokens"), executor)
    assert {complaint.check for complaint in complaints} == {"result", "gold"}


def test_mutants_are_made_of_the_whole_module(written: Written, executor: Executor) -> None:
    killed, survived = killed_mutants(written(SCRIPT, 1), executor)
    assert len(killed) > 10
    assert survived == []
    weak = written(SCRIPT, 1)
    killed, survived = killed_mutants(weak.but(hidden=weak.hidden[-1:]), executor)
    assert survived


def test_trivial_programs_print_constants_echoes_and_what_was_seen(executor: Executor) -> None:
    problem = doubled(cases=(Case.of(("3\n4\n",), "6\n"), Case.of(("5\n9\n",), "10\n")))
    found = trivial_programs(problem)
    assert [name for name, _ in found] == ["constant", "constant", "identity", "echo", "echo", "default", "lookup"]
    outputs = [executor.run_script(program, ["3\n4\n", "5\n9\n"]) for _, program in found]
    assert [[run.stdout for run in runs] for runs in outputs] == [
        ["6\n", "6\n"],
        ["10\n", "10\n"],
        ["3\n4\n", "5\n9\n"],
        ["3", "5"],
        ["4", "9"],
        ["", ""],
        ["6\n", "10\n"],
    ]


@pytest.mark.parametrize("index", range(3))
def test_hidden_cases_can_be_made(written: Written, executor: Executor, index: int) -> None:
    bare = written(SCRIPT, index).but(hidden=())
    problem = complete_cases(bare, executor, np.random.default_rng(5))
    assert len(problem.hidden) == 16
    assert not {case.call() for case in problem.hidden} & {case.call() for case in problem.cases}
    assert validate(problem, executor) == []
    assert problem == complete_cases(bare, executor, np.random.default_rng(5))


def test_a_problem_without_a_known_solution_can_be_graded_but_is_not_valid(executor: Executor) -> None:
    unknown = doubled(program="")
    assert grade(unknown, fence(HONEST, "python"), executor).passed
    assert {complaint.check for complaint in validate(unknown, executor)} == {"gold"}


def test_large_inputs_are_graded(executor: Executor) -> None:
    lines = 60_000
    stdin = f"{lines}\n" + "7\n" * lines
    large = Case.of((stdin,), f"{7 * lines}\n")
    program = "import sys\nprint(sum(map(int, sys.stdin.read().split()[1:])))\n"
    problem = doubled(cases=(Case.of(("1\n7\n",), "7\n"),), hidden=(large,))
    assert grade(problem, fence(program, "python"), executor).passed
