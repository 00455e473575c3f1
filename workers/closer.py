"""Cancels the reservations of a cancelled event, a bounded number at a time, until none is live.

Every reservation goes down its event's lane like any other cancellation, so seats and money change together. A pass may
run anywhere, twice or not at all: a command's id is the reservation's, and the next pass finds what is left, also what
was still on its way when the event was cancelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from redis.asyncio import Redis

from app.jobs import Wake
from app.lane.commands import Cancel, pack
from app.lane.scripts import LaneScripts
from app.lane.stream import send
from app.lane.streams import LaneStreams
from app.ledger import reservations
from app.ledger.database import Database

CANCELS_MAX = 2_000  # reservations per pass, all events together
BACKLOG_MAX = 500  # commands in a lane with which it is given no more: they may be those of the last pass

log = structlog.get_logger()


@dataclass(kw_only=True, eq=False)
class Closer:
    """Of one worker process, all cancelled events."""

    redis: Redis
    db: Database
    wake: Wake
    now: Callable[[], datetime]

    def __post_init__(self) -> None:
        self._scripts = LaneScripts(self.redis)
        self._streams = LaneStreams(self.redis)

    async def close(self) -> int:
        """Send a Cancel for reservations of cancelled events; answers how many. The lane writes it to SQL.

        Events in which none is left are marked, so that nobody looks for them again.
        """
        await reservations.mark_emptied(self.db, self.now())
        by_event: dict[str, list[bytes]] = {}
        for event_id, reservation_id in await reservations.of_cancelled_events(self.db, CANCELS_MAX):
            cancel = Cancel(id=f"event-cancelled:{reservation_id}", reservation_id=reservation_id)
            by_event.setdefault(event_id, []).append(pack(cancel))
        sent = 0
        for event_id, packed in by_event.items():
            if await self._streams.backlog(event_id) < BACKLOG_MAX:
                await send(self._scripts, self.wake, event_id, packed)
                sent += len(packed)
        if sent:
            log.info("reservations_of_cancelled_events", sent=sent, events=len(by_event))
        return sent


async def close_cancelled(ctx: dict[str, Any]) -> int:
    """The arq job of every second. `ctx["closer"]` is made when the worker starts."""
    closer: Closer = ctx["closer"]
    return await closer.close()
