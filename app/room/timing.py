"""The time limits of rooms that scripts need, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.eta import POLL_MAX_MS, POLL_MIN_MS

PRESENCE_SLOTS = 4  # bitmaps per presence window, so absence is precise to a quarter of the window


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The time limits that the scripts need."""

    presence_window_s: int
    claim_window_s: int
    pass_s: int
    draw_ms: int = 0  # how long after an opening entries for its draw are taken

    @property
    def slot_ms(self) -> int:
        return self.presence_window_s * 1000 // PRESENCE_SLOTS

    @property
    def poll_max_ms(self) -> int:
        """The longest pause between two polls: a third of the presence window, so that one missed poll does no harm."""
        return min(POLL_MAX_MS, max(POLL_MIN_MS, self.presence_window_s * 1000 // 3))

    @property
    def first_poll_ms(self) -> int:
        """When a newcomer polls at the latest: a third of a slot. A join may come at the very end of its slot and
        counts for one more; the report of the poll may take half a slot."""
        return min(POLL_MAX_MS, self.slot_ms // 3)

    @property
    def seen_ttl_s(self) -> int:
        return self.presence_window_s * 2 + 1
