"""``doctor``: what this machine can do."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version

import typer

from code_envs.commands.output import AsJson, print_json, show_table

__all__ = ["doctor"]


def doctor(*, as_json: AsJson = False) -> None:
    """Attack the sandbox of this machine for real, and say what is installed."""
    from code_envs.executor.doctor import is_sound, probe

    checks = probe()
    sound = is_sound(checks)
    installed = {"code-envs": version("code-envs"), "python": platform.python_version()}
    if as_json:
        print_json({"sound": sound, "installed": installed, "extras": _extras(), "checks": checks})
    else:
        rows = [(check.name, "ok" if check.ok else "NO", check.detail, check.advice) for check in checks]
        show_table("The sandbox on this machine", ["check", "", "found", "what to do"], rows)
        show_table("Installed", ["what", "version"], [*installed.items(), *map(_extra_row, _extras().items())])
        print("The sandbox holds." if sound else "The sandbox does NOT hold: do not run untrusted programs here.")
    if not sound:
        raise typer.Exit(1)


def _extra_row(item: tuple[str, dict[str, str | None]]) -> tuple[str, str]:
    extra, packages = item
    have = ", ".join(f"{name} {found or 'missing'}" for name, found in packages.items())
    return f"extra {extra}", have if all(packages.values()) else f"{have}; pip install 'code-envs[{extra}]'"


def _extras() -> dict[str, dict[str, str | None]]:
    """For each extra its packages with their installed versions."""
    found: dict[str, dict[str, str | None]] = {}
    for line in requires("code-envs") or ():
        match = re.match(r"([A-Za-z0-9_.-]+)[^;]*;.*extra == ['\"](bench|dedup|hf|lab|openai|report|vllm)['\"]", line)
        if match:
            found.setdefault(match[2], {})[match[1]] = _version(match[1])
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
