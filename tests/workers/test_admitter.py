"""Ticks of every room, by the worker's own clock; wake-ups for wishes; and no end when Redis goes away."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from app import redis_keys
from app.domain.line import RoomState
from app.outages import STEADY_S, Outages
from app.room import live_rooms, scripts
from app.room.answers import Tick
from app.room.division import Division
from app.room.errors import RoomUnavailable
from app.room.record import Schedule
from app.room.scripts import Now, RoomScripts, TickCall
from tests.room.room import BIRTH, EVENT, TIMING, Clock, Room
from tests.waiting import wait_until
from workers import admitter
from workers.admitter import Admitter


class Recording(RoomScripts):
    """Real scripts that keep what each tick vouched for; `away` makes ticks fail."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, TIMING)
        self.vouched: list[tuple[float, float | None]] = []
        self.ticked: list[str] = []
        self.round_trips = 0
        self.away = False

    async def tick_all(self, calls: Sequence[TickCall], now_ms: Now = None) -> list[Tick | RoomUnavailable]:
        self.round_trips += 1
        self.vouched += [(call.steady_ms, call.since_ms) for call in calls]
        self.ticked += [call.event_id for call in calls]
        if self.away:
            raise RoomUnavailable("ConnectionError")
        return await super().tick_all(calls, now_ms)


class Woken:
    def __init__(self) -> None:
        self.woken: list[tuple[str, str]] = []

    async def __call__(self, event_id: str, entry_id: str) -> None:
        self.woken.append((event_id, entry_id))


