"""The keeper's round: rooms made, numbers reserved ahead, cursors remembered, old lines given an end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from app import redis_keys
from app.connections import store_of, utc_now
from app.control import sale_schedule
from app.control.rooms import RoomChange, RoomControl
from app.domain.line import RoomState
from app.domain.samples import read_samples
from app.ledger import events, rooms
from app.ledger.database import Database
from app.ledger.room_windows import Window
from app.outages import REDIS
from app.room import samples
from app.room.answers import Look, Marks
from app.room.errors import RoomUnavailable
from app.room.follow import Rooms
from app.room.record import read_records
from app.room.scripts import RoomScripts
from app.room.view import LineView
from tests.lane.world import spec
from tests.room.room import EVENT, Room
from tests.waiting import wait_until
from workers import keeper as workers_keeper
from workers.keeper import Keeper, keep

NOW = datetime(2026, 5, 1, tzinfo=UTC)


async def round_of(room: Room) -> None:
    await keep(room.redis, room.scripts, room.db, utc_now())


async def row_of(db: Database, event_id: str = EVENT) -> rooms.RoomRow:
    row = await rooms.get(db, event_id)
    assert row is not None
    return row


async def view_of(room: Room, event_id: str) -> LineView:
    view = LineView(event_id)
    snapshot = await room.scripts.snapshot(event_id, 1)
    assert snapshot is not None
    view.load(snapshot)
    return view


async def test_a_new_event_gets_a_room_with_its_settings_once(room: Room) -> None:
    config = {"state": "paused", "rate_per_s": 2.5, "burst": 3, "max_active": 4, "message": "Hello"}
    await events.create(room.db, replace(spec("new"), room=config), NOW)
    await asyncio.gather(*(round_of(room) for _ in range(3)))
    view = await view_of(room, "new")
    assert (view.state, view.rate_per_s, view.burst, view.max_active) == ("paused", 2.5, 3, 4)
    assert (view.message, view.number, view.cursor) == ("Hello", 0, 0)
    assert await room.redis.xlen(redis_keys.room_log("new")) == 1
    assert (await row_of(room.db, "new")).number_bound >= sale_schedule.NUMBERS_AHEAD


@pytest.mark.parametrize(("in_hours", "state"), [(-1, RoomState.open), (1, RoomState.scheduled)])
async def test_a_room_without_a_set_state_opens_with_its_sale(room: Room, in_hours: int, state: RoomState) -> None:
    opens_at = datetime.now(UTC) + timedelta(hours=in_hours)
    await events.create(room.db, replace(spec("new"), opens_at=opens_at), NOW)
    await round_of(room)
    view = await view_of(room, "new")
    assert view.state is state
    assert view.opens_ms == int(opens_at.timestamp() * 1000)


async def test_a_room_that_is_not_listed_any_more_is_listed_again(room: Room) -> None:
    """A replica that was behind may have the room and not the list, which is another key."""
    await round_of(room)
    await room.redis.delete(redis_keys.ROOMS)
    await round_of(room)
    assert await room.redis.smembers(redis_keys.ROOMS) == {EVENT.encode()}  # type: ignore[misc]


async def test_an_event_open_to_all_has_no_room(room: Room) -> None:
    await events.create(room.db, replace(spec("free"), admission="open"), NOW)
    await round_of(room)
    assert not await room.redis.exists(redis_keys.room("free"))


async def test_numbers_are_reserved_before_they_run_out(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sale_schedule, "NUMBERS_AHEAD", 100)
    await room.crowd(960)
    await round_of(room)
    assert await room.field("bound") == (await row_of(room.db)).number_bound == 1_060
    await round_of(room)
    assert await room.field("bound") == 1_060


async def test_whoever_needs_more_numbers_has_them_reserved_in_sql_at_once(room: Room) -> None:
    await room.crowd(1_000)
    asked = (sale_schedule.reserve_numbers(room.scripts, room.db, EVENT, 101_000) for _ in range(4))
    assert await asyncio.gather(*asked) == [101_000] * 4
    assert (await row_of(room.db)).number_bound == 101_000
    assert await sale_schedule.reserve_numbers(room.scripts, room.db, EVENT, 2_000) == 101_000
    await room.redis.flushall()
    assert await sale_schedule.reserve_numbers(room.scripts, room.db, EVENT, 500_000) == 0, "there is no room"


async def test_sql_knows_a_bound_before_redis_does(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keeper that dies between the two may waste numbers; the other way round they would be given twice."""
    monkeypatch.setattr(sale_schedule, "NUMBERS_AHEAD", 10_000)

    async def die(event_id: str, bound: int) -> int:
        assert (await row_of(room.db)).number_bound == bound
        raise ConnectionError

    monkeypatch.setattr(room.scripts, "reserve", die)
    with pytest.raises(ConnectionError):
        await round_of(room)


