"""The in-process backend. vLLM needs a GPU or its CPU build: here a fake stands for the library, so that
only our side of the call is tested."""

import sys
import types

import pytest

from code_envs.errors import MissingExtra, UnknownName
from code_envs.models import Finish, ModelConfig, Request, Sampling, make_model


class FakeParams:
    def __init__(self, **settings):
        self.settings = settings


class FakeLLM:
    """Has the signature of ``vllm.LLM.chat``, and returns what it would in shape."""

    def __init__(self, model):
        self.model, self.batches = model, []

    def chat(self, messages, sampling_params, use_tqdm, chat_template_kwargs):
        assert use_tqdm is False
        self.batches.append((len(messages), chat_template_kwargs))
        return [
            types.SimpleNamespace(
                prompt_token_ids=[1, 2, 3],
                outputs=[
                    types.SimpleNamespace(
                        text=f"{chat[-1]['content']} {params.settings}",
                        token_ids=[7] * params.settings["max_tokens"],
                        finish_reason="length" if params.settings["max_tokens"] == 1 else "stop",
                    )
                ],
            )
            for chat, params in zip(messages, sampling_params, strict=True)
        ]


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", types.SimpleNamespace(LLM=FakeLLM, SamplingParams=FakeParams))
    return make_model(ModelConfig(model="tiny", backend="vllm"))


def test_one_batch_for_each_effort_and_replies_in_order(model):
    low, high = Sampling(reasoning_effort="low", max_tokens=1), Sampling(reasoning_effort="high", max_tokens=2)
    requests = [
        Request(messages=({"role": "user", "content": text},), sampling=sampling, seed=seed)
        for seed, (text, sampling) in enumerate([("a", low), ("b", high), ("c", low)])
    ]
    told = []
    completions = model.complete(requests, lambda place, _: told.append(place))
    assert [completion.text[0] for completion in completions] == ["a", "b", "c"]
    assert [completion.finish for completion in completions] == [Finish.LENGTH, Finish.STOP, Finish.LENGTH]
    assert [completion.completion_tokens for completion in completions] == [1, 2, 1]
    assert model._llm.batches == [(2, {"reasoning_effort": "low"}), (1, {"reasoning_effort": "high"})]
    assert sorted(told) == [0, 1, 2]


def test_every_setting_reaches_the_engine(model):
    sampling = Sampling(temperature=0.5, top_p=0.8, max_tokens=9, extra_body='{"top_k": 4}')
    (completion,) = model.complete([Request(messages=({"role": "user", "content": "x"},), sampling=sampling, seed=3)])
    assert completion.text == "x " + str({"max_tokens": 9, "seed": 3, "temperature": 0.5, "top_p": 0.8, "top_k": 4})


def test_the_missing_library_and_unknown_backends_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingExtra, match=r"code-envs\[vllm\]"):
        make_model(ModelConfig(model="tiny", backend="vllm"))
    with pytest.raises(UnknownName, match="openai"):
        make_model(ModelConfig(model="tiny", backend="opnai"))
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtra, match=r"code-envs\[openai\]"):
        make_model(ModelConfig(model="tiny"))
