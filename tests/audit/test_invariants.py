"""A check that cannot fail proves nothing: each invariant is broken by hand here, and found."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from sqlalchemy import text

from app import redis_keys
from app.audit import invariants
from app.audit.line_replay import Entry, Violation, rate_violations, replay
from app.ledger.database import Database
from app.payments.providers.simulator import Simulator
from tests.lane.world import EVENT, HOLD_FOR, World, hold, make_world
from tests.payments.shop import Shop
from tests.room.room import BIRTH, Room

pytestmark = pytest.mark.both_databases

LogFields = dict[str, object]
rates = st.sampled_from([0.5, 1.0, 3.3, 50.0])
admissions = st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 8)), max_size=12)


@pytest.fixture
async def room(redis: Redis, ledger: Database) -> Room:
    room = await Room(redis, ledger).make()
    await room.crowd(20)
    await room.tick()
    await room.claim(1)
    await room.leave(2)
    assert await room.violations() == []
    return room


@pytest.fixture
async def world(redis: Redis, ledger: Database) -> World:
    world = await make_world(redis, ledger)
    ann, _ = await world.do(hold("a", [0, 1], number=1), hold("b", [2], holder="bob", number=2))
    assert ann.reservation is not None
    shop = Shop(world)
    await shop.pay(await shop.reservation(ann.reservation.id))
    assert await invariants.check(redis, ledger, EVENT, world.time.at, providers_of(world)) == []
    return world


def providers_of(world: World) -> list[Simulator]:
    return [Shop(world).simulator()]


def broken(violations: list[Violation]) -> set[str]:
    return {violation.invariant for violation in violations}


async def set_holder(room: Room, holder: str, number: int) -> None:
    await room.redis.hset(redis_keys.of_epoch(EVENT, 1, "holders:0"), holder, str(number))  # type: ignore[misc]


async def test_a_number_held_twice_is_found(room: Room) -> None:
    await set_holder(room, "thief", 7)
    assert broken(await room.violations()) == {"I1"}


async def test_a_number_that_was_never_given_is_found(room: Room) -> None:
    await set_holder(room, "forger", 21)
    assert broken(await room.violations()) == {"I1"}


@pytest.mark.parametrize(("field", "value"), [("bound", 19), ("cursor", 21), ("bound", 5_000), ("opened_after", 6)])
async def test_counts_that_contradict_each_other_are_found(room: Room, field: str, value: int) -> None:
    await room.redis.hset(redis_keys.room(EVENT), field, str(value))  # type: ignore[misc]  # redis-py types it for both clients
    assert "I1" in broken(await room.violations())


async def test_a_holder_with_two_places_is_found(room: Room) -> None:
    """One entry per holder is all that Redis has: who was given a second number left the first without an owner."""
    await room.redis.hset(redis_keys.room(EVENT), "number", "21")  # type: ignore[misc]
    for bucket in range(1024):
        name = redis_keys.of_epoch(EVENT, 1, f"holders:{bucket}")
        if await room.redis.hexists(name, "h9"):  # type: ignore[misc]
            await room.redis.hset(name, "h9", "21")  # type: ignore[misc]
    assert broken(await room.violations()) == {"I2"}


@pytest.mark.parametrize("name", ["strange", "holders", "2:gone:old"])
async def test_a_key_that_would_stay_for_ever_is_found(room: Room, name: str) -> None:
    stray = f"tiketi:{{{EVENT}}}:{name}"
    await room.redis.set(stray, 1)
    assert broken(await room.violations()) == {"I10"}
    await room.redis.expire(stray, 60)
    assert await room.violations() == []


@pytest.mark.parametrize(
    "stray",
    [
        "tiketi:strange",
        f"{redis_keys.LIMITS_PREFIX}login:x",
        "tiketi:{lost}:1:seen:3",
        "arq:job:x",
        f"{redis_keys.ARQ_JOBS}:other",
    ],
)
async def test_a_key_of_no_event_that_would_stay_for_ever_is_found(room: Room, ledger: Database, stray: str) -> None:
    await room.redis.zadd(redis_keys.ARQ_JOBS, {"allocate:gig:1": 1})
    await room.redis.set(redis_keys.NOTICES, 1)
    assert await invariants.check_all(room.redis, ledger) == {}
    await room.redis.set(stray, 1)
    found = await invariants.check_all(room.redis, ledger)
    assert found == {invariants.NO_EVENT: [Violation("I10", f"{stray} would stay for ever")]}
    await room.redis.expire(stray, 60)
    assert await invariants.check_all(room.redis, ledger) == {}


async def test_a_key_of_a_line_that_is_over_is_found(room: Room) -> None:
    await room.redis.hset(redis_keys.room(EVENT), "retired", "1")  # type: ignore[misc]
    assert broken(await room.violations()) == {"I10"}


SEATS = {
    "a held seat is free": ("UPDATE seats SET status='available' WHERE idx=2", {"I5"}),
    "a sold seat is held": ("UPDATE seats SET status='held' WHERE idx=0", {"I5"}),
    "a free seat is sold": ("UPDATE seats SET status='sold' WHERE idx=5", {"I5"}),
    "a free seat is held": ("UPDATE seats SET status='held' WHERE idx=5", {"I5", "I6"}),
    "a live reservation lost a seat": ("UPDATE reservation_seats SET live = false WHERE idx=1", {"I5"}),
    "a dead reservation keeps its seat": ("UPDATE reservations SET status='expired' WHERE holder='bob'", {"I5"}),
    "a grade counts one too many": ("UPDATE grades SET sold = sold + 1 WHERE name='R'", {"I5"}),
    "money for a hold": ("UPDATE reservations SET status='pending' WHERE holder='ann'", {"I5", "I7"}),
    "seats for nothing": ("DELETE FROM payments", {"I7"}),
}


@pytest.mark.parametrize("what", SEATS)
async def test_seats_holds_and_money_that_disagree_are_found(world: World, what: str) -> None:
    statement, rules = SEATS[what]
    async with world.db.write() as tx:
        assert (await tx.execute(text(statement))).rowcount == 1
    assert broken(await invariants.check(world.redis, world.db, EVENT, world.time.at, providers_of(world))) == rules


async def test_a_seat_reserved_twice_is_found(world: World) -> None:
    async with world.db.write() as tx:
        await tx.execute(text("DROP INDEX reservation_seats_live"))
        await tx.execute(text("UPDATE reservation_seats SET idx=0 WHERE idx=2"))
    found = await invariants.check(world.redis, world.db, EVENT, world.time.at, providers_of(world))
    assert "seat 0 has 2 live reservations" in [violation.detail for violation in found]


async def test_a_hold_that_did_not_end_is_found_a_second_after_its_time(world: World) -> None:
    end = world.time.at + HOLD_FOR
    for late, rules in ((0, set()), (1, set()), (1.001, {"I6"})):
        now = end + timedelta(seconds=late)
        assert broken(await invariants.check(world.redis, world.db, EVENT, now, providers_of(world))) == rules


async def test_all_rooms_are_checked_and_only_broken_ones_are_told(world: World) -> None:
    assert await invariants.check_all(world.redis, world.db, world.time.at, providers_of(world)) == {}
    late = await invariants.check_all(world.redis, world.db, world.time.at + 2 * HOLD_FOR, providers_of(world))
    assert {event_id: broken(found) for event_id, found in late.items()} == {EVENT: {"I6"}}


async def test_thousands_of_one_kind_are_shown_as_a_few(room: Room) -> None:
    await room.scripts.reserve(EVENT, BIRTH.bound)
    await room.redis.hset(redis_keys.room(EVENT), "number", "900")  # type: ignore[misc]
    found = await room.violations()
    assert len(found) == invariants.SHOWN_MAX + 1
    assert found[-1] == Violation("I2", f"and {880 - invariants.SHOWN_MAX} more")


def log(*entries: LogFields) -> list[tuple[bytes, Entry]]:
    """A room log that begins with a room at 10 a second, burst 5, two places inside."""
    begin = {"k": "config", "t": 0, "epoch": 1, "c": 0, "rate": 10, "burst": 5, "max_active": 4}
    told = [{name.encode(): str(value).encode() for name, value in entry.items()} for entry in (begin, *entries)]
    return [(b"%d-0" % at, entry) for at, entry in enumerate(told)]


def admit(at_ms: int, cursor: int, let_in: str, absent: str = "") -> LogFields:
    return {"k": "admit", "t": at_ms, "c": cursor, "a": let_in, "s": absent}


def left(number: int) -> LogFields:
    return {"k": "left", "n": number}


def made_again(kept: int, lost: int) -> LogFields:
    """After Redis lost something; of the numbers up to `lost` those up to `kept` are known."""
    room = {"epoch": 1, "c": 0, "rate": 10, "burst": 5, "max_active": 4}
    return {"k": "config", "t": 0, **room, "kept": kept, "lost": lost}


GOOD: dict[str, list[LogFields]] = {
    "in order": [admit(0, 2, "1,2"), admit(500, 4, "3,4")],
    "one left, one was absent": [left(1), admit(0, 3, "3", "2")],
    "one came back": [admit(0, 2, "2", "1"), admit(100, 3, "1,3")],
    "one was absent again": [admit(0, 2, "2", "1"), admit(100, 3, "3", "1"), admit(200, 3, "1")],
    "a turn lapsed": [admit(0, 4, "1,2,3,4"), {"k": "lapse", "l": "1,2"}, admit(500, 6, "5,6")],
    "lost and back": [
        {"k": "config", "t": 0, "epoch": 2, "c": 3, "rate": 10, "burst": 5, "max_active": 4, "lost": 6},
        {"k": "back", "b": "2,5", "l": ""},
        admit(0, 7, "2,5,7"),
    ],
    "lost twice": [
        made_again(kept=2, lost=6),
        {"k": "back", "b": "4", "l": ""},
        made_again(kept=6, lost=9),
        admit(0, 10, "1,2,4,10"),
    ],
    "a new epoch": [
        admit(0, 2, "1,2"),
        {"k": "config", "t": 0, "epoch": 2, "c": 9, "rate": 10, "burst": 5, "max_active": 4},
        admit(300, 10, "10"),
    ],
}
BAD: dict[str, tuple[list[LogFields], str]] = {
    "passed over": ([admit(0, 3, "1,3")], "I3"),
    "let in twice": ([admit(0, 2, "1,2"), admit(0, 3, "2,3")], "I3"),
    "let in after leaving": ([left(1), admit(0, 1, "1")], "I3"),
    "let in after its turn ended": ([admit(0, 1, "1"), {"k": "lapse", "l": "1"}, admit(0, 1, "1")], "I3"),
    "let in though lost": (
        [
            {"k": "config", "t": 0, "epoch": 2, "c": 3, "rate": 10, "burst": 5, "max_active": 4, "lost": 6},
            admit(0, 4, "4"),
        ],
        "I3",
    ),
    "let in though lost before what was lost last": (
        [made_again(kept=2, lost=6), made_again(kept=6, lost=9), admit(0, 3, "1,2,3")],
        "I3",
    ),
    "who came back after a higher number": ([admit(0, 2, "2", "1"), admit(100, 3, "3,1")], "I3"),
    "out of order": ([admit(0, 2, "2,1")], "I3"),
    "the cursor back": ([admit(0, 2, "1,2"), admit(0, 1, "")], "I3"),
    "too many inside": ([admit(0, 4, "1,2,3,4"), admit(1_000, 5, "5")], "I4"),
    "too many at once": ([admit(0, 4, "1,2,3,4"), left(1), left(2), admit(99, 6, "5,6")], "I4"),
}


@pytest.mark.parametrize("what", GOOD)
def test_a_log_in_which_all_went_well_is_clean(what: str) -> None:
    assert replay(log(*GOOD[what])) == []


@pytest.mark.parametrize("what", BAD)
def test_a_log_in_which_something_went_wrong_says_so(what: str) -> None:
    entries, rule = BAD[what]
    assert broken(replay(log(*entries))) == {rule}


def test_a_log_that_was_cut_is_judged_from_where_it_begins() -> None:
    entries = log(admit(0, 4, "1,2,3,4"), left(1), left(2), admit(400, 5, "5"), admit(500, 9, "9", "6,7,8"))
    for cut in range(len(entries)):
        assert replay(entries[cut:]) == [], cut
    assert broken(replay([*entries[4:], *log(admit(600, 12, "12"))[1:]])) == {"I3"}


def test_a_rate_that_was_changed_holds_from_then_on() -> None:
    slower = {"k": "config", "t": 1_000, "epoch": 1, "c": 0, "rate": 1, "burst": 1, "max_active": 99}
    assert replay(log(admit(0, 4, "1,2,3,4"), slower, admit(1_000, 5, "5"), admit(2_000, 6, "6"))) == []
    assert broken(replay(log(slower, admit(1_000, 1, "1"), admit(1_900, 2, "2")))) == {"I4"}


def due(entry: LogFields, first_ms: float, every_ms: float) -> LogFields:
    return {**entry, "f": first_ms, "e": every_ms}


@pytest.mark.parametrize(
    ("first_ms", "every_ms", "is_broken"),
    [
        (200, 100, False),  # late, each at the moment of their own token
        (100, 100, True),  # one of them at a moment that was let in for already
        (200, 50, True),  # faster than the rate
        (250, 100, True),  # before they are due
        (0, 10, True),  # for a time long past
    ],
)
def test_everybody_counts_at_the_moment_they_were_due(first_ms: float, every_ms: float, is_broken: bool) -> None:
    """Five at once, then one each tenth of a second: the next three tokens come at 200, 300 and 400."""
    begin = {"k": "config", "t": 0, "epoch": 1, "c": 0, "rate": 10, "burst": 5, "max_active": 99}
    entries = log(begin, admit(0, 5, "1,2,3,4,5"), admit(100, 6, "6"), due(admit(400, 9, "7,8,9"), first_ms, every_ms))
    assert broken(replay(entries)) == ({"I4"} if is_broken else set())


def test_due_times_may_go_back_only_with_redis_clock() -> None:
    begin = {"k": "config", "t": 0, "epoch": 1, "c": 0, "rate": 10, "burst": 1, "max_active": 99}
    again = due(admit(150, 2, "2"), 90, 0)
    assert broken(replay(log(begin, admit(100, 1, "1"), again))) == {"I4"}
    assert replay(log(begin, admit(100, 1, "1"), {**admit(80, 1, ""), "back_ms": 30}, again)) == []


@given(admissions, rates, st.integers(1, 6))
def test_the_rate_check_is_the_same_as_looking_at_every_window(
    gaps: list[tuple[int, int]], rate: float, burst: int
) -> None:
    at_ms, told = 0, []
    for gap_ms, people in gaps:
        at_ms += gap_ms
        told.append((at_ms, people))
    too_fast = any(
        sum(people for _, people in told[start:end]) > rate * (told[end - 1][0] - told[start][0]) / 1000 + burst + 1e-6
        for start in range(len(told))
        for end in range(start + 1, len(told) + 1)
    )
    assert bool(rate_violations(told, rate, burst)) == too_fast
