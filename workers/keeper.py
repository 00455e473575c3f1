"""Looks after the rooms once a second: makes one that is missing or incomplete, lets it open and close with its sale,
reserves numbers ahead, stores how far it has come, notes how its line is, and lets the keys of ended epochs expire.

Several rooms at once, each by itself: one that is held up or fails delays no other. Rooms of sales that open in some
days are looked at once a minute. A room whose sale ended a day ago is retired: nobody looks at it any more, and its
keys get a TTL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog
from redis.asyncio import Redis

from app.control import sale_schedule
from app.domain.line import LOBBY_MINUTES_MAX, RoomState
from app.ledger import rooms
from app.ledger.database import Database
from app.ledger.room_windows import Window
from app.room.epochs import expire_epochs
from app.room.live_rooms import leave_working_set, list_rooms
from app.room.record import RoomRecord
from app.room.samples import add_sample
from app.room.scripts import RoomScripts

ROOMS_AT_ONCE = 16
SLOT_S = 0.25  # whoever takes longer no longer counts as one of them
ROOM_S = 20.0  # for one room; the next round tries again
ROUND_S = 0.8  # a round waits no longer; the rooms that are still under way are left out of the next one
NEAR = timedelta(minutes=LOBBY_MINUTES_MAX + 60)  # before the opening, from when on a room is looked at each second
FAR_EVERY = timedelta(minutes=1)  # is looked at the others
RETIRED_AFTER = timedelta(days=1)  # from the end of its sale

_Kept = asyncio.Task[rooms.RoomMarks | None]

log = structlog.get_logger()


class Keeper:
    """The rounds of one worker. Idempotent, and safe on any number of workers at once."""

    def __init__(self, redis: Redis, scripts: RoomScripts, db: Database) -> None:
        self._redis = redis
        self._scripts = scripts
        self._db = db
        self._slots = asyncio.Semaphore(ROOMS_AT_ONCE)
        self._under_way: dict[str, _Kept] = {}
        self._all_at: datetime | None = None  # when those far from their opening were looked at

    async def round(self, now: datetime, wait_s: float | None = ROUND_S) -> None:
        """Look after each room that is not under way still; wait for all of them, but no longer than `wait_s`.

        Raises the errors of those that have failed since the last round, once all others were looked after.
        """
        also_far = self._all_at is None or now - self._all_at >= FAR_EVERY
        found = await rooms.working(self._db, None if also_far else now + NEAR)
        if also_far:
            self._all_at = now
        going_on = [row.event_id for row, window in found if not _is_long_over(window, now)]
        begun = [(row, window) for row, window in found if row.event_id not in self._under_way]
        for row, window in begun:
            self._under_way[row.event_id] = asyncio.create_task(self._keep(row, window, now))
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=wait_s)
        ended = [event_id for event_id, kept in self._under_way.items() if kept.done()]
        await self._end([self._under_way.pop(event_id) for event_id in ended])
        for row, _ in begun:
            if row.event_id in self._under_way:
                log.warning("room_held_up", event_id=row.event_id)
        await list_rooms(self._redis, going_on)

    async def _end(self, kept: Sequence[_Kept]) -> None:
        """Store how far the rooms have come that were looked after, then raise what failed."""
        errors = [error for each in kept if isinstance(error := each.exception(), Exception)]
        marks = [each.result() for each in kept if each.exception() is None]
        await rooms.store_marks(self._db, [each for each in marks if each is not None])
        if errors:
            self._all_at = None  # a store was away: the rooms it has lost are made again by the next round
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("several rooms failed", errors)

    async def _keep(self, row: rooms.RoomRow, window: Window, now: datetime) -> rooms.RoomMarks | None:
        await self._slots.acquire()
        with _let_go(self._slots):
            try:
                async with asyncio.timeout(ROOM_S):
                    return await _keep_room(self._redis, self._scripts, self._db, row, window, now)
            except TimeoutError:
                log.warning("room_not_kept", event_id=row.event_id, limit_s=ROOM_S)
                return None

    async def close(self) -> None:
        """Leave the rooms that are under way as they are: the next keeper goes on."""
        for kept in self._under_way.values():
            kept.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)


@contextmanager
def _let_go(slots: asyncio.Semaphore) -> Iterator[None]:
    """Give the slot back at the end of the block, or after SLOT_S."""
    early = asyncio.get_running_loop().call_later(SLOT_S, slots.release)
    try:
        yield
    finally:
        if early.when() > asyncio.get_running_loop().time():
            early.cancel()
            slots.release()


async def keep(redis: Redis, scripts: RoomScripts, db: Database, now: datetime) -> None:
    """One round over every room, to its end."""
    keeper = Keeper(redis, scripts, db)
    try:
        await keeper.round(now, wait_s=None)
    finally:
        await keeper.close()


async def _keep_room(
    redis: Redis, scripts: RoomScripts, db: Database, row: rooms.RoomRow, window: Window, now: datetime
) -> rooms.RoomMarks | None:
    """Look after one room; its marks, if they are to be stored."""
    complete, record = await scripts.look(row.event_id, sale_schedule.marks_of(row))
    if not complete or record is None or not sale_schedule.follows_sale(record, window):
        await sale_schedule.sync_room_with_sale(scripts, db, window, now)
    if not complete or record is None:
        return None
    if record.epoch > row.epoch:
        await rooms.follow_epoch(db, row.event_id, record.epoch, record.opened_after)
    if record.bound - record.number < sale_schedule.NUMBERS_AHEAD // 2:
        wanted = record.number + sale_schedule.NUMBERS_AHEAD
        reserved = await rooms.reserve_numbers(db, row.event_id, wanted, generation=record.generation)
        await scripts.reserve(row.event_id, reserved)
    if record.state is RoomState.closed:
        await expire_epochs(redis, row.event_id, record, record.epoch)
        if _is_long_over(window, now):  # Redis first: what is begun here is begun again until SQL knows
            await leave_working_set(redis, row.event_id)
            await rooms.retire(db, row.event_id, record.admitted_total, now)
        return _marks(row, record)
    await add_sample(redis, row.event_id, record, int(now.timestamp() * 1000))
    await expire_epochs(redis, row.event_id, record, record.epoch - 1)
    return _marks(row, record)


def _is_long_over(window: Window, now: datetime) -> bool:
    """Whether its room may be retired; one without an end never is."""
    return window.closes_at is not None and window.closes_at + RETIRED_AFTER <= now


def _marks(row: rooms.RoomRow, record: RoomRecord) -> rooms.RoomMarks | None:
    """How far the room has come; None if that is known."""
    if (row.number, row.cursor, row.revision) == (record.number, record.cursor, record.rev):
        return None
    return rooms.RoomMarks(
        event_id=row.event_id,
        epoch=record.epoch,
        generation=record.generation,
        number=record.number,
        cursor=record.cursor,
        revision=record.rev,
    )