@pytest.fixture
def clock(room: Room, monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(scripts, "_now", lambda now_ms: room.clock.redis_ms if now_ms is None else now_ms)
    monkeypatch.setattr(admitter, "time", SimpleNamespace(monotonic=lambda: room.clock.steady_ms / 1000))
    return room.clock


@asynccontextmanager
async def running(worker: Admitter) -> AsyncIterator[None]:
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_tick_vouches_for_the_time_since_the_last_one_that_was_answered(room: Room, clock: Clock) -> None:
    recording = Recording(room.redis)
    worker = Admitter(recording, Woken(), tick_ms=100)
    await worker.refresh()
    await room.crowd(50)
    await worker.tick()
    clock.pass_ms(100)
    recording.away = True
    with pytest.raises(RoomUnavailable):
        await worker.tick()
    recording.away = False
    clock.pass_ms(300)
    await worker.tick()
    assert [round(steady_ms) for steady_ms, _ in recording.vouched] == [0, 100, 400]
    assert recording.vouched[0][1] is None
    assert recording.vouched[1][1] == recording.vouched[2][1]
    assert await room.let_in() == [1, 2, 3, 4], "the time Redis was away is granted once it is back"


async def test_every_room_is_ticked_and_a_new_one_is_found(room: Room, clock: Clock) -> None:
    worker = Admitter(room.scripts, Woken(), tick_ms=100)
    await worker.refresh()
    await room.scripts.create("other", BIRTH)
    await room.scripts.join("other", 1, [("a", "")])
    await room.join("a")
    await worker.tick()
    await worker.refresh()
    for _ in range(2):
        clock.pass_ms(1_000)
        await worker.tick()
    assert await room.field("cursor") == 1
    assert await room.redis.hget(redis_keys.room("other"), "cursor") == b"1"  # type: ignore[misc]


async def test_closed_rooms_cost_no_ticks(room: Room, clock: Clock) -> None:
    for number in range(30):
        await room.scripts.create(f"past-{number}", replace(BIRTH, state=RoomState.closed))
    recording = Recording(room.redis)
    worker = Admitter(recording, Woken(), tick_ms=100)
    await worker.refresh()
    await worker.tick()
    assert len(recording.vouched) == 1
    await room.change(state="closed")
    for _ in range(5):
        await worker.tick()
        await worker.refresh()
    assert len(recording.vouched) == 2, "it was ticked although it had answered that it is closed"


async def test_a_room_far_from_its_opening_costs_no_ticks_until_it_is_near(room: Room, clock: Clock) -> None:
    seconds, _ = await room.redis.time()
    far_ms = seconds * 1000 + live_rooms.SOON_MS + 600_000
    scheduled = replace(BIRTH, state=RoomState.scheduled, opens_ms=far_ms)
    await room.scripts.create("far", scheduled)
    await room.scripts.create("near", replace(scheduled, opens_ms=seconds * 1000 + live_rooms.SOON_MS))
    await room.scripts.create("lobby-soon", replace(scheduled, lobby_ms=600_000))
    worker = Admitter(room.scripts, Woken(), tick_ms=100)
    await worker.refresh()
    assert worker._epochs.keys() == {EVENT, "near", "lobby-soon"}
    await room.scripts.schedule("near", Schedule(opens_ms=far_ms, version=1))
    await worker.tick()
    assert worker._epochs.keys() == {EVENT, "lobby-soon"}, "its sale was moved"
    for change in (room.scripts.schedule("near", Schedule(opens_ms=seconds * 1000, version=2)), open_it(room, "far")):
        await change
        await worker.tick()
    assert worker._epochs.keys() == {EVENT, "lobby-soon", "near", "far"}, "it was told of that"


async def open_it(room: Room, event_id: str) -> None:
    await room.scripts.change(event_id, {"state": "open"})


@pytest.mark.parametrize("how", ["by an operator", "by its sale"])
async def test_a_closed_room_that_is_opened_again_is_ticked_at_the_next_tick(
    room: Room, clock: Clock, how: str
) -> None:
    ends_ms = clock.redis_ms + 100
    await room.scripts.schedule(EVENT, Schedule(opens_ms=0, closes_ms=ends_ms))
    worker = Admitter(room.scripts, Woken(), tick_ms=100)
    await worker.refresh()
    clock.pass_ms(100)
    for _ in range(2):
        await worker.tick()
    assert worker._epochs == {}, "the sale is over, and with it the line"
    if how == "by an operator":
        await room.scripts.schedule(EVENT, Schedule(opens_ms=0))
        await room.change(state="closed")
        await worker.tick()
        await room.change(state="open")
    else:
        await room.scripts.schedule(EVENT, Schedule(opens_ms=0, closes_ms=ends_ms + 60_000))
    room.epoch = int(await room.field("epoch"))
    await room.join("a")
    await worker.tick()
    clock.pass_ms(1_000)
    await worker.tick()
    assert await room.let_in() == [1]


async def test_a_room_whose_opening_was_told_to_nobody_is_found_by_looking(room: Room, clock: Clock) -> None:
    worker = Admitter(room.scripts, Woken(), tick_ms=100)
    await worker.refresh()
    await room.change(state="closed")
    await worker.tick()
    await room.change(state="open")
    await room.redis.delete(redis_keys.OPENED)
    await worker.tick()
    assert worker._epochs == {}
    await worker.refresh()
    assert worker._epochs == {EVENT: 2}


async def test_a_room_made_while_the_others_are_looked_at_is_found_at_the_next_tick(
    room: Room, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not among those that were asked for, and may not pass for one that was told of."""
    worker = Admitter(room.scripts, Woken(), tick_ms=100)
    make = room.redis.pipeline

    def pipeline(transaction: bool) -> Any:
        pipe = make(transaction=transaction)
        execute = pipe.execute

        async def and_stand_still(**options: bool) -> list[Any]:
            answers: list[Any] = await execute(**options)
            await room.scripts.create("other", BIRTH)
            return answers

        pipe.execute = and_stand_still  # type: ignore[method-assign,assignment]
        return pipe

    monkeypatch.setattr(room.redis, "pipeline", pipeline)
    await worker.refresh()
    monkeypatch.setattr(room.redis, "pipeline", make)
    assert set(worker._epochs) == {EVENT}
    await worker.tick()
    assert set(worker._epochs) == {EVENT, "other"}


async def test_a_room_that_goes_away_is_forgotten_and_found_again(room: Room, clock: Clock) -> None:
    worker = Admitter(room.scripts, Woken(), tick_ms=100)
    await worker.refresh()
    await room.redis.flushall()
    await worker.tick()
    assert worker._epochs == {}
    await room.make_again()
    await worker.refresh()
    await room.crowd(5)
    await worker.tick()
    clock.pass_ms(1_000)
    await worker.tick()
    assert await room.let_in() == [1, 2, 3, 4, 5]


async def test_what_goes_on_a_lane_wakes_an_allocator_and_nothing_else_does(room: Room, clock: Clock) -> None:
    woken = Woken()
    worker = Admitter(room.scripts, woken, tick_ms=100)
    await worker.refresh()
    await worker.tick()
    await room.crowd(2)
    clock.pass_ms(500)
    await worker.tick()
    assert woken.woken == []
    for name in ("anna", "bert"):
        (joined,) = await room.join(name, wish='{"quantity":2}')
        await room.seen(joined.number)
        clock.pass_ms(500)
        await worker.tick()
    assert [event_id for event_id, _ in woken.woken] == [EVENT, EVENT]
    clock.pass_ms(TIMING.claim_window_s * 1000)
    await worker.tick()
    assert len(woken.woken) == 3, "turns that nobody took up give back seats"
    assert len(set(woken.woken)) == 3, "each wake-up is a job of its own"


async def test_it_ticks_on_when_redis_was_away(room: Room) -> None:
    recording = Recording(room.redis)
    recording.away = True
    await room.redis.flushall()
    await room.scripts.create(EVENT, BIRTH)
    await room.scripts.join(EVENT, 1, [("a", "")])

    async def tried_in_vain() -> bool:
        return len(recording.vouched) > 2

    async def let_in() -> list[int]:
        return await room.let_in()

    async with running(Admitter(recording, Woken(), tick_ms=10)):
        await wait_until(tried_in_vain, description="ticks have failed")
        recording.away = False
        await wait_until(let_in, description="the one who waits is let in")
    assert await room.let_in() == [1]


async def test_all_rooms_are_ticked_in_one_round_trip_and_where_nobody_waits_only_now_and_then(
    room: Room, clock: Clock
) -> None:
    quiet = [f"quiet-{at}" for at in range(20)]
    for event_id in quiet:
        await room.scripts.create(event_id, BIRTH)
    await room.crowd(100)
    recording = Recording(room.redis)
    worker = Admitter(recording, Woken(), tick_ms=100)
    await worker.refresh()
    await worker.tick()
    assert (len(recording.ticked), recording.round_trips) == (21, 1)
    for _ in range(2 * admitter.QUIET_ROUNDS):
        clock.pass_ms(100)
        await worker.tick()
    times = Counter(recording.ticked)
    assert times.pop(EVENT) == 1 + 2 * admitter.QUIET_ROUNDS
    assert times == dict.fromkeys(quiet, 1 + 2)
    assert recording.round_trips == 1 + 2 * admitter.QUIET_ROUNDS
    assert len(await room.let_in()) == 10


@pytest.mark.parametrize("how", ["joined", "came back"])
async def test_who_comes_where_nobody_waited_is_let_in_as_soon_as_may_be(room: Room, clock: Clock, how: str) -> None:
    for at in range(20):
        await room.scripts.create(f"quiet-{at}", BIRTH)
    if how == "came back":
        await room.crowd(1)
        await room.listened(TIMING.presence_window_s * 1000 + TIMING.slot_ms)
    recording = Recording(room.redis)
    worker = Admitter(recording, Woken(), tick_ms=100)
    await worker.refresh()
    await worker.tick()
    recording.ticked.clear()
    while EVENT not in recording.ticked:  # it was its turn just now, and is not again in the next round
        clock.pass_ms(100)
        await worker.tick()
    assert await room.let_in() == []
    if how == "came back":
        assert await room.seen(1) == 1
    else:
        await room.crowd(1)
    for _ in range(admitter.QUIET_ROUNDS if how == "came back" else 1):
        clock.pass_ms(100)
        await worker.tick()
    assert await room.let_in() == [1]


async def test_who_is_absent_is_told_every_few_seconds_where_people_wait(room: Room, clock: Clock) -> None:
    await room.scripts.create("quiet", BIRTH)
    await room.change(max_active=1)
    await room.crowd(200)
    await room.listened(2 * TIMING.presence_window_s * 1000)
    await room.seen(1, 2, 150)
    worker = Admitter(room.scripts, Woken(), tick_ms=100)
    await worker.refresh()
    await worker.tick()
    assert (await room.view()).position(150).ahead == 149
    for passed_ms in (admitter.TELL_ABSENT_S * 500, admitter.TELL_ABSENT_S * 500, 100):
        clock.pass_ms(int(passed_ms))
        await worker.tick()
    assert (await room.view()).position(150).ahead == 1
    kinds = [entry[b"k"] for _, entry in await room.redis.xrange(redis_keys.room_log(EVENT))]
    assert kinds.count(b"absent") == 1
    assert await room.redis.xlen(redis_keys.room_log("quiet")) == 1


async def test_what_goes_wrong_in_one_room_holds_up_no_other(room: Room, clock: Clock) -> None:
    for at in range(3):
        await room.scripts.create(f"other-{at}", BIRTH)
    await room.redis.set(redis_keys.of_epoch("other-1", 1, "admitted"), "not a sorted set")
    await room.crowd(10)
    worker = Admitter(room.scripts, Woken(), tick_ms=100)
    await worker.refresh()
    for _ in range(3):
        clock.pass_ms(100)
        with pytest.raises(RoomUnavailable):
            await worker.tick()
    assert await room.let_in() == [1, 2]


async def test_rooms_are_divided_and_a_worker_that_takes_one_over_goes_on_where_the_other_stopped(
    room: Room, clock: Clock
) -> None:
    for at in range(8):
        await room.scripts.create(f"other-{at}", BIRTH)
    await room.crowd(100)
    divisions = [Division(room.redis, name, lambda: clock.steady_ms / 1000) for name in ("one", "two")]
    scripts_of = [Recording(room.redis) for _ in divisions]
    workers = [
        Admitter(each, Woken(), tick_ms=100, division=mine) for each, mine in zip(scripts_of, divisions, strict=True)
    ]
    for division in [*divisions, *divisions]:
        await division.beat(clock.steady_ms)
    for worker in workers:
        await worker.refresh()
        await worker.tick()
    assert [len(each.vouched) for each in scripts_of] == [9, 9], "each learns how all the rooms are"
    owner = next(at for at, division in enumerate(divisions) if division.owns(EVENT))
    for _ in range(10):
        clock.pass_ms(100)
        for division in divisions:
            await division.beat(clock.steady_ms)
        for worker in workers:
            await worker.tick()
    ticks = [Counter(each.ticked[9:]) for each in scripts_of]
    assert not ticks[0].keys() & ticks[1].keys(), "no room is ticked by both"
    assert sum(map(len, ticks)) == 9
    assert ticks[owner][EVENT] == 10
    assert len(await room.let_in()) == 10
    for _ in range(10):  # the owner is dead
        clock.pass_ms(100)
        await divisions[1 - owner].beat(clock.steady_ms)
        await workers[1 - owner].tick()
    assert len(await room.let_in()) >= 10 + 10 - 2, "a tenth of a second or two are lost at most"
    assert await room.violations() == []


async def test_a_redis_whose_memory_is_full_now_and_then_lets_everybody_in_once_and_is_said_to_fail_once(
    room: Room, clock: Clock
) -> None:
    def now_s() -> float:
        return clock.steady_ms / 1000

    worker = Admitter(room.scripts, Woken(), tick_ms=100, outages=Outages(now_s))
    await worker.refresh()
    await room.crowd(20)
    await room.change(rate_per_s=10.0, burst=1)
    with capture_logs() as entries:
        try:
            for at in range(40):
                await room.redis.config_set("maxmemory", at % 2)  # one byte, or no limit
                clock.pass_ms(100)
                await worker._try(worker.tick())
        finally:
            await room.redis.config_set("maxmemory", 0)
        assert await room.let_in() == list(range(1, 21))
        for _ in range(int(STEADY_S)):
            clock.pass_ms(1_000)
            await worker._try(worker.tick())
    said = [entry["event"] for entry in entries if entry["event"].startswith("store_")]
    assert said == ["store_fails", "store_works_again"] * 2
    assert await room.violations() == []
