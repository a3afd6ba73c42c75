"""Cut a function out of its module, together with all that it needs, without changing what it does."""

from __future__ import annotations

import ast
import re

from code_envs.errors import ProblemError
from code_envs.programs.source import MAX_PROGRAM, parse_program
from code_envs.teacher.harvest_module import Facts, FunctionNode, Module, Refused, root_name
from code_envs.teacher.harvest_rules import BUILTINS, MODULES, OBJECT_ATTRIBUTES, allows

__all__ = ["Slice", "check_untouched", "logic_of"]

_MAX_SLICE = 160  # lines of the whole program


class Slice:
    """Everything that one function needs of its module."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.imports: set[str] = set()
        self.modules: dict[str, str] = {}  # local name of an imported module: its dotted name
        self.statements: dict[int, ast.stmt] = {}
        self.seen: set[str] = set()

    @property
    def functions(self) -> list[ast.FunctionDef]:
        """The functions of the slice, the one that was asked for first."""
        return [node for node in self.statements.values() if isinstance(node, ast.FunctionDef)]

    def add(self, name: str) -> None:
        """Add what binds a name, and all that this needs in turn."""
        if name in self.seen:
            return
        self.seen.add(name)
        statements = self.module.statements_for(name)
        if not statements and name not in BUILTINS:
            raise Refused(f"uses {name!r}, which is not pure or not known")
        for node in statements:
            self._add_statement(name, node)

    def _add_statement(self, name: str, node: ast.stmt) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            self._add_import(name, node)
            return
        if id(node) in self.statements:
            return
        if isinstance(node, ast.ClassDef) and not _is_plain_exception(node):
            raise Refused(f"uses the class {name!r}")
        _check_decorators(node)
        self.statements[id(node)] = node
        facts = self.module.facts(node)
        if not isinstance(node, ast.ClassDef):
            _check_pure(facts)
        makes = set() if isinstance(node, FunctionNode | ast.ClassDef) else facts.stores | facts.changed
        for other in [*facts.free, *sorted(makes)]:  # a statement that binds two names: all that makes either
            self.add(other)
        self._check_attributes(facts)

    def _add_import(self, name: str, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if (alias.asname or alias.name).split(".")[0] != name:
                continue
            renamed = f" as {alias.asname}" if alias.asname else ""
            if isinstance(node, ast.Import):
                if not any(module == alias.name or module.startswith(alias.name + ".") for module in MODULES):
                    raise Refused(f"imports {alias.name!r}")
                self.imports.add(f"import {alias.name}{renamed}")
                self.modules[name] = alias.name if alias.asname else name
            else:
                module = "." * node.level + (node.module or "")
                if not allows(module, alias.name):
                    raise Refused(f"imports {alias.name!r} from {module!r}")
                self.imports.add(f"from {module} import {alias.name}{renamed}")

    def _check_attributes(self, facts: Facts) -> None:
        qualified: set[int] = set()
        for node in facts.attributes:  # outermost first, so that urllib.parse.quote is seen whole
            if id(node) in qualified:
                continue
            chain = _chain(node)
            if chain and chain[0].id in self.modules and chain[0].id not in facts.stores:
                self._check_qualified(self.modules[chain[0].id], chain[1])
                inner: ast.expr = node
                while isinstance(inner, ast.Attribute):
                    qualified.add(id(inner))
                    inner = inner.value
            elif node.attr not in OBJECT_ATTRIBUTES:
                raise Refused(f"uses the attribute {node.attr!r}")
        bare = {node.id for node in facts.nodes if isinstance(node, ast.Name)} & self.modules.keys() - facts.stores
        used = {root_name(node) for node in facts.attributes}
        for name in sorted(bare - used):
            raise Refused(f"passes the module {name!r} around")

    @staticmethod
    def _check_qualified(module: str, attributes: list[str]) -> None:
        while attributes and f"{module}.{attributes[0]}" in MODULES:
            module, attributes = f"{module}.{attributes[0]}", attributes[1:]
        if not attributes or not allows(module, attributes[0]):
            raise Refused(f"uses {'.'.join((module, *attributes[:1]))!r}")

    def program(self) -> str:
        """The program text: imports, then everything else in the order of the module."""
        lines = ["from __future__ import annotations"] if self.module.lazy else []
        lines += sorted(self.imports)
        for node in sorted(self.statements.values(), key=lambda node: node.lineno):
            is_block = isinstance(node, ast.FunctionDef | ast.ClassDef)
            lines += (["", ""] if is_block and lines else []) + self.module.source(node)
            lines += ["", ""] if is_block else []
        if len(lines) > _MAX_SLICE:
            raise Refused(f"needs {len(lines)} lines, more than {_MAX_SLICE}")
        program = re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip() + "\n"
        if len(program) > MAX_PROGRAM // 4:
            raise Refused(f"needs {len(program)} characters")
        return program


def _check_pure(facts: Facts) -> None:
    """Refuse what no pure function does, whatever its names mean."""
    for node in facts.nodes:
        match node:
            case ast.Global():
                raise Refused(f"changes the global name {node.names[0]!r}")
            case ast.Await() | ast.AsyncFor() | ast.AsyncWith() | ast.AsyncFunctionDef():
                raise Refused("is asynchronous")
            case ast.With() | ast.ClassDef():
                raise Refused("manages a context" if isinstance(node, ast.With) else "defines a class")
            case ast.Import() | ast.ImportFrom():
                raise Refused("imports inside of the function")


def _chain(node: ast.Attribute) -> tuple[ast.Name, list[str]] | None:
    names: list[str] = []
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        names.insert(0, inner.attr)
        inner = inner.value
    return (inner, names) if isinstance(inner, ast.Name) else None


def _is_plain_exception(node: ast.ClassDef) -> bool:
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    plain = all(
        isinstance(item, ast.Pass) or (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))
        for item in node.body
    )
    known = bases and all(base in BUILTINS and base.endswith(("Error", "Exception")) for base in bases)
    return bool(plain and known and not node.decorator_list and not node.keywords)


def _check_decorators(node: ast.stmt) -> None:
    for decorator in getattr(node, "decorator_list", []):
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "")
        if name not in ("cache", "lru_cache"):
            raise Refused(f"has the decorator {name!r}")


def check_untouched(program: str, functions: list[ast.FunctionDef]) -> None:
    """Make sure that what was cut out means what the original meant."""
    try:
        tree = parse_program(program)
    except ProblemError as error:
        raise Refused("cannot be cut out of its module") from error
    cut = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for function in functions:
        if function.name not in cut or logic_of(cut[function.name]) != logic_of(function):
            raise Refused("cannot be cut out of its module")


def logic_of(function: ast.FunctionDef) -> str:
    """Write the syntax of a function without docstrings and positions, for comparison."""
    bare = []
    for node in ast.walk(function):
        if isinstance(node, FunctionNode) and len(node.body) > 1 and ast.get_docstring(node, False) is not None:
            bare.append((node, node.body))
            node.body = node.body[1:]
    try:
        return ast.dump(function)
    finally:
        for node, body in bare:
            node.body = body
