"""Bounded passes over what time decides: holds end when due, no command is stranded, old outcomes are deleted.

Every pass may run anywhere, twice or not at all: what it sends is idempotent, and the next one catches up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from redis.asyncio import Redis

from app.jobs import Wake
from app.lane.commands import REPLIES_KEPT_FOR, Expire, pack
from app.lane.errors import LaneFull
from app.lane.scripts import LaneScripts
from app.lane.stream import send
from app.lane.streams import LaneStreams
from app.ledger import reservations, seats
from app.ledger.database import Database

SWEEP_MAX = 5000  # holds per pass, all events together
EVENTS_PER_CALL = 500
OTHER_LANES_MAX = 50  # looked at in a pass, besides those of sales that run

log = structlog.get_logger()


@dataclass(kw_only=True, eq=False)
class Sweeper:
    """`now` is the wall clock in UTC, the same that the allocator judges by."""

    redis: Redis
    db: Database
    wake: Wake
    now: Callable[[], datetime]
    _after: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._scripts = LaneScripts(self.redis)
        self._streams = LaneStreams(self.redis)

    async def sweep(self) -> int:
        """Send an Expire for every hold that is due; answers how many. The lane writes it to SQL."""
        by_event: dict[str, list[bytes]] = {}
        due = await reservations.due(self.db, self.now(), SWEEP_MAX)
        for event_id, reservation_id in due:
            expire = Expire(id=f"expire:{reservation_id}", reservation_id=reservation_id)
            by_event.setdefault(event_id, []).append(pack(expire))
        sent = 0
        for event_id, packed in by_event.items():
            try:
                await send(self._scripts, self.wake, event_id, packed)
            except LaneFull as error:  # the holds of the others end in time all the same; these are due again next time
                log.warning("expiries_not_sent", event_id=event_id, holds=len(packed), error=repr(error))
            else:
                sent += len(packed)
        return sent

    async def wake_stranded(self) -> int:
        """Wake an allocator for lanes that have commands and none: it crashed, or its wake-up was lost.

        Looks at the lanes of sales that run or have just ended, and at the next few of all others: what an admin
        cancels long after a sale may wait for its turn. Answers how many were woken.
        """
        woken = 0
        others = await seats.some_lanes(self.db, self._after, OTHER_LANES_MAX)
        self._after = others[-1] if len(others) == OTHER_LANES_MAX else ""
        event_ids = sorted({*await seats.busy_lanes(self.db, self.now()), *others})
        for start in range(0, len(event_ids), EVENTS_PER_CALL):
            for event_id, oldest in await self._streams.stranded(event_ids[start : start + EVENTS_PER_CALL]):
                # An id of its own each second: the one of a killed worker's job stays taken until arq gives it up.
                await self.wake(event_id, f"{oldest}:{int(self.now().timestamp())}")
                woken += 1
        return woken

    async def prune(self) -> int:
        """Delete a bounded number of old outcomes; answers how many."""
        return await seats.prune_commands(self.db, self.now() - REPLIES_KEPT_FOR)


async def sweep(ctx: dict[str, Any]) -> int:
    """The arq job of every quarter second. `ctx["sweeper"]` is made when the worker starts."""
    sweeper: Sweeper = ctx["sweeper"]
    return await sweeper.sweep()


async def wake_stranded(ctx: dict[str, Any]) -> int:
    """The arq job of every second."""
    sweeper: Sweeper = ctx["sweeper"]
    return await sweeper.wake_stranded()


async def prune(ctx: dict[str, Any]) -> int:
    """The arq job of every minute."""
    sweeper: Sweeper = ctx["sweeper"]
    return await sweeper.prune()
