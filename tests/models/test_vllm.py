"""The in-process backend. vLLM needs a GPU or its CPU build: here a fake stands for the library, so that
only our side of the call is tested."""

import asyncio
import sys
import types

import pytest

from code_envs.errors import MissingExtra, ModelError, UnknownName
from code_envs.models import Constraint, Finish, ModelConfig, Request, Sampling, make_model


class FakeParams:
    def __init__(self, output_kind, **settings):
        assert output_kind == "final"
        self.settings = settings


class FakeTokenizer:
    def apply_chat_template(self, chat, add_generation_prompt, tokenize, return_dict, reasoning_effort="none"):
        assert (add_generation_prompt, tokenize, return_dict) == (True, True, False)
        return [*chat[-1]["content"].encode(), len(reasoning_effort)]


class FakeEngine:
    """Has the signatures of vLLM's asynchronous engine, and returns what it would in shape."""

    def __init__(self):
        self.errored, self.numbers, self.at_once, self.most, self.ended = False, [], 0, 0, False

    @classmethod
    def from_engine_args(cls, args):
        assert args.model == "tiny"
        return cls()

    def get_tokenizer(self):
        return FakeTokenizer()

    async def generate(self, prompt, params, number):
        *codes, effort = prompt["prompt_token_ids"]
        text = bytes(codes).decode()
        self.numbers.append(number)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(60 if text == "slow" else 0.05)
        self.at_once -= 1
        if text == "long":
            raise ValueError("the prompt is too long")
        if text == "bug":
            raise KeyError("bug")
        self.errored = self.errored or text == "die"
        if self.errored:
            raise RuntimeError("CUDA error")
        own = types.SimpleNamespace(
            text=f"{text} {effort} {params.settings}",
            token_ids=[7] * params.settings["max_tokens"],
            finish_reason="length" if params.settings["max_tokens"] == 1 else "stop",
        )
        yield types.SimpleNamespace(prompt_token_ids=prompt["prompt_token_ids"], outputs=[own])

    def shutdown(self):
        self.ended = True


@pytest.fixture
def model(monkeypatch):
    library = types.SimpleNamespace(
        AsyncEngineArgs=types.SimpleNamespace, AsyncLLMEngine=FakeEngine, SamplingParams=FakeParams
    )
    kinds = types.SimpleNamespace(
        RequestOutputKind=types.SimpleNamespace(FINAL_ONLY="final"), StructuredOutputsParams=dict
    )
    monkeypatch.setitem(sys.modules, "vllm", library)
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", kinds)
    model = make_model(ModelConfig(model="tiny", backend="vllm", timeout=4))
    yield model
    model.close()
    assert model._engine._engine.ended


def chat(text, **settings):
    return Request(messages=({"role": "user", "content": text},), **settings)


def test_requests_share_a_batch_and_replies_come_in_order(model):
    low, high = Sampling(reasoning_effort="low", max_tokens=1), Sampling(reasoning_effort="high", max_tokens=2)
    requests = [
        chat(text, sampling=sampling, seed=seed)
        for seed, (text, sampling) in enumerate([("a", low), ("b", high), ("c", low)])
    ]
    told = []
    completions = model.complete(requests, lambda place, _: told.append(place))
    assert [completion.text[:3] for completion in completions] == ["a 3", "b 4", "c 3"]
    assert [completion.finish for completion in completions] == [Finish.LENGTH, Finish.STOP, Finish.LENGTH]
    assert [completion.completion_tokens for completion in completions] == [1, 2, 1]
    assert [completion.prompt_tokens for completion in completions] == [2, 2, 2]
    assert sorted(told) == [0, 1, 2]
    engine = model._engine._engine
    assert engine.most == 3
    assert len(set(engine.numbers)) == 3


def test_what_an_engine_does_not_take_or_do_in_time_is_a_reply(model):
    finishes = [completion.finish for completion in model.complete([chat("long"), chat("slow"), chat("a")])]
    assert finishes == [Finish.REJECTED, Finish.TIMEOUT, Finish.STOP]
    with pytest.raises(KeyError):
        model.complete([chat("bug")])


def test_a_dead_engine_is_named(model):
    with pytest.raises(ModelError, match=r"engine of 'tiny' has died: CUDA error"):
        model.complete([chat("die")])


def test_every_setting_reaches_the_engine(model):
    sampling = Sampling(temperature=0.5, top_p=0.8, max_tokens=9, extra_body='{"top_k": 4}')
    (completion,) = model.complete([chat("x", sampling=sampling, seed=3)])
    assert completion.text == "x 4 " + str({"max_tokens": 9, "seed": 3, "temperature": 0.5, "top_p": 0.8, "top_k": 4})


def test_a_constraint_reaches_the_engine(model):
    forms = [Constraint(schema='{"type": "object"}'), Constraint(grammar='root ::= "x"')]
    schema, grammar = model.complete([chat("x", constraint=form) for form in forms])
    assert str({"json": '{"type": "object"}'}) in schema.text
    assert str({"grammar": 'root ::= "x"'}) in grammar.text


def test_the_missing_library_and_unknown_backends_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingExtra, match=r"code-envs\[vllm\]"):
        make_model(ModelConfig(model="tiny", backend="vllm"))
    with pytest.raises(UnknownName, match="openai"):
        make_model(ModelConfig(model="tiny", backend="opnai"))
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtra, match=r"code-envs\[openai\]"):
        make_model(ModelConfig(model="tiny"))
