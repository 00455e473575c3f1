"""A Redis that forgot what was done last: a replica that was behind is promoted, an older file is read again, all is
lost. No number is given twice and nobody loses their place.

The processes here are as new as the Redis, and remember nothing, but where a test says otherwise.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app import redis_keys
from app.audit import invariants
from app.connections import utc_now
from app.control import sale_schedule
from app.domain.line import DrawStage, RoomState
from app.domain.ticket import HOLDER_BYTES, holder_text
from app.ledger import rooms
from app.ledger.database import Database
from app.room.answers import NO_MARKS, JoinStatus
from app.room.errors import RoomUnavailable
from app.room.follow import Rooms
from app.room.presence import Presence
from tests.faults.relay import Relay
from tests.ports import kept_port
from tests.room.room import BURST, EVENT, RATE, TIMING, Clock, Room, nobody_bought, nobody_owns
from tests.room.server import Server, server_in
from tests.waiting import wait_until
from workers.keeper import keep

KEPT = 30  # numbers that the Redis which takes over knows of
GIVEN = 80  # numbers that were given
LET_IN_BEFORE = list(range(1, 11))


@pytest.fixture(autouse=True)
def few_numbers_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sale_schedule, "NUMBERS_AHEAD", 1_000)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    with kept_port() as port:
        async with server_in(tmp_path / "redis", "--port", str(port), "--bind", "127.0.0.1") as server:
            yield server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Redis]:
    async with server.client() as client:
        yield client


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Server]:
    async with server_in(tmp_path / "other") as other:
        yield other


async def follow_until_now(primary: Redis, replica: Redis) -> None:
    """Let the replica have everything there is, and nothing that comes after."""
    port = (await primary.config_get("port"))["port"]
    await replica.replicaof("127.0.0.1", port)

    async def has_all() -> bool:
        theirs, ours = await replica.info("replication"), await primary.info("replication")
        offset = theirs.get("slave_repl_offset")
        return bool(theirs["master_link_status"] == "up" and offset == ours["master_repl_offset"])

    await wait_until(has_all, description="the replica has everything")
    await replica.replicaof("127.0.0.1", 1)  # where nobody is


async def promote(replica: Redis) -> None:
    await replica.replicaof("NO", "ONE")


def holder(number: int) -> bytes:
    return number.to_bytes(HOLDER_BYTES, "big")


async def sell(room: Room, first: int, last: int) -> None:
    """People with these numbers join and come to be let in, ten at a time."""
    joined = await room.join(*(holder_text(holder(number)) for number in range(first, last + 1)))
    assert [each.number for each in joined] == list(range(first, last + 1))
    await room.tick()


async def make(client: Redis, ledger: Database, clock: Clock) -> Room:
    room = await Room(client, ledger, clock=clock).make(rate_per_s=RATE, burst=BURST, max_active=500)
    await sell(room, 1, KEPT)
    return room


def newcomer(redis: Redis, room: Room) -> Room:
    """The same room for processes that have just started."""
    return Room(redis, room.db, room.timing, room.clock, room.epoch)


async def refuses_everything(room: Room) -> None:
    """Before a keeper has looked: neither a number nor an admission, nor anything that ends or gives back a place."""
    lane = await room.redis.xlen(redis_keys.lane(EVENT))
    room.clock.pass_ms(TIMING.claim_window_s * 1000 + 1)  # the turns would end
    assert await room.scripts.join(EVENT, 1, [("early", "")]) == ("missing", 0, [], 0)
    tick = await room.tick()
    assert (tick.room, tick.admitted, tick.turns_ended) == ("missing", 0, 0)
    assert (await room.claim(5, holder_text(holder(5)))).status == "missing"
    assert await room.leave(5, holder_text(holder(5))) == "missing"
    assert await room.seen(5) == 0
    assert await room.restore((5, "thief")) == 0
    assert (await room.change(rate=9)).status == "missing"
    assert await room.scripts.reserve(EVENT, 9_999) == 0
    assert await room.scripts.snapshot(EVENT, 1) is None
    assert await room.redis.xlen(redis_keys.lane(EVENT)) == lane
    assert await room.redis.getbit(redis_keys.of_epoch(EVENT, 1, "gone"), 5) == 0


async def recovers_as_after_a_loss(room: Room, turns: list[int], kept: int) -> None:
    """Who holds a ticket stands where they stood; `turns` were let in, as Redis and SQL know together."""
    await refuses_everything(room)
    await asyncio.gather(*(keep(room.redis, room.scripts, room.db, utc_now()) for _ in range(3)))
    web = Rooms(room.redis, room.scripts)
    await web.discover()
    view = web.views[EVENT]
    assert view.state is RoomState.recovering
    assert view.number >= 1_000, "a number may be given twice"
    assert [number for number in range(1, GIVEN + 1) if number not in view.unproven] == list(range(1, kept + 1))
    (new,) = await room.join("new")
    assert new.number > 1_000
    presence = Presence(room.scripts, 5, nobody_bought, nobody_owns)
    for number in range(1, GIVEN + 1):
        presence.see(view, number, holder(number))
    await presence.flush()
    before = set(await room.let_in())
    worker = room.ticker()
    await worker.tick()
    assert set(await room.let_in()) == before, "somebody was let in before the others could come back"
    room.clock.pass_ms(sale_schedule.RECOVER_MS)
    await presence.flush()
    while len(admitted := [number for number in await room.let_in() if number not in before]) < GIVEN + 1 - len(turns):
        room.clock.pass_ms(100)
        await worker.tick()
    assert admitted == [*(number for number in range(1, GIVEN + 1) if number not in turns), new.number]
    assert await room.violations() == []


async def test_a_replica_that_was_behind_gives_nothing_before_the_room_was_made_again(
    client: Redis, other: Server, ledger: Database, clock: Clock
) -> None:
    room = await make(client, ledger, clock)
    async with other.client() as replica:
        await follow_until_now(client, replica)
        await sell(room, KEPT + 1, GIVEN)
        await promote(replica)
        await recovers_as_after_a_loss(newcomer(replica, room), LET_IN_BEFORE, KEPT)


async def test_an_older_file_gives_nothing_before_the_room_was_made_again(
    client: Redis, server: Server, tmp_path: Path, ledger: Database, clock: Clock
) -> None:
    room = await make(client, ledger, clock)
    older = tmp_path / "older"
    shutil.copytree(server.folder, older, ignore=shutil.ignore_patterns("*.sock"))
    await sell(room, KEPT + 1, GIVEN)
    server.kill()
    server.lose_data()
    shutil.copytree(older, server.folder, dirs_exist_ok=True)
    await server.start()
    await recovers_as_after_a_loss(newcomer(client, room), LET_IN_BEFORE, KEPT)


async def test_what_admission_had_passed_is_not_passed_again(
    client: Redis, other: Server, ledger: Database, clock: Clock
) -> None:
    """SQL has the cursor of a moment ago. Those up to it are asked for first, whatever the replica thought of them."""
    room = await make(client, ledger, clock)
    async with other.client() as replica:
        await follow_until_now(client, replica)
        await sell(room, KEPT + 1, GIVEN)
        await keep(client, room.scripts, ledger, utc_now())
        passed = await room.let_in()
        assert passed == list(range(1, len(passed) + 1))
        forgotten = passed[len(LET_IN_BEFORE) :]
        assert forgotten, "admission went on after the replica was left behind"
        await promote(replica)
        again = newcomer(replica, room)
        await keep(replica, again.scripts, ledger, utc_now())
        view = await again.view()
        assert (view.cursor, view.number) == (passed[-1], 1_000)
        assert [number for number in range(1, GIVEN + 1) if number in view.skipped] == forgotten
        assert sorted(view.admitted) == LET_IN_BEFORE
        assert await again.violations() == []


async def test_a_paused_line_whose_places_sql_has_not_heard_of_yet_is_not_taken_for_one_that_nobody_joined(
    client: Redis, other: Server, ledger: Database, clock: Clock
) -> None:
    """It would be drawn, so that everybody would stand elsewhere, and nobody could join until it was committed to."""
    room = await make(client, ledger, clock)
    await room.change(state="paused")
    await rooms.set_config(ledger, EVENT, {"state": "paused"})
    async with other.client() as replica:
        await follow_until_now(client, replica)
        await promote(replica)
        again = newcomer(replica, room)
        await keep(replica, again.scripts, ledger, utc_now())
        complete, record = await again.scripts.look(EVENT, NO_MARKS)
        assert record is not None
        assert (complete, record.draw, record.state_after) == (True, DrawStage.done, RoomState.paused)
        (new,) = await again.join("new")
        assert (new.status, new.number) == (JoinStatus.joined, 1_001)


async def test_everything_lost_gives_nothing_before_the_room_was_made_again(
    client: Redis, server: Server, ledger: Database, clock: Clock
) -> None:
    room = await make(client, ledger, clock)
    await sell(room, KEPT + 1, GIVEN)
    server.kill()
    server.lose_data()
    await server.start()
    await recovers_as_after_a_loss(newcomer(client, room), [], 0)


@pytest.mark.parametrize("seen", ["a number", "a cursor"])
async def test_a_room_behind_what_this_process_has_seen_gives_nothing(
    client: Redis, ledger: Database, clock: Clock, seen: str
) -> None:
    """The same Redis process, so nobody else could tell: an admin put an older copy of the room back."""
    room = await make(client, ledger, clock)
    older = await client.dump(redis_keys.room(EVENT))
    let_in = len(LET_IN_BEFORE)
    if seen == "a number":
        await room.join("next")
    else:
        more = (await room.tick()).admitted
        assert more > 0
        let_in += more
    await client.restore(redis_keys.room(EVENT), 0, older, replace=True)
    if seen == "a number":
        assert await room.scripts.join(EVENT, 1, [("early", "")]) == ("missing", 0, [], 0)
    else:
        assert (await room.tick()).room == "missing"
    again = newcomer(client, room)
    assert await again.scripts.snapshot(EVENT, 1) is None, "nobody else takes it for the room"
    await keep(client, again.scripts, ledger, utc_now())
    view = await room.view()
    assert (view.state, view.number) == (RoomState.recovering, 1_000)
    assert view.cursor == let_in, "what was seen is not admitted again"


async def test_a_room_behind_what_sql_heard_of_it_is_made_again(client: Redis, ledger: Database, clock: Clock) -> None:
    """Also where no process that has seen more is alive."""
    room = await make(client, ledger, clock)
    await keep(client, room.scripts, ledger, utc_now())
    older = await client.dump(redis_keys.room(EVENT))
    await room.leave(7, holder_text(holder(7)))  # only the revision says so
    await keep(client, room.scripts, ledger, utc_now())
    await client.restore(redis_keys.room(EVENT), 0, older, replace=True)
    assert [each.invariant for each in await invariants.check(client, ledger, EVENT)] == ["I14"]
    again = newcomer(client, room)
    await keep(client, again.scripts, ledger, utc_now())
    assert (await again.view()).state is RoomState.recovering
    assert await again.violations() == []


async def test_a_ticket_above_every_number_says_that_some_were_lost(
    client: Redis, ledger: Database, clock: Clock
) -> None:
    room = await make(client, ledger, clock)
    older = await client.dump(redis_keys.room(EVENT))
    await sell(room, KEPT + 1, GIVEN)
    await client.restore(redis_keys.room(EVENT), 0, older, replace=True)
    again = newcomer(client, room)
    await again.seen(GIVEN)
    assert await again.scripts.join(EVENT, 1, [("early", "")]) == ("missing", 0, [], 0)


async def test_an_old_primary_that_comes_back_gives_no_number_twice(
    client: Redis, other: Server, ledger: Database, clock: Clock
) -> None:
    """It was cut off and never noticed that another one took over: both have people, and both ask SQL for numbers."""
    room = await make(client, ledger, clock)
    async with other.client() as replica:
        await follow_until_now(client, replica)
        await promote(replica)
        new = newcomer(replica, room)
        await keep(replica, new.scripts, ledger, utc_now())
        at_new = {each.number for each in await new.join(*(f"new{n}" for n in range(900)))}
        await keep(replica, new.scripts, ledger, utc_now())
        old = newcomer(client, room)
        at_old = {each.number for each in await old.join(*(f"old{n}" for n in range(900)))}
        await keep(client, old.scripts, ledger, utc_now())
        assert (await old.view()).state is RoomState.recovering, "it is known for what it is"
        at_old |= {each.number for each in await old.join(*(f"older{n}" for n in range(900)))}
        await keep(replica, new.scripts, ledger, utc_now())
        at_new |= {each.number for each in await new.join(*(f"newer{n}" for n in range(900)))}
        assert not at_old & at_new


async def test_nobody_gets_a_number_twice_while_a_replica_that_is_behind_takes_over(
    client: Redis, server: Server, other: Server, ledger: Database, clock: Clock, tmp_path: Path
) -> None:
    """With joins and ticks under way on both sides of the moment, and a keeper that looks all the time."""
    await make(client, ledger, clock)
    given: list[int] = []
    let_in: list[int] = []
    stop = asyncio.Event()

    async def come(room: Room, who: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            with suppress(RoomUnavailable):
                given.extend(each.number for each in await room.join(f"{who}-{turn}", f"{who}-{turn}-too"))
            await asyncio.sleep(0)

    async def work(room: Room, *, keeps: bool) -> None:
        while not stop.is_set():
            clock.pass_ms(20)
            with suppress(RoomUnavailable):
                await (keep(room.redis, room.scripts, ledger, utc_now()) if keeps else room.tick(20))
            await asyncio.sleep(0)

    async def came(people: int) -> None:
        async def have_come() -> bool:
            return len(given) >= people

        await wait_until(have_come, description=f"{people} numbers were given")

    async with Relay(tmp_path / "relay", server.socket).serving() as relay, other.client() as replica:
        async with Redis(unix_socket_path=str(relay.path)) as behind, asyncio.TaskGroup() as group:
            rooms_of = [Room(behind, ledger, TIMING, clock) for _ in range(4)]
            for who, room in enumerate(rooms_of[:3]):
                group.create_task(come(room, who))
            group.create_task(work(rooms_of[2], keeps=False))
            group.create_task(work(rooms_of[3], keeps=True))
            await came(100)
            await follow_until_now(client, replica)
            await came(len(given) + 200)
            await promote(replica)
            relay.lead_to(other.socket)
            await came(len(given) + 400)
            stop.set()
        let_in = await newcomer(replica, rooms_of[0]).let_in()
        numbers = [number for number in given if number]
        assert len(numbers) == len(set(numbers))
        assert len(let_in) == len(set(let_in))
        assert await newcomer(replica, rooms_of[0]).violations() == []
