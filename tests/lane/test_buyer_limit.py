"""Seats per person: what one person holds and has bought of an event, under all of their holder ids, in all
reservations, with a line or without, stays within the event's limit."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from app.domain.waitlist import ListState
from app.domain.wish import Wish
from app.lane.commands import Cancel, OutcomeStatus
from app.ledger import users, waitlist
from app.ledger.tables.events import events
from tests.lane.world import EVENT, START, World, confirm, hold, wishing

ACCOUNT = "u_ann"


async def limit(world: World, seats: int | None) -> None:
    async with world.db.write() as tx:
        await tx.execute(update(events).where(events.c.id == EVENT).values(seats_per_buyer=seats))


async def account(world: World, *browsers: str) -> str:
    """An account that took over these browsers; its own holder id."""
    made = users.User(id=ACCOUNT, email="a@b.example", name="Ann", role="buyer", password_hash="x", created_at=START)
    assert await users.add(world.db, made)
    for browser in browsers:
        assert await users.link_holder(world.db, browser, ACCOUNT, START)
    return users.own_holder(ACCOUNT)


async def test_who_asks_for_seat_after_seat_gets_eight_of_an_event_that_says_nothing_else(world: World) -> None:
    outcomes = await world.do(*(hold(f"h{idx}", [idx]) for idx in range(12)))
    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.held] * 8 + [OutcomeStatus.buyer_limit] * 4
    assert sum(await world.statuses()) == 8


async def test_over_the_limit_it_is_said_how_many_more_are_possible(world: World) -> None:
    await limit(world, 4)
    _, refused, fits = await world.do(hold("a", [0, 1, 2]), wishing("b", 2), wishing("c", 1))
    assert (refused.status, refused.may_add) == (OutcomeStatus.buyer_limit, 1)
    assert fits.status is OutcomeStatus.held


async def test_what_was_bought_counts_and_what_was_given_back_does_not(world: World) -> None:
    await limit(world, 3)
    (first,) = await world.do(hold("a", [0, 1]))
    assert first.reservation
    sold, refused = await world.do(confirm("b", first.reservation.id), hold("c", [2, 3]))
    assert (sold.status, refused.status) == (OutcomeStatus.confirmed, OutcomeStatus.buyer_limit)
    _, held = await world.do(Cancel(id="d", reservation_id=first.reservation.id), hold("e", [2, 3]))
    assert held.status is OutcomeStatus.held


async def test_places_in_line_of_one_holder_share_the_limit(world: World) -> None:
    await limit(world, 3)
    outcomes = await world.do(hold("a", [0, 1], number=1), hold("b", [2, 3], number=2), hold("c", [2], number=3))
    assert [one.status for one in outcomes] == [OutcomeStatus.held, OutcomeStatus.buyer_limit, OutcomeStatus.held]


async def test_an_account_and_the_browsers_it_took_over_are_one_person(world: World) -> None:
    await limit(world, 4)
    own = await account(world, "phone", "laptop")
    outcomes = await world.do(
        hold("a", [0], holder="phone"),
        hold("b", [1], holder="laptop"),
        hold("c", [2, 3, 4], holder=own),
        hold("d", [2, 3], holder=own),
        hold("e", [4], holder="phone"),
        hold("f", [5, 6, 7, 8], holder="somebody else"),
    )
    over, held = OutcomeStatus.buyer_limit, OutcomeStatus.held
    assert [outcome.status for outcome in outcomes] == [held, held, over, held, over, held]


async def test_the_limit_survives_another_allocator_and_counts_what_sql_knows(world: World) -> None:
    await limit(world, 2)
    await world.do(hold("a", [0]))
    await world.do(hold("b", [1]))  # `do` takes a new allocator, which reads SQL
    (refused,) = await world.do(hold("c", [2]))
    assert refused.status is OutcomeStatus.buyer_limit


async def test_an_event_without_a_limit_sells_everything_to_one_person(world: World) -> None:
    await limit(world, None)
    (outcome,) = await world.do(hold("a", range(12)))
    assert outcome.status is OutcomeStatus.held


async def test_a_limit_that_was_lowered_takes_nothing_away(world: World) -> None:
    (first,) = await world.do(hold("a", range(6)))
    await limit(world, 2)
    (refused,) = await world.do(hold("b", [7]))
    assert first.reservation
    assert (refused.status, refused.may_add) == (OutcomeStatus.buyer_limit, 0)
    (paid,) = await world.do(confirm("c", first.reservation.id))
    assert paid.status is OutcomeStatus.confirmed


async def test_the_same_command_gets_the_same_refusal(world: World) -> None:
    await limit(world, 1)
    first, again = await world.do(hold("a", [0, 1]), hold("a", [0, 1]))
    assert first == again


@pytest.mark.parametrize("by_account", [False, True])
async def test_the_waiting_list_offers_a_person_no_more_than_the_limit(world: World, by_account: bool) -> None:
    await limit(world, 2)
    who = await account(world, "phone") if by_account else "phone"
    full = await world.do(*(hold(f"f{idx}", [idx], holder=f"old{idx}") for idx in range(10)))
    await world.do(hold("a", [10, 11], holder="phone"))
    await waitlist.join(world.db, EVENT, who, Wish(quantity=1), world.time.now())
    await waitlist.join(world.db, EVENT, "bob", Wish(quantity=1), world.time.now())
    freed = [Cancel(id=f"x{idx}", reservation_id=full[idx].reservation.id) for idx in (0, 1)]  # type: ignore[union-attr]
    await world.do(*freed)
    greedy, bob = [await waitlist.own(world.db, EVENT, [each]) for each in (who, "bob")]
    assert greedy
    assert bob
    assert (greedy.state, bob.state) == (ListState.waiting, ListState.offered)
