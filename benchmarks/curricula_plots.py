"""The drawings of the curriculum laboratory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from code_envs.curricula.plots import colours, to_svg
from code_envs.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from code_envs.benchmarks.curricula import Run

__all__ = ["draw_curves", "draw_final"]

_COLUMNS = 5


def draw_curves(runs: Sequence[Run], names: Sequence[str]) -> str:
    """Draw solve rates of held-out problems by bin over the steps, one panel for each curriculum.

    Args:
        runs: The trainings; thin lines are single seeds, thick ones their mean.
        names: The curricula, in order.

    Returns:
        An SVG file.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    rows = -(-len(names) // _COLUMNS)
    figure = _figure(2.1 * _COLUMNS, 1.9 * rows + 0.4)
    panels = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False).flatten()
    for panel, name in zip(panels, names, strict=False):
        own = [run for run in runs if run.curriculum == name]
        for bin_, colour in zip(own[0].curves, colours(list(own[0].curves)), strict=True):
            for run in own:
                panel.plot(run.steps, run.curves[bin_], color=colour, linewidth=0.6, alpha=0.5)
            mean = np.mean([run.curves[bin_] for run in own], axis=0)
            panel.plot(own[0].steps, mean, color=colour, linewidth=1.8, label=bin_)
        panel.set_title(name, fontsize=9)
        panel.set_ylim(0, 1)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper right", ncols=len(handles[0]), frameon=False, fontsize=8)
    figure.supxlabel("training step", fontsize=9)
    figure.supylabel("held-out pass rate", fontsize=9)
    return to_svg(figure)


def draw_final(rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw final held-out pass rates with their intervals, one panel for each bin.

    Args:
        rows: For each curriculum and bin its rate, interval and the rates of its seeds.

    Returns:
        An SVG file.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    bins, names = (
        list(dict.fromkeys(row["bin"] for row in rows)),
        list(dict.fromkeys(row["curriculum"] for row in rows)),
    )
    figure = _figure(2.6 * len(bins), 0.27 * len(names) + 0.8)
    panels = figure.subplots(1, len(bins), sharey=True, squeeze=False)[0]
    for panel, bin_, colour in zip(panels, bins, colours(bins), strict=True):
        for row in rows:
            if row["bin"] == bin_:
                y = names.index(row["curriculum"])
                panel.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2)
                panel.plot(row["rate"], y, "o", color=colour, markersize=5)
                panel.plot(row["by_seed"], [y] * len(row["by_seed"]), "|", color="black", markersize=6, alpha=0.6)
        panel.set_title(f"{bin_} ({next(row['problems'] for row in rows if row['bin'] == bin_)})", fontsize=9)
        panel.grid(axis="x", linewidth=0.4)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    figure.supxlabel("pass rate on held-out problems after training", fontsize=9)
    return to_svg(figure)


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "report") from error
    return Figure(figsize=(width, height), layout="constrained")
