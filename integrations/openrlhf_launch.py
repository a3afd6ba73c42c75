"""OpenRLHF's trainer with its prompts in the order of their file: for datasets that a curriculum ordered.

``python -m code_envs.integrations.openrlhf_launch FLAGS`` instead of
``python -m openrlhf.cli.train_ppo_ray FLAGS``. OpenRLHF 0.11.2 shuffles the prompts, and no flag turns that
off: the one call that asks for it is answered here with a loader that does not. Everything else is
upstream's. The trainer reads prompts in a process of Ray's, so each of those is told as it starts.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import runpy
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from code_envs.errors import MissingExtra

__all__ = ["keep_order", "main", "patch"]

_TRAINER = "openrlhf.trainer.ppo_trainer"
_HOOK = "code_envs.integrations.openrlhf_launch.keep_order"
_FORWARDED = {"TOKENIZERS_PARALLELISM": "true", "NCCL_DEBUG": "WARN", "RAY_ENABLE_ZERO_COPY_TORCH_TENSORS": "1"}
"""What upstream sets in its processes, unless it is set already."""


class _InOrder:
    """Upstream's strategy, whose loaders do not shuffle."""

    def __init__(self, strategy: Any) -> None:
        self._strategy = strategy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    def setup_dataloader(
        self, dataset: Any, batch_size: int, pin_memory: bool, _shuffle: bool, *more: Any, **settings: Any
    ) -> Any:
        return self._strategy.setup_dataloader(dataset, batch_size, pin_memory, False, *more, **settings)


def patch(module: ModuleType) -> None:
    """Make ``prepare_datasets`` of upstream's trainer keep the order of the prompts."""
    prepare = module.prepare_datasets
    module.prepare_datasets = lambda strategy, tokenizer: prepare(_InOrder(strategy), tokenizer)  # type: ignore[attr-defined]


class _Loader(importlib.abc.Loader):
    """Loads the trainer's module, then patches it."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self.loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        patch(module)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the trainer's module when it is imported; no process that does not need it imports it."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != _TRAINER:
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:  # an editable install has one of its own
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec.loader)
                return spec
        return None


def keep_order() -> None:
    """Have this process read prompts in order; Ray calls it where a process of the job starts."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def main(flags: Sequence[str]) -> None:
    """Run ``openrlhf.cli.train_ppo_ray`` with these flags.

    Raises:
        MissingExtra: openrlhf is not installed.
    """
    if importlib.util.find_spec("openrlhf") is None:
        raise MissingExtra("openrlhf", "openrlhf")
    import ray

    ray.init(
        runtime_env={
            "worker_process_setup_hook": _HOOK,
            "env_vars": {name: os.environ.get(name, value) for name, value in _FORWARDED.items()},
        }
    )
    keep_order()
    sys.argv = ["train_ppo_ray", *flags]
    runpy.run_module("openrlhf.cli.train_ppo_ray", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
