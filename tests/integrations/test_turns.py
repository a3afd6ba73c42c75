"""The markers between turns come from a model's own template."""

from pathlib import Path

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from code_envs.errors import ConfigError
from code_envs.integrations.turns import PLAIN, find_turns

TEMPLATES = Path(__file__).parent / "chat_templates"


class Tokenizer:
    """Renders a template the way transformers does; stands in for its tokenizers, which the suite does not need."""

    def __init__(self, template: str) -> None:
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        self.template = environment.from_string(template) if template else None

    def apply_chat_template(self, conversation, **settings):
        if self.template is None:
            raise ValueError("there is no chat template")
        del settings["tokenize"]
        return self.template.render(messages=conversation, bos_token="<|begin_of_text|>", **settings)


def shipped(name: str) -> Tokenizer:
    return Tokenizer((TEMPLATES / f"{name}.jinja").read_text())


def talk(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[turn % 2], "content": text} for turn, text in enumerate(texts)]


CASES = {
    "llama3_1": (
        "llama3_1",
        {},
        "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n",
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    "qwen2_5": ("qwen2_5", {}, "<|im_end|>\n<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"),
    "qwen3": ("qwen3", {}, "<|im_end|>\n<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"),
    "qwen3 thinking": (
        "qwen3",
        {"enable_thinking": True},
        "<|im_end|>\n<|im_start|>user\n",
        "<|im_end|>\n<|im_start|>assistant\n",
    ),
    "qwen3 not thinking": (
        "qwen3",
        {"enable_thinking": False},
        "<|im_end|>\n<|im_start|>user\n",
        "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    ),
}


@pytest.mark.parametrize(("name", "settings", "before", "after"), CASES.values(), ids=CASES)
def test_the_markers_of_a_family(name, settings, before, after):
    tokenizer = shipped(name)
    prompt = tokenizer.apply_chat_template(talk("Hi."), tokenize=False, add_generation_prompt=True, **settings)
    assert find_turns(tokenizer, prompt) == (before, after, False)


@pytest.mark.parametrize(("name", "settings", "before", "after"), CASES.values(), ids=CASES)
def test_what_is_appended_is_what_the_template_renders(name, settings, before, after):
    tokenizer = shipped(name)

    def render(*texts: str) -> str:
        return str(tokenizer.apply_chat_template(talk(*texts), tokenize=False, add_generation_prompt=True, **settings))

    prompt = render("What is it?")
    between = find_turns(tokenizer, prompt).between("No: look again.")
    whole = render("What is it?", "```output\n3\n```", "No: look again.")
    # Of an earlier answer the template drops the empty thinking; the tokens that the model saw keep it.
    assert (prompt + "```output\n3\n```" + between).replace("<think>\n\n</think>\n\n", "", 1) == whole or (
        prompt + "```output\n3\n```" + between == whole
    )


def test_a_marker_that_the_answer_ends_with_is_not_written_twice():
    tokenizer = shipped("qwen2_5")
    prompt = tokenizer.apply_chat_template(talk("Hi."), tokenize=False, add_generation_prompt=True)
    turns = find_turns(tokenizer, prompt)
    assert turns.between("No.", "<|im_end|>") == "\n<|im_start|>user\nNo.<|im_end|>\n<|im_start|>assistant\n"
    # A base model may stop with another marker: the turn still ends as the template ends it.
    assert turns.between("No.", "<|endoftext|>").startswith("<|im_end|>\n<|im_start|>user\n")


def test_a_prompt_without_template_is_running_text():
    assert find_turns(Tokenizer(""), "Q: what is it?\nA:") is PLAIN
    assert find_turns(shipped("qwen3"), "Q: what is it?\nA:") is PLAIN
    assert PLAIN.between("No.\n") == "\n\nNo.\n\n\n"


def test_a_template_of_your_own_works():
    own = "{% for m in messages %}[{{ m.role }}]{{ m.content }}[/{{ m.role }}]{% endfor %}"
    own += "{% if add_generation_prompt %}[assistant]{% endif %}"
    assert find_turns(Tokenizer(own), "[user]Hi.[/user][assistant]") == (
        "[/assistant][user]",
        "[/user][assistant]",
        False,
    )


def test_a_template_that_hides_answers_is_refused():
    hides = "{% for m in messages if m.role == 'user' %}<{{ m.content }}>{% endfor %}:"
    with pytest.raises(ConfigError, match="does not render an answer"):
        find_turns(Tokenizer(hides), "<Hi.>:")
