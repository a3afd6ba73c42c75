"""The wheel holds the tree, imports go one way, and importing is light."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SIBLINGS = ("curricula", "integrations", "benchmarks")
# Downward only: a module may import those that stand before it, and its own package.
ORDER = (
    "errors",
    "syntax",
    "folders",
    "hashes",
    "codec",
    "literals",
    "values",
    "outputs",
    "record",
    "stored",
    "attempts",
    "problem",
    "executor",
    "programs",
    "dedup",
    "cluster",
    "models",
    "students",
    "modes",
    "contamination",
    "measure",
    "teacher",
    "envs",
    "rollout",
    "generation",
    "report",
    "cli",
)
SOURCES = sorted(path for top in ("code_envs", *SIBLINGS) for path in (ROOT / top).rglob("*.py"))


def module_name(path: Path) -> str:
    """The name under which a file of the tree is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "code_envs" else ("code_envs", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """Every code_envs module that a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "code_envs"}


def test_the_wheel_holds_exactly_the_tree(tmp_path):
    copy = tmp_path / "tree"
    shutil.copytree(
        ROOT,
        copy,
        ignore=shutil.ignore_patterns(".venv", ".git", "build", "*.egg-info", "__pycache__", "runs", ".*cache"),
    )
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        str(tmp_path),
        ".",
    ]
    subprocess.run(command, cwd=copy, check=True, capture_output=True, text=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    there = {
        path.relative_to(ROOT)
        for top in ("code_envs", *SIBLINGS)
        for path in (ROOT / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    expected = {str(path if path.parts[0] == "code_envs" else Path("code_envs") / path) for path in there}
    assert packed == expected


def test_every_package_is_listed():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    assert listed == {module_name(path) for path in SOURCES if path.name == "__init__.py"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path):
    own = module_name(path)
    parts = own.split(".")
    if len(parts) == 1:
        return  # the package itself hands out everything, lazily
    for name in imported(path):
        other = name.split(".")[1] if "." in name else ""
        if parts[1] in SIBLINGS or other not in (*ORDER, *SIBLINGS):
            continue
        if other in SIBLINGS:
            assert parts[1] in ("cli", "commands"), f"{own} is core and imports {name}"
        elif parts[1] in ORDER:
            assert ORDER.index(other) <= ORDER.index(parts[1]), f"{own} imports {name}, which stands below it"


def test_every_module_has_its_place():
    tops = {module_name(path).split(".")[1] for path in SOURCES if module_name(path) != "code_envs"}
    assert tops - set(SIBLINGS) - {"commands"} == set(ORDER)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_exported_names_exist(path):
    tree = ast.parse(path.read_text())
    exported = [
        ast.literal_eval(node.value)
        for node in tree.body
        if (isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__")
        or (isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "__all__")
    ]
    defines = any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body)
    if (not defines and not exported) or path.name == "zygote.py":  # a program of its own, started by path
        return
    assert exported, f"{path} defines no __all__"
    (names,) = exported
    assert len(names) == len(set(names)), "a name is exported twice"
    program = (
        f"import importlib; m = importlib.import_module({module_name(path)!r}); [getattr(m, n) for n in {names!r}]"
    )
    exec(compile(program, "exported", "exec"), {})


def test_importing_is_light():
    program = (
        "import sys, time; start = time.process_time(); import code_envs; used = time.process_time() - start\n"
        "heavy = {'torch', 'vllm', 'openai', 'datasketch', 'scipy', 'datasets', 'matplotlib', 'ray', 'rich'}\n"
        "heavy = (heavy | {'pandas', 'typer'}) & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PATH": os.environ["PATH"]})


def test_the_package_is_typed_and_licensed():
    assert (ROOT / "code_envs" / "py.typed").exists()
    assert "Apache License" in (ROOT / "LICENSE").read_text()[:200]
