"""What buyers get from the lane, through the real allocator, Redis and SQLite."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis
from sqlalchemy import select, update
from structlog.testing import capture_logs

from app import redis_keys
from app.domain.reservation import ReservationStatus
from app.domain.seatvalues import PRICE_MAX
from app.lane.commands import Cancel, Expire, Outcome, OutcomeStatus, ReleasePlace
from app.ledger import events, origins, reservations, statistics
from app.ledger.database import Database
from app.ledger.tables.events import seats
from app.ledger.tables.payments import payments
from app.ledger.tables.reservations import reservation_seats
from tests.lane.world import EVENT, HOLD_FOR, START, World, confirm, hold, spec, wishing
from tests.ledger.calls import BY, ORIGIN, ORIGIN_ROOM
from workers.allocator import StopReason

pytestmark = pytest.mark.both_databases


def held_id(outcome: Outcome) -> str:
    assert outcome.reservation is not None, outcome
    return outcome.reservation.id


async def test_a_hold_sets_its_seats_aside_until_it_expires(world: World) -> None:
    (outcome,) = await world.do(hold("a", [1, 2], number=7))
    assert outcome.status is OutcomeStatus.held
    stored = await reservations.get(world.db, held_id(outcome))
    assert stored is not None
    assert (stored.seats, stored.total_price, stored.number) == ((1, 2), 200, 7)
    assert stored.expires_at == world.time.now() + HOLD_FOR
    assert (await world.statuses())[:4] == bytes([0, 1, 1, 0])


async def test_a_hold_takes_all_its_seats_or_none(world: World) -> None:
    first, second = await world.do(hold("a", [2]), hold("b", [1, 2, 3], holder="bob"))
    assert first.status is OutcomeStatus.held
    assert second.status is OutcomeStatus.unavailable
    assert second.left == {"R": 5, "S": 6}
    assert (await world.statuses())[:4] == bytes([0, 0, 1, 0])


async def test_a_seat_that_does_not_exist_is_named_as_such(world: World) -> None:
    outcomes = await world.do(*[hold(f"h{i}", [i]) for i in (12, 999)])
    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.unknown_seat] * 2


async def test_of_a_hundred_contenders_for_one_seat_exactly_one_gets_it(world: World) -> None:
    outcomes = await world.do(*[hold(f"h{i}", [4], holder=f"buyer{i}", number=i) for i in range(1, 101)])
    statuses = [outcome.status for outcome in outcomes]
    assert statuses == [OutcomeStatus.held] + [OutcomeStatus.unavailable] * 99


async def test_a_wish_gets_the_best_seats_of_the_first_grade_that_has_them(world: World) -> None:
    first, second = await world.do(wishing("a", 4, ["R", "S"]), wishing("b", 3, ["R", "S"], holder="bob"))
    assert first.reservation is not None
    assert second.reservation is not None
    assert all(idx < 6 for idx in first.reservation.seats)
    assert all(idx >= 6 for idx in second.reservation.seats)


async def test_a_place_in_line_holds_one_reservation_at_a_time(world: World) -> None:
    first, second = await world.do(hold("a", [0], number=3), hold("b", [1], number=3))
    assert second.status is OutcomeStatus.already_holding
    assert held_id(second) == held_id(first)
    _, third = await world.do(Cancel(id="c", reservation_id=held_id(first)), hold("d", [1], number=3))
    assert third.status is OutcomeStatus.held


async def test_without_a_line_a_holder_may_hold_several_times(world: World) -> None:
    first, second = await world.do(hold("a", [0]), wishing("b", 2))
    assert (first.status, second.status) == (OutcomeStatus.held, OutcomeStatus.held)
    assert held_id(second) != held_id(first)


async def test_a_paid_hold_is_sold_and_ends_the_buyers_turn(world: World) -> None:
    (held,) = await world.do(hold("a", [0, 1], number=3))
    (sold,) = await world.do(confirm("b", held_id(held)))
    assert sold.status is OutcomeStatus.confirmed
    assert (await world.statuses())[:2] == bytes([2, 2])
    assert world.finished == [(EVENT, 1, 3)]
    stored = await reservations.by_number(world.db, EVENT, 1, 3)
    assert stored is not None
    assert (stored.status, stored.reference) == (ReservationStatus.confirmed, "pay-1")


async def test_who_began_to_pay_in_time_is_sold_what_nobody_has_ended(world: World) -> None:
    (held,) = await world.do(hold("a", [0]))
    world.time.pass_s(HOLD_FOR.total_seconds())
    (sold,) = await world.do(confirm("b", held_id(held)))
    assert sold.status is OutcomeStatus.confirmed


async def test_paying_after_the_hold_was_ended_is_too_late(world: World) -> None:
    (held,) = await world.do(hold("a", [0]))
    world.time.pass_s(HOLD_FOR.total_seconds())
    await world.do(Expire(id="x", reservation_id=held_id(held)))
    (late,) = await world.do(confirm("b", held_id(held)))
    assert late.status is OutcomeStatus.no_longer_held
    assert world.finished == []


async def test_only_the_holder_can_pay_or_cancel(world: World) -> None:
    (held,) = await world.do(hold("a", [0]))
    outcomes = await world.do(
        confirm("b", held_id(held), holder="bob"),
        Cancel(id="c", reservation_id=held_id(held), holder="bob"),
        confirm("d", "r_none"),
    )
    assert {outcome.status for outcome in outcomes} == {OutcomeStatus.not_found}
    assert (await world.statuses())[0] == 1


async def test_paying_again_with_the_same_money_changes_nothing(world: World) -> None:
    (held,) = await world.do(hold("a", [0]))
    outcomes = await world.do(confirm("b", held_id(held)), confirm("c", held_id(held)))
    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.confirmed] * 2


async def test_paying_with_other_money_what_is_already_paid_is_given_back(world: World) -> None:
    (held,) = await world.do(hold("a", [0]))
    outcomes = await world.do(confirm("b", held_id(held)), confirm("c", held_id(held), reference="pay-2"))
    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.confirmed, OutcomeStatus.no_longer_held]


async def test_money_that_comes_too_late_is_noted_as_due_back_once_however_often_it_is_told(world: World) -> None:
    (held,) = await world.do(hold("a", [0]))
    world.time.pass_s(HOLD_FOR.total_seconds())
    await world.do(Expire(id="x", reservation_id=held_id(held)))
    for command_id in ("b", "c"):
        (late,) = await world.do(confirm(command_id, held_id(held)))
        assert late.status is OutcomeStatus.no_longer_held
    async with world.db.read() as tx:
        rows = (await tx.execute(select(payments.c.status, payments.c.reference))).all()
    assert [tuple(row) for row in rows] == [("refund_due", "pay-1")]


async def test_cancelling_gives_seats_back_whether_held_or_sold(world: World) -> None:
    first, second = await world.do(hold("a", [0]), hold("b", [1], holder="bob"))
    await world.do(confirm("c", held_id(second), holder="bob"))
    outcomes = await world.do(
        Cancel(id="d", reservation_id=held_id(first), holder="ann"), Cancel(id="e", reservation_id=held_id(second))
    )
    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.cancelled] * 2
    ended = [await reservations.get(world.db, held_id(outcome)) for outcome in outcomes]
    assert [r.status for r in ended if r] == [ReservationStatus.cancelled, ReservationStatus.refunded]
    assert set(await world.statuses()) == {0}


async def test_a_hold_cancelled_and_taken_again_within_one_batch_leaves_one_live_reservation(world: World) -> None:
    (held,) = await world.do(hold("a", [0]))
    cancelled, again = await world.do(Cancel(id="b", reservation_id=held_id(held)), hold("c", [0], holder="bob"))
    assert (cancelled.status, again.status) == (OutcomeStatus.cancelled, OutcomeStatus.held)
    assert (await world.statuses())[0] == 1
    (sold,) = await world.do(confirm("d", held_id(again), holder="bob"))
    assert sold.status is OutcomeStatus.confirmed


async def test_a_place_that_is_over_gives_back_what_it_holds_however_early_it_is_over(world: World) -> None:
    """The buyer leaves before anybody has answered their wish: the hold and its end are in one batch."""
    wished, kept = wishing("a", 2, number=3), hold("b", [11], holder="bob", number=4)
    held, other, dropped = await world.do(wished, kept, ReleasePlace(id="c", epoch=1, number=3))
    assert (held.status, other.status, dropped.status) == ("held", "held", OutcomeStatus.cancelled)
    assert dropped.reservation is not None
    assert dropped.reservation.id == held_id(held)
    assert await world.statuses() == bytes([0] * 11 + [1])
    again, new = await world.do(wished, ReleasePlace(id="d", epoch=1, number=3))
    assert (again, new.status) == (held, OutcomeStatus.not_found), "a repeat holds nothing"


async def test_a_place_that_is_over_keeps_what_is_paid(world: World) -> None:
    (held,) = await world.do(hold("a", [0], number=3))
    outcomes = await world.do(confirm("b", held_id(held)), ReleasePlace(id="c", epoch=1, number=3))
    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.confirmed, OutcomeStatus.no_longer_held]
    assert (await world.statuses())[0] == 2
    assert world.finished == [(EVENT, 1, 3)], "the end of a place ends no turn again"


async def test_a_place_of_an_earlier_line_is_another_place(world: World) -> None:
    await world.do(hold("a", [0], number=3, epoch=2))
    (dropped,) = await world.do(ReleasePlace(id="b", epoch=1, number=3))
    assert dropped.status is OutcomeStatus.not_found
    assert (await world.statuses())[0] == 1


async def test_an_expiry_that_comes_early_changes_nothing_and_may_come_again(world: World) -> None:
    (held,) = await world.do(hold("a", [0]))
    expire = Expire(id=f"expire:{held_id(held)}", reservation_id=held_id(held))
    (early,) = await world.do(expire)
    world.time.pass_s(HOLD_FOR.total_seconds())
    (due,) = await world.do(expire)
    assert (early.status, due.status) == (OutcomeStatus.not_due, OutcomeStatus.expired)
    assert (await world.statuses())[0] == 0


async def test_a_repeated_command_gets_its_first_answer_again(world: World) -> None:
    (first,) = await world.do(hold("a", [0]))
    await world.do(Cancel(id="b", reservation_id=held_id(first)))
    again, twice, twice_again = await world.do(hold("a", [0]), hold("x", [1]), hold("x", [1]))
    assert again == first
    assert twice == twice_again
    assert (await world.statuses())[:2] == bytes([0, 1])


async def test_an_entry_nobody_can_read_does_not_block_the_lane(world: World) -> None:
    await world.redis.xadd(redis_keys.lane(EVENT), {"c": b'{"kind":"hold","id":'})
    await world.redis.xadd(redis_keys.lane(EVENT), {"nonsense": b""})
    (held,) = await world.do(hold("a", [0]))
    assert held.status is OutcomeStatus.held
    assert await world.redis.xlen(redis_keys.lane(EVENT)) == 0


async def test_what_the_store_will_not_have_does_not_block_the_lane_and_harms_nobody_else(world: World) -> None:
    """A batch is written whole or not at all: without a second look one command would keep all the others for ever."""
    allocator = world.allocator()
    ids = iter(["r_a", *["r_a", "r_c"] * 2])  # bob's is one there is already, each time
    allocator.new_reservation_id = lambda: next(ids)
    await world.send(hold("a", [0]))
    await allocator.run(EVENT)
    await world.send(hold("bad", [1], holder="bob"), hold("c", [2], holder="cat"))
    assert await allocator.run(EVENT) is StopReason.drained
    answers = await world.answers()
    assert {name: outcomes[-1].status for name, outcomes in answers.items()} == {
        "a": OutcomeStatus.held,
        "c": OutcomeStatus.held,
    }
    assert (await world.statuses())[:3] == bytes([1, 0, 1])
    await world.send(hold("d", [1], holder="bob"))
    allocator.new_reservation_id = lambda: "r_d"
    assert await allocator.run(EVENT) is StopReason.drained
    assert (await world.answers())["d"][-1].status is OutcomeStatus.held


async def test_seats_that_are_not_as_an_allocator_remembers_are_looked_at_again(world: World) -> None:
    allocator = world.allocator()
    await world.send(hold("a", [0]))
    await allocator.run(EVENT)
    async with world.db.write() as tx:
        await tx.execute(update(seats).where(seats.c.idx == 1).values(status="sold"))
    await world.send(hold("b", [1], holder="bob"), hold("c", [2], holder="cat"))
    assert await allocator.run(EVENT) is StopReason.drained
    answers = await world.answers()
    assert answers["b"][-1].status is OutcomeStatus.unavailable
    assert answers["c"][-1].status is OutcomeStatus.held


async def test_a_hold_costs_as_much_as_its_seats_do_together(redis: Redis, ledger: Database) -> None:
    dear = [events.GradeSpec(name="R", price=PRICE_MAX), events.GradeSpec(name="S", price=PRICE_MAX)]
    await events.create(ledger, replace(spec(rows=2, seats_per_row=30), grades=dear, seats_per_buyer=None), START)
    world = World(redis, ledger)
    (held,) = await world.do(hold("a", range(60)))
    (sold,) = await world.do(confirm("b", held_id(held)))
    assert sold.status is OutcomeStatus.confirmed
    stored = await reservations.get(ledger, held_id(held))
    assert stored is not None
    assert stored.total_price == 60 * PRICE_MAX
    await world.do(Cancel(id="c", reservation_id=held_id(held)))
    assert (await statistics.read(ledger, START)).total.refunded == 60 * PRICE_MAX


async def test_what_an_event_sold_is_added_up_again_when_its_lane_has_written_something(world: World) -> None:
    (held,) = await world.do(hold("a", [0, 1]))
    await world.do(confirm("b", held_id(held)))
    after = START + timedelta(days=9999)  # the sums are kept from the end of the sale on
    first = await statistics.read(world.db, after)
    assert first.total.grades == {"R": (2, 200)}
    async with world.db.write() as tx:
        await tx.execute(update(reservation_seats).values(price=7))
    assert (await statistics.read(world.db, after)).total == first.total, "it was not added up again"
    await world.do(Cancel(id="c", reservation_id=held_id(held)))
    assert (await statistics.read(world.db, after)).total.refunded == 200
    late = confirm("d", held_id(held), reference="late")
    await world.do(late)
    assert (await statistics.read(world.db, after)).total.refunded == 400, "money that came too late counts as well"


async def test_a_lane_of_no_event_is_let_go(world: World) -> None:
    await world.send(hold("a", [0]), event_id="none")
    assert await world.allocator().run("none") is StopReason.unknown_event
    assert not await world.redis.exists(redis_keys.lane_lease("none"))


async def test_an_allocator_takes_on_where_another_left_the_seats(world: World) -> None:
    one, other = world.allocator(), world.allocator()
    for step, allocator in enumerate([one, other, one, other]):
        await world.send(hold(f"h{step}", [step], holder=f"buyer{step}"))
        assert await allocator.run(EVENT) is StopReason.drained
    assert (await world.statuses())[:5] == bytes([1, 1, 1, 1, 0])


async def test_after_its_slice_an_allocator_rings_for_another(world: World) -> None:
    allocator = world.allocator()
    ticks = iter(range(0, 1000, 6))
    allocator.clock = lambda: float(next(ticks))
    await world.send(*[hold(f"h{i}", [0]) for i in range(450)])
    assert await allocator.run(EVENT) is StopReason.sliced
    assert [event_id for event_id, _ in world.woken] == [EVENT]
    assert await world.allocator().run(EVENT) is StopReason.drained
    assert len(await world.answers()) == 450


async def test_a_command_that_raises_anything_at_all_blocks_no_other(world: World) -> None:
    """The second of three fails in the batch, and again by itself."""
    calls = itertools.count(1)

    def new_id() -> str:
        number = next(calls)
        if number in (2, 4):
            raise KeyError("a fault of the program")
        return f"n_{number}"

    await world.send(hold("a", [0]), hold("b", [1]), hold("c", [2]))
    allocator = world.allocator()
    allocator.new_reservation_id = new_id
    await allocator.run(EVENT)
    answers = await world.answers()
    assert (set(answers), list(await world.statuses())[:3]) == ({"a", "c"}, [1, 0, 1])
    assert allocator.work.commands_dropped == 1


async def test_a_room_of_another_site_has_no_seats_to_free(world: World) -> None:
    """Each turn that ends there puts a command on a lane that nobody else would ever empty."""
    await origins.create(world.db, ORIGIN, BY, START)
    await origins.create_room(world.db, ORIGIN_ROOM, BY, START)
    with capture_logs() as logged:
        for number in (1, 2):
            await world.send(ReleasePlace(id=f"r{number}", epoch=1, number=number), event_id=ORIGIN_ROOM.id)
            assert await world.allocator().run(ORIGIN_ROOM.id) is StopReason.no_seats
            assert not await world.redis.exists(redis_keys.lane(ORIGIN_ROOM.id))
        assert [line for line in logged if line["log_level"] == "error"] == []
        assert await world.allocator().run("nowhere") is StopReason.unknown_event
        assert [line["event"] for line in logged] == ["lane_of_unknown_event"]
