"""A number is traced through the room, the lane and SQL, on real stores and with time that passes when told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from redis.asyncio import Redis

from app import redis_keys
from app.audit import trace as tracing
from app.audit.trace import Gap, Missing, NumberNeverGiven, Standing, StoresAway, Trace, UnknownRoom
from app.audit.trace_steps import EndedBy, Source, Step, What
from app.domain.line import RoomState
from app.domain.wish import Wish, pack_wish
from app.lane.commands import Cancel, Expire
from app.ledger import seats
from app.ledger.database import Database, open_database
from app.room import number_history
from app.room.follow import Rooms
from app.room.scripts import RoomScripts
from tests.lane.world import World, confirm, hold
from tests.room.conftest import room
from tests.room.room import EVENT, START_MS, TIMING, Clock, Room

pytestmark = pytest.mark.both_databases

__all__ = ["room"]  # a fixture

PAIR = pack_wish(Wish(quantity=2))


@pytest.fixture
def world(room: Room) -> World:
    """The lane of the room's event. Its clock is the room's only where a test sets it."""
    return World(room.redis, room.db)


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


async def redis_ms(redis: Redis) -> int:
    """What Redis's own clock says."""
    seconds, microseconds = await redis.time()
    return int(seconds) * 1_000 + int(microseconds) // 1_000


async def trace_of(room: Room, number: int, db: Database | None = None) -> Trace:
    now = moment(room.clock.redis_ms)
    return await tracing.trace(Rooms(room.redis, room.scripts), db or room.db, EVENT, number, now)


def told(trace: Trace) -> list[tuple[What, Source]]:
    return [(step.what, step.source) for step in trace.steps]


def only(trace: Trace, what: What) -> Step:
    (step,) = (step for step in trace.steps if step.what is what)
    return step


async def allocate(room: Room, world: World) -> None:
    """What waits on the lane is carried out, at the room's time; whoever has paid is served."""
    world.time.at = moment(room.clock.redis_ms)
    await world.allocator().run(EVENT)
    await room.scripts.end_served(EVENT, [(epoch, number) for _, epoch, number in world.finished])


async def test_a_number_that_waits_tells_how_many_are_ahead_and_between_which_ticks_it_joined(room: Room) -> None:
    await room.crowd(6)
    await room.tick()  # the first five
    await room.crowd(3, first=7)
    await room.tick(0)
    trace = await trace_of(room, 8)
    assert (trace.standing, trace.ahead, trace.epoch, trace.room) == (Standing.waiting, 2, 1, RoomState.open)
    assert (trace.until, trace.gaps, trace.is_whole) == (None, [], True)
    at = moment(START_MS + 1_000)
    assert trace.steps == [Step(at=at, after=at, source=Source.room_log, what=What.joined)]


async def test_who_is_known_to_be_absent_is_not_among_those_ahead(room: Room) -> None:
    await room.crowd(30)
    await room.listened(TIMING.presence_window_s * 1_000 + 2 * TIMING.slot_ms)
    await room.seen(7, 20, 29)
    assert (await trace_of(room, 29)).ahead == 28, "that is not told yet"
    assert await room.scripts.tell_absent(EVENT, room.epoch, room.clock.redis_ms)
    assert (await trace_of(room, 29)).ahead == 2


async def test_whoever_joined_a_moment_ago_has_no_tick_after_it_yet(room: Room) -> None:
    await room.crowd(1)
    joined = only(await trace_of(room, 1), What.joined)
    assert (joined.at, joined.after) == (None, moment(START_MS))


async def test_a_buyer_who_was_passed_over_and_came_back(room: Room) -> None:
    await room.crowd(1)
    await room.listened(TIMING.presence_window_s * 1_000 + 2 * TIMING.slot_ms)
    await room.crowd(1, first=2)
    await room.tick()
    passed_at = moment(room.clock.redis_ms)
    trace = await trace_of(room, 1)
    assert (trace.standing, trace.ahead) == (Standing.passed_over, 0)
    assert told(trace) == [(What.joined, Source.room_log), (What.passed_over, Source.room_log)]

    room.clock.pass_ms(1_000)
    await room.seen(1)
    trace = await trace_of(room, 1)
    assert trace.standing is Standing.waiting
    assert only(trace, What.came_back) == Step(at=None, source=Source.redis, what=What.came_back)

    await room.tick()
    trace = await trace_of(room, 1)
    now = moment(room.clock.redis_ms)
    until = now + timedelta(seconds=TIMING.claim_window_s)
    assert (trace.standing, trace.until) == (Standing.admitted, until)
    assert trace.steps[1:] == [
        Step(at=passed_at, source=Source.room_log, what=What.passed_over),
        Step(at=now, after=passed_at, source=Source.room_log, what=What.came_back),
        Step(at=now, until=until, source=Source.room_log, what=What.admitted),
    ]


