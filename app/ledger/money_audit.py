"""Our records of the money and the providers' at one moment, for `app.audit.money` to judge. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, String, and_, cast, exists, literal, null, select
from sqlalchemy.engine import Connection

from app.domain.charge import UNDONE
from app.domain.reservation import PaymentStatus
from app.ledger.database import Database
from app.ledger.tables.gateway_simulator import gateway_book
from app.ledger.tables.payments import charges, payments
from app.ledger.tables.reservations import reservations


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRecord:
    """One charge by its status in our charges (`charge`), the lane's payments (`payment`) and at the provider (`book`).

    `price` is what the reservation costs, `amounts` every amount that is written down anywhere.
    """

    id: str
    reservation: str
    charge: str | None
    payment: str | None
    book: str | None
    price: int
    amounts: tuple[int, ...]


async def charge_records(db: Database, event_id: str) -> list[ChargeRecord]:
    """Every charge and every payment of an event."""

    def work(tx: Connection) -> list[ChargeRecord]:
        return [*_charged(tx, event_id), *_paid_without_charge(tx, event_id)]

    return await db.look(work)


async def strays(db: Database) -> list[str]:
    """Money the gateway has taken, or is about to take, though nobody asked for it."""
    b = gateway_book.c
    taken = b.status.in_(("captured", "pending"))
    query = select(b.charge_id).outerjoin(charges, charges.c.id == b.charge_id).where(taken & charges.c.id.is_(None))
    return await db.look(lambda tx: list(tx.execute(query.order_by(b.charge_id)).scalars()))


async def undone(db: Database, event_id: str, due_before: datetime | None = None) -> list[str]:
    """Charges and refunds that somebody must still end; only those that are stuck, if it is given: due before then,
    and tried already or by nobody tried. While others are worked on, what was never tried only waits for its turn, as
    after a big cancellation: the longest due comes first.
    """
    c, p, r = charges.c, payments.c, reservations.c
    open_charges = (c.event_id == event_id) & c.status.in_([status.value for status in UNDONE])
    open_refunds = (r.event_id == event_id) & (p.status == PaymentStatus.refund_due.value)
    if due_before is not None:
        open_charges &= (c.next_at < due_before) & ((c.tries > 0) | ~_charges_worked_on(due_before))
        open_refunds &= (p.next_at < due_before) & ((p.tries > 0) | ~_refunds_worked_on(due_before))
    asked = select(c.id, c.status).where(open_charges)
    owed = select(p.reference, p.status).join(reservations, r.id == p.reservation_id).where(open_refunds)
    return await db.look(
        lambda tx: sorted(f"{name} is {status}" for query in (asked, owed) for name, status in tx.execute(query))
    )


def _charges_worked_on(since: datetime) -> ColumnElement[bool]:
    """Whether some open charge, of any event, was tried since then: trying moves its `next_at` ahead."""
    c = charges.alias().c
    return exists().where(c.status.in_([status.value for status in UNDONE]), c.tries > 0, c.next_at >= since)


def _refunds_worked_on(since: datetime) -> ColumnElement[bool]:
    """Whether some refund was tried, or paid back, since then."""
    p = payments.alias().c
    tried = (p.status == PaymentStatus.refund_due.value) & (p.tries > 0) & (p.next_at >= since)
    return exists().where(tried | (p.refunded_at >= since))


def _charged(tx: Connection, event_id: str) -> Sequence[ChargeRecord]:
    c, p, b, r = charges.c, payments.c, gateway_book.c, reservations.c
    query = (
        select(c.id, c.reservation_id, c.status, p.status, b.status, r.total_price, c.amount, p.amount, b.amount)
        .join(reservations, r.id == c.reservation_id)
        .outerjoin(payments, and_(p.reservation_id == c.reservation_id, p.reference == c.id))
        .outerjoin(gateway_book, b.charge_id == c.id)
        .where(c.event_id == event_id)
        .order_by(c.created_at, c.id)
    )
    return [_record(*row) for row in tx.execute(query).all()]


def _paid_without_charge(tx: Connection, event_id: str) -> Sequence[ChargeRecord]:
    c, p, b, r = charges.c, payments.c, gateway_book.c, reservations.c
    nothing = cast(null(), String)
    query = (
        select(p.reference, r.id, nothing, p.status, b.status, r.total_price, literal(None), p.amount, b.amount)
        .join(reservations, r.id == p.reservation_id)
        .outerjoin(charges, and_(c.reservation_id == p.reservation_id, c.id == p.reference))
        .outerjoin(gateway_book, b.charge_id == p.reference)
        .where((r.event_id == event_id) & c.id.is_(None))
        .order_by(p.id)
    )
    return [_record(*row) for row in tx.execute(query).all()]


def _record(
    name: str,
    reservation: str,
    charge: str | None,
    payment: str | None,
    book: str | None,
    price: int,
    *amounts: int | None,
) -> ChargeRecord:
    given = tuple(amount for amount in amounts if amount is not None)
    return ChargeRecord(
        id=name, reservation=reservation, charge=charge, payment=payment, book=book, price=price, amounts=given
    )
