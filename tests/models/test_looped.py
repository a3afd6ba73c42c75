"""What asynchronous backends share: closing a model gives up what is under way, and refuses what comes later."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from code_envs.errors import ModelError
from code_envs.models import Completion, Request
from code_envs.models.looped import LoopedModel

REQUEST = Request(messages=({"role": "user", "content": "hi"},))


class Waiting(LoopedModel):
    """Answers when it is told to, and lets go of its backend when it is told to."""

    def __init__(self):
        super().__init__("waiting")
        self.asked, self.shutting, self.go_on = threading.Event(), threading.Event(), threading.Event()

    async def _complete(self, request):
        self.asked.set()
        await asyncio.to_thread(self.go_on.wait, 30)
        return Completion(text="late")

    async def _shut(self):
        self.shutting.set()
        await asyncio.to_thread(self.go_on.wait, 30)


def test_what_is_under_way_is_given_up_and_what_comes_meanwhile_is_refused():
    model = Waiting()
    with ThreadPoolExecutor(3) as threads:
        under_way = threads.submit(model.complete, [REQUEST])
        assert model.asked.wait(30)
        closing = threads.submit(model.close)
        assert model.shutting.wait(30)
        meanwhile = threads.submit(model.complete, [REQUEST])
        try:
            for asked in (under_way, meanwhile):
                with pytest.raises(ModelError, match="'waiting' was closed"):
                    asked.result(timeout=30)
        finally:
            model.go_on.set()
        closing.result(timeout=30)
    model.close()
    with pytest.raises(ModelError, match="'waiting' was closed"):
        model.complete([REQUEST])
