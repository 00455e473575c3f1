"""Seats added to an event's map, also during a sale. Those that were there keep their positions and what they are.

One transaction that locks the lane and raises its fence and version, as every change of seats does: an allocator goes
on with the larger hall, and whoever shows the map reads it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from app.domain import added_seats
from app.domain.added_seats import NewSeat, Refusal
from app.ledger import audit_log
from app.ledger.database import Database
from app.ledger.events import read_snapshot
from app.ledger.seat_changes import (
    Changed,
    Refused,
    cancelled,
    count_seats_again,
    lock_lane,
    next_version,
)
from app.ledger.seat_maps import cells, make_seats
from app.ledger.statements import as_json
from app.ledger.tables.events import events, grades

ADDED = "seats.add"  # the action in the audit log


async def add(
    db: Database, event_id: str, wanted: Sequence[NewSeat], *, who: str, now: datetime
) -> Changed | Refused | Refusal:
    """Add all of these seats or none, and record who did it."""
    return await db.run(lambda tx: _add(tx, event_id, wanted, who, now), repeatable=True)


def _add(
    tx: Connection, event_id: str, wanted: Sequence[NewSeat], who: str, now: datetime
) -> Changed | Refused | Refusal:
    of = {"event": event_id}
    if tx.execute(lock_lane, of).first() is None:
        return Refused.unknown_event
    if tx.execute(cancelled, of).scalar_one() is not None:
        return Refused.cancelled
    hall = read_snapshot(tx, event_id)
    assert hall is not None, "an event with a lane has a map, if an empty one"
    known = set(tx.execute(_grades, of).scalars())
    added = added_seats.add(hall.seats, hall.layout, known, wanted)
    if isinstance(added, Refusal):
        return added
    rows = [cells(event_id, seat, is_blocked=False) for seat in added.seats]
    tx.execute(make_seats, {"rows": as_json(rows)})
    tx.execute(_draw, {**of, "to_layout": added.layout})
    tx.execute(count_seats_again, of)
    version = int(tx.execute(next_version, of).scalar_one())
    seats = [seat.idx for seat in added.seats]
    told = {"seats": seats, "before": len(hall.seats), "version": version}
    audit_log.record_in(tx, who=who, action=ADDED, subject=event_id, event_id=event_id, change=told, now=now)
    return Changed(version=version, changed=seats, reserved=[])


_grades = select(grades.c.name).where(grades.c.event_id == bindparam("event"))
_draw = update(events).where(events.c.id == bindparam("event")).values(layout=bindparam("to_layout"))
