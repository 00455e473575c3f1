"""Changes of single seats during a sale: blocked, released, regraded, marked. What is held or sold stays as it is.

Each change is one transaction that locks the lane and raises its fence and version, as replacing the map does: the
allocator carries on with the changed seats, and whoever shows the map reads it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Update, bindparam, func, select, update

from app.domain.reservation import SeatStatus
from app.ledger import audit_log
from app.ledger.database import Database
from app.ledger.statements import as_json, one_of
from app.ledger.tables.events import events, grades, seats
from app.ledger.tables.lane import lanes

CHANGED = "seats.change"  # the action in the audit log
FREE = (SeatStatus.available.name, SeatStatus.blocked.name)


class SeatAction(StrEnum):
    """What is done to seats."""

    block = "block"  # not put on sale any more
    release = "release"  # put on sale again
    regrade = "regrade"
    mark = "mark"  # its marks are replaced


class Refused(StrEnum):
    """Why nothing was changed."""

    unknown_event = "unknown_event"
    cancelled = "cancelled"
    unknown_seat = "unknown_seat"
    unknown_grade = "unknown_grade"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatChange:
    """`seats`: positions. `grade`: of a regrading, one that the event has. `marks`: all that the seats have then."""

    action: SeatAction
    seats: Sequence[int]
    grade: str = ""
    marks: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """`changed`: positions. `reserved`: of those that are held or sold, which stay as they are."""

    version: int
    changed: list[int]
    reserved: list[int]


async def change(db: Database, event_id: str, wanted: SeatChange, *, who: str, now: datetime) -> Changed | Refused:
    """Change the named seats that nobody has reserved, and record who did it. Seats that are so already stay so."""
    return await db.run(lambda tx: _change(tx, event_id, wanted, who, now), repeatable=True)


def _change(tx: Connection, event_id: str, wanted: SeatChange, who: str, now: datetime) -> Changed | Refused:
    of = {"event": event_id}
    if tx.execute(lock_lane, of).first() is None:
        return Refused.unknown_event
    if tx.execute(cancelled, of).scalar_one() is not None:
        return Refused.cancelled
    if wanted.action is SeatAction.regrade and not tx.execute(_has_grade, {**of, "grade_": wanted.grade}).first():
        return Refused.unknown_grade
    named = set(wanted.seats)
    found = {row.idx: row for row in tx.execute(_as_they_are, {**of, "idxs": as_json(sorted(named))})}
    if found.keys() != named:
        return Refused.unknown_seat
    statement, column, becomes = _statement(wanted)
    was = {idx: getattr(row, column) for idx, row in sorted(found.items()) if row.status in FREE}
    changed = [idx for idx, value in was.items() if value != becomes]
    tx.execute(statement, {**of, "becomes": becomes, "idxs": as_json(changed)})
    tx.execute(count_seats_again, of)
    version = int(tx.execute(next_version, of).scalar_one())
    reserved = sorted(named.difference(was))
    told: dict[str, Any] = {"action": wanted.action.value, column: becomes, "seats": changed, "version": version}
    if reserved:
        told["reserved"] = reserved
    if changed:
        told[audit_log.WAS] = {column: _by_value(was[idx] for idx in changed)}
    audit_log.record_in(tx, who=who, action=CHANGED, subject=event_id, event_id=event_id, change=told, now=now)
    return Changed(version=version, changed=changed, reserved=reserved)


def _by_value(values: Iterable[str]) -> dict[str, int]:
    """How many seats had each of the old values."""
    return dict(Counter(values))


def _statement(wanted: SeatChange) -> tuple[Update, str, str]:
    """What changes them, the column that changes, and its new value."""
    match wanted.action:
        case SeatAction.block:
            return _move, "status", SeatStatus.blocked.name
        case SeatAction.release:
            return _move, "status", SeatStatus.available.name
        case SeatAction.regrade:
            return _regrade, "grade", wanted.grade
        case SeatAction.mark:
            return _mark, "marks", "+".join(wanted.marks)


_s, _g = seats.c, grades.c
lock_lane = select(lanes.c.version).where(lanes.c.event_id == bindparam("event")).with_for_update()
cancelled = select(events.c.cancelled_at).where(events.c.id == bindparam("event"))
_has_grade = select(_g.name).where(_g.event_id == bindparam("event"), _g.name == bindparam("grade_"))
_named = (_s.event_id == bindparam("event")) & one_of(_s.idx, "idxs")
_as_they_are = select(_s.idx, _s.status, _s.grade, _s.marks).where(_named)
_free = _named & _s.status.in_(FREE)
_move = update(seats).where(_free).values(status=bindparam("becomes"))
_regrade = update(seats).where(_free).values(grade=bindparam("becomes"))
_mark = update(seats).where(_free).values(marks=bindparam("becomes"))
_of_grade = select(func.count()).where(_s.event_id == _g.event_id, _s.grade == _g.name)
count_seats_again = (
    update(grades)
    .where(_g.event_id == bindparam("event"))
    .values(
        seats=_of_grade.scalar_subquery(),
        blocked=_of_grade.where(_s.status == SeatStatus.blocked.name).scalar_subquery(),
    )
)
next_version = (
    update(lanes)
    .where(lanes.c.event_id == bindparam("event"))
    .values(version=lanes.c.version + 1, fence=lanes.c.fence + 1)
    .returning(lanes.c.version)
)
