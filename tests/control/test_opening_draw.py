"""One draw per room and opening, whatever dies, is lost or is repeated meanwhile; its tests are told the time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from app import redis_keys
from app.audit import trace as tracing
from app.audit.trace import Standing
from app.audit.trace_steps import What
from app.control.opening_draw import make_draw
from app.control.sale_schedule import RECOVER_MS, sync_room_with_sale
from app.domain import draw
from app.domain.line import DrawStage, Opening, Place, RoomState
from app.ledger import draws, rooms
from app.ledger.database import Database
from app.ledger.room_windows import Window
from app.ledger.rooms import RoomMarks
from app.room.answers import JoinStatus, ScheduleStatus
from app.room.follow import Rooms
from app.room.record import Schedule, read_record
from app.room.scripts import RoomScripts
from tests.control.lobby import DRAW_MS, DRAWN, FAR, LOBBY_MS, MINUTE_MS, Lobby, at, holder, lose_redis, made
from tests.lane.world import START, World, hold
from tests.room.room import EVENT, Room


@pytest.fixture
async def lobby(redis: Redis, ledger: Database) -> Lobby:
    return await made(redis, ledger, random.Random(1).randbytes)


async def test_who_enters_the_lobby_is_drawn_and_let_in_in_that_order(lobby: Lobby) -> None:
    numbers = await lobby.enter(*range(20))
    view = await lobby.room.view()
    assert view.position(3)[:3] == (Place.lobby, 3, 20)
    assert (await lobby.room.scripts.tick(EVENT, 1, 60_000, lobby.room.clock.redis_ms)).admitted == 0
    await lobby.opened()
    order = await lobby.order()
    assert sorted(order) == numbers
    assert order != numbers
    view = await lobby.room.view()
    assert view.state is RoomState.open
    for rank, number in enumerate(order, 1):
        assert view.position(number)[:3] == (Place.waiting, rank, rank - 1)
    while len(await lobby.room.let_in()) < 20:
        await lobby.room.seen(*numbers)
        lobby.room.clock.pass_ms(100)
        await lobby.tick()
    assert await lobby.room.let_in() == order


async def test_in_a_drawn_line_nobody_is_stepped_over_for_the_numbers_that_have_left(lobby: Lobby) -> None:
    """What Redis knows of who has left is in the order of their numbers, and not in that of the draw."""
    numbers = await lobby.enter(*range(40))
    await lobby.opened()
    order = await lobby.order()
    absent = {order[6], *range(8, 16)}
    for number in absent:
        await lobby.room.leave(number)
    waiting = [number for number in order if number not in absent]
    for _ in range(len(numbers)):
        await lobby.room.seen(*waiting)
        lobby.room.clock.pass_ms(100)
        await lobby.tick()
    assert await lobby.room.let_in() == waiting


async def test_the_order_can_be_computed_from_what_is_published(lobby: Lobby) -> None:
    await lobby.enter(*range(50))
    before = await lobby.row()
    assert (before.root, before.drawn_at) == (None, None)
    await lobby.opened()
    row = await lobby.row()
    assert row.commitment == before.commitment == draw.commitment_of(row.seed)
    holders = [holder(n).encode() for n in range(50)]
    assert row.root == draw.root_of(draw.leaves_of(row.secret, holders))
    assert await lobby.order() == draw.order_of(draw.key_of(row.seed, row.root), 50).tolist()


async def test_nobody_enters_before_the_seed_is_committed_to(redis: Redis, ledger: Database) -> None:
    room = await Room(redis, ledger, timing=DRAWN).make(
        state=RoomState.lobby, opens_ms=10**13, lobby_ms=LOBBY_MS, draw=DrawStage.ahead
    )
    (early,) = await room.join(holder(1))
    assert early == (JoinStatus.unready, 0)
    lobby = Lobby(room, random.Random(1).randbytes)
    await lobby.commit()
    assert await lobby.enter(1) == [1]


async def test_a_seed_is_made_once_whatever_a_second_worker_does(lobby: Lobby) -> None:
    first = (await lobby.row()).seed
    assert (await draws.commit(lobby.room.db, EVENT, 1, bytes(32), bytes(32))).seed == first


async def test_entering_again_and_leaving_a_thousand_times_is_one_entry(lobby: Lobby) -> None:
    await lobby.enter(1, 2)
    for _ in range(1_000):
        assert await lobby.enter(2) == [2]
        await lobby.room.leave(2)
    assert (await lobby.record()).number == 2
    view = await lobby.room.view()
    assert view.position(1)[:3] == (Place.lobby, 1, 1)
    assert view.place(2) is Place.left
    assert await lobby.enter(2, 3) == [2, 3]
    assert (await lobby.room.view()).position(2)[:3] == (Place.lobby, 2, 3)


async def test_who_left_the_lobby_stands_in_nobodys_way(lobby: Lobby) -> None:
    await lobby.enter(*range(10))
    await lobby.room.leave(4)
    await lobby.opened()
    record, view = await lobby.record(), await lobby.room.view()
    assert (record.drawn, record.drawn_of) == (10, 9)
    waiting = [number for number in await lobby.order() if number != 4]
    assert [view.position(number).ahead for number in waiting] == list(range(9))


async def test_whoever_comes_after_the_entries_closed_stands_behind_in_order_of_arrival(lobby: Lobby) -> None:
    await lobby.enter(*range(10))
    lobby.room.clock.pass_ms(LOBBY_MS + DRAW_MS)
    await lobby.tick()
    assert await lobby.enter(*range(10, 15)) == list(range(11, 16))
    await lobby.draw()
    view = await lobby.room.view()
    assert [view.position(number)[:3] for number in range(11, 16)] == [
        (Place.waiting, number, number - 1) for number in range(11, 16)
    ]


async def test_two_workers_and_a_repeated_draw_make_one_order(lobby: Lobby) -> None:
    await lobby.enter(*range(30))
    lobby.room.clock.pass_ms(LOBBY_MS + DRAW_MS)
    await lobby.tick()
    closed = await lobby.record()
    await make_draw(lobby.room.scripts, lobby.room.db, EVENT, closed, START)
    order, row = await lobby.order(), await lobby.row()
    await make_draw(lobby.room.scripts, lobby.room.db, EVENT, closed, START + timedelta(hours=1))
    assert (await lobby.order(), await lobby.row()) == (order, row)


@pytest.mark.parametrize("died_after", ["root", "tables"])
async def test_a_worker_that_dies_in_the_draw_changes_nothing(lobby: Lobby, died_after: str) -> None:
    """What it had fixed or written is what the next one goes on from."""
    await lobby.enter(*range(30))
    lobby.room.clock.pass_ms(LOBBY_MS + DRAW_MS)
    await lobby.tick()
    before = await draws.fix(lobby.room.db, await lobby.row(), 30, 30, b"r" * 32, None)
    if died_after == "tables":
        await lobby.room.redis.set(redis_keys.of_epoch(EVENT, 1, "order"), bytes(60))
    await lobby.draw()
    assert (await lobby.record()).state is RoomState.open
    assert before.root is not None
    assert await lobby.order() == draw.order_of(draw.key_of(before.seed, before.root), 30).tolist()


async def test_a_redis_that_is_lost_after_the_root_is_fixed_gives_the_same_order(lobby: Lobby) -> None:
    numbers = await lobby.enter(*range(30))
    await lobby.opened()
    order = await lobby.order()
    await lose_redis(lobby)
    assert await lobby.order() == order
    record = await lobby.record()
    assert (record.state, record.draw, record.drawn) == (RoomState.recovering, DrawStage.done, 30)
    await lobby.room.scripts.restore(EVENT, 1, [(n, holder(n - 1)) for n in numbers])
    view = await lobby.room.view()
    assert [view.position(number).ahead for number in order] == list(range(30))


async def test_a_redis_that_is_lost_in_the_lobby_brings_its_entries_back(lobby: Lobby) -> None:
    await lobby.enter(*range(30))
    commitment = (await lobby.record()).commitment
    await lose_redis(lobby)
    record = await lobby.record()
    assert (record.draw, record.commitment) == (DrawStage.ahead, commitment)
    await lobby.room.scripts.restore(EVENT, 1, [(n, holder(n - 1)) for n in range(1, 31)])
    assert await lobby.enter(*range(30)) == list(range(1, 31))
    (late,) = await lobby.enter(99)
    assert late > record.number
    lobby.room.clock.pass_ms(RECOVER_MS + LOBBY_MS + DRAW_MS)
    await lobby.tick()
    await lobby.draw()
    record, view = await lobby.record(), await lobby.room.view()
    assert (record.state, record.drawn_of) == (RoomState.open, 31)
    assert sorted(view.position(number).ahead for number in [*range(1, 31), late]) == list(range(31))


async def test_entries_stay_when_the_opening_moves(lobby: Lobby) -> None:
    numbers = await lobby.enter(*range(100))
    opens_ms = (await lobby.record()).opens_ms + 60 * MINUTE_MS
    moved = await lobby.room.scripts.schedule(EVENT, Schedule(opens_ms=opens_ms, version=2), lobby.room.clock.redis_ms)
    assert moved.status is ScheduleStatus.changed
    lobby.room.clock.pass_ms(LOBBY_MS + DRAW_MS)
    assert await lobby.tick() is RoomState.lobby
    assert (await lobby.record()).draw is DrawStage.ahead
    assert await lobby.enter(*range(101)) == [*numbers, 101]
    lobby.room.clock.pass_ms(60 * MINUTE_MS)
    await lobby.tick()
    await lobby.draw()
    assert (await lobby.record()).drawn == 101


async def test_an_admin_who_opens_early_begins_the_draw(lobby: Lobby) -> None:
    await lobby.enter(*range(10))
    await lobby.room.scripts.change(EVENT, {"state": "open"}, lobby.room.clock.redis_ms)
    assert await lobby.tick() is RoomState.lobby
    await lobby.enter(10)
    lobby.room.clock.pass_ms(DRAW_MS)
    await lobby.tick()
    await lobby.draw()
    record = await lobby.record()
    assert (record.state, record.drawn) == (RoomState.open, 11)


async def test_a_lobby_without_a_draw_keeps_the_order_of_arrival(redis: Redis, ledger: Database) -> None:
    lobby = await made(redis, ledger, random.Random(1).randbytes, opening=Opening.first)
    await lobby.enter(*range(10))
    view = await lobby.room.view()
    assert view.position(3)[:3] == (Place.lobby, 3, 10)
    lobby.room.clock.pass_ms(LOBBY_MS)
    assert await lobby.tick() is RoomState.open
    view = await lobby.room.view()
    assert [view.rank_of(number) for number in range(1, 11)] == list(range(1, 11))
    assert [view.position(number).place for number in range(2, 11)] == [Place.waiting] * 9


async def test_a_room_closed_in_the_lobby_and_opened_again_has_a_draw_of_its_own(lobby: Lobby) -> None:
    await lobby.enter(*range(10))
    await lobby.room.scripts.change(EVENT, {"state": "closed"}, lobby.room.clock.redis_ms)
    await lobby.room.scripts.change(EVENT, {"state": "open"}, lobby.room.clock.redis_ms)
    record = await lobby.record()
    assert (record.state, record.epoch, record.commitment) == (RoomState.lobby, 2, "")
    lobby.room.epoch = 2
    await lobby.commit()
    assert await lobby.enter(*range(3)) == [11, 12, 13]
    lobby.room.clock.pass_ms(DRAW_MS)
    await lobby.tick()
    await lobby.draw()
    assert sorted(await lobby.order()) == [11, 12, 13]


async def test_the_audit_knows_a_drawn_line_from_one_that_is_out_of_order(lobby: Lobby) -> None:
    numbers = await lobby.enter(*range(20))
    await lobby.room.leave(7)
    await lobby.opened()
    for _ in range(30):
        await lobby.room.seen(*numbers)
        lobby.room.clock.pass_ms(100)
        await lobby.tick()
    assert len(await lobby.room.let_in()) == 19
    assert await lobby.room.violations() == []
    await lobby.room.redis.delete(redis_keys.of_epoch(EVENT, 1, "ranks"))
    assert {each.invariant for each in await lobby.room.violations()} >= {"I3"}


@pytest.mark.parametrize("is_lost", [False, True])
async def test_the_help_desk_finds_a_drawn_buyer_without_redis(lobby: Lobby, is_lost: bool) -> None:
    """Away, or lost and not made again yet."""
    await lobby.enter(*range(20))
    await lobby.opened()
    room, last = lobby.room, (await lobby.order())[-1]
    await World(room.redis, room.db).do(hold("h", [0], holder="ann", number=last))
    if is_lost:
        await room.redis.flushall()
    async with Redis(unix_socket_path="/nowhere") as away:
        redis = room.redis if is_lost else away
        rooms = Rooms(redis, RoomScripts(redis, DRAWN))
        for rank, steps in ((20, [What.reserved]), (19, [])):
            found = await tracing.trace(rooms, room.db, EVENT, rank, lobby.now)
            assert (found.number, [step.what for step in found.steps]) == (rank, steps)
            assert not found.is_whole


async def test_a_redis_that_is_lost_between_the_last_entry_and_the_draw_still_draws_once(lobby: Lobby) -> None:
    await lobby.enter(*range(30))
    lobby.room.clock.pass_ms(LOBBY_MS + DRAW_MS)
    await lobby.tick()
    assert (await lobby.record()).draw is DrawStage.closed
    await lose_redis(lobby)
    await lobby.room.scripts.restore(EVENT, 1, [(n, holder(n - 1)) for n in range(1, 31)])
    lobby.room.clock.pass_ms(RECOVER_MS)
    assert await lobby.tick() is RoomState.lobby
    await lobby.draw()
    record, view = await lobby.record(), await lobby.room.view()
    assert (record.state, record.drawn_of) == (RoomState.open, 30)
    assert sorted(view.position(number).ahead for number in range(1, 31)) == list(range(30))


async def test_the_help_desk_finds_a_buyer_by_the_number_that_they_see(lobby: Lobby) -> None:
    await lobby.enter(*range(20))
    await lobby.opened()
    room, now = lobby.room, datetime.fromtimestamp(lobby.room.clock.redis_ms / 1000, UTC)
    last = (await lobby.order())[-1]
    await room.leave(last)
    for rank, standing in ((20, Standing.left), (19, Standing.waiting)):
        found = await tracing.trace(Rooms(room.redis, room.scripts), room.db, EVENT, rank, now)
        assert (found.number, found.standing) == (rank, standing)


@pytest.mark.parametrize(("number", "stage"), [(3, DrawStage.done), (0, DrawStage.ahead)])
async def test_a_paused_line_that_is_lost_keeps_its_order(
    redis: Redis, ledger: Database, number: int, stage: DrawStage
) -> None:
    """Nobody in it was to be drawn: it had opened without a draw. Where nobody had come yet, its opening is ahead."""
    room = Room(redis, ledger)
    await room.make()
    await rooms.set_config(ledger, EVENT, {"state": "paused"})
    row = await rooms.get(ledger, EVENT)
    assert row is not None
    marks: dict[str, Any] = {"event_id": EVENT, "epoch": row.epoch, "generation": row.generation, "revision": 1}
    await rooms.store_marks(ledger, [RoomMarks(**marks, number=number, cursor=0)])
    await redis.flushall()
    now = at(room.clock.redis_ms)
    window = Window(event_id=EVENT, version=1, opens_at=now - timedelta(hours=1), closes_at=FAR, cancelled=False)
    await sync_room_with_sale(room.scripts, ledger, window, now)
    record = await read_record(redis, EVENT)
    assert record is not None
    assert record.draw is stage
