"""Changes an existing event: its texts, times, prices, and its cancellation.

Each change is one transaction. It is refused (as a value) if the event is cancelled or somebody else changed it
meanwhile. Sold seats keep their terms: a grade that has seats cannot be removed, and reservations keep their prices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, insert, select, update

from app.ledger import audit_log
from app.ledger import events as reading
from app.ledger.database import Database, Transaction
from app.ledger.events import AdminAction, Event, GradeSpec, searched_text
from app.ledger.tables.events import events, grades
from app.ledger.tables.lane import lanes

EDITABLE = (
    "title",
    "venue",
    "description",
    "starts_at",
    "opens_at",
    "closes_at",
    "time_zone",
    "seats_per_buyer",
    "details",
)


class Refused(StrEnum):
    """Why an event was not changed."""

    unknown = "unknown"
    changed = "changed"  # somebody has changed the event since the caller read it
    cancelled = "cancelled"
    grade_in_use = "grade_in_use"
    admission_fixed = "admission_fixed"
    sale_ends_late = "sale_ends_late"  # the event would be moved before the end of its sale
    window_empty = "window_empty"  # the sale would close before it opens, or open after the event


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """`values`: new column values by name. `grades`: all grades in their new order; None to keep them unchanged."""

    values: Mapping[str, Any] = field(default_factory=dict)
    grades: Sequence[GradeSpec] | None = None
    version: int | None = None  # the event's version that the caller read; None: do not check it


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """`map_version`: the new version of the seat map if prices of its seats changed."""

    before: Event
    after: Event
    map_version: int | None = None


async def edit(db: Database, event_id: str, wanted: Edit, by: AdminAction, now: datetime) -> Edited | Refused:
    """Make all changes or none, and record who made them, with the old and the new values."""
    async with db.write() as tx:
        before = await _current(tx, event_id, wanted.version)
        if isinstance(before, Refused):
            return before
        refused = _fits(before, wanted)
        if refused is not None:
            return refused
        await _set(tx, before, wanted.values)
        if wanted.grades is not None:
            await _set_grades(tx, event_id, wanted.grades)
        (after,) = await reading.read(tx, select(events).where(events.c.id == event_id))
        change = {**by.change, audit_log.WAS: old_values(before, after)}
        await replace(by, change=change).record(tx, event_id, now)
        version = await _new_map(tx, event_id) if _prices(before) != _prices(after) else None
        return Edited(before=before, after=after, map_version=version)


def old_values(before: Event, after: Event) -> dict[str, Any]:
    """What an edit has changed of an event, as JSON: field → the value that it had."""
    old, new = (_shown(event) for event in (before, after))
    return {name: old[name] for name in new if old[name] != new[name]}


def _shown(event: Event) -> dict[str, Any]:
    shown: dict[str, Any] = {name: getattr(event, name) for name in EDITABLE}
    times = {name: at.isoformat() for name, at in shown.items() if isinstance(at, datetime)}
    return {**shown, **times, "prices": {grade.name: grade.price for grade in event.grades}}


def _prices(event: Event) -> dict[str, int]:
    """The prices of the grades that have seats."""
    return {grade.name: grade.price for grade in event.grades if grade.seats_total}


async def _new_map(tx: Transaction, event_id: str) -> int:
    """Increment the seat map's version, so that the allocator and every web process read the new prices."""
    raised = update(lanes).where(lanes.c.event_id == event_id).values(version=lanes.c.version + 1)
    version: int = (await tx.execute(raised.returning(lanes.c.version))).scalar_one()
    return version


async def cancel(
    db: Database, event_id: str, by: AdminAction, now: datetime, version: int | None = None
) -> Edited | Refused:
    """SeatMark an event as cancelled. From then on the lane accepts no hold for it."""
    async with db.write() as tx:
        before = await _current(tx, event_id, version)
        if isinstance(before, Refused):
            return before
        await _set(tx, before, {"cancelled_at": now})
        await by.record(tx, event_id, now)
        (after,) = await reading.read(tx, select(events).where(events.c.id == event_id))
        return Edited(before=before, after=after)


async def _current(tx: Transaction, event_id: str, version: int | None) -> Event | Refused:
    # The lane's row first, as the lane itself locks them: the other way around the two would wait for each other.
    await tx.execute(select(lanes.c.version).where(lanes.c.event_id == event_id).with_for_update())
    found = await reading.read(tx, select(events).where(events.c.id == event_id).with_for_update())
    if not found:
        return Refused.unknown
    if found[0].cancelled_at is not None:
        return Refused.cancelled
    return found[0] if version in (None, found[0].version) else Refused.changed


def _fits(before: Event, wanted: Edit) -> Refused | None:
    values = wanted.values
    if values.get("admission", before.admission) != before.admission:
        return Refused.admission_fixed
    opens_at, starts_at = values.get("opens_at", before.opens_at), values.get("starts_at", before.starts_at)
    closes_at = values.get("closes_at", before.closes_at)
    moved = starts_at < before.starts_at and closes_at == before.closes_at
    if moved and closes_at is not None and closes_at > starts_at:
        return Refused.sale_ends_late
    if opens_at >= (starts_at if closes_at is None else closes_at) or opens_at > starts_at:
        return Refused.window_empty
    kept = None if wanted.grades is None else {grade.name for grade in wanted.grades}
    if kept is not None and any(grade.seats_total and grade.name not in kept for grade in before.grades):
        return Refused.grade_in_use
    return None


async def _set(tx: Transaction, before: Event, values: Mapping[str, Any]) -> None:
    words = {name: values.get(name, getattr(before, name)) for name in ("title", "venue", "description", "details")}
    new = {**values, "searched": searched_text(**words), "version": before.version + 1}
    new["pruned_at"] = None  # the sale may go on
    await tx.execute(update(events).where(events.c.id == before.id).values(new))


async def _set_grades(tx: Transaction, event_id: str, wanted: Sequence[GradeSpec]) -> None:
    rows = await tx.execute(select(grades.c.name, grades.c.seats).where(grades.c.event_id == event_id))
    known = {name: seats for name, seats in rows}  # noqa: C416  # rows are not pairs to mypy
    unused = {name for name, seats in known.items() if not seats} - {grade.name for grade in wanted}
    if unused:
        await tx.execute(delete(grades).where(grades.c.event_id == event_id, grades.c.name.in_(sorted(unused))))
    for index, grade in enumerate(wanted):
        values = {"place": index, "price": grade.price}
        if grade.name in known:
            mine = (grades.c.event_id == event_id) & (grades.c.name == grade.name)
            await tx.execute(update(grades).where(mine).values(values))
        else:
            await tx.execute(insert(grades), [{"event_id": event_id, "name": grade.name, **values}])
