"""Reads an event's seats, claims and payments at one moment, for app/audit to check against the rules.

Only facts: which rules they must follow is written in app/audit/invariants.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from app.domain.reservation import LIVE, PaymentStatus, ReservationStatus
from app.ledger.database import Database, Transaction
from app.ledger.tables.events import seats
from app.ledger.tables.payments import payments
from app.ledger.tables.reservations import reservation_seats, reservations
from app.ledger.tables.rooms import rooms


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What SQL stores about one event.

    `taken`: per seat that is not free or that a live reservation claims, and per claim: (seat, seat status, reservation
    or None, its status). `unclaimed`: (reservation, seat) of live reservations whose claim on that seat is not live.
    `overdue`: pending holds whose time ran out before `ended_before`. `money`: (reservation, status, number of captured
    payments).
    """

    number_bound: int
    taken: Sequence[tuple[int, str, str | None, str | None]]
    unclaimed: Sequence[tuple[str, int]]
    overdue: Sequence[str]
    money: Sequence[tuple[str, str, int]]


async def books(db: Database, event_id: str, ended_before: datetime) -> Books:
    """Read all of it in one transaction."""
    async with db.read() as tx:
        bound = await tx.scalar(select(rooms.c.number_bound).where(rooms.c.event_id == event_id))
        return Books(
            number_bound=bound or 0,
            taken=await _taken(tx, event_id),
            unclaimed=await _unclaimed(tx, event_id),
            overdue=await _overdue(tx, event_id, ended_before),
            money=await _money(tx, event_id),
        )


async def _taken(tx: Transaction, event_id: str) -> list[tuple[int, str, str | None, str | None]]:
    claim = reservation_seats.c
    on_seat = (claim.event_id == seats.c.event_id) & (claim.idx == seats.c.idx) & claim.live
    query = (
        select(seats.c.idx, seats.c.status, claim.reservation_id, reservations.c.status)
        .outerjoin(reservation_seats, on_seat)
        .outerjoin(reservations, reservations.c.id == claim.reservation_id)
        .where(seats.c.event_id == event_id)
        .where((seats.c.status != "available") | claim.reservation_id.is_not(None))
        .order_by(seats.c.idx)
    )
    return [tuple(row) for row in (await tx.execute(query)).all()]


async def _unclaimed(tx: Transaction, event_id: str) -> list[tuple[str, int]]:
    claim, c = reservation_seats.c, reservations.c
    live = c.status.in_([status.value for status in LIVE]) & ~claim.live
    query = select(c.id, claim.idx).join(reservation_seats, claim.reservation_id == c.id)
    rows = await tx.execute(query.where((c.event_id == event_id) & live).order_by(c.id, claim.idx))
    return [(reservation, idx) for reservation, idx in rows]


async def _overdue(tx: Transaction, event_id: str, ended_before: datetime) -> list[str]:
    c = reservations.c
    due = (c.status == ReservationStatus.pending.value) & (c.expires_at < ended_before)
    query = select(c.id).where((c.event_id == event_id) & due).order_by(c.expires_at)
    return list((await tx.execute(query)).scalars())


async def _money(tx: Transaction, event_id: str) -> list[tuple[str, str, int]]:
    """The reservations that are confirmed or have a captured payment."""
    captured = (payments.c.reservation_id == reservations.c.id) & (payments.c.status == PaymentStatus.captured.value)
    total = func.count(payments.c.id)
    query = (
        select(reservations.c.id, reservations.c.status, total)
        .outerjoin(payments, captured)
        .where(reservations.c.event_id == event_id)
        .group_by(reservations.c.id, reservations.c.status)
        .having((reservations.c.status == ReservationStatus.confirmed.value) | (total > 0))
    )
    return [tuple(row) for row in (await tx.execute(query)).all()]
