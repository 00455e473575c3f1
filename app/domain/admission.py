"""The admission rule: how many people are let in now, and who. admit.lua carries it out in Redis, in one step.

Pure: no clock, no I/O. The audit of the room log and the tests' model of the line decide by this module; the judge of
the load test has a statement of its own, as a second opinion.

How many: a token per person, tokens come at the set rate and at most `burst` are kept; and no more people inside than
`max_active`. Who: first those who were passed over while absent and have come back, then the numbers behind the cursor,
both in order. A number whose position has ended is stepped over. One that was not seen lately is passed over, unless
presence was not reported for long enough to know; then admission waits at this number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Container, Iterable
from dataclasses import dataclass
from typing import NamedTuple

ROUNDING = 1e-9  # tokens: ten times a tenth is less than one in binary
SLACK = 1e-6  # people: sums of thousandths of a second are not exact in binary


class Bucket(NamedTuple):
    """`tokens` let in one person each; time up to `refilled_ms` has become tokens. Times are Redis's, in Unix ms."""

    tokens: float
    refilled_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    rate_per_s: float
    burst: int
    max_active: int


class Clocks(NamedTuple):
    """Redis's time now, the worker's last known `refilled_ms` (None at its first tick), and how many ms have passed
    since then by the worker's own steady clock."""

    now_ms: int
    known_ms: float | None
    steady_ms: float


class Reports(NamedTuple):
    """When web processes last reported whom they see, and since when they have without a gap."""

    last_ms: int | None
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Who could be let in. `returned`: numbers that were passed over and have come back."""

    cursor: int
    last_number: int
    returned: Collection[int]
    has_ended: Callable[[int], bool]
    is_present: Callable[[int], bool]
    absence_known: bool


class Outcome(NamedTuple):
    """`returned` are those who came back and still wait; `scanned` is how many numbers were looked at."""

    let_in: list[int]
    passed_over: list[int]
    cursor: int
    returned: list[int]
    scanned: int


class Decision(NamedTuple):
    outcome: Outcome
    bucket: Bucket


def decide(line: Line, bucket: Bucket, limits: Limits, clocks: Clocks, *, moves: bool, inside: int) -> Decision:
    """One tick. `moves`: the room is open or draining; `inside`: people who are admitted or have claimed."""
    filled = refill(bucket, limits, clocks)
    allowed = min(math.floor(filled.tokens + ROUNDING), limits.max_active - inside) if moves else 0
    outcome = who_is_next(line, allowed)
    is_idle = not outcome.scanned and filled.tokens == bucket.tokens
    if is_idle and (filled.tokens >= limits.burst or filled.refilled_ms == bucket.refilled_ms):
        return Decision(outcome, bucket)  # full: the time since then is worth nothing anyway
    return Decision(outcome, Bucket(filled.tokens - len(outcome.let_in), filled.refilled_ms))


def refill(bucket: Bucket, limits: Limits, clocks: Clocks) -> Bucket:
    """Turn the time that has passed into tokens, `burst` at most.

    Redis's clock may be set forward, so no more time counts than the worker saw pass since it last knew the bucket.
    Time that does not count yet is kept for a later tick, as long as it is worth no more than what is missing from
    `burst`.
    """
    known_ms = bucket.refilled_ms if clocks.known_ms is None else clocks.known_ms
    was_set_back = bucket.refilled_ms < known_ms
    vouched_ms = 0 if was_set_back else known_ms + clocks.steady_ms - bucket.refilled_ms
    elapsed_ms = max(0, min(clocks.now_ms - bucket.refilled_ms, vouched_ms))
    tokens = min(limits.burst, bucket.tokens + limits.rate_per_s * elapsed_ms / 1000)
    missing_ms = (limits.burst - tokens) * 1000 / limits.rate_per_s
    kept_from_ms = max(bucket.refilled_ms + elapsed_ms, clocks.now_ms - missing_ms)
    return Bucket(tokens, min(clocks.now_ms, kept_from_ms))


def who_is_next(line: Line, allowed: int, scan_max: int | None = None) -> Outcome:
    """The people to let in, at most `allowed`, and those who are passed over on the way to them."""
    let_in: list[int] = []
    passed_over: list[int] = []
    returned, cursor, scanned = sorted(line.returned), line.cursor, 0
    while len(let_in) < allowed and scanned != scan_max:
        number = returned[0] if returned else cursor + 1
        if number > line.last_number:
            break
        in_line = not line.has_ended(number)
        present = in_line and line.is_present(number)
        if in_line and not present and not line.absence_known:
            break
        returned, cursor, scanned = returned[1:], max(cursor, number), scanned + 1
        if in_line:
            (let_in if present else passed_over).append(number)
    return Outcome(let_in, passed_over, cursor, returned, scanned)


def is_present(number: int, seen_in_slots: Iterable[Container[int]], joined_after: int | None) -> bool:
    """Whether a number was seen in one of the slots, or joined during them: behind `joined_after`."""
    if joined_after is not None and number > joined_after:
        return True
    return any(number in seen for seen in seen_in_slots)


def reports_go_on(reports: Reports, now_ms: int, slot_ms: int) -> bool:
    """Whether presence was reported within the last slot, by a clock that was not set back since."""
    return reports.last_ms is not None and reports.last_ms <= now_ms <= reports.last_ms + slot_ms


def absence_known(reports: Reports, now_ms: int, slot_ms: int, slots: int) -> bool:
    """Whether who was not seen in the last `slots` slots is absent: presence was reported for all of them but one."""
    return reports_go_on(reports, now_ms, slot_ms) and now_ms - reports.since_ms >= (slots - 1) * slot_ms


class Allowance:
    """How many may be let in by what the rule promises: "in any w seconds at most rate*w + burst". Starts full.

    That is the same as looking at every window: the bucket overdraws exactly if some window holds too many.
    """

    def __init__(self, at_ms: int, rate_per_s: float, burst: int) -> None:
        self._at_ms, self._rate_per_s, self._burst = at_ms, rate_per_s, burst
        self._left = float(burst)

    def pass_time(self, at_ms: int) -> None:
        if at_ms < self._at_ms:  # Redis's clock was set back; how long it really was is not known
            self._left = float(self._burst)
        self._left = min(self._burst, self._left + self._rate_per_s * max(0, at_ms - self._at_ms) / 1000)
        self._at_ms = at_ms

    def change(self, at_ms: int, rate_per_s: float, burst: int) -> None:
        self.pass_time(at_ms)
        self._rate_per_s, self._burst = rate_per_s, burst
        self._left = min(self._left, burst)

    def take(self, at_ms: int, people: int) -> float:
        """Let people in; answers how many were too many."""
        self.pass_time(at_ms)
        self._left -= people
        excess = max(0.0, -self._left)
        self._left += excess
        return excess if excess > SLACK else 0.0
