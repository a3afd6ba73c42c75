"""Say in words what a harvested function does: from its own documentation, or honestly little."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from code_envs.programs.source import holds_code
from code_envs.teacher.harvest_pool import Pool
from code_envs.teacher.harvest_scan import Candidate

__all__ = ["describe", "summary"]

_SENTENCES, _CHARACTERS = 4, 500
_STOP = re.compile(
    r"^\s*(>>>|\.\. |@|-{3,}|={3,}"
    r"|:param|:return|:raises|Args?:|Arguments:|Returns?:|Raises:|Examples?:|Usage:|Notes?:)"
)
_ROLE = re.compile(r":[a-z:]+:`~?([^`]+)`")
_KINDS = {
    str: "a text",
    int: "an integer",
    float: "a number",
    bool: "a truth value",
    bytes: "a byte string",
    list: "a list",
    tuple: "a tuple",
    dict: "a dict",
    set: "a set",
    frozenset: "a set",
    type(None): "None",
}


def summary(candidate: Candidate) -> str:
    """The first sentences of a function's documentation, without code and markup; empty if they say little."""
    lines: list[str] = []
    for line in candidate.doc.split("\n"):
        if _STOP.match(line) or (not line.strip() and len(" ".join(lines)) > 60):
            break
        lines.append(line.strip())
    text = re.sub(r"\s+", " ", " ".join(lines)).strip()
    text = re.sub(r"[`]+|(?<!\w)\*+(?=\w)|(?<=\w)\*+(?!\w)", "", _ROLE.sub(r"\1", text))
    kept: list[str] = []
    for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", text)[:_SENTENCES]:
        if holds_code(sentence) or len(" ".join([*kept, sentence])) > _CHARACTERS:
            break
        kept.append(sentence)
    text = " ".join(kept).rstrip(" :,;")
    if len(re.findall(r"[A-Za-z]{2,}", text)) < 4 or holds_code(text):
        return ""
    return text if text[-1] in ".!?)" else text + "."


def describe(candidate: Candidate, pool: Pool) -> str:
    """Describe a function: its documentation, else its name and what goes in and comes out.

    Args:
        candidate: The function.
        pool: What is known of its inputs and results.

    Returns:
        One to five sentences without code.
    """
    told = summary(candidate)
    if told:
        return told
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|_+", " ", candidate.name).strip()
    places = zip(*(known.arguments for known in pool.known), strict=True)
    takes = _listed([_kinds(place) for place in places])
    gives = _kinds(known.result for known in pool.known)
    return f'The function is called "{words}". It takes {takes} and gives {gives}; the examples show the rest.'


def _kinds(values: Iterable[object]) -> str:
    kinds = sorted({_KINDS[type(value)] for value in values}, key=lambda kind: (kind == "None", kind))
    return " or ".join(kinds)


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
