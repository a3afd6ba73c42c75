"""Building blocks of a single idea: the lightest ones, for easy problems and between others."""

from __future__ import annotations

from code_envs.teacher.blocks import block

__all__: list[str] = []


@block("ints", "ints", 1, "reverse the order of the list", noun="backwards", keeps_length=True)
def reverse_order(values: list[int]) -> list[int]:
    """Turn the list round."""
    return values[::-1]


@block(
    "ints", "ints", 1, "sort the values, smallest first",
    noun="sorted_values", keeps_length=True, ignores_order=True,
    promise=("all(a <= b for a, b in zip(result, result[1:]))", "the values of the result never decrease"),
)  # fmt: skip
def sort_rising(values: list[int]) -> list[int]:
    """Sort the values."""
    return sorted(values)


@block(
    "ints", "ints", 1, "multiply each value by {factor}",
    noun="scaled", draws={"factor": (2, 5)}, keeps_length=True,
    promise=("all(value % {factor} == 0 for value in result)", "every value of the result is divisible by {factor}"),
)  # fmt: skip
def scale_all(values: list[int], factor: int) -> list[int]:
    """Multiply each value."""
    return [value * factor for value in values]


@block(
    "ints", "ints", 1, "add {amount} to each value",
    noun="raised", draws={"amount": (1, 9)}, keeps_length=True,
)  # fmt: skip
def add_to_all(values: list[int], amount: int) -> list[int]:
    """Add the same amount to each value."""
    return [value + amount for value in values]


@block(
    "ints", "ints", 1, "replace each value by its square",
    noun="squares", keeps_length=True, promise=("all(value >= 0 for value in result)", "no value is negative"),
)  # fmt: skip
def square_all(values: list[int]) -> list[int]:
    """Square each value."""
    return [value * value for value in values]


@block(
    "ints",
    "ints",
    1,
    "keep only the first {count} values (all if there are fewer)",
    noun="head",
    draws={"count": (2, 4)},
)
def keep_first(values: list[int], count: int) -> list[int]:
    """Keep the beginning of the list."""
    return values[:count]


@block(
    "ints", "ints", 1, "drop the first {count} values (all if there are fewer)", noun="tail", draws={"count": (1, 3)}
)
def drop_first(values: list[int], count: int) -> list[int]:
    """Drop the beginning of the list."""
    return values[count:]


@block(
    "ints", "ints", 1, "keep only the even values",
    noun="evens", promise=("all(value % 2 == 0 for value in result)", "every value of the result is even"),
)  # fmt: skip
def keep_even(values: list[int]) -> list[int]:
    """Keep the even values."""
    return [value for value in values if value % 2 == 0]


@block("ints", "int", 1, "take the greatest value (0 for an empty list)", noun="greatest", ignores_order=True)
def greatest_of(values: list[int]) -> int:
    """Find the greatest value."""
    return max(values, default=0)


@block("ints", "int", 1, "take the sum of the values", noun="total", ignores_order=True)
def total_of(values: list[int]) -> int:
    """Add up all values."""
    return sum(values)


@block("int", "int", 1, "multiply by {factor}", noun="multiple", draws={"factor": (2, 9)})
def multiply_by(number: int, factor: int) -> int:
    """Multiply a number."""
    return number * factor


@block(
    "int", "int", 1, "take the remainder modulo {modulus} (never negative)",
    noun="rest", draws={"modulus": (7, 40)},
    promise=("0 <= result < {modulus}", "the result lies from 0 to {modulus} - 1"),
)  # fmt: skip
def remainder_of(number: int, modulus: int) -> int:
    """Take the remainder of a number."""
    return number % modulus


@block("text", "text", 1, "reverse the text", noun="reversed_text", keeps_length=True)
def reverse_text(text: str) -> str:
    """Read the text backwards."""
    return text[::-1]


@block("text", "text", 1, "write the text twice, one directly after the other", noun="doubled")
def double_text(text: str) -> str:
    """Repeat the text."""
    return text + text


@block(
    "text",
    "text",
    1,
    "drop the first {count} characters (all if there are fewer)",
    noun="ending",
    draws={"count": (1, 3)},
)
def drop_letters(text: str, count: int) -> str:
    """Drop the beginning of the text."""
    return text[count:]


@block("text", "text", 1, "remove all spaces", noun="dense", likes=("sentence", "log_line"))
def remove_spaces(text: str) -> str:
    """Write the text without its spaces."""
    return text.replace(" ", "")


@block("text", "int", 1, "count the characters", noun="length", ignores_order=True)
def length_of(text: str) -> int:
    """Count the characters."""
    return len(text)


@block("words", "words", 1, "reverse the order of the words", noun="turned_words", keeps_length=True)
def reverse_words(words: list[str]) -> list[str]:
    """Turn the list of words round."""
    return words[::-1]


@block("words", "text", 1, "join the words with a dash between neighbours", noun="joined")
def join_with_dashes(words: list[str]) -> str:
    """Join the words."""
    return "-".join(words)


@block("words", "ints", 1, "replace each word by its length", noun="lengths", keeps_length=True)
def word_lengths(words: list[str]) -> list[int]:
    """Measure each word."""
    return [len(word) for word in words]


@block("pairs", "ints", 1, "take the first number of each pair", noun="firsts", keeps_length=True)
def first_parts(pairs: list[tuple[int, int]]) -> list[int]:
    """Take the first number of each pair."""
    return [first for first, _ in pairs]


@block("grid", "ints", 1, "take the sum of each row", noun="row_sums")
def sum_rows(grid: list[list[int]]) -> list[int]:
    """Add up each row."""
    return [sum(row) for row in grid]
