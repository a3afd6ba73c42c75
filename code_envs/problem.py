"""The records that everything else passes around, and their JSON lines.

All are frozen and validated when made. Values inside them are texts of literals (see
:mod:`code_envs.values`): a record is hashable, reads well in a file, and hands out fresh values.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
from array import array
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import msgspec

from code_envs.attempts import Attempt, Report, wilson_interval
from code_envs.errors import ProblemError, UnknownName
from code_envs.outputs import OutputRule
from code_envs.record import Case, Record
from code_envs.stored import Stored, read_records
from code_envs.syntax import parse
from code_envs.values import decode

__all__ = [
    "PRECONDITION",
    "PROBLEMS",
    "PROPERTY",
    "SCHEMA",
    "Attempt",
    "Case",
    "Chain",
    "Direction",
    "Draft",
    "Lineage",
    "Mode",
    "Problem",
    "ProblemLimits",
    "Report",
    "Seed",
    "load_chains",
    "load_problems",
    "parameters_of",
    "save_records",
    "stored_problems",
    "wilson_interval",
]

SCHEMA = 1
PROBLEMS = "problems.jsonl"
"""The file of a run folder that holds its problems."""
PRECONDITION = "pre_test_f"
"""The name of the function that a precondition defines."""
PROPERTY = "test_f"
"""The name of the function that a property defines."""


class Mode(StrEnum):
    """What the student has to find."""

    INDUCTION = "induction"  # a program from cases
    ABDUCTION = "abduction"  # arguments from a program and its result
    DEDUCTION = "deduction"  # the result from a program and its arguments
    FUZZING = "fuzzing"  # arguments that break a property


class Direction(StrEnum):
    """How a problem was made from its parent."""

    START = "start"
    HARDER = "harder"
    EASIER = "easier"
    SIDEWAYS = "sideways"


class Seed(Record, frozen=True):
    """A snippet of real code.

    Attributes:
        text: The source, as it was found.
        origin: Where it was found, such as ``python3.11/heapq.py:120-160``.
        licence: The SPDX identifier of its licence, or ``unknown``.
    """

    text: str
    origin: str
    licence: str = "unknown"


class Lineage(Record, frozen=True):
    """Where a problem stands in its chain.

    Attributes:
        chain: The id of the chain, the same for all its problems.
        parent: The key of the problem that it was made from; empty at turn 0.
        turn: 0 for the first problem of a chain.
        direction: How it was made from its parent.
        change: The name of the mutation that made it, or of what it was made from.
        level: The teacher's own difficulty level, 0 easiest.
        teacher: The name of the teacher.
        origin: Where the code came from; empty if the teacher made it up.
        licence: The licence of that code.
    """

    chain: str = ""
    parent: str = ""
    turn: int = 0
    direction: Direction = Direction.START
    change: str = ""
    level: int = 0
    teacher: str = ""
    origin: str = ""
    licence: str = ""


class Draft(Record, frozen=True):
    """One reply of a teacher that is a model, and what became of it.

    Attributes:
        turn: The turn of the chain that it was written for, from 0.
        direction: What was asked for.
        repair: How many drafts of the same conversation came before it.
        reply: What the teacher wrote.
        checks: The names of the checks that refused it; empty if it became a problem.
        complaints: What the teacher was told, one sentence for each.
        key: The content key of the problem that it became.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
    """

    turn: int
    direction: Direction
    repair: int = 0
    reply: str = ""
    checks: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()
    key: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class ProblemLimits(Record, frozen=True):
    """What one process of a program may use, where that is part of the problem, as contests have it.

    Attributes:
        cpu_seconds: CPU time, to 0.01 s; the executor's own limit where 0.
        memory_mib: Memory on top of the interpreter's own; the executor's own limit where 0.
    """

    cpu_seconds: float = 0.0
    memory_mib: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least, most in (("cpu_seconds", 0.01, 3600.0), ("memory_mib", 8, 1 << 20)):
            value = getattr(self, name)
            if value and not least <= value <= most:
                raise ProblemError(f"{name} is {value}; choose a value from {least} to {most:g}, or 0 for none")


class Problem(Record, frozen=True):
    """One frozen, verifiable record.

    Attributes:
        mode: What the student has to find.
        program: Python source that defines ``entry``. In induction it is the gold answer; in
            differential fuzzing the faulty variant.
        signature: How ``entry`` is called, such as ``f(xs: list[int], k: int) -> int``; empty for a script.
        entry: The name of the function. Empty for a script, in induction: a whole program that reads
            standard input; each case's one argument is that text, its result the text of the output.
        output: A script's :class:`code_envs.outputs.OutputRule`, by which outputs are compared; ``lines``
            if empty.
        limits: What its programs may use; an executor grants it up to a maximum of its own. None: what
            the executor allows any program.
        message: What the problem is about, in words; the specification in differential fuzzing.
        cases: Induction: the visible cases. Abduction and deduction: exactly one.
        hidden: Induction: the cases that only the grader knows.
        precondition: Source that defines ``pre_test_f``, with the parameters of ``entry``; the
            arguments count only if it returns exactly ``True``. Optional in abduction.
        property: Property fuzzing: source that defines ``test_f``; it calls ``entry``.
        reference: Differential fuzzing: source that defines a correct ``entry``.
        witness: Fuzzing: arguments that break it, as a tuple literal.
        lineage: Where it stands in its chain.
        measurements: What students did on it.
        tags: Free labels, such as the building blocks of the program.
        schema: The version of this record; the current one where it is 0.
        key: The content key: 16 hexadecimal digits over everything but lineage, measurements and
            tags. Made when empty, checked when given.
    """

    mode: Mode
    program: str
    signature: str = ""
    entry: str = "f"
    output: str = ""
    limits: ProblemLimits | None = None
    message: str = ""
    cases: tuple[Case, ...] = ()
    hidden: tuple[Case, ...] = ()
    precondition: str = ""
    property: str = ""
    reference: str = ""
    witness: str = ""
    lineage: Lineage = Lineage()
    measurements: tuple[Report, ...] = ()
    tags: tuple[str, ...] = ()
    schema: int = 0
    key: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.schema:  # not the default, so that every written record states it
            msgspec.structs.force_setattr(self, "schema", SCHEMA)
        if self.schema != SCHEMA:
            raise ProblemError(f"the record has schema {self.schema}; this version reads schema {SCHEMA}")
        if self.mode not in Mode.__members__.values():
            raise ProblemError(f"{self.mode!r} is not a mode; choose one of {', '.join(Mode)}")
        msgspec.structs.force_setattr(self, "mode", Mode(self.mode))  # the name alone is accepted, too
        for complaint in _shape_complaints(self):
            raise ProblemError(f"not a valid {self.mode} problem: {complaint}")
        key = _content_key(self)
        if self.key not in ("", key):
            raise ProblemError(f"the content has key {key}, not {self.key}: it was changed after the key was made")
        msgspec.structs.force_setattr(self, "key", key)

    @builtins.property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters of ``entry``, in order; of a script ``stdin``."""
        return ("stdin",) if self.is_script else parameters_of(self.signature)

    @builtins.property
    def is_script(self) -> bool:
        """Whether the program is run as a whole and reads standard input."""
        return not self.entry

    @builtins.property
    def output_rule(self) -> OutputRule:
        """By which rule the outputs of a script are compared."""
        return OutputRule(self.output or OutputRule.LINES)

    @builtins.property
    def differential(self) -> bool:
        """Whether this is fuzzing of a faulty variant against a reference."""
        return bool(self.reference)


