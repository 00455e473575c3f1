"""Measures how late this process's event loop is, four times a second.

`late_s` and `stuck` may be read by another thread, which can report a blocked loop when the loop itself cannot.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from app.histogram import SECONDS, Histogram

CHECK_EVERY_S = 0.25
RECENT_MAX = 40  # measurements: ten seconds
STUCK_S = 5.0  # no load makes a loop that late: something blocks it


class LoopLag:
    """The delays of one event loop. Run `run` in it."""

    def __init__(self) -> None:
        self.late = Histogram(SECONDS)
        self._recent: deque[float] = deque(maxlen=RECENT_MAX)
        self._due_s = time.monotonic() + CHECK_EVERY_S

    async def run(self) -> None:
        """Measure until cancelled."""
        self._due_s = time.monotonic() + CHECK_EVERY_S
        while True:
            await asyncio.sleep(max(0.0, self._due_s - time.monotonic()))
            late_s = max(0.0, time.monotonic() - self._due_s)
            self.late.add(late_s)
            self._recent.append(late_s)
            self._due_s = time.monotonic() + CHECK_EVERY_S

    @property
    def late_s(self) -> float:
        """How long the next measurement has been overdue; 0 if it is not."""
        return max(0.0, time.monotonic() - self._due_s)

    @property
    def worst_s(self) -> float:
        """The longest delay within the last ten seconds."""
        return max((*self._recent.copy(), self.late_s))

    @property
    def stuck(self) -> bool:
        """Whether the loop has been blocked for longer than any load explains."""
        return self.late_s > STUCK_S
