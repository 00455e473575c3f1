"""What all processes ask the stores for in a second in which nothing happens does not grow with past sales (I15).

Counted, not timed: Redis's commands, and the steps that SQLite's machine takes over all statements.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import event

from app.connections import utc_now
from app.ledger import charges, figures, gateway_book, retention, room_windows, rooms
from app.ledger.database import Database, open_database
from app.metrics.work import Work
from app.room.follow import Rooms
from app.room.scripts import RoomScripts
from app.run.prune import keep_of
from config.settings import Settings
from loadtest.past_sales import Size, Sold, When, fill
from tests.counting import redis_commands
from tests.room.room import TIMING
from workers.admitter import Admitter
from workers.closer import Closer
from workers.drawer import Drawer
from workers.keeper import Keeper
from workers.offerer import Offerer
from workers.sweeper import OTHER_LANES_MAX, Sweeper

FEW, MANY = OTHER_LANES_MAX + 10, OTHER_LANES_MAX + 100  # of all lanes, so many are looked at in turn
SETTLES = 4  # seconds until all that is over has been made, closed and retired
TICKS, LOOKS, SWEEPS = 10, 4, 4  # of a second


class Steps:
    """How many steps SQLite has taken on the connections of a database that nobody has used yet."""

    def __init__(self, db: Database) -> None:
        self.taken = 0
        for engine in db.engines:
            event.listen(engine, "connect", self._watch)

    def _watch(self, connection: Any, _: object) -> None:
        if hasattr(connection, "run_async"):
            connection.run_async(lambda driver: driver.set_progress_handler(self._step, 1))
        else:
            connection.set_progress_handler(self._step, 1)

    def _step(self) -> None:
        self.taken += 1


class System:
    """Everything that a worker and a web process do by the clock, one of each."""

    def __init__(self, redis: Redis, db: Database) -> None:
        self.redis, self.db, now = redis, db, utc_now
        self.scripts = RoomScripts(redis, TIMING)
        self.keeper = Keeper(redis, self.scripts, db)
        self.admitter = Admitter(self.scripts, wake, tick_ms=100)
        self.drawer = Drawer(redis=redis, scripts=self.scripts, db=db, now=now, random=bytes, work=Work())
        self.sweeper = Sweeper(redis=redis, db=db, wake=wake, now=now)
        self.closer = Closer(redis=redis, db=db, wake=wake, now=now)
        self.offerer = Offerer(redis=redis, db=db, wake=wake, now=now)
        self.rooms = Rooms(redis, self.scripts, time.time)

    async def second(self) -> None:
        now = utc_now()
        await self.keeper.round(now, None)
        await self.admitter.refresh()
        for _ in range(TICKS):
            await self.admitter.tick()
        for _ in range(LOOKS):
            await self.drawer.look()
        for _ in range(SWEEPS):
            await self.sweeper.sweep()
        await self.sweeper.wake_stranded()
        await self.sweeper.prune()
        await self.closer.close()
        await self.offerer.round()
        await charges.due(self.db, now, 50)
        await charges.due_refunds(self.db, now, 50)
        await gateway_book.capture_due(self.db, now, 50)
        await gateway_book.claim_webhooks(self.db, now, timedelta(seconds=1), 50)
        await self.rooms.refresh()
        await room_windows.with_room(self.db, now)
        await figures.read(self.db, [view.event_id for view in self.rooms._live()])
        async for _ in retention.prune(self.db, keep_of(Settings()), now):
            pass


async def wake(event_id: str, _: str) -> None:
    raise AssertionError(f"nothing happens, and yet the lane of {event_id} was woken")


async def quiet_second(redis: Redis, folder: Path, past: int) -> tuple[Counter[str], int, System]:
    """What a second costs once every room that is over has been retired."""
    db = open_database(f"sqlite+aiosqlite:///{folder}/{past}.db")
    try:
        steps = Steps(db)
        await db.create_all()
        sold = (
            Sold(when=When.past, events=past, seats=4, reservations=4),
            Sold(when=When.live, events=2, seats=4, reservations=4),
            Sold(when=When.coming, events=3, seats=4),
        )
        await fill(db, Size(sold=sold), utc_now())
        system = System(redis, db)
        for _ in range(SETTLES):
            await system.second()
        assert len(await rooms.working(db)) == 5
        for event_id in ("live-0", "live-1"):
            await system.scripts.change(event_id, {"rate": 10_000})  # no tick has anything to add up any more
        await system.second()
        system.sweeper._after = ""  # a whole portion comes next, not what was left at the end
        before = steps.taken
        async with redis_commands(redis) as commands:
            await system.second()
        return commands, steps.taken - before, system
    finally:
        await db.close()


@pytest.mark.slow
async def test_a_second_costs_the_same_after_many_sales_as_after_few(redis: Redis, tmp_path: Path) -> None:
    few, few_steps, _ = await quiet_second(redis, tmp_path, FEW)
    await redis.flushall()
    many, many_steps, system = await quiet_second(redis, tmp_path, MANY)
    assert len(system.rooms.views) == 5, "no process knows the rooms of past sales"
    assert many == few
    assert many_steps == few_steps
    assert sum(many.values()) > 50
    assert many_steps > 500
