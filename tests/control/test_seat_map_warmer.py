"""A process holds the seat maps of sales that are near, and those somebody watches; the rest only while asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from app.control.seat_map_warmer import AHEAD, BEHIND, SeatMapWarmer
from app.lane import seats as lane_seats
from app.lane.outcomes import Outcomes
from app.lane.seats import SeatViews
from app.lane.view import SEAT_BYTES
from app.ledger import editing, events, seat_maps, seats
from app.ledger.database import Database
from tests.lane.world import START, spec

SECOND = timedelta(seconds=1)
MEMORY = 2**30
SALES = {  # event → its sale, around START
    "on": (-SECOND, SECOND),
    "soon": (AHEAD, AHEAD + SECOND),
    "later": (AHEAD + SECOND, AHEAD + 2 * SECOND),
    "just-over": (-2 * BEHIND, -BEHIND),
    "over": (-2 * BEHIND, -BEHIND - SECOND),
    "off": (-SECOND, SECOND),
}


@pytest.fixture
async def db(ledger: Database) -> Database:
    for event_id, (opens, closes) in SALES.items():
        starts_at = START + closes if event_id == "on" else START + timedelta(days=90)
        closes_at = None if event_id == "on" else START + closes
        made = replace(spec(event_id), opens_at=START + opens, closes_at=closes_at, starts_at=starts_at)
        await events.create(ledger, made, START)
    await editing.cancel(ledger, "off", events.AdminAction("ann", "event.cancel", {}), START)
    return ledger


async def test_the_maps_of_sales_that_are_near_are_held_before_anybody_asks(redis: Redis, db: Database) -> None:
    views = SeatViews(redis, lambda event_id: seats.load(db, event_id), Outcomes(), MEMORY)
    warmer = SeatMapWarmer(views, db, lambda: START)
    await warmer.warm(START)
    assert {event_id for event_id in SALES if views.get(event_id)} == {"on", "soon", "just-over"}


async def test_what_is_no_longer_near_is_given_up_unless_it_is_watched(
    redis: Redis, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_seats, "IDLE_S", 0.0)
    views = SeatViews(redis, lambda event_id: seats.load(db, event_id), Outcomes(), MEMORY)
    warmer = SeatMapWarmer(views, db, lambda: START)
    views.watched = lambda: ["over"]
    await warmer.warm(START)
    await views.open("over")
    await views.open("later")
    await warmer.warm(START + BEHIND + 2 * SECOND)
    views._close_idle()
    assert {event_id for event_id in SALES if views.get(event_id)} == {"soon", "later", "over"}


async def test_those_that_open_last_come_first_and_not_without_end(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat_maps, "HELD_MAX", 2)
    assert await seat_maps.sold_between(db, START - BEHIND, START + AHEAD) == {"soon": 12, "on": 12}


async def test_no_map_is_read_before_anybody_asks_that_memory_is_too_small_for(redis: Redis, db: Database) -> None:
    views = SeatViews(redis, lambda event_id: seats.load(db, event_id), Outcomes(), 2 * 12 * SEAT_BYTES)
    await SeatMapWarmer(views, db, lambda: START).warm(START)
    assert views.event_ids == ["on", "soon"]
    assert views.memory_bytes == views.memory_bytes_max


async def test_what_was_asked_for_longest_ago_makes_room_unless_it_is_in_use(
    redis: Redis, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = SeatViews(redis, lambda event_id: seats.load(db, event_id), Outcomes(), 2 * 12 * SEAT_BYTES)
    views.watched = lambda: ["on"]
    for event_id in ("on", "soon", "later", "over"):
        await views.open(event_id)
    views._close_idle()
    assert len(views.event_ids) == 4, "each was asked for a moment ago"
    monkeypatch.setattr(lane_seats, "BUSY_S", 0.0)
    await views.open("soon")
    views._close_idle()
    assert views.event_ids == ["on", "soon"]
