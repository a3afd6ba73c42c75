"""The client path, against a real HTTP server on loopback that misbehaves as servers do."""

import math
import re
import sys
import threading
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("openai", reason="pip install -e '.[openai]'")

from code_envs.cli import main
from code_envs.errors import ConfigError, ModelError
from code_envs.models import Constraint, Finish, ModelConfig, OpenAIModel, Request, Sampling, make_model

pytestmark = pytest.mark.extra
PROBLEMS = Path(__file__).parents[1] / "problems" / "deduction.jsonl"
NOW = (("retry-after-ms", "1"),)


@pytest.fixture
def ask(model_server):
    """Asks the loopback server through the real client; several texts at a time."""
    made = []

    def ask(*texts, sampling=None, timeout=10.0, constraint=msgspec.UNSET, **settings):
        config = ModelConfig(model="tiny", base_url=model_server.url, timeout=timeout)
        made.append(OpenAIModel(config, **{"backoff": 0.001, **settings}))
        requests = [
            Request(
                messages=({"role": "user", "content": text},),
                sampling=sampling or Sampling(),
                seed=seed,
                constraint=constraint,
            )
            for seed, text in enumerate(texts or ("hi",))
        ]
        return made[-1].complete(requests)

    yield ask
    for model in made:
        model.close()


@pytest.fixture
def slow(model_server):
    """Has the server answer all but one prompt at once."""
    model_server.script = lambda body, _: model_server.raw(delay=9) if asked(body) == "slow" else "ok"


def asked(body):
    return body["messages"][0]["content"]


def test_replies_come_in_order_with_their_tokens(model_server, ask):
    model_server.script = lambda body, number: f"{body['messages'][0]['content']} {body['seed']}"
    completions = ask("a", "b", "c d")
    assert [completion.text for completion in completions] == ["a 0", "b 1", "c d 2"]
    assert [completion.prompt_tokens for completion in completions] == [1, 1, 2]
    assert [completion.completion_tokens for completion in completions] == [2, 2, 3]
    assert {completion.finish for completion in completions} == {Finish.STOP}


def test_every_setting_reaches_the_server(model_server, ask):
    sampling = Sampling(
        temperature=0.3,
        top_p=0.9,
        max_tokens=77,
        reasoning_effort="low",
        extra_body='{"top_k": 5, "response_format": {"type": "json_object"}}',
    )
    ask("x", sampling=sampling)
    (body,) = model_server.bodies
    wanted = {"model": "tiny", "temperature": 0.3, "top_p": 0.9, "max_tokens": 77, "seed": 0, "reasoning_effort": "low"}
    assert wanted.items() <= body.items()
    assert (body["top_k"], body["response_format"]) == (5, {"type": "json_object"})
    ask("x", sampling=Sampling(temperature=None))
    assert not {"temperature", "top_p", "reasoning_effort"} & model_server.bodies[-1].keys()
    assert not {"response_format", "grammar", "ebnf", "structured_outputs"} & model_server.bodies[-1].keys()


def test_a_constraint_reaches_the_server(model_server, ask):
    ask("x", constraint=Constraint(schema='{"type": "object"}'))
    form = model_server.bodies[-1]["response_format"]
    assert (form["type"], form["json_schema"]["schema"]) == ("json_schema", {"type": "object"})
    ask("x", constraint=Constraint(grammar='root ::= "x"'), sampling=Sampling(extra_body='{"top_k": 5}'))
    body = model_server.bodies[-1]
    assert (body["grammar"], body["ebnf"], body["top_k"]) == ('root ::= "x"', 'root ::= "x"', 5)
    assert body["structured_outputs"] == {"grammar": 'root ::= "x"'}
    assert "response_format" not in body


