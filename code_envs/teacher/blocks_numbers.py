"""Building blocks that give or take a single integer."""

# This is the text of grown programs: plain loops are to be followed, and there are no imports.

from __future__ import annotations

from code_envs.teacher.blocks import block

__all__: list[str] = []


@block(
    "ints", "int", 2, "add the values at even positions (the first position is 0) and subtract those at odd positions",
    noun="balance",
)  # fmt: skip
def alternating_sum(values: list[int]) -> int:
    """Add and subtract the values in turn."""
    balance = 0
    for at, value in enumerate(values):
        if at % 2 == 0:
            balance += value
        else:
            balance -= value
    return balance


@block(
    "ints", "int", 2, "take the greatest value minus the smallest (0 for an empty list)",
    noun="spread", ignores_order=True, promise=("result >= 0", "the result is never negative"),
)  # fmt: skip
def spread_of(values: list[int]) -> int:
    """Measure how far the values spread."""
    if not values:
        return 0
    return max(values) - min(values)


@block(
    "ints", "int", 2, "count the values greater than {limit}",
    noun="above", draws={"limit": (0, 12)}, ignores_order=True, slips=(("value > limit", "value >= limit"),),
)  # fmt: skip
def count_above(values: list[int], limit: int) -> int:
    """Count the values above the limit."""
    count = 0
    for value in values:
        if value > limit:
            count += 1
    return count


@block(
    "ints", "int", 2,
    "take the length of the longest run of neighbours in which each value is greater than the one before it "
    "(0 for an empty list)",
    noun="longest", slips=(("value > previous", "value >= previous"),),
)  # fmt: skip
def longest_rise(values: list[int]) -> int:
    """Measure the longest stretch that keeps rising."""
    longest = 0
    length = 0
    previous = 0
    for value in values:
        if length > 0 and value > previous:
            length += 1
        else:
            length = 1
        previous = value
        longest = max(longest, length)
    return longest


@block(
    "ints", "int", 3, "take the greatest sum that any number of neighbouring values can have, none at all giving 0",
    noun="best", promise=("result >= 0", "the result is never negative"),
    slips=(
        ("max(0, running + value)", "max(value, running + value)"),
        ("best = 0", "best = values[0] if values else 0"),
    ),
)  # fmt: skip
def best_stretch(values: list[int]) -> int:
    """Find the greatest sum of a stretch of neighbours."""
    best = 0
    running = 0
    for value in values:
        running = max(0, running + value)
        best = max(best, running)
    return best


@block(
    "ints", "int", 3,
    "count the pairs of different positions whose two values add up to {goal}",
    noun="matches", draws={"goal": (4, 20)}, ignores_order=True, likes=("runs", "steps"),
)  # fmt: skip
def pairs_adding_to(values: list[int], goal: int) -> int:
    """Count pairs with a given sum, remembering what was passed."""
    seen: dict[int, int] = {}
    matches = 0
    for value in values:
        matches += seen.get(goal - value, 0)
        seen[value] = seen.get(value, 0) + 1
    return matches


@block(
    "ints", "int", 3,
    "sort the distinct values and count those smaller than {mark}",
    noun="rank", draws={"mark": (3, 14)}, ignores_order=True,
    slips=(
        ("ordered[middle] < mark", "ordered[middle] <= mark"),
        ("low = middle + 1", "low = middle + 1 if high < 9 else high"),
    ),
)  # fmt: skip
def rank_of(values: list[int], mark: int) -> int:
    """Find the rank of a mark among the distinct values by binary search."""
    ordered = sorted(set(values))
    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < mark:
            low = middle + 1
        else:
            high = middle
    return low


@block(
    "ints", "int", 2, "take the greatest common divisor of the absolute values, zeros left out (0 if nothing is left)",
    noun="shared_divisor", ignores_order=True, likes=("multiples",),
)  # fmt: skip
def common_divisor(values: list[int]) -> int:
    """Find the greatest common divisor by Euclid's method."""
    divisor = 0
    for value in values:
        other = abs(value)
        while other:
            divisor, other = other, divisor % other
    return divisor


@block(
    "ints", "int", 2,
    "read the values as digits in base {base}, the first one the most significant: start with 0, and for each value "
    "multiply by {base} and add the value",
    noun="code", draws={"base": (2, 9)}, likes=("steps", "runs"),
)  # fmt: skip
def from_digits(values: list[int], base: int) -> int:
    """Put a number together from its digits."""
    number = 0
    for value in values:
        number = number * base + value
    return number


@block(
    "int", "int", 1, "take the sum of the decimal digits, ignoring the sign",
    noun="digit_total", promise=("result >= 0", "the result is never negative"),
)  # fmt: skip
def digit_sum(number: int) -> int:
    """Add up the decimal digits."""
    rest = abs(number)
    total = 0
    while rest > 0:
        total += rest % 10
        rest //= 10
    return total


@block(
    "int", "int", 2,
    "write the decimal digits in reverse order, dropping zeros that come to the front, and keep the sign",
    noun="mirrored", slips=(("while rest > 0:", "while rest % 1000 > 0:"),),
)  # fmt: skip
def reverse_digits(number: int) -> int:
    """Reverse the decimal digits."""
    rest = abs(number)
    mirrored = 0
    while rest > 0:
        mirrored = mirrored * 10 + rest % 10
        rest //= 10
    return -mirrored if number < 0 else mirrored


