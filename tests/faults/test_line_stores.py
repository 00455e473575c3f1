"""Redis is killed or robbed of its data, keepers die or come late: no answer, no number and no place is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app import redis_keys
from app.connections import utc_now
from app.control import sale_schedule
from app.domain.line import Place, RoomState
from app.domain.ticket import HOLDER_BYTES, holder_text
from app.ledger import rooms
from app.ledger.database import Database
from app.ledger.room_windows import Window
from app.room.answers import Joined, JoinStatus
from app.room.errors import RoomUnavailable
from app.room.follow import Rooms
from app.room.presence import Presence
from app.room.scripts import RoomScripts
from tests.lane.audit import empty
from tests.lane.killing import Fuse, killable_ledger
from tests.room.killing import fused_redis, kills_survived
from tests.room.room import BURST, EVENT, RATE, TIMING, Clock, Room, nobody_bought, nobody_owns
from tests.room.server import Server, server_in
from workers.keeper import keep


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with server_in(tmp_path / "redis") as server:
        yield server


async def test_nothing_that_was_answered_is_lost_when_redis_is_killed(
    server: Server, ledger: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle of everything, several times; the log that clients hold is the measure."""
    client = server.client()
    monkeypatch.setattr(sale_schedule, "NUMBERS_AHEAD", 10_000)
    room = await Room(client, ledger).make(max_active=10_000, rate_per_s=1_000, burst=1_000, bound=10_000)
    places: dict[str, int] = {}
    ends: dict[int, str] = {}

    async def come_until_it_dies(who: int) -> None:
        with suppress(RoomUnavailable):
            for turn in range(10_000):
                name = f"{who}-{len(places)}-{turn}"
                (joined,) = await room.join(name)
                places[name] = joined.number
                if turn % 3 == 0:
                    ends[joined.number] = await room.leave(joined.number, name)

    async def kill_after(joins: int) -> None:
        while len(places) < joins:  # noqa: ASYNC110  # others join meanwhile
            await asyncio.sleep(0)
        server.kill()

    for kills in range(1, 4):
        await asyncio.gather(kill_after(kills * 60), *(come_until_it_dies(who) for who in range(8)))
        await server.start()
        await keep(client, room.scripts, ledger, utc_now())
        view = await room.view()
        assert len(set(places.values())) == len(places)
        assert max(places.values()) <= await room.field("number")
        assert {number: view.place(number) for number in ends} == dict.fromkeys(ends, Place.left)
        still = {name: number for name, number in places.items() if number not in ends and view.place(number) != "left"}
        assert await room.join(*still) == [Joined(JoinStatus.already, number) for number in still.values()]
        assert await room.violations() == []
    await client.aclose()


def ticket_holder(number: int) -> bytes:
    return number.to_bytes(HOLDER_BYTES, "big")


