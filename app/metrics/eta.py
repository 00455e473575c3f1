"""Compares predicted waits with real ones.

Every few seconds a room's predicted wait is kept for the last number given; when the cursor passes that number, the
real wait is counted as within, earlier or later than predicted. A new epoch of the line drops its open predictions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from app.domain.eta import eta_range_s
from app.histogram import WAITS_S, Histogram
from app.room.view import LineView

SAMPLE_S = 2.0
PENDING_MAX = 2_000  # forecasts per room: an hour of them
RATIOS = (0.25, 0.5, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5, 2.0, 4.0)


class Forecast(NamedTuple):
    """The wait predicted for one number at one moment."""

    number: int
    at_s: float
    low_s: int
    high_s: int


class _Room:
    __slots__ = ("epoch", "next_s", "pending")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.next_s = 0.0
        self.pending: deque[Forecast] = deque(maxlen=PENDING_MAX)


class Forecasts:
    """Call `look` whenever a room has changed. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.waits = Histogram(WAITS_S)
        self.ratios = Histogram(RATIOS)
        self.verdicts: dict[tuple[str, ...], int] = {}
        self._clock = clock
        self._rooms: dict[str, _Room] = {}

    def look(self, view: LineView) -> None:
        """Predict the wait of the last number given, and compare the predictions of numbers that have passed."""
        room = self._rooms.get(view.event_id)
        if room is None or room.epoch != view.epoch:
            room = self._rooms[view.event_id] = _Room(view.epoch)
        now_s = self._clock()
        pending = room.pending
        while pending and pending[0].number <= view.cursor:
            self._judge(pending.popleft(), now_s)
        if now_s >= room.next_s and (not pending or view.number > pending[-1].number):
            self._predict(room, view, now_s)

    def _predict(self, room: _Room, view: LineView, now_s: float) -> None:
        eta_s = eta_range_s(view.waiting - 1, view.pace) if view.waiting else None
        if eta_s is not None:
            room.pending.append(Forecast(view.number, now_s, *eta_s))
            room.next_s = now_s + SAMPLE_S

    def _judge(self, forecast: Forecast, now_s: float) -> None:
        wait_s = now_s - forecast.at_s
        self.waits.add(wait_s)
        self.ratios.add(wait_s / max(1.0, (forecast.low_s + forecast.high_s) / 2))
        verdict = "early" if wait_s < forecast.low_s else "late" if wait_s > forecast.high_s else "within"
        self.verdicts[verdict,] = self.verdicts.get((verdict,), 0) + 1
