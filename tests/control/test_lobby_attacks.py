"""What people and admins may do to a lobby changes nobody's chances and loses nobody's entry."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from app.domain.line import DrawStage, Place, RoomState
from app.ledger.database import Database
from app.room.answers import JoinStatus, ScheduleStatus
from app.room.record import Schedule
from tests.control.lobby import DRAW_MS, DRAWN, LOBBY_MS, MINUTE_MS, Lobby, holder, made
from tests.room.room import EVENT, START_MS, Room

HOUR_MS = 60 * MINUTE_MS
CROWD = 10_000
AT_ONCE = 500


async def test_being_first_or_early_or_asking_often_gains_nothing(redis: Redis, ledger: Database) -> None:
    """The ranks of some entries over two hundred seeds of one lobby: Kolmogorov-Smirnov, p > 0.01.

    One comes ten minutes before the others, one asks hundreds of times, one comes first at the opening and one last.
    """
    dice, draws, people = random.Random(8), 200, 40
    times: dict[str, Any] = {"opens_ms": START_MS + 11 * MINUTE_MS, "lobby_ms": 15 * MINUTE_MS}
    lobby = await made(redis, ledger, dice.randbytes, **times)
    early = (await lobby.enter(0))[0]
    lobby.room.clock.pass_ms(10 * MINUTE_MS)
    often = (await lobby.enter(*[1] * 200))[0]
    others = await lobby.enter(*range(2, people), *[1] * 200)
    lobby.room.clock.pass_ms(MINUTE_MS - LOBBY_MS)
    await lobby.opened()
    row = await lobby.row()
    assert row.entries == people, "nobody has two"
    orders = [replace(row, seed=dice.randbytes(32)).order for _ in range(draws)]
    for entry in (early, often, others[0], others[people - 3]):
        ranks = sorted(order.index(entry) + 1 for order in orders if order is not None)
        assert len(ranks) == draws
        assert distance_from_even(ranks, people) < 1.63 / draws**0.5, f"entry {entry}"


def distance_from_even(ranks: list[int], people: int) -> float:
    """The greatest distance between the shares of these sorted ranks and even ones."""
    above = max(at / len(ranks) - rank / people for at, rank in enumerate(ranks, 1))
    below = max((rank - 1) / people - (at - 1) / len(ranks) for at, rank in enumerate(ranks, 1))
    return max(above, below)


def test_ranks_that_are_a_little_too_good_are_found() -> None:
    """Two hundred ranks that are even but a seventh too small: 1.63 / sqrt(200) is 0.115."""
    even = [1 + at % 40 for at in range(200)]
    assert distance_from_even(sorted(even), 40) < 0.115
    assert distance_from_even(sorted(max(1, rank * 6 // 7) for rank in even), 40) > 0.115


@pytest.mark.parametrize("stage", [DrawStage.ahead, DrawStage.closed])
async def test_a_sale_that_is_cancelled_in_the_lobby_draws_and_lets_in_nobody(
    redis: Redis, ledger: Database, stage: DrawStage
) -> None:
    lobby = await made(redis, ledger, random.Random(1).randbytes)
    numbers = await lobby.enter(*range(20))
    room, opens_ms = lobby.room, (await lobby.record()).opens_ms
    if stage is DrawStage.closed:
        room.clock.pass_ms(LOBBY_MS + DRAW_MS)
        await lobby.tick()
    assert (await lobby.record()).draw is stage
    cancelled = Schedule(opens_ms=opens_ms, version=2, cancelled=True)
    assert (await room.scripts.schedule(EVENT, cancelled, room.clock.redis_ms)).status is ScheduleStatus.changed
    room.clock.pass_ms(HOUR_MS)
    await lobby.commit()
    await lobby.tick()
    await lobby.draw()
    await room.seen(*numbers)
    room.clock.pass_ms(1_000)
    await lobby.tick()
    record, view = await lobby.record(), await room.view()
    assert (record.state, record.reason, record.message) == (RoomState.closed, "event_cancelled", "")
    assert await room.let_in() == []
    assert {view.position(number).place for number in numbers} == {Place.waiting}
    assert [each.status for each in await room.join(holder(99))] == [JoinStatus.refused]


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS])
async def test_an_opening_that_moves_by_an_hour_keeps_ten_thousand_entries(
    redis: Redis, ledger: Database, by_ms: int
) -> None:
    times: dict[str, Any] = {"opens_ms": START_MS + HOUR_MS + LOBBY_MS, "lobby_ms": 3 * HOUR_MS}
    lobby = await made(redis, ledger, random.Random(1).randbytes, bound=2 * CROWD, **times)
    await crowd(lobby)
    clock, opens_ms = lobby.room.clock, times["opens_ms"] + by_ms
    moved = await lobby.room.scripts.schedule(EVENT, Schedule(opens_ms=opens_ms, version=2), clock.redis_ms)
    assert moved.status is ScheduleStatus.changed
    assert await lobby.tick() is RoomState.lobby
    assert (await lobby.room.view()).position(7)[:3] == (Place.lobby, 7, CROWD)
    clock.pass_ms(opens_ms - LOBBY_MS - clock.redis_ms)
    assert await lobby.tick() is RoomState.lobby
    assert (await lobby.record()).draw is DrawStage.ahead, "drawn before the opening"
    assert await lobby.enter(*range(0, CROWD, 100), CROWD) == [*range(1, CROWD + 1, 100), CROWD + 1]
    await lobby.opened()
    record = await lobby.record()
    assert (record.state, record.drawn_of) == (RoomState.open, CROWD + 1)
    assert sorted(await lobby.order()) == list(range(1, CROWD + 2))


async def crowd(lobby: Lobby) -> None:
    for start in range(0, CROWD, AT_ONCE):
        await lobby.enter(*range(start, start + AT_ONCE))


@pytest.mark.parametrize(("came", "stage"), [(0, DrawStage.ahead), (1, DrawStage.done)])
async def test_an_open_line_that_is_moved_to_later_is_drawn_if_nobody_has_a_place_yet(
    redis: Redis, ledger: Database, came: int, stage: DrawStage
) -> None:
    room = await Room(redis, ledger, timing=DRAWN).make(opens_ms=START_MS - 1)
    await room.crowd(came)
    later = Schedule(opens_ms=START_MS + HOUR_MS, version=2)
    assert (await room.scripts.schedule(EVENT, later, room.clock.redis_ms)).status is ScheduleStatus.changed
    record = await Lobby(room, random.Random(1).randbytes).record()
    assert (record.state, record.draw) == (RoomState.scheduled, stage)
