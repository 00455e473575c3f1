"""Charges, each stored before the payment provider is called, and the refunds that are due.

A status changes by one UPDATE whose condition is the status that was read, so of two processes one succeeds. A worker
claims a row by moving its `next_at` ahead, on the condition that it is still the one that was read: two workers never
work on the same row, and if one dies, the row is due again at that time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Row, Select, bindparam, func, select, update
from sqlalchemy.engine import Connection

from app.domain.charge import SIMULATOR, UNDER_WAY, UNDONE, Charge, ChargeStatus, Refund
from app.domain.reservation import PaymentStatus, ReservationStatus
from app.ledger import audit_log
from app.ledger.database import Database
from app.ledger.statements import insert_new
from app.ledger.tables.base import has_word
from app.ledger.tables.payments import charges, payments
from app.ledger.tables.reservations import reservations

CHARGES_PER_RESERVATION_MAX = 20  # attempts to pay for one reservation
BEGIN_TRIES = 3
MONEY_ASKED_MAX = 500  # reservations whose money is looked up at once

_c = charges.c
GIVEN_BACK = (PaymentStatus.refund_due.value, PaymentStatus.refunded.value)
_HOLD = (
    select(reservations.c.status, reservations.c.expires_at)
    .where(reservations.c.id == bindparam("of"))
    .with_for_update()
)
PAID = (ChargeStatus.captured, ChargeStatus.settled, ChargeStatus.returned)


class Begun(StrEnum):
    """The result of `begin`."""

    made = "made"
    known = "known"  # this payment was requested before
    other_body = "other_body"  # the idempotency key belongs to another reservation or method
    other_method = "other_method"  # the reservation is paid by another method already
    hold_over = "hold_over"  # the seats are not held any more
    too_many = "too_many"


class Money(msgspec.Struct, frozen=True, omit_defaults=True):
    """The payment as shown to the reservation's owner: `status` is a PaymentStatus, or `pending`, `failed` (no money
    was taken) or `given_up` (what was taken goes back).

    For seats that were given back while the reservation went on: `returning` is to be refunded, `returned` has been.
    """

    status: str
    method: str
    amount: int
    returning: int = 0
    returned: int = 0


async def begin(db: Database, wanted: Charge) -> tuple[Begun, Charge]:
    """Store a charge before the provider is called, or find the earlier charge that it repeats.

    A charge under way by another method is cancelled in favour of the new one, unless it is captured already. A new one
    is made only while the seats are held: before the hold's time is over, or while another one keeps it.
    """

    def work(tx: Connection) -> tuple[Begun, Charge]:
        for _ in range(BEGIN_TRIES):  # another process may insert one between our SELECT and our INSERT
            if (begun := _begin(tx, wanted)) is not None:
                return begun
        return Begun.too_many, wanted

    return await db.run(work, repeatable=True)


def _begin(tx: Connection, wanted: Charge) -> tuple[Begun, Charge] | None:
    if wanted.key is not None:
        for known in _find(tx, _c.key == wanted.key):
            same = (known.reservation_id, known.method) == (wanted.reservation_id, wanted.method)
            return (Begun.known if same else Begun.other_body), known
    # Whoever asks for money for a reservation waits here for everybody else who does, and for the lane.
    hold = tx.execute(_HOLD, {"of": wanted.reservation_id}).one()
    pending = hold.status == ReservationStatus.pending.value
    others = []
    for known in _find(tx, _c.reservation_id == wanted.reservation_id):
        if known.status is ChargeStatus.settled and pending and tx.scalar(_payment_status(known)) in GIVEN_BACK:
            continue  # the hold cost something else by then, and goes on
        if known.status in PAID:
            return (Begun.known if known.method == wanted.method else Begun.other_method), known
        if known.status is ChargeStatus.started and known.method == wanted.method:
            _transition(tx, known, known.status, {"next_at": wanted.next_at, "error": None})  # the caller asks again
            return Begun.known, known
        if known.status is ChargeStatus.started:
            others.append(known)
    if hold.expires_at <= wanted.created_at:  # only what another charge keeps lasts on, and not any longer for this one
        kept_until = max((one.keeps_until for one in others if one.keeps_until is not None), default=hold.expires_at)
        wanted = replace(wanted, keeps_until=kept_until)
        pending = pending and kept_until > wanted.created_at
    if not pending:
        return Begun.hold_over, wanted
    for known in others:
        _transition(tx, known, ChargeStatus.refund_due, {"next_at": wanted.created_at})
    attempts = tx.scalar(select(func.count()).where(_c.reservation_id == wanted.reservation_id)) or 0
    if attempts >= CHARGES_PER_RESERVATION_MAX:
        return Begun.too_many, wanted
    row = msgspec.to_builtins(wanted, builtin_types=(datetime,))
    return (Begun.made, wanted) if tx.execute(insert_new(charges).values(row)).rowcount else None


async def get(db: Database, charge_id: str) -> Charge | None:
    found = await db.look(lambda tx: _find(tx, _c.id == charge_id))
    return found[0] if found else None


async def transition(db: Database, charge: Charge, becomes: ChargeStatus, **values: Any) -> Charge:
    """Move a charge to another status, if it still has that of `charge`. Returns the charge as it is stored then."""

    def work(tx: Connection) -> Charge:
        _transition(tx, charge, becomes, values)
        (now,) = _find(tx, _c.id == charge.id)
        return now

    return await db.run(work, repeatable=True)


async def note_returned(db: Database, charge: Charge, now: datetime) -> Charge:
    """Note that the provider has paid a captured or settled charge back by itself, also in the audit log, unless we
    owe or have paid back its money anyway. Returns the charge as it is stored then; if `returned`, the lane must be
    told.
    """

    def work(tx: Connection) -> Charge:
        payment = tx.scalar(_payment_status(charge))
        if payment == PaymentStatus.captured.value or (payment is None and charge.status is ChargeStatus.captured):
            noted = _transition(tx, charge, ChargeStatus.returned, {"next_at": now})
            if noted:
                _record_returned(tx, charge, now)
        (stored,) = _find(tx, _c.id == charge.id)
        return stored

    return await db.run(work, repeatable=True)


def _record_returned(tx: Connection, charge: Charge, now: datetime) -> None:
    audit_log.record_in(
        tx,
        who=charge.provider,
        action=audit_log.PAYMENT_RETURNED,
        subject=charge.reservation_id,
        event_id=charge.event_id,
        change={"charge": charge.id, "amount": charge.amount},
        now=now,
    )


async def due(db: Database, now: datetime, limit: int) -> list[Charge]:
    """Unfinished charges whose `next_at` has passed, earliest first."""
    undone = has_word(_c.status, *UNDONE) & (_c.next_at <= now)
    return await db.look(lambda tx: _find(tx, undone, limit))


async def claim(db: Database, charge: Charge, until: datetime) -> bool:
    """Reserve a due charge for the caller until then; False if another process was first."""
    mine = (_c.id == charge.id) & (_c.status == charge.status.value) & (_c.next_at == charge.next_at)
    statement = update(charges).where(mine).values(next_at=until, tries=_c.tries + 1)
    return await db.run(lambda tx: tx.execute(statement).rowcount == 1)


async def payment_of(db: Database, charge: Charge) -> PaymentStatus | None:
    """The status of the payment that the lane has written for a charge; None if it has written none yet."""
    status = await db.look(lambda tx: tx.scalar(_payment_status(charge)))
    return None if status is None else PaymentStatus(status)


def _payment_status(charge: Charge) -> Select[Any]:
    c = payments.c
    mine = (c.reservation_id == charge.reservation_id) & (c.reference == charge.id) & (c.part == 0)
    return select(c.status).where(mine)


async def paid_back(db: Database, charge: Charge) -> int:
    """How much of a charge's money we have paid back, or must."""
    c = payments.c
    mine = (c.reservation_id == charge.reservation_id) & (c.reference == charge.id)
    back = has_word(c.status, PaymentStatus.refund_due, PaymentStatus.refunded)
    return int(await db.look(lambda tx: tx.scalar(select(func.sum(c.amount)).where(mine, back))) or 0)


