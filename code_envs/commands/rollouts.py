"""``rollout``: what students achieve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from code_envs.commands.output import AsJson, SeedOption, find_env, percent, print_json, show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from code_envs.rollout import Tally

__all__ = ["rollout", "show_tallies"]


def rollout(
    *,
    env: Annotated[str, typer.Option("--env", help="An environment.")] = "mixed",
    student: Annotated[list[str] | None, typer.Option("--student", help="A student; may be given again.")] = None,
    episodes: Annotated[int, typer.Option("--episodes", help="Episodes of each student.")] = 64,
    level: Annotated[int | None, typer.Option("--level", min=0, max=9, help="The level of all problems.")] = None,
    seed: SeedOption = 0,
    as_json: AsJson = False,
) -> None:
    """Let students answer, all the same problems; prints pass rates with 95 % Wilson intervals."""
    from code_envs import rollout as rollouts
    from code_envs.students import make_student

    env_id, settings = find_env(env), {} if level is None else {"level": level}
    made = [make_student(name) for name in student or ("search",)]
    found = [episode for each in made for episode in rollouts.rollout(env_id, each, episodes, seed, **settings)]
    rows = rollouts.tally(found)
    if as_json:
        print_json({"env": env_id, "seed": seed, "episodes": episodes, "rows": rows})
    else:
        show_tallies(f"{env_id}, {episodes} episodes of each student, seed {seed}", rows)


def show_tallies(title: str, rows: Sequence[Tally]) -> None:
    """Print rows of counts as a table."""
    columns = ["student", "mode", ">level", ">episodes", ">passed", ">pass rate (95 % interval)", ">unscored"]
    show_table(
        title,
        columns,
        [
            (
                row.student,
                row.mode,
                "all" if row.level is None else row.level,
                row.episodes,
                row.passes,
                percent(row.rate, row.interval),
                row.unscored,
            )
            for row in rows
        ],
    )