async def test_a_turn_with_a_wish_that_lapses_gives_its_seats_back(room: Room, world: World) -> None:
    await room.join("ann", wish=PAIR)
    assert only(await trace_of(room, 1), What.wish_said).seats == 2
    await room.seen(1)
    await room.tick()
    waiting = only(await trace_of(room, 1), What.command_waiting)
    assert (waiting.command, waiting.source) == ("hold", Source.lane)

    await allocate(room, world)
    answered = only(await trace_of(room, 1), What.wish_answered)
    reserved = only(await trace_of(room, 1), What.reserved)
    assert (answered.status, answered.seats, reserved.seats, reserved.amount) == ("held", 2, 2, 200)
    assert answered.reservation_id == reserved.reservation_id != ""

    await room.tick(TIMING.claim_window_s * 1_000)
    lapsed_at = moment(room.clock.redis_ms)
    assert only(await trace_of(room, 1), What.command_waiting).command == "drop"
    await allocate(room, world)
    trace = await trace_of(room, 1)
    assert (trace.standing, trace.until) == (Standing.lapsed, None)
    assert only(trace, What.lapsed).at == lapsed_at
    ended = only(trace, What.reservation_cancelled)
    assert (ended.at, ended.by, ended.reservation_id) == (lapsed_at, EndedBy.turn_lapsed, reserved.reservation_id)


async def test_a_wish_that_came_when_nothing_was_sold_is_told_from_what_was_published(
    redis: Redis, ledger: Database
) -> None:
    """Such an answer is not stored: the same command would get it again when the sale is on."""
    room = await Room(redis, ledger, clock=Clock(wrong_by_ms=await redis_ms(redis) - START_MS - 1_000)).make()
    async with ledger.write() as tx:
        await tx.exec_driver_sql("UPDATE events SET cancelled_at = opens_at")
    await room.join("ann", wish=PAIR)
    joined_at = moment(room.clock.redis_ms)
    await room.seen(1)
    await room.tick()
    await allocate(room, World(redis, ledger))
    trace = await trace_of(room, 1)
    assert only(trace, What.wish_answered).status == "not_on_sale"
    seen = only(trace, What.seen)
    assert seen.at is not None
    assert seen.at <= joined_at < (seen.until or seen.at)


async def test_who_leaves_during_a_turn_gives_the_seats_back(room: Room, world: World) -> None:
    await room.join("ann", wish=PAIR)
    await room.seen(1)
    await room.tick()
    await allocate(room, world)
    await room.claim(1)
    assert (await trace_of(room, 1)).standing is Standing.claimed
    await room.leave(1)
    await allocate(room, world)
    trace = await trace_of(room, 1)
    assert trace.standing is Standing.left
    assert only(trace, What.left).at == moment(room.clock.redis_ms)
    assert only(trace, What.reservation_cancelled).by is EndedBy.place_ended


async def test_who_buys_is_served(room: Room, world: World) -> None:
    await room.join("ann")
    await room.tick()
    await room.claim(1)
    world.time.at = moment(room.clock.redis_ms)
    (outcome,) = await world.do(hold("h1", [0, 1], number=1))
    assert outcome.reservation is not None
    await world.send(confirm("c1", outcome.reservation.id))
    await allocate(room, world)
    trace = await trace_of(room, 1)
    assert trace.standing is Standing.served
    steps = [What.joined, What.admitted, What.claimed, What.reserved, What.paid, What.served]
    assert sorted(step.what for step in trace.steps) == sorted(steps)
    assert only(trace, What.paid).amount == 200