async def test_losing_all_of_redis_loses_no_place(
    server: Server, ledger: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I1 and I9: new numbers are above every old one, and tickets give their places back in the old order."""
    client = server.client()
    monkeypatch.setattr(sale_schedule, "NUMBERS_AHEAD", 100)
    room = await Room(client, ledger, clock=clock).make(rate_per_s=RATE, burst=BURST, max_active=500, bound=100)
    await room.join(*(holder_text(ticket_holder(number)) for number in range(1, 61)))
    await room.tick()
    assert await room.let_in() == list(range(1, 11))
    await keep(client, room.scripts, ledger, utc_now())
    await room.leave(20)

    server.kill()
    server.lose_data()
    await server.start()
    assert await room.scripts.join(EVENT, 1, [("early", "")]) == ("missing", 0, [], 0)
    await asyncio.gather(*(keep(client, room.scripts, ledger, utc_now()) for _ in range(3)))

    (new,) = await room.join("new")
    assert new.number > 100, "a number was given twice"
    web = Rooms(client, room.scripts)
    await web.discover()
    processes = [Presence(room.scripts, 5, nobody_bought, nobody_owns) for _ in range(3)]
    back = [number for number in range(1, 61) if number % 7]
    shown = back * 2
    random.Random(3).shuffle(shown)
    for at, number in enumerate(shown):
        processes[at % 3].see(web.views[EVENT], number, ticket_holder(number))
    for process in processes:
        await process.flush()
    worker = room.ticker()
    for _ in range(3):
        clock.pass_ms(1_000)
        await worker.tick()
    assert await room.let_in() == [], "somebody was let in before the others could come back"
    clock.pass_ms(sale_schedule.RECOVER_MS)
    while len(await room.let_in()) < len(back) + 1:
        clock.pass_ms(100)
        await worker.tick()
    assert await room.let_in() == [*back, new.number]
    assert await room.violations() == []
    await client.aclose()


async def test_a_line_that_was_begun_anew_is_where_it_was_after_a_loss(room: Room) -> None:
    """Its cursor is remembered from its beginning on: whoever waits is still told how many are ahead."""
    await room.crowd(20)
    await room.change(state="closed")
    await room.change(state="open")
    room.epoch = 2
    joined = await room.join(*(holder_text(ticket_holder(number)) for number in range(21, 81)))
    assert [each.number for each in joined] == list(range(21, 81))
    await keep(room.redis, room.scripts, room.db, utc_now())
    await room.tick()
    assert await room.let_in() == list(range(21, 31))
    await keep(room.redis, room.scripts, room.db, utc_now())
    await room.redis.flushall()
    await keep(room.redis, room.scripts, room.db, utc_now())
    await room.restore(*((number, holder_text(ticket_holder(number))) for number in range(21, 81)))
    view = await room.view()
    assert (view.cursor, view.waiting) == (30, 50)
    assert [view.position(number).ahead for number in (21, 31, 32, 80)] == [0, 0, 1, 49]
    assert await room.violations() == []


async def test_a_keeper_that_read_the_store_before_the_loss_does_not_give_numbers_again(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands still between reading the rows and looking at Redis, while numbers are given and Redis is lost."""
    read = rooms.working

    async def and_stand_still(db: Database, opens_before: datetime | None) -> list[tuple[rooms.RoomRow, Window]]:
        rows = await read(db, opens_before)
        await rooms.reserve_numbers(db, EVENT, 50_000, generation=0)
        await room.redis.flushall()
        return rows

    monkeypatch.setattr(rooms, "working", and_stand_still)
    await keep(room.redis, room.scripts, room.db, utc_now())
    assert await room.field("number") == 50_000


async def test_a_late_keeper_leaves_no_half_a_room(room: Room) -> None:
    """What it notes after a loss must not pass for a room, nor lower a bound."""
    await room.redis.flushall()
    assert await room.scripts.reserve(EVENT, 20_000) == 0
    await room.redis.hset(redis_keys.room(EVENT), "retired", "1")  # type: ignore[misc]  # redis-py types it for both clients
    await keep(room.redis, room.scripts, room.db, utc_now())
    assert (await room.view()).state is RoomState.recovering
    bound = await room.field("bound")
    assert await room.scripts.reserve(EVENT, 5) == bound
    assert await room.field("bound") == bound


async def test_a_keeper_killed_between_any_two_calls_is_carried_on(
    redis: Redis, ledger: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sale_schedule, "NUMBERS_AHEAD", 20)
    fuse, call, alive = Fuse(), 0, True
    victim_db = killable_ledger(ledger, fuse)
    async with fused_redis(redis, fuse) as victim:
        while alive:
            call += 1
            room = await Room(redis, ledger).make(bound=20)
            given = await room.crowd(15)
            fuse.arm(call)
            with kills_survived():
                await keep(victim, RoomScripts(victim, TIMING), victim_db, utc_now())
                fuse.step()
                await redis.flushall()
                await keep(victim, RoomScripts(victim, TIMING), victim_db, utc_now())
            alive = fuse.blown
            fuse.arm(0)
            await keep(redis, room.scripts, ledger, utc_now())
            await keep(redis, room.scripts, ledger, utc_now())
            given_since = await room.crowd(10, first=100)
            assert min(given_since) > max(given), f"killed at call {call}"
            assert await room.violations() == []
            await redis.flushall()
            await empty(ledger)
    await victim_db.close()
    assert call > 15, "the keeper did less than two rounds' work"
