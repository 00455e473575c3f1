"""Searches reservations for admins, a page at a time. Reads only.

Listings are ordered newest first and continue after a cursor: every page takes the same time, and reservations made
meanwhile do not shift it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, and_, func, or_, select

from app.domain.reservation import ReservationStatus
from app.ledger.database import Database
from app.ledger.statements import as_json, one_of
from app.ledger.tables.accounts import user_holders, users
from app.ledger.tables.events import events, seats
from app.ledger.tables.payments import payments
from app.ledger.tables.reservations import reservation_seats, reservations

ROWS_PER_PAGE_MAX = 1000  # of an export; a page for people is shorter

LAST_CHARACTER = "~"  # of ASCII

PageStart = tuple[datetime, str]  # a listing continues after the reservation with this creation time and id


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationFilter:
    """What to look for; None matches all. `id` and `holder` are prefixes, without wildcards."""

    id: str | None = None
    event_id: str | None = None
    status: ReservationStatus | None = None
    holder: str | None = None
    holders: Sequence[str] | None = None  # any of these
    since: datetime | None = None
    until: datetime | None = None
    after: PageStart | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One reservation of a listing. `email` is that of its account, None for a guest."""

    id: str
    event_id: str
    event_title: str
    holder: str
    email: str | None
    status: ReservationStatus
    total_price: int
    seats: int
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """One payment of a reservation, whatever its status."""

    method: str
    reference: str
    amount: int
    status: str
    created_at: datetime
    refunded_at: datetime | None


async def search(db: Database, wanted: ReservationFilter, limit: int) -> list[Row]:
    """At most `limit` reservations, newest first."""
    c, last = reservations.c, reservations.c.id.desc()
    if wanted.id is not None or wanted.holder is not None or wanted.holders is not None:
        last = (c.id + "").desc()  # in the order of an index SQLite would read all reservations
    query = _filtered(wanted).order_by(c.created_at.desc(), last)
    async with db.read() as tx:
        rows = (await tx.execute(query.limit(min(limit, ROWS_PER_PAGE_MAX)))).mappings().all()
    return [Row(**{**row, "status": ReservationStatus(row["status"])}) for row in rows]


async def paid(db: Database, reservation_id: str) -> list[Paid]:
    """The payments of a reservation, oldest first."""
    c = payments.c
    columns = (c.method, c.reference, c.amount, c.status, c.created_at, c.refunded_at)
    query = select(*columns).where(c.reservation_id == reservation_id).order_by(c.id)
    async with db.read() as tx:
        return [Paid(**row) for row in (await tx.execute(query)).mappings().all()]


async def email_of(db: Database, holder: str) -> str | None:
    """The e-mail address of the account that this holder belongs to."""
    query = select(users.c.email).join(user_holders).where(user_holders.c.holder == holder)
    async with db.read() as tx:
        return (await tx.execute(query)).scalar()


async def seats_of(db: Database, ids: Sequence[str]) -> dict[str, list[tuple[str, str, int]]]:
    """Reservation id → (section, row, number) of each of its seats."""
    c = reservation_seats.c
    query = select(c.reservation_id, seats.c.section, seats.c.row, seats.c.number).join(seats).order_by(c.idx)
    found: dict[str, list[tuple[str, str, int]]] = {}
    async with db.read() as tx:
        for row in (
            await tx.execute(query.where(one_of(c.reservation_id, "ids"), ~c.returned), {"ids": as_json(ids)})
        ).all():
            found.setdefault(row.reservation_id, []).append((row.section, row.row, row.number))
    return found


async def methods_of(db: Database, ids: Sequence[str]) -> dict[str, str]:
    """Reservation id → method of its latest payment."""
    c = payments.c
    query = select(c.reservation_id, c.method).where(one_of(c.reservation_id, "ids")).order_by(c.id)
    async with db.read() as tx:
        return {row.reservation_id: row.method for row in await tx.execute(query, {"ids": as_json(ids)})}


def _filtered(wanted: ReservationFilter) -> Select[Any]:
    c = reservations.c
    of_it = (reservation_seats.c.reservation_id == c.id) & ~reservation_seats.c.returned
    counted = select(func.count()).where(of_it).scalar_subquery()
    made = (c.id, c.event_id, c.holder, c.status, c.total_price, c.created_at, c.expires_at, c.ended_at)
    query = select(*made, events.c.title.label("event_title"), users.c.email, counted.label("seats"))
    query = query.join(events).outerjoin(user_holders, user_holders.c.holder == c.holder).outerjoin(users)
    if wanted.id is not None:
        query = query.where(*_begins_with(c.id, wanted.id))
    if wanted.event_id is not None:
        query = query.where(c.event_id == wanted.event_id)
    if wanted.status is not None:
        query = query.where(c.status == wanted.status.value)
    if wanted.holder is not None:
        query = query.where(*_begins_with(c.holder, wanted.holder))
    if wanted.holders is not None:
        query = query.where(c.holder.in_(wanted.holders))
    return _in_time(query, wanted)


def _begins_with(column: Column[str], prefix: str) -> tuple[ColumnElement[bool], ...]:
    """SQL for an index, which LIKE cannot use. Ids and holders are ASCII, which sorts below `LAST_CHARACTER`."""
    return column >= prefix, column < prefix + LAST_CHARACTER


def _in_time(query: Select[Any], wanted: ReservationFilter) -> Select[Any]:
    c = reservations.c
    if wanted.since is not None:
        query = query.where(c.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(c.created_at < wanted.until)
    if wanted.after is not None:
        at, name = wanted.after
        query = query.where(or_(c.created_at < at, and_(c.created_at == at, c.id < name)))
    return query


async def titles(db: Database, event_ids: Collection[str], lang: str) -> dict[str, str]:
    """The events' titles in a language, or their own title where they have no translation."""
    query = select(events.c.id, events.c.title, events.c.details).where(events.c.id.in_(set(event_ids)))
    async with db.read() as tx:
        return {row.id: row.details.get(lang, {}).get("title", row.title) for row in await tx.execute(query)}
