"""Which seat maps a web process holds: those of sales that go on, are near or have just ended, whether or not anybody
asked; any other from when somebody asks until nobody does. A large map takes tens of megabytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

import structlog

from app.lane.errors import LaneUnavailable
from app.lane.seats import SeatViews
from app.ledger import seat_maps
from app.ledger.database import Database
from app.ledger.errors import StoreError

AHEAD = timedelta(days=1)  # before a sale opens its map is here
BEHIND = timedelta(days=1)  # after its end its buyers still look
EVERY_S = 60.0

log = structlog.get_logger()


class SeatMapWarmer:
    """`look` once before the first request, then keep `run` running. `watched` are the events whose maps are in use."""

    def __init__(
        self, seats: SeatViews, db: Database, watched: Callable[[], Collection[str]], now: Callable[[], datetime]
    ) -> None:
        self._seats = seats
        self._db = db
        self._watched = watched
        self._now = now

    async def look(self, now: datetime) -> None:
        """Hold the maps that are near, and give up those that nobody needs. Raises StoreError, LaneUnavailable."""
        near = await seat_maps.sold_between(self._db, now - BEHIND, now + AHEAD)
        for event_id in near:
            await self._seats.open(event_id)
        self._seats.keep_only({*near, *self._watched()})

    async def run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.look(self._now())
            except (StoreError, LaneUnavailable) as error:
                log.warning("near_maps_not_looked_for", error=repr(error))
