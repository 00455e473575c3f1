"""A seat map is replaced whole or not at all, shuts the lane's owner out, and never goes from under a reservation."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.domain.reservation import Batch, Known, Reservation, ReservationStatus, SeatStatus
from app.domain.seatfile import read_sheet
from app.domain.seatplan import Given, SeatPlan, read_plan
from app.ledger import audit_log, editing, events, seat_maps, seats
from app.ledger.database import Database
from app.ledger.events import AdminAction
from app.ledger.tables.events import grades
from app.ledger.tables.lane import lanes
from tests.lane.world import EVENT, START, spec

pytestmark = pytest.mark.both_databases


def plan(labels: str = "VIP-1F-A-1-1\nVIP-1F-A-1-2\nR-2F-B-1-7") -> SeatPlan:
    made = read_plan(read_sheet(labels.encode()), Given(prices={"VIP": 3, "R": 2})).plan
    assert made is not None
    return made


@pytest.fixture
async def event(ledger: Database) -> str:
    await events.create(ledger, spec(), START)
    return EVENT


async def shown(db: Database) -> list[tuple[str, str, int, str, int]]:
    snapshot = await events.seat_snapshot(db, EVENT)
    assert snapshot is not None
    return [(s.section, s.row, s.number, s.grade, s.price) for s in snapshot.seats]


class Decided:
    def __init__(self, batch: Batch) -> None:
        self.batch = batch


async def hold(db: Database, fenced: seats.Fenced) -> Decided | None:
    """What an allocator does that read the map when it took this fence."""
    held = Reservation(
        id="r_1",
        event_id=EVENT,
        holder="ann",
        status=ReservationStatus.pending,
        seats=(0,),
        prices=(100,),
        total_price=100,
        created_at=START,
        expires_at=START + timedelta(minutes=5),
    )
    batch = Batch(
        version=fenced.version + 1, moves={(SeatStatus.available, SeatStatus.held): [0]}, made=[held], replies=[]
    )

    def decide(_: Known) -> Decided:
        return Decided(batch)

    return await seats.apply(db, fenced, EVENT, [], [], decide, START)


async def test_a_map_is_replaced_with_its_grades_and_its_drawing(ledger: Database, event: str) -> None:
    assert await seat_maps.replace(ledger, event, plan(), who="ann", now=START) == 1
    assert await shown(ledger) == [("1F A", "1", 1, "VIP", 3), ("1F A", "1", 2, "VIP", 3), ("2F B", "1", 7, "R", 2)]
    found = await seat_maps.current(ledger, event)
    assert found is not None
    now, version = found
    assert (now.seats, now.drawing, version) == (plan().seats, plan().drawing, 1)
    async with ledger.read() as tx:
        assert set((await tx.execute(select(grades.c.name))).scalars()) == {"VIP", "R"}
    entries = await audit_log.listed(ledger, audit_log.AuditFilter(), 5)
    assert [entry.action for entry in entries] == [seat_maps.REPLACED]


async def test_an_allocator_that_read_the_old_map_writes_nothing(ledger: Database, event: str) -> None:
    fenced = await seats.take_fence(ledger, event)
    assert fenced is not None
    assert await seat_maps.replace(ledger, event, plan(), who="ann", now=START) == 1
    assert await hold(ledger, fenced) is None
    assert not await seat_maps.is_reserved(ledger, event)
    async with ledger.read() as tx:
        assert (await tx.execute(select(lanes.c.fence))).scalar_one() == fenced.fence + 1
    later = await seats.take_fence(ledger, event)
    assert later is not None
    assert await hold(ledger, later) is not None, "who reads the new map sells it"


async def test_a_reserved_map_stays(ledger: Database, event: str) -> None:
    fenced = await seats.take_fence(ledger, event)
    assert fenced is not None
    assert await hold(ledger, fenced) is not None
    before = await shown(ledger)
    assert await seat_maps.replace(ledger, event, plan(), who="ann", now=START) is seat_maps.Unchanged.reserved
    assert await shown(ledger) == before


async def test_the_map_of_a_cancelled_or_unknown_event_stays(ledger: Database, event: str) -> None:
    assert await seat_maps.replace(ledger, "nowhere", plan(), who="ann", now=START) is seat_maps.Unchanged.unknown_event
    assert await seat_maps.current(ledger, "nowhere") is None
    await editing.cancel(ledger, event, AdminAction("ann", "event.cancel", {}), START)
    assert await seat_maps.replace(ledger, event, plan(), who="ann", now=START) is seat_maps.Unchanged.cancelled


async def test_a_map_that_cannot_be_stored_changes_nothing(ledger: Database, event: str) -> None:
    """The schema keeps a place unique, whatever the code above it forgot."""
    twice = plan()
    twice.seats[1] = twice.seats[0].__class__(1, "1F A", "1", 1, "VIP", 3, 0.0, 0.0)
    before = await shown(ledger)
    with pytest.raises(IntegrityError):
        await seat_maps.replace(ledger, event, twice, who="ann", now=START)
    assert await shown(ledger) == before
    assert await audit_log.listed(ledger, audit_log.AuditFilter(), 5) == []
