"""Cancelling an event: everything reserved of it ends, whatever dies on the way, and nothing new begins."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis
from sqlalchemy import select, update

from app.domain.reservation import ReservationStatus
from app.lane.commands import OutcomeStatus
from app.ledger import editing, events, reservations
from app.ledger.database import Database
from app.ledger.tables.payments import payments as payments_table
from app.ledger.tables.reservations import reservations as reservations_table
from tests.lane.world import EVENT, START, World, confirm, hold, make_world, wishing
from workers import closer as closing
from workers.closer import Closer

BY = events.AdminAction("ann", "event.cancel", {})


@pytest.fixture
async def world(redis: Redis, ledger: Database) -> World:
    return await make_world(redis, ledger)


def closer(world: World) -> Closer:
    return Closer(redis=world.redis, db=world.db, wake=world.wake, now=world.time.now)


async def reserved(world: World, count: int) -> list[str]:
    """`count` reservations of one seat each, every other one paid."""
    held = await world.do(*(hold(f"h{n}", [n], holder=f"buyer{n}") for n in range(count)))
    ids = [outcome.reservation.id for outcome in held if outcome.reservation is not None]
    await world.do(*(confirm(f"c{n}", ids[n], holder=f"buyer{n}", reference=f"pay-{n}") for n in range(0, count, 2)))
    return ids


async def statuses(world: World, ids: list[str]) -> set[ReservationStatus]:
    found = [await reservations.get(world.db, each) for each in ids]
    return {each.status for each in found if each is not None}


async def test_every_reservation_ends_and_every_seat_is_free(world: World) -> None:
    ids = await reserved(world, 6)
    assert await closer(world).close() == 0, "nothing ends before the event is cancelled"
    await editing.cancel(world.db, EVENT, BY, START)
    assert await closer(world).close() == 6
    await world.allocator().run(EVENT)
    assert await statuses(world, ids[::2]) == {ReservationStatus.refunded}
    assert await statuses(world, ids[1::2]) == {ReservationStatus.cancelled}
    assert set(await world.statuses()) == {0}
    assert await closer(world).close() == 0, "nothing is left"


async def test_it_works_in_bounded_slices_and_any_number_of_times(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "CANCELS_MAX", 4)
    ids = await reserved(world, 10)
    await editing.cancel(world.db, EVENT, BY, START)
    sent = await asyncio.gather(closer(world).close(), closer(world).close())
    assert list(sent) == [4, 4], "two workers at once may both send the same"
    for _ in range(3):
        await world.allocator().run(EVENT)
        await closer(world).close()
    await world.allocator().run(EVENT)
    assert await statuses(world, ids) == {ReservationStatus.refunded, ReservationStatus.cancelled}
    refunds = [payment for payment in await payments(world) if payment != "captured"]
    assert len(refunds) == 5, "each payment went back once"


async def test_a_lane_that_is_behind_is_not_filled_with_the_same_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "BACKLOG_MAX", 3)
    await reserved(world, 3)
    await editing.cancel(world.db, EVENT, BY, START)
    assert [await closer(world).close() for _ in range(3)] == [3, 0, 0]


async def test_a_worker_that_dies_between_two_steps_loses_nothing(world: World) -> None:
    """The commands are on the lane but no allocator was woken, or the allocator died before it published."""
    ids = await reserved(world, 4)
    await editing.cancel(world.db, EVENT, BY, START)
    await closer(world).close()
    await world.redis.flushall()  # what was sent is gone with its stream
    await closer(world).close()
    await world.allocator().run(EVENT)
    assert not {status for status in await statuses(world, ids) if status.value in ("pending", "confirmed")}


async def test_nothing_is_reserved_of_a_cancelled_event_however_it_is_asked(world: World) -> None:
    await editing.cancel(world.db, EVENT, BY, START)
    outcomes = await world.do(hold("h1", [0]), wishing("w1", 2, number=1), hold("h2", [1], number=2))
    assert {outcome.status for outcome in outcomes} == {OutcomeStatus.not_on_sale}
    assert set(await world.statuses()) == {0}


async def test_what_was_paid_while_it_was_cancelled_ends_in_the_next_round(world: World) -> None:
    (held,) = await world.do(hold("h1", [0]))
    assert held.reservation is not None
    await editing.cancel(world.db, EVENT, BY, START)
    await world.do(confirm("c1", held.reservation.id))
    await closer(world).close()
    await world.allocator().run(EVENT)
    assert await statuses(world, [held.reservation.id]) == {ReservationStatus.refunded}
    assert "captured" not in await payments(world)


async def test_an_event_that_is_empty_is_not_looked_at_again(world: World) -> None:
    ids = await reserved(world, 2)
    await editing.cancel(world.db, EVENT, BY, START)
    world.time.pass_s(reservations.EMPTIED_AFTER.total_seconds())
    assert await reservations.mark_emptied(world.db, world.time.at) == 0, "it has reservations"
    await closer(world).close()
    await world.allocator().run(EVENT)
    assert await statuses(world, ids) == {ReservationStatus.refunded, ReservationStatus.cancelled}
    assert await reservations.mark_emptied(world.db, world.time.at) == 1
    assert await reservations.mark_emptied(world.db, world.time.at) == 0
    async with world.db.write() as tx:  # it cannot come to this; that it is not seen shows that nobody looks
        await tx.execute(update(reservations_table).values(status=ReservationStatus.confirmed.value))
    assert await closer(world).close() == 0


async def test_an_event_that_was_just_cancelled_is_looked_at_again_though_it_is_empty(world: World) -> None:
    await editing.cancel(world.db, EVENT, BY, START)
    world.time.pass_s(reservations.EMPTIED_AFTER.total_seconds() - 1)
    assert await reservations.mark_emptied(world.db, world.time.at) == 0


async def payments(world: World) -> list[str]:
    async with world.db.read() as tx:
        return list((await tx.execute(select(payments_table.c.status))).scalars())
