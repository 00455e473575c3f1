"""The waiting list in the lane: freed seats are offered to it in order before anybody else gets at them, and no seat is
offered twice or lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from app.domain.reservation import SeatStatus
from app.domain.waitlist import ListState
from app.domain.wish import Wish
from app.lane.commands import Cancel, Hold, OutcomeStatus
from app.ledger import reservations, waitlist
from app.ledger.tables.events import events as events_table
from tests.lane.audit import broken
from tests.lane.world import EVENT, HOLD_FOR, World, confirm, hold, wishing
from workers.offerer import Offerer
from workers.sweeper import Sweeper

pytestmark = pytest.mark.both_databases

ALL = range(12)


def offerer(world: World) -> Offerer:
    return Offerer(redis=world.redis, db=world.db, wake=world.wake, now=world.time.now)


async def listed(world: World, holder: str, quantity: int = 1, *grades: str) -> waitlist.Entry:
    entry, new = await waitlist.join(world.db, EVENT, holder, Wish(quantity=quantity, grades=grades), world.time.at)
    assert new
    return entry


async def state(world: World, holder: str) -> waitlist.Entry:
    entry = await waitlist.own(world.db, EVENT, [holder])
    assert entry is not None
    return entry


async def sold_out(world: World) -> list[str]:
    """Every seat bought, one reservation each; their ids by seat."""
    held = await world.do(*(hold(f"h{idx}", [idx], holder=f"old{idx}") for idx in ALL))
    ids = [outcome.reservation.id for outcome in held if outcome.reservation]
    await world.do(*(confirm(f"c{name}", name, holder=f"old{idx}") for idx, name in enumerate(ids)))
    return ids


def freeing(*names: str) -> list[Cancel]:
    return [Cancel(id=f"x{name}", reservation_id=name) for name in names]


async def test_a_freed_seat_is_held_for_the_first_on_the_list_in_the_same_batch(world: World) -> None:
    ids = await sold_out(world)
    for holder in ("ann", "bob"):
        await listed(world, holder)
    await world.do(*freeing(ids[3]), wishing("sniper", 1, holder="eve"))
    ann, bob = await state(world, "ann"), await state(world, "bob")
    assert (ann.state, bob.state, bob.place) == (ListState.offered, ListState.waiting, 1)
    assert ann.reservation_id
    offer = await reservations.get(world.db, ann.reservation_id)
    assert offer
    assert (offer.holder, offer.seats) == ("ann", (3,))
    assert (await world.answers())["sniper"][-1].status is OutcomeStatus.unavailable
    assert await broken(world.db) == []


async def test_nobody_gets_at_a_seat_that_fits_the_list_even_by_its_name(world: World) -> None:
    ids = await sold_out(world)
    await listed(world, "ann")
    _, sniped = await world.do(*freeing(ids[3]), hold("sniper", [3], holder="eve"))
    assert sniped.status is OutcomeStatus.unavailable


async def test_a_wish_that_does_not_fit_waits_and_holds_up_nobody(world: World) -> None:
    ids = await sold_out(world)
    await listed(world, "many", 3)
    await listed(world, "picky", 1, "S")
    await listed(world, "ann", 1, "R")
    await world.do(*freeing(ids[0], ids[1]), wishing("line", 1, holder="eve"))
    assert [(await state(world, name)).state.value for name in ("many", "picky", "ann")] == [
        "waiting",
        "waiting",
        "offered",
    ]
    assert (await world.answers())["line"][-1].status is OutcomeStatus.held  # what fits nobody on the list is free


async def test_seats_go_to_the_list_in_the_order_of_joining(world: World) -> None:
    ids = await sold_out(world)
    names = [f"p{number}" for number in range(5)]
    for name in names:
        await listed(world, name)
    for count, name in enumerate(ids[:5], 1):
        await world.do(*freeing(name))
        offered = [holder for holder in names if (await state(world, holder)).state is ListState.offered]
        assert offered == names[:count]


async def test_a_lapsed_offer_goes_to_the_next(world: World) -> None:
    ids = await sold_out(world)
    await listed(world, "ann")
    await listed(world, "bob")
    await world.do(*freeing(ids[0]))
    world.time.pass_s(HOLD_FOR.total_seconds())
    await Sweeper(redis=world.redis, db=world.db, wake=world.wake, now=world.time.now).sweep()
    await world.allocator().run(EVENT)
    assert (await state(world, "ann")).state is ListState.lapsed
    assert (await state(world, "bob")).state is ListState.offered
    assert await waitlist.settle(world.db, [EVENT], world.time.at) == 1
    assert await waitlist.settle(world.db, [EVENT], world.time.at) == 0
    assert (await state(world, "ann")).state is ListState.lapsed


async def test_an_offer_that_is_paid_is_bought(world: World) -> None:
    ids = await sold_out(world)
    entry = await listed(world, "ann")
    await world.do(*freeing(ids[0]))
    offered = await state(world, "ann")
    assert offered.reservation_id
    (paid,) = await world.do(confirm("pay", offered.reservation_id, holder="ann", reference="p2"))
    assert paid.status is OutcomeStatus.confirmed
    await waitlist.settle(world.db, [EVENT], world.time.at)
    assert ((await state(world, "ann")).state, (await state(world, "ann")).id) == (ListState.bought, entry.id)
    assert await broken(world.db) == []


async def test_an_offer_lasts_longer_than_a_hold_where_it_shall(world: World) -> None:
    ids = await sold_out(world)
    await listed(world, "ann")
    allocator = world.allocator()
    allocator.offer_for = timedelta(seconds=900)
    await world.send(*freeing(ids[0]))
    await allocator.run(EVENT)
    assert (await state(world, "ann")).offer_ends_at == world.time.at + timedelta(seconds=900)


async def test_the_list_is_served_once_however_many_workers_look(world: World) -> None:
    await listed(world, "ann", 2)
    for _ in range(3):
        assert await offerer(world).round() <= 1
    await world.allocator().run(EVENT)
    await world.allocator().run(EVENT)
    assert (await world.statuses()).count(bytes([SeatStatus.held])) == 2
    assert (await state(world, "ann")).state is ListState.offered
    assert await offerer(world).round() == 0


async def test_who_left_the_list_is_offered_nothing(world: World) -> None:
    ids = await sold_out(world)
    entry = await listed(world, "ann")
    assert await waitlist.leave(world.db, entry.id, world.time.at)
    assert not await waitlist.leave(world.db, entry.id, world.time.at)
    await world.do(*freeing(ids[0]))
    assert (await world.statuses())[0] == SeatStatus.available


@pytest.mark.parametrize("over", ["cancelled_at", "closes_at"])
async def test_the_list_of_an_event_that_is_over_ends_and_is_offered_nothing(world: World, over: str) -> None:
    ids = await sold_out(world)
    await listed(world, "ann")
    world.time.pass_s(3600)
    async with world.db.write() as tx:
        await tx.execute(update(events_table).values({over: world.time.at}))
    await world.do(*freeing(ids[0]))
    assert (await world.statuses())[0] == SeatStatus.available
    assert await waitlist.settle(world.db, [EVENT], world.time.at) == 1
    assert (await state(world, "ann")).state is ListState.ended


async def test_one_live_entry_per_holder_and_a_list_that_is_full_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await listed(world, "ann")
    again, new = await waitlist.join(world.db, EVENT, "ann", Wish(quantity=4), world.time.at)
    assert (again.id, new, again.wish.quantity) == (first.id, False, 1)
    monkeypatch.setattr(waitlist, "WAITING_MAX", 1)
    with pytest.raises(waitlist.ListFull):
        await waitlist.join(world.db, EVENT, "bob", Wish(quantity=1), world.time.at)
    await waitlist.leave(world.db, first.id, world.time.at)
    await listed(world, "bob")


async def test_a_batch_repeated_after_a_crash_offers_nothing_twice(world: World) -> None:
    ids = await sold_out(world)
    await listed(world, "ann")
    await listed(world, "bob")
    commands = freeing(ids[0])
    await world.do(*commands)
    await world.do(*commands)  # as another allocator does whose predecessor died before it took them off the lane
    assert [(await state(world, name)).state.value for name in ("ann", "bob")] == ["offered", "waiting"]
    assert await broken(world.db) == []


async def test_a_hold_of_somebody_on_the_list_does_not_take_what_they_are_offered(world: World) -> None:
    ids = await sold_out(world)
    await listed(world, "ann", 2)
    wish = Wish(quantity=2)
    second = (await world.do(*freeing(ids[0], ids[1]), Hold(id="own", holder="ann", wish=wish)))[-1]
    assert second.status is OutcomeStatus.unavailable
    assert (await state(world, "ann")).state is ListState.offered


async def test_a_list_that_nothing_fits_writes_no_line_however_often_it_is_looked_at(world: World) -> None:
    ids = await sold_out(world)
    await listed(world, "ann")
    with capture_logs() as logged:
        for _ in range(3):
            world.time.pass_s(1)
            await offerer(world).round()
            await world.allocator().run(EVENT)
    assert [line for line in logged if line["log_level"] != "debug"] == []
    assert [line["commands"] for line in logged if line["event"] == "allocate"] == [1, 1, 1], "it was looked at"
    with capture_logs() as logged:
        await world.do(*freeing(ids[3]))
    assert [line["log_level"] for line in logged if line["event"] == "allocate"] == ["info"]
