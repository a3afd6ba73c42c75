"""Building blocks on texts and lists of words."""

# ruff: noqa: PERF401, SIM102
# This is the text of grown programs: plain loops are to be followed, and there are no imports.

from __future__ import annotations

from code_envs.teacher.blocks import block

__all__: list[str] = []


@block(
    "text", "text", 2,
    "move each letter from a to z and from A to Z forward by {places} places in the alphabet, starting again at a "
    "(or A) after the end; other characters stay",
    noun="shifted", draws={"places": (1, 12)}, keeps_length=True, likes=("sentence", "letters_only"),
    slips=(("if code - base >= 26", "if code - base > 26"),),
)  # fmt: skip
def shift_letters(text: str, places: int) -> str:
    """Shift letters along the alphabet."""
    shifted = ""
    for letter in text:
        base = 97 if "a" <= letter <= "z" else 65 if "A" <= letter <= "Z" else 0
        if base:
            code = ord(letter) + places
            shifted += chr(code - 26 if code - base >= 26 else code)
        else:
            shifted += letter
    return shifted


@block(
    "text", "text", 2,
    "replace each run of equal characters by the character followed by the length of the run in decimal digits",
    noun="packed", likes=("letters_only",), slips=(("length += 1", "length = min(length + 1, 4)"),),
)  # fmt: skip
def pack_runs(text: str) -> str:
    """Encode runs of equal characters."""
    packed = ""
    length = 0
    for at, letter in enumerate(text):
        length += 1
        if at + 1 == len(text) or text[at + 1] != letter:
            packed += letter + str(length)
            length = 0
    return packed


@block(
    "text", "text", 2, "shorten each run of equal characters to a single one",
    noun="squeezed", likes=("letters_only",),
    promise=("all(a != b for a, b in zip(result, result[1:]))", "no two neighbouring characters are equal"),
    slips=(("squeezed[-1:] != letter", "squeezed[-1:] != letter or squeezed[:1] == letter"),),
)  # fmt: skip
def squeeze(text: str) -> str:
    """Drop characters that repeat the one before."""
    squeezed = ""
    for letter in text:
        if squeezed[-1:] != letter:
            squeezed += letter
    return squeezed


@block(
    "text", "text", 2, "turn every block of {size} characters round, and also the shorter block at the end",
    noun="turned", draws={"size": (2, 5)}, keeps_length=True,
)  # fmt: skip
def turn_blocks(text: str, size: int) -> str:
    """Reverse the text block by block."""
    turned = ""
    for start in range(0, len(text), size):
        turned += text[start : start + size][::-1]
    return turned


@block(
    "text", "text", 2,
    "change the case of every {step}th letter from a to z or A to Z (only these letters are counted, from 1)",
    noun="waved", draws={"step": (2, 4)}, keeps_length=True, likes=("sentence", "letters_only"),
)  # fmt: skip
def wave_case(text: str, step: int) -> str:
    """Swap upper and lower case in a regular rhythm."""
    waved = ""
    count = 0
    for letter in text:
        if "a" <= letter <= "z" or "A" <= letter <= "Z":
            count += 1
            if count % step == 0:
                letter = letter.swapcase()
        waved += letter
    return waved


@block(
    "text", "text", 3,
    "remove everything in round brackets, the brackets included; brackets may be nested, a closing bracket without an "
    "opening one is removed too, and an opening bracket that is never closed removes the rest of the text",
    noun="visible", likes=("formula",),
    promise=('"(" not in result and ")" not in result', "the result holds no round brackets"),
    slips=(("depth = max(0, depth - 1)", "depth = 0 if depth > 2 else max(0, depth - 1)"),),
)  # fmt: skip
def drop_brackets(text: str) -> str:
    """Keep what stands outside of brackets."""
    visible = ""
    depth = 0
    for letter in text:
        if letter == "(":
            depth += 1
        elif letter == ")":
            depth = max(0, depth - 1)
        elif depth == 0:
            visible += letter
    return visible


