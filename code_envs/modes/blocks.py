"""The outer shape of a reply: its thinking is cut away, its fenced blocks are found.

Everything is a linear scan over a bounded text, since a reply can be anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from code_envs.errors import LiteralError

__all__ = ["MAX_ANSWER", "MAX_REPLY", "Block", "blocks_of", "fence", "outside", "spoken", "visible_text"]

MAX_REPLY = 1 << 21
"""Characters of a reply with its thinking; a longer one is malformed."""
MAX_ANSWER = 1 << 18
"""Characters of a reply without its thinking; a longer one is malformed."""
_MAX_BLOCKS = 64

_THINK = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)
_FINAL = "<|channel|>final<|message|>"
_STOPS = ("<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|endoftext|>", "<|end_of_text|>")
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"), "") | {0xA0: " "}
_FENCE = re.compile(r"(`{3,}|~{3,})(.*)")
_TAG = re.compile(r"[A-Za-z][\w+#.-]{0,30}")
_TAGS = {"python", "python3", "py", "input", "output", "text", "txt", "plaintext", "json", "answer"}


class Block(NamedTuple):
    """One fenced block.

    Attributes:
        tag: The word after the fence, in lower case; empty if there is none.
        info: What follows the tag on the line of the fence.
        text: The content, without the indentation of the fence.
        start: The number of its first line, from 0.
        stop: The number of the line after it.
    """

    tag: str
    info: str
    text: str
    start: int
    stop: int


def fence(text: str, tag: str) -> str:
    """Put a text into a fenced block, with a fence that is longer than any in the text."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{tag}\n{text.rstrip()}\n{marks}"


def spoken(text: str) -> str:
    """Drop the characters that cannot be seen, such as zero-width spaces and byte-order marks."""
    return text.translate(_INVISIBLE)


def visible_text(reply: str) -> str:
    """Cut away the thinking of a reply, and make its line ends plain.

    Everything before a ``</think>`` that was never opened is thinking, too: chat templates often
    open it in the prompt.

    Raises:
        LiteralError: The reply is too long, or ends while still thinking.
    """
    if len(reply) > MAX_REPLY:
        raise LiteralError(f"the reply has {len(reply)} characters; at most {MAX_REPLY} are read")
    parts: list[str] = []
    start, thinking = 0, False
    for tag in _THINK.finditer(reply):
        if tag.group(1):
            if not thinking:
                parts.clear()
            start, thinking = tag.end(), False
        elif not thinking:
            parts.append(reply[start : tag.start()])
            thinking = True
    if thinking:
        raise LiteralError("the reply ends before its <think> section does")
    text = "".join([*parts, reply[start:]])
    if _FINAL in text:  # the last channel of the harmony format, where a server left it in
        text = text[text.rindex(_FINAL) + len(_FINAL) :]
    if len(text) > MAX_ANSWER:
        raise LiteralError(f"the reply has {len(text)} characters besides thinking; at most {MAX_ANSWER} are read")
    for stop in _STOPS:
        text = text.removesuffix(stop)
    return text.replace("\r\n", "\n").replace("\r", "\n")


class _Open:
    """A block whose end has not been seen."""

    def __init__(self, marks: str, info: str, indent: int, start: int) -> None:
        self.marks, self.indent, self.start = marks, indent, start
        self.tag, self.info = _split_info(info)
        self.body: list[str] = []

    def add(self, line: str) -> None:
        self.body.append(line[min(self.indent, len(line) - len(line.lstrip(" \t"))) :])

    def done(self, stop: int) -> Block:
        return Block(self.tag, self.info, "\n".join(self.body), self.start, stop)

    def is_ended_by(self, marks: str, info: str) -> bool:
        """A plain fence ends it, and so does one with a tag: the model forgot to close the block."""
        fits = marks[:1] == self.marks[0] and len(marks) >= len(self.marks)
        return fits and (not info or bool(_TAG.fullmatch(info)))


def blocks_of(lines: Sequence[str]) -> list[Block]:
    """Find the fenced blocks of a text, the last 64 at most.

    A block that is never closed ends with the text (it may be cut short), or where the next
    tagged one begins; with nothing in it, it is a stray fence and no block.

    Args:
        lines: The lines of the text.

    Returns:
        The blocks in order.
    """
    blocks: list[Block] = []
    current: _Open | None = None
    for number, line in enumerate(lines):
        marks, info, indent = _fence_of(line)
        if current is None or current.is_ended_by(marks, info):
            if current is not None:
                blocks.append(current.done(number + (not info)))
            if current is not None and not info:
                current = None
            elif marks and info.endswith(marks):
                blocks.append(_one_line(info.removesuffix(marks), number))
                current = None
            else:
                current = _Open(marks, info, indent, number) if marks else None
        else:
            current.add(line)
    if current is not None and (current.info or any(map(str.strip, current.body))):
        blocks.append(current.done(len(lines)))
    return blocks[-_MAX_BLOCKS:]


def _fence_of(line: str) -> tuple[str, str, int]:
    text = line.lstrip(" \t\u200b\ufeff\xa0")
    found = _FENCE.match(text)
    if found is None:
        return "", "", 0
    return found.group(1), spoken(found.group(2)).strip(), len(line) - len(text)


def _split_info(info: str) -> tuple[str, str]:
    """Split what follows an opening fence into a tag and the rest; content is no tag."""
    word, _, rest = info.partition(" ")
    tag = word.strip("{}.:*").lower()
    is_tag = bool(_TAG.fullmatch(tag)) and (not rest or tag in _TAGS)
    return (tag, rest.strip()) if is_tag else ("", info)


def _one_line(content: str, number: int) -> Block:
    word, _, rest = content.strip().partition(" ")
    tagged = rest and word.lower() in _TAGS
    return Block(word.lower() if tagged else "", "", rest if tagged else content, number, number + 1)


def outside(lines: Sequence[str], blocks: Sequence[Block]) -> list[str]:
    """The lines of a text that are in none of the blocks."""
    inside = {number for block in blocks for number in range(block.start, block.stop)}
    return [line for number, line in enumerate(lines) if number not in inside]
