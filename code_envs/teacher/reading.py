"""Finding the parts of a problem in what a teacher that is a model wrote: forgiving, evaluating nothing.

Parts stand in fenced blocks that are named by their tag or by a heading above them, under headings as
plain text, or in one JSON object. Functions are told apart by name, wherever they stand. Statements
around them (examples, prints, assertions) are cut away; their calls serve as inputs.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Iterator, Sequence

import msgspec

from code_envs.errors import LiteralError, ProblemError, ValueRefused
from code_envs.modes.blocks import Block, blocks_of, visible_text
from code_envs.modes.reading import completions
from code_envs.problem import PRECONDITION, PROPERTY
from code_envs.programs.source import parse_program
from code_envs.syntax import parse
from code_envs.values import parse_arguments, parse_literal, write_literal

__all__ = ["DraftRefused", "Parts", "read_inputs", "read_parts"]

MAX_INPUTS = 40
_MAX_MESSAGE = 4000

_NAMES = {
    "program": ("program", "code", "function", "solution", "implementation", "faulty program", "python", "py"),
    "message": ("message", "description", "task", "problem", "statement", "specification", "docstring"),
    "inputs": ("inputs", "input", "arguments", "args", "witness", "tests", "cases", "examples", "calls", "test inputs"),
    "precondition": ("precondition", "pre test f", PRECONDITION, "pretest", "pre test"),
    "property": ("property", "test f", PROPERTY, "test", "checker"),
    "reference": ("reference", "correct program", "reference program", "reference solution"),
}
_PART = {name: part for part, names in _NAMES.items() for name in names}
_VAGUE = ("python", "py", "code", "test", "tests")  # tags of anything
_CODE = ("program", "precondition", "property", "reference")
_HEADING = re.compile(
    r"^\s*(?:#{1,6}\s*|\*\*|\d+[.)]\s*\**)?([A-Za-z_][\w` ]{0,30}?)"
    r"(?:\*\*)?\s*(?::\s*(?:\*\*)?\s*(.*)|(?:\*\*)?)$"
)
_RENAMED = {
    PRECONDITION: ("pre_test", "precondition", "pre", "is_valid", "valid_input", "pre_condition"),
    PROPERTY: ("test", "property", "check", "check_f", "test_property"),
}
_BULLET = re.compile(r"^\s*(?:[-*•]\s+|\d+[.)]\s+|>>>\s*|(?:input|call|inputs)\s*\d*\s*[:=]\s*)?", re.IGNORECASE)


class DraftRefused(Exception):
    """A reply that cannot become a problem.

    Args:
        check: The name of the check, for counting.
        text: One sentence for the teacher.
    """

    def __init__(self, check: str, text: str) -> None:
        self.check, self.text = check, text
        super().__init__(text)


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a reply; a part that is missing is empty.

    Attributes:
        program: The source without anything around its functions.
        entry: The function that the problem is about.
        message: What it does, in words.
        inputs: Texts that may hold the arguments of a call, or several, not read yet.
        precondition: Source that defines ``pre_test_f``.
        property: Source that defines ``test_f``.
        reference: Source of a correct program, in differential fuzzing.
    """

    program: str
    entry: str
    message: str = ""
    inputs: tuple[str, ...] = ()
    precondition: str = ""
    property: str = ""
    reference: str = ""


def read_parts(reply: str) -> Parts:
    """Find the parts of a problem.

    Args:
        reply: What the teacher wrote.

    Raises:
        DraftRefused: The reply is cut within its thinking, holds no program, or one that is not Python.
    """
    try:
        text = visible_text(reply)
    except LiteralError as error:
        raise DraftRefused("unreadable", str(error)) from error
    sections = _from_json(text) or _from_blocks(text)
    modules = [(part, _parse(body)) for part, body in sections if part in _CODE]
    functions = _Functions()
    for part, (tree, source) in modules:
        functions.take(part, tree, source)
    program = functions.program()
    entry = _entry(program)
    words = [body.strip() for part, body in sections if part == "message" and body.strip()]
    doc = ast.get_docstring(next(node for node in parse_program(program).body if getattr(node, "name", "") == entry))  # type: ignore[arg-type]
    return Parts(
        program=program,
        entry=entry,
        message=(words[-1] if words else doc or "")[:_MAX_MESSAGE],
        inputs=tuple(body for part, body in sections if part == "inputs") + tuple(functions.calls),
        precondition=functions.own(PRECONDITION),
        property=functions.own(PROPERTY),
        reference=functions.reference(entry),
    )


# --- sections ---------------------------------------------------------------------------------


