"""Building blocks on grids, pairs and dictionaries."""

# ruff: noqa: PERF401
# This is the text of grown programs: plain loops are to be followed, and there are no imports.

from __future__ import annotations

from code_envs.teacher.blocks import block

__all__: list[str] = []


@block("grid", "grid", 1, "swap rows and columns", noun="flipped_grid")
def transpose(grid: list[list[int]]) -> list[list[int]]:
    """Turn rows into columns."""
    return [list(column) for column in zip(*grid, strict=True)]


@block("grid", "grid", 2, "rotate the grid by a quarter turn clockwise", noun="turned_grid")
def rotate_grid(grid: list[list[int]]) -> list[list[int]]:
    """Turn the grid clockwise: the bottom row becomes the first column."""
    return [list(column) for column in zip(*grid[::-1], strict=True)]


@block("grid", "ints", 2, "take the greatest value of each column, from left to right", noun="highest")
def column_maxima(grid: list[list[int]]) -> list[int]:
    """Find the greatest value of each column."""
    return [max(column) for column in zip(*grid, strict=True)]


@block(
    "grid", "ints", 2,
    "take the values on the diagonal that starts in the top left corner and goes down to the right, as far as the grid "
    "reaches",
    noun="diagonal",
)  # fmt: skip
def main_diagonal(grid: list[list[int]]) -> list[int]:
    """Read the diagonal."""
    diagonal: list[int] = []
    for at, row in enumerate(grid):
        if at < len(row):
            diagonal.append(row[at])
    return diagonal


@block("grid", "ints", 1, "write the rows one after the other into one list", noun="flat")
def flatten(grid: list[list[int]]) -> list[int]:
    """Put all rows into one list."""
    flat: list[int] = []
    for row in grid:
        flat.extend(row)
    return flat


@block(
    "grid", "ints", 4,
    "read the values in a spiral: along the top row to the right, down the last column, back along the bottom row, up "
    "the first column, and so on inwards",
    noun="spiral",
)  # fmt: skip
def read_spiral(grid: list[list[int]]) -> list[int]:
    """Read the top row, turn the rest to the left, and go on."""
    spiral: list[int] = []
    rest = grid
    while rest:
        columns = list(zip(*rest, strict=True))
        spiral.extend(rest[0])
        rest = [list(column[1:]) for column in columns][::-1]
    return spiral


@block(
    "grid", "int", 3,
    "count the cells whose value is greater than that of every neighbour above, below, left and right inside the grid",
    noun="summits", promise=("result >= 0", "the result is never negative"),
)  # fmt: skip
def count_summits(grid: list[list[int]]) -> int:
    """Count the cells that overlook their neighbours."""
    summits = 0
    for y, row in enumerate(grid):
        for x, value in enumerate(row):
            around: list[int] = []
            for near_y, near_x in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= near_y < len(grid) and 0 <= near_x < len(row):
                    around.append(grid[near_y][near_x])
            if all(value > other for other in around):
                summits += 1
    return summits


