"""Find the pure, self-contained functions of a module, by reading it: nothing is imported or run.

A function qualifies if its slice, which is the function together with the helper functions, constants and
imports that it needs, uses only what :mod:`code_envs.teacher.harvest_rules` knows to be pure. Its
logic stays untouched: the program is cut out of the source, without docstrings.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Iterator
from functools import cached_property

import msgspec

from code_envs.errors import ProblemError
from code_envs.programs.source import MAX_PROGRAM, parse_program
from code_envs.teacher.base import LEVELS
from code_envs.teacher.harvest_rules import (
    BUILTINS,
    LITERAL_ATTRIBUTES,
    MODULES,
    MUTATORS,
    OBJECT_ATTRIBUTES,
    allows,
)

__all__ = ["Candidate", "Refused", "may_qualify", "parse_module", "scan_module"]

_LINES = (4, 60)  # of the function itself, without docstring, comments and blank lines
_MAX_SLICE = 160  # lines of the whole program
_PARAMETERS = (1, 4)
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_PLAIN = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For, ast.While, ast.Expr)  # cut out as they stand


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A function that qualifies statically.

    Attributes:
        name: The name of the function, which is the program's entry.
        program: The source of the function and of what it needs, self-contained.
        signature: As ``Problem.signature`` has it.
        doc: Its docstring, or the comment above it; may be empty.
        module: Where the module stands, such as ``python3.11/heapq.py``.
        lines: Its first and last line in that module, from 1.
        licence: The licence of the module.
        score: How much there is to follow: statements, branches, loops, helpers.
        level: The score on the teachers' scale, 0 easiest.
    """

    name: str
    program: str
    signature: str
    doc: str
    module: str
    lines: tuple[int, int]
    licence: str
    score: float
    level: int

    @property
    def origin(self) -> str:
        """Where it was found: module and lines."""
        return f"{self.module}:{self.lines[0]}-{self.lines[1]}"


class Refused(Exception):
    """A function does not qualify; the message is the reason."""


def parse_module(text: str) -> ast.Module | None:
    """Parse a module; None if it is not Python of this version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return None


_HEAD = re.compile(r"^def \w+\(\s*(?!self\b|cls\b|\*|\))[^*]*?\)[^\n]*:", re.MULTILINE)
_GIVES = re.compile(r"^\s+return\s+(?!None\b)\S", re.MULTILINE)
_NEVER = re.compile(r"\b(?:yield|await|global|print\(|open\(|os\.environ|os\.path)|^\s+(?:import|from) ", re.MULTILINE)


def may_qualify(text: str) -> bool:
    """A quick look at the text of a module: whether it is worth parsing for its functions.

    Functions that are refused for another reason than these patterns show still cost a parse.
    """
    heads = list(_HEAD.finditer(text))
    for head in heads:
        end = re.compile(r"^[^\s#)]", re.MULTILINE).search(text, head.end())
        body = text[head.end() : end.start() if end else len(text)]
        if body.count("\n") >= _LINES[0] - 1 and _GIVES.search(body) and not _NEVER.search(_without_docstring(body)):
            return True
    return False


def _without_docstring(body: str) -> str:
    return re.sub(r"\A\s*r?(\"\"\"|''').*?\1", "", body, flags=re.DOTALL)


def scan_module(text: str, origin: str, licence: str = "unknown") -> dict[str, Candidate | str]:
    """Examine every module-level function of a module.

    Args:
        text: The source.
        origin: Where the module stands.
        licence: Its licence.

    Returns:
        By name, in order: the candidate, or the reason why the function is refused. Empty if the
        text is not Python.
    """
    if not re.search(r"^(?:async )?def ", text, re.MULTILINE):
        return {}
    tree = parse_module(text)
    if tree is None:
        return {}
    module = _Module(text, tree, origin, licence)
    found: dict[str, Candidate | str] = {}
    for node in tree.body:
        if isinstance(node, _Function):
            try:
                found[node.name] = module.candidate(node)
            except Refused as reason:
                found[node.name] = str(reason)
    return found


class _Facts:
    """What the nodes inside one statement use: collected in one walk, shared by all checks."""

    def __init__(self, root: ast.AST, *, annotations: bool = True) -> None:
        self.loads: dict[str, ast.Name] = {}
        self.stores: set[str] = set()
        self.attributes: list[ast.Attribute] = []
        self.changed: set[str] = set()  # the names whose objects are changed in place
        self.nodes = list(_walk(root, annotations))
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
                    self.changed.add(_root(node))
            case ast.Subscript(ctx=ast.Store() | ast.Del()):
                self.changed.add(_root(node))
            case ast.AugAssign(target=ast.Name(id=name)):
                self.changed.add(name)
            case ast.Global(names=names):
                self.changed.update(names)

    @property
    def free(self) -> list[str]:
        """The names that are read but not bound here, in order of appearance."""
        return [name for name in self.loads if name not in self.stores]


def _walk(root: ast.AST, annotations: bool = True) -> Iterator[ast.AST]:
    """The nodes of a tree in order of the text; twice as fast as the standard library's walk."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack += _children(node, annotations)[::-1]


