"""What a room keeps outside Redis: its epoch, the numbers it may give out, its cursor's checkpoint, its settings.

Numbers are given only below `number_bound`, which is raised here first, so numbers after a loss of Redis start above
every number ever given (I1). Bound and cursor never move back within an epoch. Who changed what of a room is
kept in trail.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from app.ledger.database import Database, Transaction
from app.ledger.tables.rooms import rooms


class UnknownRoom(LookupError):
    """No event has this id, so it has no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRow:
    event_id: str
    epoch: int
    number_bound: int
    cursor: int
    config: Mapping[str, Any]


async def get(db: Database, event_id: str) -> RoomRow | None:
    async with db.read() as tx:
        return await _row(tx, event_id)


async def listed(db: Database) -> list[RoomRow]:
    """The rooms of all events."""
    async with db.read() as tx:
        rows = (await tx.execute(select(rooms).order_by(rooms.c.event_id))).mappings().all()
    return [RoomRow(**row) for row in rows]


async def reserve_numbers(db: Database, event_id: str, up_to: int) -> int:
    """Allow numbers up to and including `up_to`; gives the bound now in force, never lower than before."""
    async with db.write() as tx:
        raised = (rooms.c.event_id == event_id) & (rooms.c.number_bound < up_to)
        await tx.execute(update(rooms).where(raised).values(number_bound=up_to))
        row = await _row(tx, event_id)
        if row is None:
            raise UnknownRoom(event_id)
        return row.number_bound


async def checkpoint_cursor(db: Database, event_id: str, epoch: int, cursor: int) -> None:
    """Remember how far the room has admitted. Ignored when behind what is known, or of another epoch."""
    async with db.write() as tx:
        ahead = (rooms.c.event_id == event_id) & (rooms.c.epoch == epoch) & (rooms.c.cursor < cursor)
        await tx.execute(update(rooms).where(ahead).values(cursor=cursor))


async def set_config(db: Database, event_id: str, config: Mapping[str, Any]) -> None:
    async with db.write() as tx:
        changed = await tx.execute(update(rooms).where(rooms.c.event_id == event_id).values(config=dict(config)))
        if changed.rowcount != 1:
            raise UnknownRoom(event_id)


async def follow_epoch(db: Database, event_id: str, epoch: int, opened_after: int) -> None:
    """Note that the line was begun anew, in this epoch behind that number: tickets of earlier epochs are void, and the
    cursor stands where the line begins. Never goes back, so any number of processes may note it at once.
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
