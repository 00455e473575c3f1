"""Whoever finds rate and capacity free and nobody before them is let in by the step that gives their number.

By the rule that holds for ticks: a window has no more than rate and burst, nobody present is passed over.
"""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from app.ledger.database import Database
from app.room.entering import Entered, enter
from app.room.joiner import Joiner
from app.room.person import Person, StraightIn
from app.room.scripts import TickCall
from tests.room.room import EVENT, Room

PASS_S = 90


async def full(redis: Redis, ledger: Database, **given: Any) -> Room:
    """A room whose bucket is full."""
    room = await Room(redis, ledger).make(**{"max_active": 100, **given})
    await room.tick(60_000)
    return room


async def asked(room: Room, *holders: str, call: TickCall | None = None, **how: Any) -> Entered:
    """By a process that has not seen any time pass, unless `call` says so."""
    people = [Person(holder, **how) for holder in holders]
    given = call or TickCall(EVENT, 1, 0.0)
    return await enter(room.scripts, given, people, room.clock.redis_ms, made_in=0, pass_s=PASS_S)


async def let_in(room: Room, *holders: str) -> list[int]:
    return (await asked(room, *holders)).numbers


async def test_who_comes_has_a_number_an_admission_and_a_pass_at_once(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=1.0, burst=3)
    before = len(await room.log())
    entered = await asked(room, "anna", "bert")
    assert (entered.numbers, entered.expires_ms) == ([1, 2], room.clock.redis_ms + PASS_S * 1000)
    entries = [entry for _, entry in (await room.log())[before:]]
    assert [(entry[b"k"], entry[b"n"]) for entry in entries] == [(b"admit", b"2"), (b"claim", b"1,2")]
    view = await room.view()
    assert (view.cursor, view.number, sorted(view.active), len(view.admitted)) == (2, 2, [1, 2], 0)
    assert await room.claim(1, "anna") == ("claimed", entered.expires_ms), "as who had waited for it"
    assert await room.violations() == []


async def test_the_log_tells_a_view_the_same_as_a_snapshot(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=1.0, burst=3)
    followed = await room.view()
    await let_in(room, "anna", "bert")
    for log_id, entry in await room.log():
        assert followed.apply(log_id, entry)
    fresh = await room.view()
    assert (followed.cursor, followed.number, followed.active) == (fresh.cursor, fresh.number, fresh.active)


async def test_no_more_go_straight_in_than_the_bucket_has(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=1.0, burst=3)
    assert await let_in(room, *"abcde") == [1, 2, 3, 0, 0]
    assert await let_in(room, "d") == [0], "asking again makes no token"
    await room.join("d")
    assert (await room.tick(1_000)).admitted == 1


async def test_after_a_quiet_hour_there_is_one_burst_and_not_two(redis: Redis, ledger: Database) -> None:
    """The bucket of a quiet room is not written: the time in which it was full is worth nothing."""
    room = await full(redis, ledger, rate_per_s=1.0, burst=3)
    ticker = room.ticker()
    await ticker.tick()
    room.clock.pass_ms(3_600_000)
    assert await let_in(room, *"abcde") == [1, 2, 3, 0, 0]
    await room.join("d", "e")
    room.clock.pass_ms(100)
    assert (await ticker.tick()).admitted == 0
    assert await room.violations() == []


async def test_no_more_go_straight_in_than_there_is_room_for(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=100.0, burst=100, max_active=2)
    assert await let_in(room, *"abc") == [1, 2, 0]
    assert await let_in(room, "c") == [0]


async def test_nobody_goes_before_who_waits(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=100.0, burst=100)
    await room.join("anna")
    assert await let_in(room, "bert") == [0]
    assert (await room.tick(1_000)).admitted == 1
    assert await let_in(room, "bert") == [2]


async def test_nobody_goes_before_who_was_passed_over_and_came_back(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=100.0, burst=5)
    await room.join("anna", "bert")
    await room.listened(240_000)
    await room.seen(2)
    await room.tick(1_000)
    assert (await room.let_in(), await room.seen(1)) == ([2], 1)
    assert await let_in(room, "carl") == [0]
    await room.leave(1, "anna")
    assert await let_in(room, "carl") == [3]


