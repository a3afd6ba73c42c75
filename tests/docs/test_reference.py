"""The reference page is what the code says."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def load_builder():
    spec = importlib.util.spec_from_file_location("build_reference", ROOT / "docs" / "build_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date():
    builder = load_builder()
    assert builder.PAGE.read_text(encoding="utf-8") == builder.build(), "run: python docs/build_reference.py"


def test_every_command_and_option_has_a_description():
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    empty = [line for line in page.splitlines() if line.endswith("|  |")]
    assert not empty
