"""What a module's syntax says about its names: what binds them, what each statement uses and changes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from code_envs.syntax import parse
from code_envs.teacher.harvest_rules import MUTATORS

__all__ = ["Facts", "FunctionNode", "Module", "Refused", "children", "parse_module", "root_name", "walk"]

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_PLAIN = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For, ast.While, ast.Expr)  # cut out as they stand


class Refused(Exception):
    """A function does not qualify; the message is the reason."""


def parse_module(text: str) -> ast.Module | None:
    """Parse a module; None if it is not Python of this version."""
    try:
        return parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


class Facts:
    """What the nodes inside one statement use: collected in one walk, shared by all checks."""

    def __init__(self, root: ast.AST, *, annotations: bool = True) -> None:
        self.loads: dict[str, ast.Name] = {}
        self.stores: set[str] = set()
        self.attributes: list[ast.Attribute] = []
        self.changed: set[str] = set()  # the names whose objects are changed in place
        self.nodes = list(walk(root, annotations))
        for node in self.nodes:
            self._note(node)

    def _note(self, node: ast.AST) -> None:
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                self.loads.setdefault(name, node)
            case ast.Name(id=name) | ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                self.stores.add(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                self.stores.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                self.stores.update((alias.asname or alias.name).split(".")[0] for alias in names)
            case ast.Attribute():
                self.attributes.append(node)
                if isinstance(node.ctx, ast.Store | ast.Del) or node.attr in MUTATORS:
                    self.changed.add(root_name(node))
            case ast.Subscript(ctx=ast.Store() | ast.Del()):
                self.changed.add(root_name(node))
            case ast.AugAssign(target=ast.Name(id=name)):
                self.changed.add(name)
            case ast.Global(names=names):
                self.changed.update(names)

    @property
    def free(self) -> list[str]:
        """The names that are read but not bound here, in order of appearance."""
        return [name for name in self.loads if name not in self.stores]


def walk(root: ast.AST, annotations: bool = True) -> Iterator[ast.AST]:
    """The nodes of a tree in order of the text; twice as fast as the standard library's walk."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack += children(node, annotations)[::-1]


def children(node: ast.AST, annotations: bool = True) -> list[ast.AST]:
    """The nodes right below a node, in order."""
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if value.__class__ is list:
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST) and (annotations or name not in ("annotation", "returns")):
            found.append(value)
    return found


def root_name(node: ast.expr) -> str:
    """The name that a chain of attributes and subscripts starts from; empty where it is no name."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


class Module:
    """One module: which of its statements make up what each name means."""

    def __init__(self, text: str, tree: ast.Module, origin: str, licence: str) -> None:
        self.text, self.lines, self.tree = text, text.split("\n"), tree
        self.origin, self.licence = origin, licence
        self._facts: dict[int, Facts] = {}
        self.lazy = any(
            isinstance(node, ast.ImportFrom) and node.module == "__future__" and node.names[0].name == "annotations"
            for node in tree.body
        )

    def facts(self, node: ast.stmt) -> Facts:
        """What a statement uses, collected once."""
        if id(node) not in self._facts:
            self._facts[id(node)] = Facts(node, annotations=not self.lazy)
        return self._facts[id(node)]

    @cached_property
    def makers(self) -> dict[str, list[ast.stmt]]:
        """By name: the statements at module level that bind it or may change what it is bound to."""
        makers: dict[str, list[ast.stmt]] = {}
        for node in self.tree.body:
            for name in self._made_by(node):
                makers.setdefault(name, []).append(node)
        return makers

    def _made_by(self, node: ast.stmt) -> set[str]:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                return {name}
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                return {(alias.asname or alias.name).split(".")[0] for alias in names}
            case ast.Delete():
                return set()
            case ast.Expr():  # a call may change whatever it is given
                return set(self.facts(node).loads)
        if only_imports(node):
            inner = [*node.body, *getattr(node, "orelse", [])]  # type: ignore[attr-defined]
            return set().union(*map(self._made_by, inner))
        return self.facts(node).stores | self.facts(node).changed

    @cached_property
    def changed_inside(self) -> set[str]:
        """The global names that functions and methods change when they run."""
        changed: set[str] = set()
        for node in self.tree.body:
            if isinstance(node, FunctionNode | ast.ClassDef):
                facts = self.facts(node)
                changed |= facts.changed - facts.stores
                changed.update(name for inner in facts.nodes if isinstance(inner, ast.Global) for name in inner.names)
        return changed

    def _looks_changed(self, name: str) -> bool:
        """A quick look at the text, since most modules change nothing."""
        used = rf"\b{re.escape(name)}\b"
        mark = re.compile(rf"\b(?:global|del)\b.*{used}|{used}\s*(?:\.|\[.*=|[^\s\w]{{1,3}}=)")
        return any(name in line and mark.search(line) for line in self.lines if line[:1].isspace())

    def statements_for(self, name: str) -> list[ast.stmt]:
        """The statements that make a name what it is.

        Raises:
            Refused: That depends on how the module runs.
        """
        makers = self.makers.get(name, [])
        if not makers:
            return []
        firm: list[ast.stmt] = [node for node in makers if isinstance(node, FunctionNode | ast.ClassDef)]
        if len(firm) == 1 and all(
            node is firm[0] or only_imports(node) or isinstance(node, ast.Expr) for node in makers
        ):
            return firm  # an import besides it only swaps in an accelerated twin
        imports: list[ast.stmt] = [node for node in makers if isinstance(node, ast.Import | ast.ImportFrom)]
        if imports and all(isinstance(node, ast.Import | ast.ImportFrom | ast.Expr) for node in makers):
            return imports[:1]
        if self._looks_changed(name) and name in self.changed_inside:
            raise Refused(f"uses {name!r}, which the module changes")
        if not all(isinstance(node, _PLAIN) for node in makers):
            raise Refused(f"uses {name!r}, which the module binds in several ways")
        return makers

    def code_lines(self, node: ast.FunctionDef) -> int:
        """Count the lines of a function without docstrings, comments and blank lines."""
        return sum(1 for line in self.source(node) if line.strip() and not line.lstrip().startswith("#"))

    def comment_above(self, node: ast.FunctionDef) -> str:
        """The text of the comment lines right above a function."""
        at = _first_line(node) - 1
        lines: list[str] = []
        while at > 0 and self.lines[at - 1].startswith("#") and len(lines) < 12:
            at -= 1
            lines.insert(0, self.lines[at].lstrip("#! ").rstrip())
        return "\n".join(lines).strip()

    def source(self, node: ast.stmt) -> list[str]:
        """The lines of a statement, without docstrings."""
        chosen = dict(enumerate(self.lines[_first_line(node) - 1 : node.end_lineno], _first_line(node)))
        for inner in walk(node):
            if (
                isinstance(inner, FunctionNode | ast.ClassDef)
                and len(inner.body) > 1
                and ast.get_docstring(inner, False) is not None
            ):
                for number in range(inner.body[0].lineno, (inner.body[0].end_lineno or 0) + 1):
                    chosen.pop(number, None)
        return [line.rstrip() for line in chosen.values()]


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min(node.lineno, *(decorator.lineno for decorator in decorators), node.lineno)


def only_imports(node: ast.stmt) -> bool:
    if isinstance(node, ast.Try | ast.If):
        inner = [*node.body, *node.orelse]
        if isinstance(node, ast.Try):
            inner += [*node.finalbody, *(statement for handler in node.handlers for statement in handler.body)]
        return all(only_imports(statement) for statement in inner)
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Pass | ast.Delete)
