"""Building blocks on lists of integers that give such a list, or something made of its items."""

# ruff: noqa: B905, PERF401, RUF007
# This is the text of grown programs: plain loops are to be followed, and there are no imports.

from __future__ import annotations

from code_envs.teacher.blocks import block

__all__: list[str] = []

_RISING = ("all(a <= b for a, b in zip(result, result[1:]))", "the values of the result never decrease")


@block(
    "ints", "ints", 2, "replace each value by the sum of all values up to and including it",
    noun="totals", keeps_length=True,
)  # fmt: skip
def running_totals(values: list[int]) -> list[int]:
    """Add up the values from the left."""
    totals: list[int] = []
    total = 0
    for value in values:
        total += value
        totals.append(total)
    return totals


@block(
    "ints", "ints", 1, "drop every value that has already occurred further left",
    noun="distinct", promise=("len(result) == len(set(result))", "no value occurs twice in the result"),
    likes=("runs",), slips=(("if value not in kept:", "if value not in kept[-5:]:"),),
)  # fmt: skip
def drop_repeats(values: list[int]) -> list[int]:
    """Keep the first occurrence of each value."""
    kept: list[int] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept


@block(
    "ints", "ints", 2, "replace the list by the sums of every {width} neighbouring values (no sums if there are fewer)",
    noun="sums", draws={"width": (2, 4)},
)  # fmt: skip
def window_sums(values: list[int], width: int) -> list[int]:
    """Slide a window over the values and add up what it shows."""
    sums: list[int] = []
    for start in range(len(values) - width + 1):
        sums.append(sum(values[start : start + width]))
    return sums


@block(
    "ints", "ints", 2, "rotate the list to the left by {places} places",
    noun="rotated", draws={"places": (1, 5)}, keeps_length=True,
    slips=(("places % len(values)", "min(places, len(values))"),),
)  # fmt: skip
def rotate_left(values: list[int], places: int) -> list[int]:
    """Move items from the front to the back."""
    if not values:
        return []
    cut = places % len(values)
    return values[cut:] + values[:cut]


@block(
    "ints", "ints", 1, "replace the list by the differences of neighbours, each value minus the one before it",
    noun="changes",
)  # fmt: skip
def differences(values: list[int]) -> list[int]:
    """Say how much each value differs from the one before it."""
    changes: list[int] = []
    for earlier, later in zip(values, values[1:]):
        changes.append(later - earlier)
    return changes


@block(
    "ints", "ints", 2, "replace each value by the greatest of all values up to and including it",
    noun="peaks", keeps_length=True, promise=_RISING,
    slips=(("if not peaks or value > peaks[-1]:", "if not peaks or value > peaks[-1] or value == -peaks[-1]:"),),
)  # fmt: skip
def prefix_maxima(values: list[int]) -> list[int]:
    """Replace each value by the greatest so far."""
    peaks: list[int] = []
    for value in values:
        if not peaks or value > peaks[-1]:
            peaks.append(value)
        else:
            peaks.append(peaks[-1])
    return peaks


@block(
    "ints", "ints", 2, "move the values divisible by {divisor} to the front, keeping the order within both groups",
    noun="parted", draws={"divisor": (2, 5)}, keeps_length=True,
)  # fmt: skip
def multiples_first(values: list[int], divisor: int) -> list[int]:
    """Part the values by whether they are divisible."""
    front: list[int] = []
    back: list[int] = []
    for value in values:
        if value % divisor == 0:
            front.append(value)
        else:
            back.append(value)
    return front + back


@block(
    "ints", "ints", 2,
    "sort the values by their distance from {center}, nearest first, and equally distant ones with the smaller first",
    noun="nearest", draws={"center": (1, 12)}, keeps_length=True, ignores_order=True,
    promise=(
        "all(abs(a - {center}) <= abs(b - {center}) for a, b in zip(result, result[1:]))",
        "no value of the result is nearer to {center} than the one before it",
    ),
    slips=(
        ("(abs(value - center), value)", "(abs(value - center), -value)"),
        ("abs(value - center)", "abs(value) - center"),
    ),
)  # fmt: skip
def sort_by_distance(values: list[int], center: int) -> list[int]:
    """Sort the values by how far they are from the center."""
    return sorted(values, key=lambda value: (abs(value - center), value))


@block(
    "ints", "ints", 2, "raise the values below {low} to {low}, and lower those above {high} to {high}",
    noun="bounded", draws={"low": (-6, 2), "high": (9, 25)}, keeps_length=True,
    promise=("all({low} <= value <= {high} for value in result)", "all values of the result lie from {low} to {high}"),
    slips=(("elif value > high:", "elif value > high and value % 10 != 0:"),),
)  # fmt: skip
def clamp_all(values: list[int], low: int, high: int) -> list[int]:
    """Bring each value into the range."""
    bounded: list[int] = []
    for value in values:
        if value < low:
            bounded.append(low)
        elif value > high:
            bounded.append(high)
        else:
            bounded.append(value)
    return bounded


@block(
    "ints", "ints", 2, "keep only the values greater than the mean of the whole list (none of an empty list)",
    noun="above_mean", slips=(("value * len(values) > total", "value * len(values) >= total"),),
)  # fmt: skip
def keep_above_mean(values: list[int]) -> list[int]:
    """Keep the values above the mean, without dividing."""
    total = sum(values)
    kept: list[int] = []
    for value in values:
        if value * len(values) > total:
            kept.append(value)
    return kept


