"""The comparison counts what it should, with a scripted model in the place of a real one."""

import itertools

from code_envs.benchmarks.yields import measure_yield, show
from code_envs.models import Completion, ModelConfig
from code_envs.problem import Mode

DRAFT = """```python
def f(xs: list[int], k: int) -> list[int]:
    stack = []
    for x in xs:
        while stack and stack[-1] > x:
            k += stack.pop()
        stack.append(x + k % NUMBER)
    return stack + [k * 3]
```
```inputs
[5, 3, 8, 1, 9, 2], 4
```
"""


class Learner:
    """Fails at every first draft, and mends what it is told about."""

    name = "learner"

    def __init__(self):
        self.numbers = itertools.count(5)

    def complete(self, requests, on_done=None):
        (request,) = requests
        mended = len(request.messages) > 1
        text = DRAFT.replace("NUMBER", str(next(self.numbers))) if mended else "I would say f(x) = x."
        return [Completion(text=text, prompt_tokens=100, completion_tokens=50)]


def test_repairs_count_and_the_budget_is_the_same(executor, capsys):
    rows = [
        measure_yield(Learner(), ModelConfig(model="learner"), Mode.DEDUCTION, arm, budget=400, executor=executor)
        for arm in ("single", "multi")
    ]
    single, multi = rows
    assert [(row.calls, row.completion_tokens, row.prompt_tokens) for row in rows] == [(8, 400, 800)] * 2
    assert (single.valid, single.chains, single.refused) == (0, 8, {"missing": 8})
    assert (multi.valid, multi.chains, multi.refused) == (4, 1, {"missing": 4})
    assert multi.per_call == 0.5
    assert (single.kept, multi.kept) == (0, 4)  # the search student solves some of the attempts at each
    assert multi.interval[0] < 0.5 < multi.interval[1]
    show(rows)
    assert "Refused first by" in capsys.readouterr().out
