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
LOBBY_POLLS_PER_S = 1_000  # of all who are in a lobby, after the draw


class Pace(NamedTuple):
    """Seconds per person ahead, at the fastest and at the slowest the line was seen to move lately."""

    low_s: float
    high_s: float


class DrainMeter:
    """Remembers how the line moved while people waited: people it lost per second, those who left included.

    However many samples it has, a call looks at the ends of the windows only: a sample enters and leaves each once.
    """

    __slots__ = ("_samples", "_short")

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque(maxlen=SAMPLES_MAX)
        self._short: deque[tuple[float, int]] = deque(maxlen=SAMPLES_MAX)  # those of the short window

    def add(self, at_s: float, passed: int) -> None:
        """`passed` only grows: everyone who is not ahead of anybody any more, let in, passed over or ended.

        However often it is called, the samples reach as far back as the long window.
        """
        _forget(self._samples, at_s - LONG_WINDOW_S)
        _forget(self._short, at_s - SHORT_WINDOW_S)
        if not self._samples or at_s - self._samples[-1][0] >= SAMPLE_GAP_S:
            self._samples.append((at_s, passed))
            self._short.append((at_s, passed))

    def clear(self) -> None:
        """Nobody waits, so nothing is measured: a still line is not a slow one."""
        self._samples.clear()
        self._short.clear()

    def pace(self, now_s: float, set_per_s: float | None) -> Pace | None:
        """What was seen; while that is less than the short window, also the rate that is set, if that is the limit."""
        _forget(self._samples, now_s - LONG_WINDOW_S)
        _forget(self._short, now_s - SHORT_WINDOW_S)
        rates = [rate for window in (self._short, self._samples) if (rate := _rate(window, now_s)) > 0]
        if set_per_s is not None and (not self._samples or now_s - self._samples[0][0] < SHORT_WINDOW_S):
            rates.append(set_per_s)
        return pace_of(min(rates), max(rates)) if rates else None


def _forget(window: deque[tuple[float, int]], before_s: float) -> None:
    while window and window[0][0] < before_s:
        window.popleft()


def _rate(window: deque[tuple[float, int]], now_s: float) -> float:
    if not window:
        return 0.0
    span_s = max(now_s - window[0][0], 1.0)
    return (window[-1][1] - window[0][1]) / span_s


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


def poll_after_ms(number: int, wait_s: int | None, people_ahead: int, poll_max_ms: int = POLL_MAX_MS) -> int:
    """When to ask again: 1 s near the front, 30 s far back, spread by ±10 % so that polls do not march in step."""
    base = POLL_MIN_MS + people_ahead * 10 if wait_s is None else wait_s * 1000 // POLL_PER_WAIT
    if base < POLL_MIN_MS:
        base = POLL_MIN_MS
    elif base > poll_max_ms:
        base = poll_max_ms
    return min(base + base * (_spread(number) - 1000) // 10_000, poll_max_ms)


def first_poll_ms(number: int, poll_ms: int, first_max_ms: int) -> int:
    """When somebody who joined just now asks again: after `poll_ms`, but within 90 to 100 % of `first_max_ms`."""
    return min(poll_ms, first_max_ms - first_max_ms * _spread(number) // 20_000)


def lobby_poll_ms(number: int, left_ms: int, people: int, poll_max_ms: int = POLL_MAX_MS) -> int:
    """When somebody in the lobby asks again, `left_ms` before its entries close: late, or once the order is drawn.

    Those who ask then are spread, so that they don't all come in the second of the opening.
    """
    if left_ms > 2 * poll_max_ms:
        return poll_max_ms - poll_max_ms * _spread(number) // 20_000
    spread_ms = min(max(people * 1000 // LOBBY_POLLS_PER_S, POLL_MIN_MS), poll_max_ms)
    return min(max(left_ms, 0) + POLL_MIN_MS // 2 + spread_ms * _spread(number) // 2_000, 2 * poll_max_ms)


def _spread(number: int) -> int:
    """0 to 2000, even over neighbouring numbers and the same on every process: Knuth's multiplicative hash."""
    return (number * 2_654_435_761 >> 8) % 2001