def test_no_more_are_under_way_than_allowed(model_server, ask):
    gate = threading.Barrier(3, timeout=20)  # opens only when three are there at once

    def script(body, number):
        gate.wait()
        return "ok"

    model_server.script = script
    assert len(ask(*"abcdefghi", concurrency=3)) == 9
    assert model_server.most_at_once == 3


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "headers": NOW, "body": b'{"error": {"message": "slow down"}}'},
        {"status": 500, "headers": NOW, "body": b"oops"},
        {"status": 503, "headers": NOW},
        {"body": b'{"choices": [', "cut": 13},
        {"body": b'{"id": "1", "object": "chat.completion", "choices": [{"index": 0}]}' * 20, "cut": 30},
        {"body": b'{"choices": []}'},
        {"body": b'{"choices": null}'},
        {"body": b"[1, 2]"},
        {"body": b'"text"'},
        {"body": b"<html>gateway</html>"},
        {"body": b'{"choices": ' + b"[" * 10**5 + b"]" * 10**5 + b"}"},
        {"body": b'{"choices": [{"message": "hello"}]}'},
        {"body": b'{"choices": {"0": {"message": {"content": "hello"}}}}'},
        {"body": b'{"choices": [{"message": {"content": 5}}]}'},
        {"body": b'{"choices": [{"message": {"content": {"type": "text", "text": "hello"}}}]}'},
        {"body": b'{"choices": [{"message": {"content": ["hello"]}}]}'},
        {"body": b'{"choices": [{"message": {"content": [{"type": "text", "text": 5}]}}]}'},
    ],
    ids=[
        *("429", "500", "503", "bad json", "cut", "no choices", "null", "list", "text", "html"),
        *("nested", "message", "choices", "number", "part", "texts", "no text"),
    ],
)
def test_what_may_pass_is_tried_again(model_server, ask, fault):
    model_server.script = lambda body, number: model_server.raw(**fault) if number <= 2 else "there"
    assert ask()[0].text == "there"
    assert len(model_server.bodies) == 3


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 429, "headers": NOW, "body": b'{"error": {"message": "quota"}}'}, "answers 429: .*quota"),
        ({"status": 500, "headers": NOW}, "answers 500"),
        ({"status": 401, "body": b'{"error": {"message": "bad key"}}'}, "answers 401: .*bad key"),
        ({"status": 402, "body": b'{"error": {"message": "no credit"}}'}, "answers 402: .*no credit"),
        ({"status": 404, "body": b'{"error": {"message": "no model"}}'}, "answers 404: .*no model"),
        ({"body": b"<html>gateway</html>"}, "does not speak OpenAI's protocol"),
        ({"body": b'{"choices": [{"message": "hello"}]}'}, "does not speak OpenAI's protocol: .* message.*'hello'"),
        ({"body": b'{"choices": [{"message": {"content": 5}}]}'}, "does not speak OpenAI's protocol: .* no text: 5"),
        ({"body": b"[" * 10**5}, "does not speak OpenAI's protocol"),
    ],
    ids=["429", "500", "401", "402", "404", "html", "message", "number", "nested"],
)
def test_a_server_that_keeps_failing_is_an_error_in_words(model_server, ask, fault, said):
    model_server.script = lambda body, number: model_server.raw(**fault)
    with pytest.raises(ModelError, match=said):
        ask("a", "b", retries=1)


def test_a_request_that_the_server_rejects_is_data(model_server, ask):
    def script(body, number):
        long = body["messages"][0]["content"] == "long"
        return model_server.raw(status=400, body=b'{"error": {"message": "too long"}}') if long else "ok"

    model_server.script = script
    first, second = ask("long", "short")
    assert (first.finish, second.text) == (Finish.REJECTED, "ok")
    assert "too long" in first.note


@pytest.mark.parametrize("settings", [{}, {"constraint": Constraint(grammar='root ::= "x"')}])
def test_settings_that_the_server_always_rejects_are_an_error(model_server, ask, settings):
    body = b'{"error": {"message": "unsupported parameter"}}'
    model_server.script = lambda _, number: model_server.raw(status=400, body=body)
    with pytest.raises(ModelError, match=r"no request with these settings; it answers 400: .*unsupported parameter"):
        ask("a", "b", sampling=Sampling(max_tokens=500), **settings)
    probe = next(body for body in model_server.bodies if asked(body) == "Say yes.")
    assert probe["max_tokens"] == 500
    assert ("grammar" in probe) == bool(settings)


def test_what_was_answered_once_is_not_probed(model_server, ask):
    def script(body, number):
        rejected = model_server.raw(status=422, body=b'{"error": {"message": "too long"}}')
        return rejected if len(body["messages"][0]["content"]) > 20 else "ok"

    model_server.script = script
    kinds = [completion.finish for completion in ask("long" * 9, "short", "longer" * 9, concurrency=1)]
    assert kinds == [Finish.REJECTED, Finish.STOP, Finish.REJECTED]
    assert len(model_server.bodies) == 4  # one probe


def test_a_server_that_answers_nothing_in_time_is_an_error(model_server, ask):
    model_server.script = lambda body, number: model_server.raw(delay=9)
    with pytest.raises(ModelError, match=r"answers nothing within 0\.1 seconds"):
        ask(timeout=0.1, retries=0)


def test_a_server_that_rejects_and_then_says_nothing_is_an_error(model_server, ask):
    def script(body, number):
        rejected = model_server.raw(status=400, body=b'{"error": {"message": "too long"}}')
        return rejected if body["messages"][0]["content"] == "a" else model_server.raw(delay=9)

    model_server.script = script
    with pytest.raises(ModelError, match=r"answers nothing within 0\.3 seconds"):
        ask("a", timeout=0.3, retries=0)


