"""Reads reservations: by id, by place in line, by holder, and the holds whose time has run out.

Only the lane's batches write them: see seats.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import BindParameter, ColumnElement, bindparam, exists, select, update
from sqlalchemy.engine import Connection, Row

from app.domain.charge import UNDER_WAY, ChargeStatus
from app.domain.layout import Seat
from app.domain.reservation import LIVE, PaymentStatus, Reservation, ReservationStatus
from app.ledger.database import Database
from app.ledger.events import seat_of
from app.ledger.statements import as_json, one_of
from app.ledger.tables.base import UtcDateTime, has_word
from app.ledger.tables.events import TO_EMPTY, events, seats
from app.ledger.tables.payments import charges, payments
from app.ledger.tables.reservations import reservation_seats, reservations

LISTED_MAX = 200
EMPTIED_AFTER = timedelta(hours=1)  # what was on its way when an event was cancelled has long arrived
_live = has_word(reservations.c.status, *LIVE)
_SERVED = select(reservations.c.number).where(
    reservations.c.event_id == bindparam("event"),
    reservations.c.epoch == bindparam("of"),
    reservations.c.status == ReservationStatus.confirmed.value,
    one_of(reservations.c.number, "numbers"),
)


def keeps(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """SQL: a payment for the reservation is under way that was begun in time, and keeps its hold."""
    under_way = has_word(charges.c.status, *UNDER_WAY) & (charges.c.reservation_id == reservations.c.id)
    lasts = has_word(charges.c.status, ChargeStatus.captured) | (charges.c.keeps_until > now)
    return exists().where(under_way, lasts)


_LOCK = select(reservations.c.id).where(one_of(reservations.c.id, "ids")).order_by(reservations.c.id).with_for_update()
_ASKED = select(reservations.c.id, keeps(bindparam("now", type_=UtcDateTime))).where(
    one_of(reservations.c.id, "ids"), exists().where(charges.c.reservation_id == reservations.c.id)
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
) -> list[Reservation]:
    """The reservations of a person who has several holder ids, newest first.

    `after`: the time and id of a reservation; only those behind it are listed.
    """
    c = reservations.c
    newest = select(c.id).where(c.holder.in_(holders))
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
        found = await tx.run_sync(find, c.holder.in_(holders))
    return [r for r in found if r.event_id == event_id and r.live]  # in SQL, SQLite would read all of the event


async def seats_of(db: Database, ids: Sequence[str]) -> dict[str, list[Seat]]:
    """Reservation id → its seats in the order of their position, each with the price it was reserved at."""
    r, s = reservation_seats.c, seats.c
    query = select(r.reservation_id, s.idx, s.section, s.row, s.number, s.grade, r.price, s.x, s.y, s.name, s.marks)
    query = query.join(seats, (s.event_id == r.event_id) & (s.idx == r.idx)).where(
        one_of(r.reservation_id, "ids"), ~r.returned
    )
    found: dict[str, list[Seat]] = {}
    async with db.read() as tx:
        for reservation_id, *seat in await tx.execute(query, {"ids": as_json(ids)}):
            found.setdefault(reservation_id, []).append(seat_of(seat))
    return {reservation_id: sorted(some, key=lambda seat: seat.idx) for reservation_id, some in found.items()}


async def due(db: Database, now: datetime, limit: int) -> list[tuple[str, str]]:
    """(event_id, reservation_id) of holds whose time has run out and that no payment keeps, longest overdue first."""
    c = reservations.c
    query = select(c.event_id, c.id).where(
        has_word(c.status, ReservationStatus.pending), c.expires_at <= now, ~keeps(now)
    )
    async with db.read() as tx:
        rows = (await tx.execute(query.order_by(c.expires_at).limit(limit))).all()
    return [(event_id, reservation_id) for event_id, reservation_id in rows]


async def of_cancelled_events(db: Database, limit: int) -> list[tuple[str, str]]:
    """(event_id, reservation_id) of live reservations of cancelled events that are not marked as emptied."""
    c = reservations.c
    async with db.read() as tx:
        # Two steps: as one, SQLite would read all live reservations and look up the event of each.
        cancelled = list((await tx.execute(select(events.c.id).where(TO_EMPTY).limit(LISTED_MAX))).scalars())
        if not cancelled:
            return []
        query = select(c.event_id, c.id).where(c.event_id.in_(cancelled), _live)
        rows = (await tx.execute(query.limit(limit))).all()
    return [(event_id, reservation_id) for event_id, reservation_id in rows]


async def mark_emptied(db: Database, now: datetime) -> int:
    """SeatMark events that were cancelled EMPTIED_AFTER ago and have no live reservation: none can be made any more, so
    nobody needs to look for one. Answers how many.
    """
    left = select(reservations.c.id).where(reservations.c.event_id == events.c.id, _live)
    empty = select(events.c.id).where(TO_EMPTY, events.c.cancelled_at <= now - EMPTIED_AFTER, ~left.exists())
    async with db.read() as tx:  # most passes find nothing: no write lock for that
        ids = list((await tx.execute(empty.limit(LISTED_MAX))).scalars())
    if ids:
        async with db.write() as tx:
            await tx.execute(update(events).where(events.c.id.in_(ids)).values(emptied_at=now))
    return len(ids)


def lock(tx: Connection, ids: Sequence[str]) -> None:
    """Have whoever begins a payment for these reservations wait until this transaction ends, and wait for them."""
    tx.execute(_LOCK, {"ids": as_json(ids)})


def asked(tx: Connection, ids: Sequence[str], now: datetime) -> dict[str, bool]:
    """Those of these reservations for which money was asked → whether a payment under way keeps their hold."""
    return {name: bool(kept) for name, kept in tx.execute(_ASKED, {"ids": as_json(ids), "now": now}).all()}


def live(tx: Connection, event_id: str) -> list[Reservation]:
    """Every live reservation of an event."""
    return find(tx, (reservations.c.event_id == event_id) & _live)


def of_ids(tx: Connection, event_id: str, ids: Sequence[str]) -> dict[str, Reservation]:
    """Those of `ids` that are reservations of this event, in any status."""
    found = find(tx, one_of(reservations.c.id, "ids"), {"ids": as_json(ids)})
    return {r.id: r for r in found if r.event_id == event_id}  # in SQL, SQLite would look for them in all of the event


def find(tx: Connection, where: ColumnElement[bool], values: Mapping[str, object] | None = None) -> list[Reservation]:
    """The reservations that match, oldest first, with their seats and the reference of their captured payment."""
    captured = (payments.c.reservation_id == reservations.c.id) & has_word(payments.c.status, PaymentStatus.captured)
    under_way = (charges.c.reservation_id == reservations.c.id) & has_word(charges.c.status, *UNDER_WAY)
    heads = select(reservations, payments.c.reference, charges.c.keeps_until).select_from(reservations)
    heads = heads.outerjoin(payments, captured).outerjoin(charges, under_way).where(where)
    rows = tx.execute(heads, values).all()
    if not rows:
        return []
    c = reservation_seats.c
    pairs = select(c.reservation_id, c.idx, c.price).join(reservations).where(where, ~c.returned).order_by(c.idx)
    claimed: dict[str, list[tuple[int, int]]] = {}
    for reservation_id, idx, price in tx.execute(pairs, values).all():
        claimed.setdefault(reservation_id, []).append((idx, price))
    found = [_reservation(row, claimed.get(row.id, [])) for row in rows]
    return sorted(found, key=lambda r: (r.created_at, r.id))  # by SQL it would make SQLite read by time, not by `where`


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
        kept_until=row.keeps_until,
        groups=row.groups,
        network=row.network or "",
    )
