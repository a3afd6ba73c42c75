"""``demo``: the whole main job, small, on real input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from code_envs.commands.generating import make_run
from code_envs.commands.output import AsJson, SeedOption, legible, output_option, percent, print_json, show_table

if TYPE_CHECKING:
    from code_envs.generation import RunConfig
    from code_envs.problem import Problem
    from code_envs.rollout import Tally

__all__ = ["demo"]

_STUDENTS = ("constant", "majority", "probe", "search")
_TEACHERS = ("harvest", "procedural")
_CHAINS = 32
_EPISODES = 48
_BANDS = ((0, 2), (3, 5), (6, 9))


def demo(
    *,
    output: Annotated[Path, output_option("The run folder.")] = Path("runs/demo"),
    seed: SeedOption = 0,
    as_json: AsJson = False,
) -> None:
    """Make chains of problems from the standard library and from building blocks, measure and roll out."""
    from code_envs.generation import RunConfig, distinct
    from code_envs.report import write_report

    say = (lambda _: None) if as_json else print
    config = RunConfig(teachers=_TEACHERS, chains=_CHAINS, turns=4, attempts=16, seed=seed)
    _clear(output, config)
    say("1/3  Making stepping-stone chains: from functions of the standard library, and from building blocks.")
    chains = make_run(output, config, resume=False)
    problems = distinct(chains)
    say("2/3  Rolling students out: one episode through gym.make, then all students through gym.make_vec.")
    episode = _one_episode(seed)
    tallies = _roll_out(seed)
    say("3/3  Writing the report.\n")
    report = write_report(output, tallies)
    if as_json:
        print_json(
            {
                "run": str(output),
                "report": str(report),
                "problems": len(problems),
                "episode": episode,
                "rollouts": tallies,
            }
        )
        return
    _print_episode(episode)
    _print_levels(problems)
    _print_students(tallies)
    print(f"{len(problems)} problems in {output}/, and everything about them in {report}")


def _clear(folder: Path, config: RunConfig) -> None:
    """Make room for the same demo; anything else in the folder stays, and is refused later."""
    from code_envs.generation import CHAINS, CONFIG, load_config
    from code_envs.problem import PROBLEMS
    from code_envs.report import REPORT

    if (folder / CONFIG).exists() and load_config(folder) == config:
        for name in (CHAINS, PROBLEMS, REPORT, CONFIG):
            (folder / name).unlink(missing_ok=True)


def _one_episode(seed: int) -> dict[str, Any]:
    """What a user of Gymnasium writes, with a student that needs no model."""
    import gymnasium

    from code_envs.modes import prompt
    from code_envs.students import make_student

    env = gymnasium.make("code_envs/Deduction-v0", level=1)
    observation, _ = env.reset(seed=seed)
    (reply,) = make_student("search").answer([prompt(env.unwrapped.problem)], seed=seed)  # type: ignore[attr-defined]
    _, reward, terminated, _, info = env.step(reply or "")
    env.close()
    return {"observation": observation, "reply": reply, "reward": reward, "terminated": terminated, **info}


def _roll_out(seed: int) -> list[Tally]:
    from code_envs.rollout import rollout, tally
    from code_envs.students import make_student

    found = [
        episode for name in _STUDENTS for episode in rollout("code_envs/Mixed-v0", make_student(name), _EPISODES, seed)
    ]
    return tally(found, by_level=False)


def _print_episode(episode: dict[str, Any]) -> None:
    print(f'gym.make("code_envs/Deduction-v0"), problem {episode["key"]}:\n')
    print(legible(f"{episode['observation']}\n\n{episode['reply']}\n"))
    print(f"reward {episode['reward']:g}: {episode['reason']}\n")


def _print_levels(problems: Sequence[Problem]) -> None:
    """Pass rates of the search student by mode and band of levels."""
    from code_envs.problem import Mode
    from code_envs.report.numbers import mean_rate, rates

    rows = []
    for mode in Mode:
        row = [str(mode)]
        for low, high in _BANDS:
            found = rates(p for p in problems if p.mode == mode and low <= p.lineage.level <= high)
            mean = mean_rate(mode, found) if found else None
            row.append(f"{percent(mean.rate, mean.interval)}  n={mean.problems}" if mean else "–")
        rows.append(row)
    columns = ["mode", *(f">levels {low}–{high}" for low, high in _BANDS)]
    show_table("The search student on the chains: mean pass rates by level (95 % intervals)", columns, rows)


def _print_students(tallies: Sequence[Tally]) -> None:
    """Pass rates by student and mode, and what they come to."""
    from code_envs.problem import Mode

    cells = {(row.student, row.mode): percent(row.rate, row.interval) for row in tallies}
    rows = [(name, *(cells.get((name, mode), "–") for mode in Mode)) for name in _STUDENTS]
    title = f"Students on the same {_EPISODES} fresh problems of all levels (95 % intervals)"
    show_table(title, ["student", *(f">{mode}" for mode in Mode)], rows)
    for who, names in (("Answers that need no thought", _STUDENTS[:-1]), ("The search student", _STUDENTS[-1:])):
        own = [row for row in tallies if row.student in names]
        print(f"{who} passed {sum(row.passes for row in own)} of {sum(row.episodes for row in own)} times.")
