"""A student whose skill rises, with the teacher in the loop and without: where its pass rates go.

``python -m code_envs.benchmarks.online_student -o runs/online`` draws it. The student is simulated: it
passes a problem of level ``d`` with the probability 1 / (1 + exp(-1.5 (skill - d))), and its skill
grows by what its groups have to teach, the mean of 4p(1 - p) in a batch, times the learning rate. The
problems, the teacher and the service are real. That such a student learns more from problems in its range
is therefore assumed, not found; what is shown is whether the service keeps them there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer

from code_envs.commands.output import show_table
from code_envs.curricula import CurriculumService, OnlineSettings, Sampler
from code_envs.curricula.plots import colours, to_svg
from code_envs.modes.base import Grade, Outcome
from code_envs.problem import Mode, Problem
from code_envs.report.plots import canvas
from code_envs.teacher import ProceduralTeacher

__all__ = ["Trace", "draw_trace", "make_problems", "train"]

_GROUP, _BATCH, _SHARPNESS = 8, 8, 1.5
_RANGE = (0.35, 0.65)  # what the teacher aims at


class Trace(msgspec.Struct, kw_only=True):
    """What happened, step by step.

    Attributes:
        name: What was trained with.
        rates: The pass rate of each step.
        useful: The share of groups of each step that neither all passed nor all failed.
        levels: How many problems of each level each step had.
        skills: The student's skill after each step.
        stats: What the service counted.
    """

    name: str
    rates: list[float] = msgspec.field(default_factory=list)
    useful: list[float] = msgspec.field(default_factory=list)
    levels: list[Counter[int]] = msgspec.field(default_factory=list)
    skills: list[float] = msgspec.field(default_factory=list)
    stats: dict[str, object] = msgspec.field(default_factory=dict)


def make_problems(count: int, seed: int) -> list[Problem]:
    """Problems of levels 0 to 2 in all modes, each the first of its chain."""
    teacher = ProceduralTeacher()
    modes = list(Mode)
    return [teacher.propose(np.random.default_rng([seed, at]), at % 3, modes[at % len(modes)]) for at in range(count)]


def train(
    name: str,
    problems: Sequence[Problem],
    *,
    taught: bool,
    steps: int,
    learning_rate: float,
    seed: int,
    keep: float = 0.97,
) -> Trace:
    """Let a simulated student learn from what the service hands out.

    Args:
        name: What to call it.
        problems: What there is at first.
        taught: Whether the teacher makes siblings.
        steps: How many steps of eight groups of eight.
        learning_rate: Skill for each step of groups that half pass.
        seed: The only source of randomness.
        keep: The pass rate above which a problem retires once it has a harder sibling.
    """
    sampler = Sampler(problems, "learnability", batch_size=_BATCH, group_size=_GROUP, seed=seed)
    settings = OnlineSettings(half_life=15, patience=2, target=_RANGE, keep=(0.01, keep))
    skill, trace = 1.0, Trace(name=name)
    with CurriculumService(sampler, "procedural" if taught else None, settings=settings) as service:
        for step in range(steps):
            rates, levels = [], Counter[int]()
            for place in range(_BATCH):
                rng, ticket = np.random.default_rng([seed, 6, step, place]), f"{step}-{place}"
                level = service.ask(ticket).problem.lineage.level
                chance = 1 / (1 + np.exp(-_SHARPNESS * (skill - level)))
                passed = rng.random(_GROUP) < chance
                for each in passed:
                    outcome = Outcome.PASSED if each else Outcome.WRONG
                    service.report(ticket, Grade(outcome=outcome, reward=float(each)))
                rates.append(float(passed.mean()))
                levels[level] += 1
            skill += learning_rate * float(np.mean([4 * rate * (1 - rate) for rate in rates]))
            trace.rates.append(float(np.mean(rates)))
            trace.useful.append(float(np.mean([0 < rate < 1 for rate in rates])))
            trace.levels.append(levels)
            trace.skills.append(skill)
            service.wait()  # so that the same seed draws the same picture; training would not wait
        trace.stats = service.stats()
    return trace


def draw_trace(traces: Sequence[Trace]) -> str:
    """Draw the pass rates of some trainings, and below them the levels that the first one was shown.

    Returns:
        An SVG file.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    figure, rates = canvas(6.4, 4.4)
    rates.set_position((0.09, 0.56, 0.64, 0.38))
    shares = figure.add_axes((0.09, 0.11, 0.64, 0.35))
    steps = np.arange(len(traces[0].rates))
    rates.axhspan(*_RANGE, color="#e9c46a", alpha=0.25, linewidth=0, label="target")
    for trace, colour in zip(traces, ("#264653", "#2a9d8f", "#e76f51"), strict=False):
        rates.plot(steps, _smooth(trace.rates), color=colour, linewidth=1.6, label=trace.name)
    rates.set_ylabel("pass rate")
    rates.set_ylim(0, 1)
    rates.set_title("a simulated student; below: what the first line was shown", loc="left", fontsize=9)
    levels = sorted({level for step in traces[0].levels for level in step})
    rows = [_smooth([step[level] / _BATCH for step in traces[0].levels]) for level in levels]
    names = [f"level {level}" for level in levels]
    shares.stackplot(steps, rows, labels=names, colors=colours(names), linewidth=0)
    shares.set_ylabel("share of problems")
    shares.set_xlabel("training step")
    shares.set_ylim(0, 1)
    for axes in (rates, shares):
        axes.set_xlim(0, len(steps) - 1)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8, reverse=axes is shares)
    shares.spines[["top", "right"]].set_visible(False)
    return to_svg(figure)


def _smooth(values: Sequence[float], width: int = 9) -> list[float]:
    """A running mean over a window that is narrower at the ends."""
    half = width // 2
    return [float(np.mean(values[max(0, at - half) : at + half + 1])) for at in range(len(values))]


def main(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to draw into.")],
    problems: Annotated[int, typer.Option("--problems", min=1, help="How many there are at first.")] = 48,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Training steps.")] = 200,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="Skill for each step in range.")] = 0.04,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The only source of randomness.")] = 0,
) -> None:
    """Train a simulated student with the teacher in the loop, in two ways, and on the fixed set, and compare."""
    made = make_problems(problems, seed)
    traces = [
        train(name, made, taught=taught, keep=keep, steps=steps, learning_rate=learning_rate, seed=seed)
        for name, taught, keep in (
            ("teacher, keep 0.8", True, 0.8),
            ("teacher, keep 0.97", True, 0.97),
            ("fixed set", False, 0.97),
        )
    ]
    output.mkdir(parents=True, exist_ok=True)
    (output / "online-student.svg").write_text(draw_trace(traces), encoding="utf-8")
    last = slice(-max(1, steps // 4), None)
    show_table(
        f"a simulated student, {problems} problems at first, {steps} steps; rates over the last quarter",
        ["", ">pass rate", ">groups with variance", ">skill", ">harder siblings", ">retired"],
        [
            (
                trace.name,
                f"{np.mean(trace.rates[last]):.2f}",
                f"{np.mean(trace.useful[last]):.2f}",
                f"{trace.skills[-1]:.1f}",
                trace.stats["harder"],
                trace.stats["retired"],
            )
            for trace in traces
        ],
    )
    print(f"drawn into {output / 'online-student.svg'}")


if __name__ == "__main__":
    typer.run(main)
