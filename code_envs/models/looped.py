"""What backends with an asynchronous client share: one event loop in a thread, for all threads that ask."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, Self, TypeVar

from code_envs.errors import ConfigError, ModelError
from code_envs.models.base import Completion, OnDone, Request

__all__ = ["LoopedModel"]

ResultT = TypeVar("ResultT")


class LoopedModel:
    """A model whose backend is asynchronous; a subclass says how one request is answered.

    Args:
        name: The model.
        concurrency: Requests under way at a time, over all threads; None leaves it to the backend.

    Raises:
        ConfigError: The concurrency is not positive.
    """

    def __init__(self, name: str, concurrency: int | None = None) -> None:
        if concurrency is not None and concurrency < 1:
            raise ConfigError(f"concurrency is {concurrency}; it must be at least 1")
        self.name = name
        self._room = asyncio.Semaphore(concurrency) if concurrency else None
        self._lock, self._closed = threading.Lock(), False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="code-envs-model", daemon=True)
        self._thread.start()

    async def _complete(self, request: Request) -> Completion:
        raise NotImplementedError

    async def _shut(self) -> None:
        """Let go of the backend; nothing is under way any more."""

    def complete(self, requests: Sequence[Request], on_done: OnDone | None = None) -> list[Completion]:
        """Answer each request; see :meth:`code_envs.models.base.Model.complete`."""
        return self._wait(self._complete_all(requests, on_done))

    def close(self) -> None:
        """Let go of the backend and give up what is under way; closing twice is fine."""
        with self._lock:  # what comes later is refused: nothing would answer it once the loop has stopped
            if self._closed:
                return
            self._closed = True
            closing = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
        closing.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        with self._lock:
            if self._closed:
                work.close()
                raise ModelError(f"model {self.name!r} was closed")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError as error:
            raise ModelError(f"model {self.name!r} was closed") from error
        except BaseException:
            future.cancel()  # an interrupt must not leave requests under way
            raise

    async def _close(self) -> None:
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._shut()

    async def _complete_all(self, requests: Sequence[Request], on_done: OnDone | None) -> list[Completion]:
        async def one(index: int, request: Request) -> Completion:
            if self._room is None:
                completion = await self._complete(request)
            else:
                async with self._room:
                    completion = await self._complete(request)
            if on_done is not None:
                on_done(index, completion)
            return completion

        tasks = [asyncio.ensure_future(one(*pair)) for pair in enumerate(requests)]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
