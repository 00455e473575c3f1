"""The admission rule: how many people are let in now, and who. admit.lua carries it out in Redis, in one step.

Pure: no clock, no I/O. The audit of the room log and the tests' model of the line decide by this module; the judge of
the load test has a statement of its own, as a second opinion.

How many: a token per person, tokens come at the set rate and at most `burst` are kept; and no more people inside than
`max_active`. While nothing but the rate keeps people waiting, each of them is due at the moment at which the next token
is there, and a tick lets in everybody who is due, up to `LATE_MAX_MS` late: so a tick that comes now and then, however
few `burst` are, costs nobody anything, and what is due within any w seconds is at most rate*w + burst. Who:
first those who were passed over while absent and have come back, then the numbers behind the cursor, both in order. A
number whose position has ended is stepped over. One that was not seen lately is passed over. If presence was not
reported for long enough to know who is absent, the line goes on all the same: who was seen is let in, and those before
them who were not are passed over, but nobody further back is; who was passed over though present goes first as soon as
they are seen. While nothing is reported at all, whoever joined just now passes over nobody.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

ROUNDING = 1e-9  # tokens: ten times a tenth is less than one in binary
LATE_MAX_MS = 500  # a worker is taken for dead in less; who is due longer than that has lost that time
SLACK = 1e-6  # people: sums of thousandths of a second are not exact in binary
SLACK_MS = 1e-3  # a moment of our time, in ms as a double, is exact to a quarter of this
JOIN_SLOTS = 2  # a join counts as presence in the slot it falls into and in the next one


class Bucket(NamedTuple):
    """`tokens` let in one person each; time up to `refilled_ms` has become tokens. Times are Redis's, in Unix ms.
    `rate_limited`: whether people were left waiting for tokens, and for nothing else, by the last tick."""

    tokens: float
    refilled_ms: float
    rate_limited: bool = False


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
    """Who could be let in. `returned`: numbers that were passed over and have come back; `joined_after`: everybody
    behind this number joined lately; `reports_go_on`: presence was reported within the last slot."""

    cursor: int
    last_number: int
    returned: Collection[int]
    has_ended: Callable[[int], bool]
    was_seen: Callable[[int], bool]
    absence_known: bool
    joined_after: int | None = None
    reports_go_on: bool = True


class Outcome(NamedTuple):
    """`returned` are those who came back and still wait; `moved`: whether anything is not as it was."""

    let_in: list[int]
    passed_over: list[int]
    cursor: int
    returned: list[int]
    moved: bool


class Due(NamedTuple):
    """When those who are let in were due: the first at `first_ms`, everybody else `every_ms` after the one before."""

    first_ms: float
    every_ms: float

    def times_ms(self, people: int) -> list[float]:
        return [self.first_ms + at * self.every_ms for at in range(people)]


class Decision(NamedTuple):
    outcome: Outcome
    bucket: Bucket
    due: Due


def decide(line: Line, bucket: Bucket, limits: Limits, clocks: Clocks, *, moves: bool, inside: int) -> Decision:
    """One tick. `moves`: the room is open or draining; `inside`: people who are admitted or have claimed."""
    filled = refill(bucket, limits, clocks)
    by_rate = math.floor(filled.tokens + ROUNDING)
    outcome = who_is_next(line, min(by_rate, limits.max_active - inside) if moves else 0)
    still_wait = bool(outcome.returned) or outcome.cursor < line.last_number
    rate_limited = moves and still_wait and len(outcome.let_in) == by_rate
    left = Bucket(min(limits.burst, filled.tokens - len(outcome.let_in)), filled.refilled_ms, rate_limited)
    is_same = not outcome.moved and left._replace(refilled_ms=bucket.refilled_ms) == bucket
    is_full = left.tokens >= limits.burst  # the time since then is worth nothing
    return Decision(outcome, bucket if is_same and is_full else left, due(bucket, filled, limits))


def due(before: Bucket, filled: Bucket, limits: Limits) -> Due:
    """Those who waited for tokens were due when their token was there, anybody else is now."""
    if not before.rate_limited:
        return Due(filled.refilled_ms, 0)
    return Due(filled.refilled_ms - (filled.tokens - 1) * 1000 / limits.rate_per_s, 1000 / limits.rate_per_s)


def depth_of(bucket: Bucket, limits: Limits) -> float:
    """How many tokens may be there at a tick: `burst`, or what comes for those who wait for it until a late tick."""
    by_late_tick = bucket.tokens + limits.rate_per_s * LATE_MAX_MS / 1000
    return max(limits.burst, by_late_tick) if bucket.rate_limited else limits.burst


def refill(bucket: Bucket, limits: Limits, clocks: Clocks) -> Bucket:
    """Turn the time that has passed into tokens, up to the bucket's depth.

    Redis's clock may be set forward, so no more time counts than the worker saw pass since it last knew the bucket.
    Time that does not count yet is kept for a later tick, as long as it is worth no more than what is missing from the
    depth.
    """
    known_ms = bucket.refilled_ms if clocks.known_ms is None else clocks.known_ms
    was_set_back = bucket.refilled_ms < known_ms
    vouched_ms = 0 if was_set_back else known_ms + clocks.steady_ms - bucket.refilled_ms
    elapsed_ms = max(0, min(clocks.now_ms - bucket.refilled_ms, vouched_ms))
    depth = depth_of(bucket, limits)
    tokens = min(depth, bucket.tokens + limits.rate_per_s * elapsed_ms / 1000)
    missing_ms = (depth - tokens) * 1000 / limits.rate_per_s
    kept_from_ms = max(bucket.refilled_ms + elapsed_ms, clocks.now_ms - missing_ms)
    return Bucket(tokens, min(clocks.now_ms, kept_from_ms), bucket.rate_limited)


def who_is_next(line: Line, allowed: int, scan_max: int | None = None, unseen_max: int | None = None) -> Outcome:
    """The people to let in, at most `allowed`, and those who are passed over on the way to them. It looks at `scan_max`
    numbers, and past `unseen_max` of whom it is not known whether they are absent."""
    let_in: list[int] = []
    passed_over: list[int] = []
    unseen: list[int] = []  # they may be present, and nobody behind them is let in yet
    returned, cursor, reached, scanned = sorted(line.returned), line.cursor, line.cursor, 0
    while len(let_in) < allowed and scanned != scan_max and len(unseen) != unseen_max:
        is_back = bool(returned)
        number = returned.pop(0) if is_back else reached + 1
        if number > line.last_number:
            break
        reached, scanned = max(reached, number), scanned + 1
        if not line.has_ended(number):
            if _is_present(line, number, passes=bool(unseen)):
                let_in.append(number)
                passed_over, unseen = passed_over + unseen, []
            else:
                (passed_over if is_back or line.absence_known else unseen).append(number)
        if not unseen:
            cursor = reached
    moved = cursor != line.cursor or len(returned) != len(line.returned)
    return Outcome(let_in, passed_over, cursor, returned, moved)


def _is_present(line: Line, number: int, *, passes: bool) -> bool:
    """Whether they were seen, or joined lately; who was not seen passes over nobody while nothing is reported."""
    is_new = line.joined_after is not None and number > line.joined_after
    return (is_new and (line.reports_go_on or not passes)) or line.was_seen(number)


def reports_go_on(reports: Reports, now_ms: int, slot_ms: int) -> bool:
    """Whether presence was reported within the last slot, by a clock that was not set back since."""
    return reports.last_ms is not None and reports.last_ms <= now_ms <= reports.last_ms + slot_ms


def absence_known(reports: Reports, now_ms: int, slot_ms: int, slots: int) -> bool:
    """Whether who was not seen in the last `slots` slots is absent: presence was reported for all of them but one."""
    return reports_go_on(reports, now_ms, slot_ms) and now_ms - reports.since_ms >= (slots - 1) * slot_ms


class Allowance:
    """How many may be let in by what the rule promises: "in any w seconds at most rate*w + burst". Starts full.

    That is the same as looking at every window: the bucket overdraws exactly if some window holds too many. Times do
    not go back, but where `restart` says so.
    """

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate_per_s, self._burst = rate_per_s, burst
        self.restart()

    @property
    def limits(self) -> tuple[float, float]:
        """Rate per second, and burst."""
        return self._rate_per_s, self._burst

    def restart(self) -> None:
        """Be full until the next time that is told: Redis's clock was set back, by how much is not known."""
        self._at_ms: float | None = None
        self._left = float(self._burst)

    def pass_time(self, at_ms: float) -> None:
        if self._at_ms is not None:
            self._left = min(self._burst, self._left + self._rate_per_s * (at_ms - self._at_ms) / 1000)
        self._at_ms = at_ms

    def change(self, at_ms: float, rate_per_s: float, burst: float) -> None:
        self.pass_time(at_ms)
        self._rate_per_s, self._burst = rate_per_s, burst
        self._left = min(self._left, burst)

    def take(self, at_ms: float, people: int) -> float:
        """Let people in; answers how many were too many."""
        self.pass_time(at_ms)
        self._left -= people
        excess = max(0.0, -self._left)
        self._left += excess
        return excess if excess > SLACK + self._rate_per_s * SLACK_MS / 1000 else 0.0
