"""Matching the histograms of pass rates of two sets, so that a comparison is not one of difficulty."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from code_envs.curricula.bins import report_of
from code_envs.errors import ConfigError
from code_envs.problem import Problem

__all__ = ["match_histograms"]


def match_histograms(
    first: Sequence[Problem],
    second: Sequence[Problem],
    *,
    cells: int = 10,
    by_mode: bool = True,
    student: str = "",
    seed: int = 0,
) -> tuple[list[Problem], list[Problem]]:
    """Leave out problems until two sets have the same histogram of pass rates (arXiv 2603.24202).

    Args:
        first: One set; its unmeasured problems are left out.
        second: The other.
        cells: How many equal cells of the pass rate, from 0 to 1.
        by_mode: Whether each mode is matched by itself.
        student: Whose reports count; anybody's last one if empty.
        seed: Decides which problems stay where one set has more.

    Returns:
        The two subsets, in their order, with as many problems in every cell.

    Raises:
        ConfigError: There is no cell.
    """
    if cells < 1:
        raise ConfigError(f"a histogram needs at least one cell, not {cells}")
    sorted_into = [_cells(problems, cells, by_mode, student) for problems in (first, second)]
    chosen: tuple[list[int], list[int]] = ([], [])
    for number, cell in enumerate(sorted(sorted_into[0].keys() & sorted_into[1].keys())):
        size = min(len(found[cell]) for found in sorted_into)
        for side, found in enumerate(sorted_into):
            order = np.random.default_rng([seed, number, side]).permutation(found[cell])
            chosen[side].extend(order[:size].tolist())
    return [first[place] for place in sorted(chosen[0])], [second[place] for place in sorted(chosen[1])]


def _cells(problems: Sequence[Problem], cells: int, by_mode: bool, student: str) -> dict[tuple[str, int], list[int]]:
    found: dict[tuple[str, int], list[int]] = {}
    for place, problem in enumerate(problems):
        report = report_of(problem, student)
        if report is not None:
            cell = min(report.passes * cells // report.attempts, cells - 1)  # a rate of 1 is in the last one
            found.setdefault((str(problem.mode) if by_mode else "", cell), []).append(place)
    return found
