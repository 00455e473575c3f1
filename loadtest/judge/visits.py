"""I3 and I4 as the shop behind the room saw them: from its own record of who came when and left when.

The shop sees people a little after they were let in: how much later at most is known from the visitors, whom Tiketi
told when their turn began. Within that everything is exact: no window of any length may have more arrivals than the
rate and the burst allow over the window and that time; nobody who was let in earlier may have had a greater number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtest.judge.finding import Finding

SECOND_S = 1.0
CLOCKS_S = 0.002  # Redis tells whole milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """A visit in the shop's record. `left_s`: when the shop ended it, or its pass ran out. Unix seconds."""

    number: int
    came_s: float
    left_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What was set of the room."""

    rate_per_s: float
    burst: int
    max_active: int


def judge_order(visits: Sequence[Came], turns_s: Mapping[int, float]) -> Finding:
    """`turns_s`: when each number's turn began, as far as visitors were told."""
    finding = Finding(topic="order", invariant="I3")
    known = sorted((turns_s[visit.number], visit.number) for visit in visits if visit.number in turns_s)
    greatest, turn_of_greatest_s = 0, 0.0
    for turn_s, number in known:
        if number < greatest and turn_s > turn_of_greatest_s + CLOCKS_S:
            finding.breach(f"let in {turn_s - turn_of_greatest_s:.3f} s after number {greatest}", f"number {number}")
        if number > greatest:
            greatest, turn_of_greatest_s = number, turn_s
    finding.text, finding.claim = f"{len(known)} visitors let in", ", each after everybody with a smaller number"
    return finding


def judge_rate(visits: Sequence[Came], limits: Limits, latest_s: float) -> Finding:
    """`latest_s`: the longest that a visitor took from the turn to the shop."""
    finding = Finding(topic="rate", invariant="I4")
    times = sorted(visit.came_s for visit in visits)
    if not times:
        finding.unproven = "nobody came to the shop"
        return finding
    allowed_late = limits.burst + limits.rate_per_s * (latest_s + CLOCKS_S)
    least = float("inf")
    for total, at_s in enumerate(times):
        least = min(least, total - limits.rate_per_s * at_s)
        over = total + 1 - limits.rate_per_s * at_s - least - allowed_late
        if over > 0:
            finding.breach(f"{over:.2f} visitors more than rate and burst allow", f"who came at {at_s:.3f}")
    busiest = max(sum(at_s <= other < at_s + SECOND_S for other in times) for at_s in times)
    room = limits.burst + limits.rate_per_s * (SECOND_S + latest_s)
    finding.text = (
        f"the shop's busiest second saw {busiest} of {room:.1f} allowed (rate, burst, and {latest_s:.2f} s on the way)"
    )
    finding.claim = "; no window of any length above"
    return finding


def judge_capacity(visits: Sequence[Came], limits: Limits) -> Finding:
    finding = Finding(topic="capacity", invariant="I4")
    steps = sorted([(visit.came_s, 1, visit.number) for visit in visits] + [(visit.left_s, -1, 0) for visit in visits])
    inside = most = 0
    for _, change, number in steps:
        inside += change
        most = max(most, inside)
        if change > 0 and inside > limits.max_active:
            finding.breach(f"{inside} in the shop with a capacity of {limits.max_active}", f"number {number}")
    finding.text = f"at most {most} in the shop at once; capacity {limits.max_active}"
    return finding


def judge_crashers(tried: int, came_in: Sequence[str]) -> Finding:
    """`came_in`: how each of those did it who came in without a turn."""
    finding = Finding(topic="without a turn", invariant="I3")
    for how in came_in:
        finding.breach("came in without a turn", how)
    finding.text, finding.claim = f"{tried} tries with forged and used passes", ", none came in"
    return finding
