"""The arithmetic of a line: who is ahead of whom, from a cursor and the set of numbers whose position has ended.

Pure and exact: `ahead = number - cursor - 1 - ended(cursor, number) - absent(cursor, number)`. A read is O(1) however
long the line is.
The bit order is Redis's (bit 0 is the highest bit of byte 0), so a Redis bitmap loads as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import accumulate

BLOCK_BYTES = 128  # a count is kept per block, so a read counts at most this many bytes
BLOCK_BITS = BLOCK_BYTES * 8
LOBBY_MINUTES_MAX = 1_440


class RoomState(StrEnum):
    scheduled = "scheduled"
    lobby = "lobby"
    open = "open"
    paused = "paused"
    draining = "draining"
    closed = "closed"
    recovering = "recovering"


class Door(StrEnum):
    """Who may take a new place, and what it costs: `open`, nothing up to an address's share; `challenge`, everybody
    solves one; `accounts`, only people who have one; `verified`, only people with a verified account; `invited`, only
    people with an invitation.
    """

    open = "open"
    challenge = "challenge"
    accounts = "accounts"
    verified = "verified"
    invited = "invited"


ACCOUNT_DOORS = frozenset({Door.accounts, Door.verified})  # who takes a place there is logged in


class Opening(StrEnum):
    """In which order those come who are there at the opening: `draw`, by one draw of all of them; `first`, as they
    came."""

    draw = "draw"
    first = "first"


class DrawStage(StrEnum):
    """How far the draw of this epoch is: `ahead`, nobody is let in before it; `closed`, it takes no more entries and is
    being made; `done`, or there is none."""

    ahead = "ahead"
    closed = "closed"
    done = "done"


class Place(StrEnum):
    """Where one number stands."""

    lobby = "lobby"
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
        return index < len(self._data) and self._data[index] & (128 >> (number & 7)) != 0

    def differs(self, other: Bits) -> Iterator[int]:
        """The numbers that are in one of the two only, in order."""
        for start in range(0, max(len(self._data), len(other._data)), BLOCK_BYTES):
            ours, theirs = (int.from_bytes(each._block(start), "big") for each in (self, other))
            if ours != theirs:
                block = (ours ^ theirs).to_bytes(BLOCK_BYTES, "big")
                yield from (start * 8 + at for at in range(BLOCK_BITS) if block[at >> 3] & (128 >> (at & 7)))

    def _block(self, start: int) -> bytes:
        return bytes(self._data[start : start + BLOCK_BYTES]).ljust(BLOCK_BYTES, b"\0")

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
        count = self.count_below(high) - self._below[1]
        return count if count > 0 else 0


def ahead(number: int, cursor: int, ended: Bits, absent: Bits | None = None) -> int:
    """People still in line before `number`, without those who are `absent`, none of whom has ended; 0 for a number the
    cursor has reached."""
    if number <= cursor:
        return 0
    people = number - cursor - 1 - ended.count_between(cursor, number)
    return people if absent is None else people - absent.count_between(cursor, number)
