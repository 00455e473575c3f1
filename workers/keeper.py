"""Keeps the rooms whole, once a second: made if missing, in line with their sales, numbers reserved ahead, cursors
checkpointed, epochs retired.
"""

from __future__ import annotations

import time

from redis.asyncio import Redis

from app import redis_keys
from app.control import sale_schedule as windows
from app.domain.line import RoomState
from app.domain.samples import Mark, marks_of
from app.ledger import events, rooms
from app.ledger.database import Database
from app.ledger.events import Window
from app.room.scripts import RoomScripts

FIELDS = ("state", "epoch", "number", "bound", "cursor", "admitted_total", "retired", "opened_after")
EPOCH_KEPT_S = 7 * 86_400  # how long a closed epoch can still be looked at
SCAN_COUNT = 1_000
MARKS_MAX = 3_600  # one a second: an hour of how the line was
MARK_MIN_MS = 900


async def keep(redis: Redis, scripts: RoomScripts, db: Database) -> None:
    """One round over every room. Idempotent, and safe on any number of workers at once."""
    by_event = await events.windows(db)
    for row in await rooms.listed(db):
        if row.event_id in by_event:
            await _keep_room(redis, scripts, db, row, by_event[row.event_id])


async def _keep_room(redis: Redis, scripts: RoomScripts, db: Database, row: rooms.RoomRow, window: Window) -> None:
    fields = await redis.hmget(redis_keys.room(row.event_id), [*FIELDS, *windows.FIELDS])  # type: ignore[misc]
    if not windows.is_in_line(window, fields[len(FIELDS) :]):
        await windows.sync_room_with_sale(scripts, db, window)
    if fields[0] is None:
        return
    state, epoch, number, bound, cursor, let_in = fields[0].decode(), *(int(value) for value in fields[1:6])
    if epoch > row.epoch:
        await rooms.follow_epoch(db, row.event_id, epoch, int(fields[7]))
    if bound - number < windows.NUMBERS_AHEAD // 2:
        reserved = await rooms.reserve_numbers(db, row.event_id, number + windows.NUMBERS_AHEAD)
        await scripts.reserve(row.event_id, reserved)
    if cursor > row.cursor:
        await rooms.checkpoint_cursor(db, row.event_id, epoch, cursor)
    if state == RoomState.closed:
        await _retire(redis, row.event_id, epoch, fields[6])
        return
    await _mark(redis, row.event_id, epoch, number, cursor, let_in)
    if epoch > 1:
        await _retire(redis, row.event_id, epoch - 1, fields[6])


async def _mark(redis: Redis, event_id: str, epoch: int, number: int, cursor: int, let_in: int) -> None:
    """Note how the line is by now, if that is news: waits, rates of flow and charts are read from these."""
    name, now_ms = redis_keys.of_epoch(event_id, epoch, "marks"), int(time.time() * 1000)
    last = await redis.lindex(name, -1)  # type: ignore[misc]
    gone_name, first = redis_keys.of_epoch(event_id, epoch, "gone"), (cursor + 1) >> 3
    gone = await redis.bitcount(gone_name, first, -1)
    edge = await redis.getrange(gone_name, first, first)
    admitted = await redis.zcard(redis_keys.of_epoch(event_id, epoch, "admitted"))
    active = await redis.zcard(redis_keys.of_epoch(event_id, epoch, "active"))
    passed = (edge[0] >> 8 - (cursor + 1) % 8).bit_count() if edge else 0  # gone, in the first byte, up to the cursor
    mark = Mark(now_ms, number, let_in, max(0, number - cursor - gone + passed), admitted, active)
    if last is not None:
        (before,) = marks_of([last])
        if mark == before._replace(at_ms=now_ms) or now_ms - before.at_ms < MARK_MIN_MS:
            return
    pipe = redis.pipeline(transaction=False)
    pipe.rpush(name, mark.packed())
    pipe.ltrim(name, -MARKS_MAX, -1)
    async with pipe:  # cancelled, it would keep its connection
        await pipe.execute()


async def _retire(redis: Redis, event_id: str, epoch: int, retired: bytes | None) -> None:
    """Give every key of this epoch and of those before it a TTL (I10). A reader may still look at them meanwhile.

    More than one when a room was closed and opened several times between two rounds.
    """
    done = int(retired or 0)
    if done >= epoch:
        return
    async for name in redis.scan_iter(match=redis_keys.of_epoch(event_id, "*", "*"), count=SCAN_COUNT):
        if done < redis_keys.epoch_of(name.decode()) <= epoch:
            await redis.expire(name, EPOCH_KEPT_S)
    await redis.hset(redis_keys.room(event_id), "retired", str(epoch))  # type: ignore[misc]
