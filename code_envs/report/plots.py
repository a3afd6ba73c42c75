"""The plots of a report, as SVG that goes straight into a page.

The colours are names of CSS variables, so that the page decides them, in light and in dark.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from code_envs.errors import MissingExtra
from code_envs.problem import Mode
from code_envs.report.numbers import BINS, Mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["canvas", "plot_histogram", "plot_means"]

# Stand-ins that the SVG is drawn with, and what the page knows them as.
_INK, _FAINT, _BAND = "#010101", "#020202", "#030303"
_MODES = {Mode.INDUCTION: "#010201", Mode.ABDUCTION: "#010202", Mode.DEDUCTION: "#010203", Mode.FUZZING: "#010204"}
_NAMES = {_INK: "--ink", _FAINT: "--line", _BAND: "--band"} | {code: f"--{mode}" for mode, code in _MODES.items()}
_MARKERS = {Mode.INDUCTION: "o", Mode.ABDUCTION: "s", Mode.DEDUCTION: "^", Mode.FUZZING: "D"}


def plot_means(groups: Mapping[Mode, Sequence[Mean]], axis: str, top: int) -> str:
    """Draw mean pass rates with their intervals against a number, one line for each mode.

    Args:
        groups: For each mode its means; their labels are the numbers.
        axis: What the numbers are, in words.
        top: The largest number that the axis shows.

    Returns:
        One ``<svg>`` element.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    figure, axes = canvas(5.2, 3.2)
    for place, (mode, means) in enumerate(groups.items()):
        aside = (place - (len(groups) - 1) / 2) * 0.09  # so that intervals do not hide each other
        x = [int(mean.label) + aside for mean in means]
        rates = [mean.rate for mean in means]
        spread = [
            [mean.rate - mean.interval[0] for mean in means],
            [mean.interval[1] - mean.rate for mean in means],
        ]
        axes.errorbar(x, rates, spread, fmt="none", ecolor=_MODES[mode], elinewidth=1, alpha=0.45)
        axes.plot(x, rates, color=_MODES[mode], marker=_MARKERS[mode], markersize=4.5, linewidth=1.6)
    axes.set_xlim(-0.5, top + 0.5)
    axes.set_xticks(range(top + 1))
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(axis)
    axes.set_ylabel("pass rate")
    axes.grid(axis="y", color=_FAINT, linewidth=0.6)
    return _to_svg(figure, f"Pass rate against {axis}")


def plot_histogram(rates: Mapping[Mode, Mapping[float, int]]) -> str:
    """Draw how many problems have which pass rate, stacked by mode, with the bins of stepping stones marked.

    Args:
        rates: For each mode how many problems have each pass rate.

    Returns:
        One ``<svg>`` element.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    figure, axes = canvas(10.6, 2.7)
    from matplotlib.ticker import MaxNLocator

    for name, (low, high) in BINS.items():
        axes.axvspan(low, high, color=_BAND, linewidth=0, zorder=0)
        axes.text((low + high) / 2, 1.02, name, ha="center", va="bottom", transform=axes.get_xaxis_transform())
    if rates:
        axes.hist(
            [list(found) for found in rates.values()],
            weights=[list(found.values()) for found in rates.values()],
            bins=[-0.025 + 0.05 * edge for edge in range(22)],  # bars centred on 0, 0.05, …, 1
            stacked=True,
            color=[_MODES[mode] for mode in rates],
            rwidth=0.86,
            zorder=2,
        )
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.set_xlabel("measured pass rate of a problem")
    axes.set_ylabel("problems")
    return _to_svg(figure, "How many problems have which measured pass rate")


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Make an empty figure in the style of the reports, in inches.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "report") from error
    with mpl.rc_context({"font.size": 9, "axes.labelcolor": _INK, "text.color": _INK}):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        axes.set_facecolor("none")
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(_FAINT)
        axes.tick_params(colors=_INK, length=0)
    return figure, axes


def _to_svg(figure: Figure, title: str) -> str:
    import matplotlib as mpl

    file = io.StringIO()
    # a fixed salt and no metadata: the same numbers give the same bytes
    with mpl.rc_context({"svg.hashsalt": "code-envs", "svg.fonttype": "none"}):
        figure.savefig(
            file, format="svg", transparent=True, metadata=dict.fromkeys(["Date", "Creator", "Format", "Type"])
        )
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # nothing refers to groups, and pages have one set of ids
    text = re.sub(r"<defs>\s*<style.*?</defs>", "", text, flags=re.DOTALL)  # it would style the whole page
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text)
    for code, name in _NAMES.items():
        text = text.replace(code, f"var({name})")
    return text.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