def _children(node: ast.AST, annotations: bool = True) -> list[ast.AST]:
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if value.__class__ is list:
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST) and (annotations or name not in ("annotation", "returns")):
            found.append(value)
    return found


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


class _Module:
    """One module: which of its statements make up what each name means."""

    def __init__(self, text: str, tree: ast.Module, origin: str, licence: str) -> None:
        self.text, self.lines, self.tree = text, text.split("\n"), tree
        self.origin, self.licence = origin, licence
        self._facts: dict[int, _Facts] = {}
        self.lazy = any(
            isinstance(node, ast.ImportFrom) and node.module == "__future__" and node.names[0].name == "annotations"
            for node in tree.body
        )

    def facts(self, node: ast.stmt) -> _Facts:
        """What a statement uses, collected once."""
        if id(node) not in self._facts:
            self._facts[id(node)] = _Facts(node, annotations=not self.lazy)
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
        if _only_imports(node):
            inner = [*node.body, *getattr(node, "orelse", [])]  # type: ignore[attr-defined]
            return set().union(*map(self._made_by, inner))
        return self.facts(node).stores | self.facts(node).changed

    @cached_property
    def changed_inside(self) -> set[str]:
        """The global names that functions and methods change when they run."""
        changed: set[str] = set()
        for node in self.tree.body:
            if isinstance(node, _Function | ast.ClassDef):
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
        firm: list[ast.stmt] = [node for node in makers if isinstance(node, _Function | ast.ClassDef)]
        if len(firm) == 1 and all(
            node is firm[0] or _only_imports(node) or isinstance(node, ast.Expr) for node in makers
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

    def candidate(self, node: ast.stmt) -> Candidate:
        """Check a function and cut out its program.

        Raises:
            Refused: It does not qualify; the message says why.
        """
        assert isinstance(node, _Function)
        function = _check_shape(node)
        length = self._code_lines(function)
        if not _LINES[0] <= length <= _LINES[1]:
            raise Refused(f"has {length} lines of code, not {_LINES[0]} to {_LINES[1]}")
        _check_parameters(function, self.facts(function))
        cut = _Slice(self)
        cut.add(function.name)
        program = cut.program()
        _check_untouched(program, cut.functions)
        score = round(math.fsum(_score(piece) * (1.0 if piece is function else 0.5) for piece in cut.functions), 1)
        return Candidate(
            name=function.name,
            program=program,
            signature=_signature(function),
            doc=ast.get_docstring(function) or self._comment_above(function),
            module=self.origin,
            licence=self.licence,
            lines=(function.lineno, function.end_lineno or function.lineno),
            score=score,
            level=_level(score),
        )

    def _code_lines(self, node: ast.FunctionDef) -> int:
        return sum(1 for line in self.source(node) if line.strip() and not line.lstrip().startswith("#"))

    def _comment_above(self, node: ast.FunctionDef) -> str:
        at = _first_line(node) - 1
        lines: list[str] = []
        while at > 0 and self.lines[at - 1].startswith("#") and len(lines) < 12:
            at -= 1
            lines.insert(0, self.lines[at].lstrip("#! ").rstrip())
        return "\n".join(lines).strip()

    def source(self, node: ast.stmt) -> list[str]:
        """The lines of a statement, without docstrings."""
        chosen = dict(enumerate(self.lines[_first_line(node) - 1 : node.end_lineno], _first_line(node)))
        for inner in _walk(node):
            if (
                isinstance(inner, _Function | ast.ClassDef)
                and len(inner.body) > 1
                and ast.get_docstring(inner, False) is not None
            ):
                for number in range(inner.body[0].lineno, (inner.body[0].end_lineno or 0) + 1):
                    chosen.pop(number, None)
        return [line.rstrip() for line in chosen.values()]


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min(node.lineno, *(decorator.lineno for decorator in decorators), node.lineno)


def _check_shape(node: _Function) -> ast.FunctionDef:
    if isinstance(node, ast.AsyncFunctionDef):
        raise Refused("is asynchronous")
    spec = node.args
    names = [argument.arg for argument in (*spec.posonlyargs, *spec.args)]
    if spec.vararg or spec.kwarg or spec.kwonlyargs:
        raise Refused("has starred or keyword-only parameters")
    if names[:1] in (["self"], ["cls"]):
        raise Refused("is a method")
    if not _PARAMETERS[0] <= len(names) <= _PARAMETERS[1]:
        raise Refused(f"has {len(names)} parameters, not {_PARAMETERS[0]} to {_PARAMETERS[1]}")
    if node.name.startswith("test") or node.name == "main":
        raise Refused("is a test or a main program")
    returns, yields = _own_returns(node)
    if yields:
        raise Refused("is a generator")
    if not returns:
        raise Refused("returns no value")
    return node


def _own_returns(node: ast.FunctionDef) -> tuple[bool, bool]:
    """Whether the function itself, not one nested in it, returns a value, and whether it yields."""
    returns = yields = False
    stack: list[ast.AST] = list(node.body)
    while stack:
        inner = stack.pop()
        if isinstance(inner, ast.Return) and inner.value is not None:
            returns |= not (isinstance(inner.value, ast.Constant) and inner.value.value is None)
        yields |= isinstance(inner, ast.Yield | ast.YieldFrom)
        if not isinstance(inner, _Function | ast.Lambda | ast.ClassDef):
            stack += _children(inner)
    return returns, yields


def _signature(node: ast.FunctionDef) -> str:
    """How the function is called, in words that stand on their own: no annotation or default of the module's."""
    spec = node.args
    names = {inner.id for hint in _hints(node) for inner in ast.walk(hint) if isinstance(inner, ast.Name)}
    annotated = names <= BUILTINS and not any(
        isinstance(inner, ast.Attribute) for hint in _hints(node) for inner in ast.walk(hint)
    )
    literal = all(isinstance(default, ast.Constant | ast.UnaryOp) for default in spec.defaults)
    shown = []
    defaults = [None] * (len(spec.posonlyargs) + len(spec.args) - len(spec.defaults)) + [*spec.defaults]
    for argument, default in zip((*spec.posonlyargs, *spec.args), defaults, strict=True):
        text = ast.unparse(argument) if annotated else argument.arg
        equals = " = " if annotated and argument.annotation else "="
        shown.append(text + (equals + ast.unparse(default) if literal and default else ""))
    returns = f" -> {ast.unparse(node.returns)}" if annotated and node.returns else ""
    return f"{node.name}({', '.join(shown)}){returns}"


def _hints(node: ast.FunctionDef) -> list[ast.expr]:
    hints = [argument.annotation for argument in (*node.args.posonlyargs, *node.args.args)]
    return [hint for hint in (*hints, node.returns) if hint]


def _check_parameters(node: ast.FunctionDef, facts: _Facts) -> None:
    names = {argument.arg for argument in (*node.args.posonlyargs, *node.args.args)}
    rebound = {
        name
        for inner in facts.nodes
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
        for name in (inner.id,)
    }
    for attribute in facts.attributes:
        of = attribute.value
        if isinstance(of, ast.Name) and of.id in names - rebound and attribute.attr not in LITERAL_ATTRIBUTES:
            raise Refused(f"takes an object with the attribute {attribute.attr!r}")
    for inner in facts.nodes:
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id in names:
            raise Refused(f"takes a function as {inner.func.id!r}")


def _check_pure(facts: _Facts) -> None:
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


class _Slice:
    """Everything that one function needs of its module."""

    def __init__(self, module: _Module) -> None:
        self.module = module
        self.imports: set[str] = set()
        self.modules: dict[str, str] = {}  # local name of an imported module: its dotted name
        self.statements: dict[int, ast.stmt] = {}
        self.seen: set[str] = set()

    @property
    def functions(self) -> list[ast.FunctionDef]:
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
        makes = set() if isinstance(node, _Function | ast.ClassDef) else facts.stores | facts.changed
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

    def _check_attributes(self, facts: _Facts) -> None:
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
        used = {_root(node) for node in facts.attributes}
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


def _chain(node: ast.Attribute) -> tuple[ast.Name, list[str]] | None:
    names: list[str] = []
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        names.insert(0, inner.attr)
        inner = inner.value
    return (inner, names) if isinstance(inner, ast.Name) else None


def _only_imports(node: ast.stmt) -> bool:
    if isinstance(node, ast.Try | ast.If):
        inner = [*node.body, *node.orelse]
        if isinstance(node, ast.Try):
            inner += [*node.finalbody, *(statement for handler in node.handlers for statement in handler.body)]
        return all(_only_imports(statement) for statement in inner)
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Pass | ast.Delete)


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