async def test_a_hold_that_ran_out_and_money_that_came_too_late(room: Room, world: World) -> None:
    await room.join("ann")
    await room.tick()
    await room.claim(1)
    world.time.at = moment(room.clock.redis_ms)
    (outcome,) = await world.do(hold("h1", [0], number=1))
    assert outcome.reservation is not None
    room.clock.pass_ms(301_000)
    late = outcome.reservation.id
    await world.send(Expire(id=f"expire:{late}", reservation_id=late), confirm("c1", late))
    await allocate(room, world)
    trace = await trace_of(room, 1)
    assert only(trace, What.paid_too_late).amount == 100
    assert only(trace, What.refund_due).at is None


async def test_a_part_that_goes_back_is_no_payment_that_came_too_late(room: Room, world: World) -> None:
    await room.join("ann")
    await room.tick()
    await room.claim(1)
    world.time.at = moment(room.clock.redis_ms)
    (outcome,) = await world.do(hold("h1", [0, 1], number=1))
    assert outcome.reservation is not None
    bought = outcome.reservation.id
    await world.do(confirm("c1", bought), Cancel(id="x", reservation_id=bought, seat_ids=["s0"]))
    trace = await trace_of(room, 1)
    assert (only(trace, What.paid).amount, only(trace, What.refund_due).amount) == (100, 100)
    assert only(trace, What.reserved).seats == 1
    assert What.paid_too_late not in {step.what for step in trace.steps}


async def test_a_loss_of_redis_and_the_way_back(room: Room) -> None:
    await room.crowd(4)
    await room.tick()
    await room.redis.flushall()
    room.clock.pass_ms(1_000)
    await room.make_again(number=100, bound=200, cursor=0, state=RoomState.recovering, recover_ms=30_000)
    lost_at = moment(room.clock.redis_ms)
    trace = await trace_of(room, 3)
    assert trace.standing is Standing.set_aside
    assert trace.steps == [Step(at=lost_at, source=Source.room_log, what=What.room_lost)]
    assert trace.gaps == [Gap(missing=Missing.log_cut, since=lost_at)]

    room.clock.pass_ms(1_000)
    await room.restore((3, "h3"), (4, ""))
    trace = await trace_of(room, 3)
    assert (trace.standing, trace.ahead, only(trace, What.joined).at) == (Standing.waiting, 0, lost_at)
    assert only(trace, What.restored).at == moment(room.clock.redis_ms)
    trace = await trace_of(room, 4)
    assert (trace.standing, only(trace, What.not_restored).source) == (Standing.left, Source.room_log)


async def test_steps_that_the_log_no_longer_has_are_told_from_the_keys_without_a_time(room: Room) -> None:
    await room.crowd(3)
    await room.tick()
    await room.claim(2)
    await room.leave(3)
    room.clock.pass_ms(1_000)
    await room.change(rate=20)
    await room.redis.xtrim(redis_keys.room_log(EVENT), maxlen=1, approximate=False)
    gap = Gap(missing=Missing.log_cut, since=moment(room.clock.redis_ms))
    for number, standing, what in (
        (1, "admitted", What.admitted),
        (2, "claimed", What.claimed),
        (3, "left", What.left),
    ):
        trace = await trace_of(room, number)
        assert (trace.standing, trace.gaps) == (Standing(standing), [gap])
        assert (only(trace, what).at, only(trace, what).source) == (None, Source.redis)
        assert only(trace, What.joined).at is None


async def test_the_samples_of_the_line_tell_when_a_number_joined_that_the_log_forgot(room: Room) -> None:
    await room.crowd(3)
    marks = redis_keys.of_epoch(EVENT, 1, "marks")
    await room.redis.rpush(marks, f"{START_MS}:2:0", f"{START_MS + 1_000}:3:0")  # type: ignore[misc]  # redis-py types it for both clients
    joined = only(await trace_of(room, 3), What.joined)
    assert (joined.after, joined.at) == (moment(START_MS), moment(START_MS + 1_000))


async def test_the_log_is_read_page_by_page_up_to_a_limit(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_history, "LOG_PAGE", 2)
    await room.crowd(1)
    for _ in range(5):
        await room.change(rate=20)
    assert (await trace_of(room, 1)).gaps == []
    monkeypatch.setattr(number_history, "LOG_SCANNED_MAX", 4)
    assert [gap.missing for gap in (await trace_of(room, 1)).gaps] == [Missing.log_cut]


