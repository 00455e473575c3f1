"""Totals of reservations, seats, payments, charges and waiting lists by status, for the metrics. One reading
transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Select, case, func, select
from sqlalchemy.exc import SQLAlchemyError

from app.domain.reservation import PaymentStatus
from app.ledger.database import Database
from app.ledger.errors import StoreError
from app.ledger.tables.events import seats
from app.ledger.tables.payments import charges, payments
from app.ledger.tables.reservations import reservations
from app.ledger.tables.waitlist import waitlist

UNREADABLE = (StoreError, SQLAlchemyError)  # raised if the database cannot be reached or has other tables
REFUND_DUE = PaymentStatus.refund_due.value
KEPT = PaymentStatus.captured.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """`revenue`: captured money by event. `refunds_failing`: due refunds that failed at least once."""

    reservations: dict[tuple[str, str], int]  # (event id, status) → how many
    seats: dict[tuple[str, str], int]
    revenue: dict[str, int]
    payments: dict[str, int]
    charges: dict[str, int]
    waitlist: dict[tuple[str, str], int]  # (event id, state) → people
    refunds_due: int
    refunds_failing: int


async def read(db: Database) -> Figures:
    """All totals at one moment."""
    r, s, p, w = reservations.c, seats.c, payments.c, waitlist.c
    kept = func.sum(case((p.status == KEPT, p.amount), else_=0))
    money = select(r.event_id, kept).join(payments, p.reservation_id == r.id).group_by(r.event_id)
    due = select(func.count(), func.sum(case((p.tries > 0, 1), else_=0))).where(p.status == REFUND_DUE)
    async with db.read() as tx:
        made = (await tx.execute(_counted(r.event_id, r.status))).all()
        taken = (await tx.execute(_counted(s.event_id, s.status))).all()
        earned = (await tx.execute(money)).all()
        paid = (await tx.execute(_counted(p.status))).all()
        charged = (await tx.execute(_counted(charges.c.status))).all()
        listed = (await tx.execute(_counted(w.event_id, w.state))).all()
        count, failing = (await tx.execute(due)).one()
    return Figures(
        reservations={(event_id, status): total for event_id, status, total in made},
        seats={(event_id, status): total for event_id, status, total in taken},
        revenue={event_id: int(total) for event_id, total in earned},
        payments={status: total for status, total in paid},  # noqa: C416  # rows are not pairs to mypy
        charges={status: total for status, total in charged},  # noqa: C416
        waitlist={(event_id, state): total for event_id, state, total in listed},
        refunds_due=count,
        refunds_failing=failing or 0,
    )


def _counted(*columns: Column[Any]) -> Select[Any]:
    return select(*columns, func.count()).group_by(*columns)
