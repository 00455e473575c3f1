"""Reads our own charges and payments, for app/audit/money.py to compare with the providers' records."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, String, and_, cast, exists, func, literal, null, select
from sqlalchemy.engine import Connection

from app.domain.charge import SIMULATOR, UNDONE
from app.domain.reservation import PaymentStatus
from app.ledger.database import Database
from app.ledger.statements import as_json, one_of
from app.ledger.tables.base import has_word
from app.ledger.tables.events import events
from app.ledger.tables.payments import charges, payments
from app.ledger.tables.reservations import reservations

PAGE_MAX = 2_000  # charges read at once


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRecord:
    """One charge in our records. `charge` is its status and `amount` what was asked for; None if there is only a
    payment. `payments`: (status, amount) of what the lane wrote for it: what is left of it, then each part of it that
    was given back. `price` is the reservation's.
    """

    id: str
    provider: str
    reservation: str
    charge: str | None
    amount: int | None
    price: int
    payments: tuple[tuple[str, int], ...]
    created_at: datetime

    @property
    def payment(self) -> str | None:
        """The status of what is left of the payment; None if the lane has written none."""
        return self.payments[0][0] if self.payments else None


async def charge_pages(db: Database, event_id: str) -> AsyncIterator[list[ChargeRecord]]:
    """Every charge and every payment of an event, at most PAGE_MAX charges in a page and in a transaction."""
    after = ""
    while page := await db.look(lambda tx, after=after: _charged(tx, event_id, after)):  # type: ignore[misc]
        yield page
        after = page[-1].id
    if page := await db.look(lambda tx: _paid_without_charge(tx, event_id)):
        yield page


async def charge_records(db: Database, event_id: str) -> list[ChargeRecord]:
    """All pages of an event."""
    return [record async for page in charge_pages(db, event_id) for record in page]


async def charges_of(db: Database, event_id: str, charge_ids: Sequence[str]) -> list[ChargeRecord]:
    """These charges of an event as they are now."""
    return await db.look(lambda tx: _records(tx, (charges.c.event_id == event_id) & charges.c.id.in_(charge_ids)))


async def first_charge_at(db: Database, event_ids: Sequence[str]) -> datetime | None:
    """When the first of these events was made, which is before any charge of theirs; None if there is none."""
    first = select(func.min(events.c.created_at)).where(one_of(events.c.id, "ids"))
    at: datetime | None = await db.look(lambda tx: tx.scalar(first, {"ids": as_json(event_ids)}))
    return at


async def not_ours(db: Database, provider: str, charge_ids: Sequence[str]) -> list[str]:
    """The ids among `charge_ids` for which we have no charge through this provider."""
    if not charge_ids:
        return []
    asked = select(charges.c.id).where((charges.c.provider == provider) & one_of(charges.c.id, "ids"))
    known = await db.look(lambda tx: set(tx.execute(asked, {"ids": as_json(charge_ids)}).scalars()))
    return [charge_id for charge_id in charge_ids if charge_id not in known]


async def undone(db: Database, event_id: str, due_before: datetime | None = None) -> list[str]:
    """Unfinished charges and refunds, each as "id is status". With `due_before`: only those that are stuck.

    Stuck means due since before `due_before` and either tried already, or never tried although the payer job works on
    no other ones. Otherwise it only waits in the queue, as after the cancellation of a big event.
    """
    c, p, r = charges.c, payments.c, reservations.c
    open_charges = (c.event_id == event_id) & has_word(c.status, *UNDONE)
    open_refunds = (r.event_id == event_id) & has_word(p.status, PaymentStatus.refund_due)
    if due_before is not None:
        open_charges &= (c.next_at < due_before) & ((c.tries > 0) | ~_charges_worked_on(due_before))
        open_refunds &= (p.next_at < due_before) & ((p.tries > 0) | ~_refunds_worked_on(due_before))
    asked = select(c.id, c.status).where(open_charges)
    owed = select(p.reference, p.status).join(reservations, r.id == p.reservation_id).where(open_refunds)
    return await db.look(
        lambda tx: sorted(f"{name} is {status}" for query in (asked, owed) for name, status in tx.execute(query))
    )


def _charges_worked_on(since: datetime) -> ColumnElement[bool]:
    """SQL: an unfinished charge of any event was tried since then (each attempt moves `next_at` ahead)."""
    c = charges.alias().c
    return exists().where(has_word(c.status, *UNDONE), c.tries > 0, c.next_at >= since)


def _refunds_worked_on(since: datetime) -> ColumnElement[bool]:
    """SQL: a refund of any event was tried or done since then."""
    p = payments.alias().c
    tried = exists().where(has_word(p.status, PaymentStatus.refund_due), p.tries > 0, p.next_at >= since)
    return tried | exists().where(p.refunded_at >= since)


def _charged(tx: Connection, event_id: str, after: str) -> list[ChargeRecord]:
    of_page = select(charges.c.id).where(charges.c.event_id == event_id, charges.c.id > after)
    return _records(tx, charges.c.id.in_(of_page.order_by(charges.c.id).limit(PAGE_MAX)))


def _records(tx: Connection, which: ColumnElement[bool]) -> list[ChargeRecord]:
    c, p, r = charges.c, payments.c, reservations.c
    query = (
        select(c.id, c.provider, c.reservation_id, c.status, r.total_price, c.created_at, c.amount)
        .add_columns(p.part, p.status, p.amount)
        .join(reservations, r.id == c.reservation_id)
        .outerjoin(payments, and_(p.reservation_id == c.reservation_id, p.reference == c.id))
        .where(which)
    )
    return _grouped(tx.execute(query).all())


def _paid_without_charge(tx: Connection, event_id: str) -> list[ChargeRecord]:
    c, p, r = charges.c, payments.c, reservations.c
    provider, no_status, no_amount = literal(SIMULATOR), cast(null(), String), cast(null(), BigInteger)
    query = (
        select(p.reference, provider, r.id, no_status, r.total_price, p.created_at, no_amount)
        .add_columns(p.part, p.status, p.amount)
        .join(reservations, r.id == p.reservation_id)
        .outerjoin(charges, and_(c.reservation_id == p.reservation_id, c.id == p.reference))
        .where((r.event_id == event_id) & c.id.is_(None))
    )
    return _grouped(tx.execute(query).all())


def _grouped(rows: Sequence[Row[Any]]) -> list[ChargeRecord]:
    """One record for each charge of rows that have one payment each, if any; in order of the charges' ids."""
    parts: dict[tuple[Any, ...], list[tuple[int, str, int]]] = {}
    for row in rows:
        *head, part, status, amount = tuple(row)
        parts.setdefault(tuple(head), []).extend([] if part is None else [(part, status, amount)])
    records = [_record(sorted(some), *head) for head, some in parts.items()]
    return sorted(records, key=lambda record: record.id)


def _record(
    parts: Sequence[tuple[int, str, int]],
    name: str,
    provider: str,
    reservation: str,
    charge: str | None,
    price: int,
    created_at: datetime,
    amount: int | None,
) -> ChargeRecord:
    return ChargeRecord(
        id=name,
        provider=provider,
        reservation=reservation,
        charge=charge,
        amount=amount,
        price=price,
        payments=tuple((status, paid) for _, status, paid in parts),
        created_at=created_at,
    )