def _shape_complaints(problem: Problem) -> Iterator[str]:
    yield from _script_complaints(problem) if problem.is_script else _call_complaints(problem)
    yield from _mode_complaints(problem)


def _script_complaints(problem: Problem) -> Iterator[str]:
    if problem.mode is not Mode.INDUCTION:
        yield "its entry is empty, and only induction has scripts; name the function"
    if problem.signature:
        yield f"its entry is empty, which makes it a script, but it has the signature {problem.signature!r}"
    if problem.output not in ("", *OutputRule):
        yield str(UnknownName("output rule", problem.output, OutputRule))
    for case in (*problem.cases, *problem.hidden):
        if [type(value) for value in case.values()] != [str]:
            yield f"a script's case has one text as its argument, its standard input, not {case.shown():.80}"
        if case.result and type(decode(case.expected())) is not str:
            yield f"a script's case has a text as its result, its output, not {case.result:.80}"


def _call_complaints(problem: Problem) -> Iterator[str]:
    if not problem.signature:
        yield "it needs a signature; or, where the program is a script, an empty entry"
        return
    if problem.output:
        yield f"the output rule {problem.output!r} is for scripts, whose entry is empty; results are compared by value"
    try:
        count = len(problem.parameters)
    except ValueError as error:
        yield str(error)
        return
    if not problem.signature.startswith(problem.entry + "("):
        yield f"the signature must begin with {problem.entry + '('!r}"
    calls = [case.values() for case in (*problem.cases, *problem.hidden)]
    if any(len(call) != count for call in calls):
        yield f"a case has another number of arguments than the {count} parameters of {problem.signature!r}"


