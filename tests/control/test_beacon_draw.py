"""A round of a public beacon in the draw: named before entries close, taken once by all, and missed aloud."""

from __future__ import annotations

import random

import pytest
from redis.asyncio import Redis

from app.control.opening_draw import BEACON_WAIT_MS, ROUND_AFTER_MS, Drawn, prepare
from app.control.sale_schedule import RECOVER_MS
from app.domain import draw
from app.domain.beacon import randomness_of
from app.domain.line import DrawStage, RoomState
from app.ledger import draws
from app.ledger.database import Database
from app.room.record import Schedule
from tests.control.beacons import CHAIN, KnownRounds, sign
from tests.control.lobby import DRAW_MS, LOBBY_MS, MINUTE_MS, Lobby, lose_redis, made
from tests.room.room import EVENT

PEOPLE = range(20)


@pytest.fixture
async def lobby(redis: Redis, ledger: Database) -> Lobby:
    return await made(redis, ledger, random.Random(1).randbytes, KnownRounds())


def beacon_of(lobby: Lobby) -> KnownRounds:
    assert isinstance(lobby.beacon, KnownRounds)
    return lobby.beacon


async def named(lobby: Lobby) -> int:
    found = (await lobby.row()).round
    assert found is not None
    return found


async def close(lobby: Lobby) -> None:
    """Entries close, and their root is fixed."""
    lobby.room.clock.pass_ms(LOBBY_MS + DRAW_MS)
    assert await lobby.tick() is RoomState.lobby
    assert (await lobby.record()).draw is DrawStage.closed
    assert await lobby.draw() is None


async def reach_round(lobby: Lobby, *, later_ms: int = 0) -> int:
    """The named round is signed."""
    round_number = await named(lobby)
    lobby.room.clock.pass_ms(CHAIN.time_ms(round_number) - lobby.room.clock.redis_ms + later_ms)
    return round_number


async def order_with(lobby: Lobby, signature: bytes) -> list[int]:
    row = await lobby.row()
    assert row.root is not None
    return draw.order_of(draw.key_of(row.seed, row.root, randomness_of(signature)), len(PEOPLE)).tolist()


async def test_the_round_is_named_before_anybody_enters_and_comes_after_the_last(lobby: Lobby) -> None:
    record = await lobby.record()
    assert record.commitment
    closes_ms = record.opens_ms + DRAW_MS
    assert await named(lobby) == record.beacon_round == CHAIN.round_from(closes_ms + ROUND_AFTER_MS)
    assert record.beacon_for_ms == closes_ms


async def test_the_order_follows_from_the_round_that_was_named(lobby: Lobby) -> None:
    await lobby.enter(*PEOPLE)
    await close(lobby)
    before = await lobby.row()
    assert (before.signature, before.drawn_at) == (None, None)
    assert before.root is not None
    round_number = await reach_round(lobby)
    beacon_of(lobby).signatures[round_number] = sign(round_number)
    assert await lobby.draw() is Drawn.beacon
    row = await lobby.row()
    assert (row.round, row.root, row.signature) == (round_number, before.root, sign(round_number))
    assert await lobby.order() == await order_with(lobby, sign(round_number))
    assert await lobby.order() != await order_with(lobby, b"")


async def test_nothing_is_drawn_before_the_round_is_there(lobby: Lobby) -> None:
    await lobby.enter(*PEOPLE)
    await close(lobby)
    assert beacon_of(lobby).asked == []
    round_number = await reach_round(lobby, later_ms=BEACON_WAIT_MS - 1)
    assert await lobby.draw() is None
    assert beacon_of(lobby).asked == [round_number]
    assert (await lobby.record()).state is RoomState.lobby


async def test_a_draw_whose_beacon_is_gone_goes_on_without_it_and_says_so(lobby: Lobby) -> None:
    await lobby.enter(*PEOPLE)
    await close(lobby)
    await reach_round(lobby, later_ms=BEACON_WAIT_MS)
    assert await lobby.draw() is Drawn.beacon_missed
    row = await lobby.row()
    assert (row.signature, row.drawn_at is None) == (b"", False)
    assert await lobby.order() == await order_with(lobby, b"")
    assert (await lobby.record()).state is RoomState.open


