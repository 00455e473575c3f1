"""Replaces an event's seat map, whole or not at all, as long as none of its seats was ever reserved.

The same transaction locks the lane and raises its fence and version: an allocator that decided on the old map can no
longer write, and every web process sees that its copy is outdated.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, bindparam, delete, func, select, update

from app.domain.hall import Drawing
from app.domain.reservation import SeatStatus
from app.domain.seat import Seat
from app.domain.seatplan import SeatPlan
from app.ledger import audit_log
from app.ledger.database import Database
from app.ledger.events import read_snapshot
from app.ledger.statements import as_json, insert_rows
from app.ledger.tables.events import events, grades, seats
from app.ledger.tables.lane import lanes
from app.ledger.tables.reservations import reservations

ROWS_PER_STATEMENT = 5_000
HELD_MAX = 500  # seat maps that a process loads before they are requested
REPLACED = "seats.replace"  # the action in the audit log


class Unchanged(StrEnum):
    """Why a map was not replaced."""

    unknown_event = "unknown_event"
    reserved = "reserved"
    cancelled = "cancelled"


async def is_reserved(db: Database, event_id: str) -> bool:
    """Whether any seat of the event was ever reserved."""
    async with db.read() as tx:
        return (await tx.execute(_reservation, {"event": event_id})).first() is not None


async def current(db: Database, event_id: str) -> tuple[SeatPlan, int] | None:
    """The map as a plan with its version; None for an unknown event."""
    snapshot = await db.look(lambda tx: read_snapshot(tx, event_id))
    if snapshot is None:
        return None
    grade_prices = {seat.grade: seat.price for seat in snapshot.seats}
    drawing = Drawing(snapshot.focal, snapshot.layout)
    blocked = frozenset(idx for idx, status in enumerate(snapshot.statuses) if status == SeatStatus.blocked)
    plan = SeatPlan(grades=grade_prices, seats=list(snapshot.seats), drawing=drawing, blocked=blocked)
    return plan, snapshot.version


async def sold_between(db: Database, begin: datetime, end: datetime) -> dict[str, int]:
    """Event id → seats, of at most HELD_MAX events that are on sale at some time in this period, latest opening first:
    most people come when a sale opens.
    """
    c = events.c
    total = select(func.sum(grades.c.seats)).where(grades.c.event_id == c.id).scalar_subquery()
    query = select(c.id, total).where(c.cancelled_at.is_(None), c.opens_at <= end, c.ends_at >= begin)
    async with db.read() as tx:
        rows = await tx.execute(query.order_by(c.opens_at.desc(), c.id).limit(HELD_MAX))
        return {event_id: int(seats_total or 0) for event_id, seats_total in rows}


async def replace(db: Database, event_id: str, plan: SeatPlan, *, who: str, now: datetime) -> int | Unchanged:
    """Replace the map by this plan; returns its new version, or why it was not replaced."""
    return await db.run(lambda tx: _replace(tx, event_id, plan, who, now), repeatable=True)


def _replace(tx: Connection, event_id: str, plan: SeatPlan, who: str, now: datetime) -> int | Unchanged:
    lane = tx.execute(_lock_lane, {"event": event_id}).first()
    if lane is None:
        return Unchanged.unknown_event
    if tx.execute(_cancelled, {"event": event_id}).scalar_one() is not None:
        return Unchanged.cancelled
    if tx.execute(_reservation, {"event": event_id}).first() is not None:
        return Unchanged.reserved
    before = tx.execute(_forget_seats, {"event": event_id}).rowcount
    tx.execute(_forget_grades, {"event": event_id})
    totals = Counter(seat.grade for seat in plan.seats)
    blocked = Counter(plan.seats[idx].grade for idx in plan.blocked)
    prices = [
        (event_id, name, index, price, totals[name], blocked[name])
        for index, (name, price) in enumerate(plan.grades.items())
    ]
    tx.execute(_make_grades, {"rows": as_json(prices)})
    for start in range(0, len(plan.seats), ROWS_PER_STATEMENT):
        some = plan.seats[start : start + ROWS_PER_STATEMENT]
        rows = [cells(event_id, seat, seat.idx in plan.blocked) for seat in some]
        tx.execute(make_seats, {"rows": as_json(rows)})
    focal_x, focal_y = plan.drawing.focal
    drawn = {"event": event_id, "to_x": focal_x, "to_y": focal_y, "to_layout": plan.drawing.layout}
    tx.execute(_draw, drawn)
    version = tx.execute(_next_version, {"event": event_id}).scalar_one()
    change = {"seats": len(plan.seats), "before": before, "grades": plan.grades, "version": version}
    if plan.blocked:
        change["blocked"] = len(plan.blocked)
    audit_log.record_in(tx, who=who, action=REPLACED, subject=event_id, event_id=event_id, change=change, now=now)
    return int(version)


def cells(event_id: str, seat: Seat, is_blocked: bool) -> tuple[str | int | float, ...]:
    status = SeatStatus.blocked if is_blocked else SeatStatus.available
    place = (seat.section, seat.row, seat.number, seat.grade, seat.x, seat.y)
    return (event_id, seat.idx, *place, seat.name, "+".join(seat.marks), status.name)


_lock_lane = select(lanes.c.version).where(lanes.c.event_id == bindparam("event")).with_for_update()
_cancelled = select(events.c.cancelled_at).where(events.c.id == bindparam("event"))
_reservation = select(reservations.c.id).where(reservations.c.event_id == bindparam("event")).limit(1)
_forget_seats = delete(seats).where(seats.c.event_id == bindparam("event"))
_forget_grades = delete(grades).where(grades.c.event_id == bindparam("event"))
_make_grades = insert_rows(grades, "event_id", "name", "place", "price", "seats", "blocked")
make_seats = insert_rows(
    seats, *("event_id", "idx", "section", "row", "number", "grade", "x", "y", "name", "marks", "status")
)
_draw = (
    update(events)
    .where(events.c.id == bindparam("event"))
    .values(
        focal_x=bindparam("to_x"),
        focal_y=bindparam("to_y"),
        layout=bindparam("to_layout"),
        version=events.c.version + 1,  # refuses edits that were begun with the old grades
    )
)
_next_version = (
    update(lanes)
    .where(lanes.c.event_id == bindparam("event"))
    .values(version=lanes.c.version + 1, fence=lanes.c.fence + 1)
    .returning(lanes.c.version)
)
