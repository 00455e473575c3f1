"""A room's data in SQL: its epoch, the bound of its numbers, a checkpoint of its cursor, and its settings.

Redis gives numbers only up to `number_bound`, which is raised here first: if Redis loses its data, new numbers start
above every number ever given (I1). The bound never decreases, the cursor never within an epoch. The audit log says who
changed a room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from app.ledger.database import Database, Transaction
from app.ledger.tables.rooms import rooms


class UnknownRoom(LookupError):
    """No event has this id, so there is no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRow:
    """A room's row. `config` has its settings."""

    event_id: str
    epoch: int
    number_bound: int
    cursor: int
    config: Mapping[str, Any]


async def get(db: Database, event_id: str) -> RoomRow | None:
    """One room, or None."""
    async with db.read() as tx:
        return await _row(tx, event_id)


async def listed(db: Database) -> list[RoomRow]:
    """The rooms of all events."""
    async with db.read() as tx:
        rows = (await tx.execute(select(rooms).order_by(rooms.c.event_id))).mappings().all()
    return [RoomRow(**row) for row in rows]


async def reserve_numbers(db: Database, event_id: str, up_to: int) -> int:
    """Raise the bound of the numbers to `up_to` if it is lower; returns the bound. Raises UnknownRoom."""
    async with db.write() as tx:
        raised = (rooms.c.event_id == event_id) & (rooms.c.number_bound < up_to)
        await tx.execute(update(rooms).where(raised).values(number_bound=up_to))
        row = await _row(tx, event_id)
        if row is None:
            raise UnknownRoom(event_id)
        return row.number_bound


async def checkpoint_cursor(db: Database, event_id: str, epoch: int, cursor: int) -> None:
    """Store the cursor, the highest number that admission has passed. Ignored if lower or of another epoch."""
    async with db.write() as tx:
        ahead = (rooms.c.event_id == event_id) & (rooms.c.epoch == epoch) & (rooms.c.cursor < cursor)
        await tx.execute(update(rooms).where(ahead).values(cursor=cursor))


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