def _check_untouched(program: str, functions: list[ast.FunctionDef]) -> None:
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
        if isinstance(node, _Function) and len(node.body) > 1 and ast.get_docstring(node, False) is not None:
            bare.append((node, node.body))
            node.body = node.body[1:]
    try:
        return ast.dump(function)
    finally:
        for node, body in bare:
            node.body = body


_LOOPS = (ast.For, ast.While, ast.comprehension)
_BRANCHES = (ast.If, ast.IfExp, ast.ExceptHandler, ast.BoolOp, ast.match_case)
_THRESHOLDS = (5.0, 7.0, 9.0, 12.0, 15.0, 19.0, 24.0, 32.0, 45.0)  # about a tenth of the standard library each


def _score(node: ast.FunctionDef) -> float:
    """How much there is to follow in a function: statements, branches, and loops, more where they nest."""
    score, stack = 0.0, [(child, 0) for child in _children(node)]
    while stack:
        inner, depth = stack.pop()
        loop = isinstance(inner, _LOOPS)
        score += isinstance(inner, ast.stmt) + 1.0 * isinstance(inner, _BRANCHES) + (2.0 + 2.0 * depth) * loop
        stack += [(child, depth + loop) for child in _children(inner)]
    return score


def _level(score: float) -> int:
    return min(sum(score >= threshold for threshold in _THRESHOLDS), LEVELS - 1)
