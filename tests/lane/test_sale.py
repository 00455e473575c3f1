"""The lane keeps the sale window: to the second, by the allocator's clock, and nothing is sold outside of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from app.domain.reservation import ReservationStatus
from app.lane.commands import Cancel, OutcomeStatus
from app.ledger import events
from app.ledger.database import Database
from tests.lane.world import START, World, confirm, hold, spec

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def world(redis: Redis, ledger: Database) -> World:
    """On sale for one minute, from START + 1 min on."""
    sold = replace(spec(), opens_at=START + MINUTE, closes_at=START + 2 * MINUTE)
    await events.create(ledger, sold, START)
    return World(redis, ledger)


@pytest.mark.parametrize(
    ("seconds", "status"),
    [
        (0, OutcomeStatus.not_on_sale),
        (59.999, OutcomeStatus.not_on_sale),
        (60, OutcomeStatus.held),
        (119.999, OutcomeStatus.held),
        (120, OutcomeStatus.not_on_sale),
        (9_999, OutcomeStatus.not_on_sale),
    ],
)
async def test_seats_are_held_from_the_first_moment_of_a_sale_to_its_last(
    world: World, seconds: float, status: OutcomeStatus
) -> None:
    world.time.pass_s(seconds)
    (outcome,) = await world.do(hold("h1", [0]))
    assert outcome.status is status


async def test_who_asked_too_early_may_ask_again_with_the_same_id(world: World) -> None:
    (outcome,) = await world.do(hold("h1", [0]))
    assert outcome.status is OutcomeStatus.not_on_sale
    world.time.pass_s(60)
    (outcome,) = await world.do(hold("h1", [0]))
    assert outcome.status is OutcomeStatus.held


async def test_what_is_held_as_the_sale_ends_may_still_be_paid(world: World) -> None:
    world.time.pass_s(119)
    (held,) = await world.do(hold("h1", [0]))
    assert held.reservation is not None
    world.time.pass_s(60)
    (outcome,) = await world.do(confirm("c1", held.reservation.id))
    assert outcome.status is OutcomeStatus.confirmed


async def test_what_is_paid_can_be_given_back_until_the_event_begins_and_then_by_an_admin(world: World) -> None:
    world.time.pass_s(60)
    names = []
    for seat, holder in enumerate(("ann", "ben")):
        (held,) = await world.do(hold(f"h{seat}", [seat], holder=holder))
        assert held.reservation is not None
        names.append(held.reservation.id)
    paid, pending = names
    await world.do(confirm("c1", paid))
    world.time.at = spec().starts_at
    by_buyer = Cancel(id="x", reservation_id=paid, holder="ann")
    (refused,) = await world.do(by_buyer)
    assert refused.status is OutcomeStatus.event_begun
    (ended,) = await world.do(Cancel(id="y", reservation_id=pending, holder="ben"))
    assert ended.status is OutcomeStatus.cancelled
    world.time.at = spec().starts_at - timedelta(microseconds=1)
    (given_back,) = await world.do(by_buyer)
    assert given_back.status is OutcomeStatus.cancelled, "the event was moved: its id is not spent"


async def test_an_admin_gives_money_back_whenever_they_want(world: World) -> None:
    world.time.pass_s(60)
    (held,) = await world.do(hold("h1", [0]))
    assert held.reservation is not None
    await world.do(confirm("c1", held.reservation.id))
    world.time.at = spec().starts_at
    (outcome,) = await world.do(Cancel(id="x", reservation_id=held.reservation.id))
    assert outcome.reservation is not None
    assert outcome.reservation.status is ReservationStatus.refunded
