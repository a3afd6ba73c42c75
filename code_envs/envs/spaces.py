"""The space of all texts: any Unicode, the empty text included.

``gymnasium.spaces.Text`` knows a text by its alphabet, so that code and prose lie outside it. Here
only type and length count. Flattening and the shared memory of ``AsyncVectorEnv`` go by code point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Text
from gymnasium.spaces.utils import flatten, flatten_space, unflatten
from gymnasium.vector.utils import read_from_shared_memory

__all__ = ["TextSpace"]

_UNICODE = 0x110000  # one more than the last code point: the padding of flattened texts
_SAMPLE = 64
_PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 \n.,:;()[]{}=+-*/'\"`_<>"


class TextSpace(Text):
    """All texts up to a length.

    Samples are short plain texts: they stand for a reply that says nothing.

    Args:
        max_length: The most characters (code points) that a text may have.
        seed: Seeds the samples.
    """

    def __init__(self, max_length: int, *, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(max_length, min_length=0, charset=_PLAIN, seed=seed)

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a text that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Draw a text of at most 64 plain characters.

        Args:
            mask: As in ``gymnasium.spaces.Text``, over ``character_list``.
            probability: Likewise.
        """
        if mask is None and probability is None:
            length = int(self.np_random.integers(min(self.max_length, _SAMPLE) + 1))
            return super().sample(mask=(length, None))
        return super().sample(mask, probability)

    def __repr__(self) -> str:
        return f"TextSpace({self.max_length})"

    def __eq__(self, other: object, /) -> bool:
        return isinstance(other, TextSpace) and self.max_length == other.max_length

    def __hash__(self) -> int:
        return hash((TextSpace, self.max_length))


@flatten_space.register(TextSpace)
def _flatten_space(space: TextSpace) -> Box:
    return Box(low=0, high=_UNICODE, shape=(space.max_length,), dtype=np.int32)


@flatten.register(TextSpace)
def _flatten(space: TextSpace, x: str) -> npt.NDArray[np.int32]:  # type: ignore[misc]
    codes = np.full(space.max_length, _UNICODE, dtype=np.int32)
    codes[: len(x)] = np.frombuffer(x.encode("utf-32-le", "surrogatepass"), dtype="<i4")
    return codes


@unflatten.register(TextSpace)
def _unflatten(space: TextSpace, x: npt.NDArray[np.int32]) -> str:  # type: ignore[misc]  # noqa: ARG001
    return x[x < _UNICODE].astype("<i4").tobytes().decode("utf-32-le", "surrogatepass")


class _SharedTexts(Sequence[str]):
    """The texts that now stand in shared memory.

    ``AsyncVectorEnv`` reads shared memory only once, before the first reset, and deep-copies what it
    got for every step: a tuple of texts would stay empty for ever, so this one is read when copied.
    """

    def __init__(self, space: TextSpace, rows: npt.NDArray[np.int32]) -> None:
        self._space, self._rows = space, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        return _unflatten(self._space, self._rows[index])

    def __iter__(self) -> Iterator[str]:
        return (_unflatten(self._space, row) for row in self._rows)

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        return tuple(self)


@read_from_shared_memory.register(TextSpace)
def _read(space: TextSpace, shared_memory: Any, n: int = 1) -> _SharedTexts:
    rows = np.frombuffer(shared_memory.get_obj(), dtype=np.int32).reshape(n, space.max_length)
    return _SharedTexts(space, rows)
