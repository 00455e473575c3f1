"""Whether this process's event loop turns, and how late it is: a beat four times a second.

`late_s` may be read by another thread, which can tell of a loop that is stuck when the loop itself cannot.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from app.histogram import SECONDS, Histogram

BEAT_S = 0.25
REMEMBERED = 40  # beats: ten seconds
STUCK_S = 5.0  # no load makes a loop that late: something blocks it


class Heart:
    def __init__(self) -> None:
        self.late = Histogram(SECONDS)
        self._recent: deque[float] = deque(maxlen=REMEMBERED)
        self._due_s = time.monotonic() + BEAT_S

    async def run(self) -> None:
        """Beat until cancelled."""
        self._due_s = time.monotonic() + BEAT_S
        while True:
            await asyncio.sleep(max(0.0, self._due_s - time.monotonic()))
            late_s = max(0.0, time.monotonic() - self._due_s)
            self.late.add(late_s)
            self._recent.append(late_s)
            self._due_s = time.monotonic() + BEAT_S

    @property
    def late_s(self) -> float:
        """How long the next beat has been overdue; 0 if it is not."""
        return max(0.0, time.monotonic() - self._due_s)

    @property
    def worst_s(self) -> float:
        """The latest that the loop was within the last ten seconds."""
        return max((*self._recent.copy(), self.late_s))

    @property
    def stuck(self) -> bool:
        return self.late_s > STUCK_S