@block(
    "text", "int", 3,
    "check that the brackets (), [] and {{}} are balanced and properly nested, ignoring other characters: the number "
    "is the greatest depth of nesting (0 without brackets), or -1 if they are not balanced",
    noun="depth", likes=("formula",), promise=("result >= -1", "the result is never below -1"),
    slips=(
        ("if not open_brackets or", "if not open_brackets:\n                continue\n            if"),
        ("return -1 if open_brackets else deepest", "return deepest"),
    ),
)  # fmt: skip
def bracket_depth(text: str) -> int:
    """Scan brackets with a stack."""
    closes = {")": "(", "]": "[", "}": "{"}
    open_brackets: list[str] = []
    deepest = 0
    for letter in text:
        if letter in "([{":
            open_brackets.append(letter)
            deepest = max(deepest, len(open_brackets))
        elif letter in closes:
            if not open_brackets or open_brackets.pop() != closes[letter]:
                return -1
    return -1 if open_brackets else deepest


@block(
    "text", "int", 4, "take the length of the longest stretch of neighbouring characters that reads the same backwards",
    noun="reach", likes=("letters_only",), ignores_order=True,
    promise=("result >= 0", "the result is never negative"),
)  # fmt: skip
def longest_mirror(text: str) -> int:
    """Find the longest palindrome by growing outwards from each middle."""
    reach = 0
    for middle in range(2 * len(text)):
        left, right = middle // 2, (middle + 1) // 2
        while left >= 0 and right < len(text) and text[left] == text[right]:
            reach = max(reach, right - left + 1)
            left -= 1
            right += 1
    return reach


@block(
    "text", "int", 2,
    "start with 0, and for each character multiply by {factor}, add its Unicode code point, and take the remainder "
    "modulo {modulus}",
    noun="checksum", draws={"factor": (3, 11), "modulus": (97, 255)},
    promise=("0 <= result < {modulus}", "the result lies from 0 to {modulus} - 1"),
)  # fmt: skip
def checksum_of(text: str, factor: int, modulus: int) -> int:
    """Compute a rolling checksum."""
    checksum = 0
    for letter in text:
        checksum = (checksum * factor + ord(letter)) % modulus
    return checksum


@block(
    "text", "int", 2,
    "sort the characters into three classes (digits from 0 to 9, letters from a to z or A to Z, everything else) and "
    "count how often a character is of another class than the one before it",
    noun="switches",
)  # fmt: skip
def class_switches(text: str) -> int:
    """Count the changes between digits, letters and the rest."""
    switches = 0
    previous = ""
    for letter in text:
        if "0" <= letter <= "9":
            state = "digit"
        elif "a" <= letter <= "z" or "A" <= letter <= "Z":
            state = "letter"
        else:
            state = "other"
        if previous and state != previous:
            switches += 1
        previous = state
    return switches


@block(
    "text", "ints", 2,
    "list the place in the alphabet of each letter from a to z or A to Z, from 1 to 26 and ignoring case; leave out "
    "other characters",
    noun="positions", likes=("sentence", "letters_only"),
    promise=("all(1 <= place <= 26 for place in result)", "all places lie from 1 to 26"),
)  # fmt: skip
def alphabet_places(text: str) -> list[int]:
    """Number the letters of the text."""
    positions: list[int] = []
    for letter in text:
        if "a" <= letter <= "z":
            positions.append(ord(letter) - 96)
        elif "A" <= letter <= "Z":
            positions.append(ord(letter) - 64)
    return positions


@block(
    "text", "ints", 3,
    "list the numbers that stand in the text: each longest run of digits from 0 to 9 is one number, and a minus sign "
    "directly before it makes it negative",
    noun="numbers", likes=("formula", "log_line"),
    slips=(('sign = -1 if letter == "-" else 1', 'sign = -1 if letter == "-" else sign'),),
)  # fmt: skip
def find_numbers(text: str) -> list[int]:
    """Collect the numbers of a text, one character at a time."""
    numbers: list[int] = []
    digits = ""
    sign = 1
    for letter in text + " ":
        if "0" <= letter <= "9":
            digits += letter
            continue
        if digits:
            numbers.append(sign * int(digits))
            digits = ""
        sign = -1 if letter == "-" else 1
    return numbers