@block(
    "ints", "ints", 2,
    "cut the list in the middle (the first half gets the extra value) and take values in turn from the first half "
    "and the second half",
    noun="riffled", keeps_length=True,
)  # fmt: skip
def riffle(values: list[int]) -> list[int]:
    """Interleave both halves, as one shuffles cards."""
    middle = (len(values) + 1) // 2
    riffled: list[int] = []
    for at in range(middle):
        riffled.append(values[at])
        if middle + at < len(values):
            riffled.append(values[middle + at])
    return riffled


@block(
    "ints", "ints", 3,
    "replace each value by the first greater value to its right, or by {missing} if there is none",
    noun="greater", draws={"missing": (-1, 1)}, keeps_length=True,
    slips=(("values[waiting[-1]] < value", "values[waiting[-1]] <= value"),),
)  # fmt: skip
def next_greater(values: list[int], missing: int) -> list[int]:
    """Find the next greater value of each, with a stack of positions that still wait for one."""
    greater = [missing] * len(values)
    waiting: list[int] = []
    for at, value in enumerate(values):
        while waiting and values[waiting[-1]] < value:
            greater[waiting.pop()] = value
        waiting.append(at)
    return greater


@block(
    "ints", "ints", 3,
    "read the values from left to right with a stack that starts empty: a value above {limit} is pushed; a value from "
    "0 to {limit} replaces the two topmost items by their sum (nothing happens if there are fewer than two); a "
    "negative value removes the topmost item, if any. Take the stack at the end, bottom first",
    noun="stack", draws={"limit": (2, 6)}, likes=("runs", "steps"),
)  # fmt: skip
def run_stack(values: list[int], limit: int) -> list[int]:
    """Run the values as the program of a small stack machine."""
    stack: list[int] = []
    for value in values:
        if value > limit:
            stack.append(value)
        elif value >= 0 and len(stack) >= 2:
            top = stack.pop()
            stack[-1] += top
        elif value < 0 and stack:
            stack.pop()
    return stack


@block(
    "ints", "ints", 3,
    "treat the values as moves of a walker who starts at 0 and list where the walker stands after each move; "
    "a move that would end below 0 ends at 0, and one that would end above {wall} ends at {wall}",
    noun="stations", draws={"wall": (8, 20)}, keeps_length=True, likes=("steps",),
    promise=("all(0 <= place <= {wall} for place in result)", "the walker always stands from 0 to {wall}"),
    slips=(("elif place > wall:", "elif place > wall + 1:"),),
)  # fmt: skip
def walk_between_walls(moves: list[int], wall: int) -> list[int]:
    """Follow a walker who cannot pass the walls at 0 and ``wall``."""
    places: list[int] = []
    place = 0
    for move in moves:
        place += move
        if place < 0:
            place = 0
        elif place > wall:
            place = wall
        places.append(place)
    return places


@block(
    "ints", "pairs", 2, "replace each run of equal neighbours by the pair of its value and its length",
    noun="runs", likes=("runs",),
    promise=("all(a[0] != b[0] for a, b in zip(result, result[1:]))", "neighbouring runs have different values"),
    slips=(("runs[-1][0] == value:", "runs[-1][0] == value and runs[-1][1] < 4:"),),
)  # fmt: skip
def run_lengths(values: list[int]) -> list[tuple[int, int]]:
    """Encode runs of equal values."""
    runs: list[tuple[int, int]] = []
    for value in values:
        if runs and runs[-1][0] == value:
            runs[-1] = (value, runs[-1][1] + 1)
        else:
            runs.append((value, 1))
    return runs


@block(
    "ints", "grid", 2, "write the values into rows of {columns}, filling up the last row with zeros",
    noun="rows", draws={"columns": (2, 4)},
    promise=("all(len(row) == {columns} for row in result)", "every row has {columns} values"),
    slips=(("row + [0] * (columns - len(row))", "row + [0] * (len(values) % columns)"),),
)  # fmt: skip
def fold_into_rows(values: list[int], columns: int) -> list[list[int]]:
    """Cut the values into rows of equal length."""
    rows: list[list[int]] = []
    for start in range(0, len(values), columns):
        row = values[start : start + columns]
        rows.append(row + [0] * (columns - len(row)))
    return rows


@block("ints", "tally", 1, "count how often each value occurs", noun="tally", ignores_order=True, likes=("runs",))
def count_values(values: list[int]) -> dict[int, int]:
    """Count the occurrences of each value."""
    tally: dict[int, int] = {}
    for value in values:
        tally[value] = tally.get(value, 0) + 1
    return tally


@block(
    "ints", "tally", 2,
    "divide the values into groups by their remainder modulo {modulus} (never negative), and map each remainder that "
    "occurs to the sum of its group",
    noun="group_sums", draws={"modulus": (3, 6)}, ignores_order=True,
)  # fmt: skip
def sum_by_remainder(values: list[int], modulus: int) -> dict[int, int]:
    """Add up the values that leave the same remainder."""
    sums: dict[int, int] = {}
    for value in values:
        group = value % modulus
        sums[group] = sums.get(group, 0) + value
    return sums
