"""A room whose sale ended long ago is looked after by nobody, and is there again when its sale goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis
from sqlalchemy import update

from app import redis_keys
from app.connections import utc_now
from app.control.sale_schedule import sync_room_with_sale
from app.domain.line import RoomState
from app.ledger import events, room_windows, rooms
from app.ledger.database import Database
from app.ledger.tables.events import events as table
from app.room.answers import RoomStatus
from app.room.follow import Rooms
from app.room.record import RoomRecord, read_record
from app.room.scripts import RoomScripts
from tests.counting import redis_commands
from tests.lane.world import spec
from tests.room.room import TIMING
from workers.keeper import FAR_EVERY, Keeper, keep

PAST, DAY = "past", timedelta(days=1)
LASTING = (redis_keys.room(PAST), redis_keys.room_log(PAST))


@pytest.fixture
def scripts(redis: Redis) -> RoomScripts:
    return RoomScripts(redis, TIMING)


@pytest.fixture
async def ended(redis: Redis, ledger: Database, scripts: RoomScripts) -> Database:
    """A sale that ended two days ago, with three people in its line, as the keeper finds it."""
    now = utc_now()
    await events.create(ledger, replace(spec(PAST), opens_at=now - 9 * DAY, starts_at=now + DAY), now)
    await keep(redis, scripts, ledger, now)
    await scripts.join(PAST, 1, [("a", ""), ("b", ""), ("c", "")])
    await ends(ledger, -2 * DAY)
    await keep(redis, scripts, ledger, now)
    await tick(scripts)
    return ledger


async def ends(db: Database, after: timedelta) -> None:
    async with db.write() as tx:
        new = {"starts_at": utc_now() + after, "version": table.c.version + 1}
        await tx.execute(update(table).where(table.c.id == PAST).values(new))


async def tick(scripts: RoomScripts, epoch: int = 1) -> RoomStatus:
    return (await scripts.tick(PAST, epoch, 0)).room


async def goes_on(redis: Redis, db: Database, scripts: RoomScripts) -> RoomRecord:
    """Its sale goes on for a day; the room, as the keeper leaves it."""
    await ends(db, DAY)
    event = await events.get(db, PAST)
    assert event is not None
    await sync_room_with_sale(scripts, db, room_windows.of_event(event, PAST), utc_now())
    await keep(redis, scripts, db, utc_now())
    record = await read_record(redis, PAST)
    assert record is not None
    return record


async def test_a_room_long_over_leaves_and_costs_nothing_any_more(
    redis: Redis, ended: Database, scripts: RoomScripts
) -> None:
    await keep(redis, scripts, ended, utc_now())
    assert await redis.smembers(redis_keys.ROOMS) == set()  # type: ignore[misc]  # redis-py types it for both clients
    found = [name async for name in redis.scan_iter(match=redis_keys.pattern_of_event(PAST))]
    assert len(found) > len(LASTING)
    assert [name for name in found if await redis.ttl(name) == -1] == []
    row = await rooms.get(ended, PAST)
    assert row is not None
    assert row.retired_at is not None
    async with redis_commands(redis) as asked:
        await keep(redis, scripts, ended, utc_now())
    assert +asked == {}


async def test_a_room_stays_for_a_day_after_its_sale(redis: Redis, ended: Database, scripts: RoomScripts) -> None:
    await ends(ended, -DAY / 2)
    for _ in range(2):
        await keep(redis, scripts, ended, utc_now())
    assert await redis.sismember(redis_keys.ROOMS, PAST)  # type: ignore[misc]  # redis-py types it for both clients
    assert await redis.ttl(LASTING[0]) == -1


async def test_a_keeper_that_dies_while_it_retires_a_room_is_made_good(
    redis: Redis, ended: Database, scripts: RoomScripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(rooms, "retire", die)
        with pytest.raises(ConnectionError):
            await keep(redis, scripts, ended, utc_now())
    await keep(redis, scripts, ended, utc_now())
    row = await rooms.get(ended, PAST)
    assert row is not None
    assert row.retired_at is not None


async def die(*_: object) -> None:
    raise ConnectionError


@pytest.mark.parametrize("forgotten", [False, True], ids=["soon", "after its keys have expired"])
async def test_a_retired_room_whose_sale_goes_on_begins_a_new_line(
    redis: Redis, ended: Database, scripts: RoomScripts, forgotten: bool
) -> None:
    await keep(redis, scripts, ended, utc_now())
    if forgotten:
        await redis.flushall()
    record = await goes_on(redis, ended, scripts)
    assert (record.state, record.epoch, record.number) == (RoomState.open, 2, record.opened_after)
    assert record.number >= 3, "no number is given again"
    assert await redis.sismember(redis_keys.ROOMS, PAST)  # type: ignore[misc]  # redis-py types it for both clients
    assert [await redis.ttl(name) for name in LASTING] == [-1, -1]
    row = await rooms.get(ended, PAST)
    assert row is not None
    assert (row.retired_at, row.epoch) == (None, 2)
    assert row.number_bound >= record.bound > record.number
    joined = await scripts.join(PAST, 2, [("a", "")])
    assert joined.joined[0].number == record.number + 1


async def test_a_death_between_the_stores_leaves_no_room_that_expires_while_it_sells(
    redis: Redis, ended: Database, scripts: RoomScripts
) -> None:
    await keep(redis, scripts, ended, utc_now())
    await ends(ended, DAY)
    await rooms.bring_back(ended, PAST, anew=False)
    for _ in range(2):
        await keep(redis, scripts, ended, utc_now())
    assert await redis.sismember(redis_keys.ROOMS, PAST)  # type: ignore[misc]  # redis-py types it for both clients
    assert [await redis.ttl(name) for name in LASTING] == [-1, -1]
    assert await tick(scripts, 2) is RoomState.open


async def test_an_edit_of_what_is_long_over_brings_nothing_back(
    redis: Redis, ended: Database, scripts: RoomScripts
) -> None:
    await keep(redis, scripts, ended, utc_now())
    event = await events.get(ended, PAST)
    assert event is not None
    await sync_room_with_sale(scripts, ended, room_windows.of_event(event, PAST), utc_now())
    assert await redis.scard(redis_keys.ROOMS) == 0  # type: ignore[misc]  # redis-py types it for both clients


async def test_a_web_process_forgets_a_retired_room_and_still_finds_it(
    redis: Redis, ended: Database, scripts: RoomScripts
) -> None:
    followed = Rooms(redis, scripts)
    await followed.refresh()
    assert followed.views.keys() == {PAST}
    await keep(redis, scripts, ended, utc_now())
    await followed.refresh()
    assert followed.views == {}
    view = await followed.find(PAST)
    assert view is not None
    assert view.state is RoomState.closed
    assert followed.views == {}, "a look at it does not keep it"
    await goes_on(redis, ended, scripts)
    await followed.refresh()
    assert followed.views[PAST].state is RoomState.open


async def test_rooms_far_from_their_opening_are_kept_in_turn_and_new_ones_at_once(
    redis: Redis, ledger: Database, scripts: RoomScripts
) -> None:
    keeper, now = Keeper(redis, scripts, ledger), utc_now()
    await keeper.round(now, None)
    await events.create(ledger, replace(spec(PAST), opens_at=now + 90 * DAY, starts_at=now + 99 * DAY), now)
    await keeper.round(now, None)
    assert await read_record(redis, PAST) is not None
    async with redis_commands(redis) as asked:
        await keeper.round(now, None)
    assert +asked == {}
    await redis.flushall()
    await keeper.round(now + FAR_EVERY, None)
    assert await read_record(redis, PAST) is not None
