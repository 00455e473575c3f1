"""The sales of each event, added up by SQL at one moment, in another thread.

Revenue is captured money that was not refunded; a seat counts as sold while its reservation is confirmed. Frequent
callers should cache the result for a few seconds: see app/http/admin/statistics.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from app.domain.reservation import PaymentStatus, ReservationStatus
from app.domain.waitlist import ListState
from app.ledger.database import Database
from app.ledger.tables.events import events, seats
from app.ledger.tables.payments import payments
from app.ledger.tables.reservations import reservation_seats, reservations
from app.ledger.tables.waitlist import waitlist

EVENTS_MAX = 200  # listed one by one, latest first; older ones are only in the sum

_GIVEN_BACK = (PaymentStatus.refund_due.value, PaymentStatus.refunded.value)


@dataclass(slots=True, kw_only=True)
class Sales:
    """The sales of one event or of all. `grades`: grade → (seats sold, money paid).

    `from_line`: paid reservations, also refunded ones, of buyers who came through a waiting room.
    """

    reservations: dict[str, int] = field(default_factory=dict)  # status → number
    grades: dict[str, tuple[int, int]] = field(default_factory=dict)
    refunded: int = 0
    from_line: int = 0
    on_waitlist: int = 0

    def add(self, other: Sales) -> None:
        """Add the sales of another event."""
        for status, count in other.reservations.items():
            self.reservations[status] = self.reservations.get(status, 0) + count
        for grade, (count, amount) in other.grades.items():
            known = self.grades.get(grade, (0, 0))
            self.grades[grade] = (known[0] + count, known[1] + amount)
        self.refunded += other.refunded
        self.from_line += other.from_line
        self.on_waitlist += other.on_waitlist


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`events`: id and title of the latest events, each of which is listed in `sales`. `total`: the sum over all
    events.
    """

    events: list[tuple[str, str]]
    sales: dict[str, Sales]
    total: Sales


async def read(db: Database) -> Report:
    """The sales of every event."""
    return await db.look(_read)


def _read(tx: Connection) -> Report:
    sales: dict[str, Sales] = {}

    def of(event_id: str) -> Sales:
        return sales.setdefault(event_id, Sales())

    for event_id, status, count in _reservations(tx):
        of(event_id).reservations[status] = count
    for event_id, grade, count, amount in _grades(tx):
        of(event_id).grades[grade] = (count, int(amount))
    for event_id, amount in _refunds(tx):
        of(event_id).refunded = int(amount)
    for event_id, count in _from_line(tx):
        of(event_id).from_line = count
    for event_id, count in _on_waitlist(tx):
        of(event_id).on_waitlist = count
    total = Sales()
    for each in sales.values():
        total.add(each)
    latest = select(events.c.id, events.c.title).order_by(events.c.starts_at.desc(), events.c.id).limit(EVENTS_MAX)
    return Report(events=[(row.id, row.title) for row in tx.execute(latest)], sales=sales, total=total)


def _reservations(tx: Connection) -> Iterator[tuple[str, str, int]]:
    c = reservations.c
    yield from (
        tuple(row) for row in tx.execute(select(c.event_id, c.status, func.count()).group_by(c.event_id, c.status))
    )


def _grades(tx: Connection) -> Iterator[tuple[str, str, int, int]]:
    pair, seat, c = reservation_seats.c, seats.c, reservations.c
    query = (
        select(pair.event_id, seat.grade, func.count(), func.sum(pair.price))
        .join(reservations, c.id == pair.reservation_id)
        .join(seats, (seat.event_id == pair.event_id) & (seat.idx == pair.idx))
        .where(pair.live, c.status == ReservationStatus.confirmed.value)
        .group_by(pair.event_id, seat.grade)
        .order_by(pair.event_id, seat.grade)
    )
    yield from (tuple(row) for row in tx.execute(query))


def _refunds(tx: Connection) -> Iterator[tuple[str, int]]:
    c = reservations.c
    query = select(c.event_id, func.sum(payments.c.amount)).join(payments, payments.c.reservation_id == c.id)
    yield from (tuple(row) for row in tx.execute(query.where(payments.c.status.in_(_GIVEN_BACK)).group_by(c.event_id)))


def _from_line(tx: Connection) -> Iterator[tuple[str, int]]:
    c = reservations.c
    paid = c.status.in_([ReservationStatus.confirmed.value, ReservationStatus.refunded.value])
    query = select(c.event_id, func.count()).where(paid, c.number.is_not(None)).group_by(c.event_id)
    yield from (tuple(row) for row in tx.execute(query))


def _on_waitlist(tx: Connection) -> Iterator[tuple[str, int]]:
    c = waitlist.c
    query = select(c.event_id, func.count()).where(c.state == ListState.waiting.value).group_by(c.event_id)
    yield from (tuple(row) for row in tx.execute(query))
