"""Fixtures for all tests."""

import gc
import json
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import settings

from code_envs.executor import Executor

# The same examples in every run, as fast or slow as the machine is.
settings.register_profile("code-envs", deadline=None, derandomize=True, database=None)
settings.load_profile("code-envs")


# The same whatever the machine: each of these changes what a command prints, or how it reaches a server.
for name in ("COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS"):
    os.environ.pop(name, None)
os.environ |= {
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    # Runs say when they were begun; with a clock that stands still they can be compared byte for byte.
    "SOURCE_DATE_EPOCH": "1800000000",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",  # Ray's own 15 starves workers on a busy machine
}
os.umask(0o022)  # another user reads what the tests write


@pytest.fixture(scope="session")
def executor() -> Iterator[Executor]:
    """One sandbox with one worker; closed when the test process ends."""
    with Executor(workers=1) as executor:
        yield executor


@pytest.fixture
def heard_signals() -> Iterator[None]:
    """For commands that are sent signals; tests in the background, or under nohup, ignore some, and so would they."""
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    before = [(number, signal.signal(number, signal.default_int_handler)) for number in numbers]
    yield
    for number, handler in before:
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of public benchmark files, or a skip."""
    named = os.environ.get("CODE_ENVS_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "cruxeval.jsonl").exists():
        pytest.skip("needs the public benchmark files: set CODE_ENVS_DATA to their folder")
    return folder


@contextmanager
def _start_ray(**options: Any) -> Iterator[Any]:
    import ray

    for attempt in range(4):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # "local": a cluster of its own, whatever other processes of the machine have started
                ray.init(
                    "local", include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20, **options
                )
                gc.collect()  # files that an earlier cluster of this process has left open
            break
        except Exception:
            ray.shutdown()
            if attempt == 3:
                raise
    try:
        yield ray
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # Ray lets go of processes that still end
            ray.shutdown()
            gc.collect()


@pytest.fixture(scope="session")
def start_ray() -> Callable[..., AbstractContextManager[Any]]:
    """Starts a cluster of this machine; that takes seconds, may fail on a busy one, and is tried again."""
    return _start_ray


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator, the same in each test."""
    return np.random.default_rng([2603, 24202])


class Raw(NamedTuple):
    """A reply of the loopback server that is no plain completion."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    cut: int | None = None  # close the connection after so many bytes of the body


class ModelServer:
    """A real HTTP server on loopback that speaks OpenAI's chat protocol and answers from a script.

    ``script`` maps the request's JSON and the number of the request to a text, a message with its
    ``finish_reason``, or a ``Raw`` reply.
    """

    def __init__(self) -> None:
        self.script: Callable[[dict[str, Any], int], str | tuple[str, str] | Raw] = lambda body, number: "hello"
        self.raw = Raw
        self.bodies: list[dict[str, Any]] = []
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.serve(self, body)

        class Quiet(ThreadingHTTPServer):
            request_queue_size = 64

            def handle_error(self, *_: object) -> None: ...  # a client was killed

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def serve(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        with self._lock:
            self.bodies.append(body)
            number = len(self.bodies)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            reply = self.script(body, number)
            self._send(handler, reply if isinstance(reply, Raw) else self._completion(body, reply))
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client was killed, or did not wait
        finally:
            with self._lock:
                self._at_once -= 1

    @staticmethod
    def _completion(body: dict[str, Any], reply: str | tuple[str, str]) -> Raw:
        text, finish = (reply, "stop") if isinstance(reply, str) else reply
        words = sum(len(message["content"].split()) for message in body["messages"])
        document = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": words, "completion_tokens": len(text.split()), "total_tokens": 0},
        }
        return Raw(body=json.dumps(document).encode())

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, raw: Raw) -> None:
        time.sleep(raw.delay)
        handler.send_response(raw.status)
        for name, value in (("Content-Type", "application/json"), *raw.headers):
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(raw.body)))
        handler.end_headers()
        handler.wfile.write(raw.body[: raw.cut])
        handler.close_connection = raw.cut is not None

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """A loopback server of a model; its ``script`` says what it answers, ``raw`` makes broken replies."""
    server = ModelServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def planted_draft() -> str:
    """What a teacher writes for fuzzing whose faults are planted: one that passes."""
    return """```message
Turn the numbers to the left by k places, k taken modulo how many there are. If there are more than three and
the first equals the last, the last is left out before. An empty list gives an empty list.
```
```python
def f(xs: list[int], k: int) -> list[int]:
    if len(xs) > 3 and xs[0] == xs[-1]:
        xs = xs[:-1]
    if not xs:
        return []
    k = k % len(xs)
    return xs[k:] + xs[:k]
```
```inputs
[4, 1, 1, 4], 2
[1, 2, 3], 1
[], 4
[5, 6, 7, 8, 9], 3
[2, 2], -1
```
"""
