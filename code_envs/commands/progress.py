"""What is told while a run is made: a bar on a terminal, a line for each chain elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from code_envs.commands.output import stderr

if TYPE_CHECKING:
    from code_envs.problem import Chain

__all__ = ["telling"]

Tell = Callable[["Chain"], None]
_BARS = "▁▂▃▄▅▆▇█"
_BINS = 10  # of the histogram of pass rates, from 0 to 1


@contextmanager
def telling(total: int, tokens: Callable[[], int] | None = None) -> Iterator[tuple[Tell, Tell]]:
    """Tell of each chain: turns and pass rates so far and the time left; with models also drafts and tokens per second.

    Args:
        total: Chains of the run.
        tokens: How many tokens were used so far; None where no model takes part.

    Yields:
        What to call with each new chain, and with each that was there already.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console, pace = stderr(), _Pace(total, tokens)
    if not console.is_terminal:

        def line(chain: Chain) -> None:
            text = pace.add(chain)
            console.print(f"{pace.done}/{total} {text}", markup=False, soft_wrap=True)

        yield line, pace.add_old
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("making chains", total=total)

        def advance(chain: Chain) -> None:
            progress.update(task, description=pace.add(chain), completed=pace.done)

        def begin(chain: Chain) -> None:
            pace.add_old(chain)
            progress.update(task, completed=pace.done)

        yield advance, begin


class _Pace:
    """The yield so far and how fast it goes, by the chains made in this process."""

    def __init__(self, total: int, tokens: Callable[[], int] | None) -> None:
        self.total, self.tokens, self.start = total, tokens, time.monotonic()
        self.done = self.turns = self.made = self.drafts = self.valid = 0
        self.rates = [0] * _BINS

    def add_old(self, chain: Chain) -> None:
        """Count a chain that was there already: it says nothing about the pace."""
        self.done += 1
        self.turns += len(chain.problems)
        self.drafts += len(chain.drafts)
        self.valid += sum(bool(draft.key) for draft in chain.drafts)
        for problem in chain.problems:
            for report in problem.measurements[-1:]:
                if report.attempts:
                    self.rates[min(_BINS - 1, int(report.rate * _BINS))] += 1

    def add(self, chain: Chain) -> str:
        """Count a chain that was just made, and describe it."""
        self.add_old(chain)
        self.made += 1
        seconds = max(time.monotonic() - self.start, 0.001)
        parts = [_describe(chain), f"{self.turns} turn{'s' * (self.turns != 1)}"]
        if self.tokens is not None:
            parts += [f"{self.valid}/{self.drafts} drafts valid"] if self.drafts else []
            parts += [f"{self.tokens() / seconds:,.0f} tokens/s"]
        parts += [f"pass rates 0 {_sparks(self.rates)} 1"] if any(self.rates) else []
        return " · ".join([*parts, f"{_duration(seconds / self.made * (self.total - self.done))} left"])


def _describe(chain: Chain) -> str:
    rates = [f"{report.rate:.2f}" for problem in chain.problems for report in problem.measurements[-1:]]
    return f"{chain.id}: {' → '.join(rates) or 'no valid problem'}"


def _sparks(counts: list[int]) -> str:
    """A histogram in a line; a bin that is not empty is never invisible."""
    top = max(counts)
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // top)] for count in counts)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"
