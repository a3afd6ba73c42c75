"""Writes docs/reference.md from the code: environments, records, errors and commands.

Run it after changing a public docstring, a keyword or a command; a test compares the page.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import typer.main

PAGE = Path(__file__).with_name("reference.md")
RECORDS = ("Problem", "ProblemLimits", "Case", "Seed", "Lineage", "Chain", "Report", "Attempt", "Draft")
RUNS = ("Limits", "Job", "Execution", "Status", "Isolation")
GRADES = ("Grade", "Outcome", "Answer", "Complaint")


def build() -> str:
    """Write the whole page."""
    from code_envs import errors, executor, problem
    from code_envs.cli import app
    from code_envs.envs import CodeEnv, env_ids
    from code_envs.modes import base
    from code_envs.modes.validity import CHECKS

    parts = [
        "# Reference",
        "Made from the code by `python docs/build_reference.py`.",
        "## Environments",
        "".join(f"- `{name}`\n" for name in env_ids()),
        "Keywords of `gym.make` and `gym.make_vec`:",
        keywords(CodeEnv),
        "## Records",
        *(record(getattr(problem, name)) for name in RECORDS),
        "## The executor",
        signature(executor.Executor),
        *(record(getattr(executor, name)) for name in RUNS),
        "## Grades",
        *(record(getattr(base, name)) for name in GRADES),
        "## Checks of a problem",
        table("check", ((f"`{name}`", text) for name, text in CHECKS.items())),
        "## Errors",
        "```text\n" + inspect.cleandoc(errors.__doc__ or "").split("::\n\n")[1].split("\n\nFaults")[0] + "\n```",
        "## Commands",
        *commands(typer.main.get_command(app), "code-envs"),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def section(doc: str, title: str) -> dict[str, str]:
    """Read one section of a Google-style docstring as name → text.

    Args:
        doc: The docstring.
        title: ``Args`` or ``Attributes``.

    Returns:
        The entries, in order; empty without such a section.
    """
    found = re.search(rf"^{title}:\n((?:[ \t]+.*\n?|\n)+)", inspect.cleandoc(doc), re.MULTILINE)
    entries: dict[str, str] = {}
    for line in inspect.cleandoc("\n" + found.group(1)).splitlines() if found else []:
        name = re.match(r"(\w+)(?: \(.*?\))?: ?(.*)", line)
        if name and not line.startswith(" "):
            entries[name.group(1)] = name.group(2)
        elif entries and line.strip():
            entries[list(entries)[-1]] += " " + line.strip()
    return entries


def summary(thing: Any) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(inspect.getdoc(thing).split("\n\n")[0].split()) if inspect.getdoc(thing) else ""


def table(head: str, rows: Any) -> str:
    """Lay out rows of (name, text) as Markdown."""
    lines = (f"| {name} | {markdown(text)} |" for name, text in rows)
    return "\n".join([f"| {head} | |", "|---|---|", *lines])


def markdown(text: str) -> str:
    """Turn the marks of docstrings into Markdown's."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"``\1``", text)
    return re.sub(r"(?<!`)``([^`]+)``(?!`)", r"`\1`", text).replace("|", "\\|")


def record(kind: Any) -> str:
    """Describe a record or an enum with all of its fields or members."""
    head = f"### `{kind.__name__}`\n\n{markdown(summary(kind))}\n\n"
    if not issubclass(kind, msgspec.Struct):
        comments = re.findall(r'^\s+\w+ = "(\w+)"(?:\s+# (.*))?$', inspect.getsource(kind), re.MULTILINE)
        return head + table("value", ((f"`{name}`", comment) for name, comment in comments))
    texts = section(kind.__doc__ or "", "Attributes")
    fields = [field.name for field in msgspec.structs.fields(kind)]
    if texts:
        missing = set(fields) ^ set(texts)
        if missing:
            raise SystemExit(f"{kind.__name__}: {sorted(missing)} is undocumented, or documented and not there")
    return head + table("field", ((f"`{name}`", texts.get(name, "")) for name in fields))


def keywords(kind: Any) -> str:
    """Describe the keywords of a constructor, defaults included."""
    texts = section(kind.__doc__ or "", "Args")
    rows = []
    for name, parameter in list(inspect.signature(kind.__init__).parameters.items())[1:]:
        if name.startswith("_"):
            continue
        if name not in texts:
            raise SystemExit(f"{kind.__name__}: the keyword {name} is undocumented")
        default = "" if parameter.default is inspect.Parameter.empty else f"=`{parameter.default!r}`"
        rows.append((f"`{name}`{default}".replace("|", "\\|"), texts[name]))
    return table("keyword", rows)


def signature(kind: Any) -> str:
    """Describe a class with its keywords and public methods."""
    methods = [
        (f"`{name}{inspect.signature(method)}`".replace("|", "\\|"), summary(method))
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    ]
    head = f"### `{kind.__name__}`\n\n{markdown(summary(kind))}\n\n"
    return head + keywords(kind) + "\n\n" + table("method", methods)


def commands(command: Any, name: str) -> Iterator[str]:
    """Describe a command and those below it."""
    if hasattr(command, "commands"):
        for sub, child in command.commands.items():
            yield from commands(child, f"{name} {sub}")
        return
    rows = []
    for parameter in command.params:
        shown = (
            ", ".join(f"`{opt}`" for opt in parameter.opts)
            if parameter.opts[0].startswith("-")
            else (f"`{parameter.name.upper()}`")
        )
        default = parameter.default
        tail = f" Default: `{default}`." if default not in (None, False, "", ()) and not callable(default) else ""
        rows.append((shown, (getattr(parameter, "help", "") or "") + tail))
    text = f"### `{name}`\n\n{markdown(command.help or '')}"
    yield text + ("\n\n" + table("option", rows) if rows else "")


if __name__ == "__main__":
    PAGE.write_text(build(), encoding="utf-8")
