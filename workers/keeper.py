"""Looks after every room once a second: makes it if it is missing, lets it open and close with its sale, reserves
numbers ahead, checkpoints its cursor, notes how its line is, and lets the keys of ended epochs expire.
"""

from __future__ import annotations

from datetime import datetime

from redis.asyncio import Redis

from app.control import sale_schedule
from app.domain.line import RoomState
from app.ledger import events, rooms
from app.ledger.database import Database
from app.ledger.events import Window
from app.room.epochs import expire_epochs
from app.room.record import read_record
from app.room.samples import add_sample
from app.room.scripts import RoomScripts


async def keep(redis: Redis, scripts: RoomScripts, db: Database, now: datetime) -> None:
    """One round over every room. Idempotent, and safe on any number of workers at once."""
    by_event = await events.windows(db)
    for row in await rooms.listed(db):
        if row.event_id in by_event:
            await _keep_room(redis, scripts, db, row, by_event[row.event_id], now)


async def _keep_room(
    redis: Redis, scripts: RoomScripts, db: Database, row: rooms.RoomRow, window: Window, now: datetime
) -> None:
    record = await read_record(redis, row.event_id)
    if record is None or not sale_schedule.follows_sale(record, window):
        await sale_schedule.sync_room_with_sale(scripts, db, window, now)
    if record is None:
        return
    if record.epoch > row.epoch:
        await rooms.follow_epoch(db, row.event_id, record.epoch, record.opened_after)
    if record.bound - record.number < sale_schedule.NUMBERS_AHEAD // 2:
        reserved = await rooms.reserve_numbers(db, row.event_id, record.number + sale_schedule.NUMBERS_AHEAD)
        await scripts.reserve(row.event_id, reserved)
    if record.cursor > row.cursor:
        await rooms.checkpoint_cursor(db, row.event_id, record.epoch, record.cursor)
    if record.state is RoomState.closed:
        await expire_epochs(redis, row.event_id, record, record.epoch)
        return
    await add_sample(redis, row.event_id, record, int(now.timestamp() * 1000))
    await expire_epochs(redis, row.event_id, record, record.epoch - 1)
