"""Runs: folders of generated chains that survive being killed at any moment.

A run folder holds ``config.toml``, written first; ``chains.jsonl``, only ever appended to, in order; while
chains finish out of order, ``ahead.jsonl`` with those whose turn is yet to come;
``problems.jsonl`` and, with filters, ``removed.jsonl``, derived from it at the end; ``report.html``;
and, where models take part, ``responses.sqlite``, the store of their replies. Chain ``i`` depends on
the configuration and ``i`` alone, wherever it is made, so a resumed run ends with the same bytes as one that was never
interrupted, and pays for no reply twice.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeVar

from code_envs.errors import RunError
from code_envs.folders import check_begun, claimed, now, read_toml, replace_file, to_toml
from code_envs.generation.config import BEGUN, CONFIG, RunConfig, to_table
from code_envs.generation.factory import ChainFactory, check_ready
from code_envs.generation.log import ChainLog
from code_envs.generation.selection import Selection
from code_envs.models import RESPONSES
from code_envs.problem import Chain

__all__ = ["ChainMaker", "Engine", "generate", "in_order"]

_BROUGHT = [f"{RESPONSES}{end}" for end in ("", "-wal", "-shm")]  # a killed run leaves replies in the second
_MAY_DIFFER = (BEGUN, ".base_url", ".timeout")  # a run may go on with the same model at another server

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


ChainMaker = Callable[[RunConfig, int], Chain]
Engine = Callable[[RunConfig, Sequence[int], ChainMaker], Generator[tuple[int, Chain], None, None]]
"""Makes the chains with some indexes, and hands them out with their index as they finish."""


def generate(
    folder: str | Path,
    config: RunConfig,
    *,
    resume: bool = False,
    workers: int = 1,
    make: ChainMaker | None = None,
    on_chain: Callable[[Chain], None] | None = None,
    on_resumed: Callable[[Chain], None] | None = None,
    engine: Engine | None = None,
) -> Sequence[Chain]:
    """Make the chains of a run, or those that are still missing.

    Args:
        folder: The run folder; made if it does not exist.
        config: What to make. A resumed run must have the same.
        resume: Go on with the run that the folder holds, if it holds one.
        workers: Processes to make chains in; 1 stays in this one. More need a picklable ``make``
            and, as always with processes, a guarded main module. Where models take part, threads of
            this process: so many chains are under way at a time.
        make: Makes chain ``index``; must depend on its arguments alone. A :class:`ChainFactory`
            with a store of replies in the folder if None.
        on_chain: Called with every chain as it finishes.
        on_resumed: Called before with those that the folder holds already, as they are read; ``on_chain`` if None.
        engine: Where chains are made, such as :class:`code_envs.generation.on_ray.RayEngine`; None for
            ``workers`` of this machine. The folder's content does not depend on it.

    Returns:
        All chains of the run, in order; a chain that came to nothing is there, but empty. They are read from
        the folder whenever they are asked for: memory holds 8 bytes of each.

    Raises:
        ConfigError: A teacher, the student, seeds, templates or a filter cannot be used; nothing was written.
        MissingExtra: A library that the run needs is not installed; nothing was written.
        RunError: The folder holds something else, another configuration or a damaged file, or
            another process is at work in it.
        ModelError: A model cannot be used; resume the run when it can.
    """
    folder, choose = Path(folder), Selection(config)  # before anything is made: a filter may be missing
    if (make is None or isinstance(make, ChainFactory)) and not (folder / CONFIG).exists():
        check_ready(config, here=engine is None)  # a folder that is begun cannot go on with what is mended
    tell = on_chain or (lambda _: None)
    work: Engine = engine or partial(_made_here, workers)
    with claimed(folder, CONFIG, _BROUGHT), _maker(make, folder, config) as maker:
        _settle(folder, config, resume)
        with ChainLog(folder, config, on_resumed or tell) as log:
            with closing(work(config, log.missing, maker)) as made:
                for index, chain in made:
                    log.add(index, chain)
                    tell(chain)
            chains = log.chains
        choose.write(chains, folder)
    return chains


@contextmanager
def _maker(make: ChainMaker | None, folder: Path, config: RunConfig) -> Iterator[ChainMaker]:
    if make is not None:
        yield make
        return
    with ChainFactory(folder / RESPONSES if config.asks_models else None) as factory:
        yield factory


def _made_here(
    workers: int, config: RunConfig, indexes: Sequence[int], make: ChainMaker
) -> Generator[tuple[int, Chain], None, None]:
    workers = min(workers, len(indexes))
    if workers <= 1:
        yield from ((index, make(config, index)) for index in indexes)
    elif config.asks_models:  # they wait more than they work: threads, which share connections and sandbox
        threads = ThreadPoolExecutor(workers, thread_name_prefix="code-envs-chain")
        try:
            yield from _as_ready(threads, partial(make, config), indexes, 2 * workers)
        finally:
            _give_up(make)  # on an interrupt or a fault: chains under way would go on for minutes
            threads.shutdown(cancel_futures=True)
    else:
        context = multiprocessing.get_context("spawn")  # forking a process with threads is unsafe
        ended, end = context.Pipe(duplex=False)
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_be_worker, initargs=(make, ended))
        try:
            for index, text in _as_ready(pool, partial(_make_text, config), indexes, 2 * workers):
                yield index, Chain.from_json(text)
        except BrokenProcessPool as error:
            text = "a worker process died, maybe for lack of memory. Resume the run with fewer workers."
            raise RunError(text) from error
        except BaseException:
            end.close()  # chains under way would go on for minutes
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            end.close()
            ended.close()


def _give_up(make: ChainMaker) -> None:
    if isinstance(make, ChainFactory):
        make.close()


def _as_ready(
    pool: concurrent.futures.Executor, make: Callable[[ItemT], ResultT], items: Iterable[ItemT], most: int
) -> Iterator[tuple[ItemT, ResultT]]:
    """Work on items in a pool, at most so many at a time, and hand out each with its result as soon as it is there."""
    left, waiting = iter(items), dict[Future[ResultT], ItemT]()
    try:
        for item in islice(left, most):
            waiting[pool.submit(make, item)] = item
        while waiting:
            ready, _ = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            # what failed comes last, since it ends the run: what is done beside it is kept
            for future in sorted([one for one in waiting if one in ready], key=lambda one: one.exception() is not None):
                yield waiting.pop(future), future.result()
                for item in islice(left, 1):
                    waiting[pool.submit(make, item)] = item
    finally:
        for future in waiting:
            future.cancel()


def in_order(
    pool: concurrent.futures.Executor, make: Callable[[ItemT], ResultT], items: Iterable[ItemT], ahead: int
) -> Iterator[ResultT]:
    """Work on items in a pool and hand the results out in order, at most ``ahead`` of them in advance."""
    waiting: deque[Future[ResultT]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


_maker_here: ChainMaker | None = None  # of a worker process: one for all of its chains, with its teachers and sandbox


def _make_text(config: RunConfig, index: int) -> str:
    assert _maker_here is not None
    return _maker_here(config, index).to_json()


def _be_worker(make: ChainMaker, ended: Connection) -> None:
    """Leave at once and silently when the user interrupts, when the run is given up, and when the parent is killed."""
    global _maker_here
    _maker_here = make
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    parent = multiprocessing.parent_process()
    assert parent is not None

    def outlive() -> None:
        wait([parent.sentinel, ended])
        os._exit(1)

    threading.Thread(target=outlive, daemon=True).start()


def _settle(folder: Path, config: RunConfig, resume: bool) -> None:
    """Write the configuration, or compare it with the one that is there."""
    path, wanted = folder / CONFIG, to_table(config)
    defaults = {name: value for name, value in to_table(RunConfig()).items() if not name.startswith("made_with_")}
    if not path.exists():
        replace_file(path, to_toml({BEGUN: now(), **wanted}))
        return
    if not resume:
        raise RunError(f"{folder} already holds a run. Add --resume to go on with it, or give another folder.")
    wanted, found = dict(_flat(wanted)), dict(_flat(defaults | read_toml(path)))  # it may be older than a setting
    names = (name for name in sorted(wanted.keys() | found.keys()) if not name.endswith(_MAY_DIFFER))
    check_begun(folder, found, {name: wanted.get(name) for name in names}, "folder")


def _flat(table: Mapping[str, Any], head: str = "") -> Iterator[tuple[str, Any]]:
    """The settings of a table and those in it, by dotted names; what has no value is left out."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{head}{name}.")
        elif value is not None:
            yield head + name, value
