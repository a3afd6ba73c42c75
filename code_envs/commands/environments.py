"""``list``, ``show``, ``play`` and ``check``: looking at environments."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from code_envs.commands.output import AsJson, EnvName, SeedOption, find_env, legible, print_json, show_table

if TYPE_CHECKING:
    from code_envs.problem import Problem

__all__ = ["check", "list_names", "play", "show"]

Level = Annotated[int | None, typer.Option("--level", min=0, max=9, help="The level of the problem; any if not given.")]


def list_names(as_json: AsJson = False) -> None:
    """List environments, modes, teachers, students, curricula and schedules."""
    from code_envs.curricula import CURRICULA, POLICIES, SCHEDULES
    from code_envs.envs import env_ids
    from code_envs.problem import Mode
    from code_envs.students import STUDENTS
    from code_envs.teacher import TEACHERS

    names = {
        "environments": env_ids(),
        "modes": [mode.value for mode in Mode],
        "teachers": list(TEACHERS),
        "students": list(STUDENTS),
        "curricula": sorted({*CURRICULA, *POLICIES}),
        "schedules": list(SCHEDULES),
    }
    if as_json:
        print_json(names)
    else:
        show_table("", ["what", "names"], [(kind, ", ".join(them)) for kind, them in names.items()])


def show(
    env: EnvName,
    seed: SeedOption = 0,
    level: Level = None,
    gold: Annotated[bool, typer.Option("--gold", help="Show an answer that passes, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one problem as a student sees it."""
    import gymnasium

    from code_envs.modes import rules

    made = gymnasium.make(find_env(env))
    observation, info = made.reset(seed=seed, options={} if level is None else {"level": level})
    problem: Problem = made.unwrapped.problem  # type: ignore[attr-defined]
    answer = {"gold": rules(problem.mode).gold(problem)} if gold else {}
    if as_json:
        print_json({"env": made.spec.id if made.spec else env, "observation": observation, "info": info, **answer})
        return
    print(f"{info['mode']} · level {info['level']} · problem {info['key']} · seed {seed}\n")
    print(legible(observation))
    for text in answer.values():
        print(f"\nAn answer that passes:\n\n{legible(text)}" if text else "\nNo answer that passes is known.")


def play(
    env: EnvName,
    seed: SeedOption = 0,
    level: Level = None,
    turns: Annotated[int, typer.Option("--turns", min=1, help="How many answers you have.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Answer one problem yourself. A line with only a dot, or Ctrl-D, ends an answer."""
    import gymnasium

    made = gymnasium.make(find_env(env), max_turns=turns)
    observation, info = made.reset(seed=seed, options={} if level is None else {"level": level})
    say: Callable[[str], None] = (lambda text: print(text, file=sys.stderr)) if as_json else print
    over, ended = False, False
    while not over and not ended:
        say(f"\n{legible(observation)}\n\nYour answer; end it with a line of only a dot:")
        reply, ended = _read_answer()
        if ended and not reply.strip():
            break
        observation, _, over, _, info = made.step(_as_reply(reply, info["mode"]))
        say(f"\n{info['outcome'].upper()}. {legible(info['reason'])}")
    if as_json:
        print_json(info)
    if not over:
        say("\nYou left before the end." if info["attempt"] else "\nNo answer was given.")


def _read_answer() -> tuple[str, bool]:
    """Lines up to a dot, and whether the input ended."""
    lines: list[str] = []
    for line in sys.stdin:
        if line.strip() == ".":
            return "".join(lines), False
        lines.append(line)
    return "".join(lines), True


def _as_reply(text: str, mode: str) -> str:
    """A person need not write the fence that a model is asked for."""
    from code_envs.problem import Mode

    if "```" in text:
        return text
    fence = {Mode.INDUCTION: "python", Mode.DEDUCTION: "output"}.get(Mode(mode), "input")
    return f"```{fence}\n{text.rstrip()}\n```"


def check(
    env: EnvName,
    seed: SeedOption = 0,
    count: Annotated[int, typer.Option("--count", min=1, help="How many problems.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Check an environment: gold answers pass, trivial and wrong ones fail, and seeds repeat."""
    import gymnasium

    env_id = find_env(env)
    first, second = gymnasium.make(env_id), gymnasium.make(env_id)
    rows = [_check_one(first, second, seed + number) for number in range(count)]
    failed = [row for row in rows if row["complaints"]]
    if as_json:
        print_json({"env": env_id, "checked": count, "failed": len(failed), "problems": rows})
    else:
        columns = ["problem", "mode", ">level", ">seed", ">answers", "verdict"]
        show_table(
            f"{env_id}: {count - len(failed)} of {count} problems are sound",
            columns,
            [
                (
                    row["key"],
                    row["mode"],
                    row["level"],
                    row["seed"],
                    row["answers"],
                    "; ".join(row["complaints"]) or "ok",
                )
                for row in rows
            ],
        )
    if failed:
        raise typer.Exit(1)


def _check_one(first: Any, second: Any, seed: int) -> dict[str, Any]:
    """Everything that is wrong with the problem of one seed."""
    from code_envs.modes import rules, validate

    start = first.reset(seed=seed)
    problem: Problem = first.unwrapped.problem
    complaints = [complaint.text for complaint in validate(problem, first.unwrapped.executor)]
    if start != second.reset(seed=seed):
        complaints.append("the same seed gave another problem")
    gold = rules(problem.mode).gold(problem)
    known = [("the gold answer", gold, "passed")] if gold else []
    replies = [*known, *((*poor, "failed") for poor in _poor_replies(problem))]
    for name, reply, wanted in replies:
        first.reset(options={"problem": problem})
        *_, verdict = first.step(reply)
        if (verdict["outcome"] == "passed") != (wanted == "passed"):
            complaints.append(f"{name} was graded {verdict['outcome']}: {verdict['reason']}")
    shown = {name: start[1][name] for name in ("key", "mode", "level", "seed")}
    return {**shown, "answers": len(replies), "complaints": complaints}


def _poor_replies(problem: Problem) -> list[tuple[str, str]]:
    """Replies that can never be right, by name."""
    from code_envs.problem import Mode
    from code_envs.students.baselines import trivial_programs, write_reply

    poor = [("an empty reply", ""), ("a reply without an answer", "I do not know.")]
    match problem.mode:
        case Mode.INDUCTION:
            return poor + [
                (f"a {name} program", write_reply(problem, text)) for name, text in trivial_programs(problem)
            ]
        case Mode.DEDUCTION:
            return [*poor, ("the result inside a list", write_reply(problem, f"[{problem.cases[0].result}]"))]
    junk = f"({'None, ' * len(problem.parameters)})"
    more = f"({'None, ' * (1 + len(problem.parameters))})"
    return [
        *poor,
        ("arguments of no type", write_reply(problem, junk)),
        ("too many arguments", write_reply(problem, more)),
    ]
