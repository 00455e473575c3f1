"""A room's data in SQL: its epoch, its generation, the bound of its numbers, how far it had come, and its settings.

Redis gives numbers only up to `number_bound`, which is raised here first: if Redis loses its data, new numbers start
above every number ever given (I1). The bound never decreases, the cursor never within an epoch. Each time a room is
made, it begins a generation here: what is left of an earlier one gets no more numbers and leaves no marks. The audit
log says who changed a room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select, update

from app.ledger.database import Database, Transaction
from app.ledger.room_windows import Window, of_event
from app.ledger.tables.events import events
from app.ledger.tables.origins import origin_rooms
from app.ledger.tables.rooms import IS_WORKING, rooms


class UnknownRoom(LookupError):
    """No event has this id, so there is no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRow:
    """A room's row. `number`, `cursor` and `revision` (of its log, within the generation) are marks: the room had come
    at least so far. `config` has its settings. `retired_at`: since when nobody looks after it, because its sale ended
    long ago; `admitted`: how many people it had let in by then."""

    event_id: str
    epoch: int
    generation: int
    number_bound: int
    number: int
    cursor: int
    revision: int
    config: Mapping[str, Any]
    retired_at: datetime | None = None
    admitted: int = 0


async def get(db: Database, event_id: str) -> RoomRow | None:
    """One room, or None."""
    async with db.read() as tx:
        return await _row(tx, event_id)


async def listed(db: Database) -> list[RoomRow]:
    """The rooms of all events."""
    async with db.read() as tx:
        rows = (await tx.execute(select(rooms).order_by(rooms.c.event_id))).mappings().all()
    return [RoomRow(**row) for row in rows]


async def working(db: Database, opens_before: datetime | None = None) -> list[tuple[RoomRow, Window]]:
    """The rooms that are not retired, each with its sale; given a time, of sales that open before it, and those that
    have never been made."""
    query = _WORKING
    if opens_before is not None:
        query = query.where(
            (events.c.opens_at < opens_before) | (_o.opens_at < opens_before) | (rooms.c.number_bound == 0)
        )
    async with db.read() as tx:
        found = (await tx.execute(query)).all()
    names = [column.name for column in rooms.columns]
    return [(RoomRow(**{name: row._mapping[name] for name in names}), _window_of(row)) for row in found]


def _window_of(row: Row[Any]) -> Window:
    if row.own_version is None:
        return of_event(row, row.event_id)
    return Window(
        event_id=row.event_id,
        version=row.own_version,
        opens_at=row.own_opens_at,
        closes_at=row.own_closes_at,
        cancelled=False,
    )


async def retire(db: Database, event_id: str, admitted: int, now: datetime) -> None:
    """Nobody looks after this room any more. `admitted`: how many people it has let in."""
    async with db.write() as tx:
        values = {"retired_at": now, "admitted": admitted}
        await tx.execute(update(rooms).where(rooms.c.event_id == event_id).values(values))


