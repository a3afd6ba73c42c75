r"""Finding the answer in a reply: what a person would take for it, and nothing that is in doubt.

For a value, in order of preference: the last block with the tag that the prompt asked for; the
last other block that can be read; an answer that is spelled out (``Answer: …``, ``\boxed{…}``);
a completed call (``f(…) == …``); the whole reply; the inline code of the last line. Blocks may
follow each other, the last one counts; answers in prose must all agree. For a program: the last
block that defines the function, or the whole reply. For a script: the last block that is Python.

Nothing is evaluated, all scans are linear. What cannot be read raises :class:`LiteralError`, whose
sentence tells the student what to change; the modes make a malformed answer of it.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, ParamSpec

from code_envs.errors import LiteralError, ProblemError, ValueRefused
from code_envs.modes.blocks import Block, blocks_of, outside, spoken, visible_text
from code_envs.programs.source import MAX_PROGRAM, parse_program

__all__ = ["MAX_VALUE", "Form", "completions", "read_program", "read_script", "read_value"]

P = ParamSpec("P")

MAX_VALUE = 1 << 16
"""Characters of a value, or of arguments, that a student wrote."""
_MAX_TRIED = 100  # answers in prose that are tried
_MAX_PLACES = 4

_SPAN = re.compile(r"(?<!`)(`+)(?!`)([^`]+)(?<!`)\1(?!`)")
_LABEL_END = re.compile(r"[\s*_`]{0,8}(?::|=|is\b:?|would be\b|will be\b|should be\b|(?=\n|$))")
_BULLET = re.compile(r"(?:[>*_#•\s]|-(?=\s))*")  # matches anything; a minus sign is none
_CALL_END = re.compile(r"\)[ `]*\Z")
_LEADS = {"so", "so,", "thus", "thus,", "therefore", "therefore,", "hence", "hence,", "the", "my", "final", "correct"}
_WRAPPER = re.compile(r"\\(?:text|texttt|textbf|mathtt|mathrm|mathbf|verb)\s?\{(.*)\}", re.DOTALL)
_SEPARATORS = re.compile(r"==|->|=>|→|⇒|=|\breturns\b|\bgives\b|\bis\b")
_PYTHON = {"python", "python3", "py"}
_NOT_PYTHON = {"bash", "sh", "shell", "console", "diff", "output", "input"}
_DEFINED = re.compile(r"^(?:async[ ]def|def)[ ]+(\w{1,60})", re.MULTILINE)


class Form(NamedTuple):
    """What the answers of a mode look like.

    Attributes:
        tag: The tag of the block that the prompt asks for.
        others: Tags of blocks that are certainly something else.
        labels: Words that introduce an answer in prose, in lower case.
        entry: The name of the function.
        parse: Reads one text and writes it in normal form; raises ``LiteralError``.
    """

    tag: str
    others: frozenset[str]
    labels: tuple[str, ...]
    entry: str
    parse: Callable[[str], str]


def read_value(reply: str, form: Form) -> str:
    """Find the answer of a mode whose answers are literals.

    Args:
        reply: What the student wrote.
        form: What the answers look like.

    Returns:
        The answer, as ``form.parse`` wrote it.

    Raises:
        LiteralError: There is no readable answer, or there are several that differ.
    """
    lines = visible_text(reply).split("\n")
    blocks = blocks_of(lines)
    own = [block for block in blocks if block.tag in (form.tag, form.tag + "s")]
    if own:
        return _read_block(own[-1], form)
    for block in reversed([block for block in blocks if block.tag not in form.others]):
        answer = _try(_read_block, block, form)
        if answer is not None:
            later = outside(lines, blocks)[len(outside(lines[: block.stop], blocks)) :]
            return _agreed([answer, *_labelled(later, form)])
    return _read_prose(outside(lines, blocks), form)


def _read_prose(lines: list[str], form: Form) -> str:
    for find in (_labelled, _completed, _whole, _inline):
        answers = find(lines, form)
        if answers:
            return _agreed(answers)
    raise LiteralError(f"there is no answer; write it into a fenced block that begins with ```{form.tag}")


def _read_block(block: Block, form: Form) -> str:
    text = f"{block.info}\n{block.text}" if block.info else block.text
    try:
        return _parse(text, form)
    except LiteralError:
        # only the last line: a program in the block has assignments that look like answers
        last = text.rstrip().split("\n")[-1:]
        answers = _labelled(last, form) or _completed(last, form)
        if not answers:
            raise
        return _agreed(answers)


def _parse(text: str, form: Form) -> str:
    """Read one text; characters that cannot be seen are dropped only where they are in the way."""
    if len(text) > MAX_VALUE:
        raise LiteralError(f"the answer has {len(text)} characters; at most {MAX_VALUE} are read")
    try:
        return form.parse(text)
    except (LiteralError, ValueRefused) as error:
        plain = spoken(text)
        second = _try(form.parse, plain) if plain != text else None
        if second is None:
            raise LiteralError(str(error)) from error
        return second


def _try(read: Callable[P, str], *arguments: P.args, **named: P.kwargs) -> str | None:
    try:
        return read(*arguments, **named)
    except (LiteralError, ValueRefused):
        return None


def _agreed(answers: Sequence[str]) -> str:
    other = next((answer for answer in answers if answer != answers[0]), None)
    if other is not None:
        raise LiteralError(f"the reply gives different answers, {answers[0]:.60} and {other:.60}; give one")
    return answers[0]


# --- answers in prose -------------------------------------------------------------------------


def _labelled(lines: Sequence[str], form: Form) -> list[str]:
    """Answers after a label (on its line or the next one that is not blank) or in a box."""
    texts = deque(_after_labels(lines, form.labels), maxlen=_MAX_TRIED)
    answers = [_first(_spellings(text), form) for text in texts]
    answers += [_first([box, _plain_latex(box)], form) for box in islice(_boxes("\n".join(lines)), _MAX_TRIED)]
    return [answer for answer in answers if answer is not None]


def _first(texts: Sequence[str], form: Form) -> str | None:
    found = (_try(_parse, text, form) for text in texts if text.strip())
    return next((answer for answer in found if answer is not None), None)


def _after_labels(lines: Sequence[str], labels: Sequence[str]) -> Iterator[str]:
    waiting = False
    for line in lines:
        text = spoken(line).strip()
        text = text[_BULLET.match(text).end() :]  # type: ignore[union-attr]
        if waiting and text:
            waiting = False
            yield text
        for _ in range(4):
            head, _, rest = text.partition(" ")
            if head.lower() not in _LEADS:
                break
            text = rest.lstrip()
        found = _after_label(text, labels)
        if found is not None:
            waiting = not found.strip(" *_")
            yield found


def _after_label(text: str, labels: Sequence[str]) -> str | None:
    start = text[:40].lower()
    for label in labels:
        if start.startswith(label):
            rest = text[len(label) :]
            if rest.startswith((" of ", " for ", " from ")) and " is " in rest:
                return rest.rpartition(" is ")[2]
            end = _LABEL_END.match(rest)
            if end:
                return rest[end.end() :]
    return None


def _spellings(text: str) -> list[str]:
    """How a value may be written in prose: bare, with a full stop, emphasised, as inline code."""
    text = text.strip(" \t*_$:")
    spans = [match.group(2) for match in islice(_SPAN.finditer(text), 2)]
    return [text.rstrip(".*_ "), text, *(spans if len(spans) == 1 else ())]


def _boxes(text: str) -> Iterator[str]:
    start = text.find("\\boxed{")
    while start >= 0:
        first = at = start + 7
        depth = 1
        while depth and at < len(text):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 2 if text[at] == "\\" else 1
        if depth:
            return
        yield text[first : at - 1]
        start = text.find("\\boxed{", at)


def _plain_latex(text: str) -> str:
    wrapped = _WRAPPER.fullmatch(text.strip())
    text = wrapped.group(1) if wrapped else text
    return re.sub(r"\\([{}_#%&$])|\\[ ,;!]", lambda match: match.group(1) or " ", text).strip(" `$")


def _completed(lines: Sequence[str], form: Form) -> list[str]:
    """Lines such as ``assert f(3) == 4``, whole and alone."""
    answers = []
    calls = (line for line in lines if form.entry + "(" in line)
    for line in deque(calls, maxlen=_MAX_TRIED):
        text = spoken(line).strip().lstrip(">*-• \t").strip("` ")
        if _call_start(text, form.entry):
            answers.append(_try(_parse, text, form))
    return [answer for answer in answers if answer is not None]


def _call_start(text: str, entry: str) -> str:
    """The text from the call on, if it begins with one."""
    text = text.removeprefix("assert ").lstrip()
    return text if text.startswith(entry + "(") else ""


def completions(text: str, entry: str) -> Iterator[tuple[str, str]]:
    """Split a completed call, such as ``assert f(3) == 4``, wherever it could be split.

    Args:
        text: What was written.
        entry: The name of the function.

    Yields:
        The text of the call and that of its result, for the first few places.
    """
    call = _call_start(text.strip(), entry)
    places = (
        found
        for found in _SEPARATORS.finditer(call)
        if _CALL_END.search(call, max(0, found.start() - 4), found.start())
    )
    for found in islice(places, _MAX_PLACES):
        yield call[: found.start()].rstrip(" `"), call[found.end() :].strip(" `:").removesuffix(".")


def _whole(lines: Sequence[str], form: Form) -> list[str]:
    text = "\n".join(lines).strip()
    answer = _first(_spellings(text) if "\n" not in text else [text], form)
    return [] if answer is None else [answer]


def _inline(lines: Sequence[str], form: Form) -> list[str]:
    last = next((line for line in reversed(lines) if line.strip()), "")
    answers = [_first([match.group(2)], form) for match in islice(_SPAN.finditer(last), _MAX_TRIED)]
    return [answer for answer in answers if answer is not None]


# --- programs ---------------------------------------------------------------------------------


def read_program(reply: str, entry: str) -> str:
    """Find the program in a reply.

    A function of another name is never taken for ``entry``: which one was meant would be a guess.

    Args:
        reply: What the student wrote.
        entry: The function that the program must define at its top level.

    Returns:
        The program, without blank lines around it, ending in one newline.

    Raises:
        LiteralError: No block defines ``entry``, or the last one that means to is not Python.
    """
    text = visible_text(reply)
    found = [block for block in blocks_of(text.split("\n")) if block.tag not in _NOT_PYTHON]
    sources = [block.text if block.text.strip() else block.info for block in found] or [text]
    meant = re.compile(
        rf"^[ \t]*(?:async def|def|class) +{entry}\b|^{entry} *[:=]|^(?:from|import) [^\n]*\b{entry}\b", re.MULTILINE
    )
    for source in reversed(sources):
        if meant.search(spoken(source)):
            program, body = _checked(source)
            if entry in _defined_names(body):
                return program
    others = [name for source in sources for name in _DEFINED.findall(source)]
    if others:
        raise LiteralError(
            f"the program defines {others[-1]}, but no {entry} at its top level; name the function {entry}"
        )
    raise LiteralError(f"there is no program that defines {entry}; write it into a block that begins with ```python")


def read_script(reply: str) -> str:
    """Find the whole program in a reply: the last block with the tag ``python`` that is Python.

    Without such blocks the last other one counts, or the whole reply, if it calls something: examples of
    input and output, such as ``3``, are Python, too.

    Args:
        reply: What the student wrote.

    Returns:
        The program, without blank lines around it, ending in one newline.

    Raises:
        LiteralError: There is no program, or none that is Python.
    """
    text = visible_text(reply)
    blocks = [block for block in blocks_of(text.split("\n")) if block.tag not in _NOT_PYTHON]
    own = [block for block in blocks if block.tag in _PYTHON]
    sources = [block.text if block.text.strip() else block.info for block in own or blocks] or [text]
    complaint = ""
    for source in reversed(sources):
        try:
            program, body = _checked(source)
        except LiteralError as error:
            complaint = complaint or (str(error) if own else "")
            continue
        if body and (own or any(isinstance(node, ast.Call) for part in body for node in ast.walk(part))):
            return program
    raise LiteralError(complaint or "there is no program; write it into a block that begins with ```python")


def _checked(source: str) -> tuple[str, list[ast.stmt]]:
    """The program text in normal form and its statements; as lenient as is safe."""
    if len(source) > MAX_PROGRAM:
        raise LiteralError(f"the program has {len(source)} characters; at most {MAX_PROGRAM} are read")
    complaint = ""
    for variant in dict.fromkeys((source, textwrap.dedent(source), textwrap.dedent(spoken(source)))):
        lines = variant.rstrip().split("\n")
        first = next((index for index, line in enumerate(lines) if line.strip()), 0)
        program = "\n".join(lines[first:]) + "\n"
        try:
            return program, parse_program(program).body
        except ProblemError as error:
            complaint = complaint or str(error)
    raise LiteralError(complaint)


def _defined_names(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Assign():
                yield from (target.id for target in node.targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Import() | ast.ImportFrom():
                yield from (alias.asname or alias.name for alias in node.names)
            case ast.If() | ast.Try():
                yield from _defined_names([*node.body, *node.orelse])
