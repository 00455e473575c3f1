"""Totals of what is live, for the metrics: of some events by status, and of the money that is under way.

One reading transaction, whose work grows with those events and with what is unfinished, never with what ever was sold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy.exc import SQLAlchemyError

from app.domain.charge import UNDONE
from app.domain.reservation import PaymentStatus, ReservationStatus, SeatStatus
from app.domain.waitlist import LIVE_STATES
from app.ledger.database import Database
from app.ledger.errors import StoreError
from app.ledger.statements import as_json, one_of
from app.ledger.tables.base import has_word
from app.ledger.tables.events import grades
from app.ledger.tables.payments import charges, payments
from app.ledger.tables.reservations import reservations
from app.ledger.tables.waitlist import waitlist

UNREADABLE = (StoreError, SQLAlchemyError)  # raised if the database cannot be reached or has other tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """`revenue`: what the confirmed reservations of an event cost. `charges`: unfinished ones by status.
    `refunds_failing`: due refunds that failed at least once.
    """

    reservations: dict[tuple[str, str], int]  # (event id, status) → how many
    seats: dict[tuple[str, str], int]
    revenue: dict[str, int]
    charges: dict[str, int]
    waitlist: dict[tuple[str, str], int]  # (event id, live state) → people
    refunds_due: int
    refunds_failing: int


async def read(db: Database, event_ids: Iterable[str]) -> Figures:
    """All totals at one moment, those by event of these events only."""
    ids = {"ids": as_json(sorted(event_ids))}
    async with db.read() as tx:
        made = (await tx.execute(_RESERVATIONS, ids)).all()
        seats = (await tx.execute(_SEATS, ids)).all()
        charged = (await tx.execute(_CHARGES)).all()
        listed = (await tx.execute(_WAITLIST, ids)).all()
        count, failing = (await tx.execute(_REFUNDS)).one()
    return Figures(
        reservations={(event_id, status): total for event_id, status, total, _ in made},
        seats={
            (event_id, status.name): int(total)
            for event_id, *totals in seats
            for status, total in zip(SeatStatus, totals, strict=True)
        },
        revenue={event_id: int(price) for event_id, status, _, price in made if status == ReservationStatus.confirmed},
        charges={status: total for status, total in charged},  # noqa: C416  # rows are not pairs to mypy
        waitlist={(event_id, state): total for event_id, state, total in listed},
        refunds_due=count,
        refunds_failing=failing or 0,
    )


_r, _g, _p, _w = reservations.c, grades.c, payments.c, waitlist.c
_RESERVATIONS = (
    select(_r.event_id, _r.status, func.count(), func.sum(_r.total_price))
    .where(one_of(_r.event_id, "ids"))
    .group_by(_r.event_id, _r.status)
)
_FREE = _g.seats - _g.held - _g.sold - _g.blocked
_SEATS = (
    select(_g.event_id, *(func.sum(count) for count in (_FREE, _g.held, _g.sold, _g.blocked)))
    .where(one_of(_g.event_id, "ids"))
    .group_by(_g.event_id)
)
_CHARGES = select(charges.c.status, func.count()).where(has_word(charges.c.status, *UNDONE)).group_by(charges.c.status)
_WAITLIST = (
    select(_w.event_id, _w.state, func.count())
    .where(has_word(_w.state, *LIVE_STATES), one_of(_w.event_id, "ids"))
    .group_by(_w.event_id, _w.state)
)
_REFUNDS = select(func.count(), func.sum(case((_p.tries > 0, 1), else_=0))).where(
    has_word(_p.status, PaymentStatus.refund_due)
)
