"""The arithmetic of a line: who is ahead of whom, from a cursor and the set of numbers whose position has ended.

Pure and exact: `ahead = number - cursor - 1 - ended(cursor, number)`. A read is O(1) however long the line is.
The bit order is Redis's (bit 0 is the highest bit of byte 0), so a Redis bitmap loads as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import accumulate

BLOCK_BYTES = 128  # a count is kept per block, so a read counts at most this many bytes
BLOCK_BITS = BLOCK_BYTES * 8


class RoomState(StrEnum):
    scheduled = "scheduled"
    open = "open"
    paused = "paused"
    draining = "draining"
    closed = "closed"
    recovering = "recovering"


class Place(StrEnum):
    """Where one number stands."""

    waiting = "waiting"
    admitted = "admitted"
    claimed = "claimed"
    left = "left"
    lapsed = "lapsed"
    unknown = "unknown"


class Bits:
    """A growing set of numbers with `count_below` in O(1): a bitmap and the running total of each block before it."""

    __slots__ = ("_below", "_counts", "_data", "_dirty", "_totals")

    def __init__(self, data: bytes = b"") -> None:
        self._data = bytearray(data)
        self._grow(len(data))
        self._counts = [
            int.from_bytes(self._data[start : start + BLOCK_BYTES], "big").bit_count()
            for start in range(0, len(self._data), BLOCK_BYTES)
        ]
        self._totals: list[int] = []
        self._below = (0, 0)  # the last `low` of count_between and its count: everyone who asks has the cursor's
        self._dirty = True

    def _grow(self, size: int) -> None:
        missing = size - len(self._data)
        self._data.extend(bytes(missing + -(len(self._data) + missing) % BLOCK_BYTES))

    def __bool__(self) -> bool:
        return any(self._counts)

    def __iter__(self) -> Iterator[int]:
        """The numbers in it, in order."""
        for index, byte in enumerate(self._data):
            if byte:
                yield from (index * 8 + bit for bit in range(8) if byte & (128 >> bit))

    def __contains__(self, number: int) -> bool:
        index = number >> 3
        return index < len(self._data) and bool(self._data[index] & (128 >> (number & 7)))

    def add(self, number: int) -> None:
        index = number >> 3
        if index >= len(self._data):
            self._grow(index + 1)
            self._counts.extend([0] * (len(self._data) // BLOCK_BYTES - len(self._counts)))
            self._dirty = True
        mask = 128 >> (number & 7)
        if not self._data[index] & mask:
            self._data[index] |= mask
            self._counts[index // BLOCK_BYTES] += 1
            self._dirty = True

    def discard(self, number: int) -> None:
        if number in self:
            index = number >> 3
            self._data[index] &= ~(128 >> (number & 7))
            self._counts[index // BLOCK_BYTES] -= 1
            self._dirty = True

    def count_below(self, number: int) -> int:
        """How many members are smaller than `number`."""
        if self._dirty:
            self._totals = list(accumulate(self._counts, initial=0))
            self._below = (-1, 0)  # it counted what was there before
            self._dirty = False
        block = number // BLOCK_BITS
        if block >= len(self._counts):
            return self._totals[-1]
        if not self._counts[block]:
            return self._totals[block]
        start, end = block * BLOCK_BYTES, number >> 3
        window = int.from_bytes(self._data[start : end + 1], "big")
        return self._totals[block] + (window >> (8 - (number & 7))).bit_count()

    def count_between(self, low: int, high: int) -> int:
        """How many members m have low < m < high."""
        if self._dirty or self._below[0] != low:
            self._below = low, self.count_below(low + 1)
        return max(0, self.count_below(high) - self._below[1])


def ahead(number: int, cursor: int, ended: Bits) -> int:
    """People still in line before `number`; 0 for a number the cursor has reached."""
    if number <= cursor:
        return 0
    return number - cursor - 1 - ended.count_between(cursor, number)
