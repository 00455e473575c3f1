"""A process's views follow the room logs; a gap, a changed setting or a room made again loads a snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app import redis_keys
from app.connections import utc_now
from app.domain.line import Place, RoomState
from app.ledger.database import Database
from app.room import follow
from app.room.answers import RoomSnapshot
from app.room.follow import Rooms
from app.room.scripts import RoomScripts
from app.room.view import LineView, place_in_log
from tests.room.room import BIRTH, EVENT, Room
from tests.room.server import server_in
from tests.waiting import wait_until
from workers.keeper import keep


@asynccontextmanager
async def following(room: Room) -> AsyncIterator[Rooms]:
    rooms = Rooms(room.redis, room.scripts)
    task = asyncio.create_task(rooms.run())
    try:
        yield rooms
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(rooms: Rooms, true: Callable[[LineView], bool], description: str) -> LineView:
    async def it_is() -> bool:
        return EVENT in rooms.views and true(rooms.views[EVENT])

    await wait_until(it_is, description=description)
    return rooms.views[EVENT]


async def test_a_view_follows_everything_without_another_snapshot(room: Room) -> None:
    async with following(room) as rooms:
        view = await until(rooms, lambda view: True, "the room is known")
        told: list[int] = []
        rooms.on_change(lambda view: told.append(view.cursor))
        loaded_ended = view.ended
        await room.seen(*await room.crowd(12))
        await room.tick()
        await room.claim(1)
        await room.leave(2)
        await room.tick(60_000)
        await until(rooms, lambda view: view.cursor == 10 and 5 in view.lapsed, "the second tick is known")
        assert view.ended is loaded_ended, "a snapshot was taken though nothing was missed"
        assert [view.place(n) for n in (1, 2, 5, 6, 12)] == [
            Place.claimed,
            Place.left,
            Place.lapsed,
            Place.admitted,
            Place.waiting,
        ]
        assert 10 in told
        assert rooms.fresh


async def test_a_changed_setting_loads_a_snapshot(room: Room) -> None:
    async with following(room) as rooms:
        await until(rooms, lambda view: True, "the room is known")
        await room.change(state="paused", message="The band is late.")
        view = await until(rooms, lambda view: view.state is RoomState.paused, "the pause is known")
        assert view.message == "The band is late."


async def test_a_line_that_is_paused_promises_no_wait_from_then_on(room: Room) -> None:
    rooms = Rooms(room.redis, room.scripts)
    await room.crowd(12)
    await rooms.discover()
    view = rooms.views[EVENT]
    view.measure(1.0)
    assert view.position(12).eta_s is not None
    await room.change(state="paused")
    await rooms.reload(EVENT)
    assert view.position(12).eta_s is None


async def test_a_full_room_promises_only_what_its_line_was_seen_to_do(room: Room) -> None:
    await room.change(max_active="2")
    await room.crowd(5)
    view = await room.view()
    view.measure(0.0)
    assert (view.full, view.position(3).eta_s is not None) == (False, True)
    await room.tick()
    view.load(await room.snapshot())
    for second in (1.0, 2.0, 60.0):
        view.measure(second)
        assert (view.full, view.position(3).eta_s) == (True, None), "nobody finished yet"
    await room.claim(1)
    await room.leave(1)
    for entry in (await room.log())[-2:]:
        assert view.apply(*entry)
    view.measure(61.0)
    assert view.full, "the place that came free is given away at the next tick"
    await room.tick()
    assert view.apply(*(await room.log())[-1])
    view.measure(62.0)
    eta_s = view.position(4).eta_s
    assert eta_s is not None
    assert eta_s[0] < 60 <= eta_s[1], "one person went in within a minute"


async def test_a_room_made_larger_is_full_no_longer(room: Room) -> None:
    await room.change(max_active="2")
    await room.crowd(5)
    await room.tick()
    view = await room.view()
    view.measure(0.0)
    await room.change(max_active="9")
    view.load(await room.snapshot())
    view.measure(1.0)
    view.measure(3.0)
    assert (view.full, view.position(3).eta_s is not None) == (False, True)


async def test_a_gap_loads_a_snapshot(room: Room) -> None:
    view = await room.view()
    await room.crowd(30)
    await room.tick()
    await room.tick()
    entries = [entry for entry in await room.log() if entry[1][b"k"] == b"admit"]
    assert not view.apply(*entries[1]), "an entry was taken though the one before it was missed"
    assert view.apply(*entries[0])
    assert view.apply(*entries[1])
    known = view.log_id
    assert view.apply(*entries[0]), "an entry that is known already is no gap"
    assert (view.cursor, view.log_id) == (10, known)


async def test_what_a_snapshot_has_already_is_passed_over(room: Room) -> None:
    """Whoever read the log before they took the snapshot has entries from before it, settings among them."""
    await room.crowd(30)
    await room.tick()
    await room.change(message="The band is late.")
    view = await room.view()
    for entry in await room.log():
        assert view.apply(*entry), "a snapshot was asked for again"
    assert view.cursor == 5


async def test_a_redis_that_has_forgotten_the_latest_is_believed_from_its_next_word_on(room: Room) -> None:
    """A replica took over that had not heard everything: its revisions are such as the view has seen."""
    counting = Counting(room.redis, room.timing)
    rooms = Rooms(room.redis, counting)
    await room.crowd(9)
    await rooms.discover()
    for number in (1, 2, 3):
        await room.leave(number)
    await rooms._apply(rooms.views[EVENT], (await room.log())[1:])
    view = rooms.views[EVENT]
    log_id = view.log_id
    await forget(room, left=[1, 2, 3])
    for _ in range(4):
        await room.tick(200)
        news = [entry for entry in await room.log() if place_in_log(entry[0]) > place_in_log(view.log_id)]
        await rooms._apply(rooms.views[EVENT], news)
    assert place_in_log(view.log_id) > place_in_log(log_id)
    assert [view.place(number) for number in (1, 2, 3, 4)] == [Place.admitted] * 4
    assert counting.snapshots == 2, "it was read anew more than once"


async def forget(room: Room, left: list[int]) -> None:
    """Make Redis one that has not heard of these people leaving, one after the other."""
    await room.redis.hincrby(redis_keys.room(EVENT), "rev", -len(left))  # type: ignore[misc]
    for number in left:
        await room.redis.setbit(redis_keys.of_epoch(EVENT, room.epoch, "gone"), number, 0)


class Counting(RoomScripts):
    """Real scripts that count the snapshots."""

    snapshots = 0

    async def snapshot(self, event_id: str, epoch: int) -> RoomSnapshot | None:
        self.snapshots += 1
        return await super().snapshot(event_id, epoch)


async def test_a_reader_behind_the_end_of_the_log_loads_a_snapshot(room: Room) -> None:
    async with following(room) as rooms:
        await until(rooms, lambda view: True, "the room is known")
        await room.crowd(30)
        await room.tick()
        await room.tick()
        await room.redis.xtrim(redis_keys.room_log(EVENT), maxlen=1, approximate=False)
        await until(rooms, lambda view: view.cursor == 10, "the line is known in spite of the gap")


async def test_a_new_epoch_loads_a_snapshot(room: Room) -> None:
    async with following(room) as rooms:
        await until(rooms, lambda view: True, "the room is known")
        await room.crowd(3)
        await room.change(state="closed")
        await room.change(state="open")
        view = await until(rooms, lambda view: view.epoch == 2, "the new line is known")
        assert (view.cursor, view.number, view.waiting) == (3, 3, 0)


async def test_a_room_made_later_is_found(room: Room) -> None:
    await room.redis.flushall()
    async with following(room) as rooms:
        assert rooms.views == {}
        await room.make_again()
        await until(rooms, lambda view: view.state is RoomState.open, "the new room is known")


async def test_a_closed_room_that_is_changed_or_opened_again_is_known_at_once_and_its_log_is_not_read(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "RECHECK_S", 3600.0)
    await room.scripts.create("open-air", BIRTH)
    read: list[set[str]] = []
    xread = room.redis.xread

    async def noted(streams: dict[Any, Any], **options: int) -> Any:
        read.append(set(streams))
        return await xread(streams, **options)

    monkeypatch.setattr(room.redis, "xread", noted)
    async with following(room) as rooms:
        await until(rooms, lambda view: rooms.fresh, "the rooms are known")
        assert read[-1] == {redis_keys.room_log(EVENT), redis_keys.room_log("open-air"), redis_keys.OPENED}
        await room.change(state="closed")
        await until(rooms, lambda view: view.state is RoomState.closed, "the end is known")

        async def is_not_read() -> bool:
            return read[-1] == {redis_keys.room_log("open-air"), redis_keys.OPENED}

        await wait_until(is_not_read, description="only the other log is read")
        await room.change(message="See you next year.")
        await until(rooms, lambda view: bool(view.message), "the message is known")
        await room.change(state="open")
        await until(rooms, lambda view: view.epoch == 2, "the new line is known")
        room.epoch = 2
        await room.crowd(3)
        await room.tick()
        await until(rooms, lambda view: view.cursor == 3, "the new line is followed")
        await room.scripts.create("late", BIRTH)

        async def is_known() -> bool:
            return "late" in rooms.views

        await wait_until(is_known, description="a room made later is known")


async def test_a_closed_room_whose_opening_was_told_to_nobody_is_found_by_looking(room: Room) -> None:
    await room.change(state="closed")
    rooms = Rooms(room.redis, room.scripts)
    await rooms.refresh()
    await room.change(state="open")
    await room.redis.delete(redis_keys.OPENED)
    await rooms.refresh()
    assert rooms.views[EVENT].epoch == 2


async def test_after_a_loss_the_next_opening_is_heard_of_again(room: Room) -> None:
    """The ids of what is told begin anew, below the last one heard, where the clock is behind."""
    rooms = Rooms(room.redis, room.scripts)
    await rooms.refresh()
    rooms._opened_id = b"99999999999999-0"
    await rooms.refresh()
    await room.change(state="closed")
    await rooms.reload(EVENT)
    await room.change(state="open")
    await rooms._read()
    assert rooms.views[EVENT].epoch == 2


async def test_a_room_made_a_moment_ago_is_found_by_who_asks_for_it(room: Room) -> None:
    """Nobody is told that there is no line because this process has not looked since it was made."""
    rooms = Rooms(room.redis, room.scripts)
    view, another, nothing = await asyncio.gather(rooms.find(EVENT), rooms.find(EVENT), rooms.find("nothing"))
    assert view is another is rooms.views[EVENT]
    assert nothing is None
    assert rooms.views.keys() == {EVENT}


async def test_a_room_made_again_by_a_clock_that_is_behind_is_noticed(room: Room) -> None:
    """Its log looks like the past: its ids and revisions are smaller than those the view has seen."""
    rooms = Rooms(room.redis, room.scripts)
    await rooms.discover()
    await room.redis.flushall()
    room.clock.wrong_by_ms = -3_600_000
    await room.make_again(number=9, state=RoomState.recovering)
    await rooms.recheck()
    assert rooms.views[EVENT].state is RoomState.recovering


async def test_a_log_that_goes_on_in_the_past_is_noticed_whatever_its_revisions_are(room: Room) -> None:
    rooms = Rooms(room.redis, room.scripts)
    await room.crowd(3)
    await rooms.discover()
    await ahead_of_its_time(room, rooms)
    await room.redis.flushall()
    room.clock.pass_ms(10_000)
    await room.make_again(number=9, state=RoomState.recovering)
    assert await room.field("rev") > rooms.views[EVENT].rev
    await rooms.recheck()
    assert rooms.views[EVENT].state is RoomState.recovering


async def ahead_of_its_time(room: Room, rooms: Rooms) -> int:
    """Somebody leaves by a clock that is a minute ahead, and the view knows; gives that clock's time."""
    at_ms = int((await room.redis.time())[0] + 60) * 1000
    rev = await room.redis.hincrby(redis_keys.room(EVENT), "rev", 1)  # type: ignore[misc]
    await room.redis.setbit(redis_keys.of_epoch(EVENT, room.epoch, "gone"), 1, 1)
    await room.redis.xadd(redis_keys.room_log(EVENT), {"r": rev, "k": "left", "t": at_ms, "n": 1}, id=f"{at_ms}-0")
    await rooms._apply(rooms.views[EVENT], (await room.log())[-1:])
    assert rooms.views[EVENT].log_id == b"%d-0" % at_ms
    return at_ms


