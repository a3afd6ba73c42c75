"""Making the chains of a run, one by one: all that a worker of any kind has to be able to do."""

from __future__ import annotations

import json
import multiprocessing
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from code_envs.errors import ConfigError, MissingExtra, ProposalFailed, UnknownName
from code_envs.executor import Executor, shared_executor
from code_envs.generation.config import RunConfig
from code_envs.models import CachedModel, FileStore, Model, ModelConfig, Store, make_model
from code_envs.problem import Chain
from code_envs.students import STUDENTS, ModelStudent, Student, make_student
from code_envs.teacher import TEACHERS, DuetTeacher, ModelTeacher, Teacher, make_chain, make_teacher, take_notes
from code_envs.teacher.instructions import Instructions
from code_envs.teacher.seeds import make_source

__all__ = ["ChainFactory", "check_ready"]


def check_ready(config: RunConfig, *, here: bool = True) -> None:
    """Refuse what no :class:`ChainFactory` could make a chain with, before anything is written for it.

    Args:
        config: The run.
        here: Models are asked from this process; another one may have other libraries.

    Raises:
        ConfigError: There are no such seeds or templates.
        MissingExtra: The library of a model's backend is not installed, or the seeds are a Hugging Face dataset
            and ``datasets`` is not.
        UnknownName: A teacher or the student is not known, and no model is configured for it.
    """
    asked = [_model_of("teacher", name, TEACHERS, config.teacher_model) for name in config.teachers]
    _model_of("student", config.student, STUDENTS, config.student_model)
    if any(asked):
        make_source(config.seeds, config.licence or None).draw(np.random.default_rng(config.seed))  # is there any?
    if any(asked) or config.varied_by:
        Instructions(config.templates or None)
    for model in (config.teacher_model, config.student_model) if here else ():
        # a backend has the name of its library and of the extra
        if model and model.backend not in sys.modules and find_spec(model.backend) is None:
            raise MissingExtra(model.backend, model.backend)


def _model_of(kind: str, name: str, known: Collection[str], shared: ModelConfig | None) -> ModelConfig | None:
    """How to ask the model of this name; None if it is the name of an embedded teacher or student."""
    if name in known:
        return None
    if shared is None:
        raise UnknownName(kind, name, known)
    return msgspec.structs.replace(shared, model=name)


class _Workshop(NamedTuple):
    """What one thread makes chains with; ``untouched`` is the teacher's state before any of them."""

    teacher: Teacher
    student: Student
    executor: Executor
    untouched: str


