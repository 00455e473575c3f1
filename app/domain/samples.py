"""What the keeper notes of a line, at most once a second for an hour: rates of flow, waits, and how it all was lately.

Pure. A sample is noted only when something changed, so each is true until the next.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

FLOW_WINDOW_S = 10.0
HISTORY_S = 600
SAMPLES_PER_WINDOW = 64  # those of a flow's window, and to spare
HISTORY_EVERY_S = 4


class LineSample(NamedTuple):
    """At `at_ms`, `number` was the last one given and `let_in` people had been admitted in all; the rest counts people.

    Samples of a version before this one lack the rest.
    """

    at_ms: int
    number: int
    let_in: int
    waiting: int | None = None
    admitted: int | None = None
    active: int | None = None

    def packed(self) -> str:
        return ":".join(map(str, self))


class HistoryPoint(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A line at a past moment, in ms; what is not known of it is null."""

    at: int
    waiting: int | None
    admitted: int | None
    active: int | None
    inflow_per_second: float
    outflow_per_second: float


def read_samples(raw: Iterable[bytes]) -> list[LineSample]:
    return [LineSample(*map(int, sample.split(b":"))) for sample in raw]


def flows_per_s(samples: list[LineSample], now: LineSample) -> tuple[float, float]:
    """People who joined and people who were let in, per second, over the last `FLOW_WINDOW_S`."""
    then = next((sample for sample in reversed(samples) if sample.at_ms <= now.at_ms - FLOW_WINDOW_S * 1000), None)
    if then is None:
        then = samples[0] if samples else now
    span_s = min(max((now.at_ms - then.at_ms) / 1000, 1.0), FLOW_WINDOW_S)
    return max(0, now.number - then.number) / span_s, max(0, now.let_in - then.let_in) / span_s


def oldest_wait_s(samples: list[LineSample], number: int, now_ms: int) -> int:
    """How long ago `number` was given, to the second the keeper noted it in."""
    index = bisect_left(samples, number, key=lambda sample: sample.number)
    return max(0, (now_ms - samples[index].at_ms) // 1000) if index < len(samples) else 0


def history(samples: list[LineSample], now_ms: int) -> list[HistoryPoint]:
    """The last ten minutes, every few seconds, from the first sample on."""
    moments = range(now_ms - HISTORY_S * 1000, now_ms, HISTORY_EVERY_S * 1000)
    known = ((at_ms, bisect_right(samples, at_ms, key=lambda sample: sample.at_ms)) for at_ms in moments)
    return [_point(samples[max(0, upto - SAMPLES_PER_WINDOW) : upto], at_ms) for at_ms, upto in known if upto]


def _point(samples: list[LineSample], at_ms: int) -> HistoryPoint:
    last = samples[-1]
    inflow, outflow = flows_per_s(samples, last._replace(at_ms=at_ms))
    return HistoryPoint(
        at=at_ms,
        waiting=last.waiting,
        admitted=last.admitted,
        active=last.active,
        inflow_per_second=round(inflow, 2),
        outflow_per_second=round(outflow, 2),
    )
