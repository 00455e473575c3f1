"""Keeps seat maps in the memory of a web process before anybody asks: those of sales that run, open soon or have just
ended. Any other map is held from when somebody asks for it until nobody does: a large one takes tens of megabytes.
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
    """`warm` once before the first request, then keep `run` running. `watched` are the events whose maps are in use."""

    def __init__(
        self, seats: SeatViews, db: Database, watched: Callable[[], Collection[str]], now: Callable[[], datetime]
    ) -> None:
        self._seats = seats
        self._db = db
        self._watched = watched
        self._now = now

    async def warm(self, now: datetime) -> None:
        """Open the maps of these sales, and close those that nobody needs. Raises StoreError, LaneUnavailable."""
        event_ids = await seat_maps.sold_between(self._db, now - BEHIND, now + AHEAD)
        for event_id in event_ids:
            await self._seats.open(event_id)
        self._seats.keep_only({*event_ids, *self._watched()})

    async def run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.warm(self._now())
            except (StoreError, LaneUnavailable) as error:
                log.warning("seat_maps_not_warmed", error=repr(error))