def _mode_complaints(problem: Problem) -> Iterator[str]:
    match problem.mode:
        case Mode.INDUCTION:
            if not problem.cases or not all(case.result for case in (*problem.cases, *problem.hidden)):
                yield "it needs visible cases, and every case needs its result"
        case Mode.ABDUCTION | Mode.DEDUCTION:
            if len(problem.cases) != 1 or problem.hidden:
                yield f"it has exactly one case, not {len(problem.cases)} and {len(problem.hidden)} hidden ones"
        case Mode.FUZZING:
            if not problem.precondition:
                yield "it needs a precondition"
            if bool(problem.property) == bool(problem.reference):
                yield "it needs either a property or a reference"


def _content_key(problem: Problem) -> str:
    aside = {"lineage", "measurements", "tags", "key"}
    # so that the keys of records without them are what they were before there were any
    aside |= {name for name in ("output", "limits") if not getattr(problem, name)}
    content = {name: getattr(problem, name) for name in problem.__struct_fields__ if name not in aside}
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:16]


@lru_cache(maxsize=4096)
def parameters_of(signature: str) -> tuple[str, ...]:
    """Read the parameter names of a signature such as ``f(xs: list[int], k: int = 2) -> int``.

    Raises:
        ProblemError: It is not a signature, or has keyword-only or starred parameters.
    """
    if len(signature) > 2000 or "\n" in signature:
        raise ProblemError("a signature is one line of at most 2000 characters")
    try:
        body = parse(f"def {signature}: pass").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ProblemError(f"{signature!r} is not a signature") from error
    if len(body) != 1 or not isinstance(body[0], ast.FunctionDef):
        raise ProblemError(f"{signature!r} is not a signature")
    arguments = body[0].args
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs:
        raise ProblemError(f"{signature!r}: starred and keyword-only parameters are not supported")
    return tuple(argument.arg for argument in (*arguments.posonlyargs, *arguments.args))


class Chain(Record, frozen=True):
    """The problems that descend from one seed, turn by turn.

    Attributes:
        id: The id that all its problems carry in their lineage.
        problems: In order of turns; siblings are variants of one core task.
        seed: The snippet that the first one was made from, if any.
        drafts: Everything that a teacher which is a model wrote for the chain, failures included.
    """

    id: str
    problems: tuple[Problem, ...]
    seed: Seed | None = None
    drafts: tuple[Draft, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        keys = {""}
        for problem in self.problems:
            if problem.lineage.chain != self.id:
                raise ProblemError(f"problem {problem.key} belongs to chain {problem.lineage.chain!r}, not {self.id!r}")
            if problem.lineage.parent not in keys:
                raise ProblemError(f"the parent {problem.lineage.parent} of problem {problem.key} is not in the chain")
            keys.add(problem.key)


def load_problems(path: str | Path) -> Iterator[Problem]:
    """Read problems one by one.

    Args:
        path: A file of JSON lines, or a run folder.

    Raises:
        ProblemError: A line is not a problem (names the file and the line), or the folder holds none.
        FileNotFoundError: There is no such file.
    """
    return (problem for _, problem in read_records(_file_of(Path(path)), Problem))


def stored_problems(path: str | Path) -> Stored[Problem]:
    """The problems of :func:`load_problems` as a sequence, which reads one whenever it is asked for.

    All are read once at first, so that a line that is none is named before anything is done with the others.
    """
    path = _file_of(Path(path))
    return Stored(path, Problem, array("q", (start for start, _ in read_records(path, Problem))))


def _file_of(path: Path) -> Path:
    if not path.is_dir():
        return path
    if not (path / PROBLEMS).exists():
        raise ProblemError(f"{path} holds no {PROBLEMS}: it is no run folder, or its run is not finished")
    return path / PROBLEMS


def load_chains(path: str | Path) -> Iterator[Chain]:
    """Read chains from a file of JSON lines, as :func:`load_problems` reads problems."""
    return (chain for _, chain in read_records(Path(path), Chain))


def save_records(path: str | Path, records: Iterable[Problem | Chain]) -> int:
    """Write records as JSON lines, replacing the file.

    Returns:
        How many were written.
    """
    count = 0
    with Path(path).open("w", encoding="utf-8") as file:
        for record in records:
            file.write(record.to_json() + "\n")
            count += 1
    return count