def _from_json(text: str) -> list[tuple[str, str]]:
    """The parts of a reply that is, or holds, one JSON object; empty if it is none."""
    bare = text.strip()
    bodies = [bare, *(block.text for block in blocks_of(text.split("\n")) if block.tag in ("json", ""))]
    for body in bodies:
        if not body.lstrip().startswith("{"):
            continue
        try:
            record = json.loads(body)
            found = [(_PART.get(_plain(name), ""), value) for name, value in record.items()]
            sections = [(part, _as_text(part, value)) for part, value in found if part and value]
        except (ValueError, RecursionError):
            continue
        if any(part == "program" for part, _ in sections):
            return sections
    return []


def _as_text(part: str, value: object) -> str:
    if not isinstance(value, list):
        return value if isinstance(value, str) else json.dumps(value)
    if part != "inputs":
        return "\n".join(map(str, value))
    return "\n".join(item if isinstance(item, str) else _as_literal(item) for item in value)


def _as_literal(item: object) -> str:
    try:
        return write_literal(tuple(item) if isinstance(item, list) else item)
    except ValueRefused:
        return ""


def _from_blocks(text: str) -> list[tuple[str, str]]:
    """Fenced blocks, named by heading or tag, and plain text under a heading."""
    sections = [(part, body) for part, body in _named(text.split("\n")) if part and body.strip()]
    if not any(part in _CODE for part, _ in sections) and re.search(r"^def ", text, re.MULTILINE):
        sections.append(("program", text))  # a bare program, without any fence
    return sections


