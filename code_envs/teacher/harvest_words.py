"""Say in words what a harvested function does: from its own documentation."""

from __future__ import annotations

import re

from code_envs.programs.source import holds_code
from code_envs.teacher.harvest_scan import Candidate

__all__ = ["summary"]

_SENTENCES, _CHARACTERS = 4, 500
_STOP = re.compile(
    r"^\s*(>>>|\.\. |@|-{3,}|={3,}"
    r"|:param|:return|:raises|Args?:|Arguments:|Returns?:|Raises:|Examples?:|Usage:|Notes?:)"
)
_ROLE = re.compile(r":[a-z:]+:`~?([^`]+)`")


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
