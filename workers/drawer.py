"""Draws the openings whose entries are closed, and gives each draw that is ahead its seed and its beacon's round.

A room that is far from its opening is looked at once, so that its draw is committed to, and then again when it is near.
Every worker looks; whoever comes first draws, and a second one draws the same (app/control/opening_draw.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from redis.asyncio import Redis

from app.connections import outlived
from app.control.opening_draw import Beacon, Drawn, RandomBytes, make_draw, prepare
from app.ledger.database import Database
from app.metrics.work import Work
from app.outages import Outages
from app.room.live_rooms import LiveRoomsReader
from app.room.record import RoomRecord, read_records
from app.room.scripts import RoomScripts

LOOK_S = 0.25  # between two looks, in three calls of Redis


@dataclass(slots=True, kw_only=True, eq=False)
class Drawer:
    redis: Redis
    scripts: RoomScripts
    db: Database
    now: Callable[[], datetime]
    random: RandomBytes
    work: Work
    beacon: Beacon | None = None
    outages: Outages = field(default_factory=Outages)
    _reader: LiveRoomsReader = field(init=False)
    _far: dict[str, int] = field(default_factory=dict, init=False)  # event id → epoch of those that were looked at

    def __post_init__(self) -> None:
        self._reader = LiveRoomsReader(self.redis)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            with outlived(self.outages, "drawer"):
                await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Commit to every draw that is ahead, and make those whose entries are closed.

        Raises RoomUnavailable, StoreError.
        """
        rooms = await self._reader.read()
        new = [event_id for event_id, epoch in rooms.far.items() if self._far.get(event_id) != epoch]
        looked_at: set[str] = set()
        for event_id, record in (await read_records(self.redis, [*rooms.epochs, *new])).items():
            with outlived(self.outages, f"drawer of {event_id}"):
                await self._look_at(event_id, record)
                looked_at.add(event_id)
        missed = set(new) - looked_at
        self._far = {event_id: epoch for event_id, epoch in rooms.far.items() if event_id not in missed}

    async def _look_at(self, event_id: str, record: RoomRecord) -> None:
        room = (self.scripts, self.db, event_id, record)
        await prepare(*room, self.random, self.beacon, self.now())
        if await make_draw(*room, self.now(), beacon=self.beacon) is Drawn.beacon_missed:
            self.work.draws_without_beacon += 1
