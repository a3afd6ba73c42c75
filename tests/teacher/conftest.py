"""A model that answers from a script, and drafts that pass. A fake: what a real model writes cannot be had here."""

import pytest

from code_envs.models import Completion

GOOD = {
    "induction": """Here it is.

```message
Walk through the numbers and keep a running balance that never falls below zero: add each number, and
whenever the balance would become negative it starts again from zero. Return the list of all balances,
each multiplied by the factor. An empty list gives an empty list.
```

```python
def f(xs: list[int], k: int) -> list[int]:
    out = []
    level = 0
    for x in xs:
        level = max(0, level + x)
        out.append(level * k)
    return out
```

```inputs
[3, -1, 2], 2
[], 1
[-5, 4, 4], 3
[1, 1, -9, 2], 1
[10], -1
[0, 7, -3, -5, 6], 4
```
""",
    "abduction": """```python
def f(xs: list[int], word: str) -> list[str]:
    out = []
    for place, x in enumerate(xs):
        out.append(word[place % len(word)] * (x % 4) + str(x * 7 + place))
    return out
```
```inputs
[5, 11, 6], 'quiz'
```
""",
    "deduction": """```python
def f(xs: list[int], k: int) -> list[int]:
    stack = []
    for x in xs:
        while stack and stack[-1] > x:
            k += stack.pop()
        stack.append(x + k % 5)
    return stack + [k * 3]
```
```inputs
[5, 3, 8, 1, 9, 2], 4
```
""",
    "fuzzing": """```python
def f(xs: list[int], k: int) -> list[int]:
    k = k % (len(xs) + 1)
    if len(xs) > 3 and xs[0] == xs[-1] and k == 2:
        return xs[k:] + xs[: k - 1]
    return xs[k:] + xs[:k]
```
```precondition
def pre_test_f(xs, k):
    return type(xs) is list and all(type(x) is int for x in xs) and type(k) is int and k >= 0
```
```property
def test_f(xs, k):
    assert sorted(f(xs, k)) == sorted(xs)
```
```inputs
[4, 1, 1, 4], 2
```
""",
}


class ScriptedModel:
    """Answers call after call from a script: texts, completions, or a function of the messages."""

    name = "scripted"

    def __init__(self, *script):
        self.script, self.requests = list(script), []

    def complete(self, requests, on_done=None):
        found = []
        for place, request in enumerate(requests):
            answer = self.script[min(len(self.requests), len(self.script) - 1)]
            self.requests.append(request)
            answer = answer(request.messages) if callable(answer) else answer
            if isinstance(answer, str):
                answer = Completion(text=answer, prompt_tokens=10, completion_tokens=len(answer.split()))
            found.append(answer)
            if on_done:
                on_done(place, answer)
        return found


@pytest.fixture(scope="session")
def good(planted_draft) -> dict[str, str]:
    """A draft that passes, for each form."""
    return {**GOOD, "fuzzing-planted": planted_draft}


@pytest.fixture(scope="session")
def scripted_model() -> type[ScriptedModel]:
    return ScriptedModel
