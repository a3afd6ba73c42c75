"""The order of a file is kept by upstream's own loading of prompts; it needs ``make openrlhf-test``."""

import importlib.abc
import importlib.util
import json
import sys
from types import SimpleNamespace

import pytest

from code_envs.integrations import openrlhf_launch
from code_envs.integrations.openrlhf_data import write_rows

from .openrlhf_tools import make_tokenizer, upstream

STEPS, BATCH = 6, 4


def test_only_the_trainer_is_patched():
    finder = openrlhf_launch._Finder()
    assert finder.find_spec("json", None) is None
    seen = []
    module = SimpleNamespace(prepare_datasets=lambda strategy, tokenizer: seen.append(strategy.setup_dataloader))
    openrlhf_launch.patch(module)
    asked = SimpleNamespace(setup_dataloader=lambda *call, **named: call, seed=3)
    module.prepare_datasets(asked, None)
    assert seen[0]("data", 1, True, True, "collate", num_workers=0) == ("data", 1, True, False, "collate")


class Elsewhere(importlib.abc.MetaPathFinder):
    """Finds the trainer where the usual finder does not look, as that of an editable install does."""

    def __init__(self, file):
        self.file = file

    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_file_location(name, self.file) if name == openrlhf_launch._TRAINER else None


def test_a_trainer_is_patched_wherever_it_is_installed(tmp_path, monkeypatch):
    (tmp_path / "trainer.py").write_text("def prepare_datasets(strategy, tokenizer):\n    return strategy\n")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Elsewhere(tmp_path / "trainer.py")])
    openrlhf_launch.keep_order()
    openrlhf_launch.keep_order()  # a second call changes nothing
    spec = sys.meta_path[0].find_spec(openrlhf_launch._TRAINER, [])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    asked = SimpleNamespace(setup_dataloader=lambda *call: call)
    assert module.prepare_datasets(asked, None).setup_dataloader("data", 1, True, True) == ("data", 1, True, False)


@pytest.mark.extra
@pytest.mark.skipif(importlib.util.find_spec("openrlhf") is None, reason="needs openrlhf and torch: make openrlhf-test")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("patched", [True, False])
def test_each_batch_of_upstream_holds_the_prompts_of_its_step(tmp_path, monkeypatch, patched):
    trainer, samples, deepspeed = upstream(
        monkeypatch, "trainer.ppo_trainer", "trainer.ppo_utils.samples_generator", "utils.deepspeed.deepspeed"
    )
    if patched:
        openrlhf_launch.patch(trainer)
    rows = ({"prompt": f"prompt {at}", "label": json.dumps({"step": at // BATCH})} for at in range(STEPS * BATCH))
    write_rows(rows, tmp_path / "train.jsonl")
    strategy = deepspeed.DeepspeedStrategy.__new__(deepspeed.DeepspeedStrategy)
    strategy.args, strategy.seed = _arguments(tmp_path / "train.jsonl"), 42
    strategy.print, strategy.is_rank_0 = (lambda *_: None), (lambda: True)
    loader, evaluation, steps = trainer.prepare_datasets(strategy, make_tokenizer("qwen3"))
    assert (evaluation, steps) == (None, STEPS)

    found, iterator = [], iter(loader)
    for _ in range(STEPS):
        prompts, labels, _, _ = samples._collect_prompt_batch(iterator, BATCH)
        assert len(prompts) == BATCH
        found.append({json.loads(label)["step"] for label in labels})
    assert (found == [{step} for step in range(STEPS)]) is patched


def _arguments(path):
    """What upstream's parser gives to its loading of prompts."""
    return SimpleNamespace(
        data=SimpleNamespace(
            prompt_dataset=str(path),
            prompt_probs=None,
            prompt_split="train",
            max_samples=1_000_000,
            input_template=None,
            input_key="prompt",
            label_key="label",
            apply_chat_template=True,
            dataloader_num_workers=0,
        ),
        eval=SimpleNamespace(dataset=None),
        train=SimpleNamespace(seed=42, batch_size=BATCH * 8, num_episodes=1, max_epochs=1),
        rollout=SimpleNamespace(n_samples_per_prompt=8),
    )
