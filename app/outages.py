"""Says once that a store fails and once that it works again, however many notice it and however often they try.

One for each process. Whoever uses a store in a loop says after each attempt how it went. An outage ends when everybody
who noticed it was served again, or has not tried again for longer than an attempt may take. A store that comes and
goes, as Redis does at its full memory, is said to fail until it has worked for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf

import structlog

REDIS = "redis"
DATABASE = "database"
ATTEMPT_MAX_S = 40.0  # longer than any attempt, whatever its own limit is
STEADY_S = 10.0  # a store that fails again within this time of its return is still failing, until it worked for so long

log = structlog.get_logger()


@dataclass(slots=True)
class _Outage:
    since_s: float
    kind: str
    failed_s: dict[str, float] = field(default_factory=dict)  # who noticed it → when that last failed
    failures: int = 0
    last_s: float = 0.0  # when it last failed anybody
    comes_and_goes: bool = False


class Outages:
    """The stores that fail now. `clock`: a steady one, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._outages: dict[str, _Outage] = {}
        self._ended_s: dict[str, float] = {}  # store → when its last outage ended

    @property
    def kinds(self) -> Mapping[str, str]:
        """What is wrong with each store that fails: the name of the first error's type, which anybody may read."""
        return {store: outage.kind for store, outage in self._outages.items()}

    def failed(self, store: str, who: str, error: BaseException) -> None:
        """Note that the store failed `who`. The first time of an outage it is said in the log."""
        error = _first_of(error)
        outage = self._outages.get(store)
        if outage is None:
            outage = self._outages[store] = _Outage(self._clock(), type(error).__name__)
            outage.comes_and_goes = self._clock() - self._ended_s.get(store, -inf) < STEADY_S
            log.warning("store_fails", store=store, noticed_by=who, error=f"{type(error).__name__}: {error}")
        outage.failed_s[who] = outage.last_s = self._clock()
        outage.failures += 1

    def worked(self, who: str) -> None:
        """Note that every store that `who` needs served it. The outages that nobody else notices have ended."""
        for store, outage in list(self._outages.items()):
            outage.failed_s.pop(who, None)
            if outage.comes_and_goes and self._clock() - outage.last_s < STEADY_S:
                continue
            if all(self._clock() - at_s > ATTEMPT_MAX_S for at_s in outage.failed_s.values()):
                del self._outages[store]
                self._ended_s[store] = self._clock()
                away_s = round(self._clock() - outage.since_s, 1)
                log.info("store_works_again", store=store, away_s=away_s, failures=outage.failures)


def _first_of(error: BaseException) -> BaseException:
    """What went wrong first, where several things did at once: a group says nothing of it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
