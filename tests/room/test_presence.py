"""Who is seen is told to Redis in packed calls; nothing that could not be told is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from app.domain.line import Place, RoomState
from app.domain.ticket import HOLDER_BYTES, holder_text
from app.room import presence
from app.room.errors import RoomUnavailable
from app.room.presence import Presence
from app.room.scripts import Now, RoomScripts
from tests.room.room import EVENT, TIMING, Room, nobody_bought, nobody_owns
from tests.waiting import wait_until

HOLDER = bytes(HOLDER_BYTES)


class Telling(RoomScripts):
    """Scripts that keep what they are told instead of telling Redis; `away` makes them fail."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, TIMING)
        self.away = False
        self.told: list[list[int]] = []
        self.restored: list[list[tuple[int, str]]] = []

    async def seen(self, event_id: str, epoch: int, numbers: Sequence[int], now_ms: Now = None) -> int:
        if self.away:
            raise RoomUnavailable("ConnectionError")
        self.told.append(sorted(numbers))
        return 0

    async def restore(self, event_id: str, epoch: int, people: Sequence[tuple[int, str]], now_ms: Now = None) -> int:
        if self.away:
            raise RoomUnavailable("ConnectionError")
        self.restored.append(list(people))
        return 0


@pytest.fixture
def scripts(redis: Redis) -> Telling:
    return Telling(redis)


@asynccontextmanager
async def running(presence: Presence) -> AsyncIterator[None]:
    task = asyncio.create_task(presence.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_everyone_seen_is_told_once_in_packed_calls(room: Room, scripts: Telling) -> None:
    view, watch = await room.view(), Presence(scripts, 5, nobody_bought, nobody_owns)
    for number in range(1, 2_501):
        watch.see(view, number, HOLDER)
        watch.see(view, number, HOLDER)
    await watch.flush()
    assert [len(numbers) for numbers in scripts.told] == [1_000, 1_000, 500]
    assert {number for numbers in scripts.told for number in numbers} == set(range(1, 2_501))
    await watch.flush()
    assert len(scripts.told) == 3


async def test_what_could_not_be_told_is_kept(room: Room, scripts: Telling) -> None:
    view, watch = await room.view(), Presence(scripts, 5, nobody_bought, nobody_owns)
    view.unproven.add(9)
    view.ended.add(9)
    for number in (7, 9):
        watch.see(view, number, HOLDER)
    scripts.away = True
    await watch.flush()
    watch.see(view, 8, HOLDER)
    scripts.away = False
    await watch.flush()
    assert scripts.told == [[7, 8, 9]]
    assert scripts.restored == [[(9, holder_text(HOLDER))]]


async def test_open_streams_count_as_seen(room: Room, scripts: Telling) -> None:
    view, another = await room.view(), await room.view()
    another.epoch = 2
    watch = Presence(scripts, 0.0, nobody_bought, nobody_owns)
    watch.add_source(lambda: [(view, {4: HOLDER, 5: HOLDER}), (another, {6: HOLDER})])

    async def told() -> list[list[int]]:
        return scripts.told

    async with running(watch):
        await wait_until(told, description="the streams are told")
    assert scripts.told[:2] == [[4, 5], [6]]


async def test_that_nobody_is_seen_is_told_as_well(room: Room, scripts: Telling) -> None:
    """While no process tells anything, nobody is taken for absent."""
    view, watch = await room.view(), Presence(scripts, 5, nobody_bought, nobody_owns)
    watch.add_source(lambda: [(view, {})])
    watch.collect()
    await watch.flush()
    assert scripts.told == [[]]


async def test_who_streams_has_their_place_again_after_a_loss(room: Room, scripts: Telling) -> None:
    view, watch = await room.view(), Presence(scripts, 5, nobody_bought, nobody_owns)
    view.unproven.add(4)
    view.ended.add(4)
    watch.add_source(lambda: [(view, {4: HOLDER, 5: HOLDER})])
    watch.collect()
    await watch.flush()
    assert scripts.restored == [[(4, holder_text(HOLDER))]]


async def test_who_was_served_before_a_loss_gets_no_second_turn(room: Room) -> None:
    async def five_bought(event_id: str, epoch: int, numbers: Sequence[int]) -> set[int]:
        assert (event_id, epoch) == (EVENT, 1)
        return {5} & set(numbers)

    await room.redis.flushall()
    await room.make_again(number=9, cursor=7, state=RoomState.recovering, recover_ms=1000)
    watch, view = Presence(room.scripts, 5, five_bought, nobody_owns), await room.view()
    for number in (4, 5):
        watch.see(view, number, bytes([number]) * HOLDER_BYTES)
    await watch.flush()
    view = await room.view()
    assert (view.place(4), view.place(5), view.place(6)) == (Place.waiting, Place.left, Place.waiting)
    await room.tick(1_001)
    await room.seen(4, 5)  # by the room's own clock
    await room.tick(1_000)
    assert await room.let_in() == [4]


async def test_open_streams_count_as_seen_however_many_come_back_meanwhile(
    room: Room, scripts: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People who were passed over poll all the time: each poll is urgent, and must not make anyone else absent."""
    monkeypatch.setattr(presence, "URGENT_GAP_S", 0.0)
    view, watch = await room.view(), Presence(scripts, 0.05, nobody_bought, nobody_owns)
    view.cursor = 3
    view.skipped.add(3)
    watch.add_source(lambda: [(view, {4: HOLDER})])

    async def the_stream_is_told() -> bool:
        watch.see(view, 3, HOLDER)
        return any(4 in numbers for numbers in scripts.told)

    async with running(watch):
        await wait_until(the_stream_is_told, description="the stream is told")
    assert any(3 in numbers for numbers in scripts.told)


async def test_who_was_passed_over_is_told_at_once(room: Room, scripts: Telling) -> None:
    view, watch = await room.view(), Presence(scripts, 3_600, nobody_bought, nobody_owns)
    view.cursor = 3
    view.skipped.add(3)

    async def told() -> list[list[int]]:
        return scripts.told

    async with running(watch):
        watch.see(view, 3, HOLDER)
        await wait_until(told, description="the one who came back is told")
    assert scripts.told == [[3]]


async def test_who_shows_a_ticket_after_a_loss_has_their_place_again(room: Room) -> None:
    """On the real scripts: a place is lost until its ticket is shown, to whichever process."""
    await room.redis.flushall()
    room.epoch = 1
    birth = {"number": 9, "cursor": 2, "state": RoomState.recovering, "recover_ms": 1000}
    await room.make_again(**birth)
    view, watch = await room.view(), Presence(room.scripts, 5, nobody_bought, nobody_owns)
    assert [number for number in range(1, 10) if number in view.unproven] == list(range(1, 10))
    for number in (2, 5):
        watch.see(view, number, bytes([number]) * HOLDER_BYTES)
    await watch.flush()
    view = await room.view()
    assert [number for number in range(1, 10) if number not in view.ended] == [2, 5]
    assert [number for number in range(1, 10) if number in view.unproven] == [1, 3, 4, 6, 7, 8, 9]
    assert (await room.join(holder_text(bytes([5]) * HOLDER_BYTES)))[0].number == 5
