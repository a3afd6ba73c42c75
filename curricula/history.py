"""What a curriculum did: how often it showed what, and how it went, over the steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["History"]

_MOST = 256  # stretches that are told apart


class History:
    """Counts by stretch of steps and by mode and kind of problem; of bounded size, however long the run.

    A kind is a bin or a level, in words. When there are too many stretches, neighbours are merged.
    """

    def __init__(self) -> None:
        self.width = 1
        self._counts: dict[tuple[str, str], list[list[int]]] = {}  # for each stretch: shown, tried, passed

    def show(self, step: int, mode: str, kind: str) -> None:
        """Take note of a problem that was shown at a step."""
        self._row(step, mode, kind)[0] += 1

    def grade(self, step: int, mode: str, kind: str, passed: bool) -> None:
        """Take note of a graded attempt that was reported at a step."""
        row = self._row(step, mode, kind)
        row[1] += 1
        row[2] += passed

    def _row(self, step: int, mode: str, kind: str) -> list[int]:
        while step // self.width >= _MOST:
            self._merge()
        rows = self._counts.setdefault((str(mode), str(kind)), [])
        rows.extend([0, 0, 0] for _ in range(step // self.width + 1 - len(rows)))
        return rows[step // self.width]

    def _merge(self) -> None:
        self.width *= 2
        for cell, rows in self._counts.items():
            pairs = [rows[at : at + 2] for at in range(0, len(rows), 2)]
            self._counts[cell] = [[sum(column) for column in zip(*pair, strict=True)] for pair in pairs]

    def counts(self, by: str) -> dict[str, npt.NDArray[np.int64]]:
        """The counts of each mode or kind.

        Args:
            by: ``mode`` or ``kind``.

        Returns:
            For each name an array of shape (stretches, 3): shown, tried, passed. A stretch is
            ``width`` steps.
        """
        length = max(map(len, self._counts.values()), default=0)
        found: dict[str, npt.NDArray[np.int64]] = {}
        for (mode, kind), rows in self._counts.items():
            total = found.setdefault(mode if by == "mode" else kind, np.zeros((length, 3), dtype=np.int64))
            total[: len(rows)] += np.array(rows, dtype=np.int64)
        return found

    def state_dict(self) -> dict[str, Any]:
        """Everything, JSON-serialisable."""
        cells = [[mode, kind, [list(row) for row in rows]] for (mode, kind), rows in self._counts.items()]
        return {"width": self.width, "cells": cells}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.width = int(state["width"])
        self._counts = {(mode, kind): [list(row) for row in rows] for mode, kind, rows in state["cells"]}
