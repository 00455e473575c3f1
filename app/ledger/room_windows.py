"""When rooms open and close: the one place where this is read, of the rooms of events and of origins alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, bindparam, select, update

from app.domain.sale import SaleStatus, sale_ends_at
from app.ledger.database import Database
from app.ledger.events import Event
from app.ledger.tables.events import events
from app.ledger.tables.origins import origin_rooms


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a room opens and closes (None: never), as of one version of its event or of its own."""

    event_id: str
    version: int
    opens_at: datetime
    closes_at: datetime | None
    cancelled: bool

    @property
    def opens_ms(self) -> int:
        """The opening as Unix time in milliseconds."""
        return int(self.opens_at.timestamp() * 1000)

    @property
    def closes_ms(self) -> int:
        """The closing as Unix time in milliseconds, 0 for never."""
        return 0 if self.closes_at is None else int(self.closes_at.timestamp() * 1000)

    def status(self, now: datetime) -> SaleStatus:
        """Whether people are let in at this moment, as far as the times say."""
        if self.cancelled:
            return SaleStatus.cancelled
        if self.closes_at is not None and now >= self.closes_at:
            return SaleStatus.ended
        return SaleStatus.on_sale if now >= self.opens_at else SaleStatus.upcoming


def of_event(event: Event | Row[Any], event_id: str) -> Window:
    """The window of an event, or of a row of its columns, which is that of its sale."""
    return Window(
        event_id=event_id,
        version=event.version,
        opens_at=event.opens_at,
        closes_at=sale_ends_at(event),
        cancelled=event.cancelled_at is not None,
    )


async def with_room(db: Database, now: datetime) -> set[str]:
    """The rooms that are or will be open, by id."""
    c, o = events.c, origin_rooms.c
    of_events = select(c.id).where(c.ends_at > now, c.admission == "room", c.cancelled_at.is_(None))
    of_origins = select(o.id).where(o.closes_at.is_(None) | (o.closes_at > now))
    async with db.read() as tx:
        return {*(await tx.execute(of_events)).scalars(), *(await tx.execute(of_origins)).scalars()}


async def get(db: Database, room_id: str) -> Window | None:
    """The window of one room, or None where there is none."""
    async with db.read() as tx:
        if sold := (await tx.execute(_OF_EVENT, {"room_id": room_id})).first():
            return of_event(sold, room_id)
        row = (await tx.execute(_OF_ORIGIN, {"room_id": room_id})).first()
    if row is None:
        return None
    return Window(
        event_id=room_id, version=row.version, opens_at=row.opens_at, closes_at=row.closes_at, cancelled=False
    )


async def open_now(db: Database, room_id: str, now: datetime) -> bool:
    """Open a room now if it would open later, as when an admin opens it. Returns whether that was changed."""
    async with db.write() as tx:
        of_event = (events.c.id == room_id) & (events.c.opens_at > now) & events.c.cancelled_at.is_(None)
        early = {"opens_at": now, "version": events.c.version + 1}
        if (await tx.execute(update(events).where(of_event).values(early))).rowcount == 1:
            return True
        of_origin = (origin_rooms.c.id == room_id) & (origin_rooms.c.opens_at > now)
        early = {"opens_at": now, "version": origin_rooms.c.version + 1}
        return (await tx.execute(update(origin_rooms).where(of_origin).values(early))).rowcount == 1


_e = events.c
_OF_EVENT: Select[Any] = select(_e.version, _e.opens_at, _e.closes_at, _e.starts_at, _e.cancelled_at).where(
    _e.id == bindparam("room_id"), _e.admission == "room"
)
_o = origin_rooms.c
_OF_ORIGIN = select(_o.version, _o.opens_at, _o.closes_at).where(_o.id == bindparam("room_id"))
