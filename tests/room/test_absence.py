"""Nobody is told to wait for those who are known to be absent, and nobody is told of more people without a reason."""

from __future__ import annotations

from array import array

import pytest

from app import redis_keys
from app.domain.line import Bits
from app.room import view as view_module
from app.room.follow import Rooms
from app.room.scripts import ABSENT_KEPT_S
from app.room.view import LineView
from tests.room.room import EVENT, TIMING, Room

WINDOW_MS = TIMING.presence_window_s * 1000


async def told(room: Room) -> bool:
    return await room.scripts.tell_absent(EVENT, room.epoch, room.clock.redis_ms)


async def known_absent(room: Room, *present: int) -> None:
    """Everybody who joined before has been away for long, but for those who are present."""
    await room.listened(WINDOW_MS + 2 * TIMING.slot_ms)
    await room.seen(*present)


def ahead(view: LineView, *numbers: int) -> list[int]:
    return [view.position(number).ahead for number in numbers]


async def test_who_is_absent_is_not_counted_as_ahead_and_who_comes_back_is_again(room: Room) -> None:
    await room.crowd(30)
    assert not await told(room), "who joined lately is present"
    await known_absent(room, 5, 25, 30)
    assert await told(room)
    view = await room.view()
    assert ahead(view, 5, 25, 30) == [0, 1, 2]
    assert view.waiting == 30, "they have their places all the same"
    assert not await told(room), "nothing has changed"
    await room.seen(7, 8)
    assert await told(room)
    assert ahead(await room.view(), 5, 25, 30) == [0, 3, 4]


async def test_who_joined_lately_is_counted(room: Room) -> None:
    await room.crowd(20)
    await known_absent(room, 3)
    newcomers = await room.crowd(9, first=21)
    assert newcomers[-1] == 29
    assert await told(room)
    assert ahead(await room.view(), 21, 29) == [1, 9]


async def test_while_nobody_reports_nothing_new_is_told_and_what_was_told_stays(room: Room) -> None:
    await room.crowd(20)
    assert not await told(room)
    room.clock.pass_ms(3 * WINDOW_MS)
    assert not await told(room), "no web process reported: nobody is known to be absent"
    await known_absent(room, 20)
    assert await told(room)
    room.clock.pass_ms(3 * WINDOW_MS)
    assert not await told(room)
    assert ahead(await room.view(), 20) == [0]


async def test_who_leaves_or_is_passed_over_counts_once(room: Room) -> None:
    await room.crowd(30)
    await room.leave(4)
    await known_absent(room, 20, 30)
    assert await told(room)
    rooms = Rooms(room.redis, room.scripts)
    await rooms.discover()
    view = rooms.views[EVENT]
    await room.leave(6)
    await follow(room, rooms)
    assert ahead(view, 20, 30) == ahead(await room.view(), 20, 30) == [0, 1]
    await room.tick(100)
    await follow(room, rooms)
    assert view.cursor == 20
    assert ahead(view, 30) == ahead(await room.view(), 30) == [0]
    assert view.passed == 1, "the one who was let in; nobody waited for the others"


async def follow(room: Room, rooms: Rooms) -> None:
    view = rooms.views[EVENT]
    entries = await room.redis.xrange(redis_keys.room_log(EVENT), min=b"(" + view.log_id)
    await rooms._apply(view, entries)


async def test_a_view_follows_what_is_told_without_another_snapshot(room: Room) -> None:
    rooms = Rooms(room.redis, room.scripts)
    await room.crowd(40)
    await rooms.discover()
    view = rooms.views[EVENT]
    ended = view.ended
    await known_absent(room, 39, 40)
    assert await told(room)
    await follow(room, rooms)
    assert ahead(view, 39, 40) == [0, 1]
    assert view.ended is ended
    assert 0 < await room.redis.ttl(redis_keys.of_epoch(EVENT, 1, "absent")) <= ABSENT_KEPT_S


async def test_many_changes_are_taken_a_part_at_a_time(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_module, "ABSENT_CHANGES_MAX", 10)
    rooms = Rooms(room.redis, room.scripts)
    await room.crowd(45)
    await rooms.discover()
    view = rooms.views[EVENT]
    await known_absent(room, 45)
    await told(room)
    await follow(room, rooms)
    seen = ahead(view, 45)
    for at_s in range(5):
        view.measure(at_s)
        seen += ahead(view, 45)
    assert seen == [35, 25, 15, 5, 0, 0]


def test_in_a_drawn_line_it_is_their_places_that_are_skipped() -> None:
    """Entries 1 to 4 were drawn to the ranks 4, 3, 2, 1."""
    view = LineView.__new__(LineView)
    view.opened_after, view.drawn, view.ranks = 0, 4, array("I", [4, 3, 2, 1])
    view.ended, view.absent_ranks, view._counted_absent = Bits(), Bits(), Bits()
    view.take_absent(Bits(bytes([0b01100100])))
    assert list(view.absent_ranks) == [3, 4, 5]
    view.take_absent(Bits(bytes([0b00100000])))
    assert list(view.absent_ranks) == [3]
