"""Whatever dies, pauses, comes twice or forgets: the line keeps its order, its rate and everyone's place."""

from __future__ import annotations

import asyncio
import random

import pytest
from redis.asyncio import Redis

from app import redis_keys
from app.audit.line_replay import rate_violations
from app.domain.admission import LATE_MAX_MS
from app.domain.line import Place
from app.lane.commands import Hold, ReleasePlace, unpack_command
from app.ledger.database import Database
from app.room.scripts import RoomScripts
from tests.lane.audit import empty
from tests.lane.killing import Fuse
from tests.lane.world import START
from tests.room.killing import fused_redis, kills_survived
from tests.room.room import BURST, EVENT, RATE, TIMING, Clock, Room
from workers.admitter import Admitter
from workers.sweeper import Sweeper

WISH = '{"quantity":1}'
AT_ONCE = max(BURST, 1 + RATE * LATE_MAX_MS // 1000)  # who is due when a tick comes late is let in at one moment


class Woken:
    """Who was woken."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def __call__(self, event_id: str, entry_id: str) -> None:
        self.events.append(event_id)


async def queue_up(room: Room) -> None:
    """A line with everything in it: wishes, people who left, were absent, came back, have their turn, let it lapse."""
    await room.join("late", "lapsing", "buying")
    await room.tick()
    await room.claim(3)
    await room.change(state="paused")
    await room.join("absent", "returning")
    await room.listened(TIMING.claim_window_s * 1000 * 3)
    await room.join(*(f"w{n}" for n in range(4)), wish=WISH)
    await room.seen(6, 7, 8, 9)
    await room.crowd(4)
    await room.leave(8)
    await room.change(state="open")


async def killed_at(call: int, fuse: Fuse, room: Room, victim: Redis) -> bool:
    """Kill a worker at one of its calls while others go on; False if it had done all its work before."""
    woken = Woken()
    mortal = Admitter(RoomScripts(victim, TIMING), woken, tick_ms=100)
    other = Admitter(room.scripts, woken, tick_ms=100)
    await other.refresh()
    fuse.arm(call)
    with kills_survived():
        await mortal.refresh()
        for _ in range(3):
            room.clock.pass_ms(50)
            await mortal.tick()
    for _ in range(10):
        room.clock.pass_ms(100)
        await other.tick()
    await room.seen(5)
    for _ in range(5):
        room.clock.pass_ms(100)
        await other.tick()
    return fuse.blown


async def test_a_worker_killed_between_any_two_calls_is_missed_by_nobody(
    redis: Redis, ledger: Database, clock: Clock
) -> None:
    fuse, call, alive = Fuse(), 0, True
    async with fused_redis(redis, fuse) as victim:
        while alive:
            call += 1
            room = await Room(redis, ledger, clock=clock).make(max_active=20)
            await queue_up(room)
            alive = await killed_at(call, fuse, room, victim)
            assert await room.let_in() == [1, 2, 3, 6, 7, 9, 10, 11, 12, 13, 5], f"killed at call {call}"
            assert (await room.view()).place(1) is Place.lapsed
            commands = [unpack_command(fields[b"c"]) for _, fields in await redis.xrange(redis_keys.lane(EVENT))]
            assert [each.id for each in commands if isinstance(each, Hold)] == ["wish:1:6", "wish:1:7", "wish:1:9"]
            assert [each.number for each in commands if isinstance(each, ReleasePlace)] == [1, 2]
            assert await room.violations() == []
            await redis.flushall()
            await empty(ledger)
    assert call > 8, "the worker did less than three ticks' work"


async def test_wishes_whose_wake_up_died_with_the_worker_are_found_again(room: Room) -> None:
    woken = Woken()
    await room.join("a", wish=WISH)
    await room.seen(1)
    await room.tick()
    await Sweeper(redis=room.redis, db=room.db, wake=woken, now=lambda: START).wake_stranded()
    assert woken.events == [EVENT]


async def test_ten_seconds_at_fifty_a_second_with_a_worker_dying_half_way(room: Room) -> None:
    await room.crowd(900)
    dying, surviving = room.ticker(), room.ticker()
    admissions: list[tuple[int, int]] = []
    await dying.tick()
    await surviving.tick()
    start_ms = room.clock.steady_ms
    chance = random.Random(5)
    while room.clock.steady_ms < start_ms + 10_000:
        room.clock.pass_ms(chance.randrange(1, 100))
        dead = room.clock.steady_ms > start_ms + 5_000
        tick = await (surviving if dead else chance.choice([dying, surviving])).tick()
        admissions.append((room.clock.steady_ms, tick.admitted))
    people = sum(count for _, count in admissions)
    passed_s = (room.clock.steady_ms - start_ms) / 1000
    assert abs(people - RATE * passed_s) <= BURST
    assert rate_violations(admissions, RATE, AT_ONCE) == []
    assert await room.let_in() == list(range(1, people + 1))
    assert await room.violations() == []


async def test_two_workers_at_the_very_same_moment_share_one_allowance(room: Room) -> None:
    await room.crowd(500)
    tickers = [room.ticker() for _ in range(8)]
    for ticker in tickers:
        await ticker.tick()
    for _ in range(20):
        room.clock.pass_ms(100)
        await asyncio.gather(*(ticker.tick() for ticker in tickers))
    assert await room.let_in() == list(range(1, 2 * RATE + 1))


@pytest.mark.parametrize("pause_s", [1, 60, 7200])
async def test_a_worker_paused_for_long_brings_nothing_with_it(room: Room, pause_s: int) -> None:
    """What the others were granted meanwhile is not granted again, with Redis's clock stepping as it wakes up too."""
    everyone = await room.crowd(700)
    paused, working = room.ticker(), room.ticker()
    await paused.tick()
    admissions: list[tuple[int, int]] = []
    for step in range(60):
        room.clock.pass_ms(100 if step else pause_s * 1000)
        await room.seen(*everyone)
        room.clock.wrong_by_ms += 1_000 if step == 30 else 0
        for ticker in (paused, working) if step == 30 else (working,):
            tick = await ticker.tick()
            admissions.append((room.clock.steady_ms, tick.admitted))
    assert rate_violations(admissions, RATE, AT_ONCE) == []
    assert sum(people for _, people in admissions) >= RATE * 5


async def test_a_worker_that_slept_through_a_closing_and_an_opening_admits_by_the_new_epoch(
    room: Room, clock: Clock
) -> None:
    room.clock = clock
    worker = Admitter(room.scripts, Woken(), tick_ms=100)
    await worker.refresh()
    await room.join("of the old line")
    await room.change(state="closed")
    await room.change(state="open")
    room.epoch = 2
    await room.join("of the new line")
    for _ in range(3):
        clock.pass_ms(1000)
        await worker.tick()
    assert await room.let_in() == [2]
    assert await room.violations() == []


@pytest.mark.parametrize("step_ms", [-3_600_000, -5_000, -70, 15, 70, 5_000, 3_600_000])
async def test_a_step_of_redis_clock_grants_nothing_and_stops_nothing(room: Room, step_ms: int) -> None:
    everyone = await room.crowd(1_500)
    tickers = [room.ticker() for _ in range(3)]
    admissions: list[tuple[int, int]] = []
    for at in range(250):
        room.clock.pass_ms(37)
        if at in (100, 101, 170):
            room.clock.wrong_by_ms += step_ms if at != 101 else -step_ms
            await room.seen(*everyone)
        tick = await tickers[at % 3].tick()
        admissions.append((room.clock.steady_ms, tick.admitted))
    assert rate_violations(admissions, RATE, AT_ONCE) == []
    ticks_lost_s = 3 * 3 * 0.037  # each step may cost each worker one tick
    assert sum(people for _, people in admissions) >= RATE * (250 * 0.037 - ticks_lost_s) - BURST


@pytest.mark.parametrize("late_ms", [5, 150, 700])
async def test_a_call_that_reaches_redis_late_lets_nobody_in_too_early_and_costs_nothing(
    room: Room, late_ms: int
) -> None:
    """A slow disk or a slow network: many calls are held up and then come at once, first with nobody waiting."""
    tickers = [room.ticker() for _ in range(2)]
    admissions: list[tuple[int, int]] = []
    for at in range(300):
        room.clock.pass_ms(40)
        if at == 50:
            await room.crowd(900)
            start_ms = room.clock.steady_ms
        tick = await tickers[at % 2].tick(reaches_redis_after_ms=late_ms if at % 25 == 0 else 0)
        admissions.append((room.clock.steady_ms, tick.admitted))
    assert rate_violations([each for each in admissions if each[1]], RATE, AT_ONCE) == []
    passed_s = (room.clock.steady_ms - start_ms) / 1000
    more_than_burst_keeps_s = 10 * max(0, (late_ms + 80) / 1000 - (BURST - 1) / RATE)
    assert sum(people for _, people in admissions) >= RATE * (passed_s - more_than_burst_keeps_s) - BURST


async def test_a_new_worker_grants_no_time_it_has_not_seen(room: Room) -> None:
    """Nobody ticked for an hour, or Redis's clock is an hour ahead: nobody can tell, so it is worth nothing."""
    await room.crowd(100)
    room.clock.pass_ms(3_600_000)
    await room.seen(*range(1, 101))
    worker = room.ticker()
    assert (await worker.tick()).admitted == 0
    room.clock.pass_ms(100)
    assert (await worker.tick()).admitted == RATE / 10


async def test_a_hundred_contenders_for_one_place_get_one_place(room: Room) -> None:
    joins = await asyncio.gather(*(room.join("same") for _ in range(100)))
    assert sorted(each.status for (each,) in joins) == ["already"] * 99 + ["joined"]
    assert {each.number for (each,) in joins} == {1}
    await room.tick()
    claims = await asyncio.gather(*(room.claim(1) for _ in range(100)))
    assert len(set(claims)) == 1
    leaves = await asyncio.gather(*(room.leave(1) for _ in range(100)))
    assert sorted(leaves) == ["already"] * 99 + ["left"]
    assert [entry[b"k"] for _, entry in await room.log()] == [b"config", b"admit", b"claim", b"left"]
    assert await room.violations() == []
