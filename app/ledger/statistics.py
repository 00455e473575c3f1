"""The sales of each event, added up by SQL, each event's at one moment, in another thread.

The sums of events that are not on sale are kept in SQL with the version of the seat map that they belong to, which
every sale and every refund raises: adding up again what ever was sold would take a second per million reservations.
Revenue is captured money that was not refunded; a seat counts as sold while its reservation is confirmed. Frequent
callers should cache the result for a few seconds: see app/http/admin/statistics.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from sqlalchemy import Connection, bindparam, func, select

from app.domain.reservation import PaymentStatus, ReservationStatus
from app.domain.sale import SaleStatus, Sold, status_of
from app.domain.waitlist import ListState
from app.ledger.database import Database
from app.ledger.statements import upsert
from app.ledger.tables.base import has_word
from app.ledger.tables.events import events, seats
from app.ledger.tables.lane import lanes, sales_totals
from app.ledger.tables.payments import payments
from app.ledger.tables.reservations import reservation_seats, reservations
from app.ledger.tables.rooms import rooms
from app.ledger.tables.waitlist import waitlist

EVENTS_MAX = 200  # listed one by one, latest first; older ones are only in the sum


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
    events. `admitted`: how many people each retired room has let in.
    """

    events: list[tuple[str, str]]
    sales: dict[str, Sales]
    total: Sales
    admitted: dict[str, int]


async def read(db: Database, now: datetime) -> Report:
    """The sales of every event. Only those of events whose lane has written something since they were last added up
    are added up again, an event in a transaction.
    """
    async with db.read() as tx:
        found = (await tx.execute(_KEPT)).all()
        waiting = {event_id: count for event_id, count in await tx.execute(_WAITING)}  # noqa: C416  # rows, not pairs
    report = Report(events=[(row.id, row.title) for row in found[:EVENTS_MAX]], sales={}, total=Sales(), admitted={})
    for row in found:
        sales = _unpack(row.sales) if row.version == row.kept_version else await _added_up(db, row.id, row, now)
        sales.on_waitlist = waiting.get(row.id, 0)
        report.total.add(sales)
        if row.retired_at is not None:
            report.admitted[row.id] = row.admitted
        if len(report.sales) < EVENTS_MAX:
            report.sales[row.id] = sales
    return report


async def _added_up(db: Database, event_id: str, sold: Sold, now: datetime) -> Sales:
    """An event's sales now. Those of an event that is not on sale are kept: they hardly change any more, or yet."""

    def work(tx: Connection) -> tuple[int, Sales]:
        version: int = tx.execute(_VERSION, {"event": event_id}).scalar_one()
        return version, _of_event(tx, event_id)

    version, sales = await db.look(work)
    if status_of(sold, now) is not SaleStatus.on_sale:
        kept = {"event_id": event_id, "version": version, "sales": msgspec.to_builtins(sales)}
        async with db.write(about=f"sales:{event_id}") as tx:
            await tx.execute(_KEEP.values(kept))
    return sales


def _of_event(tx: Connection, event_id: str) -> Sales:
    event = {"event": event_id}
    counts = {status: count for status, count in tx.execute(_RESERVATIONS, event)}  # noqa: C416
    for status, pruned in tx.execute(_PRUNED, event).mappings().one().items():
        if pruned:
            counts[status] = counts.get(status, 0) + pruned
    return Sales(
        reservations=counts,
        grades={grade: (count, int(amount)) for grade, count, amount in tx.execute(_GRADES, event)},
        refunded=int(tx.scalar(_REFUNDED, event) or 0),
        from_line=tx.scalar(_FROM_LINE, event) or 0,
    )


def _unpack(kept: object) -> Sales:
    return msgspec.convert(kept, Sales)


_GIVEN_BACK = (PaymentStatus.refund_due, PaymentStatus.refunded)
_PAID = (ReservationStatus.confirmed, ReservationStatus.refunded)
_e, _c, _pair, _s = events.c, reservations.c, reservation_seats.c, seats.c
_of_this = _c.event_id == bindparam("event")
_KEPT = (
    select(_e.id, _e.title, _e.opens_at, _e.closes_at, _e.starts_at, _e.cancelled_at, lanes.c.version)
    .add_columns(sales_totals.c.version.label("kept_version"), sales_totals.c.sales)
    .add_columns(rooms.c.retired_at, rooms.c.admitted)
    .join(lanes)
    .outerjoin(rooms, rooms.c.event_id == _e.id)
    .outerjoin(sales_totals, sales_totals.c.event_id == _e.id)
    .order_by(_e.starts_at.desc(), _e.id.desc())
)
_VERSION = select(lanes.c.version).where(lanes.c.event_id == bindparam("event"))
_KEEP = upsert(sales_totals, ["event_id"], ["version", "sales"])
_RESERVATIONS = select(_c.status, func.count()).where(_of_this).group_by(_c.status)
_PRUNED = select(
    _e.pruned_expired.label(ReservationStatus.expired), _e.pruned_cancelled.label(ReservationStatus.cancelled)
).where(_e.id == bindparam("event"))
_GRADES = (
    select(_s.grade, func.count(), func.sum(_pair.price))
    .join(reservation_seats, _pair.reservation_id == _c.id)
    .join(seats, (_s.event_id == _pair.event_id) & (_s.idx == _pair.idx))
    .where(_of_this, has_word(_c.status, ReservationStatus.confirmed), ~_pair.returned)
    .group_by(_s.grade)
    .order_by(_s.grade)
    .select_from(reservations)
)
_REFUNDED = (
    select(func.sum(payments.c.amount))
    .join(reservations, _c.id == payments.c.reservation_id)
    .where(_of_this, has_word(payments.c.status, *_GIVEN_BACK))
)
_FROM_LINE = select(func.count()).where(_of_this, has_word(_c.status, *_PAID), _c.number.is_not(None))
_WAITING = (
    select(waitlist.c.event_id, func.count())
    .where(has_word(waitlist.c.state, ListState.waiting))
    .group_by(waitlist.c.event_id)
)
