"""Pushing to the hub, which cannot be reached from tests: a loopback server stands for it and speaks its protocol."""

import base64
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("huggingface_hub", reason="pip install -e '.[hf]'")

from code_envs.generation import RunConfig, generate
from code_envs.problem import Case, Chain, Lineage, Mode, Problem, Report

pytestmark = pytest.mark.extra


class FakeHub(BaseHTTPRequestHandler):
    """Takes what huggingface_hub sends to make a dataset and to commit small files."""

    def log_message(self, *_): ...

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server, here = self.server, f"http://{self.headers['Host']}"
        if self.headers["Authorization"] != "Bearer secret":
            return self._send(401, {"error": "Invalid token"})
        if self.path == "/api/repos/create":
            server.made = json.loads(body)
            return self._send(200, {"url": f"{here}/datasets/someone/{server.made['name']}", "name": "x"})
        if "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self._send(200, {"files": files})
        if "/commit/" in self.path:
            rows = [json.loads(line) for line in body.splitlines()]
            files = [row["value"] for row in rows if row["key"] == "file"]
            server.files |= {file["path"]: base64.b64decode(file["content"]) for file in files}
            return self._send(
                200,
                {
                    "commitUrl": f"{here}/datasets/someone/problems/commit/1",
                    "commitOid": "1" * 40,
                },
            )
        return self._send(200, {})

    def do_GET(self):
        self._send(200, {"sha": "1" * 40, "id": "someone/problems", "siblings": []})

    def _send(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    server.files, server.made = {}, None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def one_problem(config: RunConfig, index: int) -> Chain:
    name = config.id_of(index)
    problem = Problem(
        mode=Mode.DEDUCTION,
        program="def f(x):\n    return x + 7\n",
        signature="f(x)",
        cases=(Case.of((1,), 8),),
        lineage=Lineage(chain=name),
    )
    report = Report(problem=problem.key, student="scripted", attempts=4, passes=2)
    return Chain(id=name, problems=(problem.but(measurements=(report,)),))


def export(hub, tmp_path, *more, token="secret"):
    run = tmp_path / "run"
    if not run.exists():
        generate(run, RunConfig(chains=1, modes=(Mode.DEDUCTION,)), make=one_problem)
    command = [sys.executable, "-m", "code_envs.cli", "export", run, "-o", tmp_path / "out", *more]
    environment = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_TOKEN": token, "HF_HOME": str(tmp_path)}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", **environment}
    )


def test_a_dataset_is_pushed_with_its_card_and_nothing_else(hub, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "private-notes.txt").write_text("mine")
    done = export(hub, tmp_path, "--push", "someone/problems", "--private", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pushed"].endswith("datasets/someone/problems")
    assert (hub.made["type"], hub.made.get("private", hub.made.get("visibility"))) in {
        ("dataset", True),
        ("dataset", "private"),
    }
    assert hub.files == {name: (tmp_path / "out" / name).read_bytes() for name in ("train.jsonl", "README.md")}


def test_what_the_hub_refuses_is_one_sentence(hub, tmp_path):
    done = export(hub, tmp_path, "--push", "someone/problems", token="wrong")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "someone/problems cannot be pushed" in done.stderr
    assert (tmp_path / "out" / "train.jsonl").exists()
    done = export(hub, tmp_path, "--push", "a/b/c")
    assert "a/b/c cannot be pushed" in done.stderr
    assert "--format jsonl or parquet" in export(hub, tmp_path, "--push", "a/b", "--format", "hf").stderr
    assert hub.files == {}