@pytest.mark.usefixtures("slow")
def test_timeouts_of_a_server_that_answers_something_short_stay_data(model_server, ask):
    assert [completion.finish for completion in ask(*["slow"] * 9, timeout=2.0, retries=0)] == [Finish.TIMEOUT] * 9
    assert 1 <= sum(asked(body) == "Say yes." for body in model_server.bodies) <= 2


@pytest.mark.usefixtures("slow")
def test_a_timeout_is_data(ask):
    (completion,) = ask("slow", timeout=2.0, retries=0)
    assert (completion.finish, completion.text) == (Finish.TIMEOUT, "")
    assert "2 seconds" in completion.note


@pytest.mark.usefixtures("slow")
def test_timeouts_are_not_tried_for_ever(model_server, ask, monkeypatch):
    monkeypatch.setattr("code_envs.models.openai._PAUSES", 0.1)
    (completion,) = ask("slow", timeout=2.0, retries=50)  # long enough for a busy machine to send the first one
    assert completion.finish is Finish.TIMEOUT
    assert 1 <= sum(asked(body) == "slow" for body in model_server.bodies) <= 3


def test_cut_and_refused_replies_say_so(model_server, ask):
    model_server.script = lambda body, number: ("half a", "length")
    assert ask()[0].finish is Finish.LENGTH
    model_server.script = lambda body, number: ("", "content_filter")
    assert ask()[0].finish is Finish.REFUSED
    body = b'{"choices": [{"finish_reason": "stop", "message": {"content": null, "refusal": "I cannot."}}]}'
    model_server.script = lambda _, number: model_server.raw(body=body)
    assert (ask()[0].finish, ask()[0].text, ask()[0].note) == (Finish.REFUSED, "", "I cannot.")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]', "ab"),
        ('[{"type": "thinking", "thinking": []}, {"type": "text", "text": "b"}]', "b"),
        ("[]", ""),
        ("null", ""),
        (r'"\ud800!"', "?!"),
    ],
    ids=["parts", "thoughts", "none", "null", "surrogate"],
)
def test_the_text_of_a_message_is_read_in_each_of_its_forms(model_server, ask, content, text):
    body = f'{{"choices": [{{"finish_reason": "stop", "message": {{"content": {content}}}}}]}}'
    model_server.script = lambda _, number: model_server.raw(body=body.encode())
    (completion,) = ask(retries=0)
    assert (completion.text, completion.finish) == (text, Finish.STOP)


@pytest.mark.parametrize(
    ("count", "read"),
    [('"12"', 12), ("12.0", 12), ('"n/a"', 0), ("{}", 0), ("1e400", 0), ("NaN", 0), ("1" * 30, 0), ("-3", 0)],
)
def test_counts_of_tokens_that_cannot_be_are_none(model_server, ask, count, read):
    usage = f'{{"prompt_tokens": {count}, "completion_tokens": {count}}}'
    body = f'{{"choices": [{{"message": {{"content": "x"}}}}], "usage": {usage}}}'
    model_server.script = lambda _, number: model_server.raw(body=body.encode())
    (completion,) = ask(retries=0)
    assert (completion.text, completion.prompt_tokens, completion.completion_tokens) == ("x", read, read)


@pytest.mark.parametrize("usage", ["null", "5", '"none"', "[1]", "{}"])
def test_a_reply_that_does_not_count_its_tokens_is_one(model_server, ask, usage):
    body = f'{{"choices": [{{"message": {{"content": "x"}}}}], "usage": {usage}}}'
    model_server.script = lambda _, number: model_server.raw(body=body.encode())
    assert [(one.text, one.prompt_tokens) for one in ask(retries=0)] == [("x", 0)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"error": {"message": "no model"}}', "no model"),
        (b'{"error": "no model"}', "no model"),
        (b'{"message": "no model", "object": "error"}', "no model"),
        (b'{"detail": [{"msg": "odd"}]}', '{"detail": [{"msg": "odd"}]}'),
        (b"404 page not found", "404 page not found"),
        (b"", "nothing more"),
    ],
)
@pytest.mark.parametrize("path", ["/v1", "/"])
def test_what_a_server_answers_is_told_with_a_hint_at_its_url(model_server, ask, body, said, path):
    model_server.script = lambda _, number: model_server.raw(status=404, body=body)
    model_server.url = model_server.url.replace("/v1", path)
    with pytest.raises(ModelError) as caught:
        ask()
    hint = "" if path == "/v1" else "; the URL of most servers ends in /v1"
    assert str(caught.value).endswith(f" answers 404: {said}{hint}")


