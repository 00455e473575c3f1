"""Holds without a line that are live at once: so many of one holder and of one address, whatever there was before."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy import select, update

from app.lane.commands import Cancel, Command, Expire, Hold, Outcome, OutcomeStatus
from app.lane.live_holds import HoldsMax
from app.ledger.tables.events import events
from app.ledger.tables.reservations import reservations
from tests.lane.world import EVENT, HOLD_FOR, World, confirm, hold

HOME, OFFICE = "0a" * 8, "0b" * 8
HELD, TOO_MANY = OutcomeStatus.held, OutcomeStatus.too_many_holds


@pytest.fixture
async def open_world(world: World) -> World:
    """An event whose buyers may have any number of seats; two holds of a holder and three of an address may be live."""
    async with world.db.write() as tx:
        await tx.execute(update(events).where(events.c.id == EVENT).values(seats_per_buyer=None))
    world.holds_max = HoldsMax(per_holder=2, per_address=3)
    return world


def asks(idx: int, holder: str, network: str = HOME) -> Hold:
    return replace(hold(f"h{idx}", [idx], holder=holder), network=network)


def made(outcome: Outcome) -> str:
    assert outcome.reservation is not None, outcome
    return outcome.reservation.id


async def networks(world: World) -> list[str | None]:
    async with world.db.read() as tx:
        return list((await tx.execute(select(reservations.c.network).order_by(reservations.c.id))).scalars())


async def test_so_many_holds_of_one_holder_and_of_one_address_are_live(open_world: World) -> None:
    asked = [asks(0, "ann"), asks(1, "ann"), asks(2, "ann"), asks(3, "bob"), asks(4, "cat"), asks(5, "cat", OFFICE)]
    outcomes = await open_world.do(*asked)
    assert [one.status for one in outcomes] == [HELD, HELD, TOO_MANY, HELD, TOO_MANY, HELD]


@pytest.mark.parametrize("way", ["cancelled", "paid", "expired"])
async def test_what_ends_makes_room_at_once_and_the_address_is_forgotten(open_world: World, way: str) -> None:
    first, _ = await open_world.do(asks(0, "ann"), asks(1, "ann"))
    assert await networks(open_world) == [HOME, HOME]
    (refused,) = await open_world.do(asks(2, "ann"))
    assert refused.status is TOO_MANY
    name = made(first)
    ends: dict[str, Command] = {
        "cancelled": Cancel(id="end", reservation_id=name, holder="ann"),
        "paid": confirm("end", name),
        "expired": Expire(id="end", reservation_id=name),
    }
    open_world.time.pass_s(HOLD_FOR.total_seconds())
    _, again, over = await open_world.do(ends[way], asks(2, "ann"), asks(3, "ann"))
    assert (again.status, over.status) == (HELD, TOO_MANY), "a refusal is not kept for the command's id"
    assert sorted(await networks(open_world), key=str) == sorted([HOME, HOME, None], key=str)


async def test_another_allocator_counts_what_is_live_as_well(open_world: World) -> None:
    """Each `do` has one of its own, which reads the reservations from SQL."""
    for idx, holder in enumerate(("ann", "bob", "cat")):
        assert (await open_world.do(asks(idx, holder)))[0].status is HELD
    assert (await open_world.do(asks(3, "dan")))[0].status is TOO_MANY


async def test_it_is_said_when_the_first_of_them_ends(open_world: World) -> None:
    await open_world.do(asks(0, "ann"))
    open_world.time.pass_s(100)
    await open_world.do(asks(1, "ann"))
    (refused,) = await open_world.do(asks(2, "ann"))
    assert refused.wait_s == (HOLD_FOR - timedelta(seconds=100)).total_seconds()
    open_world.time.pass_s(HOLD_FOR.total_seconds())
    (overdue,) = await open_world.do(asks(3, "ann"))
    assert overdue.wait_s == 1, "both are about to be ended"


async def test_places_in_line_and_addresses_that_do_not_count_have_no_such_limit(open_world: World) -> None:
    free = [hold(f"f{idx}", [idx], holder="ann") for idx in range(4)]
    in_line = [hold(f"l{idx}", [idx], holder="ann", number=idx) for idx in range(4, 8)]
    assert {one.status for one in await open_world.do(*free, *in_line)} == {HELD}
    at_home = await open_world.do(*(asks(idx, "bob") for idx in range(8, 11)))
    (at_the_box_office,) = await open_world.do(hold("f11", [11], holder="bob"))
    assert [one.status for one in (*at_home, at_the_box_office)] == [HELD, HELD, TOO_MANY, HELD]