async def test_all_workers_take_what_the_first_one_took(lobby: Lobby) -> None:
    """One that cannot reach the beacon gives it up; another one hears it a moment later, in the same draw."""
    await lobby.enter(*PEOPLE)
    await close(lobby)
    round_number = await reach_round(lobby, later_ms=BEACON_WAIT_MS)
    given_up = await draws.take(lobby.room.db, await lobby.row(), b"")
    assert (await draws.take(lobby.room.db, await lobby.row(), sign(round_number))).signature == b""
    beacon_of(lobby).signatures[round_number] = sign(round_number)
    assert await lobby.draw() is Drawn.beacon_missed
    assert (await lobby.row()).root == given_up.root
    assert await lobby.order() == await order_with(lobby, b"")


@pytest.mark.parametrize("by_ms", [60 * MINUTE_MS, -LOBBY_MS // 2])
async def test_when_the_opening_moves_another_round_is_named_before_entries_close(lobby: Lobby, by_ms: int) -> None:
    await lobby.enter(*PEOPLE)
    first, clock = await named(lobby), lobby.room.clock
    opens_ms = (await lobby.record()).opens_ms + by_ms
    await lobby.room.scripts.schedule(EVENT, Schedule(opens_ms=opens_ms, version=2), clock.redis_ms)
    clock.pass_ms(opens_ms + DRAW_MS - clock.redis_ms)
    assert await lobby.tick() is RoomState.lobby
    assert (await lobby.record()).draw is DrawStage.ahead, "closed although the round is another opening's"
    await lobby.commit()
    again = await named(lobby)
    assert again != first
    assert CHAIN.time_ms(again) > clock.redis_ms
    await lobby.tick()
    assert (await lobby.record()).draw is DrawStage.closed


async def test_an_admin_who_opens_early_has_another_round_named(lobby: Lobby) -> None:
    await lobby.enter(*PEOPLE)
    first = await named(lobby)
    await lobby.room.scripts.change(EVENT, {"state": "open"}, lobby.room.clock.redis_ms)
    lobby.room.clock.pass_ms(DRAW_MS)
    await lobby.tick()
    assert (await lobby.record()).draw is DrawStage.ahead
    await lobby.commit()
    await lobby.tick()
    assert (await lobby.record()).draw is DrawStage.closed
    assert await named(lobby) < first


async def test_entries_do_not_close_once_the_round_is_known(lobby: Lobby) -> None:
    """Every worker was away at the opening: whoever knows the round could choose who else enters."""
    await lobby.enter(*PEOPLE)
    first = await reach_round(lobby)
    await lobby.tick()
    assert (await lobby.record()).draw is DrawStage.ahead
    await lobby.commit()
    assert await named(lobby) > first
    await lobby.tick()
    assert (await lobby.record()).draw is DrawStage.closed


async def test_a_round_is_not_named_again_once_entries_are_closed(lobby: Lobby) -> None:
    await lobby.enter(*PEOPLE)
    stale = await lobby.record()
    await close(lobby)
    first = await reach_round(lobby)
    await prepare(lobby.room.scripts, lobby.room.db, EVENT, stale, lobby.dice, lobby.beacon, lobby.now)
    assert (await lobby.record()).beacon_round == await named(lobby) == first


async def test_a_redis_that_is_lost_while_the_round_is_awaited_changes_nothing(lobby: Lobby) -> None:
    numbers = await lobby.enter(*PEOPLE)
    await close(lobby)
    before = await lobby.row()
    await lose_redis(lobby)
    record = await lobby.record()
    assert (record.draw, record.entries) == (DrawStage.closed, len(PEOPLE))
    lobby.room.clock.pass_ms(RECOVER_MS)
    assert await lobby.tick() is RoomState.lobby
    round_number = before.round or 0
    beacon_of(lobby).signatures[round_number] = sign(round_number)
    assert await lobby.draw() is Drawn.beacon
    row = await lobby.row()
    assert (row.root, row.round) == (before.root, round_number)
    assert await lobby.order() == await order_with(lobby, sign(round_number))
    assert sorted(await lobby.order()) == numbers


async def test_a_redis_that_is_lost_in_the_lobby_names_a_round_before_entries_close(lobby: Lobby) -> None:
    await lobby.enter(*PEOPLE)
    await lose_redis(lobby)
    lobby.room.clock.pass_ms(RECOVER_MS + LOBBY_MS + DRAW_MS)
    await lobby.tick()
    assert (await lobby.record()).draw is DrawStage.ahead
    await lobby.commit()
    await lobby.tick()
    record = await lobby.record()
    assert record.draw is DrawStage.closed
    assert CHAIN.time_ms(record.beacon_round) > lobby.room.clock.redis_ms
