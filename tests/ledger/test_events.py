"""Changing events in the store: guarded, versioned, and what is sold stays as it was sold."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy
from redis.asyncio import Redis

from app.domain.sale import SaleStatus, status_of
from app.ledger import audit_log, editing, events, reservations, room_windows
from app.ledger.database import Database
from app.ledger.editing import Edit, Edited, Refused
from app.ledger.events import AdminAction, GradeSpec, Search
from tests.lane.world import EVENT, START, confirm, hold, make_world, spec

pytestmark = pytest.mark.both_databases

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
BY = AdminAction("ann", "event.edit", {})


@pytest.fixture
async def db(ledger: Database) -> Database:
    await events.create(ledger, spec(), START)
    return ledger


async def test_an_edit_gives_before_and_after_and_counts_up(db: Database) -> None:
    done = await editing.edit(db, EVENT, Edit(values={"title": "New"}, version=1), BY, START)
    assert isinstance(done, Edited)
    assert (done.before.title, done.after.title, done.after.version) == ("Gig", "New", 2)
    assert await events.get(db, EVENT) == done.after
    assert await editing.edit(db, EVENT, Edit(values={"title": "Late"}, version=1), BY, START) is Refused.changed
    assert await events.get(db, EVENT) == done.after


async def test_a_refused_edit_changes_nothing_at_all(db: Database) -> None:
    before = await events.get(db, EVENT)
    wanted = Edit(values={"title": "New"}, grades=[GradeSpec(name="R", price=1)])
    assert await editing.edit(db, EVENT, wanted, BY, START) is Refused.grade_in_use
    assert await editing.edit(db, EVENT, Edit(values={"closes_at": START}), BY, START) is Refused.window_empty
    assert await events.get(db, EVENT) == before


async def test_a_reservation_keeps_the_prices_it_was_made_with(redis: Redis, ledger: Database) -> None:
    world = await make_world(redis, ledger)
    (held,) = await world.do(hold("h1", [0, 6]))
    assert held.reservation is not None
    prices = [GradeSpec(name="R", price=999), GradeSpec(name="S", price=50)]
    done = await editing.edit(ledger, EVENT, Edit(grades=prices), BY, START)
    assert isinstance(done, Edited)
    assert done.map_version == 2
    await world.do(confirm("c1", held.reservation.id))
    kept = await reservations.get(ledger, held.reservation.id)
    assert kept is not None
    assert (kept.prices, kept.total_price) == ((100, 50), 150)


async def test_whoever_holds_after_a_change_of_prices_pays_the_new_ones(redis: Redis, ledger: Database) -> None:
    """The allocator had the old prices in memory: the lane's version moved on, so it reads them anew."""
    world = await make_world(redis, ledger)
    allocator = world.allocator()
    await world.send(hold("h1", [0]))
    await allocator.run(EVENT)
    await editing.edit(
        ledger, EVENT, Edit(grades=[GradeSpec(name="R", price=999), GradeSpec(name="S", price=50)]), BY, START
    )
    await world.send(hold("h2", [1]))
    await allocator.run(EVENT)
    (answer,) = (await world.answers())["h2"]
    assert answer.reservation is not None
    assert answer.reservation.total_price == 999


async def test_a_change_of_words_or_of_an_empty_grade_leaves_the_lane_alone(db: Database) -> None:
    before = await events.seat_snapshot(db, EVENT)
    grades = [GradeSpec(name="R", price=100), GradeSpec(name="S", price=50), GradeSpec(name="VIP", price=7)]
    await editing.edit(db, EVENT, Edit(values={"title": "New"}, grades=grades), BY, START)
    assert await events.seat_snapshot(db, EVENT) == before


async def test_opening_now_moves_only_a_sale_that_is_still_to_come(db: Database) -> None:
    await events.create(db, replace(spec("later"), opens_at=START + HOUR), START)
    assert await room_windows.open_now(db, "later", START)
    event = await events.get(db, "later")
    assert event is not None
    assert (event.opens_at, event.version) == (START, 2)
    assert not await room_windows.open_now(db, "later", START)
    await editing.cancel(db, "later", BY, START)
    assert not await room_windows.open_now(db, "later", START - HOUR)