class ChainFactory:
    """Makes chain after chain of a run, in any order and from any number of threads.

    Chain ``i`` depends on the configuration and ``i`` alone. A factory can be sent to another process:
    models, teachers and sandboxes are made there on first use.

    Args:
        responses: The store of the models' replies, or the path of its file; None asks every time.
        concurrency: Requests under way at a time, for each model in each role.
        programs: Programs that run at a time, in a sandbox of its own; None takes the one that this
            process shares, and one program at a time in a worker process.
        connect: Makes a model from its configuration and the concurrency.
        earlier: Files of earlier replies, which the file of ``responses`` takes over, see :class:`.FileStore`.

    Raises:
        ConfigError: There are earlier replies, and ``responses`` is no file.
    """

    def __init__(
        self,
        responses: Store | str | Path | None = None,
        concurrency: int = 32,
        programs: int | None = None,
        connect: Callable[[ModelConfig, int], Model] = make_model,
        earlier: Sequence[str | Path] = (),
    ) -> None:
        if earlier and not isinstance(responses, str | Path):
            raise ConfigError("earlier replies are taken over into a file: give the path of one as responses")
        self.earlier = tuple(earlier)
        self.responses, self.concurrency, self.programs, self.connect = responses, concurrency, programs, connect
        self._lock, self._local = threading.Lock(), threading.local()
        self._models: dict[tuple[ModelConfig, str], Model] = {}
        self._executor: Executor | None = None

    def __call__(self, config: RunConfig, index: int) -> Chain:
        """Make chain ``index``; it is without problems if the teacher finds no valid one.

        Raises:
            ModelError: A model cannot be used.
            UnknownName: A teacher or the student is not known, and no model is configured for it.
        """
        teacher, student, executor, untouched = self._workshop(config, config.teacher_of(index))
        teacher.load_state_dict(json.loads(untouched))  # what earlier chains taught it must not matter
        take_notes(teacher)
        rng, name = np.random.default_rng([config.seed, index]), config.id_of(index)
        try:
            return make_chain(
                teacher,
                student,
                executor,
                rng,
                mode=config.mode_of(index),
                level=config.level_of(index),
                turns=config.turns,
                attempts=config.attempts,
                chain_id=name,
                strategy=config.strategy,
                bands=config.bands,
            )
        except ProposalFailed:
            notes = take_notes(teacher)
            return Chain(id=name, problems=(), seed=notes.seed, drafts=notes.drafts)

    @property
    def tokens(self) -> int:
        """Tokens that models have read and written for this factory, the store's left out."""
        with self._lock:
            return sum(model.tokens for model in self._models.values() if isinstance(model, CachedModel))

    def close(self) -> None:
        """Let go of the models; requests under way are given up."""
        with self._lock:
            models, self._models = self._models, {}
        for model in models.values():
            close = getattr(model, "close", None)
            if close is not None:
                close()

    def __enter__(self) -> ChainFactory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.responses, self.concurrency, self.programs, self.connect, self.earlier)

    def _workshop(self, config: RunConfig, teacher: str) -> _Workshop:
        """Teachers learn while they make a chain: each thread has its own."""
        shops: dict[tuple[RunConfig, str], _Workshop] = self._local.__dict__.setdefault("shops", {})
        if (config, teacher) not in shops:
            executor = self._sandbox()
            made = self._teacher(config, teacher, executor)
            student = self._student(config, executor)
            shops[config, teacher] = _Workshop(made, student, executor, json.dumps(made.state_dict()))
        return shops[config, teacher]

    def _sandbox(self) -> Executor:
        """One for all threads; a worker process is one of many, and needs no whole pool."""
        programs = self.programs or (1 if multiprocessing.parent_process() else None)
        if programs is None:
            return shared_executor()
        with self._lock:
            if self._executor is None:
                self._executor = Executor(workers=programs)
            return self._executor

    def _teacher(self, config: RunConfig, name: str, executor: Executor) -> Teacher:
        first = self._one_teacher(config, name, executor)
        return DuetTeacher(first, self._one_teacher(config, config.varied_by, executor)) if config.varied_by else first

    def _one_teacher(self, config: RunConfig, name: str, executor: Executor) -> Teacher:
        own = _model_of("teacher", name, TEACHERS, config.teacher_model)
        if own is None:
            return make_teacher(name, executor)
        source, templates = make_source(config.seeds, config.licence or None), config.templates or None
        model = self._model(own, "teacher")
        return ModelTeacher(
            model,
            own,
            source,
            executor,
            repairs=config.repairs,
            templates=templates,
            constrain=config.constrain,
            plant_faults=config.plant_faults,
        )

    def _student(self, config: RunConfig, executor: Executor) -> Student:
        own = _model_of("student", config.student, STUDENTS, config.student_model)
        if own is None:
            return make_student(config.student, executor)
        return ModelStudent(self._model(own, "student"), own)

    def _model(self, config: ModelConfig, role: str) -> Model:
        """One model for all threads, so that its bound on concurrency holds for all of them."""
        with self._lock:
            if (config, role) not in self._models:
                model = self.connect(config, self.concurrency)
                store = self.responses
                if isinstance(store, str | Path):
                    store = FileStore(store, self.earlier)
                self._models[config, role] = CachedModel(model, store, role) if store else model
            return self._models[config, role]
