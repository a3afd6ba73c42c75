"""What is believed of the policy being trained: its pass rate on each problem and in each mode, and its replies."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

from code_envs.errors import ConfigError
from code_envs.modes.base import Grade
from code_envs.problem import Attempt, Problem, Report

__all__ = ["Belief", "Beliefs", "Replies", "shorten"]

_WORTH = 8.0  # attempts that a stored measurement is worth at most: it may be another student's
_REPLIES, _EACH, _CHARACTERS = 256, 2, 4_000  # problems, replies of either kind, length


class Belief(NamedTuple):
    """What is believed of a pass rate.

    Attributes:
        rate: Passes by attempts, where older ones count less.
        attempts: How many attempts of today the evidence is worth.
        tried: How many attempts there ever were.
    """

    rate: float
    attempts: float
    tried: float


class Beliefs:
    """Counts of passes and attempts that fade by training step, for each problem and each mode.

    Evidence halves in ``half_life`` steps, whether or not the problem is shown meanwhile: it ages
    because the policy is updated, not because somebody looks. All attempts of a group count alike,
    and what is believed does not depend on the order or the delay of the reports: an attempt counts
    from the step that it was handed out in.

    Args:
        half_life: In training steps, positive.

    Raises:
        ConfigError: The half-life is not positive.
    """

    def __init__(self, half_life: float = 50.0) -> None:
        if half_life <= 0:
            raise ConfigError(f"the half-life must be a positive number of steps, not {half_life}")
        self.half_life = half_life
        self._rows: dict[str, list[float]] = {}  # by key or mode: passes, attempts, step, attempts ever

    def expect(self, problem: Problem, report: Report) -> None:
        """Begin with a stored measurement; it is worth eight attempts at most."""
        worth = min(1.0, _WORTH / report.attempts)
        self._rows[problem.key] = [report.passes * worth, report.attempts * worth, 0.0, float(report.attempts)]

    def observe(self, problem: Problem, passed: bool, step: int) -> None:
        """Take note of a scored attempt at a problem that was handed out in a step."""
        for name in (problem.key, problem.mode.value):
            row = self._rows.setdefault(name, [0.0, 0.0, float(step), 0.0])
            fade, weight = self._fade(step - row[2]), self._fade(row[2] - step)
            row[0] = row[0] * fade + weight * passed
            row[1] = row[1] * fade + weight
            row[2] = max(row[2], float(step))
            row[3] += 1

    def _fade(self, steps: float) -> float:
        return float(0.5 ** (max(steps, 0.0) / self.half_life))

    def of(self, name: str, step: int) -> Belief | None:
        """What is believed at a step of a problem, by its key, or of a mode; None if nothing was ever seen."""
        row = self._rows.get(name)
        if row is None or not row[1]:
            return None
        return Belief(row[0] / row[1], row[1] * self._fade(step - row[2]), row[3])

    def state_dict(self) -> dict[str, Any]:
        """Everything, JSON-serialisable."""
        return {"rows": {name: list(row) for name, row in self._rows.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self._rows = {name: [float(number) for number in row] for name, row in state["rows"].items()}


def shorten(text: str) -> str:
    """The last 4,000 characters, where the answer stands, in a form that can be written to a file."""
    return text[-_CHARACTERS:].encode("utf-8", "replace").decode()


class Replies:
    """The last replies of the policy to each problem, some solved and some failed, for the teacher to see.

    Of bounded size: 256 problems, two replies of either kind, each shortened.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[list[Attempt], list[Attempt]]] = OrderedDict()  # failed, solved

    def add(self, key: str, reply: str, grade: Grade) -> None:
        """Keep a reply; an older one goes for it."""
        kept = self._kept.setdefault(key, ([], []))[int(grade.passed)]
        kept.append(Attempt(reply=shorten(reply), outcome=grade.outcome, reason=shorten(grade.reason)))
        del kept[:-_EACH]
        self._kept.move_to_end(key)
        while len(self._kept) > _REPLIES:
            self._kept.popitem(last=False)

    def report(self, key: str, belief: Belief, least: int) -> Report:
        """What the teacher is told: the believed rate as counts of at least so many attempts, and the replies."""
        failed, solved = self._kept.get(key, ([], []))
        attempts = max(round(belief.attempts), least)
        passes = round(belief.rate * attempts)
        return Report(
            problem=key, student="policy", attempts=attempts, passes=passes, solved=tuple(solved), failed=tuple(failed)
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything, JSON-serialisable."""
        kept = {key: [[each.to_json() for each in kind] for kind in kinds] for key, kinds in self._kept.items()}
        return {"kept": kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self._kept = OrderedDict()
        for key, (failed, solved) in state["kept"].items():
            self._kept[key] = [Attempt.from_json(text) for text in failed], [Attempt.from_json(t) for t in solved]
