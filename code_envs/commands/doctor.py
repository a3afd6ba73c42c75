"""``doctor``: what this machine can do."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

import typer

from code_envs.commands.output import AsJson, print_json, show_table

__all__ = ["doctor"]


def doctor(as_json: AsJson = False) -> None:
    """Attack the sandbox of this machine for real, and say what is installed."""
    isolation, probes = _probe_sandbox()
    sound = bool(probes) and all(probe["held"] for probe in probes)
    facts = {
        "code_envs": version("code-envs"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "isolation": isolation,
    }
    extras = _extras()
    if as_json:
        print_json({**facts, "sound": sound, "probes": probes, "extras": extras})
    else:
        _print_findings(facts, extras, probes, sound)
    if not sound:
        raise typer.Exit(1)


def _probe_sandbox() -> tuple[str, list[dict[str, Any]]]:
    """The isolation in force, and how each attack on it ended."""
    from code_envs.errors import ExecutorError
    from code_envs.executor import Executor
    from code_envs.executor.probes import PROBES

    try:
        with Executor() as executor:
            endings = executor.run_jobs([probe.job() for probe in PROBES])
            return executor.isolation, [
                {
                    "attack": probe.name,
                    "held": ending[0].status in probe.held,
                    "ended": ending[0].status,
                    "by": probe.layers,
                    "message": ending[0].message,
                }
                for probe, ending in zip(PROBES, endings, strict=True)
            ]
    except ExecutorError as error:
        return f"unavailable: {error}", []


def _extras() -> dict[str, dict[str, str | None]]:
    """For each extra its packages with their installed versions."""
    found: dict[str, dict[str, str | None]] = {}
    for line in requires("code-envs") or ():
        match = re.match(r"([A-Za-z0-9_.-]+)[^;]*;.*extra == ['\"](hf|report)['\"]", line)
        if match:
            found.setdefault(match[2], {})[match[1]] = _version(match[1])
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _print_findings(
    facts: dict[str, Any], extras: dict[str, dict[str, str | None]], probes: list[dict[str, Any]], sound: bool
) -> None:
    rows = [(name.replace("_", "-"), value) for name, value in facts.items()]
    for extra, packages in extras.items():
        have = ", ".join(f"{name} {found or 'missing'}" for name, found in packages.items())
        rows.append((f"extra {extra}", have if all(packages.values()) else f"{have}: pip install 'code-envs[{extra}]'"))
    show_table("This machine", ["what", "found"], rows)
    columns = ["attack", "held", "ended", "meant to be stopped by"]
    endings = [(row["attack"], "yes" if row["held"] else "NO", row["ended"], row["by"]) for row in probes]
    show_table("Attacks on the sandbox", columns, endings)
    print("The sandbox holds." if sound else "The sandbox does NOT hold here: do not run untrusted programs.")
