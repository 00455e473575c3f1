"""What SQL keeps of a room: its epoch, the numbers it may give, a checkpoint of its cursor, and its settings.

Numbers are only given up to `number_bound`, which is raised here first: after a loss of Redis, new numbers start above
every number ever given (I1). Bound and cursor never decrease within an epoch. Who changed a room is in audit_log.py.
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
    """What SQL keeps of one room. `config` holds its settings."""

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
    """Allow numbers up to and including `up_to`; returns the bound now in force, which never decreases."""
    async with db.write() as tx:
        raised = (rooms.c.event_id == event_id) & (rooms.c.number_bound < up_to)
        await tx.execute(update(rooms).where(raised).values(number_bound=up_to))
        row = await _row(tx, event_id)
        if row is None:
            raise UnknownRoom(event_id)
        return row.number_bound


async def checkpoint_cursor(db: Database, event_id: str, epoch: int, cursor: int) -> None:
    """Store how far the room has admitted. Ignored if it is behind the stored cursor or of another epoch."""
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
    """Store that the line was started anew in this epoch, behind number `opened_after`. Raises UnknownRoom.

    Tickets of earlier epochs become void, and the cursor starts at `opened_after`. An older epoch changes nothing, so
    any number of processes may store the same.
    """
    async with db.write() as tx:
        row = await _row(tx, event_id)
        if row is None:
            raise UnknownRoom(event_id)
        if row.epoch < epoch:
            config = {**row.config, "opened_after": opened_after, "state": "open"}  # what stopped the old line is over
            new = {"epoch": epoch, "cursor": opened_after, "config": config}
            await tx.execute(update(rooms).where(rooms.c.event_id == event_id).values(new))


async def _row(tx: Transaction, event_id: str) -> RoomRow | None:
    row = (await tx.execute(select(rooms).where(rooms.c.event_id == event_id))).mappings().first()
    return None if row is None else RoomRow(**row)
