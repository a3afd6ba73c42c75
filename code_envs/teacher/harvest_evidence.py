"""Arguments that a harvested function is known to be called with: in doctests, in its module, in tests.

Calls are found in syntax trees, and only literal arguments are taken, read by the literal parser.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath

from code_envs.errors import LiteralError, ValueRefused
from code_envs.programs.source import parse_program
from code_envs.teacher.harvest_module import parse_module
from code_envs.teacher.harvest_rules import LITERAL_ATTRIBUTES
from code_envs.teacher.harvest_scan import Candidate
from code_envs.teacher.seeds import SeedSource, TreeSource, read_python
from code_envs.values import encode, parse_literal

__all__ = ["Arguments", "defaults_of", "evidence"]

Arguments = tuple[object, ...]
_MOST = 40
_MAX_NODES = 300  # of one argument
_LITERAL = (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.UnaryOp, ast.USub, ast.Load)


def evidence(candidate: Candidate, source: SeedSource) -> list[Arguments]:
    """Find argument tuples that people wrote for a function.

    Args:
        candidate: The function.
        source: Where it comes from; of a tree of files, its module and the tests are read too.

    Returns:
        Distinct argument tuples, doctests first; may be empty.
    """
    tree = parse_program(candidate.program)
    trees = [_doctest(candidate.doc), *map(_tree_of, _files_of_use(candidate, source))]
    found: dict[bytes, Arguments] = {}
    for calls in trees:
        for call, known in _calls(calls, candidate.name) if calls else ():
            arguments = _bind(call, known, candidate, tree)
            if arguments is not None and len(found) < _MOST:
                found.setdefault(encode(arguments, ordered=True), arguments)
    return list(found.values())


def _doctest(doc: str) -> ast.Module | None:
    """Collect the statements of the examples in a docstring that are Python."""
    statements: list[str] = []
    for line in doc.split("\n"):
        line = line.strip()
        if line.startswith(">>> "):
            statements.append(line[4:])
        elif line.startswith("... ") and statements:
            statements[-1] += "\n" + line[4:]
    parsed = [tree for text in statements if (tree := parse_module(text))]
    return ast.Module([node for tree in parsed for node in tree.body], [])


def _files_of_use(candidate: Candidate, source: SeedSource) -> Iterator[Path]:
    """The module itself, and where trees commonly keep its tests."""
    if not isinstance(source, TreeSource):
        return
    root, path = source.root, PurePosixPath(candidate.module.removeprefix(f"{source.label}/"))
    yield root / path
    name = path.parent.name if path.stem == "__init__" else path.stem
    names = [f"test_{name.lstrip('_')}.py", f"{name.lstrip('_')}_test.py"]
    if len(path.parts) > 1:
        names.append(f"test_{path.parts[0]}/test_{name}.py")
    for folder in path.parents:
        for place in ("", "test", "tests"):
            for name in names:
                if (file := root / folder / place / name).is_file():
                    yield file
    outside = root.resolve().parent / "tests"  # as in a project with a source folder
    yield from (file for name in names if (file := outside / name).is_file())


@lru_cache(maxsize=16)
def _tree_of(path: Path) -> ast.Module | None:
    text = read_python(path)
    return parse_module(text) if text else None


def _calls(tree: ast.Module, name: str) -> Iterator[tuple[ast.Call, Mapping[str, ast.expr]]]:
    """Find the calls of a function, each with the literals that variables around it stand for."""
    scopes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for scope in (tree, *scopes):
        nodes = list(_within(scope))
        known: dict[str, ast.expr] = {}
        for node in nodes:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                known[node.targets[0].id] = node.value
            elif isinstance(node, ast.Call) and _is_call_of(node.func, name):
                yield node, known


def _is_call_of(func: ast.expr, name: str) -> bool:
    if isinstance(func, ast.Attribute):  # b"..".decode() is not a call of some module's decode()
        return func.attr == name and isinstance(func.value, ast.Name) and name not in LITERAL_ATTRIBUTES
    return isinstance(func, ast.Name) and func.id == name


def _within(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope in order, without those of the functions in it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _within(child)


def _bind(call: ast.Call, known: Mapping[str, ast.expr], candidate: Candidate, tree: ast.Module) -> Arguments | None:
    defaults = defaults_of(tree, candidate.name)
    names = list(defaults)
    given = dict(zip(names, call.args, strict=False)) | {word.arg: word.value for word in call.keywords if word.arg}
    if len(call.args) > len(names) or not given.keys() <= defaults.keys():
        return None
    values: list[object] = []
    for name in names:
        node = given.get(name, defaults[name])
        if isinstance(node, ast.Name):
            node = known.get(node.id) if name in given else _constant(tree, node.id)
        value = _literal(node)
        if value is None:
            return None
        values.append(value[0])
    return tuple(values)


def _constant(tree: ast.Module, name: str) -> ast.expr | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            return node.value
    return None


def _literal(node: ast.expr | None) -> tuple[object] | None:
    """Read a literal; in a tuple, since it may be None."""
    if node is None:
        return None
    nodes = list(ast.walk(node))
    if len(nodes) > _MAX_NODES or not all(isinstance(inner, _LITERAL) for inner in nodes):
        return None
    try:
        value = parse_literal(ast.unparse(node))
        encode(value)
    except (LiteralError, ValueRefused):
        return None
    return (value,)


def defaults_of(tree: ast.Module, entry: str) -> dict[str, ast.expr | None]:
    """The parameters of a function in order, with their defaults."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == entry:
            names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
            required: list[ast.expr | None] = [None] * (len(names) - len(node.args.defaults))
            return dict(zip(names, [*required, *node.args.defaults], strict=True))
    return {}
