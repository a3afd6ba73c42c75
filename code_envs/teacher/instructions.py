"""What a teacher that is a model is told: templates, one set for each form of drafts, filled for each turn.

A set is ``rules.txt``, put into the others as ``$rules``, and one template for each kind of turn:
``first``, ``harder``, ``easier``, ``vary`` and ``repair``. A folder of your own with the same layout
(``induction/first.txt``) replaces any of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from code_envs.errors import ConfigError
from code_envs.modes.base import Complaint
from code_envs.modes.blocks import fence
from code_envs.modes.prompts import fill
from code_envs.problem import Attempt, Direction, Mode, Problem, Report, Seed
from code_envs.teacher.base import LEVELS, Target
from code_envs.teacher.constraints import FORMS

__all__ = ["DIFFICULTIES", "KINDS", "Instructions"]

KINDS = {Direction.HARDER: "harder", Direction.EASIER: "easier", Direction.SIDEWAYS: "vary"}
"""The template of each direction; the first turn has ``first``, a draft that was refused ``repair``."""
_SETS = ("rules", "first", *KINDS.values(), "repair")
DIFFICULTIES: Mapping[str, Target] = {
    "very easy": (0.85, 0.97),
    "easy": (0.65, 0.85),
    "medium": (0.35, 0.65),
    "hard": (0.16, 0.35),
    "very hard": (0.05, 0.16),
}
"""The words for levels, two levels each, with the pass rates that are meant: without them a word says nothing of the
student. Medium is what chains aim at, very hard is where those that go top-down begin."""
_MAX_REPLY = 1_500  # characters of an attempt that are shown


class Instructions:
    """Writes the prompts for a teacher.

    Args:
        folder: Templates that replace the package's own; none if None.

    Raises:
        ConfigError: There is no such folder, or it holds something that is no template.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._folder = Path(folder) if folder else None
        if self._folder is None:
            return
        if not self._folder.is_dir():
            raise ConfigError(f"there is no folder {str(folder)!r} of templates")
        known = {f"{form}/{name}.txt" for form in FORMS for name in _SETS}
        found = {path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*.txt")}
        if not found or found - known:
            odd = min(found - known, default="no template")
            raise ConfigError(f"{folder} holds {odd}; templates are named like {min(known)}: {', '.join(_SETS)}")

    def first(self, form: str, seed: Seed, level: int) -> str:
        """Ask for the first problem of a chain, from a piece of real code; a form is one of ``FORMS``, as each mode is.

        The template has ``$rules``, ``$seed``, ``$difficulty`` and ``$target``.
        """
        word, target = list(DIFFICULTIES.items())[level * len(DIFFICULTIES) // LEVELS]
        fields = {"seed": fence(seed.text, "python"), "difficulty": word, "target": _percent(target)}
        return self._write(form, "first", fields)

    def next(self, problem: Problem, direction: Direction, target: Target, form: str = "") -> str:
        """Ask for the next problem of a chain, in a form of its mode; the student's report is its last measurement.

        The template has ``$rules``, ``$previous``, ``$report``, ``$attempts`` and ``$target``.
        """
        report = problem.measurements[-1] if problem.measurements else None
        fields = {
            "previous": _previous(problem, planted=form not in ("", problem.mode)),
            "report": _told(report),
            "attempts": _attempts(report),
            "target": _percent(target),
        }
        return self._write(form or problem.mode, KINDS[direction], fields)

    def repair(self, form: str, complaints: Sequence[Complaint]) -> str:
        """Say in words why a draft is refused; the template has ``$complaints``."""
        listed = "\n".join(f"- {complaint.text[:1].upper()}{complaint.text[1:]}." for complaint in complaints)
        return self._write(form, "repair", {"complaints": listed})

    def _write(self, form: str, name: str, fields: dict[str, str]) -> str:
        rules = _template(self._folder, form, "rules").rstrip()
        return fill(_template(self._folder, form, name), {"rules": rules, **fields})


def _percent(target: Target) -> str:
    return f"{100 * target[0]:.0f} to {100 * target[1]:.0f} %"


@lru_cache(maxsize=256)
def _template(folder: Path | None, form: str, name: str) -> str:
    own = folder / form / f"{name}.txt" if folder else None
    if own is not None and own.is_file():
        return own.read_text(encoding="utf-8")
    return files("code_envs.teacher").joinpath("templates", form, f"{name}.txt").read_text(encoding="utf-8")


def _previous(problem: Problem, *, planted: bool) -> str:
    """A problem in the blocks that the teacher writes, its calls with their results.

    Where the fault was planted, what the teacher wrote was right.
    """
    calls = [f"{problem.entry}({case.shown()}) == {case.result}" for case in problem.cases]
    if problem.witness:
        calls = [f"{problem.entry}({problem.witness[1:-1].rstrip(',')})  # shows the fault"]
    blocks = [
        ("message", problem.message if problem.mode is Mode.INDUCTION or problem.differential else ""),
        ("python", problem.reference if planted else problem.program),
        ("reference", "" if planted else problem.reference),
        ("precondition", "" if planted else problem.precondition),
        ("property", problem.property),
        ("inputs", "\n".join(calls)),
    ]
    return "\n\n".join(fence(text, tag) for tag, text in blocks if text)


def _told(report: Report | None) -> str:
    if report is None or not report.attempts:
        return "nothing is known yet about how hard it is."
    low, high = report.interval
    return (
        f"{report.passes} of {report.attempts} attempts were right: {100 * report.rate:.0f} %, "
        f"with 95 % confidence between {100 * low:.0f} and {100 * high:.0f} %."
    )


def _attempts(report: Report | None) -> str:
    if report is None:
        return "No attempt is shown."
    shown = [("right", attempt) for attempt in report.solved] + [("wrong", attempt) for attempt in report.failed]
    return "\n\n".join(_shown(word, attempt) for word, attempt in shown) or "No attempt is shown."


def _shown(word: str, attempt: Attempt) -> str:
    reply = attempt.reply if len(attempt.reply) <= _MAX_REPLY else f"… {attempt.reply[-_MAX_REPLY:]}"
    why = f" ({attempt.reason})" if word == "wrong" and attempt.reason else ""
    return f"An attempt that was {word}{why}:\n{fence(reply or '(empty)', 'text')}"
