"""What stands between an answer and the next one, taken from a model's own chat template.

Trainers that append an environment's feedback to the tokens of an episode append it as it is: the
markers that end the assistant's turn, wrap the feedback as the user's, and begin the next turn are
not theirs to know. Here they are read off the template: a conversation with known contents is
rendered, and cut at them. So there is no list of model families, and a template of your own works.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from code_envs.errors import ConfigError

__all__ = ["PLAIN", "Tokenizer", "Turns", "find_turns"]

_QUESTION, _ANSWER, _REPLY = "question-5f1c", "answer-5f1c", "reply-5f1c"
_VARIANTS: tuple[Mapping[str, Any], ...] = ({}, {"enable_thinking": False}, {"enable_thinking": True})
"""The ways in which a prompt may have been rendered: Qwen3's template opens the answer in two of them."""


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that is used here."""

    def apply_chat_template(self, conversation: Any, **settings: Any) -> Any:
        """Render a conversation."""
        ...


class Turns(NamedTuple):
    """The text around feedback.

    Attributes:
        before: What ends the assistant's turn and begins the user's.
        after: What ends the user's turn and begins the assistant's next.
        plain: Whether there is no template: prompt and answer are one running text.
    """

    before: str
    after: str
    plain: bool = False

    def between(self, feedback: str, end: str = "") -> str:
        """What to append after an answer.

        Args:
            feedback: What the user says.
            end: The marker that the answer ended with, if its tokens hold one; not written twice.
        """
        text = f"{self.before}{feedback if self.plain else feedback.strip()}{self.after}"
        return text.removeprefix(end) if end else text


PLAIN = Turns("\n\n", "\n\n", plain=True)
"""For prompts without a template."""


def find_turns(tokenizer: Tokenizer, prompt: str) -> Turns:
    """Read the markers off a tokenizer's template, in the variant that a prompt was rendered with.

    Args:
        tokenizer: The model's.
        prompt: The first prompt, as the model got it: it ends as the template begins an answer, with or
            without an empty block of thinking. One that ends otherwise was not made by the template.

    Raises:
        ConfigError: The template does not render a conversation of three turns as it was given.
    """
    openings = [(_opening(tokenizer, settings), settings) for settings in _VARIANTS]
    fitting = [found for found in openings if found[0] and prompt.endswith(found[0])]
    if not fitting:
        return PLAIN
    _, settings = max(fitting, key=lambda found: len(found[0]))
    conversation = [
        {"role": "user", "content": _QUESTION},
        {"role": "assistant", "content": _ANSWER},
        {"role": "user", "content": _REPLY},
    ]
    text = _render(tokenizer, conversation, settings)
    _, answered, rest = text.partition(_ANSWER)
    before, replied, after = rest.partition(_REPLY)
    if not answered or not replied or _REPLY in after:
        raise ConfigError(
            "the tokenizer's chat template does not render an answer and a reply to it as they are: "
            "episodes of several answers need one that does; train with max_turns 1, or with another template"
        )
    return Turns(before, after)


def _opening(tokenizer: Tokenizer, settings: Mapping[str, Any]) -> str:
    """How the template goes on after the user's words, up to the answer; empty if there is no template."""
    text = _render(tokenizer, [{"role": "user", "content": _QUESTION}], settings)
    return text.rpartition(_QUESTION)[2] if _QUESTION in text else ""


def _render(tokenizer: Tokenizer, conversation: list[dict[str, str]], settings: Mapping[str, Any]) -> str:
    try:
        text = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True, **settings)
    except (ValueError, AttributeError):  # transformers: there is no template
        return ""
    return str(text)
