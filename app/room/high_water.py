"""The highest number and cursor that this process has seen of each room, which every call of the room passes on.

Neither ever decreases, not even in a new epoch. So a room in Redis that is below what anybody has seen has lost what
was done last, and its scripts give nothing until it has been made again.
"""

from __future__ import annotations


class HighWater:
    """Bounded by the rooms that this process follows."""

    def __init__(self) -> None:
        self._marks: dict[str, tuple[int, int]] = {}

    def of(self, event_id: str) -> tuple[int, int]:
        """(number, cursor) of a room; zeros of one that was not seen yet."""
        return self._marks.get(event_id, (0, 0))

    def see(self, event_id: str, number: int, cursor: int = 0) -> None:
        """Note that the room has given this number, and that its admission came to this cursor."""
        known_number, known_cursor = self.of(event_id)
        if number > known_number or cursor > known_cursor:
            self._marks[event_id] = max(number, known_number), max(cursor, known_cursor)

    def remembered(self, event_id: str, number: int = 0, cursor: int = 0) -> str:
        """The argument of the scripts: what is known here, or what the caller knows beyond that."""
        known_number, known_cursor = self.of(event_id)
        return f"{max(number, known_number)} {max(cursor, known_cursor)}"
