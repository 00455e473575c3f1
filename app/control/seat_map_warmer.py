"""Keeps seat maps in the memory of a web process before anybody asks: those of sales that run, open soon or have just
ended, as far as memory is set aside for them. Any other map is held from when somebody asks for it until nobody does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from app.connections import outlived
from app.lane.seats import SeatViews
from app.ledger import seat_maps
from app.ledger.database import Database
from app.outages import Outages

AHEAD = timedelta(minutes=10)  # before a sale opens its map is here
BEHIND = timedelta(minutes=10)  # after its end its buyers still look
EVERY_S = 60.0


class SeatMapWarmer:
    """`warm` once before the first request, then keep `run` running."""

    def __init__(
        self, seats: SeatViews, db: Database, now: Callable[[], datetime], outages: Outages | None = None
    ) -> None:
        self._outages = outages or Outages()
        self._seats = seats
        self._db = db
        self._now = now

    async def warm(self, now: datetime) -> None:
        """Open the maps of these sales, and close those that nobody needs. Raises StoreError, LaneUnavailable."""
        sold = await seat_maps.sold_between(self._db, now - BEHIND, now + AHEAD)
        for event_id, seats_total in sold.items():
            if self._seats.get(event_id) is None and self._seats.has_room_for(seats_total):
                await self._seats.open(event_id)
        self._seats.keep_only({*sold, *self._seats.watched()})

    async def run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            with outlived(self._outages, "warmer"):
                await self.warm(self._now())
