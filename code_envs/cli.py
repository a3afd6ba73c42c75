"""The command ``code-envs``: thin; each command lives in :mod:`code_envs.commands`.

Exit codes: 0 done; 1 a check failed, or the sandbox, a model or a teacher could not do its work; 2 bad usage
or input; 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from code_envs.commands import (
    curricula,
    demo,
    doctor,
    environments,
    exporting,
    generating,
    measuring,
    recipes,
    rollouts,
    runs,
)
from code_envs.errors import CodeEnvsError, ExecutorError, ModelError, ProposalFailed

__all__ = ["app", "main"]

_RESUMED = (["generate"], ["measure"])
_INTERRUPTED = 130  # what typer makes of an interrupt: it does not let a KeyboardInterrupt through

app = typer.Typer(
    name="code-envs",
    help="Reinforcement-learning environments for language models that write code.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("code-envs"))
        raise typer.Exit


@app.callback()
def _before(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Reinforcement-learning environments for language models that write code."""


app.command("list")(environments.list_names)
app.command("show")(environments.show)
app.command("play")(environments.play)
app.command("check")(environments.check)
app.command("generate")(generating.generate)
app.command("measure")(measuring.measure)
app.command("export")(exporting.export)
app.command("path")(exporting.path)
app.command("validate")(runs.validate)
app.add_typer(curricula.app, name="curriculum")
app.add_typer(recipes.app, name="recipe")
app.command("rollout")(rollouts.rollout)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)


def main() -> None:
    """Run the command; errors that a user can mend are one sentence, never a traceback."""
    _make_printable()
    try:
        app()
    except (ExecutorError, ModelError, ProposalFailed) as error:
        _fail(error, 1)
    except (CodeEnvsError, OSError) as error:
        _fail(error, 2)
    except SystemExit as leaving:
        if leaving.code == _INTERRUPTED:
            goes_on = "; a run goes on with the same command and --resume" if sys.argv[1:2] in _RESUMED else ""
            print(f"code-envs: interrupted{goes_on}", file=sys.stderr)
        raise


def _make_printable() -> None:
    """Let printing never fail: into a stream that the caller has closed, nor of a name that is no UTF-8."""
    for name, mode in {"stdin": "r", "stdout": "w", "stderr": "w"}.items():
        if getattr(sys, name) is None:  # in this order each takes the number that is free, and no file of a run does
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does by itself


def _fail(error: Exception, code: int) -> None:
    # what a program or a file said may be in the message: keep it from playing tricks on the terminal
    text = "".join(c if c.isprintable() else " " for c in str(error))
    print(f"code-envs: {text}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
