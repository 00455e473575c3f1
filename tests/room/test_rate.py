"""The rate that is set is the rate: no fewer people are let in, and never more than rate and burst allow."""

from __future__ import annotations

import random

import pytest

from app.audit.line_replay import due_of
from app.domain.admission import LATE_MAX_MS
from app.ledger import rooms
from tests.room.room import BOUND, EVENT, Room

SECONDS = 10
TICK_MS = 100
LATE_EVERY = 10  # one tick in so many comes late
CROWD_MAX = 5_000  # people who join in one call


async def fill(room: Room, people: int) -> None:
    bound = await rooms.reserve_numbers(room.db, EVENT, max(BOUND, people + 1), generation=0)
    await room.scripts.reserve(EVENT, bound)
    for first in range(1, people + 1, CROWD_MAX):
        await room.crowd(min(CROWD_MAX, people + 1 - first), first)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize(
    ("rate", "burst"), [(50, 10), (200, 10), (1000, 10), (50, 1), (1000, 1), (37.3, 2), (500, 5_000), (2, 1), (0.5, 3)]
)
async def test_as_many_are_let_in_as_were_set_by_any_number_of_workers_of_whom_some_are_late(
    room: Room, rate: float, burst: int, workers: int
) -> None:
    await room.change(state="paused", rate=rate, burst=burst, max_active=100_000)
    await fill(room, int(rate * (SECONDS + 1)) + burst + 10)
    tickers = [room.ticker() for _ in range(workers)]
    for ticker in tickers:
        await ticker.tick()
    await room.change(state="open")
    chance, began_ms, admitted, at = random.Random(3), room.clock.steady_ms, 0, 0
    while room.clock.steady_ms < began_ms + SECONDS * 1000:
        late_ms = TICK_MS if at % LATE_EVERY == LATE_EVERY - 1 else 0
        at += 1
        for ticker in tickers:
            room.clock.pass_ms(chance.randrange(TICK_MS // workers // 2 + 1))
            admitted += (await ticker.tick()).admitted
        due_ms = began_ms + at * TICK_MS + late_ms
        room.clock.pass_ms(max(0, due_ms - room.clock.steady_ms))
    passed_s = (room.clock.steady_ms - began_ms) / 1000
    admitted += (await tickers[0].tick()).admitted
    assert admitted >= 0.98 * rate * passed_s - 1
    assert admitted <= rate * passed_s + burst
    assert await room.violations() == []


async def test_who_is_let_in_late_was_due_at_the_moment_of_their_token(room: Room) -> None:
    await room.change(rate=40, burst=1)
    await room.crowd(20)
    worker = room.ticker()
    await worker.tick()
    room.clock.pass_ms(25)
    await worker.tick()
    room.clock.pass_ms(100)
    assert (await worker.tick()).admitted == 4
    entry = (await room.log())[-1][1]
    now_ms = room.clock.redis_ms
    assert due_of(entry).times_ms(4) == [now_ms - 75, now_ms - 50, now_ms - 25, now_ms]


async def test_nobody_was_due_while_nobody_waited(room: Room) -> None:
    """What came while the line was empty is burst and no more."""
    await room.change(rate=1_000, burst=10, max_active=1_000)
    await room.crowd(1)
    worker = room.ticker()
    await worker.tick()
    for _ in range(3):
        room.clock.pass_ms(100)
        await worker.tick()
    await room.crowd(500, first=100)
    room.clock.pass_ms(100)
    assert (await worker.tick()).admitted == 10
    room.clock.pass_ms(100)
    assert (await worker.tick()).admitted == 100


async def test_a_worker_that_was_away_for_long_brings_no_crowd_with_it(room: Room) -> None:
    rate = 100
    await room.change(rate=rate, burst=5, max_active=1_000)
    await room.crowd(900)
    worker = room.ticker()
    for _ in range(3):
        await worker.tick()
        room.clock.pass_ms(100)
    room.clock.pass_ms(10_000)
    assert (await worker.tick()).admitted == rate * LATE_MAX_MS // 1000, "what was due within a late tick"
    assert await room.violations() == []


async def test_somebody_who_is_let_in_where_there_was_no_room_was_due_when_there_was(room: Room) -> None:
    await room.change(rate=1_000, burst=10, max_active=10)
    await room.crowd(100)
    worker = room.ticker()
    for _ in range(5):
        await worker.tick()
        room.clock.pass_ms(100)
    await room.change(max_active=60)
    assert (await worker.tick()).admitted == 10
    assert await room.violations() == []