async def bring_back(db: Database, event_id: str, *, anew: bool) -> None:
    """Look after a retired room again. `anew`: Redis knows it no more, so it begins a new epoch behind every number
    that was ever reserved. Changes nothing of another room."""
    async with db.write() as tx:
        row = await _row(tx, event_id)
        if row is None or row.retired_at is None:
            return
        values: dict[str, Any] = {"retired_at": None, "admitted": 0}
        if anew:
            config = {**row.config, "opened_after": row.number_bound, "state": "open"}
            values |= {"epoch": row.epoch + 1, "cursor": row.number_bound, "config": config}
        await tx.execute(update(rooms).where(rooms.c.event_id == event_id).values(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomMarks:
    """How far a room has come, to be stored. `cursor`: the highest number that admission has passed."""

    event_id: str
    epoch: int
    generation: int
    number: int
    cursor: int
    revision: int


async def begin_generation(db: Database, event_id: str, after: int, numbers: int) -> RoomRow | None:
    """Begin the generation after this one, for a room that is to be made, and reserve so many numbers for it, above all
    that were ever reserved. None if somebody else has begun it. Raises UnknownRoom."""
    async with db.write() as tx:
        own = (rooms.c.event_id == event_id) & (rooms.c.generation == after)
        new = {"generation": after + 1, "revision": 0, "number_bound": rooms.c.number_bound + numbers}
        begun = await tx.execute(update(rooms).where(own).values(new))
        row = await _row(tx, event_id)
        if row is None:
            raise UnknownRoom(event_id)
        return row if begun.rowcount == 1 else None


async def reserve_numbers(db: Database, event_id: str, up_to: int, *, generation: int) -> int:
    """Raise the bound of the numbers to `up_to` if it is lower; returns the bound. 0 if the room has begun a later
    generation, which has these numbers. Raises UnknownRoom."""
    async with db.write() as tx:
        own = (rooms.c.event_id == event_id) & (rooms.c.generation == generation)
        await tx.execute(update(rooms).where(own, rooms.c.number_bound < up_to).values(number_bound=up_to))
        row = await _row(tx, event_id)
        if row is None:
            raise UnknownRoom(event_id)
        return row.number_bound if row.generation == generation else 0


async def store_marks(db: Database, marks: Sequence[RoomMarks]) -> None:
    """Store how far rooms have come, in one transaction. Ignored where it is less than what is stored, or of another
    epoch or generation."""
    if not marks:
        return
    own = (rooms.c.event_id == bindparam("of_event")) & (rooms.c.epoch == bindparam("of_epoch"))
    own &= rooms.c.generation == bindparam("of_generation")
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in ("number", "cursor", "revision")}
    for name, value in values.items():
        own &= rooms.c[name] <= value
    given = [
        {
            "of_event": each.event_id,
            "of_epoch": each.epoch,
            "of_generation": each.generation,
            "new_number": each.number,
            "new_cursor": each.cursor,
            "new_revision": each.revision,
        }
        for each in marks
    ]
    async with db.write() as tx:
        await tx.execute(update(rooms).where(own).values(values), given)


async def set_config(db: Database, event_id: str, config: Mapping[str, Any]) -> None:
    """Replace a room's settings. Raises UnknownRoom."""
    async with db.write() as tx:
        changed = await tx.execute(update(rooms).where(rooms.c.event_id == event_id).values(config=dict(config)))
        if changed.rowcount != 1:
            raise UnknownRoom(event_id)


async def follow_epoch(db: Database, event_id: str, epoch: int, opened_after: int) -> None:
    """Store that a new epoch of the line began after number `opened_after`. Raises UnknownRoom.

    Tickets of earlier epochs become void, and the cursor starts at `opened_after`. The same or an older epoch changes
    nothing, so several processes may call this.
    """
    async with db.write() as tx:
        row = await _row(tx, event_id)
        if row is None:
            raise UnknownRoom(event_id)
        if row.epoch < epoch:
            config = {**row.config, "opened_after": opened_after, "state": "open"}  # whatever the old line's state was
            new = {"epoch": epoch, "cursor": opened_after, "config": config}
            await tx.execute(update(rooms).where(rooms.c.event_id == event_id).values(new))


async def _row(tx: Transaction, event_id: str) -> RoomRow | None:
    row = (await tx.execute(select(rooms).where(rooms.c.event_id == event_id))).mappings().first()
    return None if row is None else RoomRow(**row)


_e, _o = events.c, origin_rooms.c
_OWN = [_o.version.label("own_version"), _o.opens_at.label("own_opens_at"), _o.closes_at.label("own_closes_at")]
_WORKING = (
    select(rooms, _e.version, _e.opens_at, _e.closes_at, _e.starts_at, _e.cancelled_at, *_OWN)
    .outerjoin(events, _e.id == rooms.c.event_id)  # never from the events to the rooms
    .outerjoin(origin_rooms, _o.id == rooms.c.event_id)
    .where(IS_WORKING)
    .order_by(rooms.c.event_id)
)