async def test_what_is_behind_is_looked_for_while_there_is_news(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another room never stops talking, and this one talks in the past."""
    monkeypatch.setattr(follow, "RECHECK_S", 0.05)
    await room.scripts.create("busy", BIRTH)
    async with following(room) as rooms:
        view = await until(rooms, lambda view: rooms.fresh, "the rooms are known")
        view.log_id = b"99999999999999-0"

        async def is_read_anew() -> bool:
            await room.scripts.change("busy", {"message": "more"})
            return view.log_id < b"99999999999999-0"

        await wait_until(is_read_anew, description="it was looked at in spite of all the news")


async def test_views_answer_on_while_redis_is_away_and_follow_again_when_it_is_back(
    tmp_path: Path, ledger: Database
) -> None:
    async with server_in(tmp_path / "redis") as server, server.client() as client:
        room = await Room(client, ledger).make()
        await room.crowd(20)
        async with following(room) as rooms:
            view = await until(rooms, lambda view: rooms.fresh, "the room is known")
            server.kill()

            async def stale() -> bool:
                return not rooms.fresh

            await wait_until(stale, description="the loss is noticed")
            assert view.position(20).place is Place.waiting
            await server.start()
            await keep(client, room.scripts, ledger, utc_now())
            await until(rooms, lambda view: view.state is RoomState.recovering and rooms.fresh, "it is followed again")
            assert [view.position(number).ahead for number in (1, 20)] == [0, 19], "their places are known without them"


async def test_a_room_that_is_found_while_the_others_are_looked_at_ends_nothing(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = Rooms(room.redis, room.scripts)
    await rooms.discover()
    rooms.views[EVENT].rev += 1  # it is read anew
    ask = room.redis.hget

    async def found_meanwhile(name: str, key: str) -> bytes | None:
        rooms.views["other"] = LineView("other")
        answer: bytes | None = await ask(name, key)  # type: ignore[misc]  # redis-py types it for both clients
        return answer

    monkeypatch.setattr(room.redis, "hget", found_meanwhile)
    await rooms.recheck()
    assert rooms.views.keys() == {EVENT, "other"}


async def test_the_log_of_a_room_far_from_its_opening_is_not_read_and_its_changes_are_known(room: Room) -> None:
    far_ms = room.clock.redis_ms + 86_400_000
    await room.scripts.create("far", replace(BIRTH, state=RoomState.scheduled, opens_ms=far_ms))
    rooms = Rooms(room.redis, room.scripts, lambda: room.clock.redis_ms / 1000)
    await rooms.refresh()
    assert [view.event_id for view in rooms._live()] == [EVENT]
    await room.scripts.change("far", {"rate": 7})
    await rooms._read()
    assert rooms.views["far"].rate_per_s == 7
    await room.redis.delete(redis_keys.OPENED)
    await room.scripts.change("far", {"rate": 8})
    await room.redis.delete(redis_keys.OPENED)
    await rooms.refresh()
    assert rooms.views["far"].rate_per_s == 8, "it was told to nobody, and found by looking"
    await room.scripts.change("far", {"state": "open"})
    await rooms.refresh()
    assert {view.event_id for view in rooms._live()} == {EVENT, "far"}


async def test_many_rooms_that_are_asleep_are_looked_at_in_turn(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "ASLEEP_PER_RECHECK", 2)
    names = [f"closed-{number}" for number in range(5)]
    for name in names:
        await room.scripts.create(name, replace(BIRTH, state=RoomState.closed))
    rooms = Rooms(room.redis, room.scripts)
    await rooms.refresh()
    for name in names:
        await room.scripts.change(name, {"message": "over"})
    known = []
    for _ in range(3):
        await rooms.recheck()
        known.append(sum(rooms.views[name].message == "over" for name in names))
    assert known == [2, 4, 5]
