"""``export`` and ``validate``: problems in files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from code_envs.commands.output import AsJson, SeedOption, print_json, show_table

__all__ = ["export", "validate"]


def export(
    *,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The dataset folder.")],
    kind: Annotated[str, typer.Option("--format", help="jsonl, parquet or hf.")] = "jsonl",
    eval_share: Annotated[float, typer.Option("--eval-share", help="The share that goes into a split eval.")] = 0.0,
    seed: SeedOption = 0,
    to_hub: Annotated[
        str, typer.Option("--push", metavar="REPOSITORY", help="Also upload it to the Hugging Face hub: someone/name.")
    ] = "",
    private: Annotated[bool, typer.Option("--private", help="Make that dataset private.")] = False,
    as_json: AsJson = False,
) -> None:
    """Export the problems of a run as a dataset; siblings stay in one split."""
    from code_envs.errors import ConfigError
    from code_envs.generation import CHAINS, load_config
    from code_envs.integrations.huggingface_adapter import push, write
    from code_envs.problem import load_chains, load_problems
    from code_envs.report.card import describe_run

    load_config(run)  # says so if this is no run
    if to_hub and kind == "hf":
        raise ConfigError("the hub takes --format jsonl or parquet: hf is the layout of a local disk")
    problems = list(load_problems(run))
    chains = load_chains(run / CHAINS)
    about = describe_run(run)
    paths = write(problems, output, kind, eval_share=eval_share, seed=seed, relatives=chains, about=about)
    where = push(output, paths, to_hub, private=private) if to_hub else None
    if as_json:
        print_json({"problems": len(problems), "files": [str(path) for path in paths], "pushed": where})
    else:
        print(f"{len(problems)} problems: {', '.join(str(path) for path in paths)}")
        print(f"Pushed to {where}" if where else "", end="\n" if where else "")


def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Problems as JSON lines, or a run folder.")],
    as_json: AsJson = False,
) -> None:
    """Check every problem of a file by the rules of its mode; counts what each check refuses."""
    from code_envs.executor import shared_executor
    from code_envs.modes import validate as complaints_about
    from code_envs.problem import load_problems

    found: list[dict[str, Any]] = []
    checked = invalid = 0
    for problem in load_problems(file):
        complaints = complaints_about(problem, shared_executor())
        checked, invalid = checked + 1, invalid + bool(complaints)
        found += [
            {"number": checked, "key": problem.key, "mode": problem.mode, "check": each.check, "text": each.text}
            for each in complaints
        ]
    _print_complaints(found, checked, invalid, as_json)
    if invalid or not checked:
        raise typer.Exit(1)


def _print_complaints(found: list[dict[str, Any]], checked: int, invalid: int, as_json: bool) -> None:
    by_check = dict(Counter(row["check"] for row in found).most_common())
    if as_json:
        print_json({"problems": checked, "valid": checked - invalid, "by_check": by_check, "complaints": found})
        return
    print(f"{checked - invalid} of {checked} problems are valid." if checked else "There is no problem in it.")
    if found:
        show_table("Refused by check", ["check", ">problems"], list(by_check.items()))
        columns = [">number", "key", "mode", "check", "complaint"]
        show_table("Complaints", columns, [tuple(row.values()) for row in found])
