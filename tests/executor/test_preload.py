"""Programs that import little run in a lean interpreter, and no program can tell but by what it imports."""

import pytest

from code_envs.executor import Executor
from code_envs.executor.preload import ALLOWED, is_lean


@pytest.mark.parametrize(
    "program",
    [
        "",
        "def f(): return 1",
        "import math",
        "import math, re as r, collections.abc",
        "from typing import (\n    List,\n    Optional,\n)\ndef f(): pass",
        "from collections import *; import heapq",
        "def f():\n    try: import json\n    except ImportError: pass",
        "from __future__ import annotations\nimport sys",
        "not python at all {",
    ],
)
def test_lean_programs(program):
    assert is_lean(program)


@pytest.mark.parametrize(
    "program",
    [
        "import datetime",
        "import math, datetime",
        "import math as m, datetime as d",
        "import math; import datetime",
        "from datetime import date",
        "def f():\n\tfrom decimal import Decimal",
        "if 1: import hashlib",
        "import math, \\\n  datetime",
        "import \\\n  datetime",
        "\x0cimport datetime",
        "x = 1 if 2 else 3\rimport datetime",
        "from . import x",
        "import numpy",
        "__import__('datetime')",
        "import importlib",
        "eval('__imp' + 'ort__(\"datetime\")')",
        "exec('imp' + 'ort datetime')",
        "import sys\nsys.modules['datetime']",
        "import time\ntime.strptime('2024', '%Y')",
        "__builtins__",
    ],
)
def test_programs_that_may_need_more(program):
    assert not is_lean(program)


def kinds(executor):
    return {kind: zygote.pid for slot in executor._pool._slots for kind, zygote in slot.zygotes.items()}


def test_each_program_runs_where_its_modules_are():
    with Executor(workers=1) as executor:
        assert executor.run("import math\ndef f(): return math.pi", "f", [()])[0].ok
        assert set(kinds(executor)) == {(0, True)}
        assert executor.run("import datetime\ndef f(): return 1", "f", [()])[0].ok
        assert executor.run("import datetime\ndef f(): return 1", "f", [()], variant=2)[0].ok
        assert set(kinds(executor)) == {(0, True), (0, False), (2, False)}


@pytest.mark.parametrize("name", ALLOWED)
def test_every_module_can_be_imported_in_every_usual_way(executor, name):
    ways = f"import {name}", f"import math, {name}", f"from {name} import *", f"x = 1; import {name} as other"
    for way in ways:
        (done,) = executor.run(f"{way}\ndef f(): return 1", "f", [()])
        assert done.ok, (way, done)


def test_both_kinds_see_the_same_world(executor):
    program = (
        "import math, random, sys, time\n{more}\ndef f():\n"
        "    return [random.random(), hash('text'), list({{'a', 'b', 'c'}}), time.time(), sys.getrecursionlimit()]"
    )
    lean, full = program.format(more=""), program.format(more="import datetime")
    assert is_lean(lean)
    assert not is_lean(full)
    for variant in range(2):
        results = [executor.run(each, "f", [()], variant=variant)[0].value for each in (lean, full)]
        assert results[0] == results[1] != b""