@pytest.mark.parametrize("seconds", [-3601, -3600, -1, 0, 1, 3599, 3600, 3601, 7200])
async def test_a_search_by_status_agrees_with_the_rule(db: Database, seconds: int) -> None:
    now = START + timedelta(seconds=seconds)
    for name, opens, closes in (("a", 0, 1), ("b", -1, None), ("c", 1, 2), ("d", -1, 0)):
        closes_at = None if closes is None else START + closes * HOUR
        made = replace(spec(name), starts_at=START + 3 * HOUR, opens_at=START + opens * HOUR, closes_at=closes_at)
        await events.create(db, made, START)
    await events.create(db, spec("e"), START)
    await editing.cancel(db, "e", BY, START)
    by_status = {status: await found(db, status, now) for status in SaleStatus}
    everything, total = await events.search(db, Search(), now)
    assert total == len(everything) == sum(len(ids) for ids in by_status.values()) == 6
    for event in everything:
        assert event.id in by_status[status_of(event, now)]


async def found(db: Database, status: SaleStatus, now: datetime) -> set[str]:
    return {event.id for event in (await events.search(db, Search(status=status), now))[0]}


SEATS = re.compile(r"(FROM|JOIN) seats\b")


async def test_what_is_said_of_an_event_is_said_without_its_map(db: Database) -> None:
    """A seat map has tens of thousands of rows: everything but the map itself is told from counts."""
    said: list[str] = []
    for engine in db.engines:
        sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *at: said.append(at[2]))
    await events.get(db, EVENT)
    await room_windows.with_room(db, START)
    await events.search(db, Search(), START)
    await events.free_seats(db, START)
    assert said
    assert [statement for statement in said if SEATS.search(statement)] == []
    await events.seat_snapshot(db, EVENT)
    assert [statement for statement in said if SEATS.search(statement)]


async def test_what_is_to_come_is_listed_first_and_then_the_latest_past(db: Database) -> None:
    for name, days in (("past", -2), ("older", -5), ("far", 9), ("near", 1)):
        starts_at = START + days * DAY
        await events.create(db, replace(spec(name), starts_at=starts_at, opens_at=START - 90 * DAY), START)
    listed, _ = await events.search(db, Search(), START)
    assert [event.id for event in listed] == ["near", "far", EVENT, "past", "older"]


async def test_the_audit_log_keeps_what_an_edit_replaced(db: Database) -> None:
    sent = {"title": "New", "eventDate": "later"}
    values = {"title": "New", "starts_at": START + DAY, "venue": "Hall"}
    grades = [GradeSpec(name="R", price=7), GradeSpec(name="S", price=50)]
    by = AdminAction("ann", "event.edit", sent)
    assert isinstance(await editing.edit(db, EVENT, Edit(values=values, grades=grades), by, START), Edited)
    (entry,) = await audit_log.listed(db, audit_log.AuditFilter(subject=EVENT), 10)
    was = {"title": "Gig", "starts_at": spec().starts_at.isoformat(), "prices": {"R": 100, "S": 50}}
    assert entry.change == {**sent, "was": was}


async def test_an_event_is_not_moved_before_the_end_of_its_sale_unless_that_moves_too(db: Database) -> None:
    await editing.edit(db, EVENT, Edit(values={"closes_at": START + 2 * DAY}), BY, START)
    moved = {"starts_at": START + DAY}
    assert await editing.edit(db, EVENT, Edit(values=moved), BY, START) is Refused.sale_ends_late
    again = {**moved, "closes_at": START + 2 * DAY}
    assert await editing.edit(db, EVENT, Edit(values=again), BY, START) is Refused.sale_ends_late
    for closes_at in (START + DAY, None):
        both = {**moved, "closes_at": closes_at}
        assert isinstance(await editing.edit(db, EVENT, Edit(values=both), BY, START), Edited)
        await editing.edit(
            db, EVENT, Edit(values={"starts_at": START + 9 * DAY, "closes_at": START + 2 * DAY}), BY, START
        )
