"""Reads reservations: by id, by place in line, by holder, and the holds whose time has run out.

Only the lane's batches write them: see seats.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, select, tuple_
from sqlalchemy.engine import Connection, Row

from app.domain.reservation import LIVE, PaymentStatus, Reservation, ReservationStatus
from app.ledger.database import Database
from app.ledger.statements import as_json, one_of
from app.ledger.tables.events import events
from app.ledger.tables.payments import payments
from app.ledger.tables.reservations import reservation_seats, reservations

LISTED_MAX = 200
Standing = tuple[str, int, int]  # a place in line: event, epoch, number
_live = reservations.c.status.in_([status.value for status in LIVE])
_SERVED = select(reservations.c.number).where(
    reservations.c.event_id == bindparam("event"),
    reservations.c.epoch == bindparam("of"),
    reservations.c.status == ReservationStatus.confirmed.value,
    one_of(reservations.c.number, "numbers"),
)


async def get(db: Database, reservation_id: str) -> Reservation | None:
    """One reservation, or None."""
    async with db.read() as tx:
        found = await tx.run_sync(find, reservations.c.id == reservation_id)
    return found[0] if found else None


async def by_number(db: Database, event_id: str, epoch: int, number: int) -> Reservation | None:
    """The reservation of a place in line: the live one, else the newest."""
    c = reservations.c
    async with db.read() as tx:
        found = await tx.run_sync(find, (c.event_id == event_id) & (c.epoch == epoch) & (c.number == number))
    return max(found, key=lambda r: (r.live, r.created_at), default=None)


async def served(db: Database, event_id: str, epoch: int, numbers: Sequence[int]) -> set[int]:
    """Those of these numbers that have bought seats."""
    async with db.read() as tx:
        return set((await tx.scalars(_SERVED, {"event": event_id, "of": epoch, "numbers": as_json(numbers)})).all())


async def by_holders(
    db: Database,
    holders: Sequence[str],
    limit: int = LISTED_MAX,
    after: tuple[datetime, str] | None = None,
    places: Sequence[Standing] = (),
) -> list[Reservation]:
    """The reservations of a person who has several holder ids, or of these places in line, newest first.

    `after`: the time and id of a reservation; only those behind it are listed.
    """
    c = reservations.c
    newest = select(c.id).where(c.holder.in_(holders) | tuple_(c.event_id, c.epoch, c.number).in_(places))
    if after is not None:
        at, name = after
        newest = newest.where((c.created_at < at) | ((c.created_at == at) & (c.id < name)))
    newest = newest.order_by(c.created_at.desc(), c.id.desc()).limit(min(limit, LISTED_MAX))
    async with db.read() as tx:
        found = await tx.run_sync(find, c.id.in_(newest))
    return sorted(found, key=lambda r: (r.created_at, r.id), reverse=True)


async def live_of(db: Database, event_id: str, holders: Sequence[str]) -> list[Reservation]:
    """What a person who has several holder ids holds or has bought of an event, oldest first."""
    c = reservations.c
    async with db.read() as tx:
        return await tx.run_sync(find, (c.event_id == event_id) & c.holder.in_(holders) & _live)


async def due(db: Database, now: datetime, limit: int) -> list[tuple[str, str]]:
    """(event_id, reservation_id) of holds whose time has run out, longest overdue first."""
    c = reservations.c
    query = select(c.event_id, c.id).where(c.status == ReservationStatus.pending.value, c.expires_at <= now)
    async with db.read() as tx:
        rows = (await tx.execute(query.order_by(c.expires_at).limit(limit))).all()
    return [(event_id, reservation_id) for event_id, reservation_id in rows]


async def of_cancelled_events(db: Database, limit: int) -> list[tuple[str, str]]:
    """(event_id, reservation_id) of live reservations of cancelled events, oldest first."""
    c = reservations.c
    query = select(c.event_id, c.id).join(events).where(events.c.cancelled_at.is_not(None), _live)
    async with db.read() as tx:
        rows = (await tx.execute(query.order_by(c.created_at).limit(limit))).all()
    return [(event_id, reservation_id) for event_id, reservation_id in rows]


def live(tx: Connection, event_id: str) -> list[Reservation]:
    """Every live reservation of an event."""
    return find(tx, (reservations.c.event_id == event_id) & _live)


def of_ids(tx: Connection, event_id: str, ids: Sequence[str]) -> dict[str, Reservation]:
    """Those of `ids` that are reservations of this event, in any status."""
    of_these = (reservations.c.event_id == event_id) & one_of(reservations.c.id, "ids")
    return {r.id: r for r in find(tx, of_these, {"ids": as_json(ids)})}


def find(tx: Connection, where: ColumnElement[bool], values: Mapping[str, object] | None = None) -> list[Reservation]:
    """The reservations that match, oldest first, with their seats and the reference of their captured payment."""
    captured = (payments.c.reservation_id == reservations.c.id) & (payments.c.status == PaymentStatus.captured.value)
    heads = select(reservations, payments.c.reference).outerjoin(payments, captured).where(where)
    rows = tx.execute(heads.order_by(reservations.c.created_at, reservations.c.id), values).all()
    if not rows:
        return []
    c = reservation_seats.c
    pairs = select(c.reservation_id, c.idx, c.price).join(reservations).where(where).order_by(c.idx)
    seats: dict[str, list[tuple[int, int]]] = {}
    for reservation_id, idx, price in tx.execute(pairs, values).all():
        seats.setdefault(reservation_id, []).append((idx, price))
    return [_reservation(row, seats.get(row.id, [])) for row in rows]


def _reservation(row: Row[tuple[object, ...]], seats: list[tuple[int, int]]) -> Reservation:
    return Reservation(
        id=row.id,
        event_id=row.event_id,
        holder=row.holder,
        status=ReservationStatus(row.status),
        seats=tuple(idx for idx, _ in seats),
        prices=tuple(price for _, price in seats),
        total_price=row.total_price,
        created_at=row.created_at,
        expires_at=row.expires_at,
        epoch=row.epoch,
        number=row.number,
        reference=row.reference,
    )