@block(
    "text", "words", 1, "split the text into words at the spaces (several spaces count as one)",
    noun="parts", likes=("sentence", "log_line"),
    promise=('all(word and " " not in word for word in result)', "no word is empty or holds a space"),
    slips=(("if word:", "if word or len(parts) == 3:"),),
)  # fmt: skip
def split_words(text: str) -> list[str]:
    """Split a text at its spaces."""
    parts: list[str] = []
    for word in text.split(" "):
        if word:
            parts.append(word)
    return parts


@block(
    "text", "counts", 2,
    "count how often each letter from a to z occurs, taking A to Z as their small forms and leaving out the rest",
    noun="letter_counts", ignores_order=True, likes=("sentence", "letters_only"),
)  # fmt: skip
def count_letters(text: str) -> dict[str, int]:
    """Count the letters of a text."""
    counts: dict[str, int] = {}
    for letter in text:
        if "A" <= letter <= "Z":
            letter = chr(ord(letter) + 32)
        if "a" <= letter <= "z":
            counts[letter] = counts.get(letter, 0) + 1
    return counts


@block(
    "words", "words", 2, "sort the words by length, shortest first, and words of equal length by Unicode order",
    noun="ordered", keeps_length=True, ignores_order=True,
    promise=("all(len(a) <= len(b) for a, b in zip(result, result[1:]))", "no word is shorter than the one before it"),
)  # fmt: skip
def sort_words(words: list[str]) -> list[str]:
    """Sort words by length, then by their letters."""
    return sorted(words, key=lambda word: (len(word), word))


@block(
    "words", "words", 2,
    "drop every word that equals a word further left, taking A to Z and their small forms as equal",
    noun="unique_words", promise=("len(result) == len(set(result))", "no word occurs twice in the result"),
    slips=(("seen.append(folded)", "seen = [*seen[-4:], folded]"),),
)  # fmt: skip
def drop_same_words(words: list[str]) -> list[str]:
    """Keep the first of words that differ only in case."""
    kept: list[str] = []
    seen: list[str] = []
    for word in words:
        folded = "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in word)
        if folded not in seen:
            seen.append(folded)
            kept.append(word)
    return kept


@block(
    "words", "words", 2, "keep only words of at least {least} characters, and cut each of them after {most} characters",
    noun="trimmed", draws={"least": (2, 4), "most": (4, 7)},
    promise=("all({least} <= len(word) <= {most} for word in result)", "every word has {least} to {most} characters"),
    slips=(("word[:most]", "word[:most] if len(word) < 2 * most else word"),),
)  # fmt: skip
def trim_words(words: list[str], least: int, most: int) -> list[str]:
    """Drop short words and cut long ones."""
    trimmed: list[str] = []
    for word in words:
        if len(word) >= least:
            trimmed.append(word[:most])
    return trimmed


@block("words", "text", 1, "join the first characters of the words, skipping empty words", noun="initials")
def initials_of(words: list[str]) -> str:
    """Read the first letters."""
    initials = ""
    for word in words:
        initials += word[:1]
    return initials


@block(
    "words", "text", 2,
    "join the words into one text with one space between neighbours, turning round every {step}th word",
    noun="sentence_made", draws={"step": (2, 3)},
)  # fmt: skip
def weave_words(words: list[str], step: int) -> str:
    """Join words, some of them backwards."""
    woven: list[str] = []
    for at, word in enumerate(words, 1):
        if at % step == 0:
            woven.append(word[::-1])
        else:
            woven.append(word)
    return " ".join(woven)


@block("words", "counts", 1, "count how often each word occurs", noun="word_counts", ignores_order=True)
def count_words(words: list[str]) -> dict[str, int]:
    """Count the occurrences of each word."""
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return counts


@block(
    "words", "tally", 2, "map each length that occurs to the number of words of that length",
    noun="by_length", ignores_order=True,
)  # fmt: skip
def count_by_length(words: list[str]) -> dict[int, int]:
    """Count the words of each length."""
    tally: dict[int, int] = {}
    for word in words:
        tally[len(word)] = tally.get(len(word), 0) + 1
    return tally
