"""Drawings of curricula: weights over steps, and what was shown and passed; as SVG files and in a terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from code_envs.curricula.history import History
from code_envs.curricula.schedules import Schedule
from code_envs.report.plots import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bars", "colours", "plot_history", "plot_schedule", "to_svg"]

_BLOCKS = " ▁▂▃▄▅▆▇█"
_NAMED = {
    "easy": "#2a9d8f",
    "easy-medium": "#8ab17d",
    "medium": "#e9c46a",
    "hard": "#e76f51",
    "induction": "#264653",
    "abduction": "#2a9d8f",
    "deduction": "#e9c46a",
    "fuzzing": "#e76f51",
}
_OTHERS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d", "#72b7b2", "#ff9da6", "#eeca3b", "#79706e", "#bab0ac")


def colours(names: Sequence[str]) -> list[str]:
    """A colour for each name: bins and modes have their own."""
    return [_NAMED.get(name, _OTHERS[number % len(_OTHERS)]) for number, name in enumerate(names)]


def bars(shares: Sequence[float]) -> str:
    """Draw shares in [0, 1] as a row of block characters; what is above 0 shows."""
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[max(round(share * top), int(share > 0))] for share in shares)


def plot_schedule(schedule: Schedule, steps: int) -> str:
    """Draw the weights of a schedule over the steps, stacked.

    Args:
        schedule: Over bins or modes.
        steps: How many steps.

    Returns:
        An SVG file.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    figure, axes = canvas(6.4, 2.6)
    at = np.linspace(0, steps, min(steps, 1000) + 1)[:-1]
    rows = [schedule.weights(int(step), steps) for step in at]
    names = [name for name in schedule.names if any(row[name] for row in rows)]
    edges = np.append(at, steps)
    below = np.zeros(len(edges))
    for name, colour in zip(names, colours(names), strict=True):
        share = np.array([row[name] for row in (*rows, rows[-1])])
        axes.fill_between(edges, below, below + share, step="post", color=colour, label=name, linewidth=0)
        below += share
    axes.set_xlim(0, steps)
    axes.set_ylim(0, 1)
    axes.set_xlabel("training step")
    axes.set_ylabel("share of problems")
    axes.set_title(schedule.name, loc="left")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, reverse=True)
    return to_svg(figure)


def plot_history(history: History, by: str = "kind", title: str = "") -> str:
    """Draw what a curriculum showed over the steps, and the pass rate of what was tried.

    Args:
        history: Of a :class:`~code_envs.curricula.Sampler`, a ``TargetRate`` or a ``Bandit``.
        by: ``kind`` (bins or levels) or ``mode``.
        title: What to write above it.

    Returns:
        An SVG file.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    figure, axes = canvas(6.4, 2.6)
    counts = history.counts(by)
    names = sorted(counts, key=lambda name: (len(name), name)) if by == "kind" else list(counts)
    if names:
        shown = np.array([counts[name][:, 0] for name in names], dtype=float)
        x = (np.arange(shown.shape[1]) + 0.5) * history.width
        shares = shown / np.maximum(shown.sum(axis=0), 1)
        axes.stackplot(x, shares, colors=colours(names), labels=names, linewidth=0, alpha=0.85)
        _, tried, passed = np.sum([counts[name] for name in names], axis=0).T
        known = tried > 0
        axes.plot(x[known], passed[known] / tried[known], color="black", linewidth=1.4, label="pass rate")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, reverse=True)
    axes.set_ylim(0, 1)
    axes.set_xlabel("training step")
    axes.set_ylabel("share of problems")
    axes.set_title(title, loc="left")
    return to_svg(figure)


def to_svg(figure: Figure) -> str:
    """Write a figure as an SVG file; the same numbers give the same bytes."""
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "code-envs", "svg.fonttype": "none"}):
        metadata = dict.fromkeys(["Date", "Creator", "Format", "Type"])
        figure.savefig(file, format="svg", facecolor="white", metadata=metadata)
    text = file.getvalue()
    return "\n".join(line.rstrip() for line in text[text.index("<svg") :].splitlines()) + "\n"
