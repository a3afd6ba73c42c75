"""Making problems of the parts that a teacher wrote: results come from the executor, never from the teacher.

Inputs that the program fails on are left out. Where a teacher gave too few, more are drawn by type;
the problem's tags say so. A teacher of fuzzing may leave the fault to a mutation of its program.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import msgspec
import numpy as np

from code_envs.errors import ProblemError, ValueRefused
from code_envs.executor import Execution, Executor, Job
from code_envs.modes import Answer, complete_cases, rules
from code_envs.modes.guessing import run_arguments, run_each
from code_envs.modes.verdicts import told
from code_envs.problem import Case, Mode, Problem, parameters_of
from code_envs.programs.inputs import Arguments, arguments_for, boundary_arguments, random_arguments, vary_arguments
from code_envs.programs.source import signature_of
from code_envs.teacher.base import LEVELS
from code_envs.teacher.harvest_conditions import precondition_for
from code_envs.teacher.planting import plant
from code_envs.teacher.reading import DraftRefused, Parts, read_inputs
from code_envs.values import decode, encode, parse_literal, write_literal

__all__ = ["DRAWN", "PLANTED", "candidates"]

DRAWN = "inputs drawn by type"
"""The tag of a problem whose inputs are not all the teacher's."""
PLANTED = "fault planted by a mutation"
"""The tag of a problem whose program is the teacher's but for the fault."""
_VISIBLE = (6, 8)  # cases of induction: so many are wanted, so many are shown at most
_CHOICE = 4  # inputs that are tried as the one of abduction or deduction
_MAX_SHOWN = 1_000
_WITNESSES = 60
_ORDINARY = 60  # inputs of each kind that a planted fault is tried on
_FAULTS = 12  # planted faults that are validated at most: those that are met most often can be guessed


def candidates(
    mode: Mode, parts: Parts, rng: np.random.Generator, executor: Executor, fault_level: int | None = None
) -> Iterator[Problem]:
    """Make problems of one draft, the most likely one first; none is validated yet.

    Args:
        mode: What the student has to find.
        parts: What the teacher wrote.
        rng: Draws what is missing.
        executor: Runs the program.
        fault_level: In fuzzing, how rare a fault to plant into the program, which is right: from 0 to ``LEVELS - 1``,
            the rarest. None if the teacher wrote the fault itself.

    Yields:
        At least one problem.

    Raises:
        DraftRefused: No problem can be made of it.
    """
    try:
        signature = signature_of(parts.program, parts.entry)
        given = read_inputs(parts.inputs, parameters_of(signature), parts.entry)
    except ProblemError as error:
        raise DraftRefused("signature", f"{parts.entry}: {error}") from error
    bare = _Sketch(mode, parts, signature, given)
    make = {Mode.INDUCTION: _induction, Mode.FUZZING: _fuzzing}.get(mode, _one_case)
    if mode is Mode.FUZZING and fault_level is not None:
        make = partial(_planted, level=fault_level)
    try:
        yield from make(bare, rng, executor)
    except ProblemError as error:
        raise DraftRefused("missing", str(error)) from error


class _Sketch:
    """The parts of a draft with its signature and the inputs that could be read."""

    def __init__(self, mode: Mode, parts: Parts, signature: str, given: list[Arguments]) -> None:
        self.mode, self.parts, self.signature, self.given = mode, parts, signature, given

    def drawn(self, rng: np.random.Generator, count: int) -> list[Arguments]:
        """More inputs like those that were given, or by the annotations alone."""
        if self.given:
            return random_arguments(self.given, rng, count, signature=self.signature)
        return arguments_for(self.signature, rng, count)

    def run(self, inputs: Sequence[Arguments], executor: Executor) -> list[Execution]:
        """What the program does on inputs, each for itself."""
        calls = [encode(arguments, ordered=True) for arguments in inputs]
        limits = msgspec.structs.replace(executor.limits, cpu_seconds=executor.limits.cpu_seconds / 8)
        job = Job(program=self.parts.program, entry=self.parts.entry, calls=calls, limits=limits)
        return run_each([job], executor, rounds=8)[0]

    def cases(self, inputs: Sequence[Arguments], executor: Executor) -> list[Case]:
        """The inputs on which the program returns a value that can be shown, with that value."""
        runs = self.run(inputs, executor) if inputs else []
        made = (_case(arguments, run) for arguments, run in zip(inputs, runs, strict=True) if run.ok)
        return [case for case in made if case is not None]

    def refuse_runs(self, executor: Executor) -> DraftRefused:
        """Say why there is no case: on the first input, or for lack of one."""
        if not self.given:
            return DraftRefused("missing", "there are no inputs that can be read; write one call's arguments per line")
        (run,) = self.run(self.given[:1], executor)
        shown = ", ".join(map(write_literal, self.given[0]))
        return DraftRefused("runs", f"{self.parts.entry}({shown:.200}) {told(run)}")


def _case(arguments: Arguments, run: Execution) -> Case | None:
    try:
        case = Case(arguments=write_literal(arguments), result=write_literal(decode(run.value)))
    except (ProblemError, ValueRefused):
        return None
    return case if len(case.arguments) <= _MAX_SHOWN and len(case.result) <= _MAX_SHOWN else None