async def test_the_cursor_is_remembered_and_never_goes_back(room: Room) -> None:
    await room.crowd(20)
    await room.tick()
    await round_of(room)
    assert (await row_of(room.db)).cursor == 5
    await room.redis.hset(redis_keys.room(EVENT), "cursor", "3")  # type: ignore[misc]  # redis-py types it for both clients
    await round_of(room)
    assert (await row_of(room.db)).cursor == 5


async def test_a_closed_line_ends_with_all_its_keys(room: Room) -> None:
    await room.join(*(f"h{n}" for n in range(30)), wish='{"quantity":1}')
    await room.join(*(f"h{n}" for n in range(30, 300)))
    await room.tick()
    await room.leave(9)
    await room.claim(1)
    await round_of(room)
    await room.change(state="closed")
    await round_of(room)
    await room.join("h200", wish='{"quantity":2}')  # the first wish among its neighbours
    await room.seen(7)
    await round_of(room)
    found = [name async for name in room.redis.scan_iter(match=redis_keys.of_epoch(EVENT, 1, "*"))]
    assert len(found) > 10
    assert [name for name in found if await room.redis.ttl(name) < 0] == []
    assert await room.violations() == []


@pytest.mark.parametrize("ends", ["open", "closed"])
async def test_lines_that_were_closed_and_opened_between_two_rounds_end_too(room: Room, ends: str) -> None:
    for epoch in (1, 2):
        room.epoch = epoch
        await room.crowd(3)
        await room.change(state="closed")
        await room.change(state="open")
        await rooms.follow_epoch(room.db, EVENT, epoch + 1, 0)
    room.epoch = 3
    await room.crowd(3)
    await room.change(state=ends)
    await round_of(room)
    found = [name async for name in room.redis.scan_iter(match=redis_keys.of_epoch(EVENT, "*", "*"))]
    permanent = {redis_keys.epoch_of(name.decode()) for name in found if await room.redis.ttl(name) < 0}
    assert permanent == ({3} if ends == "open" else set())
    assert await room.violations() == []


async def test_a_lost_room_comes_back_with_what_the_operator_set(room: Room) -> None:
    control = RoomControl(room.redis, Rooms(room.redis, room.scripts), room.db, utc_now)
    await control.change(EVENT, "ann", RoomChange(rate_per_second=7.5, burst=3, max_active=9))
    await control.change(EVENT, "ann", RoomChange(state=RoomState.paused, message="Soon"))
    await room.crowd(10)
    await room.redis.flushall()
    await round_of(room)
    view = await room.view()
    assert view.state is RoomState.recovering
    assert (view.rate_per_s, view.burst, view.max_active, view.message) == (7.5, 3, 9, "Soon")
    await room.redis.hset(redis_keys.room(EVENT), "recover_until_ms", "0")  # type: ignore[misc]
    await room.tick()
    assert (await room.view()).state is RoomState.paused


async def test_a_room_whose_settings_were_changed_while_it_recovered_recovers_again(room: Room) -> None:
    """Else a second loss would make it recover to recovering, for ever."""
    await room.redis.flushall()
    await round_of(room)
    await RoomControl(room.redis, Rooms(room.redis, room.scripts), room.db, utc_now).change(
        EVENT, "ann", RoomChange(burst=3)
    )
    await room.redis.flushall()
    await round_of(room)
    await room.redis.hset(redis_keys.room(EVENT), "recover_until_ms", "0")  # type: ignore[misc]
    await room.tick()
    assert (await room.view()).state is RoomState.open


