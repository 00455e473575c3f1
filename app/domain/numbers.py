"""How many numbers of a line are reserved ahead of those who join: as many as come in the next seconds.

Pure: the last number given at some moments in, how many to reserve out.
"""

from __future__ import annotations

AHEAD_MIN = 100_000  # reserved behind the last number; more are asked for when half are left
AHEAD_S = 2.0  # at the pace that was seen
AHEAD_MAX = 2_000_000  # whatever was seen: numbers that were never given are lost with Redis
WINDOW_S = 0.25  # in which the pace is seen


class Demand:
    """How fast the numbers of one line are given, by all processes together, as one of them sees it. Times are of a
    steady clock."""

    __slots__ = ("_began_s", "_first", "_last", "_per_s")

    def __init__(self) -> None:
        self._began_s = 0.0
        self._first: int | None = None  # the last number given when the window began
        self._last = 0
        self._per_s = 0.0  # of the windows before

    def see(self, now_s: float, last_number: int) -> None:
        if self._first is None:
            self._began_s, self._first = now_s, last_number
        self._last = max(self._last, last_number)
        if now_s - self._began_s >= WINDOW_S:
            self._per_s = (self._last - self._first) / (now_s - self._began_s)
            self._began_s, self._first = now_s, self._last

    @property
    def ahead(self) -> int:
        """How many numbers are wanted behind the last one."""
        in_window = 0 if self._first is None else self._last - self._first
        per_s = max(self._per_s, in_window / WINDOW_S)
        return min(max(AHEAD_MIN, int(per_s * AHEAD_S)), AHEAD_MAX)

    def is_low(self, left: int) -> bool:
        """Whether it is time to reserve more, when so many may still be given."""
        return left < self.ahead // 2