def _induction(draft: _Sketch, rng: np.random.Generator, executor: Executor) -> Iterator[Problem]:
    wanted, most = _VISIBLE
    cases = draft.cases(draft.given, executor)[:most]
    given = len(cases)
    if given < wanted:
        known = {case.arguments for case in cases}
        more = draft.cases(draft.drawn(rng, 4 * wanted), executor)
        cases += [case for case in more if case.arguments not in known][: wanted - given]
    if not cases:
        raise draft.refuse_runs(executor)
    problem = Problem(
        mode=draft.mode,
        program=draft.parts.program,
        signature=draft.signature,
        entry=draft.parts.entry,
        message=draft.parts.message,
        cases=tuple(cases),
        tags=() if given == len(cases) else (DRAWN,),
    )
    yield complete_cases(problem, executor, rng)


def _one_case(draft: _Sketch, rng: np.random.Generator, executor: Executor) -> Iterator[Problem]:
    tags: tuple[str, ...] = ()
    cases = draft.cases(draft.given, executor)
    if not cases:
        cases, tags = draft.cases(draft.drawn(rng, 2 * _CHOICE), executor), (DRAWN,)
    if not cases:
        raise draft.refuse_runs(executor)
    for case in cases[:_CHOICE]:
        yield Problem(
            mode=draft.mode,
            program=draft.parts.program,
            signature=draft.signature,
            entry=draft.parts.entry,
            message=draft.parts.message,
            cases=(case,),
            precondition=draft.parts.precondition if draft.mode is Mode.ABDUCTION else "",
            tags=tags,
        )


def _fuzzing(draft: _Sketch, rng: np.random.Generator, executor: Executor) -> Iterator[Problem]:
    """Look for a witness among the given inputs first, then among their like."""
    parts = draft.parts
    if not parts.precondition:
        raise DraftRefused("missing", "there is no function pre_test_f; write it into a block ```precondition")
    if not parts.property and not parts.reference:
        raise DraftRefused("missing", "there is no function test_f; write it into a block ```property")
    problem = Problem(
        mode=draft.mode,
        program=parts.program,
        signature=draft.signature,
        entry=parts.entry,
        message=parts.message,
        precondition=parts.precondition,
        property="" if parts.reference else parts.property,
        reference=parts.reference,
    )
    varied = [vary_arguments(given, rng) for given in draft.given for _ in range(4)]
    tried = [*draft.given, *varied[:_WITNESSES], *draft.drawn(rng, _WITNESSES)]
    texts = list(dict.fromkeys(map(write_literal, tried)))
    if not texts:
        raise draft.refuse_runs(executor)
    own = rules(draft.mode)
    executions = run_arguments(own, problem, texts, executor)
    grades = [own.judge(problem, Answer(text=text), runs) for text, runs in zip(texts, executions, strict=True)]
    places = [place for place, grade in enumerate(grades) if grade.passed]
    if not places:
        text = f"none of {len(texts)} inputs shows a fault; for ({texts[0][1:-1]:.200}) {grades[0].reason}"
        raise DraftRefused("witness", text)
    for place in places[:_CHOICE]:
        yield problem.but(witness=texts[place], tags=(DRAWN,) if place >= len(draft.given) else ())


def _planted(draft: _Sketch, rng: np.random.Generator, executor: Executor, *, level: int) -> Iterator[Problem]:
    """Plant faults that few inputs show; the arguments that are allowed are those of the types that work."""
    parts = draft.parts
    if not parts.message:
        raise DraftRefused("missing", "there is no description; write it into a block ```message")
    given = _that_run(draft, draft.given, executor)
    samples = given or _that_run(draft, draft.drawn(rng, 2 * _CHOICE), executor)
    if not samples:
        raise draft.refuse_runs(executor)
    varied = [vary_arguments(arguments, rng) for arguments in samples for _ in range(_ORDINARY // len(samples))]
    tried = [
        *samples,
        *varied,
        *boundary_arguments(samples, rng, _ORDINARY),
        *random_arguments(samples, rng, _ORDINARY),
    ]
    calls = list({encode(arguments, ordered=True): arguments for arguments in tried}.values())
    faults = plant(parts.program, parts.entry, calls, rng, executor)
    if not faults:
        text = (
            "no change of one condition, number or line of f shows on a few inputs only, or f takes too long; "
            "let f end quickly and treat some cases otherwise that few inputs meet"
        )
        raise DraftRefused("planted", text)
    wanted = level * len(faults) // LEVELS
    nearest = sorted(range(len(faults)), key=lambda place: abs(place - wanted))
    for fault in [faults[place] for place in nearest][:_FAULTS]:
        witness = parse_literal(fault.witnesses[0])
        assert isinstance(witness, tuple)
        yield Problem(
            mode=draft.mode,
            program=fault.program,
            signature=draft.signature,
            entry=parts.entry,
            message=parts.message,
            precondition=precondition_for(parameters_of(draft.signature), [*samples, witness]),
            reference=parts.program,
            witness=fault.witnesses[0],
            tags=(PLANTED,) if given else (PLANTED, DRAWN),
        )


def _that_run(draft: _Sketch, inputs: Sequence[Arguments], executor: Executor) -> list[Arguments]:
    runs = draft.run(inputs, executor) if inputs else []
    return [arguments for arguments, run in zip(inputs, runs, strict=True) if run.ok]