@block(
    "int", "ints", 2,
    "list the digits of the absolute value in base {base}, the most significant first (one 0 for zero)",
    noun="digits", draws={"base": (2, 9)},
    promise=("all(0 <= digit < {base} for digit in result)", "every digit lies from 0 to {base} - 1"),
    slips=(("while rest >= base:", "while rest > base:"),),
)  # fmt: skip
def digits_in_base(number: int, base: int) -> list[int]:
    """Write a number in another base."""
    rest = abs(number)
    digits: list[int] = []
    while rest >= base:
        digits.append(rest % base)
        rest //= base
    digits.append(rest)
    return digits[::-1]


@block(
    "int", "int", 3,
    "starting from the absolute value, count the steps until 1 is reached, halving an even number and replacing an odd "
    "number n by 3n + 1; stop counting after {limit} steps (0 and 1 take no steps)",
    noun="steps_taken", draws={"limit": (8, 30)},
    promise=("0 <= result <= {limit}", "the number of steps lies from 0 to {limit}"),
    slips=(("steps < limit", "steps <= limit"),),
)  # fmt: skip
def halving_steps(number: int, limit: int) -> int:
    """Count the steps of the 3n + 1 walk, up to a limit."""
    current = abs(number)
    steps = 0
    while current > 1 and steps < limit:
        if current % 2 == 0:
            current //= 2
        else:
            current = 3 * current + 1
        steps += 1
    return steps


@block(
    "int", "int", 2, "multiply by {factor}, add {offset}, and take the remainder modulo {modulus} (never negative)",
    noun="remainder", draws={"factor": (3, 9), "offset": (1, 9), "modulus": (17, 97)},
    promise=("0 <= result < {modulus}", "the result lies from 0 to {modulus} - 1"),
)  # fmt: skip
def scramble(number: int, factor: int, offset: int, modulus: int) -> int:
    """Map a number to a remainder."""
    return (number * factor + offset) % modulus


@block(
    "int", "ints", 3,
    "list {count} numbers: the first is the remainder of the number modulo {modulus}, and each further one is the "
    "remainder modulo {modulus} of {factor} times the one before it, plus 1",
    noun="series", draws={"count": (4, 7), "factor": (2, 7), "modulus": (11, 41)},
    promise=("all(0 <= value < {modulus} for value in result)", "every value lies from 0 to {modulus} - 1"),
)  # fmt: skip
def modular_series(number: int, count: int, factor: int, modulus: int) -> list[int]:
    """List the numbers that a modular rule gives one after the other."""
    series = [number % modulus]
    while len(series) < count:
        series.append((series[-1] * factor + 1) % modulus)
    return series


@block(
    "int", "int", 2, "count the ones in the binary writing of the absolute value",
    noun="ones", promise=("result >= 0", "the result is never negative"),
)  # fmt: skip
def count_ones(number: int) -> int:
    """Count the set bits, clearing the lowest one each time."""
    rest = abs(number)
    ones = 0
    while rest:
        rest &= rest - 1
        ones += 1
    return ones


@block(
    "int", "int", 2,
    "flip the {width} lowest binary digits of the absolute value (each 0 becomes 1 and each 1 becomes 0), leaving the "
    "higher ones as they are",
    noun="flipped", draws={"width": (3, 6)},
)  # fmt: skip
def flip_low_bits(number: int, width: int) -> int:
    """Flip the lowest bits."""
    mask = (1 << width) - 1
    return abs(number) ^ mask


@block(
    "int", "tally", 2, "count how often each decimal digit occurs in the absolute value (zero has one digit, 0)",
    noun="digit_tally",
)  # fmt: skip
def count_digits(number: int) -> dict[int, int]:
    """Count the decimal digits."""
    tally: dict[int, int] = {}
    for digit in str(abs(number)):
        tally[int(digit)] = tally.get(int(digit), 0) + 1
    return tally


@block(
    "int", "ints", 3,
    "split the absolute value into factors: as long as it is divisible by a number from 2 to {bound}, write down the "
    "smallest such divisor and divide by it; at the end write down what is left (0 gives a single 0)",
    noun="factors", draws={"bound": (5, 13)}, likes=("order",),
)  # fmt: skip
def split_factors(number: int, bound: int) -> list[int]:
    """Split off small factors, smallest first."""
    rest = abs(number)
    factors: list[int] = []
    divisor = 2
    while rest > 0 and divisor <= bound:
        if rest % divisor == 0:
            factors.append(divisor)
            rest //= divisor
        else:
            divisor += 1
    factors.append(rest)
    return factors


@block(
    "int", "text", 2,
    "write the absolute value in base {base} with the letters a for 0, b for 1, c for 2 and so on, the most "
    "significant first (a for zero)",
    noun="letters", draws={"base": (5, 20)},
)  # fmt: skip
def spell_in_base(number: int, base: int) -> str:
    """Write a number with letters as digits."""
    rest = abs(number)
    letters = ""
    while rest or not letters:
        letters = chr(97 + rest % base) + letters
        rest //= base
    return letters