async def due_refunds(db: Database, now: datetime, limit: int) -> list[Refund]:
    """Payments that must be refunded and whose `next_at` has passed, earliest first."""
    c = payments.c
    is_due = has_word(c.status, PaymentStatus.refund_due) & (c.next_at <= now)
    provider = func.coalesce(_c.provider, SIMULATOR).label("provider")
    query = select(c.id, c.part, c.reference, c.amount, c.tries, c.next_at, provider).where(is_due)
    query = query.outerjoin(charges, _c.id == c.reference).order_by(c.next_at).limit(limit)
    rows = await db.look(lambda tx: tx.execute(query).all())
    return [Refund(**{str(name): value for name, value in row._mapping.items()}) for row in rows]


async def claim_refund(db: Database, refund: Refund, until: datetime) -> bool:
    """Reserve a due refund for the caller until then; False if another process was first."""
    c = payments.c
    mine = (c.id == refund.id) & (c.status == PaymentStatus.refund_due.value) & (c.next_at == refund.next_at)
    statement = update(payments).where(mine).values(next_at=until, tries=c.tries + 1)
    return await db.run(lambda tx: tx.execute(statement).rowcount == 1)


async def refund_done(db: Database, refund: Refund, now: datetime) -> bool:
    """SeatMark a payment as refunded; False if it was marked already."""
    c = payments.c
    mine = (c.id == refund.id) & (c.status == PaymentStatus.refund_due.value)
    statement = update(payments).where(mine).values(status=PaymentStatus.refunded.value, refunded_at=now)
    return await db.run(lambda tx: tx.execute(statement).rowcount == 1)