@pytest.mark.parametrize("paused_while", ["open", "recovering"])
async def test_a_paused_sale_stays_paused_though_it_is_lost_twice_and_changed_in_between(
    room: Room, paused_while: str
) -> None:
    control = RoomControl(room.redis, Rooms(room.redis, room.scripts), room.db, utc_now)
    if paused_while == "open":
        await control.change(EVENT, "ann", RoomChange(state=RoomState.paused))
    for wanted in (RoomChange(state=RoomState.paused), RoomChange(burst=3)):
        await room.redis.flushall()
        await round_of(room)
        await control.change(EVENT, "ann", wanted)
    await room.redis.flushall()
    await round_of(room)
    await room.redis.hset(redis_keys.room(EVENT), "recover_until_ms", "0")  # type: ignore[misc]
    await room.tick()
    assert (await room.view()).state is RoomState.paused


async def test_a_closed_room_that_was_lost_stays_closed(room: Room) -> None:
    await RoomControl(room.redis, Rooms(room.redis, room.scripts), room.db, utc_now).change(
        EVENT, "ann", RoomChange(state=RoomState.closed)
    )
    await room.redis.flushall()
    await round_of(room)
    assert (await room.view()).state is RoomState.closed


async def test_marks_say_which_number_was_given_when(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SAMPLE_MIN_MS", 0)
    monkeypatch.setattr(samples, "SAMPLES_MAX", 3)
    name = redis_keys.of_epoch(EVENT, 1, "marks")
    await round_of(room)
    await round_of(room)
    assert await room.redis.llen(name) == 1, "nothing new is not noted"  # type: ignore[misc]
    for first in range(0, 50, 10):
        await room.crowd(10, first)
        await round_of(room)
    marks = [mark.split(b":")[1] for mark in await room.redis.lrange(name, 0, -1)]  # type: ignore[misc]
    assert marks == [b"30", b"40", b"50"]


async def test_marks_count_the_people_in_line_and_inside_as_the_line_itself_does(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "SAMPLE_MIN_MS", 0)
    await room.crowd(30)
    for step in range(4):
        await room.tick()
        for number in (1 + 6 * step, 3 + 6 * step, 30 - step):
            await room.leave(number)
        if step:
            await room.claim(6 * step - 4)
        await round_of(room)
        view = await room.view()
        (last,) = read_samples(await room.redis.lrange(redis_keys.of_epoch(EVENT, 1, "marks"), -1, -1))  # type: ignore[misc]
        assert (last.number, last.waiting) == (view.number, view.waiting)
        assert (last.admitted, last.active) == (len(view.admitted), len(view.active))


@pytest.mark.parametrize("wanted", [RoomChange(message="It is over."), RoomChange(state=RoomState.paused)])
async def test_a_line_begun_anew_by_its_sale_is_not_lost_as_what_the_one_before_was(
    room: Room, wanted: RoomChange
) -> None:
    """Settings are kept with the state they were made in: closed by the clock, or paused before that."""
    control = RoomControl(room.redis, Rooms(room.redis, room.scripts), room.db, utc_now)
    now = datetime.now(UTC)
    over = Window(event_id=EVENT, version=1, opens_at=NOW, closes_at=now, cancelled=False)
    if wanted.state is not None:
        await control.change(EVENT, "ann", wanted)
    await sale_schedule.sync_room_with_sale(room.scripts, room.db, over, utc_now())
    await room.scripts.tick(EVENT, 1, 0)
    if wanted.state is None:
        await control.change(EVENT, "ann", wanted)
    await sale_schedule.sync_room_with_sale(
        room.scripts, room.db, replace(over, version=2, closes_at=now + timedelta(hours=1)), utc_now()
    )
    assert (await room.view()).state is RoomState.open
    await room.redis.flushall()
    await round_of(room)
    assert (await room.view()).state is RoomState.recovering
    await room.redis.hset(redis_keys.room(EVENT), "recover_until_ms", "0")  # type: ignore[misc]
    await room.scripts.tick(EVENT, 2, 0)
    assert (await room.view()).state is RoomState.open


@pytest.mark.parametrize("is_new", [False, True], ids=["known", "just made"])
async def test_a_sale_that_was_read_before_it_was_prolonged_does_not_close_the_line(room: Room, is_new: bool) -> None:
    """A worker may have read the old end just before an admin's edit was carried out."""
    now = datetime.now(UTC)
    ending = Window(event_id=EVENT, version=1, opens_at=NOW, closes_at=now, cancelled=False)
    prolonged = replace(ending, version=2, closes_at=now + timedelta(hours=1))
    if is_new:
        await room.redis.delete(redis_keys.room(EVENT))
    for window in (prolonged, ending):
        await sale_schedule.sync_room_with_sale(room.scripts, room.db, window, utc_now())
    await room.scripts.tick(EVENT, 1, 0)
    view = await room.view()
    state = RoomState.recovering if is_new else RoomState.open
    assert (view.state, view.epoch, view.closes_ms) == (state, 1, prolonged.closes_ms)


OTHERS = [f"other-{number:02}" for number in range(40)]


async def with_others(room: Room) -> None:
    """Many more rooms that are to be made."""
    for event_id in OTHERS:
        await events.create(room.db, replace(spec(event_id), room={"state": "open"}), NOW)


async def are_made(room: Room) -> bool:
    return set(await read_records(room.redis, OTHERS)) == set(OTHERS)


async def test_a_room_that_fails_delays_no_other_and_is_told_of(room: Room) -> None:
    await with_others(room)
    for broken in (EVENT, "other-00"):
        await room.redis.delete(redis_keys.room(broken))
        await room.redis.set(redis_keys.room(broken), "no hash")
    with pytest.raises(ExceptionGroup) as failed:
        await round_of(room)
    assert failed.group_contains(RoomUnavailable)
    assert store_of(failed.value) == REDIS
    await room.redis.delete(redis_keys.room("other-00"))
    with pytest.raises(RoomUnavailable):
        await round_of(room)
    assert await are_made(room)


class HeldUp(RoomScripts):
    """Redis does not answer what is asked of some rooms."""

    def __init__(self, room: Room, *held: str) -> None:
        super().__init__(room.redis, room.timing)
        self.held = held
        self.goes_on = asyncio.Event()
        self.asked: list[str] = []

    async def look(self, event_id: str, marks: Marks) -> Look:
        self.asked.append(event_id)
        if event_id in self.held:
            await self.goes_on.wait()
        return await super().look(event_id, marks)


async def test_rooms_that_are_held_up_delay_no_other_however_many_they_are(room: Room) -> None:
    await with_others(room)
    held = [EVENT, *OTHERS[: workers_keeper.ROOMS_AT_ONCE * 2]]
    scripts = HeldUp(room, *held)
    keeper = Keeper(room.redis, scripts, room.db)

    async def others_are_made() -> bool:
        await keeper.round(utc_now(), wait_s=0.0)
        return set(OTHERS) - set(held) == set(await read_records(room.redis, OTHERS))

    await wait_until(others_are_made, description="the other rooms are made")
    assert sorted(event_id for event_id in scripts.asked if event_id in held) == sorted(held), "once each"
    scripts.goes_on.set()

    async def all_are_made() -> bool:
        await keeper.round(utc_now(), wait_s=0.0)
        return await are_made(room)

    await wait_until(all_are_made, description="those that were held up are made as well")
    await keeper.close()


async def test_a_room_that_is_held_up_for_ever_is_tried_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_keeper, "ROOM_S", 0.01)
    scripts = HeldUp(room, EVENT)
    with capture_logs() as logged:
        await keep(room.redis, scripts, room.db, utc_now())
        await keep(room.redis, scripts, room.db, utc_now())
    assert [line["event_id"] for line in logged if line["event"] == "room_not_kept"] == [EVENT] * 2
