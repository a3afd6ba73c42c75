"""The exceptions of code-envs: one tree, so that one ``except`` can catch them all.

::

    CodeEnvsError                 anything this package raises on purpose
    ├── ValueRefused              a value outside the literal universe (also a ValueError)
    ├── LiteralError              text that is not an acceptable literal (also a ValueError)
    ├── ProblemError              a record that is not a valid problem (also a ValueError)
    ├── ConfigError               a setting that cannot be used (also a ValueError)
    │   └── UnknownName           a name that is not registered; names the nearest one (also a LookupError)
    ├── MissingExtra              an optional dependency is not installed (also an ImportError)
    ├── ProposalFailed            a teacher found no valid problem within its budget
    ├── RunError                  a run folder that cannot be used or is in use
    ├── ModelError                a language model or its server could not do its work
    ├── ServiceUnavailable        an online curriculum service cannot be reached
    └── ExecutorError             the sandbox could not do its work
        ├── IsolationUnavailable  this machine cannot protect a run as demanded
        └── ExecutorClosed        the executor was used after ``close()``

Faults of an untrusted program are never exceptions: they are an ``Execution`` or a ``Grade``.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "CodeEnvsError",
    "ConfigError",
    "ExecutorClosed",
    "ExecutorError",
    "IsolationUnavailable",
    "LiteralError",
    "MissingExtra",
    "ModelError",
    "ProblemError",
    "ProposalFailed",
    "RunError",
    "ServiceUnavailable",
    "UnknownName",
    "ValueRefused",
]


class CodeEnvsError(Exception):
    """Base of every exception that code-envs raises on purpose."""


class ValueRefused(CodeEnvsError, ValueError):
    """A value is outside the literal universe or over its bounds."""


class LiteralError(CodeEnvsError, ValueError):
    """A text is not a literal that code-envs accepts."""


class ProblemError(CodeEnvsError, ValueError):
    """A record is not a valid problem, case, seed, chain or report."""


class ConfigError(CodeEnvsError, ValueError):
    """A setting cannot be used; the message says what to do instead."""


class UnknownName(ConfigError, LookupError):
    """A name is not registered.

    Args:
        kind: What was looked up, in words ("mode", "environment").
        name: The name that was given.
        known: All valid names.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, str(name), sorted(str(other) for other in known)
        near = get_close_matches(self.name, self.known, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(self.known)}."
        super().__init__(f"Unknown {kind} {self.name!r}. {hint}")

    def __reduce__(self) -> tuple[type[UnknownName], tuple[str, str, list[str]]]:
        return type(self), (self.kind, self.name, self.known)  # so that it comes back from another process


class MissingExtra(CodeEnvsError, ImportError):
    """An optional dependency is not installed.

    Args:
        package: The package that could not be imported.
        extra: The extra of code-envs that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(f"{package} is not installed. Run: pip install 'code-envs[{extra}]'")

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        return type(self), (self.package, self.extra)


class ProposalFailed(CodeEnvsError):
    """A teacher found no problem that passes validation within its budget."""


class RunError(CodeEnvsError):
    """A run folder cannot be used, or another process is using it."""


class ModelError(CodeEnvsError):
    """A language model cannot be used: no server, no such model, no permission, or it keeps failing."""


class ServiceUnavailable(CodeEnvsError):
    """An online curriculum service cannot be reached: it is not started, or does not answer."""


class ExecutorError(CodeEnvsError):
    """The sandbox could not do its work; this is never a verdict on a program."""


class IsolationUnavailable(ExecutorError):
    """This machine cannot protect a run as demanded."""


class ExecutorClosed(ExecutorError):
    """The executor was used after ``close()``."""
