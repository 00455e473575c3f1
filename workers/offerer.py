"""Keeps the waiting lists: closes entries that have ended, and has free seats offered even if none was just freed.

Offers themselves are made by the lane, in the transaction that frees the seats. The command sent from here only starts
a batch, so any number of workers may send it, twice or never: an entry's state keeps it from being offered seats twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from redis.asyncio import Redis

from app.jobs import Wake
from app.lane.commands import OfferToWaitlist, pack
from app.lane.scripts import LaneScripts
from app.lane.stream import send
from app.ledger import waitlist
from app.ledger.database import Database

EVENTS_PER_PASS = 50  # whose lists are looked at; the next pass goes on behind them


@dataclass(kw_only=True, eq=False)
class Offerer:
    """`now` is the wall clock in UTC, the same that the allocator judges by."""

    redis: Redis
    db: Database
    wake: Wake
    now: Callable[[], datetime]
    _after: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._scripts = LaneScripts(self.redis)

    async def round(self) -> int:
        """Close a bounded number of entries that were bought, lapsed, or can get no offer any more, and have free seats
        offered to the next few lists; answers how many lists.
        """
        event_ids = await waitlist.events_waiting(self.db, self._after, EVENTS_PER_PASS)
        self._after = event_ids[-1] if len(event_ids) == EVENTS_PER_PASS else ""
        await waitlist.settle(self.db, event_ids, self.now())
        for event_id in event_ids:
            command = OfferToWaitlist(id=f"offer:{event_id}:{int(self.now().timestamp())}")
            await send(self._scripts, self.wake, event_id, [pack(command)])
        return len(event_ids)


async def offer(ctx: dict[str, Any]) -> None:
    """The arq job of every second. `ctx["offerer"]` is made when the worker starts."""
    offerer: Offerer = ctx["offerer"]
    await offerer.round()