async def postpone_refund(db: Database, refund: Refund, until: datetime) -> None:
    c = payments.c
    mine = (c.id == refund.id) & (c.status == PaymentStatus.refund_due.value)
    statement = update(payments).where(mine).values(next_at=until)
    await db.run(lambda tx: tx.execute(statement))


async def money_of(db: Database, reservation_ids: Sequence[str]) -> dict[str, Money]:
    """Reservation id → its payment if it has one, else its newest charge. A captured payment comes first."""
    some = list(reservation_ids[:MONEY_ASKED_MAX])

    def work(tx: Connection) -> dict[str, Money]:
        c = payments.c
        paid = select(c.reservation_id, c.status, c.method, c.amount, c.part).where(c.reservation_id.in_(some))
        paid = paid.order_by(c.id)
        asked = _find(tx, _c.reservation_id.in_(some))
        found = {each.reservation_id: Money(_shown(each.status), each.method, each.amount) for each in asked}
        every = tx.execute(paid).all()
        rows = [row for row in every if row.part == 0]
        found.update((row.reservation_id, Money(row.status, row.method, row.amount)) for row in rows)
        # If seats are sold, their captured payment is shown, not another one that is refunded.
        captured = [row for row in rows if row.status == PaymentStatus.captured.value]
        found.update((row.reservation_id, Money(row.status, row.method, row.amount)) for row in captured)
        for row in every:
            if row.part:
                word = "returned" if row.status == PaymentStatus.refunded.value else "returning"
                shown = found[row.reservation_id]
                found[row.reservation_id] = replace(shown, **{word: getattr(shown, word) + row.amount})
        return found

    return await db.look(work) if some else {}


def _shown(status: ChargeStatus) -> str:
    if status in UNDER_WAY:
        return "pending"
    return "failed" if status is ChargeStatus.failed else "given_up"


def _transition(tx: Connection, charge: Charge, becomes: ChargeStatus, values: Mapping[str, Any]) -> bool:
    mine = (_c.id == charge.id) & (_c.status == charge.status.value)
    return tx.execute(update(charges).where(mine).values(status=becomes.value, **values)).rowcount == 1


def _find(tx: Connection, where: ColumnElement[bool], limit: int | None = None) -> list[Charge]:
    query = select(charges).where(where).order_by(_c.next_at if limit else _c.created_at, _c.id).limit(limit)
    return [_charge(row) for row in tx.execute(query).all()]


def _charge(row: Row[Any]) -> Charge:
    return msgspec.convert({str(name): value for name, value in row._mapping.items()}, Charge)
