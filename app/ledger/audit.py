"""Reads an event's seats, claims and payments in portions, for app/audit to check against the rules.

Only facts: which rules they must follow is written in app/audit/invariants.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from app.domain.reservation import LIVE, PaymentStatus, ReservationStatus
from app.ledger.database import Database, Transaction
from app.ledger.reservations import keeps
from app.ledger.statements import as_json, one_of
from app.ledger.tables.base import has_word
from app.ledger.tables.events import grades, seats
from app.ledger.tables.payments import payments
from app.ledger.tables.reservations import reservation_seats, reservations
from app.ledger.tables.rooms import rooms

PORTION_MAX = 2_000  # seats, or reservations, read at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What SQL stores about one event, or a part of that.

    `taken`: per seat that is not free or that a live reservation claims, and per claim: (seat, seat status, reservation
    or None, its status). `unclaimed`: (reservation, seat) of live reservations whose claim on that seat is not live.
    `overdue`: pending holds whose time ran out before `ended_before`. `money`: (reservation, status, number of captured
    payments). `counts`: (grade, counted as (all, held, sold), and how many there are of each).
    """

    taken: Sequence[tuple[int, str, str | None, str | None]] = ()
    unclaimed: Sequence[tuple[str, int]] = ()
    overdue: Sequence[str] = ()
    money: Sequence[tuple[str, str, int]] = ()
    counts: Sequence[tuple[str, tuple[int, ...], tuple[int, ...]]] = ()


async def number_bound(db: Database, event_id: str) -> int:
    """The bound of the room's numbers; 0 without a room."""
    async with db.read() as tx:
        return await tx.scalar(select(rooms.c.number_bound).where(rooms.c.event_id == event_id)) or 0


async def books(db: Database, event_id: str, ended_before: datetime) -> AsyncIterator[Books]:
    """Read all of it in portions, each in one short transaction and true by itself."""
    async with db.read() as tx:
        seats_total = await tx.scalar(select(func.max(seats.c.idx)).where(seats.c.event_id == event_id))
        yield Books(overdue=await _overdue(tx, event_id, ended_before), counts=await _counts(tx, event_id))
    for start in range(0, -1 if seats_total is None else seats_total + 1, PORTION_MAX):
        async with db.read() as tx:
            yield Books(taken=await _taken(tx, event_id, start))
    after = ""
    while ids := await _some_reservations(db, event_id, after):
        async with db.read() as tx:
            yield Books(unclaimed=await _unclaimed(tx, ids), money=await _money(tx, ids))
        after = ids[-1]


async def _counts(tx: Transaction, event_id: str) -> list[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """The grades whose seats are not as many as was counted."""
    g, s = grades.c, seats.c
    found: dict[str, Counter[str]] = {}
    query = select(s.grade, s.status, func.count()).where(s.event_id == event_id).group_by(s.grade, s.status)
    for grade, status, total in await tx.execute(query):
        found.setdefault(grade, Counter())[status] = total
    rows = await tx.execute(select(g.name, g.seats, g.held, g.sold, g.blocked).where(g.event_id == event_id))
    counts = [
        (name, (total, *counted), (there.total(), there["held"], there["sold"], there["blocked"]))
        for name, total, *counted in rows
        for there in (found.get(name, Counter[str]()),)
    ]
    return [count for count in counts if count[1] != count[2]]


async def _some_reservations(db: Database, event_id: str, after: str) -> list[str]:
    c = reservations.c
    query = select(c.id).where(c.event_id == event_id, c.id > after).order_by(c.id).limit(PORTION_MAX)
    async with db.read() as tx:
        return list((await tx.execute(query)).scalars())


async def _taken(tx: Transaction, event_id: str, start: int) -> list[tuple[int, str, str | None, str | None]]:
    claim = reservation_seats.c
    on_seat = (claim.event_id == seats.c.event_id) & (claim.idx == seats.c.idx) & claim.live
    query = (
        select(seats.c.idx, seats.c.status, claim.reservation_id, reservations.c.status)
        .outerjoin(reservation_seats, on_seat)
        .outerjoin(reservations, reservations.c.id == claim.reservation_id)
        .where(seats.c.event_id == event_id, seats.c.idx >= start, seats.c.idx < start + PORTION_MAX)
        .where(seats.c.status.in_(("held", "sold")) | claim.reservation_id.is_not(None))
        .order_by(seats.c.idx)
    )
    return [tuple(row) for row in (await tx.execute(query)).all()]


async def _unclaimed(tx: Transaction, ids: Sequence[str]) -> list[tuple[str, int]]:
    claim, c = reservation_seats.c, reservations.c
    live = has_word(c.status, *LIVE) & ~claim.live & ~claim.returned
    query = select(c.id, claim.idx).join(reservation_seats, claim.reservation_id == c.id)
    rows = await tx.execute(query.where(one_of(c.id, "ids"), live).order_by(c.id, claim.idx), {"ids": as_json(ids)})
    return [(reservation, idx) for reservation, idx in rows]


async def _overdue(tx: Transaction, event_id: str, ended_before: datetime) -> list[str]:
    c = reservations.c
    due = has_word(c.status, ReservationStatus.pending) & (c.expires_at < ended_before) & ~keeps(ended_before)
    query = select(c.id).where((c.event_id == event_id) & due).order_by(c.expires_at)
    return list((await tx.execute(query)).scalars())


async def _money(tx: Transaction, ids: Sequence[str]) -> list[tuple[str, str, int]]:
    """Those of the reservations that are confirmed or have a captured payment."""
    is_captured = has_word(payments.c.status, PaymentStatus.captured)
    captured = (payments.c.reservation_id == reservations.c.id) & is_captured
    total = func.count(payments.c.id)
    query = (
        select(reservations.c.id, reservations.c.status, total)
        .select_from(reservations)
        .outerjoin(payments, captured)
        .where(one_of(reservations.c.id, "ids"))
        .group_by(reservations.c.id, reservations.c.status)
        .having((reservations.c.status == ReservationStatus.confirmed.value) | (total > 0))
    )
    return [tuple(row) for row in (await tx.execute(query, {"ids": as_json(ids)})).all()]
