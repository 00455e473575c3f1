"""How long the wait is likely to be, and how often a buyer needs to ask.

Pure: samples of the cursor in, a range of seconds out. The wait is always a range, taken from what the line was
seen to do, and unknown (None) when it was not seen to move.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

SHORT_WINDOW_S = 10.0
LONG_WINDOW_S = 60.0
SAMPLES_MAX = 1200  # two a tick for the long window
SAMPLE_GAP_S = LONG_WINDOW_S / SAMPLES_MAX
POLL_MIN_MS = 1_000
POLL_MAX_MS = 30_000
POLL_PER_WAIT = 20  # ask about this many times during the wait that is left
SPREAD = 0.15  # a range is never narrower than this on either side
ETA_MAX_S = 86_400
EARLY_S = 1.0  # by so much at most may our clock, a buyer's and Redis's differ at an opening


class Pace(NamedTuple):
    """Seconds per person ahead, at the fastest and at the slowest the line was seen to move lately."""

    low_s: float
    high_s: float


class DrainMeter:
    """Remembers how the line moved while people waited: people it lost per second, those who left included."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque(maxlen=SAMPLES_MAX)

    def add(self, at_s: float, passed: int) -> None:
        """`passed` only grows: everyone who is not ahead of anybody any more, let in, passed over or ended.

        However often it is called, the samples reach as far back as the long window.
        """
        while self._samples and self._samples[0][0] < at_s - LONG_WINDOW_S:
            self._samples.popleft()
        if not self._samples or at_s - self._samples[-1][0] >= SAMPLE_GAP_S:
            self._samples.append((at_s, passed))

    def clear(self) -> None:
        """Nobody waits, so nothing is measured: a still line is not a slow one."""
        self._samples.clear()

    def pace(self, now_s: float, set_per_s: float | None) -> Pace | None:
        """What was seen; while that is less than the short window, also the rate that is set, if that is the limit."""
        rates = [rate for window in (SHORT_WINDOW_S, LONG_WINDOW_S) if (rate := self._rate(now_s, window)) > 0]
        if set_per_s is not None and (not self._samples or now_s - self._samples[0][0] < SHORT_WINDOW_S):
            rates.append(set_per_s)
        return pace_of(min(rates), max(rates)) if rates else None

    def _rate(self, now_s: float, window_s: float) -> float:
        first = next(((at, passed) for at, passed in self._samples if at >= now_s - window_s), None)
        if first is None:
            return 0.0
        span_s = max(now_s - first[0], 1.0)
        return (self._samples[-1][1] - first[1]) / span_s


def pace_of(slow_per_s: float, fast_per_s: float) -> Pace:
    """The pace of a line that loses this many people per second; a range is never narrower than `SPREAD`."""
    return Pace((1 - SPREAD) / fast_per_s, (1 + SPREAD) / slow_per_s)


def eta_range_s(distance: int, pace: Pace | None) -> tuple[int, int] | None:
    """The wait with `distance` people ahead as (low, high) seconds; None while the line stands still.

    At most as long as all of them and one more take: the next step may be a whole one away, for the first in line too.
    """
    if pace is None:
        return None
    low_s = int(distance * pace.low_s)
    if low_s > ETA_MAX_S:
        return None
    return low_s, min(int((distance + 1) * pace.high_s) + 2, ETA_MAX_S)


def until_draw_s(open_for_s: float, draw_s: float) -> float:
    """How long the opening still takes, whose people are given numbers in random order; 0 before and after it.

    Who comes a moment too early belongs to it: asked for an instant later, by a clock of its own, Redis gives a number.
    """
    return draw_s - open_for_s if draw_s and -EARLY_S <= open_for_s < draw_s else 0.0


def poll_after_ms(number: int, wait_s: int | None, people_ahead: int, poll_max_ms: int = POLL_MAX_MS) -> int:
    """When to ask again: 1 s near the front, 30 s far back, spread by ±10 % so that polls do not march in step."""
    base = POLL_MIN_MS + people_ahead * 10 if wait_s is None else wait_s * 1000 // POLL_PER_WAIT
    if base < POLL_MIN_MS:
        base = POLL_MIN_MS
    elif base > poll_max_ms:
        base = poll_max_ms
    # Knuth's multiplicative hash: even, and the same on every process
    jitter = (number * 2_654_435_761 >> 8) % 2001 - 1000
    return min(base + base * jitter // 10_000, poll_max_ms)