async def test_a_number_of_a_line_that_was_closed_is_of_its_epoch(room: Room) -> None:
    await room.crowd(3)
    await room.tick()
    await room.claim(1)
    await room.change(state="closed")
    assert (await trace_of(room, 1)).standing is Standing.line_over
    await room.change(state="open")
    room.epoch = 2
    await room.crowd(2, first=10)
    await room.tick()
    old, new = await trace_of(room, 1), await trace_of(room, 4)
    assert (old.epoch, old.standing, old.ahead) == (1, Standing.line_over, None)
    assert (new.epoch, new.standing) == (2, Standing.admitted)
    assert [what for what, _ in told(old)] == [What.joined, What.admitted, What.claimed]
    await room.redis.delete(*(await room.redis.keys(redis_keys.of_epoch(EVENT, 1, "*"))))
    assert [gap.missing for gap in (await trace_of(room, 1)).gaps] == [Missing.keys_deleted]


async def test_a_number_that_nobody_has_is_refused_with_the_last_one_given(room: Room) -> None:
    await room.crowd(3)
    for number in (0, -1, 4, 10**30):
        with pytest.raises(NumberNeverGiven) as refused:
            await trace_of(room, number)
        assert (refused.value.number, refused.value.last) == (number, 3)


async def test_an_event_that_nobody_made_has_no_room(room: Room) -> None:
    with pytest.raises(UnknownRoom):
        await tracing.trace(Rooms(room.redis, room.scripts), room.db, "nothing", 1, moment(START_MS))


async def test_without_redis_what_sql_has_is_told(room: Room, world: World) -> None:
    await room.join("ann", wish=PAIR)
    await room.seen(1)
    await room.tick()
    await allocate(room, world)
    async with Redis(unix_socket_path="/nowhere") as away:
        rooms = Rooms(away, RoomScripts(away, TIMING))
        trace = await tracing.trace(rooms, room.db, EVENT, 1, moment(room.clock.redis_ms))
        assert (trace.standing, trace.epoch, trace.is_whole) == (Standing.unknown, 1, False)
        assert [what for what, _ in told(trace)] == [What.reserved]
        assert trace.gaps == [Gap(missing=Missing.redis_away)]
        with pytest.raises(NumberNeverGiven) as refused:
            await tracing.trace(rooms, room.db, EVENT, 1_001, moment(START_MS))
        assert refused.value.last == 1_000  # the numbers that may have been given
        with pytest.raises(StoresAway):
            await tracing.trace(rooms, open_database("sqlite+aiosqlite:////nowhere/tiketi.db"), EVENT, 1, moment(0))


async def test_without_the_database_what_redis_has_is_told(room: Room) -> None:
    await room.crowd(1)
    await room.tick()
    trace = await trace_of(room, 1, open_database("sqlite+aiosqlite:////nowhere/tiketi.db"))
    assert (trace.standing, trace.is_whole) == (Standing.admitted, False)
    assert trace.gaps == [Gap(missing=Missing.database_away)]


async def test_no_step_names_a_holder(room: Room, world: World) -> None:
    await room.join("secret-ann", wish=PAIR)
    await room.seen(1)
    await room.tick()
    await allocate(room, world)
    await room.claim(1)
    await room.leave(1)
    assert b"secret-ann" not in msgspec.json.encode(await trace_of(room, 1))


async def test_answers_that_the_lane_deleted_are_said_to_be_missing(room: Room, world: World) -> None:
    await room.join("ann", wish=PAIR)
    await room.seen(1)
    await room.tick()
    await allocate(room, world)
    await room.claim(1)
    await room.leave(1)
    await allocate(room, world)
    room.clock.pass_ms(2 * 86_400_000)
    now = moment(room.clock.redis_ms)
    await seats.prune_commands(room.db, now)
    trace = await trace_of(room, 1)
    assert only(trace, What.reservation_cancelled).by is EndedBy.unknown
    assert trace.gaps == [Gap(missing=Missing.answers_deleted, since=now - timedelta(days=1))]