async def test_who_has_a_place_keeps_it(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=100.0, burst=100)
    assert await let_in(room, "anna", "anna") == [1, 0]
    assert await let_in(room, "anna") == [0]
    await room.leave(1, "anna")
    assert await let_in(room, "anna") == [2], "that visit is over"


@pytest.mark.parametrize("state", ["paused", "draining", "closed"])
async def test_only_an_open_room_lets_people_straight_in(redis: Redis, ledger: Database, state: str) -> None:
    room = await full(redis, ledger, rate_per_s=100.0, burst=100)
    await room.change(state=state)
    assert await let_in(room, "anna") == [0]
    assert await room.field("number") == 0


async def test_numbers_end_at_their_bound(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=1000.0, burst=100, bound=2)
    assert await let_in(room, *"abc") == [1, 2, 0]


async def test_a_share_of_an_address_is_a_share_of_places_whichever_way_they_are_taken(
    redis: Redis, ledger: Database
) -> None:
    room = await full(redis, ledger, rate_per_s=1000.0, burst=100)
    share = room.scripts.limits.share
    holders = [f"h{n}" for n in range(share + 2)]
    numbers = (await asked(room, *holders, network="192.0.2.7")).numbers
    assert numbers == [*range(1, share + 1), 0, 0]
    assert (await asked(room, "other", network="192.0.2.8")).numbers == [share + 1]
    assert (await asked(room, "proven", network="192.0.2.7", proof="sproof")).numbers == [share + 2]


async def test_time_that_the_process_saw_pass_becomes_tokens_once(redis: Redis, ledger: Database) -> None:
    """So that a flow below the rate waits for no tick."""
    room = await full(redis, ledger, rate_per_s=10.0, burst=1)
    first = await asked(room, "anna")
    room.clock.pass_ms(100)
    call = TickCall(EVENT, 1, 100.0, first.refilled_ms)
    assert (await asked(room, "bert", call=call)).numbers == [2]
    assert (await asked(room, "carl", call=call)).numbers == [0], "the same time again is worth nothing"


async def test_a_process_that_saw_no_room_of_this_making_lets_nobody_in(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=100.0, burst=100)
    made_in = (await room.view()).made_in
    people, call = [Person("anna")], TickCall(EVENT, 1, 0.0)
    old = await enter(room.scripts, call, people, room.clock.redis_ms, made_in=made_in + 1, pass_s=PASS_S)
    assert old.numbers == [0]
    assert (await asked(room, "anna", call=TickCall(EVENT, 9, 0.0))).numbers == [0], "nor of another epoch"


async def test_of_a_batch_those_go_in_who_asked_for_it_and_the_others_join(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=1.0, burst=2)
    joiner = Joiner(room.scripts)
    straight = [StraightIn(PASS_S) for _ in range(3)]
    plain = joiner.join(EVENT, 1, "plain", "")
    futures = [joiner.join(EVENT, 1, f"h{n}", "", straight=each) for n, each in enumerate(straight, 1)]
    numbers = [(await each)[1].number for each in (*futures, plain)]
    assert numbers == [1, 2, 4, 3]
    assert [each.expires_ms > 0 for each in straight] == [True, True, False]
    await joiner.close()
    assert joiner.answers == {(EVENT, "straight_in"): 2, (EVENT, "joined"): 2}
    assert await room.violations() == []


async def test_redis_s_clock_lets_nobody_in_by_being_set_forward(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=1.0, burst=3)
    assert await let_in(room, *"abc") == [1, 2, 3]
    room.clock.wrong_by_ms = 60_000
    assert await let_in(room, "d") == [0]


async def test_whoever_is_not_waited_for_any_more_takes_no_place(redis: Redis, ledger: Database) -> None:
    room = await full(redis, ledger, rate_per_s=1.0, burst=2)
    joiner = Joiner(room.scripts)
    given_up = joiner.join(EVENT, 1, "gone", "", straight=StraightIn(PASS_S, or_nothing=True))
    given_up.cancel()
    other = joiner.join(EVENT, 1, "here", "", straight=StraightIn(PASS_S, or_nothing=True))
    assert (await other)[1].number == 1
    await joiner.close()
