"""``validate``: the problems of a file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from code_envs.commands.output import AsJson, print_json, show_table

__all__ = ["validate"]


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
