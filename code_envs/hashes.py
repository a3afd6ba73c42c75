"""Places by hash, for so many that a dict of them would not fit into memory."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator

__all__ = ["HashTable", "hash_of"]

_FEWEST = 1 << 10  # slots, a power of two


def hash_of(content: str | bytes) -> int:
    """A hash of 64 bits that is the same in every process."""
    given = content.encode("utf-8", "replace") if isinstance(content, str) else content
    return int.from_bytes(hashlib.blake2b(given, digest_size=8).digest())


class HashTable:
    """Numbers hashes in the order in which they are added, and finds the numbers of one again.

    An entry takes 14 to 20 bytes, where a dict takes a hundred. The hashes must be spread evenly over 64
    bits: content keys are, and what :func:`hash_of` makes.
    """

    def __init__(self) -> None:
        self.hashes = array("Q")
        """Every hash, by its number."""
        self._slots = array("i", [-1]) * _FEWEST

    def __len__(self) -> int:
        return len(self.hashes)

    def __contains__(self, code: int) -> bool:
        return any(True for _ in self.find(code))

    def add(self, code: int) -> int:
        """Add a hash, even if it is there already; returns its number."""
        if 3 * len(self.hashes) >= 2 * len(self._slots):
            self._grow()
        self.hashes.append(code)
        self._put(len(self.hashes) - 1)
        return len(self.hashes) - 1

    def add_new(self, code: int) -> bool:
        """Add a hash unless it is there already; returns whether it was new."""
        new = code not in self
        if new:
            self.add(code)
        return new

    def find(self, code: int) -> Iterator[int]:
        """The numbers of a hash, the first added first."""
        slots, hashes = self._slots, self.hashes
        mask = len(slots) - 1
        slot = code & mask
        while (number := slots[slot]) >= 0:
            if hashes[number] == code:
                yield number
            slot = (slot + 1) & mask

    def _put(self, number: int) -> None:
        mask = len(self._slots) - 1
        slot = self.hashes[number] & mask
        while self._slots[slot] >= 0:
            slot = (slot + 1) & mask
        self._slots[slot] = number

    def _grow(self) -> None:
        self._slots = array("i", [-1]) * (2 * len(self._slots))
        for number in range(len(self.hashes)):
            self._put(number)