def _named(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    blocks = {block.start: block for block in blocks_of(lines)}
    part, body, number = "", "", 0
    while number < len(lines):
        block, heading = blocks.get(number), _HEADING.match(lines[number])
        named = _PART.get(_plain(heading.group(1)), "") if heading else ""
        if block is not None:
            if part not in _CODE:
                yield part, body
            yield _block_part(block, part), block.text
            part, body, number = "", "", max(block.stop - 1, number)
        elif heading and named:
            if part not in _CODE:
                yield part, body
            part, body = named, heading.group(2) or ""
        else:
            body += "\n" + lines[number]
        number += 1
    if part not in _CODE:
        yield part, body


def _block_part(block: Block, heading: str) -> str:
    """What a block is: a telling tag decides, then the heading; what looks like code is the program."""
    tag = _PART.get(_plain(block.tag), "")
    if tag and block.tag not in _VAGUE:
        return tag
    if re.search(r"^\s*(?:async )?(?:def|class|import|from) ", block.text, re.MULTILINE):
        return heading if heading in _CODE else "program"
    if heading and heading not in _CODE:
        return heading
    return tag if tag == "inputs" else ""


def _plain(heading: str) -> str:
    return " ".join(heading.replace("`", " ").replace("_", " ").lower().split())


# --- programs ---------------------------------------------------------------------------------


def _parse(body: str) -> tuple[ast.Module, str]:
    source = textwrap.dedent(body.replace("\t", "    ")).strip("\n") + "\n"
    try:
        return parse_program(source), source
    except ProblemError as error:
        raise DraftRefused("syntax", str(error)) from error


class _Functions:
    """The definitions of all code blocks by name; later ones replace earlier ones."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[str, str]] = {}  # name: part, source
        self._checks: dict[str, str] = {}
        self._imports: dict[str, None] = {}
        self.calls: list[str] = []

    def take(self, part: str, tree: ast.Module, source: str) -> None:
        """Sort the statements of one block."""
        lines, listed = source.split("\n"), False
        for node in tree.body:
            text = _lines_of(node, lines)
            # a heading that slipped into the block: what stands below it are inputs, lone values too
            listed = _heads_inputs(node) or (listed and isinstance(node, ast.Expr))
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._imports[text] = None
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self._define(part, node.name, text)
            elif (written := _written_inputs(node, listed)) is not None:
                self.calls.append(written)
            elif isinstance(node, ast.Assign | ast.AnnAssign) and not _calls_of(node):
                self._nodes[f"{part}:{ast.dump(node)}"] = part, text
            else:
                self.calls += _calls_of(node)

    def _define(self, part: str, name: str, text: str) -> None:
        for wanted, others in _RENAMED.items():
            if name == wanted or (name in others and part == _PART[_plain(wanted)]):
                self._checks[wanted] = re.sub(rf"\bdef {name}\b", f"def {wanted}", text, count=1)
                return
        self._nodes[f"{'reference' if part == 'reference' else ''}:{name}"] = part, text

    def program(self) -> str:
        """Everything but the checks and the reference."""
        texts = [text for part, text in self._nodes.values() if part != "reference"]
        if not any(key.startswith(":") for key in self._nodes):
            raise DraftRefused("missing", "there is no program; write a function f in a block ```python")
        return self._source(texts)

    def reference(self, entry: str) -> str:
        """The correct program, if it defines the entry."""
        texts = [text for part, text in self._nodes.values() if part == "reference"]
        return self._source(texts) if f"reference:{entry}" in self._nodes else ""

    def own(self, name: str) -> str:
        """The source of a check; empty if there is none."""
        return self._source([self._checks[name]]) if name in self._checks else ""

    def _source(self, texts: Sequence[str]) -> str:
        words = set(re.findall(r"\w+", "\n".join(texts)))
        needed = [line for line in self._imports if words & set(_bound(line))]
        return "\n\n".join(["\n".join(needed), *texts] if needed else texts).rstrip() + "\n"


def _bound(line: str) -> list[str]:
    (node,) = parse(line.strip()).body
    assert isinstance(node, ast.Import | ast.ImportFrom)
    return [(alias.asname or alias.name).split(".")[0] for alias in node.names]


def _lines_of(node: ast.stmt, lines: Sequence[str]) -> str:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    text = "\n".join(lines[first - 1 : node.end_lineno])
    return text if ";" not in text else ast.unparse(node)


def _calls_of(node: ast.stmt) -> list[str]:
    """The calls in a statement around the functions: they may be inputs."""
    found = [call for call in ast.walk(node) if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)]
    return [ast.unparse(call) for call in found][:MAX_INPUTS]


def _heads_inputs(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Name) and _PART.get(_plain(node.value.id)) == "inputs"
    )


def _written_inputs(node: ast.stmt, listed: bool) -> str | None:
    """Inputs that stand in the program block: bare values, or assigned to a name such as ``inputs``."""
    match node:
        case ast.Expr(value=ast.Constant() as value) if listed:
            return ast.unparse(value)
        case ast.Expr(value=ast.Tuple() | ast.List() | ast.Dict() | ast.Set() as value):
            return ast.unparse(value)
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if _PART.get(_plain(name)) == "inputs":
            return ast.unparse(value)
    return None


def _entry(program: str) -> str:
    """The function that is meant: ``f``, else the last one that no other calls."""
    functions = [node for node in parse_program(program).body if isinstance(node, ast.FunctionDef)]
    names = [function.name for function in functions]
    if not names:
        raise DraftRefused("missing", "there is no plain function at the top level; define f")
    if "f" in names:
        return "f"
    used = {
        call.func.id
        for function in functions
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id != function.name
    }
    return next((name for name in reversed(names) if name not in used), names[-1])


# --- inputs -----------------------------------------------------------------------------------


def read_inputs(texts: Sequence[str], parameters: Sequence[str], entry: str) -> list[tuple[object, ...]]:
    """Read argument tuples, each once; what cannot be read is left out.

    Args:
        texts: Sections of inputs, or calls.
        parameters: The names of the parameters.
        entry: The name of the function.

    Returns:
        At most 40 argument tuples, in order.
    """
    found: dict[str, tuple[object, ...]] = {}
    for text in texts:
        for arguments in _calls_in(text, parameters, entry):
            if len(found) < MAX_INPUTS:
                found.setdefault(write_literal(arguments), arguments)
    return list(found.values())


def _calls_in(text: str, parameters: Sequence[str], entry: str) -> Iterator[tuple[object, ...]]:
    listed = _listed(text, len(parameters))
    if listed:
        yield from listed
        return
    lines = [line for line in text.split("\n") if line.strip()]
    by_line = [arguments for line in lines if (arguments := _one(line, parameters, entry)) is not None]
    whole = _one(text, parameters, entry) if len(lines) > 1 and len(by_line) < len(lines) else None
    yield from [whole] if whole is not None else by_line


def _listed(text: str, count: int) -> list[tuple[object, ...]]:
    """The calls of one list of argument tuples."""
    try:
        value = parse_literal(text.strip().rstrip(","))
    except (LiteralError, ValueRefused):
        return []
    fits = isinstance(value, list) and value and all(type(item) is tuple and len(item) == count for item in value)
    return list(value) if fits else []  # type: ignore[call-overload]


def _one(line: str, parameters: Sequence[str], entry: str) -> tuple[object, ...] | None:
    """One call: bare arguments, a tuple of them, a call, or a completed one such as ``assert f(1) == 2``."""
    bare = _BULLET.sub("", line, count=1).strip().strip("`").rstrip(",;")
    for text in (bare, *(call for call, _ in completions(bare, entry))):
        try:
            arguments = parse_arguments(text, parameters, entry)
            write_literal(arguments)
        except (LiteralError, ValueRefused):
            continue
        if len(parameters) == 1 and type(arguments[0]) is tuple and len(arguments[0]) == 1 and text.startswith("("):
            return arguments[0]
        return arguments
    return None
