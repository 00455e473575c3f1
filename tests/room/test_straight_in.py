"""Whoever finds rate and capacity free and nobody before them is let in by the step that gives their place.

By the rule that holds for ticks: a window has no more than rate and burst, nobody present is passed over.
"""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from app.ledger.database import Database
from app.room.answers import Claimed
from app.room.joiner import Joiner
from app.room.person import StraightIn
from app.room.scripts import TickCall
from tests.room.room import EVENT, Room, Ticker

PASS_S = 90


async def full(redis: Redis, ledger: Database, **given: Any) -> Room:
    """A room whose bucket is full."""
    room = await Room(redis, ledger).make(**given)
    await room.tick(60_000)
    return room


async def let_in(room: Room, *numbers: int) -> list[str]:
    """What each of these numbers is answered that asks to go straight in."""
    return [each.status.value for each in await asked(room, [(number, f"h{number}") for number in numbers])]


async def asked(room: Room, places: list[tuple[int, str]]) -> list[Claimed]:
    """By a process that has not seen any time pass."""
    call = TickCall(EVENT, 1, 0.0)
    answers, _ = await room.scripts.let_in(call, places, room.clock.redis_ms, made_in=0, pass_s=PASS_S)
    return answers


async def test_who_is_next_is_let_in_and_has_a_pass_at_once(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=1.0, burst=3, max_active=10)
    await room.crowd(1)
    places = [(1, "h1")]
    (answer,) = await asked(room, places)
    assert answer == Claimed("claimed", room.clock.redis_ms + PASS_S * 1000)  # type: ignore[arg-type]
    assert [entry[b"k"] for _, entry in await room.log()][-2:] == [b"admit", b"claim"]
    room.clock.pass_ms(5)
    assert await asked(room, places) == [answer]


async def test_no_more_go_straight_in_than_the_bucket_has(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=1.0, burst=3, max_active=10)
    await room.crowd(5)
    assert await let_in(room, 1, 2, 3, 4, 5) == ["claimed"] * 3 + ["waiting"] * 2
    assert await let_in(room, 4) == ["waiting"], "asking again makes no token"
    assert (await room.tick(1_000)).admitted == 1


async def test_after_a_quiet_hour_there_is_one_burst_and_not_two(redis: Redis, ledger: Database) -> None:
    """The bucket of a quiet room is not written: the time in which it was full is worth nothing."""
    room = await full(redis, ledger, rate_per_s=1.0, burst=3, max_active=100)
    ticker = Ticker(room)
    await ticker.tick()
    room.clock.pass_ms(3_600_000)
    await room.crowd(10)
    assert (await let_in(room, *range(1, 11))).count("claimed") == 3
    room.clock.pass_ms(100)
    assert (await ticker.tick()).admitted == 0
    assert (await let_in(room, *range(4, 11))).count("claimed") == 0


async def test_no_more_go_straight_in_than_there_is_room_for(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=100.0, burst=100, max_active=2)
    await room.crowd(3)
    assert await let_in(room, 1, 2, 3) == ["claimed", "claimed", "waiting"]


async def test_nobody_goes_before_who_waits(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=1.0, burst=1, max_active=10)
    await room.crowd(3)
    assert await let_in(room, 3) == ["waiting"], "the step let the first one in, not the one who asked"
    assert await let_in(room, 1) == ["claimed"]


@pytest.mark.parametrize("state", ["paused", "closed"])
async def test_a_room_that_lets_nobody_in_lets_nobody_straight_in(redis: Redis, ledger: Database, state: str) -> None:
    room = await full(redis, ledger, rate_per_s=100.0, burst=100)
    await room.crowd(1)
    await room.change(state=state)
    assert (await let_in(room, 1)) in (["waiting"], ["closed"])


async def test_nobody_goes_in_on_another_s_place(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=100.0, burst=100)
    await room.crowd(2)
    places = [(1, "h2"), (2, "h2")]
    answers = await asked(room, places)
    assert [each.status.value for each in answers] == ["taken", "claimed"]


async def test_a_batch_of_joins_lets_those_in_who_asked_for_it(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=1.0, burst=2, max_active=10)
    joiner = Joiner(room.scripts)
    straight = [StraightIn(PASS_S) for _ in range(3)]
    futures = [joiner.join(EVENT, 1, f"h{n}", "", straight=each) for n, each in enumerate(straight, 1)]
    plain = joiner.join(EVENT, 1, "plain", "")
    numbers = [(await each)[1].number for each in (*futures, plain)]
    assert numbers == [1, 2, 3, 4]
    assert [each.expires_ms > 0 for each in straight] == [True, True, False]
    await joiner.close()
    assert await room.violations() == []


async def test_time_that_the_process_saw_pass_becomes_tokens_once(redis: Redis, ledger: Database) -> None:
    """So that a flow below the rate waits for no tick."""
    room = await full(redis, ledger, rate_per_s=10.0, burst=1, max_active=100)
    await room.crowd(4)
    how: dict[str, Any] = {"made_in": 0, "pass_s": PASS_S}
    _, refilled_ms = await room.scripts.let_in(TickCall(EVENT, 1, 0.0), [(1, "h1")], room.clock.redis_ms, **how)
    room.clock.pass_ms(100)
    call = TickCall(EVENT, 1, 100.0, refilled_ms)
    (second,), _ = await room.scripts.let_in(call, [(2, "h2")], room.clock.redis_ms, **how)
    assert second.status == "claimed"
    (third,), _ = await room.scripts.let_in(call, [(3, "h3")], room.clock.redis_ms, **how)
    assert third.status == "waiting", "the same time again is worth nothing"
