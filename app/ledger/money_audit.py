"""Reads our own charges and payments, for app/audit/money.py to compare with the providers' records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, String, and_, cast, exists, literal, null, select
from sqlalchemy.engine import Connection

from app.domain.charge import SIMULATOR, UNDONE
from app.domain.reservation import PaymentStatus
from app.ledger.database import Database
from app.ledger.statements import as_json, one_of
from app.ledger.tables.payments import charges, payments
from app.ledger.tables.reservations import reservations


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRecord:
    """One charge in our records. `charge` is its status, `payment` that of the payment the lane wrote for it;
    None if there is none. `price` is the reservation's; `amounts` are those of the charge and the payment.
    """

    id: str
    provider: str
    reservation: str
    charge: str | None
    payment: str | None
    price: int
    amounts: tuple[int, ...]
    created_at: datetime


async def charge_records(db: Database, event_id: str) -> list[ChargeRecord]:
    """Every charge and every payment of an event."""

    def work(tx: Connection) -> list[ChargeRecord]:
        return [*_charged(tx, event_id), *_paid_without_charge(tx, event_id)]

    return await db.look(work)


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
    """SQL: an unfinished charge of any event was tried since then (each attempt moves `next_at` ahead)."""
    c = charges.alias().c
    return exists().where(c.status.in_([status.value for status in UNDONE]), c.tries > 0, c.next_at >= since)


def _refunds_worked_on(since: datetime) -> ColumnElement[bool]:
    """SQL: a refund of any event was tried or done since then."""
    p = payments.alias().c
    tried = (p.status == PaymentStatus.refund_due.value) & (p.tries > 0) & (p.next_at >= since)
    return exists().where(tried | (p.refunded_at >= since))


def _charged(tx: Connection, event_id: str) -> Sequence[ChargeRecord]:
    c, p, r = charges.c, payments.c, reservations.c
    query = (
        select(c.id, c.provider, c.reservation_id, c.status, p.status, r.total_price, c.created_at, c.amount, p.amount)
        .join(reservations, r.id == c.reservation_id)
        .outerjoin(payments, and_(p.reservation_id == c.reservation_id, p.reference == c.id))
        .where(c.event_id == event_id)
        .order_by(c.created_at, c.id)
    )
    return [_record(*row) for row in tx.execute(query).all()]


def _paid_without_charge(tx: Connection, event_id: str) -> Sequence[ChargeRecord]:
    c, p, r = charges.c, payments.c, reservations.c
    provider, no_status = literal(SIMULATOR), cast(null(), String)
    query = (
        select(p.reference, provider, r.id, no_status, p.status, r.total_price, p.created_at, p.amount)
        .join(reservations, r.id == p.reservation_id)
        .outerjoin(charges, and_(c.reservation_id == p.reservation_id, c.id == p.reference))
        .where((r.event_id == event_id) & c.id.is_(None))
        .order_by(p.id)
    )
    return [_record(*row) for row in tx.execute(query).all()]


def _record(
    name: str,
    provider: str,
    reservation: str,
    charge: str | None,
    payment: str | None,
    price: int,
    created_at: datetime,
    *amounts: int | None,
) -> ChargeRecord:
    return ChargeRecord(
        id=name,
        provider=provider,
        reservation=reservation,
        charge=charge,
        payment=payment,
        price=price,
        amounts=tuple(amount for amount in amounts if amount is not None),
        created_at=created_at,
    )
