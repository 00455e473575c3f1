"""What the demo shop saw of its visitors: when each visit came to it and when it ended. Kept in memory, within limits.

The shop's own record: nothing in it comes from Tiketi but what the passes say, so a swarm is judged by it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from app.connect.passes import Visit

VISITS_MAX = 100_000


@dataclass(slots=True)
class Seen:
    """One visit. Times are Unix seconds by the shop's clock; `ended_s` None: not ended by the shop."""

    jti: str
    number: int
    came_s: float
    expires_s: float
    ended_s: float | None = None
    order: str = ""


class Record:
    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._visits: OrderedDict[str, Seen] = OrderedDict()
        self.forgotten = 0  # visits that no longer fit

    def came(self, visit: Visit) -> Seen:
        """This visit, which is noted if it is new."""
        seen = self._visits.get(visit.jti)
        if seen is None:
            seen = self._visits[visit.jti] = Seen(visit.jti, visit.number, self._seconds(), visit.expires_s)
            if len(self._visits) > VISITS_MAX:
                self._visits.popitem(last=False)
                self.forgotten += 1
        return seen

    def ended(self, visit: Visit) -> None:
        seen = self.came(visit)
        if seen.ended_s is None:
            seen.ended_s = self._seconds()

    def visits(self) -> list[Seen]:
        return list(self._visits.values())