@block(
    "pairs", "pairs", 3,
    "take each pair as an interval between its two numbers, whichever is smaller, and merge intervals that overlap or "
    "touch; list the merged intervals as pairs of start and end, by start",
    noun="merged", likes=("bookings",), ignores_order=True,
    promise=("all(a[1] < b[0] for a, b in zip(result, result[1:]))", "each interval ends before the next one starts"),
    slips=(
        ("if merged and start <= merged[-1][1]:", "if merged and start < merged[-1][1]:"),
        ("max(merged[-1][1], end)", "end"),
    ),
)  # fmt: skip
def merge_intervals(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge intervals that overlap or touch."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted((min(pair), max(pair)) for pair in pairs):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


@block(
    "pairs", "ints", 2, "replace each pair by the absolute difference of its two numbers",
    noun="widths", keeps_length=True, likes=("bookings",),
    promise=("all(width >= 0 for width in result)", "no value of the result is negative"),
)  # fmt: skip
def pair_widths(pairs: list[tuple[int, int]]) -> list[int]:
    """Measure how far the numbers of each pair are apart."""
    widths: list[int] = []
    for first, second in pairs:
        widths.append(abs(second - first))
    return widths


@block(
    "pairs", "ints", 2,
    "write out each pair as its first number repeated as often as its second number says (not at all if that is "
    "negative, and at most {most} times)",
    noun="written_out", draws={"most": (3, 6)},
)  # fmt: skip
def expand_pairs(pairs: list[tuple[int, int]], most: int) -> list[int]:
    """Write out runs of values."""
    written: list[int] = []
    for value, times in pairs:
        for _ in range(min(times, most)):
            written.append(value)
    return written


@block(
    "pairs", "pairs", 2,
    "sort the pairs by their second number, greatest first, and pairs with equal second numbers by their first number, "
    "smallest first",
    noun="sorted_pairs", keeps_length=True, ignores_order=True,
    promise=("all(a[1] >= b[1] for a, b in zip(result, result[1:]))", "the second numbers never increase"),
    slips=(("-pair[1]", "-abs(pair[1])"),),
)  # fmt: skip
def sort_pairs(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sort pairs by their second number, falling."""
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


@block(
    "pairs", "tally", 2,
    "build a dictionary that maps the first number of each pair to the sum of the second numbers of all pairs that "
    "start with it",
    noun="sums_by_first", ignores_order=True,
)  # fmt: skip
def add_by_first(pairs: list[tuple[int, int]]) -> dict[int, int]:
    """Add up the second numbers by the first number."""
    sums: dict[int, int] = {}
    for first, second in pairs:
        sums[first] = sums.get(first, 0) + second
    return sums


@block(
    "tally", "pairs", 2,
    "list the entries as pairs of key and value, greatest value first, and equal values by key, smallest first",
    noun="ranking",
    promise=("all(a[1] >= b[1] for a, b in zip(result, result[1:]))", "the second numbers never increase"),
    slips=(("(-entry[1], entry[0])", "(-abs(entry[1]), entry[0])"),),
)  # fmt: skip
def rank_entries(table: dict[int, int]) -> list[tuple[int, int]]:
    """Rank the entries of a dictionary by value."""
    return sorted(table.items(), key=lambda entry: (-entry[1], entry[0]))


@block(
    "tally", "tally", 2,
    "swap keys and values; where several keys have the same value, the smallest of these keys is taken",
    noun="inverse", slips=(("key < inverse[value]", "key > inverse[value]"),),
)  # fmt: skip
def invert_table(table: dict[int, int]) -> dict[int, int]:
    """Map each value back to its smallest key."""
    inverse: dict[int, int] = {}
    for key, value in table.items():
        if value not in inverse or key < inverse[value]:
            inverse[value] = key
    return inverse


@block(
    "tally", "int", 2, "add up key times value over all entries", noun="weighted",
)  # fmt: skip
def weighted_sum(table: dict[int, int]) -> int:
    """Add up the products of key and value."""
    total = 0
    for key, value in table.items():
        total += key * value
    return total


@block("tally", "ints", 1, "list the keys in rising order", noun="keys_found")
def sorted_keys(table: dict[int, int]) -> list[int]:
    """List the keys in order."""
    return sorted(table)


@block(
    "counts", "words", 2, "list the keys by value, greatest value first, and keys with equal values in Unicode order",
    noun="names", promise=("len(result) == len(set(result))", "no key is listed twice"),
)  # fmt: skip
def names_by_value(table: dict[str, int]) -> list[str]:
    """List the keys by falling value."""
    return sorted(table, key=lambda name: (-table[name], name))


@block(
    "counts", "text", 2,
    "take the key with the greatest value, of several the first in Unicode order (the empty text if there are no "
    "entries)",
    noun="leader", slips=(("> table[leader]", ">= table[leader]"),),
)  # fmt: skip
def leader_of(table: dict[str, int]) -> str:
    """Find the key with the greatest value."""
    names = sorted(table)
    leader = names[0] if names else ""
    for name in names:
        if table[name] > table[leader]:
            leader = name
    return leader


@block(
    "counts", "tally", 2, "map each value that occurs to the number of keys that have it",
    noun="keys_per_value",
)  # fmt: skip
def count_of_counts(table: dict[str, int]) -> dict[int, int]:
    """Count how many keys share each value."""
    shared: dict[int, int] = {}
    for value in table.values():
        shared[value] = shared.get(value, 0) + 1
    return shared


@block(
    "counts", "counts", 2, "keep only the entries with a value of at least {least}, and lower their values by {least}",
    noun="remaining", draws={"least": (1, 3)},
    promise=("all(value >= 0 for value in result.values())", "no value is negative"),
    slips=(("if value >= least:", "if value >= least or len(name) > 7:"),),
)  # fmt: skip
def lower_values(table: dict[str, int], least: int) -> dict[str, int]:
    """Take a fixed amount from each value that can bear it."""
    remaining: dict[str, int] = {}
    for name, value in table.items():
        if value >= least:
            remaining[name] = value - least
    return remaining