BAD_URLS = [
    ("http://127.0.0.1:99999/v1", "cannot be used: Port out of range"),
    ("http://127.0.0.1:first/v1", "cannot be used: Port could not be cast"),
    ("http://127.0.0.1:0/v1", "cannot be used: its port is 0"),
    ("http://[::1/v1", "cannot be used: Invalid IPv6 URL"),
    ("http://1.2.3.999/v1", "cannot be used: .*999"),
    ("http://a..b/v1", "cannot be used"),
    ("http:///v1", "cannot be used: it names no host"),
    ("http://my host/v1", "cannot be used: it holds a space"),
    ("127.0.0.1:8801/v1", "must begin with http:// or https://"),
    ("localhost:8801/v1", "must begin with http:// or https://"),
]


@pytest.mark.parametrize(("url", "said"), BAD_URLS)
def test_what_is_no_url_of_a_server_is_refused_at_once(monkeypatch, url, said):
    with pytest.raises(ConfigError, match=f"{re.escape(repr(url))}.*{said}"):
        ModelConfig(model="tiny", base_url=url)
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(ConfigError, match=f"{re.escape(repr(url))}.*{said}"):
        OpenAIModel(ModelConfig(model="tiny"))
    assert ModelConfig(model="tiny", base_url=url, backend="vllm").base_url == url  # which asks no server


BAD_KEYS = ["sk-abc\r\nB=2", "sk-ábc", "sk-a\tbc"]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_no_request_can_carry_is_refused_and_not_shown(monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY holds a character") as caught:
        OpenAIModel(ModelConfig(model="tiny"))
    assert "sk-" not in str(caught.value)


def test_what_ends_the_line_of_a_file_of_settings_is_no_part_of_them(model_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-abc\r")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{model_server.url}\r")
    for url in ("", f"{model_server.url}\r"):
        with OpenAIModel(ModelConfig(model="tiny", base_url=url), retries=0) as model:
            (completion,) = model.complete([Request(messages=({"role": "user", "content": "x"},))])
        assert completion.text == "hello"


@pytest.mark.parametrize("words", [["generate", "--teacher", "m"], ["measure", str(PROBLEMS), "--student", "m"]])
@pytest.mark.parametrize(
    ("options", "key", "said"),
    [
        *((["--base-url", url], "sk-abc", said) for url, said in BAD_URLS[::4]),
        *((["--base-url", "http://127.0.0.1:9/v1"], key, "OPENAI_API_KEY") for key in BAD_KEYS),
        (["--base-url", "http://127.0.0.1:9/v1", "--timeout", "nan"], "sk-abc", "timeout is nan"),
        (["--base-url", "http://127.0.0.1:9/v1", "--student-temperature", "inf"], "sk-abc", "temperature is inf"),
    ],
)
def test_commands_refuse_settings_of_a_model_before_they_begin(
    monkeypatch, capsys, tmp_path, *, words, options, key, said
):
    student = ["--student", "m"] if words[0] == "generate" else []
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setattr(sys, "argv", ["code-envs", *words, *student, *options, "-o", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as left:
        main()
    told = capsys.readouterr()
    assert (left.value.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert re.search(said, told.err)
    assert list(tmp_path.iterdir()) == []


def test_no_server_is_an_error_in_words():
    with OpenAIModel(ModelConfig(model="tiny", base_url="http://127.0.0.1:9/v1"), retries=0) as model:
        with pytest.raises(ModelError, match=r"http://127\.0\.0\.1:9/v1/ cannot be reached: [^.]+\. Start it"):
            model.complete([Request(messages=({"role": "user", "content": "x"},))])
        assert model.complete([]) == []


def test_threads_share_one_model(model_server):
    model_server.script = lambda body, number: body["messages"][0]["content"]
    config = ModelConfig(model="tiny", base_url=model_server.url)
    found = {}
    with make_model(config) as model:

        def work(name):
            found[name] = model.complete([Request(messages=({"role": "user", "content": name},))])[0].text

        threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert found == {f"t{i}": f"t{i}" for i in range(8)}


def test_impossible_settings_are_refused():
    for settings in (
        {"extra_body": "[1]"},
        {"extra_body": "{"},
        {"extra_body": '{"top_p": NaN}'},
        {"max_tokens": 0},
        {"temperature": -1.0},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_p": math.nan},
        {"top_p": -math.inf},
    ):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            Sampling(**settings)
    with pytest.raises(ConfigError, match="concurrency"):
        OpenAIModel(ModelConfig(model="x"), concurrency=0)
    for timeout in (0, math.nan, math.inf):
        with pytest.raises(ConfigError, match=f"timeout is {timeout}; give a number of seconds above 0"):
            ModelConfig(model="x", timeout=timeout)
    with pytest.raises(ConfigError, match="name"):
        ModelConfig(model=" ")
