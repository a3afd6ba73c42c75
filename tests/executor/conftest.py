"""Makes the attacks importable: pytest imports tests by path, so what they share is found by path too."""

import importlib.util
import sys
from pathlib import Path

_FOLDER = Path(__file__).parent / "attacks"


def _load() -> None:
    spec = importlib.util.spec_from_file_location(
        "attacks", _FOLDER / "__init__.py", submodule_search_locations=[str(_FOLDER)]
    )
    module = sys.modules["attacks"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


if "attacks" not in sys.modules:
    _load()
