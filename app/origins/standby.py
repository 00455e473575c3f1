"""Whether the room of a site on standby shows itself: it does while there is a line.

Somebody for whom rate or capacity is used up makes one, and it dissolves when nobody has waited in it for a while: at
the edge people come and go many times a minute, and the room does not with them. Each process sees it for itself.
"""

from __future__ import annotations

from collections.abc import Callable

from app.room.view import LineView

DISSOLVES_AFTER_S = 30.0  # so a line is made and dissolves at most twice a minute


class StandbyLines:
    """`clock`: a steady one, in seconds. Call `see` after every change of a line."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: set[str] = set()
        self._waited_s: dict[str, float] = {}  # when somebody waited last

    def see(self, view: LineView) -> None:
        waits = view.waiting > 0
        if waits or view.event_id in self._waiting:
            self._waited_s[view.event_id] = self._clock()
        (self._waiting.add if waits else self._waiting.discard)(view.event_id)

    def is_up(self, view: LineView) -> bool:
        """Whether there is a line, or was one a moment ago."""
        self.see(view)
        waited_s = self._waited_s.get(view.event_id)
        return waited_s is not None and (view.waiting > 0 or self._clock() - waited_s < DISSOLVES_AFTER_S)
