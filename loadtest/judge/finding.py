"""What a judge says: findings, and in them the breaches of an invariant with who was harmed or favoured.

Also the index that names people: judges work with numbers, readers want to know whose.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from loadtest.records import Joined, Records


@dataclass(frozen=True, slots=True)
class Breach:
    """One way in which `invariant` did not hold; `by` names the people, reservations or seats concerned."""

    invariant: str
    detail: str
    by: str


@dataclass(slots=True, kw_only=True)
class Finding:
    """One row of the verdict. `claim`: what `text` adds if nothing is broken. `unproven`: why it could not be judged;
    `warnings` do not decide the verdict."""

    topic: str
    invariant: str = ""
    text: str = ""
    claim: str = ""
    breaches: list[Breach] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unproven: str = ""

    def breach(self, detail: str, by: str, invariant: str = "") -> None:
        self.breaches.append(Breach(invariant or self.invariant, detail, by))


class People:
    """Who is behind a number or a session, in words."""

    def __init__(self, records: Records) -> None:
        self._visits = {visit.session: visit for visit in records.visits}
        self.sessions: defaultdict[int, list[int]] = defaultdict(list)  # by number
        for joined in records.of(Joined):
            if joined.session not in self.sessions[joined.number]:
                self.sessions[joined.number].append(joined.session)

    def session(self, session: int) -> str:
        visit = self._visits.get(session)
        return f"session {session} ({visit.kind})" if visit else f"session {session}"

    def number(self, number: int) -> str:
        known = self.sessions.get(number)
        return f"number {number}, {self.session(known[0])}" if known else f"number {number}, not one of ours"

    def is_ours(self, number: int) -> bool:
        return number in self.sessions


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of sorted values; not a number if there are none."""
    if not ordered:
        return math.nan
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


def spread(values: Sequence[float], unit: str = "ms") -> str:
    ordered = sorted(values)
    if not ordered:
        return "none"
    p50, p95, p99 = (percentile(ordered, share) for share in (0.5, 0.95, 0.99))
    return f"p50 {p50:,.0f}, p95 {p95:,.0f}, p99 {p99:,.0f}, max {ordered[-1]:,.0f} {unit}"
