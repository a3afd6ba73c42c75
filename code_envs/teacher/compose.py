"""From a recipe to a program, its signature and its message."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from code_envs.problem import PRECONDITION, PROPERTY
from code_envs.teacher.blocks import KINDS, Block
from code_envs.teacher.conditions import SPOILS
from code_envs.teacher.recipe import JOINS, Fault, Recipe, Step, Use, condition_of, kinds_of
from code_envs.teacher.themes import THEMES

__all__ = ["Grown", "claims_of", "compose", "flattened", "precondition", "property_test"]

_ITEMS = {"words": "word", "grid": "row", "ints": "value"}
_TAKEN = {"words": "a text", "grid": "a list", "ints": "a number"}
_EMPTY = {"-1": "-1", "[]": "an empty list", '""': "the empty text", "{}": "an empty dictionary"}


class Grown(NamedTuple):
    """What a recipe comes to.

    Attributes:
        program: Source that defines ``f``.
        faulty: The same with the fault of the recipe; empty without one.
        signature: How ``f`` is called.
        message: What it does, in words.
        opened: The range of the parameter that was a constant; None without one.
    """

    program: str
    faulty: str
    signature: str
    message: str
    opened: tuple[int, int] | None


def compose(recipe: Recipe) -> Grown:
    """Write the program and the message of a recipe.

    Raises:
        ProblemError: The recipe does not fit together.
    """
    writer = _Writer(recipe, kinds_of(recipe))
    return Grown(
        program=writer.program(None),
        faulty=writer.program(recipe.fault) if recipe.fault else "",
        signature=writer.signature,
        message=writer.message(),
        opened=writer.opened[1] if writer.opened else None,
    )


class _Writer:
    """Writes one recipe."""

    def __init__(self, recipe: Recipe, kinds: list[str]) -> None:
        self.recipe, self.kinds = recipe, kinds
        self.theme = THEMES[recipe.theme]
        self.opened: tuple[str, tuple[int, int]] | None = None
        if recipe.opened >= 0:
            self.opened = next(iter(recipe.steps[recipe.opened].uses[0].of().draws.items()))
        self.names = [self.theme.parameter, *([self.opened[0]] if self.opened else [])]
        annotations = [KINDS[kinds[0]].annotation, "int"]
        self.parameters = ", ".join(map(": ".join, zip(self.names, annotations)))  # noqa: B905  # one or two
        self.signature = f"f({self.parameters}) -> {KINDS[kinds[-1]].annotation}"

    def constants(self, at: int, use: Use) -> dict[str, str]:
        """The constants of a block as they are written in code and message, by name."""
        written = {name: str(value) for name, value in zip(use.of().draws, use.constants, strict=True)}
        if self.opened and at == self.recipe.opened and use == self.recipe.steps[at].uses[0]:
            written[self.opened[0]] = self.opened[0]
        return written

    def told(self, at: int, use: Use) -> dict[str, str]:
        """The constants as they are told in words: the parameter in quotes, "every 'width' values"."""
        return {name: f"'{text}'" if text == name else text for name, text in self.constants(at, use).items()}

    # --- program

    def program(self, fault: Fault | None) -> str:
        helpers = [self.helper(at, use, fault) for at, step in enumerate(self.recipe.steps) for use in step.uses]
        return "\n\n\n".join([*helpers, self.main(fault)]) + "\n"

    def helper(self, at: int, use: Use, fault: Fault | None) -> str:
        block = use.of()
        if fault and fault.how == "slip" and fault.step == at and use == self.recipe.steps[at].uses[0]:
            return block.source.replace(*block.slips[fault.which])
        return block.source

    def main(self, fault: Fault | None) -> str:
        lines = [f"def {self.signature}:", f'    """{self.summary()}"""']
        if self.opened:
            name, (low, high) = self.opened
            lines += [
                f"    if not {low} <= {name} <= {high}:",
                f'        raise ValueError("{name} must be from {low} to {high}")',
            ]
        it = self.theme.parameter
        for at, step in enumerate(self.recipe.steps):
            broken = fault if fault and fault.step == at and fault.how != "slip" else None
            body, it = self.step(at, step, it, broken)
            lines += ["    " + line for line in body]
        *rest, last = lines
        if last.startswith(f"    {it} = ") and not rest[-1].endswith(":"):  # no name for what is returned at once
            return "\n".join([*rest, f"    return {last.partition(' = ')[2]}"])
        return "\n".join([*lines, f"    return {it}"])

    def step(self, at: int, step: Step, it: str, broken: Fault | None) -> tuple[list[str], str]:
        """The lines of one step, and the name of the value after it."""
        lines, name = self.plain(at, step, it)
        if broken is None:
            return lines, name
        test = self.trigger(broken)
        if broken.how == "spoil":
            return [
                *lines,
                f"if {test}:",
                f"    {name} = {SPOILS[self.kinds[at + 1]][broken.which].format(it=name)}",
            ], name
        if name == it:
            return [f"if not ({test}):", *("    " + line for line in lines)], name
        return [f"if {test}:", f"    {name} = {it}", "else:", *("    " + line for line in lines)], name

    def trigger(self, fault: Fault) -> str:
        condition = condition_of(self.kinds[0], fault.trigger, fault.number, rare=True)
        return condition.test.format(it=self.theme.parameter, n=fault.number)

    def plain(self, at: int, step: Step, it: str) -> tuple[list[str], str]:
        calls = [self.call(at, use, it) for use in step.uses]
        names = [use.of().noun for use in step.uses]
        if step.how == "do":
            return [f"{names[0]} = {calls[0]}"], names[0]
        if step.how == "each":
            item = _ITEMS[self.kinds[at]]
            return [f"{names[0]} = [{self.call(at, step.uses[0], item)} for {item} in {it}]"], names[0]
        if step.how == "repeat":
            again = self.call(at, step.uses[0], names[0])
            return [f"{names[0]} = {it}", f"for _ in range({step.number}):", f"    {names[0]} = {again}"], names[0]
        if step.how == "join":
            left, right = names
            return [
                f"{left} = {calls[0]}",
                f"{right} = {calls[1]}",
                f"combined = {left} {step.test} {right}",
            ], "combined"
        test = condition_of(self.kinds[at], step.test, step.number).test.format(it=it, n=step.number)
        if step.how == "if":
            return [f"if {test}:", f"    {it} = {calls[0]}"], it
        if step.how == "either":
            noun = KINDS[self.kinds[at + 1]].noun
            return [f"if {test}:", f"    {noun} = {calls[0]}", "else:", f"    {noun} = {calls[1]}"], noun
        return [f"if {test}:", f"    return {KINDS[self.kinds[-1]].empty}"], it

    def call(self, at: int, use: Use, it: str) -> str:
        return f"{use.block}({', '.join([it, *self.constants(at, use).values()])})"

    def summary(self) -> str:
        names = [use.block.replace("_", " ") for step in self.recipe.steps for use in step.uses]
        return f"Apply {', '.join(names[:-1])}{' and ' if names[1:] else ''}{names[-1]} to {self.theme.words}."

    # --- message

    def message(self) -> str:
        opening = f"Given {self.theme.parameter}, {KINDS[self.kinds[0]].words} ({self.theme.words})"
        if self.opened:
            name, (low, high) = self.opened
            opening += (
                f", and {name}, an integer from {low} to {high} (raise a ValueError if it is outside of this range)"
            )
        says = [self.says(at, step) for at, step in enumerate(self.recipe.steps)]
        closing = f"{KINDS[self.kinds[-1]].words}."
        if len(says) == 1:
            return f"{opening}: {says[0]}. Return the outcome, {closing}"
        listed = "\n".join(f"{at}. {text[:1].upper()}{text[1:]}." for at, text in enumerate(says, 1))
        return (
            f"{opening}, do the following in order, each step with the outcome of the one before.\n{listed}\n"
            f"Return the outcome of the last step, {closing}"
        )

    def says(self, at: int, step: Step) -> str:
        texts = [use.of().says.format(**self.told(at, use)) for use in step.uses]
        it = KINDS[self.kinds[at]].it
        if step.how == "do":
            return texts[0]
        if step.how == "each":
            kind = self.kinds[at]
            made = "a grid again" if self.kinds[at + 1] == "grid" else "a list"
            return (
                f"do this for each {_ITEMS[kind]}, taken as {_TAKEN[kind]} of its own: {texts[0]}. "
                f"The outcomes make {made}, in the same order"
            )
        if step.how == "repeat":
            return f"do this {step.number} times in a row: {texts[0]}"
        if step.how == "join":
            both = f"The first: {texts[0]}. The second: {texts[1]}"
            return f"work out two numbers from {it}. {both}. Go on with {JOINS[step.test]}"
        holds = condition_of(self.kinds[at], step.test, step.number).words.format(n=step.number)
        if step.how == "if":
            return f"if {holds}, do this: {texts[0]}. Otherwise leave {it} as it is"
        if step.how == "either":
            return f"if {holds}, do this: {texts[0]}. Otherwise do this: {texts[1]}"
        return f"if {holds}, stop here and return {_EMPTY[KINDS[self.kinds[-1]].empty]}"


def precondition(recipe: Recipe) -> str:
    """Write the precondition of a recipe: exact types, honest ranges, and its guard."""
    writer = _Writer(recipe, kinds_of(recipe))
    it = writer.theme.parameter
    accepts = writer.theme.accepts.replace("{it}", it).replace("{most}", str(writer.theme.most(recipe.size)))
    tests = accepts.split("; ")
    if writer.opened:
        name, (low, high) = writer.opened
        tests.append(f"type({name}) is int and {low} <= {name} <= {high}")
    if recipe.guard:
        tests.append(condition_of(writer.kinds[0], recipe.guard, recipe.bound).test.format(it=it, n=recipe.bound))
    lines = [f"    if not ({test}):\n        return False" for test in tests[:-1]]
    head = f'def {PRECONDITION}({writer.parameters}) -> bool:\n    """Tell whether these are proper arguments."""'
    return "\n".join([head, *lines, f"    return {tests[-1]}"]) + "\n"


def property_test(recipe: Recipe) -> str:
    """Write the property that a recipe claims; empty if its program does not promise that."""
    writer = _Writer(recipe, kinds_of(recipe))
    test, words = _claim(recipe, writer)
    if not test:
        return ""
    given = ", ".join(writer.names)
    return (
        f'def {PROPERTY}({writer.parameters}) -> None:\n    """Check that {words}."""\n'
        f'    result = f({given})\n    assert {test}, "{words}"\n'
    )


def claims_of(recipe: Recipe) -> list[str]:
    """What a property of a recipe may be about: ``promise``, ``length`` and ``order``, as far as they hold."""
    claims = ("promise", "length", "order")
    return [claim for claim in claims if property_test(msgspec.structs.replace(recipe, claim=claim))]


def _claim(recipe: Recipe, writer: _Writer) -> tuple[str, str]:
    it, steps = writer.theme.parameter, recipe.steps
    plain = all(step.how in ("do", "each") for step in steps)
    if recipe.claim == "promise" and steps[-1].how in ("do", "repeat") and steps[-1].uses[0].of().promise[0]:
        if any(step.how == "stop" for step in steps):
            return "", ""
        constants = writer.constants(len(steps) - 1, steps[-1].uses[0])
        test, words = steps[-1].uses[0].of().promise
        return test.format(**constants), words.format(**constants)
    if recipe.claim == "length" and plain and all(_same_length(step, step.uses[0].of()) for step in steps):
        return f"len(result) == len({it})", "the result is as long as what is given"
    turnable = writer.kinds[0] in ("ints", "words", "text", "pairs")
    if recipe.claim == "order" and turnable and steps[0].how == "do" and steps[0].uses[0].of().ignores_order:
        given = ", ".join([f"{it}[::-1]", *writer.names[1:]])
        return f"f({given}) == result", "turning round what is given does not change the result"
    return "", ""


def _same_length(step: Step, block: Block) -> bool:
    return step.how == "each" or block.keeps_length


def flattened(program: str) -> list[str]:
    """Make variants of a program without a fault, each with one turn taken out.

    One condition always or never holds, or one repetition is done once. A turn is worth having
    if no such variant does the same.
    """
    head, mark, main = program.rpartition("\n\n\ndef f(")
    lines = main.splitlines()
    changes = []
    for at, line in enumerate(lines):
        if line.startswith("    for _ in range("):
            changes.append((at, "    for _ in range(1):"))
        elif line.startswith("    if ") and not line.startswith("    if not "):
            changes += [(at, "    if True:"), (at, "    if False:")]
    return [head + mark + "\n".join([*lines[:at], new, *lines[at + 1 :]]) + "\n" for at, new in changes]
